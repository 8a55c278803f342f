/** `cordwood produce`: how do lines from a pipe or a terminal become records, and what does the user learn of them? */
import * as kafka from '@platformatic/kafka';
import { nodeClock } from '../../env/node/clock.ts';
import { nodeTimers } from '../../env/node/timers.ts';
import { pause } from '../../env/pause.ts';
import { errorName, KafkaClient, type TopicInfo } from '../client/kafka-client.ts';
import { CliError, exitCode } from '../exit-code.ts';
import { grouped, printJson } from '../output.ts';
import { type Compression, LeaderSender } from './leader-sender.ts';
import { LineSplitter } from './line-splitter.ts';
import { type LaneRecord, PartitionLane, recordBytes } from './partition-lane.ts';

export interface ProduceOptions {
  readonly bootstrap: string;
  readonly keySeparator?: string;
  readonly partition?: number;
  readonly acks: '0' | '1' | 'all';
  readonly compression: Compression;
  readonly idempotent: boolean;
  readonly header: readonly (readonly [name: string, value: string])[];
  readonly deliveryTimeoutMs: number;
  readonly batchBytes: number;
  readonly json: boolean;
}

/** The reader stops above the first and goes on below the second: bytes of lines read and not yet acknowledged. */
const highMarkBytes = 32 * 1024 * 1024;
const lowMarkBytes = 16 * 1024 * 1024;
const progressEveryMs = 200;
const requestTimeoutMs = 15_000;

export async function runProduce(topicName: string, options: ProduceOptions): Promise<void> {
  const client = new KafkaClient({ bootstrap: options.bootstrap, requestTimeoutMs });
  try {
    const topic = await topicWithLeaders(client, topicName);
    const production = new Production(client, topic, options, await producerOf(client, options));
    const isWhole = await production.run();
    production.report(isWhole);
  } finally {
    await client.close();
  }
}

/** The topic; where the cluster creates topics by itself this creates it, and waits until it can be written to. */
async function topicWithLeaders(client: KafkaClient, name: string): Promise<TopicInfo> {
  const unknownTopic = 3;
  const leaderNotAvailable = 5;
  for (let tries = 0; ; tries += 1) {
    const { topics } = await client.metadata([name], { create: true });
    const topic = topics.find((one) => one.name === name);
    const code = topic?.errorCode ?? unknownTopic;
    if (topic !== undefined && code === 0 && topic.partitions.some(({ leaderId }) => leaderId >= 0)) return topic;
    const mayCome = code === 0 || code === unknownTopic || code === leaderNotAvailable;
    // The answer that creates a topic says that it is unknown, this once.
    if (!mayCome || tries === 20 || (code === unknownTopic && tries === 5))
      throw new CliError(
        code === unknownTopic
          ? `there is no topic ${name} (create it: cordwood topic create ${name})`
          : `topic ${name}: ${code === 0 ? 'no partition has a leader' : errorName(code)}`,
      );
    await pause(nodeTimers, 100);
  }
}

type Producer = { readonly producerId: bigint; readonly producerEpoch: number } | null;

async function producerOf(client: KafkaClient, options: ProduceOptions): Promise<Producer> {
  if (!options.idempotent || options.acks !== 'all') return null;
  const giveUpMs = nodeClock.monotonicMs() + options.deliveryTimeoutMs;
  for (;;) {
    const answer = await client.requestAny(kafka.initProducerIdV5.api, null, requestTimeoutMs, -1n, -1);
    if (answer.errorCode === 0) return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
    // Right after the start of a cluster nobody can hand out ids yet.
    const mayCome = [14, 15, 16, 7, 51].includes(answer.errorCode);
    if (!mayCome || nodeClock.monotonicMs() > giveUpMs)
      throw new CliError(`no producer id: ${errorName(answer.errorCode)}`);
    await pause(nodeTimers, 100);
  }
}

/** Four lengths of at most 5 bytes (record, key, value, headers), deltas of a timestamp and an offset, one of attributes. */
function recordOverheadBytes(headers: ReadonlyMap<Buffer, Buffer> | null): number {
  const perHeader = [...(headers ?? [])].map(([name, value]) => 10 + name.length + value.length);
  return perHeader.reduce((sum, bytes) => sum + bytes, 4 * 5 + 3 + 3 + 1);
}

class Production {
  readonly #options: ProduceOptions;
  readonly #topic: TopicInfo;
  readonly #lanes: PartitionLane[];
  readonly #separator: Buffer | null;
  readonly #headers: Map<Buffer, Buffer> | null;
  readonly #startMs = nodeClock.monotonicMs();
  #queuedBytes = 0;
  #read = 0;
  #acknowledged = 0;
  #acknowledgedBytes = 0;
  #failure: string | null = null;
  #isInterrupted = false;
  #wake: (() => void) | null = null;
  /** Which partition the next lines without keys go to. */
  #turn: number;

  constructor(client: KafkaClient, topic: TopicInfo, options: ProduceOptions, producer: Producer) {
    this.#options = options;
    this.#topic = topic;
    if (options.partition !== undefined && options.partition >= topic.partitions.length)
      throw new CliError(
        `topic ${topic.name} has ${topic.partitions.length} partitions, there is none numbered ${options.partition}`,
        exitCode.usage,
      );
    this.#separator = options.keySeparator === undefined ? null : Buffer.from(options.keySeparator);
    this.#headers =
      options.header.length === 0
        ? null
        : new Map(options.header.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]));
    const acks = options.acks === 'all' ? -1 : options.acks === '1' ? 1 : 0;
    const { compression } = options;
    const sender = new LeaderSender(
      { topic: topic.name, acks, compression, ackTimeoutMs: 10_000, producer },
      { client, clock: nodeClock, timers: nodeTimers },
    );
    sender.learn(topic.partitions);
    this.#lanes = topic.partitions.map(
      ({ partitionIndex }) =>
        new PartitionLane(
          {
            batchBytes: options.batchBytes,
            recordOverheadBytes: recordOverheadBytes(this.#headers),
            maxBatchRecords: 100_000,
            deliveryTimeoutMs: options.deliveryTimeoutMs,
          },
          {
            clock: nodeClock,
            timers: nodeTimers,
            send: (records, baseSequence) => sender.send(partitionIndex, records, baseSequence),
            onAcknowledged: (records, bytes) => this.#onAcknowledged(records, bytes),
            onFailed: (reason) => this.#onFailed(`partition ${partitionIndex}: ${reason}`),
          },
        ),
    );
    // Not always from partition 0: many short runs should fill all partitions alike.
    this.#turn = Number(nodeClock.wallMs() % topic.partitions.length);
  }

  /** Whether the input was read to its end. */
  async run(): Promise<boolean> {
    const isTerminal = process.stdin.isTTY === true;
    if (isTerminal) process.stderr.write(`One record per line to ${this.#topic.name}; Ctrl-D ends.\n`);
    const progress =
      process.stderr.isTTY && !isTerminal
        ? nodeTimers.setRepeatingTimer(progressEveryMs, () => process.stderr.write(`\r${this.#summary()}\u001b[K`))
        : null;
    const onInterrupt = (): void => {
      if (this.#isInterrupted) process.exit(exitCode.interrupted);
      this.#isInterrupted = true;
      this.#wake?.();
      process.stdin.destroy();
    };
    process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
    let isWhole = false;
    try {
      isWhole = await this.#readLines();
      if (this.#failure !== null) for (const lane of this.#lanes) lane.abandon();
      await Promise.all(this.#lanes.map((lane) => lane.whenIdle()));
    } finally {
      process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
      progress?.cancel();
      if (progress !== null) process.stderr.write('\r\u001b[K');
    }
    return isWhole && !this.#isInterrupted;
  }

  async #readLines(): Promise<boolean> {
    const splitter = new LineSplitter();
    try {
      for await (const chunk of process.stdin) {
        this.#route(splitter.push(chunk as Buffer));
        if (this.#queuedBytes > highMarkBytes) await this.#whenBelowLowMark();
        if (this.#failure !== null || this.#isInterrupted) return false;
      }
    } catch (error) {
      if (this.#isInterrupted) return false;
      this.#failure ??= `standard input: ${(error as Error).message}`;
      return false;
    }
    this.#route(splitter.end());
    return true;
  }

  #whenBelowLowMark(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Lines without a key go to one partition per chunk read, in turn; with a key, where Kafka's own client puts them. */
  #route(lines: readonly Buffer[]): void {
    if (lines.length === 0) return;
    const timestamp = BigInt(Math.trunc(nodeClock.wallMs()));
    const perLane = new Map<number, LaneRecord[]>();
    const count = this.#lanes.length;
    this.#turn = (this.#turn + 1) % count;
    const keyless = this.#options.partition ?? this.#turn;
    for (const line of lines) {
      const record = this.#recordOf(line, timestamp);
      const partition =
        this.#options.partition ??
        (record.key === undefined ? keyless : (kafka.murmur2(record.key) & 0x7fffffff) % count);
      this.#queuedBytes += recordBytes(record);
      const records = perLane.get(partition);
      if (records === undefined) perLane.set(partition, [record]);
      else records.push(record);
    }
    this.#read += lines.length;
    for (const [partition, records] of perLane) this.#lanes[partition]?.push(records);
  }

  #recordOf(line: Buffer, timestamp: bigint): LaneRecord {
    const headers = this.#headers === null ? {} : { headers: this.#headers };
    const at = this.#separator === null ? -1 : line.indexOf(this.#separator);
    if (this.#separator === null || at < 0) return { value: line, timestamp, ...headers };
    return { key: line.subarray(0, at), value: line.subarray(at + this.#separator.length), timestamp, ...headers };
  }

  #onAcknowledged(records: number, bytes: number): void {
    this.#acknowledged += records;
    this.#acknowledgedBytes += bytes;
    this.#queuedBytes -= bytes;
    if (this.#queuedBytes <= lowMarkBytes) this.#wakeReader();
  }

  #onFailed(reason: string): void {
    this.#failure ??= reason;
    for (const lane of this.#lanes) lane.abandon();
    this.#wakeReader();
    process.stdin.destroy();
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = null;
  }

  #summary(): string {
    const seconds = (nodeClock.monotonicMs() - this.#startMs) / 1000;
    const rate = Math.round(this.#acknowledged / Math.max(seconds, 0.001));
    const megabytes = (this.#acknowledgedBytes / 1e6).toFixed(1);
    const word = this.#options.acks === '0' ? 'sent' : 'acknowledged';
    return `${grouped(this.#acknowledged)} ${word}, ${megabytes} MB in ${seconds.toFixed(1)} s (${grouped(rate)}/s)`;
  }

  /** The counts to standard error, or with --json to standard output; throws what makes the exit code. */
  report(isWhole: boolean): void {
    const counts = this.#lanes.map((lane) => lane.counts);
    const unknown = counts.reduce((sum, lane) => sum + lane.unknown, 0);
    const unsent = counts.reduce((sum, lane) => sum + lane.unsent, 0);
    if (this.#options.json)
      printJson({
        topic: this.#topic.name,
        read: this.#read,
        acknowledged: this.#acknowledged,
        unknown,
        unsent,
        inputReadToItsEnd: isWhole,
        error: this.#failure,
        seconds: (nodeClock.monotonicMs() - this.#startMs) / 1000,
        partitions: counts
          .map((lane, partition) => ({
            partition,
            acknowledged: lane.acknowledged,
            firstOffset: lane.firstOffset === null ? null : Number(lane.firstOffset),
            endOffset: lane.endOffset === null ? null : Number(lane.endOffset),
          }))
          .filter(({ acknowledged }) => acknowledged > 0),
      });
    else process.stderr.write(`${this.#summary()}\n`);
    if (this.#failure === null && unknown + unsent === 0) {
      if (this.#isInterrupted) throw new CliError('interrupted', exitCode.interrupted);
      return;
    }
    const missing = [
      unknown > 0 ? `${grouped(unknown)} sent without an answer (written or not)` : '',
      unsent > 0 ? `${grouped(unsent)} not written` : '',
      isWhole ? '' : 'the input was not read to its end',
    ].filter((part) => part !== '');
    throw new CliError(
      `${this.#failure ?? 'interrupted'}\n${grouped(this.#acknowledged)} acknowledged, ${missing.join(', ')}`,
      this.#acknowledged > 0 ? exitCode.partly : exitCode.failed,
    );
  }
}
