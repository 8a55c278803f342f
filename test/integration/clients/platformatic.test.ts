/** @platformatic/kafka against a development cluster: admin, producer with every codec, fetch by offset and time. */
import assert from 'node:assert/strict';
import { Admin, Consumer, ListOffsetTimestamps, Producer } from '@platformatic/kafka';
import { afterAll, describe, test } from 'vitest';
import { TestCluster } from '../../support/dev.ts';
import { readBack } from '../../support/read-back.ts';
import { until } from '../../support/until.ts';

const cluster = await TestCluster.start();
const options = { clientId: 'test', bootstrapBrokers: cluster.brokers };
const admin = new Admin(options);
afterAll(async () => {
  await admin.close();
  await cluster.remove();
});

describe('the admin client', () => {
  test('creates, lists, grows, describes and deletes topics', async () => {
    const configs = [{ name: 'retention.ms', value: '5000' }];
    const [created] = await admin.createTopics({ topics: ['managed'], partitions: 2, replicas: 3, configs });
    assert.equal(created?.name, 'managed');
    assert.ok((await admin.listTopics()).includes('managed'));
    await assert.rejects(admin.createTopics({ topics: ['managed'] }));
    await admin.createPartitions({ topics: [{ name: 'managed', count: 5 }] });
    const topic = await until('five partitions', async () => {
      const found = (await admin.metadata({ topics: ['managed'], forceUpdate: true })).topics.get('managed');
      return found?.partitionsCount === 5 && found;
    });
    for (const { replicas } of topic.partitions) assert.equal(replicas.length, 3);
    const [described] = await admin.describeConfigs({
      resources: [{ resourceType: 2, resourceName: 'managed', configurationKeys: ['retention.ms'] }],
      includeSynonyms: true,
    });
    assert.deepEqual(
      described?.configs.map(({ name, value, configSource }) => [name, value, configSource]),
      [['retention.ms', '5000', 1]],
    );
    await admin.deleteTopics({ topics: ['managed'] });
    await until('it is gone', async () => !(await admin.listTopics()).includes('managed'));
  });

  test('lists offsets by name and by time', async () => {
    await admin.createTopics({ topics: ['listed'], partitions: 1, replicas: 3 });
    const producer = new Producer(options);
    for (const timestamp of [1000n, 3000n, 2000n])
      await producer.send({ acks: -1, messages: [{ topic: 'listed', value: Buffer.from(`${timestamp}`), timestamp }] });
    await producer.close();
    const at = async (timestamp: bigint) => {
      const [topic] = await admin.listOffsets({
        topics: [{ name: 'listed', partitions: [{ partitionIndex: 0, timestamp }] }],
      });
      return topic?.partitions[0]?.offset;
    };
    assert.equal(await at(ListOffsetTimestamps.LATEST), 3n);
    assert.equal(await at(ListOffsetTimestamps.EARLIEST), 0n);
    assert.equal(await at(ListOffsetTimestamps.MAX), 1n);
    assert.equal(await at(1500n), 1n);
    assert.equal(await at(9999n), -1n);
  });
});

const rich = [
  { key: 'key', value: 'value', headers: [['trace', 'abc']] },
  { key: undefined, value: 'no key', headers: [] },
  { key: 'empty', value: '', headers: [] },
  { key: 'large', value: 'x'.repeat(900 * 1024), headers: [] },
] as const;

for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)
  for (const acks of [0, 1, -1])
    test(`${compression} with acks ${acks} is read as it was written, by itself and by others`, async () => {
      const topic = `rich-${compression}-${acks}`;
      const [created] = await admin.createTopics({ topics: [topic], partitions: 1, replicas: 3 });
      const producer = new Producer({ ...options, idempotent: acks === -1 });
      await producer.send({
        acks,
        compression,
        messages: rich.map(({ key, value, headers }) => ({
          topic,
          ...(key !== undefined && { key: Buffer.from(key) }),
          value: Buffer.from(value),
          headers: new Map(headers.map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
        })),
      });
      const [records = []] = await until('all are there', async () => {
        const read = await readBack(cluster.bootstrap, topic);
        return read[0]?.length === rich.length && read;
      });
      await producer.close();
      const plain = records.map((record) => [record.key?.toString(), record.value?.toString()]);
      assert.deepEqual(
        plain,
        rich.map(({ key, value }) => [key, value]),
      );
      assert.deepEqual(
        records[0]?.headers.map((header) => [header.key, String(header.value)]),
        [['trace', 'abc']],
      );

      const consumer = new Consumer({ ...options, groupId: 'none' });
      const leader = (await consumer.metadata({ topics: [topic] })).topics.get(topic)?.partitions[0]?.leader ?? -1;
      const partitions = [
        { partition: 0, currentLeaderEpoch: -1, fetchOffset: 0n, lastFetchedEpoch: -1, partitionMaxBytes: 8 << 20 },
      ];
      const answer = await consumer.fetch({
        node: leader,
        topics: [{ topicId: created?.id ?? '', partitions }],
        maxWaitTime: 1000,
        minBytes: 1,
      });
      const batches = answer.responses[0]?.partitions[0]?.records ?? [];
      const values = batches.flatMap(({ records: inside }) => inside.map(({ value }) => String(value)));
      assert.deepEqual(
        values,
        rich.map(({ value }) => value),
      );
      await consumer.close();
    });
