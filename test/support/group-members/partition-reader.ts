/** Reads the partitions that a raw member owns from where it is told, from whoever leads them. */

import { RawCluster } from '../raw-cluster.ts';
import { decodeFetch, encodeFetch } from '../raw-requests.ts';
import { batchesIn, type ReadRecord, recordsOf } from '../record-batches.ts';
import type { Place } from './report.ts';

const limits = { maxWaitMs: 100, minBytes: 1, maxBytes: 4 << 20, partitionMaxBytes: 1 << 20 };

export interface ReadPiece {
  readonly place: Place;
  readonly records: readonly ReadRecord[];
  readonly nextOffset: number;
}

export class PartitionReader {
  readonly #cluster: RawCluster;

  constructor(bootstrap: string) {
    this.#cluster = new RawCluster(bootstrap, 5000);
  }

  /** Partitions of a topic; rejects while nobody knows. */
  async countPartitions(topic: string): Promise<number> {
    return (await this.#cluster.partitionsOf(topic)).partitions.length;
  }

  /** One fetch from each leader; where nothing can be had, nothing comes. */
  async read(positions: ReadonlyMap<string, { place: Place; offset: number }>): Promise<ReadPiece[]> {
    const pieces: ReadPiece[] = [];
    for (const [topic, wanted] of Map.groupBy(positions.values(), ({ place }) => place.topic)) {
      const { brokers, partitions } = await this.#cluster.partitionsOf(topic);
      const leaderOf = (partition: number): number =>
        partitions.find((one) => one.partition === partition)?.leader ?? -1;
      const byLeader = Map.groupBy(wanted, ({ place }) => leaderOf(place.partition));
      const fetches = [...byLeader].map(async ([leader, ofLeader]) => {
        const address = brokers.find(({ id }) => id === leader);
        if (address === undefined) return;
        const connection = await this.#cluster.connectionTo(address.host, address.port);
        const asked = ofLeader.map(({ place, offset }) => ({ partition: place.partition, fetchOffset: offset }));
        for (const { partition, error, records } of decodeFetch(
          await connection.request(encodeFetch(topic, asked, limits), 10_000),
        )) {
          const position = ofLeader.find(({ place }) => place.partition === partition);
          if (error !== 0 || position === undefined) continue;
          let nextOffset = position.offset;
          const fresh: ReadRecord[] = [];
          for (const batch of batchesIn(records ?? Buffer.alloc(0))) {
            fresh.push(...recordsOf(batch).filter(({ offset }) => offset >= nextOffset));
            nextOffset = Math.max(nextOffset, batch.lastOffset + 1);
          }
          if (nextOffset > position.offset) pieces.push({ place: position.place, records: fresh, nextOffset });
        }
      });
      await Promise.allSettled(fetches);
    }
    return pieces;
  }

  close(): void {
    this.#cluster.close();
  }
}
