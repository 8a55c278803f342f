/**
 * What is the least that a producer loses when a leader dies? An idempotent producer with one batch under way per
 * partition that goes by metadata alone: any error, lost connection or long silence makes it ask every broker it knows
 * who leads now, and it sends the same batch again there.
 */
import { RawCluster, sleepMs } from './raw-cluster.ts';
import type { RawConnection } from './raw-connection.ts';
import {
  type BrokerAddress,
  decodeInitProducerId,
  decodeProduce,
  encodeInitProducerId,
  encodeProduce,
  errorCode,
  type PartitionMetadata,
} from './raw-requests.ts';
import { encodeRecordBatch } from './record-batches.ts';

const recordsPerBatch = 500;
/** Between two attempts; small, since what is measured is the cluster. */
const retryMs = 10;
/** An answer that takes longer makes the producer look whether the leader has changed. */
const silenceMs = 250;
const produceTimeoutMs = 30_000;

export interface ProducedRecord {
  partition: number;
  offset: number;
  value: string;
}

interface Route {
  leader: number;
  leaderEpoch: number;
  address: BrokerAddress | undefined;
}

export class RawProducer {
  readonly #topic: string;
  readonly #cluster: RawCluster;
  readonly #onAcknowledged: (record: ProducedRecord) => void;
  readonly #queues: string[][] = [];
  readonly #loops: Promise<void>[] = [];
  #routes = new Map<number, Route>();
  #refreshing: Promise<void> | null = null;
  #isStopping = false;

  constructor(bootstrap: string, topic: string, onAcknowledged: (record: ProducedRecord) => void) {
    this.#topic = topic;
    this.#cluster = new RawCluster(bootstrap, 500);
    this.#onAcknowledged = onAcknowledged;
  }

  async start(partitions: number): Promise<void> {
    const identity = await this.#initProducerId();
    await this.#refresh();
    for (let partition = 0; partition < partitions; partition++) {
      this.#queues.push([]);
      this.#loops.push(this.#drive(partition, identity));
    }
  }

  /** Queues a record; `onAcknowledged` tells when it is written. */
  send(partition: number, value: string): void {
    this.#queues[partition]?.push(value);
  }

  /** Sends what is queued, then closes. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    this.#cluster.close();
  }

  async #initProducerId(): Promise<{ producerId: number; producerEpoch: number }> {
    for (;;) {
      const { brokers } = await this.#cluster.metadata();
      for (const { host, port } of brokers) {
        try {
          const connection = await this.#cluster.connectionTo(host, port);
          const identity = decodeInitProducerId(await connection.request(encodeInitProducerId(), 2000));
          if (identity.error === errorCode.none) return identity;
        } catch {
          // The next broker may answer.
        }
      }
      await sleepMs(retryMs);
    }
  }

  async #drive(partition: number, identity: { producerId: number; producerEpoch: number }): Promise<void> {
    const queue = this.#queues[partition] ?? [];
    for (let baseSequence = 0; ; ) {
      if (queue.length === 0) {
        if (this.#isStopping) return;
        await sleepMs(1);
        continue;
      }
      const values = queue.splice(0, recordsPerBatch);
      const records = values.map((value) => ({ value: Buffer.from(value) }));
      const batch = encodeRecordBatch(records, { ...identity, baseSequence, timestampMs: Date.now() });
      const baseOffset = await this.#write(partition, batch);
      for (const [index, value] of values.entries())
        this.#onAcknowledged({ partition, offset: baseOffset + index, value });
      baseSequence += values.length;
    }
  }

  /** Repeats until the batch is acknowledged. Sequence 45 is final: the log then has a hole in what we were told. */
  async #write(partition: number, batch: Buffer): Promise<number> {
    const frame = encodeProduce(this.#topic, -1, [{ partition, batch }], 1, produceTimeoutMs);
    for (;;) {
      const route = this.#routes.get(partition);
      try {
        if (route?.address === undefined) throw new Error('no leader known');
        const connection = await this.#cluster.connectionTo(route.address.host, route.address.port);
        const answer = await this.#answerOrChange(connection, frame, partition, route);
        const [result] = decodeProduce(answer);
        if (result?.error === errorCode.none || result?.error === errorCode.duplicateSequence) return result.baseOffset;
        if (result?.error === errorCode.outOfOrderSequence)
          throw new SequenceLost(`partition ${partition}: sequence refused, records before it are gone`);
      } catch (error) {
        if (error instanceof SequenceLost) throw error;
      }
      await sleepMs(retryMs);
      await this.#refresh();
    }
  }

  /** The answer, or an error as soon as metadata names another leader: a paused broker closes no connection. */
  async #answerOrChange(connection: RawConnection, frame: Buffer, partition: number, route: Route): Promise<Buffer> {
    const answer = connection.request(frame, produceTimeoutMs + 5000);
    answer.catch(() => {});
    for (;;) {
      const first = await Promise.race([answer, sleepMs(silenceMs)]);
      if (first !== undefined) return first;
      await this.#refresh();
      const now = this.#routes.get(partition);
      if (now !== undefined && now.leaderEpoch > route.leaderEpoch) throw new Error('the leader has changed');
    }
  }

  /** One refresh serves all who ask while it is under way; metadata older than what is known is passed over. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#cluster
      .partitionsOf(this.#topic)
      .then(({ brokers, partitions }) => this.#adopt(brokers, partitions))
      .catch(() => {})
      .finally(() => {
        this.#refreshing = null;
      });
    return this.#refreshing;
  }

  #adopt(brokers: readonly BrokerAddress[], partitions: readonly PartitionMetadata[]): void {
    for (const { partition, leader, leaderEpoch } of partitions) {
      const known = this.#routes.get(partition);
      if (known !== undefined && known.leaderEpoch > leaderEpoch) continue;
      this.#routes.set(partition, { leader, leaderEpoch, address: brokers.find(({ id }) => id === leader) });
    }
  }
}

class SequenceLost extends Error {}
