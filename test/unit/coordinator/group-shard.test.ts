import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import {
  CoordinatorUnderTest,
  commitOf,
  faultOf,
  group,
  heartbeatOf,
  joined,
  joinOf,
  syncOf,
} from './coordinator-fixture.ts';

describe('a group of one', () => {
  test('joins, syncs, beats and commits', () => {
    const under = new CoordinatorUnderTest();
    const first = under.ask(joinOf({ knowsMemberIdRequired: true }));
    assert.equal(faultOf(first), 'MEMBER_ID_REQUIRED');
    assert.ok('fault' in first && first.fault.code === 'MEMBER_ID_REQUIRED');
    const { memberId } = first.fault;
    assert.match(memberId, /^app-[0-9a-f-]{36}$/);
    const { generation, leader, members } = joined(under.ask(joinOf({ memberId, knowsMemberIdRequired: true })));
    assert.equal(generation, 1);
    assert.equal(leader, memberId);
    assert.equal(members.length, 1);
    const assignment = Buffer.from('all of it');
    const synced = under.ask(syncOf({ memberId, assignments: [{ memberId, assignment }] }));
    assert.deepEqual(synced, { protocolType: 'consumer', protocol: 'range', assignment });
    assert.deepEqual(under.ask(heartbeatOf({ memberId })), {});
    const committed = under.ask(commitOf({ memberId, generationOrMemberEpoch: 1 }));
    assert.equal(faultOf(committed), null);
    const fetched = under.ask({
      kind: 'offsetFetch',
      groupId: group,
      memberId: null,
      memberEpoch: -1,
      topics: null,
      requireStable: false,
    });
    assert.ok('topics' in fetched);
    assert.deepEqual(fetched.topics, [
      { topic: 'orders', partitions: [{ partition: 0, offset: 7, leaderEpoch: 3, metadata: '', fault: null }] },
    ]);
  });
});
