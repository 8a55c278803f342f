/**
 * `cordwood consume`: what is in a topic? Reads partitions by offset, without a group: one loop per broker asks it for
 * all partitions that it leads; a partition whose leader moves is taken up by the loop of the new one.
 */
import * as kafka from '@platformatic/kafka';
import { nodeTimers } from '../../env/node/timers.ts';
import { errorName, KafkaClient, reasonOf, type TopicInfo } from '../client/kafka-client.ts';
import { CliError, exitCode } from '../exit-code.ts';
import { compileFormat, jsonOf, type ShownRecord } from './record-format.ts';
import { parseStartOffset, type StartOffset } from './start-offset.ts';

export interface ConsumeOptions {
  readonly bootstrap: string;
  readonly partition: readonly number[];
  readonly offset: string;
  readonly count?: number;
  readonly exitAtEnd: boolean;
  readonly format: string;
  readonly json: boolean;
}

const maxWaitMs = 500;
const maxBytes = 8 * 1024 * 1024;
const maxPartitionBytes = 1024 * 1024;
const retryMs = 100;
/** Leadership that is elsewhere, or nowhere yet: ask for metadata and come again. */
const moving = new Set([3, 5, 6, 9, 56, 74, 75, 76, 78, 100, 103]);
const offsetOutOfRange = 1;

export async function runConsume(topicName: string, options: ConsumeOptions): Promise<void> {
  const show = options.json ? jsonOf : compileFormat(options.format);
  const start = parseStartOffset(options.offset);
  const client = new KafkaClient({ bootstrap: options.bootstrap, requestTimeoutMs: 15_000 });
  const consumption = new Consumption(client, topicName, options, show);
  const onInterrupt = (): void => {
    if (consumption.isStopped) process.exit(exitCode.interrupted);
    consumption.stop();
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
  // `cordwood consume … | head` closes our output: that is an end like any other.
  process.stdout.on('error', () => consumption.stop());
  try {
    await consumption.begin(start);
    await consumption.run();
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
    await client.close();
  }
}

interface Reading {
  /** The next offset to show. */
  offset: bigint;
  leaderId: number;
  isAtEnd: boolean;
}

class Consumption {
  readonly #client: KafkaClient;
  readonly #topicName: string;
  readonly #options: ConsumeOptions;
  readonly #show: (record: ShownRecord) => Buffer;
  readonly #readings = new Map<number, Reading>();
  readonly #loops = new Map<number, Promise<void>>();
  #topicId = '';
  #shown = 0;
  #failure: CliError | null = null;
  #onStopped: () => void = () => {};
  readonly #stopped = new Promise<void>((resolve) => {
    this.#onStopped = resolve;
  });
  isStopped = false;

  constructor(client: KafkaClient, topicName: string, options: ConsumeOptions, show: (record: ShownRecord) => Buffer) {
    this.#client = client;
    this.#topicName = topicName;
    this.#options = options;
    this.#show = show;
  }

  stop(): void {
    this.isStopped = true;
    this.#onStopped();
  }

  /** Looks up the first offset of every partition that is read. */
  async begin(start: StartOffset): Promise<void> {
    const topic = await this.#client.topic(this.#topicName);
    const wanted = this.#options.partition.length > 0 ? this.#options.partition : [...topic.partitions.keys()];
    for (const partition of wanted) {
      if (partition >= topic.partitions.length)
        throw new CliError(
          `topic ${topic.name} has ${topic.partitions.length} partitions, there is none numbered ${partition}`,
          exitCode.usage,
        );
      this.#readings.set(partition, { offset: 0n, leaderId: -1, isAtEnd: false });
    }
    this.#learn(topic);
    await Promise.all([...this.#readings].map(([partition, reading]) => this.#seek(partition, reading, start)));
  }

  async #seek(partition: number, reading: Reading, start: StartOffset): Promise<void> {
    switch (start.kind) {
      case 'offset':
        reading.offset = start.offset;
        return;
      case 'earliest':
        reading.offset = await this.#listOffset(partition, reading, -2n);
        return;
      case 'latest':
        reading.offset = await this.#listOffset(partition, reading, -1n);
        return;
      case 'fromEnd': {
        const [first, end] = [
          await this.#listOffset(partition, reading, -2n),
          await this.#listOffset(partition, reading, -1n),
        ];
        const from = end - start.records;
        reading.offset = first;
        if (from > first) reading.offset = from;
        return;
      }
      case 'timestamp': {
        const found = await this.#listOffset(partition, reading, start.ms);
        reading.offset = found >= 0n ? found : await this.#listOffset(partition, reading, -1n);
      }
    }
  }

  /** ListOffsets: -2 the first, -1 the end, otherwise the first at or after that time (-1 where there is none). */
  async #listOffset(partition: number, reading: Reading, timestamp: bigint): Promise<bigint> {
    const request = [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }];
    for (let tries = 0; !this.isStopped; tries += 1) {
      let reason = 'the partition has no leader';
      if (reading.leaderId >= 0)
        try {
          const topics = [{ name: this.#topicName, partitions: request }];
          const answer = await this.#client.request(reading.leaderId, kafka.listOffsetsV9.api, -1, 0, topics);
          const found = answer.topics[0]?.partitions[0];
          if (found?.errorCode === 0) return found.offset;
          const code = found?.errorCode ?? -1;
          reason = errorName(code);
          if (!moving.has(code)) throw new CliError(`partition ${partition}: ${reason}`);
        } catch (error) {
          if (error instanceof CliError) throw error;
          reason = reasonOf(error);
        }
      if (tries === 50) throw new CliError(`partition ${partition}: ${reason}`);
      await this.#pause();
      await this.#refresh();
    }
    return reading.offset;
  }

  async run(): Promise<void> {
    this.#spawnLoops();
    await this.#stopped;
    if (this.#failure !== null) throw this.#failure;
  }

  /** One loop for each broker that leads something we read; a loop ends when its broker leads nothing any more. */
  #spawnLoops(): void {
    for (const { leaderId } of this.#readings.values()) {
      if (leaderId < 0 || this.#loops.has(leaderId)) continue;
      const loop = this.#loop(leaderId).then(
        () => {
          this.#loops.delete(leaderId);
          if (!this.isStopped) this.#spawnLoops();
        },
        (error: Error) => {
          this.#failure ??= error instanceof CliError ? error : new CliError(reasonOf(error));
          this.stop();
        },
      );
      this.#loops.set(leaderId, loop);
    }
    // Nobody leads anything: without a loop nobody would ask again.
    if (this.#loops.size === 0 && !this.isStopped)
      void this.#pause()
        .then(() => this.#refresh())
        .finally(() => this.#spawnLoops());
  }

  async #loop(nodeId: number): Promise<void> {
    while (!this.isStopped) {
      const partitions = [...this.#readings].filter(([, { leaderId }]) => leaderId === nodeId);
      if (partitions.length === 0) return;
      let answer: kafka.fetchV17.FetchResponse;
      try {
        answer = await this.#client.request(
          nodeId,
          kafka.fetchV17.api,
          maxWaitMs,
          1,
          maxBytes,
          0,
          0,
          -1,
          [
            {
              topicId: this.#topicId,
              partitions: partitions.map(([partition, { offset }]) => fetchOf(partition, offset)),
            },
          ],
          [],
          '',
        );
      } catch {
        await this.#pause();
        await this.#refresh();
        continue;
      }
      let hasMoved = answer.errorCode !== 0;
      for (const found of answer.responses[0]?.partitions ?? []) {
        if (this.isStopped) return;
        if (moving.has(found.errorCode)) hasMoved = true;
        else await this.#take(found);
      }
      if (hasMoved) {
        await this.#pause();
        await this.#refresh();
      }
      if (this.#options.exitAtEnd && [...this.#readings.values()].every(({ isAtEnd }) => isAtEnd)) this.stop();
    }
  }

  async #take(found: kafka.fetchV17.FetchResponsePartition): Promise<void> {
    const reading = this.#readings.get(found.partitionIndex);
    if (reading === undefined) return;
    if (found.errorCode === offsetOutOfRange)
      throw new CliError(
        `partition ${found.partitionIndex}: offset ${reading.offset} is out of range ${found.logStartOffset} to ${found.highWatermark}`,
      );
    if (found.errorCode !== 0) throw new CliError(`partition ${found.partitionIndex}: ${errorName(found.errorCode)}`);
    for (const batch of found.records ?? []) await this.#showBatch(found.partitionIndex, reading, batch);
    reading.isAtEnd = reading.offset >= found.highWatermark;
  }

  async #showBatch(partition: number, reading: Reading, batch: kafka.RecordsBatch): Promise<void> {
    const isControlBatch = (batch.attributes & kafka.IS_CONTROL) !== 0;
    const output: Buffer[] = [];
    for (const record of isControlBatch ? [] : batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta);
      // A batch is stored whole: its first records may lie before what was asked for.
      if (offset < reading.offset) continue;
      if (this.#options.count !== undefined && this.#shown >= this.#options.count) break;
      this.#shown += 1;
      output.push(
        this.#show({
          topic: this.#topicName,
          partition,
          offset: Number(offset),
          timestamp: Number(batch.firstTimestamp + record.timestampDelta),
          key: record.key,
          value: record.value,
          headers: record.headers,
        }),
      );
    }
    const after = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
    if (after > reading.offset) reading.offset = after;
    if (output.length > 0) await this.#write(Buffer.concat(output));
    if (this.#options.count !== undefined && this.#shown >= this.#options.count) this.stop();
  }

  /** Waits for a slow reader of our output instead of gathering records in memory. */
  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
  }

  #learn(topic: TopicInfo): void {
    this.#topicId = topic.topicId;
    for (const { partitionIndex, leaderId } of topic.partitions) {
      const reading = this.#readings.get(partitionIndex);
      if (reading !== undefined) reading.leaderId = leaderId;
    }
  }

  async #refresh(): Promise<void> {
    try {
      const { topics } = await this.#client.metadata([this.#topicName]);
      if (topics[0]?.errorCode === 0) this.#learn(topics[0]);
      if (this.#loops.size > 0) this.#spawnLoops();
    } catch {
      // Nobody answers just now; whoever asked comes again.
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => nodeTimers.setTimer(retryMs, resolve));
  }
}

function fetchOf(partition: number, fetchOffset: bigint): kafka.fetchV17.FetchRequestPartition {
  return {
    partition,
    currentLeaderEpoch: -1,
    fetchOffset,
    lastFetchedEpoch: -1,
    partitionMaxBytes: maxPartitionBytes,
  };
}
