import { describe, expect, test } from 'vitest';
import { GroupWorld, type Heartbeat, shown } from './group-world.ts';

/** A group whose members m1, m2, … have joined topic `t` one after the other and have all that is theirs. */
function settled(members: number, partitions = 6): GroupWorld {
  const world = new GroupWorld();
  world.topics.set('t', partitions);
  for (let number = 1; number <= members; number++) world.join(`m${number}`, ['t']);
  settle(world);
  return world;
}

/** All members beat until nobody is told anything any more, owning what they were told last. */
function settle(world: GroupWorld): void {
  for (let round = 0; round < 10; round++)
    for (const { memberId, memberEpoch, assignment } of world.describe().members)
      world.beat({ memberId, memberEpoch, topicPartitions: assignment });
}

const assigned = (world: GroupWorld): Record<string, readonly number[]> =>
  Object.fromEntries(
    world.describe().members.map(({ memberId, assignment }) => [memberId, assignment[0]?.partitions ?? []]),
  );

describe('joining', () => {
  test('the first member is given all partitions with its first answer', () => {
    const world = new GroupWorld();
    world.topics.set('a', 2);
    world.topics.set('b', 1);
    const answer = world.join('m1', ['a', 'b', 'missing']);
    expect(answer).toMatchObject({ memberId: 'm1', memberEpoch: 1, heartbeatIntervalMs: 5000 });
    expect(shown(world.topics, answer.assignment)).toEqual({ a: [0, 1], b: [0] });
    expect(world.describe()).toMatchObject({ state: 'Stable', groupEpoch: 1, assignmentEpoch: 1, assignor: 'uniform' });
  });

  test('a second member waits for what the first has to give up, and is given it then', () => {
    const world = settled(1, 4);
    const all = world.partitionsOf('m1');
    expect(world.join('m2', ['t'])).toMatchObject({ memberEpoch: 2, assignment: [] });
    expect(world.describe().state).toBe('Reconciling');

    const told = world.beat({ memberId: 'm1', memberEpoch: 1 });
    expect(told.memberEpoch).toBe(1);
    expect(shown(world.topics, told.assignment)).toEqual({ t: [0, 1] });
    expect(world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment).toBeNull();
    // It still has all of it: nothing is handed on.
    expect(world.beat({ memberId: 'm1', memberEpoch: 1, topicPartitions: all }).memberEpoch).toBe(1);
    expect(world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment).toBeNull();

    expect(world.beat({ memberId: 'm1', memberEpoch: 1, topicPartitions: told.assignment }).memberEpoch).toBe(2);
    expect(shown(world.topics, world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment)).toEqual({ t: [2, 3] });
    expect(world.describe().state).toBe('Stable');
  });

  test('an assignment is told on joining, on a full request and when it has changed, and else not', () => {
    const world = settled(1);
    const assignment = world.partitionsOf('m1');
    expect(world.beat({ memberEpoch: 1 }).assignment).toBeNull();
    expect(world.beat({ memberEpoch: 1, topicPartitions: assignment }).assignment).toBeNull();
    const full = {
      memberEpoch: 1,
      rebalanceTimeoutMs: 30_000,
      subscribedTopicNames: ['t'],
      topicPartitions: assignment,
    };
    expect(world.beat(full).assignment).toEqual(assignment);
  });

  test('a heartbeat that changes nothing writes nothing', () => {
    const world = settled(3);
    const { length } = world.log;
    settle(world);
    expect(world.log).toHaveLength(length);
  });

  test('below version 1 the coordinator makes the member id', () => {
    const world = new GroupWorld();
    world.topics.set('t', 1);
    expect(world.join('', ['t'], { makesOwnMemberId: false }).memberId).toBe('uuid-1');
  });

  test('surplus members are members without partitions', () => {
    const world = settled(7);
    expect(
      Object.values(assigned(world))
        .map((partitions) => partitions.length)
        .sort(),
    ).toEqual([0, 1, 1, 1, 1, 1, 1]);
    expect(world.describe().state).toBe('Stable');
  });

  test('who asks for another assignor changes it for all, once most ask for it', () => {
    const world = settled(2);
    world.beat({ memberId: 'm1', memberEpoch: 2, serverAssignor: 'range' });
    expect(world.describe().assignor).toBe('range');
  });
});

describe('a heartbeat is refused', () => {
  const joining = { memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedTopicNames: ['t'], topicPartitions: [] };
  const manyNames = Array.from({ length: 10_001 }, (_, at) => `t${at}`);
  // Why | the heartbeat, to a group of one settled member m1 at epoch 1 | code
  const cases: readonly (readonly [string, Heartbeat, string])[] = [
    ['without a group id', { ...joining, groupId: '' }, 'INVALID_REQUEST'],
    ['without a member id', { ...joining, memberId: '' }, 'INVALID_REQUEST'],
    ['with an empty instance id', { ...joining, instanceId: '' }, 'INVALID_REQUEST'],
    ['with an empty rack id', { ...joining, rackId: '' }, 'INVALID_REQUEST'],
    ['that joins without rebalance timeout', { ...joining, rebalanceTimeoutMs: -1 }, 'INVALID_REQUEST'],
    ['that joins without saying what it owns', { ...joining, topicPartitions: null }, 'INVALID_REQUEST'],
    ['that joins without a subscription', { ...joining, subscribedTopicNames: null }, 'INVALID_REQUEST'],
    ['of an epoch that there is not', { memberEpoch: -3 }, 'INVALID_REQUEST'],
    ['that leaves for a while without instance id', { memberEpoch: -2 }, 'INVALID_REQUEST'],
    ['that asks for an unknown assignor', { ...joining, serverAssignor: 'magic' }, 'UNSUPPORTED_ASSIGNOR'],
    ['that names too many topics', { ...joining, subscribedTopicNames: manyNames }, 'INVALID_REQUEST'],
    [
      'that says more than a record has',
      { ...joining, subscribedTopicNames: ['x'.repeat(1_000_001)] },
      'INVALID_REQUEST',
    ],
    ['with a member id of any length', { ...joining, memberId: 'x'.repeat(1_000_001) }, 'INVALID_REQUEST'],
    ['with a pattern that is none', { ...joining, subscribedTopicRegex: '(' }, 'INVALID_REGULAR_EXPRESSION'],
    ['of a member that is not there', { memberId: 'm9', memberEpoch: 1 }, 'UNKNOWN_MEMBER_ID'],
    ['of a member that is not there and leaves', { memberId: 'm9', memberEpoch: -1 }, 'UNKNOWN_MEMBER_ID'],
    ['of an instance that is not there', { instanceId: 'i9', memberEpoch: 1 }, 'UNKNOWN_MEMBER_ID'],
    ['of an instance that is not there and leaves', { instanceId: 'i9', memberEpoch: -2 }, 'UNKNOWN_MEMBER_ID'],
    ['of a newer epoch', { memberEpoch: 2 }, 'FENCED_MEMBER_EPOCH'],
  ];
  for (const [why, heartbeat, code] of cases)
    test(`${why} (${code}), and changes nothing`, () => {
      const world = settled(1);
      const before = world.describe();
      expect(world.refusal(heartbeat)).toBe(code);
      expect(world.describe()).toEqual(before);
    });

  test('that does not join a group that is not there', () => {
    expect(new GroupWorld().refusal({ memberEpoch: 1 })).toBe('GROUP_ID_NOT_FOUND');
    expect(new GroupWorld().refusal({ memberEpoch: -1 })).toBe('GROUP_ID_NOT_FOUND');
  });

  test('that joins a group that is full', () => {
    const world = new GroupWorld({ consumerMaxSize: 1 });
    world.topics.set('t', 1);
    world.join('m1', ['t']);
    expect(world.refusal({ ...joining, memberId: 'm2' })).toBe('GROUP_MAX_SIZE_REACHED');
    expect(world.refusal(joining)).toBeNull();
  });

  test('of the previous epoch, unless it owns only what it was given: then the answer to it was lost', () => {
    const world = settled(2, 4);
    const assignment = world.partitionsOf('m1');
    const more = [{ topicId: world.topics.idOf('t'), partitions: [0, 1, 2, 3] }];
    expect(world.refusal({ memberId: 'm1', memberEpoch: 1, topicPartitions: more })).toBe('FENCED_MEMBER_EPOCH');
    expect(world.refusal({ memberId: 'm1', memberEpoch: 1 })).toBe('FENCED_MEMBER_EPOCH');
    expect(world.beat({ memberId: 'm1', memberEpoch: 1, topicPartitions: assignment }).memberEpoch).toBe(2);
    expect(world.beat({ memberId: 'm1', ...joining }).assignment).toEqual(assignment);
  });
});

describe('leaving', () => {
  test('a member that leaves gives up all at once', () => {
    const world = settled(2, 4);
    expect(world.beat({ memberId: 'm1', memberEpoch: -1 })).toMatchObject({ memberId: 'm1', memberEpoch: -1 });
    expect(world.describe().state).toBe('Assigning');
    expect(shown(world.topics, world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment)).toEqual({ t: [0, 1, 2, 3] });
    expect(world.beat({ memberId: 'm2', memberEpoch: -1 }).memberEpoch).toBe(-1);
    expect(world.group.isEmpty()).toBe(true);
    expect(world.describe().state).toBe('Empty');
  });

  test('a member that is silent keeps its partitions until its session is over', () => {
    const world = settled(2, 4);
    world.pass(44_000);
    world.beat({ memberId: 'm2', memberEpoch: 2 });
    expect(assigned(world)).toEqual({ m1: [0, 1], m2: [2, 3] });
    world.pass(2000);
    expect(shown(world.topics, world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment)).toEqual({ t: [0, 1, 2, 3] });
    expect(world.refusal({ memberId: 'm1', memberEpoch: 2 })).toBe('UNKNOWN_MEMBER_ID');
  });

  test('members whose sessions are over go together, as many as fit into a batch', () => {
    const world = new GroupWorld();
    for (let at = 10; at < 40; at++) world.join(`${at}${'x'.repeat(10_000)}`, ['orders']);
    const joined = world.log.length;
    world.pass(46_000);
    expect(world.describe().members).toEqual([]);
    // Each step ends with the group's epoch.
    const batches: number[] = [0];
    for (const record of world.log.slice(joined)) {
      batches[batches.length - 1] = (batches.at(-1) ?? 0) + ('memberId' in record ? record.memberId.length : 0);
      if (record.kind === 'consumerGroupMetadata') batches.push(0);
    }
    expect(batches.length).toBeLessThan(30);
    expect(Math.max(...batches)).toBeLessThan(300_000);
  });

  test('the session is that of the group where it has one of its own', () => {
    const world = settled(1);
    const modRevision = world.topics.image.revision;
    const record = { 'consumer.session.timeout.ms': '60000', 'consumer.heartbeat.interval.ms': '9000' };
    world.topics.image.configs.set('group/group', { record, modRevision });
    expect(world.beat({ memberEpoch: 1 }).heartbeatIntervalMs).toBe(9000);
    world.pass(59_000);
    expect(world.group.isEmpty()).toBe(false);
    world.pass(2000);
    expect(world.group.isEmpty()).toBe(true);
  });

  test('a member that does not give up in time is removed, though it beats', () => {
    const world = settled(1, 4);
    const all = world.partitionsOf('m1');
    world.join('m2', ['t'], { rebalanceTimeoutMs: 20_000 });
    for (let passedMs = 0; passedMs < 29_000; passedMs += 1000) {
      expect(world.refusal({ memberId: 'm1', memberEpoch: 1, topicPartitions: all })).toBeNull();
      expect(world.refusal({ memberId: 'm2', memberEpoch: 2 })).toBeNull();
      world.pass(1000);
    }
    world.pass(2000);
    expect(world.refusal({ memberId: 'm1', memberEpoch: 1, topicPartitions: all })).toBe('UNKNOWN_MEMBER_ID');
    expect(shown(world.topics, world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment)).toEqual({ t: [0, 1, 2, 3] });
  });

  test('a member whose end cannot be written is removed once it can', () => {
    const world = settled(1);
    world.isRefusing = true;
    world.pass(60_000);
    expect(world.group.isEmpty()).toBe(false);
    world.isRefusing = false;
    world.pass(1000);
    expect(world.group.isEmpty()).toBe(true);
  });

  test('a loaded member has a whole session, and what it had', () => {
    const world = settled(2, 4);
    const before = world.describe();
    world.pass(30_000);
    world.failOver();
    expect(world.describe()).toEqual(before);
    world.pass(44_000);
    expect(world.describe()).toEqual(before);
    expect(world.beat({ memberId: 'm1', memberEpoch: 2 }).assignment).toBeNull();
    world.pass(2000);
    expect(world.describe().members).toHaveLength(1);
  });
});

describe('a static member', () => {
  const statics = { instanceId: 'i1' };

  test('that leaves for a while comes back under another id to what it had, without a rebalance', () => {
    const world = new GroupWorld();
    world.topics.set('t', 4);
    world.join('m1', ['t'], statics);
    world.join('m2', ['t']);
    settle(world);
    const had = world.partitionsOf('m1');
    const { groupEpoch } = world.describe();
    expect(world.beat({ memberId: 'm1', memberEpoch: -2, ...statics }).memberEpoch).toBe(-2);
    world.pass(20_000);
    expect(world.beat({ memberId: 'm2', memberEpoch: 2 }).assignment).toBeNull();
    expect(world.join('m3', ['t'], statics)).toMatchObject({ memberEpoch: 2, assignment: had });
    expect(world.describe()).toMatchObject({ state: 'Stable', groupEpoch });
    expect(world.refusal({ memberId: 'm1', memberEpoch: 2, ...statics })).toBe('FENCED_INSTANCE_ID');
    expect(world.refusal({ memberId: 'm1', memberEpoch: -1, ...statics })).toBe('FENCED_INSTANCE_ID');
  });

  test('that does not come back in time has left', () => {
    const world = new GroupWorld();
    world.topics.set('t', 4);
    world.join('m1', ['t'], statics);
    world.beat({ memberId: 'm1', memberEpoch: -2, ...statics });
    world.pass(46_000);
    expect(world.group.isEmpty()).toBe(true);
  });

  test('is not pushed out by another of the same instance id (UNRELEASED_INSTANCE_ID), and may itself join again', () => {
    const world = new GroupWorld();
    world.topics.set('t', 4);
    const { assignment } = world.join('m1', ['t'], statics);
    const joining = { memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedTopicNames: ['t'], topicPartitions: [] };
    expect(world.refusal({ ...joining, memberId: 'm2', ...statics })).toBe('UNRELEASED_INSTANCE_ID');
    expect(world.join('m1', ['t'], statics)).toMatchObject({ memberEpoch: 1, assignment });
  });

  test('that leaves for good leaves its place to others', () => {
    const world = new GroupWorld();
    world.topics.set('t', 4);
    world.join('m1', ['t'], statics);
    world.beat({ memberId: 'm1', memberEpoch: -1, ...statics });
    expect(world.group.isEmpty()).toBe(true);
    expect(shown(world.topics, world.join('m2', ['t'], statics).assignment)).toEqual({ t: [0, 1, 2, 3] });
  });
});

describe('topics', () => {
  test('that grow, come or go change the assignment with the next heartbeat', () => {
    const world = new GroupWorld();
    world.topics.set('t', 2);
    world.join('m1', ['t', 'later']);
    const told = (epoch: number): unknown =>
      shown(
        world.topics,
        world.beat({ memberEpoch: epoch, topicPartitions: world.describedMember('m1').assignment }).assignment,
      );
    world.changeTopics(() => world.topics.set('t', 3), ['t']);
    expect(told(1)).toEqual({ t: [0, 1, 2] });
    world.changeTopics(() => world.topics.set('later', 1), ['later']);
    expect(told(2)).toEqual({ t: [0, 1, 2], later: [0] });
    world.changeTopics(() => world.topics.set('unrelated', 1), ['unrelated']);
    expect(told(3)).toBeNull();
    world.changeTopics(() => world.topics.delete('later'), [], ['later']);
    expect(told(3)).toEqual({ t: [0, 1, 2] });
    expect(world.describe()).toMatchObject({ state: 'Stable', groupEpoch: 4 });
  });

  test('that changed while nobody coordinated are seen by the next coordinator', () => {
    const world = settled(1, 2);
    world.topics.set('t', 3);
    world.failOver();
    expect(shown(world.topics, world.beat({ memberEpoch: 1 }).assignment)).toEqual({ t: [0, 1, 2] });
  });

  test('whose change could not be written are seen again', () => {
    const world = settled(1, 2);
    world.isRefusing = true;
    world.changeTopics(() => world.topics.set('t', 3), ['t']);
    expect(world.refusal({ memberEpoch: 1 })).toBe('NOT_COORDINATOR');
    world.isRefusing = false;
    expect(shown(world.topics, world.beat({ memberEpoch: 1 }).assignment)).toEqual({ t: [0, 1, 2] });
  });
});

describe('offsets', () => {
  const commit = (memberId: string, generationOrMemberEpoch: number, knowsConsumerGroups = true) =>
    ({
      kind: 'offsetCommit',
      groupId: 'group',
      memberId,
      generationOrMemberEpoch,
      instanceId: null,
      retentionTimeMs: null,
      knowsConsumerGroups,
      topics: [],
    }) as const;
  const fetch = (memberId: string | null, memberEpoch: number) =>
    ({ kind: 'offsetFetch', groupId: 'group', memberId, memberEpoch, topics: null, requireStable: false }) as const;

  test('are committed and fetched by members at their epoch, and by others only while there are none', () => {
    const world = settled(2, 4);
    expect(world.group.checkOffsetCommit(commit('m1', 2))).toBeNull();
    expect(world.group.checkOffsetCommit(commit('m1', 1))).toEqual({ code: 'STALE_MEMBER_EPOCH' });
    expect(world.group.checkOffsetCommit(commit('m1', 2, false))).toMatchObject({ code: 'UNSUPPORTED_VERSION' });
    expect(world.group.checkOffsetCommit(commit('', -1))).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' });
    expect(world.group.checkOffsetFetch(fetch(null, -1))).toBeNull();
    expect(world.group.checkOffsetFetch(fetch('m1', 2))).toBeNull();
    expect(world.group.checkOffsetFetch(fetch('m1', 3))).toEqual({ code: 'STALE_MEMBER_EPOCH' });
    expect(world.group.checkOffsetFetch(fetch('m9', 2))).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' });
    for (const memberId of ['m1', 'm2']) world.beat({ memberId, memberEpoch: -1 });
    expect(world.group.checkOffsetCommit(commit('', -1, false))).toBeNull();
  });

  test('belong to what members subscribe to, by name and by pattern', () => {
    const world = settled(1);
    world.topics.set('orders-1', 1);
    world.join('m2', [], { subscribedTopicRegex: 'orders-.*' });
    expect(world.group.isSubscribedTo('t')).toBe(true);
    expect(world.group.isSubscribedTo('orders-1')).toBe(true);
    expect(world.group.isSubscribedTo('orders')).toBe(false);
  });
});

test('a deleted group leaves nothing behind', () => {
  const world = settled(1);
  world.topics.set('orders-1', 1);
  world.join('m2', [], { subscribedTopicRegex: 'orders-.*' });
  for (const record of world.group.tombstones())
    if (record.kind !== 'offsetCommit' && record.kind !== 'classicGroup') world.group.replay(record);
  expect(world.group.isNothing).toBe(true);
  expect(world.describe()).toEqual(new GroupWorld().describe());
});
