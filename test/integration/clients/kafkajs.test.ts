/** kafkajs against a development cluster: its admin, its producer with everything a record can carry, read back. */
import assert from 'node:assert/strict';
import { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { TestCluster } from '../../support/dev.ts';
import { readBack } from '../../support/read-back.ts';
import { until } from '../../support/until.ts';

const cluster = await TestCluster.start();
const kafka = new Kafka({ clientId: 'test', brokers: cluster.brokers, logLevel: logLevel.NOTHING });
afterAll(() => cluster.remove());

describe('the admin client', () => {
  const admin = kafka.admin();
  beforeAll(() => admin.connect());
  afterAll(() => admin.disconnect());

  test('creates, lists, describes, grows and deletes topics', async () => {
    const configEntries = [{ name: 'min.insync.replicas', value: '2' }];
    const topics = [{ topic: 'managed', numPartitions: 2, replicationFactor: 3, configEntries }];
    assert.equal(await admin.createTopics({ topics, waitForLeaders: true }), true);
    assert.equal(await admin.createTopics({ topics }), false);
    assert.ok((await admin.listTopics()).includes('managed'));
    await admin.createPartitions({ topicPartitions: [{ topic: 'managed', count: 4 }] });
    const [topic] = await until('four partitions with leaders', async () => {
      const found = (await admin.fetchTopicMetadata({ topics: ['managed'] })).topics;
      return found[0]?.partitions.length === 4 && found[0].partitions.every(({ leader }) => leader > 0) ? found : null;
    });
    for (const { replicas, isr } of topic?.partitions ?? []) assert.deepEqual([replicas.length, isr.length], [3, 3]);
    await admin.deleteTopics({ topics: ['managed'] });
    await until('it is gone', async () => !(await admin.listTopics()).includes('managed'));
  });

  test('describes the cluster and configurations', async () => {
    const { brokers, controller, clusterId } = await admin.describeCluster();
    assert.deepEqual(brokers.map(({ host, port }) => `${host}:${port}`).sort(), [...cluster.brokers].sort());
    assert.ok(brokers.some(({ nodeId }) => nodeId === controller));
    assert.ok(clusterId.length > 0);
    await admin.createTopics({ topics: [{ topic: 'set', configEntries: [{ name: 'retention.ms', value: '5000' }] }] });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: true,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: 'set', configNames: ['retention.ms'] }],
    });
    assert.deepEqual(
      resources[0]?.configEntries.map(({ configName, configValue, isDefault }) => [configName, configValue, isDefault]),
      [['retention.ms', '5000', false]],
    );
  });

  test('lists offsets, by time too', async () => {
    await admin.createTopics({ topics: [{ topic: 'listed', numPartitions: 1 }], waitForLeaders: true });
    const producer = kafka.producer();
    await producer.connect();
    for (const timestamp of ['1000', '2000', '3000'])
      await producer.send({ topic: 'listed', messages: [{ value: timestamp, timestamp }] });
    await producer.disconnect();
    assert.deepEqual(await admin.fetchTopicOffsets('listed'), [{ partition: 0, offset: '3', high: '3', low: '0' }]);
    assert.deepEqual(await admin.fetchTopicOffsetsByTimestamp('listed', 1500), [{ partition: 0, offset: '1' }]);
  });
});

describe('the producer', () => {
  const rich = [
    { key: 'key', value: 'value', headers: { trace: 'abc', more: ['1', '2'] } },
    { key: null, value: 'no key' },
    { key: 'gone', value: null },
    { key: '', value: '' },
    { key: Buffer.from([0, 255, 1]), value: Buffer.from([254, 0]) },
    { key: 'large', value: 'x'.repeat(900 * 1024) },
  ];
  const shown = (value: Buffer | string | null | undefined): string | null =>
    value === null || value === undefined ? null : Buffer.from(value).toString('base64');

  for (const [title, acks, compression, idempotent] of [
    ['acks 0', 0, CompressionTypes.None, false],
    ['acks 1', 1, CompressionTypes.None, false],
    ['acks all', -1, CompressionTypes.None, false],
    ['acks all and gzip', -1, CompressionTypes.GZIP, false],
    ['idempotence', -1, CompressionTypes.None, true],
  ] as const)
    test(`with ${title} writes keys, headers, nulls and large values as they were given`, async () => {
      const topic = `rich-${title.replaceAll(' ', '-')}`;
      const admin = kafka.admin();
      await admin.connect();
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
      await admin.disconnect();
      const producer = kafka.producer({ idempotent });
      await producer.connect();
      const [answer] = await producer.send({ topic, acks, compression, messages: [...rich] });
      if (acks !== 0) assert.deepEqual([answer?.errorCode, answer?.baseOffset], [0, '0']);
      const [records = []] = await until('all are there', async () => {
        const read = await readBack(cluster.bootstrap, topic);
        return read[0]?.length === rich.length && read;
      });
      await producer.disconnect();
      for (const [index, { key, value }] of rich.entries()) {
        assert.equal(shown(records[index]?.key), shown(key), `key ${index}`);
        assert.equal(shown(records[index]?.value), shown(value), `value ${index}`);
      }
      assert.deepEqual(
        records[0]?.headers.map((header) => [header.key, String(header.value)]),
        [
          ['trace', 'abc'],
          ['more', '1'],
          ['more', '2'],
        ],
      );
    });

  test('creates a topic by writing to it, with its defaults', async () => {
    const producer = kafka.producer({ allowAutoTopicCreation: true });
    await producer.connect();
    await producer.send({ topic: 'made-by-writing', messages: [{ value: 'first' }] });
    await producer.disconnect();
    const [records] = await readBack(cluster.bootstrap, 'made-by-writing');
    assert.deepEqual(
      records?.map(({ value }) => String(value)),
      ['first'],
    );
  });

  test('is told why a record is too large', async () => {
    const producer = kafka.producer({ retry: { retries: 0 } });
    await producer.connect();
    const value = 'x'.repeat(2 << 20);
    await assert.rejects(producer.send({ topic: 'made-by-writing', messages: [{ value }] }), /larger than/);
    await producer.send({ topic: 'made-by-writing', messages: [{ value: 'small again' }] });
    await producer.disconnect();
  });
});
