import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import type { ConsumerGroupHeartbeatRequest, GroupRequest } from '../../../src/coordinator/group-requests.ts';
import { leaderEpoch, offset } from '../../../src/model/brands.ts';
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
  leaveOf,
  ordersId,
  stateOf,
  syncOf,
  twoStable,
} from './coordinator-fixture.ts';

const consumerHeartbeatOf = (changes: Partial<ConsumerGroupHeartbeatRequest> = {}): ConsumerGroupHeartbeatRequest => ({
  kind: 'consumerGroupHeartbeat',
  groupId: group,
  memberId: 'm',
  memberEpoch: 0,
  instanceId: null,
  rackId: null,
  rebalanceTimeoutMs: 30_000,
  subscribedTopicNames: ['orders'],
  subscribedTopicRegex: null,
  serverAssignor: null,
  topicPartitions: [],
  makesOwnMemberId: true,
  clientId: 'app',
  clientHost: '/10.0.0.1',
  ...changes,
});
const describeConsumer: GroupRequest = { kind: 'consumerGroupDescribe', groupId: group };
const fetchAll = {
  kind: 'offsetFetch',
  groupId: group,
  memberId: null,
  memberEpoch: -1,
  topics: null,
  requireStable: false,
} as const;

describe('whether this is the coordinator still is asked', () => {
  const deleteOne = (partition: number): GroupRequest => ({
    kind: 'offsetDelete',
    groupId: group,
    topics: [{ topic: 'orders', partitions: [partition] }],
  });
  // request, where one offset is committed | whether it is asked
  const cases = [
    ['for an OffsetFetch', fetchAll, true],
    ['for an OffsetFetch of a group that is not there', { ...fetchAll, groupId: 'none' }, true],
    ['for an OffsetDelete that finds nothing to delete', deleteOne(7), true],
    ['for a DeleteGroups that finds no group', { kind: 'deleteGroup', groupId: 'none' }, true],
    ['for what is proved by its own commit', deleteOne(0), false],
    ['for a deletion that is', { kind: 'deleteGroup', groupId: group }, false],
    ['for a commit', commitOf(), false],
    ['for a refused commit', commitOf({ memberId: 'm', generationOrMemberEpoch: 3 }), false],
    ['for a heartbeat', heartbeatOf({ memberId: 'm' }), false],
    ['for a description', { kind: 'describeGroup', groupId: group }, false],
    ['for a description of the new protocol', describeConsumer, false],
    ['for a list', { kind: 'listGroups', states: new Set<string>(), types: new Set<string>() }, false],
  ] as const;
  for (const [title, request, isAsked] of cases)
    test(`${title}: ${isAsked ? 'yes' : 'no'}`, () => {
      const under = new CoordinatorUnderTest();
      under.ask(commitOf());
      under.ask(request);
      assert.equal(under.questions, isAsked ? 1 : 0);
    });
});

describe('a group that is not there', () => {
  // request | the fault; null: answered
  const cases = [
    ['a first join', joinOf(), null],
    ['a join of a member', joinOf({ memberId: 'm' }), 'UNKNOWN_MEMBER_ID'],
    ['a sync', syncOf({ memberId: 'm' }), 'UNKNOWN_MEMBER_ID'],
    ['a heartbeat', heartbeatOf({ memberId: 'm' }), 'UNKNOWN_MEMBER_ID'],
    ['a commit without a member', commitOf(), null],
    [
      'a commit of a member, by an old client',
      commitOf({ memberId: 'm', generationOrMemberEpoch: 3 }),
      'ILLEGAL_GENERATION',
    ],
    [
      'a commit of a member',
      commitOf({ memberId: 'm', generationOrMemberEpoch: 3, knowsConsumerGroups: true }),
      'GROUP_ID_NOT_FOUND',
    ],
    ['a fetch of offsets', fetchAll, null],
    ['a description', { kind: 'describeGroup', groupId: group }, 'GROUP_ID_NOT_FOUND'],
    ['a description as one of the new protocol', describeConsumer, 'GROUP_ID_NOT_FOUND'],
    ['its deletion', { kind: 'deleteGroup', groupId: group }, 'GROUP_ID_NOT_FOUND'],
    ['the first heartbeat of a member of the new protocol', consumerHeartbeatOf(), null],
    ['a later heartbeat of such a member', consumerHeartbeatOf({ memberEpoch: 3 }), 'GROUP_ID_NOT_FOUND'],
  ] as const satisfies readonly (readonly [string, GroupRequest, string | null])[];
  for (const [title, request, expected] of cases)
    test(`${title}: ${expected ?? 'is answered'}`, () => {
      const under = new CoordinatorUnderTest();
      assert.equal(faultOf(under.ask(request)), expected);
      if (expected !== null) assert.deepEqual([under.log, stateOf(under)], [[], 'Dead']);
    });

  test('every member that leaves it is unknown', () => {
    const answer = new CoordinatorUnderTest().ask(leaveOf({ memberId: 'm' }, { instanceId: 'i' }));
    assert.ok('members' in answer);
    assert.deepEqual(
      answer.members.map(({ memberId, instanceId, fault }) => [memberId, instanceId, fault?.code]),
      [
        ['m', null, 'UNKNOWN_MEMBER_ID'],
        ['', 'i', 'UNKNOWN_MEMBER_ID'],
      ],
    );
  });

  test('has no committed offset of what is asked for', () => {
    const answer = new CoordinatorUnderTest().ask({ ...fetchAll, topics: [{ topic: 'orders', partitions: [2] }] });
    assert.ok('topics' in answer);
    assert.deepEqual(answer.topics, [
      { topic: 'orders', partitions: [{ partition: 2, offset: -1, leaderEpoch: -1, metadata: '', fault: null }] },
    ]);
  });

  for (const request of [
    joinOf(),
    syncOf(),
    heartbeatOf(),
    leaveOf({ memberId: 'm' }),
    { kind: 'consumerGroupDescribe', groupId: '' } as const,
  ])
    test(`and cannot be, without an id: ${request.kind}`, () => {
      const answer = new CoordinatorUnderTest().ask({ ...request, groupId: '' });
      assert.equal(faultOf(answer), 'INVALID_GROUP_ID');
    });
});

describe('a session timeout', () => {
  const cases = [
    [5999, 'INVALID_SESSION_TIMEOUT'],
    [6000, null],
    [1_800_000, null],
    [1_800_001, 'INVALID_SESSION_TIMEOUT'],
  ] as const;
  for (const [sessionTimeoutMs, expected] of cases)
    test(`of ${sessionTimeoutMs} ms: ${expected ?? 'is taken'}`, () => {
      assert.equal(faultOf(new CoordinatorUnderTest().ask(joinOf({ sessionTimeoutMs }))), expected);
    });
});

describe('groups are listed', () => {
  test('with state, type and protocol type; by any of the states and types that are asked for', () => {
    const under = new CoordinatorUnderTest();
    twoStable(under);
    under.ask(commitOf({ groupId: 'simple' }));
    under.ask(consumerHeartbeatOf({ groupId: 'new' }));
    const list = (states: string[], types: string[]): unknown => {
      const answer = under.ask({ kind: 'listGroups', states: new Set(states), types: new Set(types) });
      assert.ok('groups' in answer);
      return answer.groups.map((one) => `${one.groupId}: ${one.state} ${one.type} ${one.protocolType}`);
    };
    const all = ['payments: Stable classic consumer', 'simple: Empty classic ', 'new: Stable consumer consumer'];
    assert.deepEqual(list([], []), all);
    assert.deepEqual(list(['stable'], []), [all[0], all[2]]);
    assert.deepEqual(list(['empty', 'stable'], ['classic']), all.slice(0, 2));
    assert.deepEqual(list(['empty'], ['consumer']), []);
    assert.deepEqual(list([], ['share']), []);
  });

  test('when all that the list tells is committed', () => {
    const under = new CoordinatorUnderTest();
    under.isCommitting = false;
    under.send(commitOf());
    const listing = under.send({ kind: 'listGroups', states: new Set(), types: new Set() });
    assert.equal(under.answerTo(listing), null);
    under.commitAll();
    assert.notEqual(under.answerTo(listing), null);
  });
});

test('a process that stood still takes nobody for dead before it has read what they sent', () => {
  const under = new CoordinatorUnderTest();
  const { a, generation } = twoStable(under);
  under.stall(600_000);
  under.tick();
  assert.equal(stateOf(under), 'Stable');
  assert.equal(faultOf(under.ask(heartbeatOf({ memberId: a, generation }))), null);
  // Whoever does not send anything then has what was left of its session, and no more.
  under.advance(60_000);
  assert.notEqual(stateOf(under), 'Stable');
});

describe('a group is deleted', () => {
  test('in batches that the log takes, where it has very many offsets', () => {
    const under = new CoordinatorUnderTest();
    const partitions = Array.from({ length: 2500 }, (_, partition) => ({
      partition,
      offset: offset(1),
      leaderEpoch: leaderEpoch(0),
      metadata: '',
    }));
    under.ask(commitOf({ topics: [{ topic: 'orders', topicId: ordersId, partitions }] }));
    under.batches = [];
    assert.equal(faultOf(under.ask({ kind: 'deleteGroup', groupId: group })), null);
    assert.deepEqual(under.batches, [1000, 1000, 500]);
    assert.deepEqual([stateOf(under), committed(under)], ['Dead', {}]);
    under.elect();
    assert.equal(stateOf(under), 'Dead');
  });

  test('with its offsets, in one batch', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoStable(under);
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: generation }));
    assert.equal(faultOf(under.ask({ kind: 'deleteGroup', groupId: group })), 'NON_EMPTY_GROUP');
    under.ask(leaveOf({ memberId: a }, { memberId: b }));
    assert.equal(faultOf(under.ask({ kind: 'deleteGroup', groupId: group })), null);
    assert.equal(under.batches.at(-1), 2);
    assert.equal(stateOf(under), 'Dead');
    assert.deepEqual(committed(under), {});
    under.elect();
    assert.equal(stateOf(under), 'Dead');
  });

  test('also of the new protocol, when it is empty', () => {
    const under = new CoordinatorUnderTest();
    under.ask(consumerHeartbeatOf());
    assert.equal(faultOf(under.ask({ kind: 'deleteGroup', groupId: group })), 'NON_EMPTY_GROUP');
    under.ask(consumerHeartbeatOf({ memberEpoch: -1 }));
    assert.equal(faultOf(under.ask({ kind: 'deleteGroup', groupId: group })), null);
    assert.equal(faultOf(under.ask(describeConsumer)), 'GROUP_ID_NOT_FOUND');
    under.elect();
    assert.equal(faultOf(under.ask(describeConsumer)), 'GROUP_ID_NOT_FOUND');
  });

  test('is there again at once for whoever joins', () => {
    const under = new CoordinatorUnderTest();
    under.ask(commitOf());
    under.ask({ kind: 'deleteGroup', groupId: group });
    assert.equal(joined(under.ask(joinOf())).generation, 1);
  });
});

describe('an empty group makes way for one of the other protocol, and its offsets stay', () => {
  const emptyClassic = (under: CoordinatorUnderTest): void => {
    const { a, b, generation } = twoStable(under);
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: generation }));
    under.ask(leaveOf({ memberId: a }, { memberId: b }));
  };
  const emptyConsumer = (under: CoordinatorUnderTest): void => {
    under.ask(consumerHeartbeatOf());
    under.ask(commitOf({ memberId: 'm', generationOrMemberEpoch: 1, knowsConsumerGroups: true }));
    under.ask(consumerHeartbeatOf({ memberEpoch: -1 }));
  };

  const classics = [
    ['a classic group', emptyClassic],
    ['a group that commits have made', (under) => void under.ask(commitOf())],
  ] as const satisfies readonly (readonly [string, (under: CoordinatorUnderTest) => void])[];
  for (const [title, make] of classics)
    test(`${title} for one of the new protocol`, () => {
      const under = new CoordinatorUnderTest();
      make(under);
      for (let round = 0; round < 2; round++) {
        if (round === 0) assert.equal(faultOf(under.ask(consumerHeartbeatOf())), null);
        else under.elect();
        assert.equal(faultOf(under.ask(describeConsumer)), null);
        assert.equal(stateOf(under), 'Dead');
        assert.deepEqual(committed(under), { 'orders-0': 7 });
      }
    });

  test('a group of the new protocol for a classic one', () => {
    const under = new CoordinatorUnderTest();
    emptyConsumer(under);
    const { memberId, generation } = joined(under.ask(joinOf()));
    under.ask(syncOf({ memberId, generation }));
    for (let round = 0; round < 2; round++) {
      if (round === 1) under.elect();
      assert.deepEqual(
        described(under)?.members.map((member) => member.memberId),
        [memberId],
      );
      assert.equal(faultOf(under.ask(describeConsumer)), 'GROUP_ID_NOT_FOUND');
      assert.deepEqual(committed(under), { 'orders-0': 7 });
    }
  });

  test('a group of the new protocol for one that has to come again with an id', () => {
    const under = new CoordinatorUnderTest();
    emptyConsumer(under);
    const answer = under.ask(joinOf({ knowsMemberIdRequired: true }));
    assert.ok('fault' in answer && answer.fault.code === 'MEMBER_ID_REQUIRED');
    const { memberId } = answer.fault;
    assert.equal(joined(under.ask(joinOf({ memberId }))).memberId, memberId);
  });

  test('not where the log refuses: whoever waits to join is told to come again', () => {
    const under = new CoordinatorUnderTest({ initialRebalanceDelayMs: 3000 });
    emptyConsumer(under);
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    const joining = under.send(joinOf());
    under.tick();
    assert.equal(faultOf(under.answerTo(joining)), 'REBALANCE_IN_PROGRESS');
    assert.equal(faultOf(under.ask(describeConsumer)), null);
    under.refusal = null;
    const again = join(under);
    under.advance(3000);
    assert.equal(again.answer()?.generation, 1);
  });

  test('not for a join that would not be let in', () => {
    const under = new CoordinatorUnderTest();
    emptyConsumer(under);
    const appended = under.log.length;
    assert.equal(faultOf(under.ask(joinOf({ protocols: [] }))), 'INCONSISTENT_GROUP_PROTOCOL');
    assert.equal(faultOf(under.ask(joinOf({ memberId: 'somebody' }))), 'UNKNOWN_MEMBER_ID');
    assert.equal(under.log.length, appended);
    assert.equal(faultOf(under.ask(describeConsumer)), null);
  });
});

test('deadlines of one group do not pass while what an earlier one wrote is not replayed', () => {
  const under = new CoordinatorUnderTest();
  twoStable(under, { rebalanceTimeoutMs: 6000 });
  const pass = (ms: number): void => {
    under.now = { ...under.now, monotonicMs: under.now.monotonicMs + ms };
    under.tick();
  };
  pass(50);
  under.ask(joinOf({ knowsMemberIdRequired: true, sessionTimeoutMs: 16_000 }));
  pass(9950);
  assert.equal(stateOf(under), 'PreparingRebalance');
  // In one tick the time to join ends, which leaves an empty group, and then that of the one who is to come again.
  pass(6100);
  pass(100);
  assert.equal(stateOf(under), 'Empty');
  assert.equal(under.log.filter(({ kind }) => kind === 'classicGroup').length, 2);
});
