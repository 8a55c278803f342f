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
