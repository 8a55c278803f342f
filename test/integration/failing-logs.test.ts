/** A broker whose log fails while it starts says so, leaves nothing open, and starts once the disk is well again. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'vitest';
import { type DevCluster, startDevCluster } from '../../src/broker/dev-cluster.ts';
import { realEnvironment } from '../../src/cli/real-environment.ts';
import type { Disk } from '../../src/env/disk.ts';
import { nodeDisk } from '../../src/env/node/disk.ts';
import { LogDirectoryError } from '../../src/log/log-directory.ts';
import { produceApi } from '../../src/wire/messages/00-produce.ts';
import { temporaryDirectory } from '../support/cordwood-process.ts';
import { LineKeeper } from '../support/dev.ts';
import { diskError } from '../support/memory-disk.ts';
import { RawCluster } from '../support/raw-cluster.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import { WireClient } from '../support/wire-client.ts';

/** The real disk, but that opening a file whose path matches fails. */
class FailingDisk {
  failsFor: RegExp | null = null;
  readonly disk: Disk = {
    ...nodeDisk,
    open: async (path, mode) => {
      if (this.failsFor?.test(path)) throw diskError('EIO');
      return nodeDisk.open(path, mode);
    },
  };
}

let directory: ReturnType<typeof temporaryDirectory>;
let cluster: DevCluster | null = null;
let raw: RawCluster | null = null;
const failing = new FailingDisk();
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(async () => {
  failing.failsFor = null;
  raw?.close();
  await cluster?.kill();
  directory.remove();
});

async function start(brokers: number): Promise<{ cluster: DevCluster; raw: RawCluster }> {
  const options = { brokers, dataDirectory: `${directory.path}/data`, host: '127.0.0.1', port: 0 };
  cluster = await startDevCluster(options, { ...realEnvironment(new LineKeeper()), disk: failing.disk });
  raw = new RawCluster(cluster.bootstrapServers.join(','));
  return { cluster, raw };
}

async function produce(cluster: DevCluster, leader: number, partition: number): Promise<void> {
  const address = cluster.brokers().find(({ id }) => id === leader)?.address ?? '';
  const client = await WireClient.open({ host: '127.0.0.1', port: Number(address.split(':').at(-1)) });
  const records = encodeRecordBatch([{ value: Buffer.from('a record') }], { timestampMs: Date.now() });
  const topicData = [{ name: 'orders', partitionData: [{ index: partition, records }] }];
  const { responses } = await client.ask(produceApi, 9, { acks: -1, timeoutMs: 10_000, topicData });
  client.close();
  assert.equal(responses[0]?.partitionResponses[0]?.errorCode, 0);
}

const isLogFailure = (error: unknown): boolean =>
  error instanceof LogDirectoryError && error.problem === 'FAILED' && /broker-\d failed: EIO/.test(error.message);

test('a log that cannot be opened', async () => {
  const { cluster, raw } = await start(1);
  await raw.createTopic('orders', { partitions: 20, replicationFactor: 1 });
  await produce(cluster, 1, 7);
  await cluster.killBroker(1);
  failing.failsFor = /orders-7\/.*\.log$/;
  await assert.rejects(cluster.startBroker(1), isLogFailure);
  failing.failsFor = null;
  await cluster.startBroker(1);
  assert.equal((await raw.partitionsOf('orders')).partitions.length, 20);
});

test('a log that cannot be written while the broker catches up', async () => {
  const { cluster, raw } = await start(3);
  await raw.createTopic('orders', { partitions: 1, replicationFactor: 3 });
  const { leader } = (await raw.partitionsOf('orders')).partitions[0] ?? { leader: -1 };
  const follower = (leader % 3) + 1;
  await cluster.killBroker(follower);
  await produce(cluster, leader, 0);
  failing.failsFor = new RegExp(`broker-${follower}/orders-0/.*\\.log$`);
  await assert.rejects(cluster.startBroker(follower), isLogFailure);
  failing.failsFor = null;
  await cluster.startBroker(follower);
});
