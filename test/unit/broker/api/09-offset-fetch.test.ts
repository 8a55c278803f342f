import assert from 'node:assert/strict';
import { test } from 'vitest';
import { offsetFetch } from '../../../../src/broker/api/09-offset-fetch.ts';
import type { Fault } from '../../../../src/model/fault.ts';
import { offsetFetchApi } from '../../../../src/wire/messages/09-offset-fetch.ts';
import { ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { ServicesUnderTest } from '../services-fixture.ts';

// the coordinator's refusal | the error that versions 1, 2 and 8 tell
const cases = [
  ['COORDINATOR_NOT_AVAILABLE', 16],
  ['COORDINATOR_LOAD_IN_PROGRESS', 14],
  ['NOT_COORDINATOR', 16],
] as const;

for (const [code, expected] of cases)
  test(`${code} is told as ${expected}, which every consumer comes again after`, async () => {
    const under = new ServicesUnderTest(await ManagerUnderTest.start([{}]));
    const fault: Fault = { code };
    Object.assign(under.services, { groups: { ask: async () => ({ fault }) } });
    const topics = [{ name: 'orders', partitionIndexes: [0] }];
    const first = await under.ask(offsetFetch, offsetFetchApi, 1, { groupId: 'group', topics });
    assert.equal(first.topics[0]?.partitions[0]?.errorCode, expected);
    const second = await under.ask(offsetFetch, offsetFetchApi, 2, { groupId: 'group', topics });
    assert.equal(second.errorCode, expected);
    const eighth = await under.ask(offsetFetch, offsetFetchApi, 8, { groups: [{ groupId: 'group', topics }] });
    assert.equal(eighth.groups[0]?.errorCode, expected);
  });

test('a group that is named twice is told once, and what does not fit into one answer is to be asked for again', async () => {
  const under = new ServicesUnderTest(await ManagerUnderTest.start([{}]));
  const partitions = Array.from({ length: 60_000 }, (_, partition) => ({
    ...{ partition, offset: 7, leaderEpoch: 0, metadata: '', fault: null },
  }));
  Object.assign(under.services, { groups: { ask: async () => ({ topics: [{ topic: 'orders', partitions }] }) } });
  const groups = ['a', 'a', 'b'].map((groupId) => ({ groupId, topics: null }));
  const answer = await under.ask(offsetFetch, offsetFetchApi, 8, { groups });
  assert.deepEqual(
    answer.groups.map(({ groupId, errorCode, topics }) => [groupId, errorCode, topics[0]?.partitions.length]),
    [
      ['a', 0, 60_000],
      ['a', 42, undefined],
      ['b', 14, undefined],
    ],
  );
});
