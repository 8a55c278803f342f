/**
 * How does the raw client find its way in a cluster? It asks every broker it ever heard of in turn until one answers,
 * so that it survives the loss of any of them, and it keeps one connection per broker for requests that are not load.
 */
import { RawConnection } from './raw-connection.ts';
import {
  type BrokerAddress,
  type ClusterMetadata,
  decodeCreateTopic,
  decodeDeleteTopics,
  decodeFetch,
  decodeListOffsets,
  decodeMetadata,
  encodeCreateTopic,
  encodeDeleteTopics,
  encodeFetch,
  encodeListOffsets,
  encodeMetadata,
  errorCode,
  type PartitionMetadata,
} from './raw-requests.ts';
import { batchesIn, type ReadRecord, recordsOf } from './record-batches.ts';

export const sleepMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface TopicOptions {
  partitions: number;
  replicationFactor: number;
  configs?: Readonly<Record<string, string>>;
}

export class RawCluster {
  readonly #addresses = new Map<string, { host: string; port: number }>();
  readonly #connections = new Map<string, Promise<RawConnection>>();
  readonly #answerTimeoutMs: number;

  /** `bootstrap` is `host:port[,host:port…]`; a broker silent for `answerTimeoutMs` counts as gone for that request. */
  constructor(bootstrap: string, answerTimeoutMs = 10_000) {
    for (const text of bootstrap.split(',')) {
      const match = /^(.+):(\d+)$/.exec(text.trim());
      if (match?.[1] === undefined) throw new Error(`not host:port: ${text}`);
      this.#addresses.set(text.trim(), { host: match[1], port: Number(match[2]) });
    }
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** From the first broker that answers; throws when none does. */
  async metadata(topics: readonly string[] = []): Promise<ClusterMetadata> {
    let last: unknown = new Error('no broker known');
    for (const [key, { host, port }] of [...this.#addresses]) {
      try {
        const connection = await this.connectionTo(host, port);
        const metadata = decodeMetadata(await connection.request(encodeMetadata(topics), this.#answerTimeoutMs));
        for (const broker of metadata.brokers)
          this.#addresses.set(`${broker.host}:${broker.port}`, { host: broker.host, port: broker.port });
        return metadata;
      } catch (error) {
        last = error;
        // To the end of the line: who has just been silent is asked last next time.
        this.#addresses.delete(key);
        this.#addresses.set(key, { host, port });
      }
    }
    throw new Error(`no broker answers: ${last instanceof Error ? last.message : String(last)}`, { cause: last });
  }

  /** The partitions of `topic`; throws when the topic is not there or has an error. */
  async partitionsOf(topic: string): Promise<{ brokers: BrokerAddress[]; partitions: PartitionMetadata[] }> {
    const { brokers, topics } = await this.metadata([topic]);
    const found = topics.find(({ name }) => name === topic);
    if (found === undefined || found.error !== errorCode.none)
      throw new Error(`topic ${topic}: error ${found?.error ?? 'not named in the answer'}`);
    return { brokers, partitions: found.partitions };
  }

  /** Creates a topic and waits until every partition has a leader and a full ISR. */
  async createTopic(name: string, { partitions, replicationFactor, configs = {} }: TopicOptions): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const { brokers, controllerId } = await this.metadata();
      const target = brokers.find(({ id }) => id === controllerId) ?? brokers[0];
      if (target === undefined) throw new Error('metadata names no broker');
      const connection = await this.connectionTo(target.host, target.port);
      const frame = encodeCreateTopic(name, partitions, replicationFactor, configs);
      const { error, message } = decodeCreateTopic(await connection.request(frame));
      if (error === errorCode.none || error === errorCode.topicAlreadyExists) break;
      // 41 NOT_CONTROLLER, 7 timed out, 38 too few brokers yet: a cluster that has just started.
      if (![7, 38, 41].includes(error) || Date.now() > deadline)
        throw new Error(`creating topic ${name}: error ${error} ${message ?? ''}`);
      await sleepMs(20);
    }
    await this.waitForIsr(name, partitions, replicationFactor, deadline - Date.now());
  }

  /** Waits until `topic` has `partitions` partitions, each with a leader and `isrSize` members in sync. */
  async waitForIsr(topic: string, partitions: number, isrSize: number, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let seen = 'nothing';
    while (Date.now() < deadline) {
      try {
        const found = (await this.partitionsOf(topic)).partitions;
        if (found.length === partitions && found.every((one) => one.leader >= 0 && one.isr.length >= isrSize)) return;
        seen = found.map((one) => `${one.partition}: leader ${one.leader} ISR ${one.isr}`).join('; ');
      } catch (error) {
        seen = String(error);
      }
      await sleepMs(10);
    }
    throw new Error(`topic ${topic} did not reach ${isrSize} replicas in sync within ${timeoutMs} ms: ${seen}`);
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const { brokers, controllerId } = await this.metadata();
    const target = brokers.find(({ id }) => id === controllerId) ?? brokers[0];
    if (target === undefined) throw new Error('metadata names no broker');
    const connection = await this.connectionTo(target.host, target.port);
    for (const { name, error } of decodeDeleteTopics(await connection.request(encodeDeleteTopics(names))))
      if (error !== errorCode.none) throw new Error(`deleting topic ${name}: error ${error}`);
  }

  /** The high watermark of a partition, as its leader tells it. */
  async endOffset(topic: string, partition: number): Promise<number> {
    const connection = await this.#leaderConnection(topic, partition);
    const { error, offset } = decodeListOffsets(await connection.request(encodeListOffsets(topic, partition, -1)));
    if (error !== errorCode.none) throw new Error(`ListOffsets ${topic}-${partition}: error ${error}`);
    return offset;
  }

  /** Every record of a partition from 0 to the high watermark at the time of the call, in pieces, in order. */
  async *readPartition(topic: string, partition: number): AsyncGenerator<ReadRecord[]> {
    const end = await this.endOffset(topic, partition);
    let connection = await this.#leaderConnection(topic, partition);
    for (let next = 0; next < end; ) {
      const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 16 << 20, partitionMaxBytes: 8 << 20 };
      const answer = await connection.request(encodeFetch(topic, [{ partition, fetchOffset: next }], limits));
      const [fetched] = decodeFetch(answer);
      if (fetched === undefined) throw new Error(`Fetch answered for no partition of ${topic}`);
      if (fetched.error === 6 || fetched.error === 5) {
        await sleepMs(50);
        connection = await this.#leaderConnection(topic, partition);
        continue;
      }
      if (fetched.error !== errorCode.none)
        throw new Error(`Fetch ${topic}-${partition} at ${next}: error ${fetched.error}`);
      for (const batch of batchesIn(fetched.records ?? Buffer.alloc(0))) {
        const fresh = batch.isControl ? [] : recordsOf(batch).filter(({ offset }) => offset >= next && offset < end);
        next = Math.max(next, batch.lastOffset + 1);
        if (fresh.length > 0) yield fresh;
      }
    }
  }

  /** The shared connection to an address, opened when there is none. */
  async connectionTo(host: string, port: number): Promise<RawConnection> {
    const key = `${host}:${port}`;
    const known = this.#connections.get(key);
    if (known !== undefined) {
      const connection = await known.catch(() => null);
      if (connection?.isOpen === true) return connection;
    }
    const opening = RawConnection.open(host, port, this.#answerTimeoutMs);
    this.#connections.set(key, opening);
    return await opening;
  }

  close(): void {
    for (const opening of this.#connections.values())
      opening.then(
        (connection) => connection.close(),
        () => {},
      );
    this.#connections.clear();
  }

  async #leaderConnection(topic: string, partition: number): Promise<RawConnection> {
    const { brokers, partitions } = await this.partitionsOf(topic);
    const leader = partitions.find((one) => one.partition === partition)?.leader;
    const address = brokers.find(({ id }) => id === leader);
    if (address === undefined) throw new Error(`${topic}-${partition} has no leader`);
    return await this.connectionTo(address.host, address.port);
  }
}
