/** Every record of a topic as it stands in its partitions, whatever it was compressed with: what tests compare with. */
import type { ReadRecord } from '../../src/records/record-batch.ts';
import { recordsOf } from '../../src/records/record-batch.ts';
import type { PartitionRead } from './history-checker.ts';
import { RawCluster } from './raw-cluster.ts';
import { decodeFetch, encodeFetch } from './raw-requests.ts';
import { batchesIn } from './record-batches.ts';

const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 16 << 20, partitionMaxBytes: 8 << 20 };
const unpackedLimitBytes = 64 << 20;

/** From the log start to the high watermark at the time of the call, by partition. */
export async function readBack(bootstrap: string, topic: string): Promise<ReadRecord[][]> {
  const cluster = new RawCluster(bootstrap);
  try {
    const { brokers, partitions } = await cluster.partitionsOf(topic);
    return await Promise.all(
      partitions.map(async ({ partition, leader }) => {
        const end = await cluster.endOffset(topic, partition);
        const address = brokers.find(({ id }) => id === leader);
        if (address === undefined) throw new Error(`${topic}-${partition} has no leader`);
        const connection = await cluster.connectionTo(address.host, address.port);
        const records: ReadRecord[] = [];
        for (let next = 0; next < end; ) {
          const answer = await connection.request(encodeFetch(topic, [{ partition, fetchOffset: next }], limits));
          const [fetched] = decodeFetch(answer);
          if (fetched?.error !== 0) throw new Error(`Fetch ${topic}-${partition} at ${next}: error ${fetched?.error}`);
          const before = next;
          for (const { bytes, lastOffset } of batchesIn(fetched.records ?? Buffer.alloc(0))) {
            for (const record of recordsOf(bytes, unpackedLimitBytes))
              if (record.offset >= next && record.offset < end) records.push(record);
            next = lastOffset + 1;
          }
          if (next === before) throw new Error(`Fetch ${topic}-${partition} at ${next} gave nothing before ${end}`);
        }
        return records;
      }),
    );
  } finally {
    cluster.close();
  }
}

/** The same as the history checker takes it. */
export const readsOf = (partitions: readonly ReadRecord[][]): PartitionRead[] =>
  partitions.map((records, partition) => ({
    reader: 'reader',
    partition,
    records: records.map(({ offset, value }) => ({ offset, value: String(value) })),
    isReadToEnd: true,
  }));
