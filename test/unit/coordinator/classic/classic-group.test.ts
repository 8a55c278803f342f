import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import type { GroupRequest } from '../../../../src/coordinator/group-requests.ts';
import {
  assignmentOf,
  CoordinatorUnderTest,
  commitOf,
  described,
  faultOf,
  group,
  heartbeatOf,
  join,
  joined,
  joinOf,
  leaveOf,
  type StableGroup,
  stateOf,
  subscriptionTo,
  syncBoth,
  syncOf,
  twoJoined,
  twoStable,
} from '../coordinator-fixture.ts';

const otherProtocols = [{ name: 'range', metadata: subscriptionTo('orders', 'refunds') }];

/** A group of two members in each state; in PreparingRebalance a third one has come, and the two have not joined again. */
const states = {
  Empty(under: CoordinatorUnderTest): StableGroup {
    const both = twoStable(under);
    under.ask(leaveOf({ memberId: both.a }, { memberId: both.b }));
    return both;
  },
  PreparingRebalance(under: CoordinatorUnderTest): StableGroup {
    const both = twoStable(under);
    join(under);
    return both;
  },
  CompletingRebalance: (under: CoordinatorUnderTest): StableGroup => twoJoined(under),
  Stable: (under: CoordinatorUnderTest): StableGroup => twoStable(under),
} as const;
type StateName = keyof typeof states;

describe('in each state', () => {
  const from =
    (member: 'a' | 'b', make: (of: { memberId: string; generation: number }) => GroupRequest) =>
    (both: StableGroup): GroupRequest =>
      make({ memberId: both[member], generation: both.generation });
  const commit = ({ memberId, generation }: { memberId: string; generation: number }): GroupRequest =>
    commitOf({ memberId, generationOrMemberEpoch: generation });
  const requests = {
    heartbeat: from('b', heartbeatOf),
    'heartbeat of another generation': from('b', ({ memberId }) => heartbeatOf({ memberId, generation: 9 })),
    'heartbeat of nobody': () => heartbeatOf({ memberId: 'nobody', generation: 2 }),
    'follower syncs': from('b', syncOf),
    'leader syncs': from('a', syncOf),
    'sync of another generation': from('b', ({ memberId }) => syncOf({ memberId, generation: 9 })),
    'sync for another protocol': from('b', (of) => syncOf({ ...of, protocol: 'sticky' })),
    'sync for another protocol type': from('b', (of) => syncOf({ ...of, protocolType: 'connect' })),
    'follower joins again': from('b', ({ memberId }) => joinOf({ memberId })),
    'leader joins again': from('a', ({ memberId }) => joinOf({ memberId })),
    'follower wants something else': from('b', ({ memberId }) => joinOf({ memberId, protocols: otherProtocols })),
    'somebody new joins': () => joinOf(),
    'somebody new comes for an id': () => joinOf({ knowsMemberIdRequired: true }),
    'nobody joins again': () => joinOf({ memberId: 'nobody' }),
    'joins without a protocol': () => joinOf({ protocols: [] }),
    'joins with another protocol': () => joinOf({ protocols: [{ name: 'sticky', metadata: Buffer.alloc(0) }] }),
    'joins with another protocol type': () => joinOf({ protocolType: 'connect' }),
    'member commits': from('b', commit),
    'commit of another generation': from('b', ({ memberId }) => commit({ memberId, generation: 9 })),
    'commit without a member': () => commitOf(),
    'commit of nobody': () => commit({ memberId: 'nobody', generation: 2 }),
    'offsets are deleted': () => ({
      kind: 'offsetDelete',
      groupId: group,
      topics: [{ topic: 'refunds', partitions: [0] }],
    }),
    'the group is deleted': () => ({ kind: 'deleteGroup', groupId: group }),
  } as const satisfies Record<string, (both: StableGroup) => GroupRequest>;

  // request | Empty | PreparingRebalance | CompletingRebalance | Stable: the fault, or null; "waits", or another state
  // that the group is in afterwards
  const table = [
    ['heartbeat', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', null, null],
    [
      'heartbeat of another generation',
      'UNKNOWN_MEMBER_ID',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
    ],
    ['heartbeat of nobody', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'],
    ['follower syncs', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', 'waits', null],
    ['leader syncs', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', 'Stable', null],
    [
      'sync of another generation',
      'UNKNOWN_MEMBER_ID',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
    ],
    [
      'sync for another protocol',
      'UNKNOWN_MEMBER_ID',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    [
      'sync for another protocol type',
      'UNKNOWN_MEMBER_ID',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    ['follower joins again', 'UNKNOWN_MEMBER_ID', 'waits', null, null],
    ['leader joins again', 'UNKNOWN_MEMBER_ID', 'waits', null, 'waits in PreparingRebalance'],
    [
      'follower wants something else',
      'UNKNOWN_MEMBER_ID',
      'waits',
      'waits in PreparingRebalance',
      'waits in PreparingRebalance',
    ],
    [
      'somebody new joins',
      'CompletingRebalance',
      'waits',
      'waits in PreparingRebalance',
      'waits in PreparingRebalance',
    ],
    [
      'somebody new comes for an id',
      'MEMBER_ID_REQUIRED',
      'MEMBER_ID_REQUIRED',
      'MEMBER_ID_REQUIRED',
      'MEMBER_ID_REQUIRED',
    ],
    ['nobody joins again', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'],
    [
      'joins without a protocol',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    [
      'joins with another protocol',
      'CompletingRebalance',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    [
      'joins with another protocol type',
      'CompletingRebalance',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
    // Of the generation that is about to end: what was read in it is worth keeping.
    ['member commits', 'UNKNOWN_MEMBER_ID', null, 'REBALANCE_IN_PROGRESS', null],
    [
      'commit of another generation',
      'UNKNOWN_MEMBER_ID',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
    ],
    ['commit without a member', null, 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'],
    ['commit of nobody', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'],
    ['offsets are deleted', null, null, null, null],
    ['the group is deleted', 'Dead', 'NON_EMPTY_GROUP', 'NON_EMPTY_GROUP', 'NON_EMPTY_GROUP'],
  ] as const satisfies readonly (readonly [keyof typeof requests, ...(string | null)[]])[];

  test('every kind of request is in the table', () => {
    assert.deepEqual(
      table.map(([request]) => request),
      Object.keys(requests),
    );
  });

  for (const [name, ...expected] of table)
    for (const [at, state] of (Object.keys(states) as StateName[]).entries())
      test(`${state}: ${name}: ${expected[at] ?? 'is answered'}`, () => {
        const under = new CoordinatorUnderTest();
        const both = states[state](under);
        assert.equal(stateOf(under), state);
        const answer = under.answerTo(under.send(requests[name](both)));
        const outcome = answer === null ? 'waits' : faultOf(answer);
        const after = stateOf(under);
        const moved = after === state ? outcome : outcome === null ? after : `${outcome} in ${after}`;
        assert.equal(moved, expected[at]);
      });

  const leaving = [
    ['Empty', 'UNKNOWN_MEMBER_ID', 'Empty'],
    ['PreparingRebalance', null, 'PreparingRebalance'],
    ['CompletingRebalance', null, 'PreparingRebalance'],
    ['Stable', null, 'PreparingRebalance'],
  ] as const;
  for (const [state, expected, after] of leaving)
    test(`${state}: a member leaves: ${expected ?? 'is answered'}`, () => {
      const under = new CoordinatorUnderTest();
      const { b } = states[state](under);
      const answer = under.ask(leaveOf({ memberId: b }));
      assert.ok('members' in answer);
      assert.deepEqual(
        answer.members.map(({ memberId, fault }) => [memberId, fault?.code ?? null]),
        [[b, expected]],
      );
      assert.equal(stateOf(under), after);
    });
});

describe('a rebalance', () => {
  test('gives the members of all to the leader alone, and an assignment to each of them', () => {
    const under = new CoordinatorUnderTest();
    const { a } = twoStable(under);
    const third = join(under, { protocols: otherProtocols });
    const fourth = join(under);
    const b = described(under)?.members[1]?.memberId ?? '';
    const rejoined = [a, b].map((memberId) => join(under, { memberId }));
    const answers = [...rejoined, third, fourth].map((one) => one.answer());
    const ids = answers.map((answer) => answer?.memberId ?? '');
    assert.deepEqual(
      answers.map((answer) => [answer?.generation, answer?.leader, answer?.protocol, answer?.skipAssignment]),
      ids.map(() => [3, a, 'range', false]),
    );
    assert.deepEqual(
      answers.map((answer) => answer?.members.length),
      [4, 0, 0, 0],
    );
    assert.deepEqual(answers[0]?.members[2], {
      memberId: ids[2],
      instanceId: null,
      metadata: subscriptionTo('orders', 'refunds'),
    });

    const waiting = ids.slice(1).map((memberId) => under.send(syncOf({ memberId, generation: 3 })));
    assert.deepEqual(
      waiting.map((requestId) => under.answerTo(requestId)),
      [null, null, null],
    );
    const assignments = ids.slice(0, 3).map((memberId) => ({ memberId, assignment: assignmentOf(memberId) }));
    const stranger = { memberId: 'nobody', assignment: assignmentOf('nobody') };
    under.ask(syncOf({ memberId: a, generation: 3, assignments: [...assignments, stranger] }));
    const told = waiting.map((requestId) => under.answerTo(requestId));
    // Whom the leader has forgotten gets nothing, and is told so.
    const expected = [...ids.slice(1, 3).map(assignmentOf), Buffer.alloc(0)];
    assert.deepEqual(
      told,
      expected.map((assignment) => ({ protocolType: 'consumer', protocol: 'range', assignment })),
    );
    assert.deepEqual(
      described(under)?.members.map(({ assignment }) => assignment),
      [assignmentOf(a), ...expected],
    );
  });

  test('shows no metadata, and no protocol, before it has come to an end', () => {
    const under = new CoordinatorUnderTest();
    const both = twoJoined(under);
    const during = described(under);
    assert.equal(during?.protocol, '');
    assert.deepEqual(
      during?.members.map(({ metadata }) => metadata.length),
      [0, 0],
    );
    syncBoth(under, both);
    const after = described(under);
    assert.equal(after?.protocol, 'range');
    assert.deepEqual(after?.members[1], {
      memberId: both.b,
      instanceId: null,
      clientId: 'app',
      clientHost: '/10.0.0.1',
      metadata: subscriptionTo('orders'),
      assignment: assignmentOf(both.b),
    });
  });

  test('waits for members up to the longest rebalance timeout, then goes on without those that did not come', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under, { sessionTimeoutMs: 300_000 });
    const third = join(under, { rebalanceTimeoutMs: 60_000 });
    join(under, { memberId: b, rebalanceTimeoutMs: 1000 });
    under.advance(59_900);
    assert.equal(third.answer(), null);
    under.advance(100);
    // The leader of before is one of them: the first that has joined leads.
    assert.deepEqual([third.answer()?.generation, third.answer()?.leader], [3, b]);
    assert.deepEqual(
      described(under)?.members.map(({ memberId }) => memberId),
      [b, third.answer()?.memberId],
    );
    assert.equal(faultOf(under.ask(heartbeatOf({ memberId: a, generation: 2 }))), 'UNKNOWN_MEMBER_ID');
  });

  test('that begins while assignments are waited for sends everybody back to join', () => {
    const under = new CoordinatorUnderTest();
    const { b, generation } = twoJoined(under);
    const waiting = under.send(syncOf({ memberId: b, generation }));
    join(under);
    assert.equal(faultOf(under.answerTo(waiting)), 'REBALANCE_IN_PROGRESS');
    assert.equal(stateOf(under), 'PreparingRebalance');
  });

  test('that is broken off leaves nobody with an assignment', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under);
    under.send(joinOf({ memberId: a }));
    under.send(joinOf({ memberId: b }));
    const assigned = (): (number | undefined)[] =>
      described(under)?.members.map(({ assignment }) => assignment.length) ?? [];
    assert.deepEqual(assigned(), [assignmentOf(a).length, assignmentOf(b).length]);
    join(under);
    assert.deepEqual(assigned(), [0, 0, 0]);
  });

  test('removes members that never sync when the rebalance timeout is over; they are told that they are not known', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoJoined(under, { sessionTimeoutMs: 300_000 });
    under.ask(syncOf({ memberId: a, generation }));
    assert.equal(stateOf(under), 'Stable');
    under.advance(29_900);
    assert.equal(stateOf(under), 'Stable');
    under.advance(100);
    assert.equal(stateOf(under), 'PreparingRebalance');
    assert.deepEqual(
      described(under)?.members.map(({ memberId }) => memberId),
      [a],
    );
    assert.equal(faultOf(under.ask(syncOf({ memberId: b, generation }))), 'UNKNOWN_MEMBER_ID');
  });

  test('removes them at once where the rebalance timeout is none', () => {
    const under = new CoordinatorUnderTest();
    const { memberId } = joined(under.ask(joinOf({ rebalanceTimeoutMs: 0 })));
    assert.equal(stateOf(under), 'CompletingRebalance');
    under.tick();
    assert.equal(faultOf(under.ask(syncOf({ memberId }))), 'UNKNOWN_MEMBER_ID');
  });

  test('takes the protocol that most members like best', () => {
    const under = new CoordinatorUnderTest();
    const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: subscriptionTo('orders') }));
    const { memberId } = joined(under.ask(joinOf({ protocols: protocols('range', 'sticky', 'own') })));
    const others = [
      join(under, { protocols: protocols('sticky', 'range') }),
      join(under, { protocols: protocols('sticky', 'range') }),
    ];
    under.ask(joinOf({ memberId, protocols: protocols('range', 'sticky', 'own') }));
    assert.deepEqual(
      others.map((one) => one.answer()?.protocol),
      ['sticky', 'sticky'],
    );
  });

  test('answers only the newer of two requests of a member; the older is sent to join again', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoJoined(under);
    const sync = under.send(syncOf({ memberId: b, generation }));
    const again = under.send(syncOf({ memberId: b, generation }));
    assert.equal(faultOf(under.answerTo(sync)), 'REBALANCE_IN_PROGRESS');
    under.ask(syncOf({ memberId: a, generation }));
    assert.equal(faultOf(under.answerTo(again)), null);
    const first = under.send(joinOf({ memberId: a }));
    const second = under.send(joinOf({ memberId: a }));
    assert.equal(faultOf(under.answerTo(first)), 'REBALANCE_IN_PROGRESS');
    assert.equal(under.answerTo(second), null);
  });
});

describe('the first members', () => {
  test('are waited for, longer while more of them come, and no longer than their rebalance timeout', () => {
    const under = new CoordinatorUnderTest({ initialRebalanceDelayMs: 3000 });
    const members = [join(under, { rebalanceTimeoutMs: 7000 })];
    const joinAndWait = (ms: number): void => {
      members.push(join(under, { rebalanceTimeoutMs: 7000 }));
      under.advance(ms);
    };
    under.advance(2900);
    joinAndWait(100); // 3000 ms: extended to 6000
    assert.equal(members[0]?.answer(), null);
    under.advance(2900);
    joinAndWait(100); // 6000 ms: extended, by the 1000 ms that are left
    assert.equal(members[0]?.answer(), null);
    joinAndWait(900);
    assert.equal(members[0]?.answer(), null);
    under.advance(100);
    assert.deepEqual(
      members.map((one) => one.answer()?.generation),
      [1, 1, 1, 1],
    );
  });

  test('are not waited for any longer when no one has come meanwhile', () => {
    const under = new CoordinatorUnderTest({ initialRebalanceDelayMs: 3000 });
    const first = join(under);
    under.advance(2900);
    assert.equal(first.answer(), null);
    under.advance(100);
    assert.equal(first.answer()?.generation, 1);
  });

  test('that leave before the time is over leave no group behind', () => {
    const under = new CoordinatorUnderTest({ initialRebalanceDelayMs: 3000 });
    const first = under.send(joinOf());
    const memberId = described(under)?.members[0]?.memberId ?? '';
    under.ask(leaveOf({ memberId }));
    assert.equal(faultOf(under.answerTo(first)), 'UNKNOWN_MEMBER_ID');
    under.advance(3000);
    assert.equal(stateOf(under), 'Dead');
    assert.deepEqual(under.log, []);
  });
});

describe('a member that has to come again with its id', () => {
  const idOf = (under: CoordinatorUnderTest, changes: Parameters<typeof joinOf>[0] = {}): string => {
    const answer = under.ask(joinOf({ ...changes, knowsMemberIdRequired: true }));
    assert.ok('fault' in answer && answer.fault.code === 'MEMBER_ID_REQUIRED');
    return answer.fault.memberId;
  };

  test('is let in with it', () => {
    const under = new CoordinatorUnderTest();
    const memberId = idOf(under);
    assert.equal(stateOf(under), 'Empty');
    assert.equal(joined(under.ask(joinOf({ memberId, knowsMemberIdRequired: true }))).memberId, memberId);
  });

  test('has its session timeout for that', () => {
    const under = new CoordinatorUnderTest();
    const memberId = idOf(under, { sessionTimeoutMs: 6000 });
    under.advance(6000);
    assert.equal(faultOf(under.ask(joinOf({ memberId }))), 'UNKNOWN_MEMBER_ID');
    assert.equal(stateOf(under), 'Dead');
  });

  test('is waited for by a rebalance that has begun', () => {
    const under = new CoordinatorUnderTest();
    const { a } = twoStable(under);
    const pending = idOf(under, { sessionTimeoutMs: 6000 });
    const b = described(under)?.members[1]?.memberId ?? '';
    const [first, second] = [join(under, { memberId: a }), join(under, { memberId: b })];
    assert.equal(first.answer(), null);
    under.advance(6000);
    assert.equal(first.answer()?.generation, 3);
    assert.equal(second.answer()?.generation, 3);
    assert.equal(faultOf(under.ask(joinOf({ memberId: pending }))), 'UNKNOWN_MEMBER_ID');
  });

  test('may leave before, and is not waited for any longer', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under);
    const pending = idOf(under);
    const first = join(under, { memberId: a });
    join(under, { memberId: b });
    const left = under.ask(leaveOf({ memberId: pending }));
    assert.ok('members' in left && left.members[0]?.fault === null);
    assert.equal(first.answer()?.generation, 3);
  });

  test('disturbs nobody when it comes to nothing', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoStable(under);
    const pending = idOf(under, { sessionTimeoutMs: 6000 });
    under.ask(leaveOf({ memberId: pending }));
    idOf(under, { sessionTimeoutMs: 6000 });
    under.advance(6000);
    for (const memberId of [a, b]) assert.deepEqual(under.ask(heartbeatOf({ memberId, generation })), {});
    assert.equal(stateOf(under), 'Stable');
  });
});

describe('a session', () => {
  test('ends without heartbeats, and the others rebalance', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoStable(under);
    under.advance(9900);
    under.ask(heartbeatOf({ memberId: a, generation }));
    under.advance(100);
    assert.equal(faultOf(under.ask(heartbeatOf({ memberId: a, generation }))), 'REBALANCE_IN_PROGRESS');
    assert.equal(faultOf(under.ask(heartbeatOf({ memberId: b, generation }))), 'UNKNOWN_MEMBER_ID');
  });

  const kept = {
    heartbeat: (memberId, generation) => heartbeatOf({ memberId, generation }),
    'offset commit': (memberId, generation) => commitOf({ memberId, generationOrMemberEpoch: generation }),
    sync: (memberId, generation) => syncOf({ memberId, generation }),
    'follower that joins again': (memberId) => joinOf({ memberId }),
  } as const satisfies Record<string, (memberId: string, generation: number) => GroupRequest>;
  for (const [name, request] of Object.entries(kept))
    test(`starts anew with each ${name}`, () => {
      const under = new CoordinatorUnderTest();
      const { a, b, generation } = twoStable(under);
      for (let round = 0; round < 3; round++) {
        under.advance(9000);
        assert.deepEqual(under.ask(heartbeatOf({ memberId: a, generation })), {});
        assert.equal(faultOf(under.ask(request(b, generation))), null);
      }
      under.advance(9900);
      assert.equal(described(under)?.members.length, 2);
      under.advance(100);
      assert.equal(stateOf(under), 'Empty');
    });

  test('of the last member leaves an empty group, of the next generation', () => {
    const under = new CoordinatorUnderTest();
    twoStable(under);
    under.advance(10_000);
    assert.equal(stateOf(under), 'Empty');
    const last = under.log.at(-1);
    assert.ok(last?.kind === 'classicGroup');
    assert.deepEqual(last.value, {
      protocolType: 'consumer',
      generation: 3,
      protocol: null,
      leader: null,
      currentStateTimestampMs: under.now.wallMs,
      members: [],
    });
  });

  test('does not end while its member waits in a join', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoStable(under, { sessionTimeoutMs: 6000 });
    const waiting = join(under, { memberId: a, sessionTimeoutMs: 6000 });
    for (let round = 0; round < 5; round++) {
      under.advance(5000);
      under.ask(heartbeatOf({ memberId: b, generation }));
    }
    under.ask(leaveOf({ memberId: b }));
    assert.equal(waiting.answer()?.generation, 3);
    under.advance(5900);
    assert.deepEqual(under.ask(heartbeatOf({ memberId: a, generation: 3 })), {});
  });

  test('does not end while its member waits in a sync', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoJoined(under, { sessionTimeoutMs: 6000 });
    const waiting = under.send(syncOf({ memberId: b, generation }));
    for (let round = 0; round < 5; round++) {
      under.advance(5000);
      under.ask(heartbeatOf({ memberId: a, generation }));
    }
    under.ask(syncOf({ memberId: a, generation }));
    assert.equal(faultOf(under.answerTo(waiting)), null);
  });

  test('of a member that is new and waits for others ends after five minutes', () => {
    const under = new CoordinatorUnderTest();
    const { a, generation } = twoStable(under, { sessionTimeoutMs: 1_800_000, rebalanceTimeoutMs: 900_000 });
    const waiting = under.send(joinOf({ rebalanceTimeoutMs: 900_000 }));
    under.advance(299_000);
    assert.equal(under.answerTo(waiting), null);
    under.advance(1000);
    assert.equal(faultOf(under.answerTo(waiting)), 'UNKNOWN_MEMBER_ID');
    assert.equal(faultOf(under.ask(heartbeatOf({ memberId: a, generation }))), 'REBALANCE_IN_PROGRESS');
  });
});

test('heartbeats of a member that is new and waits do not end its time to join', () => {
  const under = new CoordinatorUnderTest();
  twoStable(under, { sessionTimeoutMs: 300_000, rebalanceTimeoutMs: 300_000 });
  const required = under.ask(joinOf({ knowsMemberIdRequired: true }));
  assert.ok('fault' in required && required.fault.code === 'MEMBER_ID_REQUIRED');
  const { memberId } = required.fault;
  const waiting = under.send(joinOf({ memberId }));
  under.ask(heartbeatOf({ memberId, generation: 2 }));
  under.advance(20_000);
  assert.equal(under.answerTo(waiting), null);
});

test('an id that is given begins with so much of a long name that it fits wherever it is told or written', () => {
  const under = new CoordinatorUnderTest();
  const clientId = `${'x'.repeat(254)}\u{1f600}${'x'.repeat(32_000)}`;
  const { memberId } = joined(under.ask(joinOf({ clientId })));
  assert.match(memberId, /^x{254}\ufffd-[0-9a-f-]{36}$/);
});

test('an id that was given to a dynamic member lets nobody in as a static one', () => {
  const under = new CoordinatorUnderTest();
  const holder = joined(under.ask(joinOf({ instanceId: 'i-1' }))).memberId;
  const required = under.ask(joinOf({ knowsMemberIdRequired: true }));
  assert.ok('fault' in required && required.fault.code === 'MEMBER_ID_REQUIRED');
  const { memberId } = required.fault;
  assert.equal(faultOf(under.ask(joinOf({ memberId, instanceId: 'i-1' }))), 'FENCED_INSTANCE_ID');
  assert.equal(faultOf(under.ask(joinOf({ memberId, instanceId: 'i-2' }))), 'UNKNOWN_MEMBER_ID');
  assert.equal(faultOf(under.ask(heartbeatOf({ memberId: holder }))), null);
});

describe('a group that is full', () => {
  test('takes no one more, but its own members', () => {
    const under = new CoordinatorUnderTest({ maxSize: 2 });
    const { a, b } = twoStable(under);
    assert.equal(faultOf(under.ask(joinOf())), 'GROUP_MAX_SIZE_REACHED');
    assert.equal(stateOf(under), 'Stable');
    const first = join(under, { memberId: a });
    join(under, { memberId: b });
    assert.equal(first.answer()?.generation, 3);
  });

  test('puts out whoever joins again last, where the limit has been lowered', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under);
    const lowered = new CoordinatorUnderTest({ maxSize: 1 });
    lowered.log = under.log;
    lowered.elect();
    assert.equal(stateOf(lowered), 'PreparingRebalance');
    const first = join(lowered, { memberId: b });
    assert.equal(faultOf(lowered.ask(joinOf({ memberId: a }))), 'GROUP_MAX_SIZE_REACHED');
    assert.deepEqual([first.answer()?.generation, first.answer()?.leader], [3, b]);
  });
});

describe('what members say', () => {
  const saying = (...metadataBytes: number[]) => ({
    protocols: metadataBytes.map((bytes, at) => ({ name: `p${at}`, metadata: Buffer.alloc(bytes) })),
  });

  test('is refused beyond what a record may have, before anything is kept of it', () => {
    const under = new CoordinatorUnderTest();
    under.maxBatchBytes = 1000;
    assert.equal(faultOf(under.ask(joinOf(saying(1001)))), 'INVALID_REQUEST');
    assert.equal(faultOf(under.ask(joinOf(saying(500, 501)))), 'INVALID_REQUEST');
    assert.equal(described(under), null);
    assert.equal(under.memory.usedBytes, 0);
    join(under, saying(900));
    assert.equal(stateOf(under), 'CompletingRebalance');
  });

  test('is copied, since what it came in would be kept with it', () => {
    const under = new CoordinatorUnderTest();
    const request = Buffer.from('subscription and much more');
    const { memberId } = joined(under.ask(joinOf({ protocols: [{ name: 'p', metadata: request.subarray(0, 12) }] })));
    request.fill(0);
    const generation = 1;
    under.ask(syncOf({ memberId, generation, assignments: [{ memberId, assignment: assignmentOf(memberId) }] }));
    assert.equal(described(under)?.members[0]?.metadata.toString(), 'subscription');
  });

  test('is together no more than the record of the group may have, by what each has least to say', () => {
    const under = new CoordinatorUnderTest();
    under.maxBatchBytes = 1000;
    const { a, b, generation } = twoStable(under, saying(300, 600));
    assert.equal(faultOf(under.ask(joinOf(saying(300, 600)))), 'GROUP_MAX_SIZE_REACHED');
    assert.equal(faultOf(under.ask(joinOf({ memberId: b, ...saying(700) }))), 'GROUP_MAX_SIZE_REACHED');
    assert.equal(stateOf(under), 'Stable');
    for (const memberId of [a, b]) assert.deepEqual(under.ask(heartbeatOf({ memberId, generation })), {});
    assert.equal(joined(under.ask(joinOf({ memberId: b, ...saying(300, 600) }))).generation, generation);
  });

  test('may stay what it is where the limit has been lowered', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under, saying(300));
    under.maxBatchBytes = 400;
    const first = join(under, { memberId: a, ...saying(300) });
    join(under, { memberId: b, ...saying(290) });
    assert.equal(first.answer()?.generation, 3);
  });

  test('has no room where made-up groups keep half of what may be kept, and has it where the group is written', () => {
    const under = new CoordinatorUnderTest({ unwrittenMaxBytes: 200_000 });
    const { a, b, generation } = twoStable(under);
    let made = 0;
    while (faultOf(under.ask(joinOf({ groupId: `made-up-${made}`, ...saying(10_000) }))) === null) made++;
    assert.ok(made > 5 && made < 10, `${made} groups`);
    const refused = under.ask(joinOf({ groupId: 'another', ...saying(10_000) }));
    assert.equal(faultOf(refused), 'COORDINATOR_NOT_AVAILABLE');
    assert.equal(described(under, 'another'), null);
    const ids = under.ask(joinOf({ groupId: 'another', knowsMemberIdRequired: true }));
    assert.equal(faultOf(ids), 'MEMBER_ID_REQUIRED');
    // Who is refused is where it was.
    const [member] = described(under, 'made-up-0')?.members ?? [];
    assert.equal(faultOf(under.ask(joinOf({ groupId: 'made-up-0', ...saying(10_000) }))), 'COORDINATOR_NOT_AVAILABLE');
    assert.deepEqual(described(under, 'made-up-0')?.members, [member]);
    const third = join(under);
    under.ask(heartbeatOf({ memberId: b, generation }));
    join(under, { memberId: a });
    join(under, { memberId: b });
    assert.equal(third.answer()?.generation, generation + 1);
  });

  test('is given back with what ends, and with the leadership', () => {
    const under = new CoordinatorUnderTest();
    under.send(joinOf({ knowsMemberIdRequired: true }));
    under.send(joinOf({ groupId: 'another', ...saying(10_000) }));
    const usedBytes = under.memory.usedBytes;
    assert.ok(usedBytes > 10_000);
    under.elect();
    assert.equal(under.memory.usedBytes, 0);
    under.send(joinOf({ knowsMemberIdRequired: true }));
    under.send(joinOf({ groupId: 'another', ...saying(10_000) }));
    assert.equal(under.memory.usedBytes, usedBytes);
    under.advance(400_000);
    assert.equal(under.memory.usedBytes, 0);
  });

  test('counts no more once it is written, but for what is not chosen', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under, saying(100));
    assert.equal(under.memory.usedBytes, 0);
    const first = under.send(joinOf({ memberId: a, ...saying(100, 5000) }));
    under.ask(joinOf({ memberId: b, ...saying(100, 5000) }));
    const { generation } = joined(under.answerTo(first));
    syncBoth(under, { a, b, generation });
    assert.ok(under.memory.usedBytes > 10_000 && under.memory.usedBytes < 11_000);
    under.ask(leaveOf({ memberId: a }, { memberId: b }));
    assert.equal(stateOf(under), 'Empty');
    assert.equal(under.memory.usedBytes, 0);
  });
});

describe('an id that was given out', () => {
  const asking = { knowsMemberIdRequired: true } as const;
  const given = (under: CoordinatorUnderTest): string => {
    const answer = under.ask(joinOf(asking));
    assert.ok('fault' in answer && answer.fault.code === 'MEMBER_ID_REQUIRED');
    return answer.fault.memberId;
  };

  test('has a place in the group, until it comes or its session is over', () => {
    const under = new CoordinatorUnderTest({ maxSize: 2 });
    const ids = [given(under), given(under)];
    assert.equal(faultOf(under.ask(joinOf(asking))), 'GROUP_MAX_SIZE_REACHED');
    assert.equal(faultOf(under.ask(joinOf())), 'GROUP_MAX_SIZE_REACHED');
    const first = join(under, { memberId: ids[0] ?? '', ...asking });
    assert.equal(faultOf(under.ask(joinOf(asking))), 'GROUP_MAX_SIZE_REACHED');
    join(under, { memberId: ids[1] ?? '', ...asking });
    assert.equal(first.answer()?.generation, 1);
    assert.equal(described(under)?.members.length, 2);
  });

  test('that never comes leaves its place to others', () => {
    const under = new CoordinatorUnderTest({ maxSize: 1 });
    given(under);
    under.advance(10_000);
    given(under);
  });
});

describe('a static member', () => {
  const staticOf = (instanceId: string, changes: Parameters<typeof joinOf>[0] = {}) =>
    joinOf({ instanceId, knowsMemberIdRequired: true, ...changes });

  /** One static member that leads, and one that follows. */
  function stableStatics(under: CoordinatorUnderTest): StableGroup {
    const a = joined(under.ask(staticOf('i-1'))).memberId;
    const second = under.send(staticOf('i-2'));
    const { generation } = joined(under.ask(staticOf('i-1', { memberId: a })));
    const b = joined(under.answerTo(second)).memberId;
    syncBoth(under, { a, b, generation });
    return { a, b, generation };
  }

  test('gets an id of its instance id, at once', () => {
    const under = new CoordinatorUnderTest();
    assert.match(joined(under.ask(staticOf('i-1'))).memberId, /^i-1-[0-9a-f-]{36}$/);
  });

  test('that starts again keeps its assignment without a rebalance, under an id that is written', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = stableStatics(under);
    const records = under.log.length;
    const again = joined(under.ask(staticOf('i-2')));
    assert.notEqual(again.memberId, b);
    assert.deepEqual([again.generation, again.leader, again.members, again.skipAssignment], [generation, a, [], false]);
    assert.equal(under.log.length, records + 1);
    assert.equal(stateOf(under), 'Stable');
    const synced = under.ask(syncOf({ memberId: again.memberId, instanceId: 'i-2', generation }));
    assert.ok('assignment' in synced);
    assert.deepEqual(synced.assignment, assignmentOf(b));
    under.elect();
    const ids = described(under)?.members.map(({ memberId, instanceId }) => [memberId, instanceId]);
    assert.deepEqual(ids, [
      [a, 'i-1'],
      [again.memberId, 'i-2'],
    ]);
  });

  const fenced = {
    heartbeat: (memberId) => heartbeatOf({ memberId, instanceId: 'i-2', generation: 2 }),
    sync: (memberId) => syncOf({ memberId, instanceId: 'i-2', generation: 2 }),
    join: (memberId) => joinOf({ memberId, instanceId: 'i-2' }),
    commit: (memberId) => commitOf({ memberId, instanceId: 'i-2', generationOrMemberEpoch: 2 }),
  } as const satisfies Record<string, (memberId: string) => GroupRequest>;
  for (const [name, request] of Object.entries(fenced))
    test(`that was succeeded is fenced: ${name}`, () => {
      const under = new CoordinatorUnderTest();
      const { b } = stableStatics(under);
      under.ask(staticOf('i-2'));
      assert.equal(faultOf(under.ask(request(b))), 'FENCED_INSTANCE_ID');
    });

  test('that was succeeded is fenced where it waits', () => {
    const under = new CoordinatorUnderTest();
    stableStatics(under);
    const third = under.send(staticOf('i-3'));
    const again = under.send(staticOf('i-3'));
    assert.equal(faultOf(under.answerTo(third)), 'FENCED_INSTANCE_ID');
    assert.equal(under.answerTo(again), null);
  });

  test('that led and knows so need not assign again (KIP-814)', () => {
    const under = new CoordinatorUnderTest();
    const { b, generation } = stableStatics(under);
    const again = joined(under.ask(staticOf('i-1', { knowsSkipAssignment: true })));
    assert.deepEqual([again.leader, again.skipAssignment, again.generation], [again.memberId, true, generation]);
    assert.deepEqual(
      again.members.map(({ memberId }) => memberId),
      [again.memberId, b],
    );
    assert.equal(stateOf(under), 'Stable');
  });

  test('that led and would assign again is not told that it leads', () => {
    const under = new CoordinatorUnderTest();
    const { a } = stableStatics(under);
    const again = joined(under.ask(staticOf('i-1')));
    assert.deepEqual([again.leader, again.skipAssignment, again.members], [a, false, []]);
    // It leads all the same: when it joins again, everybody does.
    under.send(staticOf('i-1', { memberId: again.memberId }));
    assert.equal(stateOf(under), 'PreparingRebalance');
  });

  test('that is succeeded with something else starts a rebalance where the protocol changes by it', () => {
    const under = new CoordinatorUnderTest();
    const both = [
      { name: 'range', metadata: subscriptionTo('orders') },
      { name: 'sticky', metadata: subscriptionTo('orders') },
    ];
    const { memberId } = joined(under.ask(staticOf('i-1', { protocols: both })));
    under.ask(syncOf({ memberId }));
    const again = joined(under.ask(staticOf('i-1', { protocols: both.slice(1) })));
    assert.deepEqual([again.generation, again.protocol], [2, 'sticky']);
  });

  test('that is succeeded before all have synced starts a rebalance: the leader may have been told of the old id', () => {
    const under = new CoordinatorUnderTest();
    const { memberId } = joined(under.ask(staticOf('i-1')));
    const again = joined(under.ask(staticOf('i-1')));
    assert.equal(again.generation, 2);
    assert.equal(faultOf(under.ask(syncOf({ memberId, instanceId: 'i-1', generation: 1 }))), 'FENCED_INSTANCE_ID');
  });

  test('that does not come keeps its place in a rebalance, until its session is over', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = stableStatics(under);
    const beat = (memberId: string, instanceId: string): void => {
      under.ask(heartbeatOf({ memberId, instanceId, generation }));
    };
    const third = join(under);
    for (let round = 0; round < 3; round++) {
      under.advance(9000);
      beat(a, 'i-1');
      beat(b, 'i-2');
    }
    under.send(joinOf({ memberId: a, instanceId: 'i-1' }));
    assert.equal(third.answer(), null);
    under.advance(3000);
    const members = third.answer() === null ? [] : (described(under)?.members ?? []);
    assert.deepEqual(
      members.map(({ memberId }) => memberId),
      [a, b, third.answer()?.memberId],
    );
    under.advance(10_000);
    assert.ok(described(under)?.members.every(({ memberId }) => memberId !== b));
  });

  test('alone in a rebalance that nobody joins is waited for again', () => {
    const under = new CoordinatorUnderTest();
    const { memberId } = joined(under.ask(staticOf('i-1', { sessionTimeoutMs: 300_000 })));
    under.ask(syncOf({ memberId }));
    const second = under.send(joinOf());
    const other = described(under)?.members[1]?.memberId ?? '';
    under.ask(leaveOf({ memberId: other }));
    assert.equal(faultOf(under.answerTo(second)), 'UNKNOWN_MEMBER_ID');
    under.advance(90_000);
    assert.equal(stateOf(under), 'PreparingRebalance');
    assert.equal(joined(under.ask(staticOf('i-1', { memberId }))).generation, 2);
  });

  test('that is succeeded in a rebalance is not fenced by the next coordinator, which loads the generation before', () => {
    const under = new CoordinatorUnderTest();
    const { a } = stableStatics(under);
    join(under);
    const again = under.send(staticOf('i-2'));
    const leaving = described(under)?.members.find(({ instanceId }) => instanceId === null)?.memberId ?? '';
    assert.equal(stateOf(under), 'PreparingRebalance');
    under.send(leaveOf({ memberId: leaving }));
    under.send(joinOf({ memberId: a, instanceId: 'i-1' }));
    const { memberId, generation } = joined(under.answerTo(again));
    assert.deepEqual([generation, stateOf(under)], [3, 'CompletingRebalance']);
    under.elect();
    assert.deepEqual([stateOf(under), described(under)?.members.length], ['Stable', 2]);
    assert.equal(faultOf(under.ask(syncOf({ memberId, instanceId: 'i-2', generation }))), 'ILLEGAL_GENERATION');
    assert.equal(faultOf(under.ask(joinOf({ memberId, instanceId: 'i-2' }))), null);
  });

  test('that leads and is succeeded in a rebalance is succeeded as the leader', () => {
    const under = new CoordinatorUnderTest();
    const { b } = stableStatics(under);
    const third = join(under);
    const again = under.send(staticOf('i-1'));
    under.send(joinOf({ memberId: b, instanceId: 'i-2' }));
    const { memberId, leader, members } = joined(under.answerTo(again));
    assert.deepEqual([leader, members.length, third.answer()?.leader], [memberId, 3, memberId]);
  });

  test('leaves by its instance id alone; and with another member id it is fenced', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = stableStatics(under);
    const answer = under.ask(
      leaveOf(
        { instanceId: 'i-2' },
        { instanceId: 'i-1', memberId: b },
        { instanceId: 'i-9' },
        {},
        { memberId: 'nobody' },
      ),
    );
    assert.ok('members' in answer);
    assert.deepEqual(
      answer.members.map(({ memberId, instanceId, fault }) => [memberId, instanceId, fault?.code ?? null]),
      [
        ['', 'i-2', null],
        [b, 'i-1', 'FENCED_INSTANCE_ID'],
        ['', 'i-9', 'UNKNOWN_MEMBER_ID'],
        ['', null, 'UNKNOWN_MEMBER_ID'],
        ['nobody', null, 'UNKNOWN_MEMBER_ID'],
      ],
    );
    assert.deepEqual(
      described(under)?.members.map(({ memberId }) => memberId),
      [a],
    );
  });
});

describe('what is written', () => {
  test('is the assignment, before anybody is told of it', () => {
    const under = new CoordinatorUnderTest();
    under.isCommitting = false;
    const both = twoJoined(under);
    const { a, b, generation } = both;
    const follower = under.send(syncOf({ memberId: b, generation }));
    const assignments = [{ memberId: b, assignment: assignmentOf(b) }];
    const leader = under.send(syncOf({ memberId: a, generation, assignments }));
    const late = under.send(syncOf({ memberId: b, generation }));
    const all = [leader, follower, late];
    assert.deepEqual(
      all.map((requestId) => under.answerTo(requestId)),
      [null, null, null],
    );
    const [record] = under.log;
    assert.ok(record?.kind === 'classicGroup' && under.log.length === 1);
    const member = {
      instanceId: null,
      clientId: 'app',
      clientHost: '/10.0.0.1',
      rebalanceTimeoutMs: 30_000,
      sessionTimeoutMs: 10_000,
      subscription: subscriptionTo('orders'),
    };
    assert.deepEqual(record.value, {
      protocolType: 'consumer',
      generation,
      protocol: 'range',
      leader: a,
      currentStateTimestampMs: under.now.wallMs,
      members: [
        { ...member, memberId: a, assignment: Buffer.alloc(0) },
        { ...member, memberId: b, assignment: assignmentOf(b) },
      ],
    });
    under.commitAll();
    assert.deepEqual(
      all.map((requestId) => faultOf(under.answerTo(requestId))),
      [null, null, null],
    );
  });

  test('is nothing where the log refuses the assignment: all are told to come again, and can', () => {
    const under = new CoordinatorUnderTest();
    const both = twoJoined(under);
    const { a, b, generation } = both;
    const follower = under.send(syncOf({ memberId: b, generation }));
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    const refused = under.ask(syncOf({ memberId: a, generation }));
    assert.equal(faultOf(refused), 'COORDINATOR_NOT_AVAILABLE');
    assert.equal(faultOf(under.answerTo(follower)), 'COORDINATOR_NOT_AVAILABLE');
    assert.equal(stateOf(under), 'CompletingRebalance');
    under.refusal = null;
    // With what they joined with they get the answer of this generation again.
    assert.equal(joined(under.ask(joinOf({ memberId: b }))).generation, generation);
    assert.equal(joined(under.ask(joinOf({ memberId: a }))).members.length, 2);
    syncBoth(under, both);
    assert.equal(stateOf(under), 'Stable');
  });

  test('ends when the rebalance timeout is over where the log refused it and the leader does not come again', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoJoined(under);
    under.send(syncOf({ memberId: b, generation }));
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    under.ask(syncOf({ memberId: a, generation }));
    under.refusal = null;
    for (let ms = 0; ms < 30_000; ms += 5000) {
      for (const memberId of [a, b]) assert.deepEqual(under.ask(heartbeatOf({ memberId, generation })), {});
      under.advance(5000);
    }
    for (const memberId of [a, b])
      assert.equal(faultOf(under.ask(heartbeatOf({ memberId, generation }))), 'REBALANCE_IN_PROGRESS');
  });

  test('comes to nothing where its leader is gone before it was committed', () => {
    const under = new CoordinatorUnderTest();
    const first = twoStable(under);
    under.ask(joinOf({ memberId: first.b }));
    under.send(joinOf({ memberId: first.a }));
    under.ask(joinOf({ memberId: first.b }));
    under.isCommitting = false;
    const sync = under.send(syncOf({ memberId: first.a, generation: 3 }));
    under.crash(under.committedEndOffset);
    assert.equal(faultOf(under.answerTo(sync)), 'NOT_COORDINATOR');
    assert.equal(stateOf(under), 'Stable');
    assert.deepEqual(under.ask(heartbeatOf({ memberId: first.b, generation: 2 })), {});
  });

  test('is that the group is empty, again and again until the log takes it', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under);
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    assert.equal(faultOf(under.ask(leaveOf({ memberId: a }, { memberId: b }))), 'COORDINATOR_NOT_AVAILABLE');
    assert.equal(stateOf(under), 'PreparingRebalance');
    under.advance(5000);
    assert.equal(stateOf(under), 'PreparingRebalance');
    under.refusal = null;
    under.advance(1000);
    assert.equal(stateOf(under), 'Empty');
    under.elect();
    assert.equal(stateOf(under), 'Empty');
    assert.equal(joined(under.ask(joinOf())).generation, 4);
  });

  test('of a static member that was succeeded is refused: the one before it stays', () => {
    const under = new CoordinatorUnderTest();
    const { memberId } = joined(under.ask(joinOf({ instanceId: 'i-1' })));
    under.ask(syncOf({ memberId, instanceId: 'i-1' }));
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    assert.equal(faultOf(under.ask(joinOf({ instanceId: 'i-1' }))), 'COORDINATOR_NOT_AVAILABLE');
    under.refusal = null;
    assert.deepEqual(under.ask(heartbeatOf({ memberId, instanceId: 'i-1' })), {});
    const again = joined(under.ask(joinOf({ instanceId: 'i-1' })));
    assert.equal(faultOf(under.ask(heartbeatOf({ memberId, instanceId: 'i-1' }))), 'FENCED_INSTANCE_ID');
    assert.deepEqual(under.ask(heartbeatOf({ memberId: again.memberId, instanceId: 'i-1' })), {});
  });
});

describe('a group that is loaded', () => {
  test('is Stable with its members, and their sessions start anew', () => {
    const under = new CoordinatorUnderTest();
    const { a, b, generation } = twoStable(under);
    const before = described(under);
    under.advance(9000);
    under.elect();
    assert.deepEqual(described(under), before);
    under.advance(9900);
    for (const memberId of [a, b]) assert.deepEqual(under.ask(heartbeatOf({ memberId, generation })), {});
    const synced = under.ask(syncOf({ memberId: b, generation }));
    assert.ok('assignment' in synced);
    assert.deepEqual(synced.assignment, assignmentOf(b));
    under.advance(10_000);
    assert.equal(stateOf(under), 'Empty');
  });

  test('is that of its last record', () => {
    const under = new CoordinatorUnderTest();
    const { a, b } = twoStable(under);
    const leaving = under.send(joinOf({ memberId: a }));
    under.ask(leaveOf({ memberId: b }));
    assert.equal(joined(under.answerTo(leaving)).generation, 3);
    under.ask(syncOf({ memberId: a, generation: 3 }));
    under.elect();
    assert.deepEqual(
      described(under)?.members.map(({ memberId }) => memberId),
      [a],
    );
    assert.equal(faultOf(under.ask(heartbeatOf({ memberId: a, generation: 2 }))), 'ILLEGAL_GENERATION');
    // Its members can go on to the next generation.
    assert.equal(joined(under.ask(joinOf({ memberId: a }))).generation, 4);
  });

  test('knows of its members what is written: who supports more than that tells it when it joins again', () => {
    const under = new CoordinatorUnderTest();
    const protocols = ['range', 'sticky'].map((name) => ({ name, metadata: subscriptionTo('orders') }));
    const { b } = twoStable(under, { protocols });
    under.elect();
    const again = under.send(joinOf({ memberId: b, protocols }));
    assert.equal(under.answerTo(again), null);
    assert.equal(stateOf(under), 'PreparingRebalance');
  });

  test('of another program, whose record names no protocol, goes on with whoever comes', () => {
    const under = new CoordinatorUnderTest();
    const a = joined(under.ask(joinOf({ instanceId: 'i-1' }))).memberId;
    const second = under.send(joinOf({ instanceId: 'i-2' }));
    const { generation } = joined(under.ask(joinOf({ instanceId: 'i-1', memberId: a })));
    const b = joined(under.answerTo(second)).memberId;
    syncBoth(under, { a, b, generation });
    under.log = under.log.map((record) =>
      record.kind === 'classicGroup' && record.value !== null
        ? { ...record, value: { ...record.value, protocol: null } }
        : record,
    );
    under.elect();
    const again = under.send(joinOf({ instanceId: 'i-2', memberId: b, rebalanceTimeoutMs: 1000 }));
    under.advance(5000);
    under.ask(heartbeatOf({ memberId: a, instanceId: 'i-1', generation }));
    under.advance(25_000);
    assert.equal(joined(under.answerTo(again)).protocol, 'range');
  });

  test('reads records of old versions: no rebalance timeout, no time of the state', () => {
    const under = new CoordinatorUnderTest();
    twoStable(under, { rebalanceTimeoutMs: 1000, sessionTimeoutMs: 20_000 });
    under.log = under.log.map((record) => {
      if (record.kind !== 'classicGroup' || record.value === null) return record;
      const members = record.value.members.map((member) => ({ ...member, rebalanceTimeoutMs: -1 }));
      return { ...record, value: { ...record.value, currentStateTimestampMs: -1, members } };
    });
    under.elect();
    const third = join(under, { rebalanceTimeoutMs: 1000 });
    under.advance(19_000);
    for (const { memberId } of described(under)?.members.slice(0, 2) ?? [])
      under.ask(heartbeatOf({ memberId, generation: 2 }));
    under.advance(900);
    assert.equal(third.answer(), null);
    under.advance(100);
    assert.equal(third.answer()?.generation, 3);
  });
});
