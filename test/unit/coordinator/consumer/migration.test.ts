import assert from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import type { GroupOptions } from '../../../../src/coordinator/group-options.ts';
import type { TopicPartitions } from '../../../../src/coordinator/group-records.ts';
import type {
  ConsumerGroupDescribeAnswer,
  ConsumerGroupHeartbeatAnswer,
  GroupRequest,
  JoinGroupRequest,
} from '../../../../src/coordinator/group-requests.ts';
import {
  CoordinatorUnderTest,
  commitOf,
  committed,
  described,
  faultOf,
  group,
  heartbeatOf,
  join,
  joined,
  joinOf,
  jsonProtocol,
  leaveOf,
  stateOf,
  subscriptionTo,
  syncOf,
} from '../coordinator-fixture.ts';
import { type Heartbeat, heartbeatOf as newHeartbeatOf, TopicWorld } from './group-world.ts';

type Owned = readonly { readonly topic: string; readonly partitions: readonly number[] }[];

const subscription = (ownedPartitions: Owned): Buffer =>
  jsonProtocol.encodeSubscription({
    version: 1,
    topics: ['orders'],
    userData: null,
    ownedPartitions,
    generation: -1,
    rackId: null,
  });
const assignment = (...partitions: number[]): Buffer =>
  jsonProtocol.encodeAssignment({ version: 1, assignedPartitions: [{ topic: 'orders', partitions }], userData: null });

/** Topic `orders` with four partitions, and a group that speaks both protocols. */
class Migration {
  readonly under: CoordinatorUnderTest;
  readonly topics: TopicWorld;

  constructor(options: Partial<GroupOptions> = {}) {
    this.under = new CoordinatorUnderTest(options);
    this.topics = new TopicWorld(this.under.image);
    this.topics.set('orders', 4);
  }

  /** A classic group of two at generation 2, each with two partitions. */
  static classic(options: Partial<GroupOptions> = {}, changes: Partial<JoinGroupRequest> = {}): Migration & Members {
    const migration = new Migration(options);
    const { under } = migration;
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    const a = joined(under.ask(joinOf({ protocols, ...changes }))).memberId;
    const second = join(under, { protocols, ...changes });
    joined(under.ask(joinOf({ protocols, ...changes, memberId: a })));
    const b = second.answer()?.memberId;
    assert.ok(b !== undefined);
    const assignments = [
      { memberId: a, assignment: assignment(0, 1) },
      { memberId: b, assignment: assignment(2, 3) },
    ];
    under.ask(syncOf({ memberId: a, generation: 2, assignments }));
    under.ask(syncOf({ memberId: b, generation: 2 }));
    return Object.assign(migration, { a, b });
  }

  /** That group once `c` of the new protocol has come: all three have what they shall have. */
  static mixed(options: Partial<GroupOptions> = {}): Migration & Members {
    const migration = Migration.classic(options);
    migration.joinNew('c');
    migration.settle(migration.a, migration.b, ['c']);
    return migration;
  }

  ask(request: GroupRequest): object {
    return this.under.ask(request);
  }

  heartbeat(heartbeat: Heartbeat): object {
    return this.under.ask(newHeartbeatOf({ groupId: group, ...heartbeat }));
  }

  joinNew(memberId: string, heartbeat: Heartbeat = {}): ConsumerGroupHeartbeatAnswer {
    const joining = {
      memberEpoch: 0,
      rebalanceTimeoutMs: 30_000,
      subscribedTopicNames: ['orders'],
      topicPartitions: [],
    };
    const answer = this.heartbeat({ memberId, ...joining, ...heartbeat });
    assert.ok('memberEpoch' in answer, JSON.stringify(answer));
    return answer as ConsumerGroupHeartbeatAnswer;
  }

  describe(): ConsumerGroupDescribeAnswer {
    const answer = this.under.ask({ kind: 'consumerGroupDescribe', groupId: group });
    assert.ok('groupEpoch' in answer, JSON.stringify(answer));
    return answer;
  }

  member(memberId: string): ConsumerGroupDescribeAnswer['members'][number] {
    const member = this.describe().members.find((one) => one.memberId === memberId);
    assert.ok(member !== undefined, `${memberId} is a member`);
    return member;
  }

  partitionsOf(memberId: string): readonly number[] {
    return this.member(memberId).assignment[0]?.partitions ?? [];
  }

  /** A classic member joins saying what it owns, and syncs; returns what it has then. */
  rejoin(memberId: string, owned: readonly number[]): readonly number[] {
    const ownedPartitions = owned.length === 0 ? [] : [{ topic: 'orders', partitions: owned }];
    const protocols = [{ name: 'range', metadata: subscription(ownedPartitions) }];
    const { generation } = joined(this.under.ask(joinOf({ memberId, protocols })));
    const synced = this.under.ask(syncOf({ memberId, generation, protocolType: 'consumer', protocol: 'range' }));
    assert.ok('assignment' in synced && Buffer.isBuffer(synced.assignment), JSON.stringify(synced));
    return jsonProtocol.decodeAssignment(synced.assignment)?.assignedPartitions[0]?.partitions ?? [];
  }

  /** Classic and new members beat until all is as it shall be. */
  settle(...memberIds: (string | readonly string[])[]): void {
    for (let round = 0; round < 6; round++)
      for (const one of memberIds) {
        if (typeof one === 'string') {
          const { memberEpoch: generation } = this.member(one);
          const beat = this.ask(heartbeatOf({ memberId: one, generation }));
          if ('fault' in beat) this.rejoin(one, this.partitionsOf(one));
        } else
          for (const memberId of one) {
            const { memberEpoch } = this.member(memberId);
            const topicPartitions = this.member(memberId).assignment.map(
              ({ topicId, partitions }): TopicPartitions => ({ topicId, partitions }),
            );
            this.heartbeat({ memberId, memberEpoch, topicPartitions });
          }
      }
  }
}

interface Members {
  readonly a: string;
  readonly b: string;
}

describe('a classic group that a member of the new protocol joins', () => {
  test('becomes one of the new protocol, whose classic members give up by joining again', () => {
    const world = Migration.classic();
    const { a, b, under } = world;
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: 2 }));
    expect(world.joinNew('c')).toMatchObject({ memberEpoch: 3, assignment: [] });
    expect(described(under)).toBeNull();
    expect(world.describe()).toMatchObject({ groupEpoch: 3, state: 'Reconciling' });
    expect(world.member(a)).toMatchObject({ isClassic: true, memberEpoch: 2 });
    expect(world.member('c')).toMatchObject({ isClassic: false, memberEpoch: 3 });
    expect(committed(under)).toEqual({ 'orders-0': 7 });

    expect(faultOf(under.ask(heartbeatOf({ memberId: a, generation: 2 })))).toBe('REBALANCE_IN_PROGRESS');
    // What it has to give up it still owns, and has given up when it comes again.
    expect(world.rejoin(a, [0, 1])).toEqual([0, 1].slice(0, world.partitionsOf(a).length));
    world.settle(a, b, ['c']);
    expect(world.describe().state).toBe('Stable');
    expect([a, b, 'c'].flatMap((memberId) => world.partitionsOf(memberId)).sort()).toEqual([0, 1, 2, 3]);
    expect(world.partitionsOf('c')).toHaveLength(1);
    expect(under.ask(heartbeatOf({ memberId: a, generation: 3 }))).toEqual({});
    expect(faultOf(under.ask(commitOf({ memberId: a, generationOrMemberEpoch: 2 })))).toBe('ILLEGAL_GENERATION');
    expect(faultOf(under.ask(commitOf({ memberId: a, generationOrMemberEpoch: 3 })))).toBeNull();
  });

  test('tells those who wait in it to come again', () => {
    const world = Migration.classic();
    const waiting = world.under.send(joinOf({ protocols: [{ name: 'range', metadata: subscription([]) }] }));
    expect(world.under.answerTo(waiting)).toBeNull();
    world.joinNew('c');
    expect(faultOf(world.under.answerTo(waiting))).toBe('REBALANCE_IN_PROGRESS');
  });

  test('is shared out anew where nobody came but the successor of a static member', () => {
    const world = new Migration();
    const { under } = world;
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    const { memberId, generation } = joined(under.ask(joinOf({ protocols, instanceId: 'i' })));
    const assignments = [{ memberId, assignment: assignment(0, 1) }];
    under.ask(syncOf({ memberId, instanceId: 'i', generation, assignments }));
    world.joinNew('c', { instanceId: 'i' });
    expect(world.partitionsOf('c')).toEqual([0, 1, 2, 3]);
  });

  test('goes on under another coordinator', () => {
    const world = Migration.mixed();
    const before = world.describe();
    world.under.elect();
    expect(world.describe()).toEqual(before);
    expect(world.under.ask(heartbeatOf({ memberId: world.a, generation: 3 }))).toEqual({});
  });

  test('keeps the sessions of its members', () => {
    const world = Migration.classic();
    world.joinNew('c');
    world.under.advance(9000);
    expect(world.describe().members).toHaveLength(3);
    expect(faultOf(world.under.ask(heartbeatOf({ memberId: world.a, generation: 2 })))).toBe('REBALANCE_IN_PROGRESS');
    world.under.advance(2000);
    expect(
      world
        .describe()
        .members.map(({ memberId }) => memberId)
        .sort(),
    ).toEqual([world.a, 'c'].sort());
  });

  test('stays as it is where that cannot be written', () => {
    const world = Migration.classic();
    world.under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    const joining = { memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedTopicNames: ['orders'], topicPartitions: [] };
    expect(world.heartbeat({ memberId: 'c', ...joining })).toHaveProperty('fault');
    world.under.refusal = null;
    expect(described(world.under)).toMatchObject({ state: 'Stable', protocol: 'range' });
    expect(world.under.ask(heartbeatOf({ memberId: world.a, generation: 2 }))).toEqual({});
  });

  test('that cannot be written leaves nobody without a session who waited in it', () => {
    const world = Migration.classic();
    const { under, a, b } = world;
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    under.send(joinOf({ memberId: a, protocols }));
    under.ask(joinOf({ memberId: b, protocols }));
    const waiting = under.send(syncOf({ memberId: b, generation: 3 }));
    for (let ms = 0; ms < 15_000; ms += 5000) {
      under.advance(5000);
      expect(under.ask(heartbeatOf({ memberId: a, generation: 3 }))).toEqual({});
    }
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    const joining = { memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedTopicNames: ['orders'], topicPartitions: [] };
    expect(world.heartbeat({ memberId: 'c', ...joining })).toHaveProperty('fault');
    expect(faultOf(under.answerTo(waiting))).toBe('COORDINATOR_NOT_AVAILABLE');
    under.refusal = null;
    // It never comes again.
    under.ask(syncOf({ memberId: a, generation: 3, assignments: [{ memberId: a, assignment: assignment(0, 1) }] }));
    for (let ms = 0; ms < 10_000; ms += 5000) {
      under.ask(heartbeatOf({ memberId: a, generation: 3 }));
      under.advance(5000);
    }
    expect(faultOf(under.ask(heartbeatOf({ memberId: a, generation: 3 })))).toBe('REBALANCE_IN_PROGRESS');
  });

  test('in a rebalance that was broken off leaves to its members what they said they own', () => {
    const world = Migration.classic();
    const { under, a, b } = world;
    const cooperative = (...owned: number[]): JoinGroupRequest['protocols'] => [
      { name: 'range', metadata: subscription([{ topic: 'orders', partitions: owned }]) },
    ];
    for (let round = 0; round < 2; round++) {
      const second = under.send(joinOf({ memberId: b, protocols: cooperative(2, 3 - round) }));
      joined(under.ask(joinOf({ memberId: a, protocols: cooperative(0, 1) })));
      joined(under.answerTo(second));
    }
    world.joinNew('c');
    expect(world.member(a).assignment[0]?.partitions).toEqual([0, 1]);
    expect(world.member(b).assignment[0]?.partitions).toEqual([2]);
  });

  test('in a rebalance that was broken off leaves to a static member that did not come what it had', () => {
    const world = new Migration();
    const { under } = world;
    const owning = (...partitions: number[]): JoinGroupRequest['protocols'] => [
      { name: 'range', metadata: subscription(partitions.length > 0 ? [{ topic: 'orders', partitions }] : []) },
    ];
    const timeouts = { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 10_000 };
    const held = { protocols: owning(), instanceId: 'i', ...timeouts };
    const a = joined(under.ask(joinOf(held))).memberId;
    const second = join(under, { protocols: owning(), ...timeouts });
    joined(under.ask(joinOf({ ...held, memberId: a })));
    const b = second.answer()?.memberId;
    assert.ok(b !== undefined);
    const assignments = [
      { memberId: a, assignment: assignment(0, 1) },
      { memberId: b, assignment: assignment(2, 3) },
    ];
    under.ask(syncOf({ memberId: a, instanceId: 'i', generation: 2, assignments }));
    const rejoin = under.send(joinOf({ memberId: b, protocols: owning(2, 3), ...timeouts }));
    under.advance(10_000);
    expect(joined(under.answerTo(rejoin)).generation).toBe(3);
    under.send(joinOf({ memberId: b, protocols: owning(2), ...timeouts }));
    world.joinNew('c');
    expect(world.member(a).assignment[0]?.partitions).toEqual([0, 1]);
    expect(world.member(b).assignment[0]?.partitions).toEqual([2]);
  });

  const joining: Heartbeat = {
    memberId: 'c',
    memberEpoch: 0,
    rebalanceTimeoutMs: 1000,
    subscribedTopicNames: ['orders'],
    topicPartitions: [],
  };
  // A group … | how it is made | the heartbeat
  const unmoved: readonly (readonly [string, () => Migration, Heartbeat])[] = [
    ['that may not be moved', () => Migration.classic({ consumerMigrationPolicy: 'downgrade' }), joining],
    ['that may not be moved at all', () => Migration.classic({ consumerMigrationPolicy: 'disabled' }), joining],
    ['of another protocol type', () => Migration.classic({}, { protocolType: 'connect' }), joining],
    [
      'whose subscriptions cannot be read',
      () => Migration.classic({}, { protocols: [{ name: 'range', metadata: Buffer.from('?') }] }),
      joining,
    ],
    [
      'whose members say more than one batch takes',
      () => {
        const world = Migration.classic();
        world.under.maxBatchBytes = 4 * subscription([]).length - 1;
        return world;
      },
      { ...joining, memberId: 'c', clientId: '', subscribedTopicNames: [] },
    ],
    ['that is larger than one of the new protocol may be', () => Migration.classic({ consumerMaxSize: 1 }), joining],
    ['that the member says it is in already', () => Migration.classic(), { ...joining, memberEpoch: 1 }],
  ];
  for (const [title, make, heartbeat] of unmoved)
    test(`${title} stays classic (GROUP_ID_NOT_FOUND)`, () => {
      const world = make();
      expect(world.heartbeat(heartbeat)).toMatchObject({ fault: { code: 'GROUP_ID_NOT_FOUND' } });
      expect(stateOf(world.under)).toBe('Stable');
    });

  test('with an assignor of its own that keeps data stays classic', () => {
    const world = Migration.classic();
    const { under, a, b } = world;
    const bytes = Buffer.from(JSON.stringify({ version: 1, assignedPartitions: [], userData: 'mine' }));
    const protocols = [{ name: 'range', metadata: subscriptionTo('orders', 'more') }];
    const second = under.send(joinOf({ memberId: b, protocols }));
    const { generation } = joined(under.ask(joinOf({ memberId: a, protocols })));
    joined(under.answerTo(second));
    under.ask(syncOf({ memberId: a, generation, assignments: [{ memberId: a, assignment: bytes }] }));
    expect(world.heartbeat(joining)).toMatchObject({ fault: { code: 'GROUP_ID_NOT_FOUND' } });
    expect(stateOf(under)).toBe('Stable');
  });
});

describe('classic members of a group of the new protocol', () => {
  const protocols = [{ name: 'range', metadata: subscription([]) }];

  // A request … | to a settled group of classic a, b and new c at epoch 3 | answer
  const cases: readonly (readonly [string, (members: Members) => GroupRequest, string | null])[] = [
    ['Heartbeat', ({ a }) => heartbeatOf({ memberId: a, generation: 3 }), null],
    ['Heartbeat of an old generation', ({ a }) => heartbeatOf({ memberId: a, generation: 2 }), 'ILLEGAL_GENERATION'],
    ['Heartbeat of nobody', () => heartbeatOf({ memberId: 'x', generation: 3 }), 'UNKNOWN_MEMBER_ID'],
    ['Heartbeat of a new member', () => heartbeatOf({ memberId: 'c', generation: 3 }), 'UNKNOWN_MEMBER_ID'],
    ['Heartbeat of no instance', ({ a }) => heartbeatOf({ memberId: a, instanceId: 'i' }), 'UNKNOWN_MEMBER_ID'],
    ['SyncGroup', ({ a }) => syncOf({ memberId: a, generation: 3 }), null],
    ['SyncGroup of an old generation', ({ a }) => syncOf({ memberId: a, generation: 2 }), 'ILLEGAL_GENERATION'],
    ['SyncGroup of nobody', () => syncOf({ memberId: 'x', generation: 3 }), 'UNKNOWN_MEMBER_ID'],
    [
      'SyncGroup of another type',
      ({ a }) => syncOf({ memberId: a, generation: 3, protocolType: 'connect' }),
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    [
      'SyncGroup of another protocol',
      ({ a }) => syncOf({ memberId: a, generation: 3, protocol: 'sticky' }),
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    ['JoinGroup of another type', () => joinOf({ protocols, protocolType: 'connect' }), 'INCONSISTENT_GROUP_PROTOCOL'],
    [
      'JoinGroup without a protocol in common',
      () => joinOf({ protocols: [{ name: 'sticky', metadata: subscription([]) }] }),
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    [
      'JoinGroup that cannot be read',
      () => joinOf({ protocols: [{ name: 'range', metadata: Buffer.from('?') }] }),
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    [
      'JoinGroup that names too many topics',
      () => {
        const metadata = subscriptionTo(...Array.from({ length: 10_001 }, (_, at) => `t${at}`));
        return joinOf({ protocols: [{ name: 'range', metadata }] });
      },
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    ['JoinGroup without an id', () => joinOf({ protocols, knowsMemberIdRequired: true }), 'MEMBER_ID_REQUIRED'],
    [
      'JoinGroup of nobody’s instance',
      () => joinOf({ protocols, memberId: 'x', instanceId: 'i' }),
      'UNKNOWN_MEMBER_ID',
    ],
    [
      'JoinGroup of nobody who says that it owns something',
      () => {
        const metadata = subscription([{ topic: 'orders', partitions: [0] }]);
        return joinOf({ protocols: [{ name: 'range', metadata }], memberId: 'x' });
      },
      'UNKNOWN_MEMBER_ID',
    ],
  ];
  for (const [title, request, code] of cases)
    test(`${title}: ${code ?? 'answered'}`, () => {
      const world = Migration.mixed();
      const before = world.describe();
      expect(faultOf(world.under.ask(request(world)))).toBe(code);
      expect(world.describe()).toEqual(before);
    });

  test('come and go as members of the new protocol do', () => {
    const world = Migration.mixed();
    const { under, a, b } = world;
    const answer = joined(under.ask(joinOf({ protocols, memberId: 'd', knowsMemberIdRequired: true })));
    expect(answer).toMatchObject({ memberId: 'd', generation: 4, members: [], protocol: 'range' });
    expect(answer.leader).not.toBe('d');
    world.settle(a, b, 'd', ['c']);
    expect(world.describe().members.map(({ assignment: given }) => given[0]?.partitions.length)).toEqual([1, 1, 1, 1]);
    expect(under.ask(leaveOf({ memberId: 'd' }, { memberId: 'x' }, { memberId: 'c' }))).toMatchObject({
      members: [
        { memberId: 'd', fault: null },
        { memberId: 'x', fault: { code: 'UNKNOWN_MEMBER_ID' } },
        { memberId: 'c', fault: { code: 'UNKNOWN_MEMBER_ID' } },
      ],
    });
    world.settle(a, b, ['c']);
    expect(world.describe()).toMatchObject({ state: 'Stable', groupEpoch: 5 });
  });

  test('that do not join again in time are removed, though they beat', () => {
    const world = Migration.classic();
    world.joinNew('c');
    for (let passedMs = 0; passedMs < 36_000; passedMs += 4000) {
      world.under.ask(heartbeatOf({ memberId: world.a, generation: 2 }));
      world.heartbeat({ memberId: 'c', memberEpoch: 3 });
      world.under.advance(4000);
    }
    expect(world.describe().members.map(({ memberId }) => memberId)).toEqual(['c']);
  });

  test('that do not sync in time are removed, though they beat', () => {
    const world = Migration.mixed();
    joined(world.under.ask(joinOf({ memberId: world.a, protocols, rebalanceTimeoutMs: 6000 })));
    for (let passedMs = 0; passedMs < 8000; passedMs += 2000) {
      world.under.ask(heartbeatOf({ memberId: world.a, generation: 3 }));
      world.under.ask(heartbeatOf({ memberId: world.b, generation: 3 }));
      world.under.advance(2000);
    }
    expect(
      world
        .describe()
        .members.map(({ memberId }) => memberId)
        .sort(),
    ).toEqual([world.b, 'c'].sort());
  });
});

describe('a group of the new protocol', () => {
  test('is classic again when its last new member leaves, and its members rebalance', () => {
    const world = Migration.mixed();
    const { under, a, b } = world;
    under.tick();
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: 3 }));
    expect(world.heartbeat({ memberId: 'c', memberEpoch: -1 })).toMatchObject({ memberEpoch: -1 });
    under.tick();
    expect(stateOf(under)).toBe('PreparingRebalance');
    expect(faultOf(under.ask(heartbeatOf({ memberId: a, generation: 3 })))).toBe('REBALANCE_IN_PROGRESS');
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    const second = under.send(joinOf({ memberId: b, protocols }));
    const first = joined(under.ask(joinOf({ memberId: a, protocols })));
    expect(first.generation).toBe(4);
    expect([a, b]).toContain(first.leader);
    joined(under.answerTo(second));
    expect(committed(under)).toEqual({ 'orders-0': 7 });
  });

  test('is classic again when the session of its last new member ends, and after a fail-over too', () => {
    const world = Migration.mixed();
    const { under, a, b } = world;
    for (let passedMs = 0; passedMs < 48_000; passedMs += 4000) {
      for (const memberId of [a, b]) under.ask(heartbeatOf({ memberId, generation: 3 }));
      under.advance(4000);
    }
    expect(
      described(under)
        ?.members.map(({ memberId }) => memberId)
        .sort(),
    ).toEqual([a, b].sort());
    under.elect();
    expect(described(under)).toMatchObject({ state: 'PreparingRebalance', protocolType: 'consumer' });
    expect(described(under)?.members.map(({ assignment: bytes }) => jsonProtocol.decodeAssignment(bytes))).toEqual([
      { version: 1, assignedPartitions: [{ topic: 'orders', partitions: expect.any(Array) }], userData: null },
      { version: 1, assignedPartitions: [{ topic: 'orders', partitions: expect.any(Array) }], userData: null },
    ]);
    for (const memberId of [a, b])
      expect(faultOf(under.ask(heartbeatOf({ memberId, generation: 3 })))).toBe('REBALANCE_IN_PROGRESS');
  });

  test('moved back and forth in one rebalance gives nobody what another may still read', () => {
    const world = Migration.classic();
    const { under, a, b } = world;
    world.joinNew('c');
    world.heartbeat({ memberId: 'c', memberEpoch: -1 });
    expect(described(under)?.state).toBe('Stable');
    // Neither has joined again, so each of them still reads its two partitions.
    expect(world.joinNew('d').assignment).toEqual([]);
    expect([...world.partitionsOf(a), ...world.partitionsOf(b)].sort()).toEqual([0, 1, 2, 3]);
  });

  test('stays what it is where it may not go back, or where no classic member is left', () => {
    const world = Migration.mixed({ consumerMigrationPolicy: 'upgrade' });
    world.heartbeat({ memberId: 'c', memberEpoch: -1 });
    expect(world.describe().members).toHaveLength(2);
    world.settle(world.a, world.b);
    expect(world.describe().state).toBe('Stable');
    world.under.ask(leaveOf({ memberId: world.a }, { memberId: world.b }));
    expect(world.describe().state).toBe('Empty');
  });

  test('stays what it is where one batch does not take all of it, and lets its members go', () => {
    const world = Migration.mixed();
    world.under.maxBatchBytes = 1000;
    expect(world.heartbeat({ memberId: 'c', memberEpoch: -1 })).toMatchObject({ memberEpoch: -1 });
    expect(world.describe().members).toHaveLength(2);
    world.settle(world.a, world.b);
    expect(world.describe().state).toBe('Stable');
  });

  test('is classic again when a static member comes back with the classic protocol', () => {
    const world = new Migration();
    const { under } = world;
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    world.joinNew('c', { instanceId: 'i' });
    const { memberId, generation } = joined(under.ask(joinOf({ protocols, instanceId: 'i' })));
    expect(generation).toBe(1);
    under.tick();
    expect(described(under)?.members).toMatchObject([{ memberId, instanceId: 'i' }]);
    expect(stateOf(under)).toBe('PreparingRebalance');
  });

  test('is classic again with a successor that takes up nothing that another still reads', () => {
    const world = Migration.classic();
    const { under } = world;
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    world.joinNew('c', { instanceId: 'i' });
    const { memberId, generation } = joined(under.ask(joinOf({ protocols, instanceId: 'i' })));
    const synced = under.ask(syncOf({ memberId, instanceId: 'i', generation }));
    assert.ok('assignment' in synced, JSON.stringify(synced));
    // The two that were there before have joined no rebalance yet: all four partitions are theirs.
    expect(
      jsonProtocol.decodeAssignment(synced.assignment)?.assignedPartitions.flatMap((one) => one.partitions),
    ).toEqual([]);
  });

  test('takes a static member of the classic protocol over, with what it had', () => {
    const world = Migration.mixed();
    const { under } = world;
    const protocols = [{ name: 'range', metadata: subscription([]) }];
    const { memberId } = joined(under.ask(joinOf({ protocols, instanceId: 'i' })));
    world.settle(world.a, world.b, memberId, ['c']);
    const had = world.partitionsOf(memberId);
    world.joinNew('d', { instanceId: 'i' });
    expect(world.partitionsOf('d')).toEqual(had);
    expect(world.member('d').isClassic).toBe(false);
    expect(faultOf(under.ask(heartbeatOf({ memberId, instanceId: 'i', generation: 4 })))).toBe('FENCED_INSTANCE_ID');
  });
});
