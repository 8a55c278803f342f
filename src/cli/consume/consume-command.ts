/** `cordwood consume`: what is in these topics? Reads partitions by offset, without a group, or as a member of one. */
import { nodeClock } from '../../env/node/clock.ts';
import { nodeTimers } from '../../env/node/timers.ts';
import { KafkaClient } from '../client/kafka-client.ts';
import { listKnownOffsets, logEnd, logStart, type OffsetModules } from '../client/log-offsets.ts';
import { type NamedPartition, partitionName } from '../client/named-partition.ts';
import { CliError, exitCode } from '../exit-code.ts';
import { firstStopSignal } from '../stop-signals.ts';
import { GroupConsumption } from './group-consumption.ts';
import { PartitionReader, type Start } from './partition-reader.ts';
import { compileFormat, jsonOf } from './record-format.ts';
import { RecordPrinter } from './record-printer.ts';
import { parseResetOffset, parseStartOffset, type StartOffset } from './start-offset.ts';

export interface ConsumeOptions {
  readonly bootstrap: string;
  readonly group?: string;
  readonly partition: readonly number[];
  readonly offset: string;
  readonly count?: number;
  readonly exitAtEnd: boolean;
  readonly format: string;
  readonly json: boolean;
}

const requestTimeoutMs = 15_000;

/** Something that reads until it is stopped, from outside or by itself. */
interface Consumption {
  /** Rejects with what ended it badly. */
  run(): Promise<void>;
  stop(): void;
}

export async function runConsume(topics: readonly string[], options: ConsumeOptions): Promise<void> {
  const begin = consumptionOf([...new Set(topics)], options);
  const client = new KafkaClient({ bootstrap: options.bootstrap, requestTimeoutMs });
  let consumption: Consumption | null = null;
  const stop = (): void => consumption?.stop();
  void firstStopSignal(nodeClock).then(() => {
    if (consumption === null) process.exit(exitCode.interrupted);
    stop();
  });
  // `cordwood consume … | head` closes our output: that is an end like any other.
  process.stdout.on('error', stop);
  try {
    for (const name of topics) await client.topic(name);
    consumption = begin(client);
    await consumption.run();
  } finally {
    await client.close();
  }
}

/** Whatever is wrong with the options shows before anything is connected. */
function consumptionOf(topics: readonly string[], options: ConsumeOptions): (client: KafkaClient) => Consumption {
  const show = options.json ? jsonOf : compileFormat(options.format);
  const { group, count, exitAtEnd } = options;
  if (group !== undefined) {
    if (options.partition.length > 0)
      throw new CliError('--partition: with --group it is the group that divides the partitions', exitCode.usage);
    const reset = parseResetOffset(options.offset);
    const { bootstrap } = options;
    return (client) =>
      new GroupConsumption(
        { group, topics, bootstrap, reset, exitAtEnd, count, show },
        { client, clock: nodeClock, timers: nodeTimers },
      );
  }
  const start = parseStartOffset(options.offset);
  return (client) => new PlainConsumption(client, topics, start, options, show);
}

/** Without a group: partitions as the command line says, from where it says; nothing is remembered. */
class PlainConsumption implements Consumption {
  readonly #client: KafkaClient;
  readonly #topics: readonly string[];
  readonly #start: StartOffset;
  readonly #options: ConsumeOptions;
  readonly #reader: PartitionReader;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(
    client: KafkaClient,
    topics: readonly string[],
    start: StartOffset,
    options: ConsumeOptions,
    show: ConstructorParameters<typeof RecordPrinter>[0],
  ) {
    this.#client = client;
    this.#topics = topics;
    this.#start = start;
    this.#options = options;
    const printer = new RecordPrinter(show, options.count, () => this.stop());
    this.#reader = new PartitionReader(client, nodeTimers, {
      take: (records) => printer.print(records),
      onAllAtEnd: () => this.stop(),
      outOfRange: ({ partition, offset }, logStartOffset, logEndOffset) => {
        throw new CliError(
          `partition ${partition}: offset ${offset} is out of range ${logStartOffset} to ${logEndOffset}`,
        );
      },
      onFailed: (error) => this.#ended.reject(error),
    });
  }

  async run(): Promise<void> {
    // What ends it may come before anybody waits for it.
    this.#ended.promise.catch(() => {});
    await Promise.race([this.#begin(), this.#ended.promise]);
    await this.#ended.promise;
    await this.#reader.release();
  }

  stop(): void {
    this.#reader.stop();
    this.#ended.resolve();
  }

  async #begin(): Promise<void> {
    const partitions = await this.#partitions();
    const modules: OffsetModules = { client: this.#client, timers: nodeTimers };
    const ends = this.#options.exitAtEnd ? await listKnownOffsets(modules, partitions, logEnd) : null;
    const offsets = await startOffsets(modules, partitions, this.#start);
    const starts: Start[] = partitions.map((one) => {
      const name = partitionName(one);
      return { ...one, offset: offsets.get(name) ?? 0n, endOffset: ends?.get(name) ?? null };
    });
    await this.#reader.read(starts);
  }

  async #partitions(): Promise<readonly NamedPartition[]> {
    const all: NamedPartition[] = [];
    for (const name of this.#topics) {
      const { partitions } = await this.#client.topic(name);
      const wanted = this.#options.partition.length > 0 ? this.#options.partition : [...partitions.keys()];
      for (const partition of new Set(wanted)) {
        if (partition >= partitions.length)
          throw new CliError(
            `topic ${name} has ${partitions.length} partitions, there is none numbered ${partition}`,
            exitCode.usage,
          );
        all.push({ topic: name, partition });
      }
    }
    return all;
  }
}

async function startOffsets(
  modules: OffsetModules,
  partitions: readonly NamedPartition[],
  start: StartOffset,
): Promise<ReadonlyMap<string, bigint>> {
  switch (start.kind) {
    case 'offset':
      return new Map(partitions.map((one) => [partitionName(one), start.offset]));
    case 'earliest':
      return listKnownOffsets(modules, partitions, logStart);
    case 'latest':
      return listKnownOffsets(modules, partitions, logEnd);
    case 'fromEnd': {
      const first = await listKnownOffsets(modules, partitions, logStart);
      const ends = await listKnownOffsets(modules, partitions, logEnd);
      return new Map(
        [...first].map(([name, offset]) => {
          const from = (ends.get(name) ?? 0n) - start.records;
          return [name, from > offset ? from : offset];
        }),
      );
    }
    case 'timestamp': {
      const found = await listKnownOffsets(modules, partitions, start.ms);
      const ends = await listKnownOffsets(modules, partitions, logEnd);
      return new Map([...found].map(([name, offset]) => [name, offset >= 0n ? offset : (ends.get(name) ?? 0n)]));
    }
  }
}
