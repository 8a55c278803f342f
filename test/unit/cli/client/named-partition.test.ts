import assert from 'node:assert/strict';
import { test } from 'vitest';
import { byPartition, partitionName, perTopic } from '../../../../src/cli/client/named-partition.ts';

test('partitions are in the order of topics, then of numbers', () => {
  const some = [
    { topic: 'b', partition: 0 },
    { topic: 'a', partition: 10 },
    { topic: 'a', partition: 9 },
  ];
  assert.deepEqual(some.sort(byPartition).map(partitionName), ['a-9', 'a-10', 'b-0']);
});

test('requests name each topic once, with all of its partitions', () => {
  const some = [
    { topic: 'a', partition: 0 },
    { topic: 'b', partition: 1 },
    { topic: 'a', partition: 2 },
  ];
  assert.deepEqual(
    perTopic(some, ({ partition }) => ({ partitionIndex: partition })),
    [
      { name: 'a', partitions: [{ partitionIndex: 0 }, { partitionIndex: 2 }] },
      { name: 'b', partitions: [{ partitionIndex: 1 }] },
    ],
  );
});
