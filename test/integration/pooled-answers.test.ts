/**
 * Answers to fetches lie in buffers that are used again. Here each buffer is overwritten the moment it comes back, so
 * that one that came back too early shows in what a client receives: clients that do not read, clients that go away in
 * the middle, and many that fetch at once, while every byte of every answer is compared with what was produced.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { BufferPool } from '../../src/broker/buffer-pool.ts';
import { type RunningBroker, startBroker } from '../../src/broker/node.ts';
import { realEnvironment } from '../../src/cli/real-environment.ts';
import { loadBrokerConfig } from '../../src/model/config/broker-config.ts';
import { LineKeeper } from '../support/dev.ts';
import { RawCluster } from '../support/raw-cluster.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { decodeFetch, decodeProduce, encodeFetch, encodeProduce } from '../support/raw-requests.ts';
import { batchesIn, encodeRecordBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';

const topic = 'large';
const batches = 50;
const valueBytes = 1_000_000;
/** What is older than this is not in memory any more (32 MiB of cache), and is read from the disk. */
const onDisk = 16;
/** More than the system takes at once for a client that does not read. */
const fetchBytes = 8 << 20;

class PoisoningPool extends BufferPool {
  /** Memory that is in use now, in bytes. */
  lentBytes = 0;
  override take(bytes: number): Buffer | null {
    const buffer = super.take(bytes);
    this.lentBytes += buffer?.length ?? 0;
    return buffer;
  }
  override give(buffer: Buffer): void {
    buffer.fill(0xdb);
    this.lentBytes -= buffer.length;
    super.give(buffer);
  }
}

interface Running {
  readonly broker: RunningBroker;
  readonly pool: PoisoningPool;
  readonly log: LineKeeper;
  readonly address: { host: string; port: number };
  readonly end: () => Promise<void>;
}

/** From the epoch of each batch on, which its offset is before, all its bytes are the producer's. */
const sent = Array.from({ length: batches }, (_, offset) =>
  encodeRecordBatch([{ value: Buffer.alloc(valueBytes, offset + 1) }], { timestampMs: 1_700_000_000_000 }),
);
const producersBytesAt = 16;

async function start(poolBytes: number, config: Record<string, string> = {}): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'cordwood-pooled-'));
  const log = new LineKeeper();
  const pool = new PoisoningPool(poolBytes);
  const flags = {
    'node.id': '1',
    listeners: 'PLAINTEXT://127.0.0.1:0',
    'cordwood.peer.listener': '127.0.0.1:0',
    'cordwood.http.listener': '',
    'log.dirs': directory,
    ...config,
  };
  const broker = await startBroker(loadBrokerConfig({ flags }), { ...realEnvironment(log), bufferPool: pool });
  const [endpoint] = broker.endpoints;
  assert.ok(endpoint);
  const address = { host: endpoint.host, port: endpoint.port };
  const cluster = new RawCluster(`${address.host}:${address.port}`);
  await cluster.createTopic(topic, { partitions: 1, replicationFactor: 1 });
  cluster.close();
  const connection = await RawConnection.open(address.host, address.port);
  for (const batch of sent) {
    const answer = await connection.request(encodeProduce(topic, -1, [{ partition: 0, batch }]));
    assert.deepEqual(
      decodeProduce(answer).map(({ error }) => error),
      [0],
    );
  }
  connection.close();
  const end = async (): Promise<void> => {
    await broker.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { broker, pool, log, address, end };
}

const fetchFrom = (fetchOffset: number, limits: { minBytes?: number; maxWaitMs?: number } = {}): Buffer =>
  encodeFetch(topic, [{ partition: 0, fetchOffset }], {
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: fetchBytes,
    partitionMaxBytes: fetchBytes,
    ...limits,
  });

/** How many batches the answer has; each must be, from `fetchOffset` on, what was produced. */
function checked(answer: Buffer, fetchOffset: number): number {
  const [partition] = decodeFetch(answer);
  assert.equal(partition?.error, 0);
  let offset = fetchOffset;
  for (const { baseOffset, bytes } of batchesIn(partition?.records ?? Buffer.alloc(0))) {
    assert.equal(baseOffset, offset);
    const expected = sent[offset]?.subarray(producersBytesAt);
    assert.ok(expected && bytes.subarray(producersBytesAt).equals(expected), `other bytes than produced at ${offset}`);
    offset++;
  }
  assert.ok(offset > fetchOffset);
  return offset - fetchOffset;
}

/** Fetches from the oldest batch to the newest that is on the disk alone. */
async function readOn(connection: RawConnection): Promise<void> {
  for (let offset = 0; offset < onDisk; ) offset += checked(await connection.request(fetchFrom(offset)), offset);
}

/** Asks and does not read the answer. */
async function stalled(
  address: Running['address'],
  fetchOffset: number,
): Promise<{ client: WireClient; answer: Promise<Buffer> }> {
  const client = await WireClient.open(address);
  client.socket.pause();
  return { client, answer: client.askBytes(fetchFrom(fetchOffset)) };
}

const isIdle = (pool: PoisoningPool): boolean => pool.lent === 0 && pool.lentBytes === 0;

describe.each([
  ['with room for all', 128 << 20],
  ['with room for one', 9 << 20],
])('a pool %s', async (_title, poolBytes) => {
  const { pool, log, address, end } = await start(poolBytes);
  afterAll(end);

  test('serves many that fetch at once', async () => {
    const connections = await Promise.all(
      Array.from({ length: 6 }, () => RawConnection.open(address.host, address.port)),
    );
    await Promise.all(connections.map(readOn));
    await Promise.all(connections.map(readOn));
    for (const connection of connections) connection.close();
    await until('all buffers are back', () => isIdle(pool));
    assert.ok(pool.bytes > 0 && pool.bytes <= poolBytes);
  });

  test('keeps the answers of clients that do not read as they are', async () => {
    // Some megabytes of each answer are in the system's buffers; the rest waits in the pool's.
    const slow = await Promise.all([0, 3, 6, 8].map((fetchOffset) => stalled(address, fetchOffset)));
    const reader = await RawConnection.open(address.host, address.port);
    for (let round = 0; round < 3; round++) await readOn(reader);
    for (const { client } of slow.toReversed()) client.socket.resume();
    for (const [index, { answer, client }] of slow.entries()) {
      checked(await answer, [0, 3, 6, 8][index] ?? 0);
      client.close();
    }
    reader.close();
    await until('all buffers are back', () => isIdle(pool));
  });

  test('gets everything back from clients that go away', async () => {
    const reader = await RawConnection.open(address.host, address.port);
    for (let round = 0; round < 8; round++) {
      const going = await Promise.all([0, 5, 10].map((fetchOffset) => stalled(address, fetchOffset)));
      // Some while the broker reads for them, some when their answers are half sent.
      if (round % 2 === 0) checked(await reader.request(fetchFrom(round)), round);
      for (const { client, answer } of going) {
        answer.catch(() => undefined);
        client.close();
      }
      await readOn(reader);
    }
    reader.close();
    await until('all buffers are back', () => isIdle(pool));
    assert.deepEqual(
      log.complaints.filter(({ fields }) => 'client' in fields),
      [],
    );
  });
});

describe('memory for 32 MiB of answers', async () => {
  const { pool, address, end } = await start(256 << 20, { 'cordwood.answer.memory.bytes': String(32 << 20) });
  afterAll(end);

  test('is not exceeded by clients that do not read, but for a batch each, and others go on', async () => {
    const count = 24; // 8 MiB for each would be 192
    const slow: Awaited<ReturnType<typeof stalled>>[] = [];
    for (let index = 0; index < count; index++) slow.push(await stalled(address, index % 8));
    await until('most of it is held', () => pool.lentBytes >= 24 << 20);
    const reader = await RawConnection.open(address.host, address.port);
    await readOn(reader);
    assert.ok(pool.lentBytes <= (32 << 20) + count * (1.5 * (1 << 20)), `${pool.lentBytes} bytes`);
    // Nor does anybody wait for more than there is memory for.
    checked(await reader.request(fetchFrom(0, { minBytes: fetchBytes, maxWaitMs: 60_000 }), 20_000), 0);
    reader.close();
    for (const { client } of slow) client.socket.resume();
    for (const [index, { client, answer }] of slow.entries()) {
      checked(await answer, index % 8);
      client.close();
    }
    await until('all buffers are back', () => isIdle(pool));
  });
});
