/** What a leader refuses, accepts and recognises in Produce, and what producers learn from the answer. */
import assert from 'node:assert/strict';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { producerId as producerIdOf } from '../../../src/model/brands.ts';
import { encodeBatch } from '../../../src/records/record-batch.ts';
import { produceApi } from '../../../src/wire/messages/00-produce.ts';
import { metadataApi } from '../../../src/wire/messages/03-metadata.ts';
import { initProducerIdApi } from '../../../src/wire/messages/22-init-producer-id.ts';
import { TestCluster } from '../../support/dev.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { readBack } from '../../support/read-back.ts';
import { crc32cOf, encodeRecordBatch } from '../../support/record-batches.ts';
import { until } from '../../support/until.ts';
import { WireClient } from '../../support/wire-client.ts';

const cluster = await TestCluster.start();
const raw = new RawCluster(cluster.bootstrap);
const clients: WireClient[] = [];
afterAll(async () => {
  raw.close();
  for (const client of clients) client.close();
  await cluster.remove();
});

async function open(brokerId: number): Promise<WireClient> {
  const client = await WireClient.open(cluster.addressOf(brokerId));
  clients.push(client);
  return client;
}

async function topicWith(
  name: string,
  configs: Record<string, string> = {},
  replicationFactor = 3,
): Promise<WireClient> {
  await raw.createTopic(name, { partitions: 1, replicationFactor, configs });
  const { partitions } = await raw.partitionsOf(name);
  return open(partitions[0]?.leader ?? -1);
}

async function produce(
  client: WireClient,
  name: string,
  records: Buffer | null,
  { acks = -1, version = 9, topicId = '' } = {},
) {
  const answer = await client.ask(produceApi, version, {
    acks,
    timeoutMs: 10_000,
    topicData: [{ name, ...(topicId && { topicId }), partitionData: [{ index: 0, records }] }],
  });
  const [done] = answer.responses[0]?.partitionResponses ?? [];
  assert.ok(done);
  return { ...done, nodeEndpoints: answer.nodeEndpoints };
}

const now = Date.now();
const batchOf = (value: string, more: object = {}): Buffer =>
  encodeRecordBatch([{ value: Buffer.from(value) }], { timestampMs: now, ...more });

/** The batch with a field of its header changed, and a CRC that covers the change. */
function changed(batch: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(batch);
  change(copy);
  copy.writeUInt32BE(crc32cOf(copy.subarray(21)), 17);
  return copy;
}

describe('one topic', () => {
  let client: WireClient;
  beforeAll(async () => {
    client = await topicWith('one');
  });

  test('an answer has the base offset, no append time, and the log start', async () => {
    const first = await produce(client, 'one', batchOf('a'));
    assert.deepEqual(
      [first.errorCode, first.baseOffset, first.logAppendTimeMs, first.logStartOffset],
      [0, 0n, -1n, 0n],
    );
    const second = await produce(client, 'one', batchOf('b'), { acks: 1 });
    assert.deepEqual([second.errorCode, second.baseOffset], [0, 1n]);
  });

  test('every version writes', async () => {
    const { topics } = await client.ask(metadataApi, 12, { topics: [{ name: 'one' }] });
    const topicId = topics[0]?.topicId ?? '';
    for (let version = 3; version <= 13; version++)
      assert.equal((await produce(client, 'one', batchOf(`version ${version}`), { version, topicId })).errorCode, 0);
    const unknown = await produce(client, 'one', batchOf('x'), { version: 13, topicId: 'AAAAAAAAAAAAAAAAAAAAFA' });
    assert.equal(unknown.errorCode, 100);
  });

  test('acks 0 is written and never answered', async () => {
    const before = await raw.endOffset('one', 0);
    client.tell(produceApi, 9, {
      acks: 0,
      timeoutMs: 1000,
      topicData: [{ name: 'one', partitionData: [{ index: 0, records: batchOf('quiet') }] }],
    });
    await until('it is in the log', async () => (await raw.endOffset('one', 0)) === before + 1);
    assert.equal((await produce(client, 'one', batchOf('loud'))).errorCode, 0);
  });

  test('acks 0 that fails ends the connection, which is all a client can notice', async () => {
    const other = await topicWith('quiet');
    other.tell(produceApi, 9, {
      acks: 0,
      timeoutMs: 1000,
      topicData: [{ name: 'nobody', partitionData: [{ index: 0, records: batchOf('x') }] }],
    });
    await other.closed;
  });

  const damaged: readonly (readonly [string, Buffer | null, number])[] = [
    ['nothing', null, 87],
    ['an empty record set', Buffer.alloc(0), 87],
    ['a wrong CRC', changedWithoutCrc(batchOf('x')), 2],
    ['a length beyond its bytes', changed(batchOf('x'), (copy) => copy.writeInt32BE(copy.length, 8)), 2],
    ['a batch cut short', batchOf('x').subarray(0, 65), 2],
    ['less than a header', batchOf('x').subarray(0, 30), 2],
    ['message format 1', changed(batchOf('x'), (copy) => copy.writeInt8(1, 16)), 87],
    ['two batches', Buffer.concat([batchOf('x'), batchOf('y')]), 87],
    ['no records', changed(batchOf('x'), (copy) => copy.writeInt32BE(0, 57)), 87],
    ['more records than its last offset says', changed(batchOf('x'), (copy) => copy.writeInt32BE(5, 57)), 87],
    ['a control batch', changed(batchOf('x'), (copy) => copy.writeInt16BE(0x20, 21)), 87],
    ['a producer id without a sequence', batchOf('x', { producerId: 1, producerEpoch: 0 }), 87],
    ['the log append time bit', changed(batchOf('x'), (copy) => copy.writeInt16BE(0x08, 21)), 32],
    [
      'a transaction',
      changed(batchOf('x', { producerId: 1, producerEpoch: 0, baseSequence: 0 }), (copy) =>
        copy.writeInt16BE(0x10, 21),
      ),
      48,
    ],
  ];
  test.each(damaged)('%s is refused, and the connection lives on', async (_title, records, code) => {
    const before = await raw.endOffset('one', 0);
    const refused = await produce(client, 'one', records);
    assert.deepEqual([refused.errorCode, refused.baseOffset], [code, -1n]);
    assert.equal(await raw.endOffset('one', 0), before);
    assert.equal((await produce(client, 'one', batchOf('after'))).errorCode, 0);
  });

  function changedWithoutCrc(batch: Buffer): Buffer {
    const copy = Buffer.from(batch);
    copy.writeUInt8((copy.readUInt8(copy.length - 2) + 1) & 0xff, copy.length - 2);
    return copy;
  }

  test('acks that are none of 0, 1 and all are refused', async () => {
    for (const acks of [2, -2, 100]) assert.equal((await produce(client, 'one', batchOf('x'), { acks })).errorCode, 21);
  });

  test('an unknown topic and partition are 3', async () => {
    assert.equal((await produce(client, 'nobody', batchOf('x'))).errorCode, 3);
    const answer = await client.ask(produceApi, 9, {
      acks: 1,
      timeoutMs: 1000,
      topicData: [{ name: 'one', partitionData: [{ index: 9, records: batchOf('x') }] }],
    });
    assert.equal(answer.responses[0]?.partitionResponses[0]?.errorCode, 3);
  });

  test('zstd needs version 7', async () => {
    const plain = batchOf('z');
    const packed = zstdCompressSync(plain.subarray(61));
    const batch = changed(Buffer.concat([plain.subarray(0, 61), packed]), (copy) => {
      copy.writeInt32BE(copy.length - 12, 8);
      copy.writeInt16BE(4, 21);
    });
    assert.equal((await produce(client, 'one', batch, { version: 6 })).errorCode, 76);
    assert.equal((await produce(client, 'one', batch, { version: 7 })).errorCode, 0);
  });

  test('a follower says 6, from version 10 on with the leader and its endpoint', async () => {
    const { partitions } = await raw.partitionsOf('one');
    const { leader = -1, leaderEpoch = -1, replicas = [] } = partitions[0] ?? {};
    const follower = await open(replicas.find((id) => id !== leader) ?? -1);
    assert.equal((await produce(follower, 'one', batchOf('x'))).errorCode, 6);
    const hinted = await produce(follower, 'one', batchOf('x'), { version: 10 });
    assert.equal(hinted.errorCode, 6);
    assert.deepEqual(hinted.currentLeader, { leaderId: leader, leaderEpoch });
    assert.deepEqual(hinted.nodeEndpoints, [{ nodeId: leader, ...cluster.addressOf(leader), rack: null }]);
  });
});

describe('topics with limits', () => {
  test('a batch above max.message.bytes is 10, and the connection lives on', async () => {
    const client = await topicWith('small', { 'max.message.bytes': '1000' });
    assert.equal((await produce(client, 'small', batchOf('x'.repeat(2000)))).errorCode, 10);
    assert.equal((await produce(client, 'small', batchOf('x'.repeat(500)))).errorCode, 0);
  });

  test('a record without a key for a compacted topic is 87, and named', async () => {
    const client = await topicWith('compacted', { 'cleanup.policy': 'compact' });
    const records = [{ key: Buffer.from('k'), value: Buffer.from('v') }, { value: Buffer.from('no key') }];
    const refused = await produce(client, 'compacted', encodeRecordBatch(records, { timestampMs: now }));
    assert.equal(refused.errorCode, 87);
    assert.deepEqual(
      refused.recordErrors.map(({ batchIndex }) => batchIndex),
      [1],
    );
    assert.equal(
      (await produce(client, 'compacted', encodeRecordBatch(records.slice(0, 1), { timestampMs: now }))).errorCode,
      0,
    );
  });

  test('the time of a record that the topic does not accept is 32', async () => {
    const client = await topicWith('punctual', { 'message.timestamp.before.max.ms': '3600000' });
    assert.equal(
      (await produce(client, 'punctual', batchOf('long ago', { timestampMs: 1_700_000_000_000 }))).errorCode,
      32,
    );
    assert.equal((await produce(client, 'punctual', batchOf('now', { timestampMs: now }))).errorCode, 0);
  });

  test('with LogAppendTime the answer and the record carry the time of the append', async () => {
    const client = await topicWith('stamped', { 'message.timestamp.type': 'LogAppendTime' });
    const done = await produce(client, 'stamped', batchOf('x'));
    assert.ok(Math.abs(Number(done.logAppendTimeMs) - Date.now()) < 60_000);
    const [[record] = []] = await readBack(cluster.bootstrap, 'stamped');
    assert.equal(record?.timestampMs, Number(done.logAppendTimeMs));
  });

  test('a topic that compresses stores what came in the codec it names', async () => {
    const client = await topicWith('packed', { 'compression.type': 'gzip' });
    const value = 'again and '.repeat(1000);
    assert.equal((await produce(client, 'packed', batchOf(value))).errorCode, 0);
    const [[record] = []] = await readBack(cluster.bootstrap, 'packed');
    assert.equal(String(record?.value), value);
  });
});

describe('an idempotent producer', () => {
  let client: WireClient;
  let producerId: number;
  beforeAll(async () => {
    client = await topicWith('sequenced');
    const answer = await client.ask(initProducerIdApi, 5, { transactionalId: null });
    assert.deepEqual([answer.errorCode, answer.producerEpoch], [0, 0]);
    producerId = Number(answer.producerId);
  });
  const send = (baseSequence: number, { count = 1, producerEpoch = 0, id = producerId } = {}) => {
    const records = Array.from({ length: count }, (_, index) => ({
      key: null,
      value: Buffer.from(`${baseSequence + index}`),
      timestampMs: now,
    }));
    return produce(
      client,
      'sequenced',
      encodeBatch({ records, producerId: producerIdOf(id), producerEpoch, baseSequence }),
    );
  };

  test('gets another id each time, from any broker', async () => {
    const ids = new Set([producerId]);
    for (const broker of [1, 2, 3])
      for (let count = 0; count < 3; count++)
        ids.add(Number((await (await open(broker)).ask(initProducerIdApi, 4, { transactionalId: null })).producerId));
    assert.equal(ids.size, 10);
  });

  test('resends are answered with their first offset and written once; gaps and overlaps are 45', async () => {
    for (let sequence = 0; sequence < 10; sequence += 2) {
      const done = await send(sequence, { count: 2 });
      assert.deepEqual([done.errorCode, done.baseOffset], [0, BigInt(sequence)]);
    }
    for (let sequence = 0; sequence < 10; sequence += 2) {
      const again = await send(sequence, { count: 2 });
      assert.deepEqual([again.errorCode, again.baseOffset], [0, BigInt(sequence)], `sequence ${sequence}`);
    }
    assert.equal((await send(12)).errorCode, 45);
    assert.equal((await send(8, { count: 1 })).errorCode, 45);
    assert.equal((await send(9, { count: 2 })).errorCode, 45);
    assert.equal(await raw.endOffset('sequenced', 0), 10);
    assert.equal((await send(10, { count: 2 })).errorCode, 0);
    // The sixth batch back is forgotten: no repeat any more.
    assert.equal((await send(0, { count: 2 })).errorCode, 45);
  });

  test('a higher epoch begins at 0, a lower one is 47', async () => {
    assert.equal((await send(5, { producerEpoch: 1 })).errorCode, 45);
    assert.equal((await send(0, { producerEpoch: 1 })).errorCode, 0);
    assert.equal((await send(12, { producerEpoch: 0 })).errorCode, 47);
  });

  test('a sequence wraps from the largest to 0; a producer that nobody knows may begin anywhere', async () => {
    const id = producerId + 1000;
    assert.equal((await send(2 ** 31 - 2, { count: 2, id })).errorCode, 0);
    assert.equal((await send(0, { id })).errorCode, 0);
    assert.equal((await send(2, { id })).errorCode, 45);
  });

  test('pipelined batches are written in the order they were sent', async () => {
    const id = producerId + 2000;
    const done = await Promise.all(Array.from({ length: 20 }, (_, index) => send(index, { id })));
    assert.deepEqual(
      done.map(({ errorCode }) => errorCode),
      done.map(() => 0),
    );
    const offsets = done.map(({ baseOffset }) => Number(baseOffset));
    assert.deepEqual(
      offsets,
      [...offsets].sort((a, b) => a - b),
    );
  });

  test('is protected from duplicates whatever time its records carry', async () => {
    const records = [{ key: null, value: Buffer.from('long ago'), timestampMs: 1_000_000_000_000 }];
    const id = producerIdOf(producerId + 3000);
    const batch = encodeBatch({ records, producerId: id, producerEpoch: 0, baseSequence: 0 });
    const first = await produce(client, 'sequenced', batch);
    const again = await produce(client, 'sequenced', batch);
    assert.deepEqual([again.errorCode, again.baseOffset], [0, first.baseOffset]);
  });

  test('transactional ids are told that their coordinator is not available', async () => {
    const answer = await client.ask(initProducerIdApi, 4, { transactionalId: 'tx', transactionTimeoutMs: 1000 });
    assert.equal(answer.errorCode, 15);
    assert.equal((await client.ask(initProducerIdApi, 4, { transactionalId: '' })).errorCode, 42);
  });
});
