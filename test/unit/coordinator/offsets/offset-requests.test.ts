import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import type { OffsetFetchRequest } from '../../../../src/coordinator/group-requests.ts';
import { leaderEpoch, offset } from '../../../../src/model/brands.ts';
import {
  CoordinatorUnderTest,
  commitOf,
  committed,
  faultOf,
  group,
  joinOf,
  ordersId,
  subscriptionTo,
  twoStable,
} from '../coordinator-fixture.ts';

const partitionOf = (partition: number, at: number, metadata = '') => ({
  partition,
  offset: offset(at),
  leaderEpoch: leaderEpoch(5),
  metadata,
});

const fetchOf = (topics: OffsetFetchRequest['topics']): OffsetFetchRequest => ({
  kind: 'offsetFetch',
  groupId: group,
  memberId: null,
  memberEpoch: -1,
  topics,
  requireStable: true,
});

describe('a commit', () => {
  test('of many partitions is one batch, and is told back as it was given', () => {
    const under = new CoordinatorUnderTest();
    const topics = [
      { topic: 'orders', topicId: ordersId, partitions: [partitionOf(0, 10, 'a note'), partitionOf(3, 11)] },
      { topic: 'refunds', topicId: ordersId, partitions: [partitionOf(0, 12)] },
    ];
    const answer = under.ask(commitOf({ topics }));
    assert.ok('topics' in answer);
    assert.deepEqual(answer.topics, [
      {
        topic: 'orders',
        partitions: [
          { partition: 0, fault: null },
          { partition: 3, fault: null },
        ],
      },
      { topic: 'refunds', partitions: [{ partition: 0, fault: null }] },
    ]);
    assert.deepEqual(under.batches, [3]);
    const fetched = under.ask(fetchOf([{ topic: 'orders', partitions: [3, 0, 1] }]));
    assert.ok('topics' in fetched);
    assert.deepEqual(fetched.topics, [
      {
        topic: 'orders',
        partitions: [
          { partition: 3, offset: 11, leaderEpoch: 5, metadata: '', fault: null },
          { partition: 0, offset: 10, leaderEpoch: 5, metadata: 'a note', fault: null },
          { partition: 1, offset: -1, leaderEpoch: -1, metadata: '', fault: null },
        ],
      },
    ]);
  });

  test('with too much metadata for one partition is one for the others', () => {
    const under = new CoordinatorUnderTest({ offsetMetadataMaxBytes: 4 });
    const partitions = [partitionOf(0, 1, 'five!'), partitionOf(1, 2, 'four')];
    const answer = under.ask(commitOf({ topics: [{ topic: 'orders', topicId: ordersId, partitions }] }));
    assert.ok('topics' in answer);
    assert.deepEqual(
      answer.topics[0]?.partitions.map(({ fault }) => fault?.code ?? null),
      ['OFFSET_METADATA_TOO_LARGE', null],
    );
    assert.deepEqual(committed(under), { 'orders-1': 2 });
  });

  test('with nothing to write makes no group', () => {
    const under = new CoordinatorUnderTest({ offsetMetadataMaxBytes: 4 });
    under.ask(commitOf({ metadata: 'five!' }));
    const listed = under.ask({ kind: 'listGroups', states: new Set(), types: new Set() });
    assert.ok('groups' in listed);
    assert.deepEqual(listed.groups, []);
  });

  test('keeps for ever what a client wants kept as long as can be said', () => {
    const under = new CoordinatorUnderTest();
    under.ask(commitOf({ retentionTimeMs: Number(2n ** 63n - 1n) }));
    const [record] = under.log;
    assert.ok(record?.kind === 'offsetCommit' && record.value !== null);
    assert.equal(record.value.expireTimestampMs, Number.MAX_SAFE_INTEGER);
  });

  test('carries the retention that old clients give', () => {
    const under = new CoordinatorUnderTest();
    under.ask(commitOf({ retentionTimeMs: 5000 }));
    const [record] = under.log;
    assert.ok(record?.kind === 'offsetCommit');
    assert.deepEqual(record.value, {
      offset: 7,
      leaderEpoch: 3,
      metadata: '',
      commitTimestampMs: under.now.wallMs,
      expireTimestampMs: under.now.wallMs + 5000,
      topicId: ordersId,
    });
  });

  test('is not acknowledged, nor told, before it is committed', () => {
    const under = new CoordinatorUnderTest();
    under.isCommitting = false;
    const commit = under.send(commitOf());
    const fetch = under.send(fetchOf(null));
    assert.deepEqual([under.answerTo(commit), under.answerTo(fetch)], [null, null]);
    under.commitAll();
    assert.equal(faultOf(under.answerTo(commit)), null);
    assert.notEqual(under.answerTo(fetch), null);
  });

  test('that the log refuses changes nothing', () => {
    const under = new CoordinatorUnderTest();
    under.ask(commitOf({ at: 1 }));
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    assert.equal(faultOf(under.ask(commitOf({ at: 2 }))), 'COORDINATOR_NOT_AVAILABLE');
    assert.deepEqual(committed(under), { 'orders-0': 1 });
  });
});

describe('offsets are deleted one by one', () => {
  const deletionOf = (topic: string, ...partitions: number[]) =>
    ({ kind: 'offsetDelete', groupId: group, topics: [{ topic, partitions }] }) as const;
  const codes = (answer: object): (string | null)[] => {
    assert.ok('topics' in answer);
    const topics = answer.topics as { partitions: { fault: { code: string } | null }[] }[];
    return topics.flatMap(({ partitions }) => partitions.map(({ fault }) => fault?.code ?? null));
  };

  test('whether they are there or not', () => {
    const under = new CoordinatorUnderTest();
    under.ask(commitOf());
    under.ask(commitOf({ topics: [{ topic: 'orders', topicId: ordersId, partitions: [partitionOf(1, 9)] }] }));
    assert.deepEqual(codes(under.ask(deletionOf('orders', 0, 0, 5))), [null, null, null]);
    assert.deepEqual(committed(under), { 'orders-1': 9 });
    assert.equal(under.log.length, 3);
  });

  test('but not what a member reads', () => {
    const under = new CoordinatorUnderTest();
    const { a, generation } = twoStable(under);
    const partitions = [partitionOf(0, 9)];
    const commit = { memberId: a, generationOrMemberEpoch: generation };
    under.ask(commitOf(commit));
    under.ask(commitOf({ ...commit, topics: [{ topic: 'refunds', topicId: ordersId, partitions }] }));
    assert.deepEqual(codes(under.ask(deletionOf('orders', 0, 1))), [
      'GROUP_SUBSCRIBED_TO_TOPIC',
      'GROUP_SUBSCRIBED_TO_TOPIC',
    ]);
    assert.deepEqual(codes(under.ask(deletionOf('refunds', 0))), [null]);
    assert.deepEqual(committed(under), { 'orders-0': 7 });
  });

  test('none of a group whose members cannot be asked what they read', () => {
    const under = new CoordinatorUnderTest();
    twoStable(under, { protocolType: 'connect' });
    assert.equal(faultOf(under.ask(deletionOf('refunds', 0))), 'NON_EMPTY_GROUP');
  });

  test('all of a group of consumers that tell nothing of what they read stay', () => {
    const under = new CoordinatorUnderTest();
    twoStable(under, { protocols: [{ name: 'range', metadata: Buffer.from('no subscription') }] });
    assert.deepEqual(codes(under.ask(deletionOf('refunds', 0))), ['GROUP_SUBSCRIBED_TO_TOPIC']);
  });

  test('nothing of a group that is not there', () => {
    const under = new CoordinatorUnderTest();
    assert.equal(faultOf(under.ask(deletionOf('orders', 0))), 'GROUP_ID_NOT_FOUND');
    assert.equal(faultOf(under.ask({ ...deletionOf('orders', 0), groupId: '' })), 'INVALID_GROUP_ID');
  });

  test('and with the last of them goes a group that they alone kept', () => {
    const under = new CoordinatorUnderTest();
    under.ask(commitOf());
    under.ask(deletionOf('orders', 0));
    assert.equal(faultOf(under.ask({ kind: 'describeGroup', groupId: group })), 'GROUP_ID_NOT_FOUND');
    assert.equal(
      faultOf(under.ask(joinOf({ memberId: 'm', protocols: [{ name: 'range', metadata: subscriptionTo() }] }))),
      'UNKNOWN_MEMBER_ID',
    );
  });
});
