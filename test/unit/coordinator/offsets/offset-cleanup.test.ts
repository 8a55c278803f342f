import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { leaderEpoch, offset, topicId } from '../../../../src/model/brands.ts';
import {
  CoordinatorUnderTest,
  commitOf,
  committed,
  group,
  join,
  leaveOf,
  ordersId,
  stateOf,
  twoStable,
} from '../coordinator-fixture.ts';

const dayMs = 86_400_000;
const options = { offsetsRetentionMs: 7 * dayMs, offsetsRetentionCheckIntervalMs: 600_000 };
const otherId = topicId('BBBBBBBBBBBBBBBBBBBBBB');

const partitionsOf = (count: number) =>
  Array.from({ length: count }, (_, partition) => ({
    partition,
    offset: offset(partition),
    leaderEpoch: leaderEpoch(0),
    metadata: '',
  }));

describe('in the course of time', () => {
  test('offsets go, and with the last of them their group', () => {
    const under = new CoordinatorUnderTest(options);
    const { a, b, generation } = twoStable(under);
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: generation }));
    under.ask(leaveOf({ memberId: a }, { memberId: b }));
    under.advance(7 * dayMs - 600_000);
    assert.deepEqual(committed(under), { 'orders-0': 7 });
    assert.equal(stateOf(under), 'Empty');
    const before = under.log.length;
    under.advance(1_200_000);
    assert.equal(stateOf(under), 'Dead');
    assert.deepEqual(
      under.log.slice(before).map(({ kind, value }) => [kind, value]),
      [
        ['offsetCommit', null],
        ['classicGroup', null],
      ],
    );
  });

  test('an empty group without offsets goes at once, but not while somebody joins it', () => {
    const under = new CoordinatorUnderTest(options);
    const { a, b } = twoStable(under);
    under.ask(leaveOf({ memberId: a }, { memberId: b }));
    const joining = join(under);
    under.advance(1_200_000);
    assert.equal(joining.answer()?.generation, 4);
    const { memberId = '' } = joining.answer() ?? {};
    under.ask(leaveOf({ memberId }));
    under.advance(1_200_000);
    assert.equal(stateOf(under), 'Dead');
  });

  test('what the log refuses to delete is deleted another time', () => {
    const under = new CoordinatorUnderTest(options);
    under.ask(commitOf());
    under.refusal = { code: 'NOT_ENOUGH_REPLICAS' };
    under.advance(8 * dayMs);
    assert.deepEqual(committed(under), { 'orders-0': 7 });
    under.refusal = null;
    under.advance(1_200_000);
    assert.deepEqual(committed(under), {});
  });

  test('many offsets go in many batches, none of them too large, and many groups in many slices', () => {
    const under = new CoordinatorUnderTest(options);
    const topics = [{ topic: 'orders', topicId: ordersId, partitions: partitionsOf(2500) }];
    under.ask(commitOf({ topics }));
    for (let at = 0; at < 1200; at++) under.ask(commitOf({ groupId: `group-${at}` }));
    under.now = { monotonicMs: under.now.monotonicMs + 8 * dayMs, wallMs: under.now.wallMs + 8 * dayMs };
    const appended = under.batches.length;
    let slices = 0;
    for (; Object.keys(committed(under)).length > 0 && slices < 100; slices++) under.tick();
    assert.ok(slices > 2 && slices < 10, `${slices} slices`);
    const batches = under.batches.slice(appended);
    assert.equal(
      batches.reduce((sum, size) => sum + size),
      3700,
    );
    assert.equal(Math.max(...batches), 1000);
  });
});

describe('when a topic is deleted', () => {
  test('its offsets go, in all groups, and no others', () => {
    const under = new CoordinatorUnderTest(options);
    under.setTopic('refunds', otherId);
    const topics = [
      { topic: 'orders', topicId: ordersId, partitions: partitionsOf(2) },
      { topic: 'refunds', topicId: otherId, partitions: partitionsOf(2) },
    ];
    under.ask(commitOf({ topics }));
    under.ask(commitOf({ topics, groupId: 'other' }));
    under.dropTopic('orders');
    under.onTopicsDeleted('orders', 'never read');
    for (const groupId of [group, 'other'])
      assert.deepEqual(committed(under, groupId), { 'refunds-0': 0, 'refunds-1': 1 });
  });

  test('and one of the same name is there, offsets of that one stay', () => {
    const under = new CoordinatorUnderTest(options);
    under.ask(commitOf({ topics: [{ topic: 'orders', topicId: ordersId, partitions: partitionsOf(2) }] }));
    under.setTopic('orders', otherId);
    under.ask(commitOf({ topics: [{ topic: 'orders', topicId: otherId, partitions: partitionsOf(1) }] }));
    under.onTopicsDeleted('orders');
    assert.deepEqual(committed(under), { 'orders-0': 0 });
  });

  test('no group that has a record goes with its offsets', () => {
    const under = new CoordinatorUnderTest(options);
    const { a, generation } = twoStable(under);
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: generation }));
    under.dropTopic('orders');
    under.onTopicsDeleted('orders');
    assert.deepEqual(under.log.at(-1), {
      kind: 'offsetCommit',
      groupId: group,
      topic: 'orders',
      partition: 0,
      value: null,
    });
    assert.equal(stateOf(under), 'Stable');
  });

  test('and nobody there to hear of it, its offsets are not told of the next one of its name, and go in time', () => {
    const under = new CoordinatorUnderTest(options);
    const { a, generation } = twoStable(under);
    under.ask(commitOf({ memberId: a, generationOrMemberEpoch: generation }));
    under.setTopic('orders', otherId);
    under.elect();
    assert.deepEqual(committed(under), {});
    const topics = [{ topic: 'orders', partitions: [0] }];
    const request = { kind: 'offsetFetch', groupId: group, memberId: null, memberEpoch: -1, topics } as const;
    assert.deepEqual(under.ask({ ...request, requireStable: false }), {
      topics: [
        { topic: 'orders', partitions: [{ partition: 0, offset: -1, leaderEpoch: -1, metadata: '', fault: null }] },
      ],
    });
    const appended = under.log.length;
    under.advance(1_200_000);
    const isDeleted = under.log.slice(appended).some(({ kind, value }) => kind === 'offsetCommit' && value === null);
    assert.ok(isDeleted);
  });
});
