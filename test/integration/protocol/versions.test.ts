/** Does every version of every API that is advertised get a well-formed answer, and everything else an end? */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiTable } from '../../../src/broker/api-table.ts';
import type { Api } from '../../../src/wire/api.ts';
import { apis } from '../../../src/wire/apis.ts';
import type { Fields } from '../../../src/wire/field.ts';
import { apiVersionsApi } from '../../../src/wire/messages/18-api-versions.ts';
import { TestCluster } from '../../support/dev.ts';
import { until } from '../../support/until.ts';
import { WireClient } from '../../support/wire-client.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ brokers: 1 });
});
afterAll(() => cluster?.remove());

const open = (): Promise<WireClient> => WireClient.open(cluster.addressOf(1));

/** A frame whose body is not looked at; its last byte is the end of a flexible header. */
function frameOf(apiKey: number, version: number): Buffer {
  const frame = Buffer.alloc(4 + 8 + 2 + 1);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt16BE(apiKey, 4);
  frame.writeInt16BE(version, 6);
  frame.writeInt32BE(7, 8);
  frame.writeInt16BE(-1, 12);
  return frame;
}

/** What a request needs beyond its defaults so that its answer has something in it. */
const bodies: Readonly<Record<string, object>> = {
  Produce: { acks: 1, timeoutMs: 1000, topicData: [{ name: 'none', partitionData: [{ index: 0, records: null }] }] },
  Fetch: { maxWaitMs: 0, topics: [{ topic: 'none', partitions: [{ partition: 0 }] }] },
  ListOffsets: { replicaId: -1, topics: [{ name: 'none', partitions: [{ partitionIndex: 0, timestamp: -1n }] }] },
  Metadata: { topics: [{ name: 'none' }], allowAutoTopicCreation: false },
  OffsetCommit: { groupId: 'none', topics: [{ name: 'none', partitions: [{ partitionIndex: 0 }] }] },
  OffsetFetch: { groupId: 'none', topics: [{ name: 'none', partitionIndexes: [0] }], groups: [{ groupId: 'none' }] },
  JoinGroup: { groupId: 'none', sessionTimeoutMs: 1, protocolType: 'consumer', protocols: [{ name: 'range' }] },
  Heartbeat: { groupId: 'none', memberId: 'nobody' },
  LeaveGroup: { groupId: 'none', memberId: 'nobody', members: [{ memberId: 'nobody' }] },
  SyncGroup: { groupId: 'none', memberId: 'nobody', protocolType: 'consumer', protocolName: 'range' },
  DescribeGroups: { groups: ['none'] },
  ListGroups: { statesFilter: ['Stable'], typesFilter: ['classic'] },
  DeleteGroups: { groupsNames: ['none'] },
  OffsetDelete: { groupId: 'none', topics: [{ name: 'none', partitions: [{ partitionIndex: 0 }] }] },
  ConsumerGroupHeartbeat: { groupId: 'none', memberId: 'nobody', memberEpoch: 3 },
  ConsumerGroupDescribe: { groupIds: ['none'] },
  FindCoordinator: { key: 'group', coordinatorKeys: ['group'] },
  ApiVersions: { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' },
  CreateTopics: { topics: [{ name: 'bad name', numPartitions: 1, replicationFactor: 1 }], timeoutMs: 1000 },
  DeleteTopics: { topics: [{ name: 'none' }], topicNames: ['none'], timeoutMs: 1000 },
  InitProducerId: { transactionalId: null },
  OffsetForLeaderEpoch: { topics: [{ topic: 'none', partitions: [{ partition: 0, leaderEpoch: 0 }] }] },
  DescribeConfigs: { resources: [{ resourceType: 4, resourceName: '1', configurationKeys: null }] },
  CreatePartitions: { topics: [{ name: 'none', count: 2, assignments: null }], timeoutMs: 1000 },
  DescribeCluster: {},
  DescribeTopicPartitions: { topics: [{ name: 'none' }], responsePartitionLimit: 10 },
};

describe.each([...apiTable.values()].map((served) => [served.api.name, served] as const))('%s', (name, served) => {
  test('answers every version with a message of that version', async () => {
    const client = await open();
    for (let version = served.minVersion; version <= served.maxVersion; version++) {
      const body = bodies[name];
      assert.ok(body, `${name} has a body to be asked with`);
      // Produce's default is acks=0, which has no answer.
      for (const asked of name === 'Produce' ? [{ acks: -1 }, body] : [{}, body])
        await client.ask(served.api as Api<Fields, Fields>, version, asked as never).catch((error: Error) => {
          throw new Error(`${name} ${version}: ${error.message}`, { cause: error });
        });
    }
    client.close();
  });

  test('closes the connection on the versions around', async () => {
    if (name === 'ApiVersions') return;
    for (const version of [served.minVersion - 1, served.maxVersion + 1, -1, 32767]) {
      const client = await open();
      client.socket.write(frameOf(served.api.key, version));
      await client.closed;
    }
  });
});

test('what is advertised is what is served, and Produce from 0 on for old librdkafka', async () => {
  const client = await open();
  const { errorCode, apiKeys } = await client.ask(apiVersionsApi, 4, {
    clientSoftwareName: 'test',
    clientSoftwareVersion: '1',
  });
  assert.equal(errorCode, 0);
  expect(apiKeys.map(({ apiKey }) => apiKey).sort((a, b) => a - b)).toEqual([...apiTable.keys()].sort((a, b) => a - b));
  for (const { apiKey, minVersion, maxVersion } of apiKeys) {
    const { lowest, highest } = apis.get(apiKey)?.versions ?? { lowest: -1, highest: -1 };
    assert.deepEqual([minVersion, maxVersion], [apiKey === 0 ? 0 : lowest, highest], `api ${apiKey}`);
  }
  client.close();
});

test('APIs that are described but not served close the connection with one line', async () => {
  const before = cluster.log.complaints.length;
  const unserved = [...apis.keys(), 4, 5, 6, 7, 93, 1000, 32767, -1].filter((key) => !apiTable.has(key));
  for (const key of unserved) {
    const client = await open();
    client.socket.write(frameOf(key, 0));
    await client.closed;
  }
  await until('one line each', () => cluster.log.complaints.length - before >= unserved.length);
  assert.equal(cluster.log.complaints.length - before, unserved.length);
  for (const { message } of cluster.log.complaints.slice(before)) assert.match(message, /api -?\d+ version 0/);
});

test('an unknown version of ApiVersions is answered in version 0 with error 35 and the range', async () => {
  for (const version of [5, 99, -1]) {
    const client = await open();
    const frame = await client.askBytes(frameOf(18, version));
    const { errorCode, apiKeys } = apiVersionsApi.response.decode(0, frame, 4, { allowTrailingBytes: false });
    assert.equal(errorCode, 35);
    assert.deepEqual(apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }]);
    // The client comes again on the same connection.
    assert.equal((await client.ask(apiVersionsApi, 0)).errorCode, 0);
    client.close();
  }
});

test('ApiVersions refuses a software name that could break a log line', async () => {
  const client = await open();
  const named = (clientSoftwareName: string) =>
    client.ask(apiVersionsApi, 3, { clientSoftwareName, clientSoftwareVersion: '1' });
  assert.equal((await named('a b')).errorCode, 42);
  assert.equal((await named('')).errorCode, 42);
  assert.equal((await named('librdkafka')).errorCode, 0);
  client.close();
});

test('a connection opened while the broker starts or without a byte costs nobody anything', async () => {
  const { host, port } = cluster.addressOf(1);
  const silent = Array.from({ length: 20 }, () => connect({ host, port }));
  const client = await open();
  assert.equal((await client.ask(apiVersionsApi, 0)).errorCode, 0);
  client.close();
  for (const socket of silent) socket.destroy();
});
