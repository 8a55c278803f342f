import assert from 'node:assert/strict';
import { test } from 'vitest';
import { createPartitions } from '../../../../src/broker/api/37-create-partitions.ts';
import { createPartitionsApi } from '../../../../src/wire/messages/37-create-partitions.ts';
import { ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { ServicesUnderTest } from '../services-fixture.ts';

const topic = (name: string, ...brokerIds: readonly number[]) => ({
  name,
  count: 2,
  assignments: brokerIds.length > 0 ? [{ brokerIds }] : null,
});

test('each topic is answered for itself, and the controller is asked for those that make sense alone', async () => {
  const under = new ServicesUnderTest(await ManagerUnderTest.start([{}]));
  const { results } = await under.ask(createPartitions, createPartitionsApi, 3, {
    topics: [topic('a', -2), topic('b', 1), topic('c'), topic('c', -2), topic('d', 1, -1), topic('e', -(2 ** 31))],
    timeoutMs: 1_000,
    validateOnly: false,
  });
  assert.deepEqual(
    results.map(({ name, errorCode }) => [name, errorCode]),
    [
      ['a', 39],
      ['b', 0],
      ['c', 42],
      ['d', 39],
      ['e', 39],
    ],
  );
  assert.deepEqual(under.commands, [
    { kind: 'createPartitions', topics: [{ name: 'b', total: 2, assignment: [[1]] }], validateOnly: false },
  ]);
});
