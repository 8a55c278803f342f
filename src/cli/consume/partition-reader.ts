/**
 * How are partitions read, one record after the other, whoever leads them? One loop per broker asks it for all the
 * partitions that it leads; a partition whose leader moves is taken up by the loop of the new one. Which partitions are
 * read may change at any time; what was fetched for one that is not read any more is thrown away.
 */
import * as kafka from '@platformatic/kafka';
import type { Timers } from '../../env/clock.ts';
import { pause } from '../../env/pause.ts';
import { errorName, type KafkaClient, reasonOf } from '../client/kafka-client.ts';
import { movingErrors } from '../client/log-offsets.ts';
import { type NamedPartition, partitionName } from '../client/named-partition.ts';
import { CliError } from '../exit-code.ts';
import type { ShownRecord } from './record-format.ts';

export interface Position extends NamedPartition {
  /** The next offset to take. */
  readonly offset: bigint;
}

export interface Start extends Position {
  /** Read no further than this, exclusive; null: for ever. */
  readonly endOffset: bigint | null;
}

export interface ReaderHandlers {
  /**
   * Records of one partition, in their order; fulfilled with how many of them were taken, once they are out. Those that
   * were not, and what comes after them, count as not read.
   */
  take(records: readonly ShownRecord[]): Promise<number>;
  /** Every partition has been read to its end offset. Not called where none is read. */
  onAllAtEnd(): void;
  /** Nothing is there at the position any more, or not yet: where to go on. Throws to end it all. */
  outOfRange(position: Position, logStartOffset: bigint, logEndOffset: bigint): bigint;
  /** No loop goes on after this. */
  onFailed(error: CliError): void;
}

/** What it needs of a client. */
export type FetchClient = Pick<KafkaClient, 'metadata' | 'request'>;

interface Reading extends NamedPartition {
  offset: bigint;
  readonly endOffset: bigint | null;
  isAtEnd: boolean;
  /** By one loop; where leadership has just moved another one may have fetched the same. */
  isBeingTaken: boolean;
}

const maxWaitMs = 500;
const maxBytes = 8 * 1024 * 1024;
const maxPartitionBytes = 1024 * 1024;
const retryMs = 100;
const offsetOutOfRange = 1;

export class PartitionReader {
  readonly #client: FetchClient;
  readonly #timers: Timers;
  readonly #handlers: ReaderHandlers;
  #readings: ReadonlyMap<string, Reading> = new Map();
  readonly #leaders = new Map<string, number>();
  readonly #topicIds = new Map<string, string>();
  readonly #loops = new Set<number>();
  /** What is being taken just now. */
  readonly #takes = new Set<Promise<void>>();
  #isStopped = false;

  constructor(client: FetchClient, timers: Timers, handlers: ReaderHandlers) {
    this.#client = client;
    this.#timers = timers;
    this.#handlers = handlers;
  }

  /** Reads these from now on, and nothing else. */
  async read(starts: readonly Start[]): Promise<void> {
    this.#readings = new Map(
      starts.map(({ topic, partition, offset, endOffset }) => [
        partitionName({ topic, partition }),
        { topic, partition, offset, endOffset, isAtEnd: false, isBeingTaken: false },
      ]),
    );
    await this.#refresh();
    this.#spawnLoops();
  }

  positions(): readonly Position[] {
    return [...this.#readings.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** Reads nothing any more; fulfilled with how far each partition was read, once what is being taken is out. */
  async release(): Promise<readonly Position[]> {
    const before = this.#readings;
    this.#readings = new Map();
    await Promise.all(this.#takes);
    return [...before.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** One loop for each broker that leads something we read; a loop ends when its broker leads nothing any more. */
  #spawnLoops(): void {
    if (this.#isStopped) return;
    for (const reading of this.#unfinished()) {
      const leaderId = this.#leaders.get(partitionName(reading)) ?? -1;
      if (leaderId < 0 || this.#loops.has(leaderId)) continue;
      this.#loops.add(leaderId);
      this.#loop(leaderId).then(
        () => {
          this.#loops.delete(leaderId);
          this.#spawnLoops();
        },
        (error: Error) => {
          this.#isStopped = true;
          this.#handlers.onFailed(error instanceof CliError ? error : new CliError(reasonOf(error)));
        },
      );
    }
    // Nobody leads anything: without a loop nobody would ask again.
    if (this.#loops.size === 0 && this.#unfinished().length > 0)
      void pause(this.#timers, retryMs)
        .then(() => this.#refresh())
        .finally(() => this.#spawnLoops());
  }

  #unfinished(): Reading[] {
    return [...this.#readings.values()].filter(({ isAtEnd }) => !isAtEnd);
  }

  async #loop(nodeId: number): Promise<void> {
    while (!this.#isStopped) {
      const readings = this.#unfinished().filter((one) => this.#leaders.get(partitionName(one)) === nodeId);
      if (readings.length === 0) return;
      const offsets = new Map(readings.map((reading) => [reading, reading.offset]));
      let answer: kafka.fetchV17.FetchResponse;
      try {
        answer = await this.#fetch(nodeId, readings);
      } catch {
        await pause(this.#timers, retryMs);
        await this.#refresh();
        continue;
      }
      let hasMoved = answer.errorCode !== 0;
      for (const { topicId, partitions } of answer.responses)
        for (const found of partitions) {
          const reading = readings.find(
            ({ topic, partition }) => partition === found.partitionIndex && this.#topicIds.get(topic) === topicId,
          );
          if (this.#isStopped) return;
          if (reading === undefined || !this.#isCurrent(reading)) continue;
          if (movingErrors.has(found.errorCode)) hasMoved = true;
          else if (!reading.isBeingTaken && reading.offset === offsets.get(reading))
            await this.#tracked(reading, this.#take(reading, found));
        }
      if (hasMoved) {
        await pause(this.#timers, retryMs);
        await this.#refresh();
      }
    }
  }

  #fetch(nodeId: number, readings: readonly Reading[]): Promise<kafka.fetchV17.FetchResponse> {
    const topics = [...Map.groupBy(readings, ({ topic }) => this.#topicIds.get(topic) ?? '')].map(
      ([topicId, ofTopic]) => ({
        topicId,
        partitions: ofTopic.map(({ partition, offset }) => ({
          partition,
          currentLeaderEpoch: -1,
          fetchOffset: offset,
          lastFetchedEpoch: -1,
          partitionMaxBytes: maxPartitionBytes,
        })),
      }),
    );
    return this.#client.request(nodeId, kafka.fetchV17.api, maxWaitMs, 1, maxBytes, 0, 0, -1, topics, [], '');
  }

  async #tracked(reading: Reading, taking: Promise<void>): Promise<void> {
    // Whoever waits for it in release() is not the one to tell of a failure.
    const settled = taking.catch(() => {});
    this.#takes.add(settled);
    reading.isBeingTaken = true;
    try {
      await taking;
    } finally {
      reading.isBeingTaken = false;
      this.#takes.delete(settled);
    }
  }

  /** Released meanwhile, or read anew from somewhere else: then it is not ours to take. */
  #isCurrent(reading: Reading): boolean {
    return this.#readings.get(partitionName(reading)) === reading;
  }

  async #take(reading: Reading, found: kafka.fetchV17.FetchResponsePartition): Promise<void> {
    if (found.errorCode === offsetOutOfRange) {
      reading.offset = this.#handlers.outOfRange(reading, found.logStartOffset, found.highWatermark);
      return;
    }
    if (found.errorCode !== 0) throw new CliError(`${partitionName(reading)}: ${errorName(found.errorCode)}`);
    for (const batch of found.records ?? []) {
      if (this.#isStopped || !this.#isCurrent(reading)) return;
      const isWhole = await this.#takeBatch(reading, batch);
      if (!isWhole) return;
    }
    if (reading.endOffset === null || reading.offset < reading.endOffset) return;
    reading.isAtEnd = true;
    if (this.#isCurrent(reading) && this.#unfinished().length === 0) this.#handlers.onAllAtEnd();
  }

  /** Whether everything in it was taken. */
  async #takeBatch(reading: Reading, batch: kafka.RecordsBatch): Promise<boolean> {
    const records = (batch.attributes & kafka.IS_CONTROL) !== 0 ? [] : recordsFrom(reading, batch);
    const taken = records.length === 0 ? 0 : await this.#handlers.take(records);
    const next = records[taken];
    const end = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
    const reached = next === undefined ? end : BigInt(next.offset);
    if (reached > reading.offset) reading.offset = reached;
    return next === undefined;
  }

  async #refresh(): Promise<void> {
    const names = [...new Set([...this.#readings.values()].map(({ topic }) => topic))];
    if (names.length === 0) return;
    try {
      const { topics } = await this.#client.metadata(names);
      for (const topic of topics) {
        if (topic.errorCode !== 0) continue;
        this.#topicIds.set(topic.name, topic.topicId);
        for (const { partitionIndex: partition, leaderId } of topic.partitions)
          this.#leaders.set(partitionName({ topic: topic.name, partition }), leaderId);
      }
      if (this.#loops.size > 0) this.#spawnLoops();
    } catch {
      // Nobody answers just now; whoever asked comes again.
    }
  }
}

/** A batch is stored whole: its first records may lie before what was asked for. */
const recordsFrom = ({ topic, partition, offset: from }: Reading, batch: kafka.RecordsBatch): ShownRecord[] =>
  batch.records
    .map((record) => ({
      topic,
      partition,
      offset: Number(batch.firstOffset + BigInt(record.offsetDelta)),
      timestamp: Number(batch.firstTimestamp + record.timestampDelta),
      key: record.key,
      value: record.value,
      headers: record.headers,
    }))
    .filter(({ offset }) => offset >= from);
