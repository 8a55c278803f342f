/** A cluster that was stopped or killed comes back with everything it acknowledged; also one broker inside a test. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'vitest';
import { produceApi } from '../../src/wire/messages/00-produce.ts';
import { metadataApi } from '../../src/wire/messages/03-metadata.ts';
import { initProducerIdApi } from '../../src/wire/messages/22-init-producer-id.ts';
import { TestCluster } from '../support/dev.ts';
import { checkHistory, type SentRecord } from '../support/history-checker.ts';
import { RawCluster } from '../support/raw-cluster.ts';
import { readBack, readsOf } from '../support/read-back.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';

let cluster: TestCluster;
afterEach(() => cluster?.remove());

/** Batches of ten for each partition, one after the other, each acknowledged; what `flaky` allows may fail. */
async function fill(topic: string, partitions: number, batches: number, from = 0): Promise<SentRecord[]> {
  const raw = new RawCluster(cluster.bootstrap);
  const sent: SentRecord[] = [];
  const { brokers, partitions: led } = await raw.partitionsOf(topic);
  for (let batch = from; batch < from + batches; batch++)
    for (let partition = 0; partition < partitions; partition++) {
      const values = Array.from({ length: 10 }, (_, index) => `${topic}-${partition}-${batch}-${index}`);
      const address = brokers.find(({ id }) => id === led[partition]?.leader);
      assert.ok(address);
      const connection = await WireClient.open(address);
      const records = encodeRecordBatch(
        values.map((value) => ({ value: Buffer.from(value) })),
        { timestampMs: Date.now() },
      );
      const topicData = [{ name: topic, partitionData: [{ index: partition, records }] }];
      const answer = await connection.ask(produceApi, 9, { acks: -1, timeoutMs: 10_000, topicData });
      connection.close();
      const [done] = answer.responses[0]?.partitionResponses ?? [];
      assert.equal(done?.errorCode, 0);
      for (const [index, value] of values.entries())
        sent.push({
          process: `${topic}-${partition}`,
          value,
          outcome: 'ok',
          acks: 'all',
          isIdempotent: true,
          partition,
          offset: Number(done.baseOffset) + index,
        });
    }
  raw.close();
  return sent;
}

async function newTopic(name: string, partitions: number, replicationFactor: number): Promise<void> {
  const raw = new RawCluster(cluster.bootstrap);
  await raw.createTopic(name, { partitions, replicationFactor });
  raw.close();
}

async function inSync(topic: string, partitions: number, size: number): Promise<void> {
  const raw = new RawCluster(cluster.bootstrap);
  await raw.waitForIsr(topic, partitions, size, 30_000);
  raw.close();
}

async function judge(topic: string, sent: readonly SentRecord[]): Promise<void> {
  assert.deepEqual(checkHistory(sent, readsOf(await readBack(cluster.bootstrap, topic))), []);
}

for (const how of ['stop', 'kill'] as const)
  describe(how === 'stop' ? 'stopped cleanly' : 'killed', () => {
    test('three brokers come back with every record, leaders and the whole ISR, again and again', async () => {
      cluster = await TestCluster.start();
      await newTopic('kept', 6, 3);
      const { clusterId } = await metadata(1);
      let sent: SentRecord[] = [];
      for (let round = 0; round < 3; round++) {
        sent = [...sent, ...(await fill('kept', 6, 5, round * 5))];
        await cluster[how]();
        await cluster.start();
        await inSync('kept', 6, 3);
        await judge('kept', sent);
      }
      assert.equal((await metadata(2)).clusterId, clusterId);
    });

    test('one broker comes back with every record, its topics and a producer that knows its repeats', async () => {
      cluster = await TestCluster.start({ brokers: 1 });
      await newTopic('alone', 2, 1);
      const sent = await fill('alone', 2, 10);
      const before = await WireClient.open(cluster.addressOf(1));
      const { producerId } = await before.ask(initProducerIdApi, 4, { transactionalId: null });
      const batch = (baseSequence: number) =>
        encodeRecordBatch([{ value: Buffer.from(`idempotent ${baseSequence}`) }], {
          timestampMs: Date.now(),
          producerId: Number(producerId),
          producerEpoch: 0,
          baseSequence,
        });
      const send = async (client: WireClient, records: Buffer) => {
        const topicData = [{ name: 'alone', partitionData: [{ index: 0, records }] }];
        const answer = await client.ask(produceApi, 9, { acks: -1, timeoutMs: 10_000, topicData });
        const done = answer.responses[0]?.partitionResponses[0];
        return [done?.errorCode, Number(done?.baseOffset)];
      };
      const batches = [0, 1, 2, 3, 4, 5].map(batch);
      for (const [index, records] of batches.entries()) assert.deepEqual(await send(before, records), [0, 100 + index]);
      await cluster[how]();
      await cluster.start();
      const after = await WireClient.open(cluster.addressOf(1));
      // The last five are repeats, not new records and not out of order.
      for (const [index, records] of batches.entries())
        if (index > 0) assert.deepEqual(await send(after, records), [0, 100 + index]);
      assert.deepEqual(await send(after, batch(6)), [0, 106]);
      const { producerId: next } = await after.ask(initProducerIdApi, 4, { transactionalId: null });
      assert.ok(next > producerId, 'a producer id is never given out again');
      for (const client of [before, after]) client.close();
      const known = new Set(sent.map(({ value }) => value));
      const records = (await readBack(cluster.bootstrap, 'alone')).map((partition) =>
        partition.filter(({ value }) => known.has(String(value))),
      );
      assert.deepEqual(checkHistory(sent, readsOf(records)), []);
    });
  });

async function metadata(id: number) {
  const client = await WireClient.open(cluster.addressOf(id));
  const answer = await client.ask(metadataApi, 12, { topics: null });
  client.close();
  return answer;
}

describe('one of three', () => {
  test('stopped cleanly hands its partitions on and takes its own back later', async () => {
    cluster = await TestCluster.start({ config: { 'leader.imbalance.check.interval.seconds': '1' } });
    await newTopic('handed', 6, 3);
    let sent = await fill('handed', 6, 2);
    for (const id of [1, 2, 3]) {
      await cluster.dev.stopBroker(id);
      const other = (id % 3) + 1;
      const { topics, brokers } = await metadata(other);
      assert.ok(brokers.every(({ nodeId }) => nodeId !== id));
      for (const { leaderId } of topics[0]?.partitions ?? []) assert.ok(leaderId > 0 && leaderId !== id);
      sent = [...sent, ...(await fill('handed', 6, 2, id * 2))];
      await cluster.dev.startBroker(id);
      await inSync('handed', 6, 3);
    }
    await until('each leads two again', async () => {
      const led = new Map<number, number>();
      for (const { leaderId } of (await metadata(1)).topics[0]?.partitions ?? [])
        led.set(leaderId, (led.get(leaderId) ?? 0) + 1);
      return [1, 2, 3].every((id) => led.get(id) === 2);
    });
    await judge('handed', sent);
  });

  test('killed and started again has what it missed', async () => {
    cluster = await TestCluster.start();
    await newTopic('missed', 3, 3);
    let sent = await fill('missed', 3, 3);
    await cluster.dev.killBroker(2);
    await inSync('missed', 3, 2);
    sent = [...sent, ...(await fill('missed', 3, 20, 3))];
    await cluster.dev.startBroker(2);
    await inSync('missed', 3, 3);
    // Now it is the only one: what it says is what it copied.
    await cluster.dev.killBroker(1);
    await inSync('missed', 3, 2);
    await cluster.dev.killBroker(3);
    await inSync('missed', 3, 1);
    await judge('missed', sent);
  });

  test('a topic deleted while a broker is away is unknown to it when it is back, and its name is another topic', async () => {
    cluster = await TestCluster.start();
    await newTopic('deleted', 3, 3);
    await fill('deleted', 3, 1);
    await cluster.dev.killBroker(3);
    const raw = new RawCluster(cluster.bootstrap);
    await inSync('deleted', 3, 2);
    await raw.deleteTopics(['deleted']);
    raw.close();
    await newTopic('deleted', 1, 2);
    await cluster.dev.startBroker(3);
    const { topics } = await metadata(3);
    assert.equal(topics[0]?.partitions.length, 1);
    await newTopic('other', 3, 3);
    await judge('deleted', await fill('deleted', 1, 2));
    await judge('other', await fill('other', 3, 2));
  });
});
