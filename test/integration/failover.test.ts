/** What the survivors tell clients when a leader is gone: at once the new one, and never less than was known before. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'vitest';
import { produceApi } from '../../src/wire/messages/00-produce.ts';
import { fetchApi } from '../../src/wire/messages/01-fetch.ts';
import { listOffsetsApi } from '../../src/wire/messages/02-list-offsets.ts';
import { metadataApi } from '../../src/wire/messages/03-metadata.ts';
import { initProducerIdApi } from '../../src/wire/messages/22-init-producer-id.ts';
import { offsetForLeaderEpochApi } from '../../src/wire/messages/23-offset-for-leader-epoch.ts';
import { TestCluster } from '../support/dev.ts';
import { RawCluster } from '../support/raw-cluster.ts';
import { batchesIn, encodeRecordBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';

let cluster: TestCluster;
let raw: RawCluster;
const clients: WireClient[] = [];
beforeEach(async () => {
  cluster = await TestCluster.start({ config: { 'auto.leader.rebalance.enable': 'false' } });
  raw = new RawCluster(cluster.bootstrap);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  raw.close();
  await cluster.remove();
});

async function open(id: number): Promise<WireClient> {
  const client = await WireClient.open(cluster.addressOf(id));
  clients.push(client);
  return client;
}

async function metadataFrom(client: WireClient, topic: string) {
  const answer = await client.ask(metadataApi, 12, { topics: [{ name: topic }], allowAutoTopicCreation: false });
  const partition = answer.topics[0]?.partitions[0];
  assert.ok(partition);
  return {
    ...partition,
    topicId: answer.topics[0]?.topicId ?? '',
    brokerIds: answer.brokers.map(({ nodeId }) => nodeId),
  };
}

const batchOf = (value: string, producer: object = {}): Buffer =>
  encodeRecordBatch([{ value: Buffer.from(value) }], { timestampMs: Date.now(), ...producer });

async function produce(client: WireClient, topic: string, records: Buffer, { version = 9, topicId = '' } = {}) {
  const answer = await client.ask(produceApi, version, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name: topic, ...(topicId && { topicId }), partitionData: [{ index: 0, records }] }],
  });
  const done = answer.responses[0]?.partitionResponses[0];
  assert.ok(done);
  return { ...done, nodeEndpoints: answer.nodeEndpoints };
}

/** A topic on all three brokers, with its leader and the two that will be left. */
async function topicOnAll(topic: string) {
  await raw.createTopic(topic, { partitions: 1, replicationFactor: 3 });
  const { partitions } = await raw.partitionsOf(topic);
  const { leader = -1, leaderEpoch = -1 } = partitions[0] ?? {};
  return { leader, leaderEpoch, others: [1, 2, 3].filter((id) => id !== leader) };
}

for (const how of ['killBroker', 'stopBroker'] as const)
  describe(how === 'killBroker' ? 'a killed leader' : 'a leader that stops', () => {
    test('is named no more together with its broker: the new one stands there and takes writes', async () => {
      for (const topic of ['a', 'b']) {
        const { leader, leaderEpoch, others } = await topicOnAll(topic);
        const survivors = await Promise.all(others.map(open));
        await produce(await open(leader), topic, batchOf('before'));
        await cluster.dev[how](leader);
        for (const survivor of survivors) {
          // Until the end of the connection has arrived there nobody can know.
          const found = await until('the broker is gone', async () => {
            const told = await metadataFrom(survivor, topic);
            return !told.brokerIds.includes(leader) && told;
          });
          assert.deepEqual(found.brokerIds, others);
          assert.ok(others.includes(found.leaderId), `leader ${found.leaderId}`);
          assert.ok(found.leaderEpoch > leaderEpoch);
          assert.equal(found.errorCode, 0);
          const done = await produce(await open(found.leaderId), topic, batchOf('after'));
          assert.equal(done.errorCode, 0);
        }
        await cluster.dev.startBroker(leader);
        await raw.waitForIsr(topic, 1, 3, 20_000);
      }
    });

    test('leaves a successor that knows all five batches of a producer as repeats', async () => {
      const { leader } = await topicOnAll('repeats');
      const first = await open(leader);
      const { producerId } = await first.ask(initProducerIdApi, 4, { transactionalId: null });
      const batches = [0, 1, 2, 3, 4].map((baseSequence) =>
        batchOf(`${baseSequence}`, { producerId: Number(producerId), producerEpoch: 0, baseSequence }),
      );
      for (const [index, batch] of batches.entries())
        assert.equal((await produce(first, 'repeats', batch)).baseOffset, BigInt(index));
      await cluster.dev[how](leader);
      const { leader: next } = await until('a successor', async () => {
        const { partitions } = await raw.partitionsOf('repeats');
        return partitions[0] && partitions[0].leader > 0 && partitions[0].leader !== leader && partitions[0];
      });
      const second = await open(next);
      for (const [index, batch] of batches.entries()) {
        const again = await produce(second, 'repeats', batch);
        assert.deepEqual([again.errorCode, again.baseOffset], [0, BigInt(index)]);
      }
      const sixth = batchOf('5', { producerId: Number(producerId), producerEpoch: 0, baseSequence: 5 });
      assert.equal((await produce(second, 'repeats', sixth)).baseOffset, 5n);
    });

    test('is followed by epochs that clients can check, and offsets that never go back', async () => {
      const { leader, leaderEpoch, others } = await topicOnAll('epochs');
      const first = await open(leader);
      for (const value of ['a', 'b', 'c']) await produce(first, 'epochs', batchOf(value));
      await cluster.dev[how](leader);
      const survivor = await open(others[0] ?? -1);
      const found = await until('a successor is named', async () => {
        const told = await metadataFrom(survivor, 'epochs');
        return told.leaderId !== leader && told;
      });
      const second = await open(found.leaderId);
      const ends: bigint[] = [];
      await until('the end is told again', async () => {
        const partitions = [{ partitionIndex: 0, timestamp: -1n, currentLeaderEpoch: -1 }];
        const answer = await second.ask(listOffsetsApi, 7, { replicaId: -1, topics: [{ name: 'epochs', partitions }] });
        const { errorCode = -1, offset = -1n } = answer.topics[0]?.partitions[0] ?? {};
        assert.ok(errorCode === 0 || errorCode === 78, `error ${errorCode}`);
        if (errorCode === 0) ends.push(offset);
        return errorCode === 0;
      });
      assert.deepEqual(ends, [3n]);
      const fetchAt = async (currentLeaderEpoch: number) => {
        const partitions = [{ partition: 0, fetchOffset: 0n, currentLeaderEpoch, partitionMaxBytes: 1 << 20 }];
        const body = {
          maxWaitMs: 0,
          maxBytes: 1 << 20,
          sessionEpoch: -1,
          topics: [{ topicId: found.topicId, partitions }],
        };
        return (await second.ask(fetchApi, 16, body)).responses[0]?.partitions[0];
      };
      const fenced = await fetchAt(leaderEpoch);
      assert.equal(fenced?.errorCode, 74);
      assert.deepEqual(fenced.currentLeader, { leaderId: found.leaderId, leaderEpoch: found.leaderEpoch });
      const current = await fetchAt(found.leaderEpoch);
      assert.equal([...batchesIn(current?.records ?? Buffer.alloc(0))].length, 3);
      const partitions = [{ partition: 0, leaderEpoch, currentLeaderEpoch: found.leaderEpoch }];
      const asked = { replicaId: -1, topics: [{ topic: 'epochs', partitions }] };
      const end = (await second.ask(offsetForLeaderEpochApi, 4, asked)).topics[0]?.partitions[0];
      assert.deepEqual([end?.errorCode, end?.leaderEpoch, end?.endOffset], [0, leaderEpoch, 3n]);
    });
  });

describe('a planned move', () => {
  test('answers what waits at the old leader with success or with the way to the new one, in time', async () => {
    const { leader } = await topicOnAll('moving');
    const clientsOfOld = await Promise.all(Array.from({ length: 10 }, () => open(leader)));
    const { topicId } = await metadataFrom(clientsOfOld[0] ?? (await open(leader)), 'moving');
    let isOver = false;
    const acknowledged: string[] = [];
    const hinted: number[] = [];
    const sending = clientsOfOld.map(async (client, index) => {
      for (let count = 0; !isOver; count++) {
        const value = `${index}-${count}`;
        const done = await produce(client, 'moving', batchOf(value), { version: 13, topicId }).catch(() => null);
        if (done === null) return; // the broker is gone, as it said
        if (done.errorCode === 0) acknowledged.push(value);
        else {
          assert.equal(done.errorCode, 6, value);
          if (done.currentLeader.leaderId >= 0) hinted.push(done.currentLeader.leaderId);
          return;
        }
      }
    });
    await until('writes go on', () => acknowledged.length > 100);
    await cluster.dev.stopBroker(leader);
    isOver = true;
    await Promise.all(sending);
    for (const id of hinted) assert.notEqual(id, leader, 'never itself');
    const { partitions } = await raw.partitionsOf('moving');
    assert.ok(partitions[0]?.leader !== leader);
    const found = new Set<string>();
    for await (const records of raw.readPartition('moving', 0))
      for (const { value } of records) found.add(String(value));
    for (const value of acknowledged) assert.ok(found.has(value), `${value} was acknowledged`);
  });
});
