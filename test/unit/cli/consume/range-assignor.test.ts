import assert from 'node:assert/strict';
import { test } from 'vitest';
import { assignByRange } from '../../../../src/cli/consume/range-assignor.ts';

const counts = new Map([
  ['a', 3],
  ['b', 3],
  ['c', 1],
]);
const assigned = (subscriptions: Record<string, readonly string[]>): Record<string, string> =>
  Object.fromEntries(
    [...assignByRange(new Map(Object.entries(subscriptions)), counts)].map(([memberId, topics]) => [
      memberId,
      topics.map(({ topic, partitions }) => `${topic}:${partitions}`).join(' '),
    ]),
  );

test('one member has everything that it subscribes to', () => {
  assert.deepEqual(assigned({ m1: ['b', 'a'] }), { m1: 'a:0,1,2 b:0,1,2' });
});

test('the first members have one more, and topics of one size are cut alike', () => {
  assert.deepEqual(assigned({ m2: ['a', 'b'], m1: ['a', 'b'] }), { m1: 'a:0,1 b:0,1', m2: 'a:2 b:2' });
});

test('a topic goes only to those who subscribe to it', () => {
  assert.deepEqual(assigned({ m1: ['a'], m2: ['b'], m3: ['b', 'a'] }), { m1: 'a:0,1', m2: 'b:0,1', m3: 'a:2 b:2' });
});

test('members without a partition are there, with nothing', () => {
  assert.deepEqual(assigned({ m1: ['c'], m2: ['c'], m3: ['nowhere'] }), { m1: 'c:0', m2: '', m3: '' });
});
