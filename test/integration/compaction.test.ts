/** A compacted topic through real brokers: what is overwritten goes on every replica, and one with a new disk copies the rest. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'vitest';
import { produceApi } from '../../src/wire/messages/00-produce.ts';
import { TestCluster } from '../support/dev.ts';
import { RawCluster } from '../support/raw-cluster.ts';
import { readBack } from '../support/read-back.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';

let cluster: TestCluster;
afterEach(() => cluster?.remove());

const keys = 100;
const valueBytes = 1000;

/** Overwrites every key so many times; what each was given last. */
async function overwrite(topic: string, rounds: number): Promise<Map<string, string>> {
  const raw = new RawCluster(cluster.bootstrap);
  const { brokers, partitions } = await raw.partitionsOf(topic);
  raw.close();
  const address = brokers.find(({ id }) => id === partitions[0]?.leader);
  assert.ok(address);
  const connection = await WireClient.open(address);
  const last = new Map<string, string>();
  for (let round = 0; round < rounds; round++) {
    const sent = Array.from({ length: keys }, (_, key) => ({ key: `key ${key}`, value: `${round} of ${key}` }));
    for (const { key, value } of sent) last.set(key, value);
    const records = encodeRecordBatch(
      sent.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value.padEnd(valueBytes)) })),
      { timestampMs: Date.now() },
    );
    const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }];
    const answer = await connection.ask(produceApi, 9, { acks: -1, timeoutMs: 10_000, topicData });
    assert.equal(answer.responses[0]?.partitionResponses[0]?.errorCode, 0);
  }
  connection.close();
  return last;
}

const directoryOf = (broker: number): string => join(cluster.directory, `broker-${broker}`);

function logBytes(broker: number, topic: string): number {
  const directory = join(directoryOf(broker), `${topic}-0`);
  const logs = readdirSync(directory).filter((name) => name.endsWith('.log'));
  return logs.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

async function judge(topic: string, last: ReadonlyMap<string, string>, sent: number): Promise<void> {
  const [records = []] = await readBack(cluster.bootstrap, topic);
  const found = new Map(records.map(({ key, value }) => [String(key), String(value).trimEnd()]));
  assert.deepEqual(found, last);
  assert.ok(records.length < sent / 2, `${records.length} of ${sent} records are left`);
}

test('replicas compact on their own, and one with a new disk copies what is left', async () => {
  cluster = await TestCluster.start({ config: { 'log.cleaner.backoff.ms': '50' } });
  const raw = new RawCluster(cluster.bootstrap);
  const configs = { 'cleanup.policy': 'compact', 'segment.bytes': String(1 << 20), 'flush.ms': '50' };
  await raw.createTopic('latest', { partitions: 1, replicationFactor: 3, configs });
  raw.close();
  const rounds = 45;
  const last = await overwrite('latest', rounds);
  await until('every broker has compacted', () =>
    [1, 2, 3].every((broker) => logBytes(broker, 'latest') < (rounds * keys * valueBytes) / 2),
  );
  await cluster.stop();
  rmSync(directoryOf(3), { recursive: true });
  await cluster.start();
  const again = new RawCluster(cluster.bootstrap);
  await again.waitForIsr('latest', 1, 3, 30_000);
  await judge('latest', last, rounds * keys);
  assert.ok(logBytes(3, 'latest') > keys * valueBytes);

  // Led by the copy.
  for (const broker of [1, 2]) await cluster.dev.stopBroker(broker);
  await until('the copy leads', async () => (await again.partitionsOf('latest')).partitions[0]?.leader === 3);
  await judge('latest', last, rounds * keys);
  again.close();
  assert.deepEqual(
    cluster.log.lines.filter(({ message }) => /compacted any more|tried again|cannot be compacted/.test(message)),
    [],
  );
}, 90_000);
