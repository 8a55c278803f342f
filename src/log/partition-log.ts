/**
 * One partition on disk: what was appended, in which order, how far is it written and synced, and how is it read?
 *
 *     appendAsLeader ─┐ checks, offset, epoch, producers, index rows: at once, in memory
 *     appendAsFollower┴─► queue ─► one write at a time (I26) ─► onAppended ─► fdatasync ─► recoveryPoint ─► index files
 *                           │            │                                        │
 *                        assigned     logEndOffset ≤ assigned              recoveryPoint ≤ logEndOffset
 *
 * Everything a batch changes is changed when it gets its offset; the bytes follow in that order. So if a write or a sync
 * fails, memory is ahead of the file and nothing can be taken back: the log has failed, all that waits is refused with
 * STORAGE, and only opening it again tells what it holds (I27, I28).
 *
 * The queue also carries what must happen between two appends: epochs that have to be durable before their first batch
 * (I16), producer snapshots of a roll, and cuts.
 */
import { dirname, join } from 'node:path';
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Disk, DiskFile } from '../env/disk.ts';
import type { Logger } from '../env/logger.ts';
import { assert } from '../model/assert.ts';
import { earlier, type LeaderEpoch, noLeaderEpoch, type Offset, offsetZero, type TopicId } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { codecNumber } from '../records/compression.ts';
import { decodeEndTransactionMarker } from '../records/control-record.ts';
import { recompressed } from '../records/record-batch.ts';
import {
  type BatchLimits,
  type BatchOrigin,
  setLogAppendTime,
  unpackLimit,
  validateBatch,
} from '../records/validate-batch.ts';
import { formatEpochs } from './checkpoint-file.ts';
import type { EpochCache } from './epoch-cache.ts';
import { checkedFollowerBatches } from './follower-batches.ts';
import { defaultFlushMs, type LogConfig } from './log-config.ts';
import { type LogRead, LogReader, type ReadLimits, segmentIndexOf, type TimestampOffset } from './log-reader.ts';
import {
  epochFileName,
  listPartitionFiles,
  metadataFileName,
  noPartitionFiles,
  openPartitionDirectory,
  writeDerivedFile,
  writeEpochs,
} from './partition-files.ts';
import { producerFilesOf } from './producer-snapshot.ts';
import { firstOffsetOf, type ProducerBatch, type ProducerState } from './producer-state.ts';
import { type LastStop, noteInto, type RecoveredLog, recoverLog, recoverProducers } from './recovery.ts';
import { Segment } from './segment.ts';
import { storageFault } from './storage-fault.ts';
import { appendChunk, type PartitionTail, TailCache } from './tail-cache.ts';
import { type BatchRun, type Waiter, WriteQueue } from './write-queue.ts';

export type { LogConfig } from './log-config.ts';
export type { LogRead, TimestampOffset } from './log-reader.ts';
export { ForeignDirectoryError } from './partition-files.ts';
export type { LastStop } from './recovery.ts';

export interface AppendResult {
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
  /** Milliseconds since 1970 under LogAppendTime, else -1. */
  readonly logAppendTimeMs: number;
  /** The producer had sent it before: nothing was appended, the offsets are those of then. */
  readonly duplicate: boolean;
}

/** A batch that has its offsets and is on its way to the file. */
export interface QueuedAppend {
  readonly result: AppendResult;
  /** Resolves when the bytes are written, and synced where the configuration asks for it; rejects with STORAGE. */
  readonly written: Promise<void>;
}

export interface OpenOptions {
  readonly directory: string;
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  readonly config: LogConfig;
  /** Synced up to here when it was last noted. */
  readonly recoveryPoint: Offset;
  readonly lastStop: LastStop;
  readonly logStartOffset?: Offset;
  /** Shared by all logs of a process; none keeps no bytes. */
  readonly tailCache?: TailCache;
}

export interface LogModules {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** A run that more batches may join. */
type OpenRun = { -readonly [Field in keyof Omit<BatchRun, 'waiter' | 'chunks'>]: BatchRun[Field] } & {
  chunks: Buffer[];
};

const noTail = new TailCache(0);

export class PartitionLog {
  readonly directory: string;
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly epochs: EpochCache;
  readonly lastStop: LastStop;
  /** Called after each completed write, in order. */
  onAppended: ((logEndOffset: Offset) => void) | null = null;
  /** Called once, when a write or a sync has failed: the log takes and gives nothing any more. */
  onFailed: ((error: unknown) => void) | null = null;
  /** Set by the log directory: makes a recovery point that has fallen durable, before a cut (see `recovery.ts`). */
  onRecoveryPointLowered: (() => Promise<void>) | null = null;
  readonly #modules: LogModules;
  readonly #tail: PartitionTail;
  readonly #segments: Segment[];
  #config: LogConfig;
  #limits: BatchLimits;
  #producers: ProducerState;
  #logStartOffset: Offset;
  #assignedEnd: Offset;
  #logEndOffset: Offset;
  #recoveryPoint: Offset;
  #producersSavedAt: number;
  /** Full segments whose bytes and indexes may not be synced. */
  readonly #unfinished = new Set<Segment>();
  readonly #queue: WriteQueue;
  readonly #reader: LogReader;
  #isCutting = false;
  #unsyncedRecords = 0;
  #awaitingSync: Waiter[] = [];
  #isSyncing = false;
  #isNewDirectory: boolean;
  #hasEpochFile: boolean;
  /** Names added to the directory, and how many of them are durable. */
  #namesAdded = 0;
  #namesSynced = 0;
  #flushing: Promise<void> = Promise.resolve();
  #flushTimer: Timer | null = null;
  #failure: unknown = null;
  #isClosed = false;

  static async open(options: OpenOptions, modules: LogModules): Promise<PartitionLog> {
    const { disk } = modules;
    const files = await openPartitionDirectory(disk, options.directory, options.topicId);
    const recovered = await recoverLog(
      {
        directory: options.directory,
        recoveryPoint: options.recoveryPoint,
        lastStop: options.lastStop,
        logStartOffset: options.logStartOffset ?? offsetZero,
        indexIntervalBytes: options.config.indexIntervalBytes,
        producerIdExpirationMs: options.config.producerIdExpirationMs,
        allowsGaps: options.config.cleanupPolicy.compact,
        nowMs: modules.clock.wallMs(),
      },
      modules,
      files ?? noPartitionFiles,
    );
    const log = new PartitionLog(options, modules, recovered, files === null);
    // What recovery kept must stay kept, and with it the knowledge of whose it is (I31).
    if (files !== null && options.lastStop !== 'clean') await log.#syncNewDirectory();
    return log;
  }

  private constructor(options: OpenOptions, modules: LogModules, recovered: RecoveredLog, isNew: boolean) {
    this.directory = options.directory;
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.lastStop = options.lastStop;
    this.epochs = recovered.epochs;
    this.#modules = modules;
    this.#tail = (options.tailCache ?? noTail).tailOf();
    this.#segments = recovered.segments;
    this.#config = options.config;
    this.#limits = limitsOf(options.config);
    this.#producers = recovered.producers;
    this.#producersSavedAt = recovered.producersSavedAt;
    this.#logStartOffset = recovered.logStartOffset;
    this.#assignedEnd = recovered.logEndOffset;
    this.#logEndOffset = recovered.logEndOffset;
    // Recovery has synced what it kept; after a clean stop all was.
    this.#recoveryPoint = recovered.logEndOffset;
    this.#isNewDirectory = isNew;
    this.#hasEpochFile = !isNew;
    if (isNew) this.#namesAdded++;
    this.#reader = new LogReader(this.#segments, () => this.#config);
    this.#queue = new WriteQueue({
      fileFor: (run) => this.#fileFor(run),
      onWritten: (runs) => this.#onWritten(runs),
      onFailed: (error) => this.#fail(error),
    });
  }

  get logStartOffset(): Offset {
    return this.#logStartOffset;
  }
  /** Written: the bytes before it are in the file, in order. */
  get logEndOffset(): Offset {
    return this.#logEndOffset;
  }
  /** Synced up to here. */
  get recoveryPoint(): Offset {
    return this.#recoveryPoint;
  }
  /** A write or a sync has failed: what the files hold is known only when the log is opened again. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }
  /** Why nothing can be done any more, or null. */
  get #stopped(): unknown {
    return this.#failure ?? (this.#isClosed ? new Error('the log is closed') : null);
  }
  get config(): LogConfig {
    return this.#config;
  }
  get sizeBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.sizeBytes;
    return bytes;
  }
  /** Idempotent producers as the assigned batches leave them; for tests, snapshots and DescribeProducers. */
  get producers(): ProducerState {
    return this.#producers;
  }
  /** Where the log's oldest segment begins: above it, a log start offset needs no checkpoint of its own. */
  get firstSegmentOffset(): Offset {
    return (this.#segments[0] as Segment).baseOffset;
  }

  /** Epoch of the last record, -1 where there is none. */
  lastEpoch(): LeaderEpoch {
    return this.#assignedEnd === 0 ? noLeaderEpoch : this.epochs.epochAt((this.#assignedEnd - 1) as Offset);
  }

  updateConfig(config: LogConfig): void {
    this.#config = config;
    this.#limits = limitsOf(config);
  }

  // Appending

  /** Appends one batch as `queueAsLeader` does, and resolves when it is written. */
  appendAsLeader(
    batch: Buffer,
    epoch: LeaderEpoch,
    options: { readonly origin: BatchOrigin } = { origin: 'client' },
  ): Promise<AppendResult> {
    const { result, written } = this.queueAsLeader(batch, epoch, options);
    return written.then(() => result);
  }

  /**
   * Takes one batch of a client or a coordinator: checks it, gives it its offset and leader epoch in place, and queues
   * it, all before this returns. Throws the refusals of `validate-batch.ts` and `producer-state.ts`, and STORAGE, with
   * nothing changed.
   */
  queueAsLeader(batch: Buffer, epoch: LeaderEpoch, options: { readonly origin: BatchOrigin }): QueuedAppend {
    this.#refuseUnlessOpen();
    const nowMs = this.#modules.clock.wallMs();
    validateBatch(batch, this.#limits, options.origin, nowMs);
    if (header.producerIdOf(batch) >= 0) {
      const known = this.#producers.check(batch, nowMs, this.#config.producerIdExpirationMs);
      if (known !== null) return { result: this.#resultOf(known), written: this.#asSafeAs(known) };
    }
    const stored = this.#inTopicCodec(batch);
    const isStamped = this.#config.messageTimestampType === 'LogAppendTime';
    if (isStamped) setLogAppendTime(stored, nowMs);
    if (header.isControlBatch(stored)) decodeEndTransactionMarker(stored); // refused before anything is changed
    const latest = this.epochs.latest();
    assert(latest === null || epoch >= latest.epoch, 'a leader appends under the newest epoch');
    const baseOffset = this.#assignedEnd;
    header.assignOffsetAndEpoch(stored, baseOffset, epoch);
    const result: AppendResult = {
      baseOffset,
      lastOffset: header.lastOffsetOf(stored),
      logAppendTimeMs: isStamped ? nowMs : -1,
      duplicate: false,
    };
    return { result, written: this.#enqueue([stored], stored.length) };
  }

  #inTopicCodec(batch: Buffer): Buffer {
    const wanted = this.#config.compressionType;
    if (wanted === 'producer' || header.isControlBatch(batch)) return batch;
    const codec = wanted === 'uncompressed' ? 'none' : wanted;
    if (header.codecNumberOf(batch) === codecNumber(codec)) return batch;
    return recompressed(batch, codec, unpackLimit(this.#config.maxMessageBytes));
  }

  /** The first answer again. */
  #resultOf(known: ProducerBatch): AppendResult {
    return {
      baseOffset: firstOffsetOf(known),
      lastOffset: known.lastOffset,
      logAppendTimeMs: this.#config.messageTimestampType === 'LogAppendTime' ? known.timestampMs : -1,
      duplicate: true,
    };
  }

  /** Resolves once the original is as safe as this log's configuration asks. */
  async #asSafeAs(known: ProducerBatch): Promise<void> {
    if (known.lastOffset >= this.#logEndOffset) await this.#queue.runTask(async () => {});
    if (this.#config.flushPolicy === 'group-commit' && known.lastOffset >= this.#recoveryPoint) await this.#synced();
  }

  /**
   * Appends batches of the leader byte for byte. Refuses, before anything is changed, bytes that are not whole batches
   * with a right CRC that follow this log's end and one another (I25), and epochs that fall or exceed `maxLeaderEpoch`
   * [KAFKA-18723]: CORRUPT_MESSAGE. Resolves when written.
   */
  async appendAsFollower(batches: Buffer, maxLeaderEpoch: LeaderEpoch): Promise<void> {
    this.#refuseUnlessOpen();
    const all = checkedFollowerBatches(batches, {
      endOffset: this.#assignedEnd,
      leaderEpoch: this.epochs.latest()?.epoch ?? null,
      maxLeaderEpoch,
      allowsGaps: this.#config.cleanupPolicy.compact,
    });
    if (all.length > 0) await this.#enqueue(all, batches.length);
  }

  /** Batches that have their offsets: all that they change, and their place in the queue. */
  #enqueue(batches: readonly Buffer[], byteLength: number): Promise<void> {
    assert(!this.#isCutting, 'nothing is appended while the log is being cut');
    return new Promise((resolve, reject) => {
      let run: OpenRun | null = null;
      const nowMs = this.#modules.clock.wallMs();
      for (const batch of batches) {
        const epoch = header.partitionLeaderEpochOf(batch);
        const baseOffset = header.baseOffsetOf(batch);
        if (epoch !== noLeaderEpoch && this.epochs.assign(epoch, baseOffset)) {
          if (run !== null) this.#queue.push({ ...run, waiter: null });
          run = null;
          void this.#persistEpochs();
        }
        const segment: Segment = this.#segmentFor(batch, run);
        if (run !== null && run.segment !== segment) run = null;
        const position = segment.noteAppend(batch, this.#config.indexIntervalBytes);
        this.#assignedEnd = segment.nextOffset;
        noteInto(this.#producers, batch, nowMs);
        const bytes = this.#tail.add(batch, baseOffset, this.#assignedEnd, byteLength);
        run ??= { segment, position, chunks: [], byteLength: 0, recordCount: 0, nextOffset: this.#assignedEnd };
        appendChunk(run.chunks, bytes);
        run.byteLength += batch.length;
        run.recordCount += header.lastOffsetDeltaOf(batch) + 1;
        run.nextOffset = this.#assignedEnd;
      }
      assert(run !== null, 'there is something to append');
      this.#queue.push({ ...run, waiter: { resolve, reject } });
    });
  }

  /** The active segment, or a new one where the batch does not belong in it; what is open for the old one is queued. */
  #segmentFor(batch: Buffer, open: OpenRun | null): Segment {
    const active = this.#segments.at(-1) as Segment;
    const facts = {
      bytes: batch.length,
      lastOffset: header.lastOffsetOf(batch),
      maxTimestampMs: header.maxTimestampOf(batch),
    };
    const nowMs = this.#modules.clock.wallMs();
    if (!active.shouldRoll(facts, this.#config, nowMs)) return active;
    if (open !== null) this.#queue.push({ ...open, waiter: null });
    active.noteFinalTimestamp();
    this.#unfinished.add(active);
    const base = header.baseOffsetOf(batch);
    const fresh = new Segment(this.directory, base, nowMs, this.#modules.disk);
    fresh.becomeNew();
    this.#segments.push(fresh);
    this.#saveProducersInQueue(base);
    return fresh;
  }

  // Written

  async #fileFor({ segment, position }: BatchRun): Promise<DiskFile> {
    // A segment's name must not be durable before those of the segments in front of it: that would be a hole.
    if (position === 0 && this.#segments.length > 1) await this.#syncNames();
    const { file, isNew } = await segment.fileForWriting();
    if (isNew) this.#namesAdded++;
    return file;
  }

  #onWritten(written: readonly BatchRun[]): void {
    const last = written.at(-1);
    assert(last !== undefined && last.nextOffset > this.#logEndOffset, 'a write moves the log end on');
    this.#logEndOffset = last.nextOffset;
    for (const item of written) this.#unsyncedRecords += item.recordCount;
    const { flushPolicy, flushMessages } = this.#config;
    const waitsForSync =
      flushPolicy === 'group-commit' || (flushMessages !== null && this.#unsyncedRecords >= flushMessages);
    if (waitsForSync) {
      for (const { waiter } of written) if (waiter !== null) this.#awaitingSync.push(waiter);
      void this.#syncForWaiters();
    }
    this.#scheduleFlush();
    this.onAppended?.(this.#logEndOffset);
    if (!waitsForSync) for (const { waiter } of written) waiter?.resolve();
  }

  // Syncing

  /** One fdatasync for all who wait for one; those who come meanwhile get the next. */
  async #syncForWaiters(): Promise<void> {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    try {
      while (this.#awaitingSync.length > 0 && this.#stopped === null) {
        const waiters = this.#awaitingSync;
        this.#awaitingSync = [];
        try {
          await this.#serially(() => this.#syncWritten());
        } catch (error) {
          for (const waiter of waiters) waiter.reject(storageFault(error));
          throw error;
        }
        for (const waiter of waiters) waiter.resolve();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isSyncing = false;
    }
  }

  #synced(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== null) {
        reject(storageFault(this.#stopped));
        return;
      }
      this.#awaitingSync.push({ resolve, reject });
      void this.#syncForWaiters();
    });
  }

  /** Syncs, index files, cuts: one after another. */
  #serially(work: () => Promise<void>): Promise<void> {
    const run = this.#flushing.then(work);
    this.#flushing = run.catch(() => {});
    return run;
  }

  async #syncWritten(): Promise<void> {
    if (this.#stopped !== null) throw storageFault(this.#stopped);
    const end = this.#logEndOffset;
    const records = this.#unsyncedRecords;
    for (const segment of this.#unfinished) {
      if (segment.nextOffset > end) break;
      await segment.sync();
      // From here on a recovery trusts its indexes, so they must be as durable as its records.
      await segment.becomeInactive();
      this.#unfinished.delete(segment);
    }
    if (end > this.#recoveryPoint)
      for (const segment of this.#segments.slice(segmentIndexOf(this.#segments, this.#recoveryPoint))) {
        if (segment.baseOffset >= end) break;
        await segment.sync();
      }
    await this.#syncNames();
    if (end > this.#recoveryPoint) this.#recoveryPoint = end;
    this.#unsyncedRecords = Math.max(0, this.#unsyncedRecords - records);
  }

  async #syncNames(): Promise<void> {
    if (this.#isNewDirectory) await this.#syncNewDirectory();
    if (this.#namesSynced === this.#namesAdded) return;
    const added = this.#namesAdded;
    await this.#modules.disk.syncDirectory(this.directory);
    this.#namesSynced = added;
  }

  /** A partition's first records are safe only with the directory that they lie in. */
  async #syncNewDirectory(): Promise<void> {
    const { disk } = this.#modules;
    const metadata = await disk.open(join(this.directory, metadataFileName), 'r+');
    try {
      await metadata.sync();
    } finally {
      await metadata.close();
    }
    await disk.syncDirectory(dirname(this.directory));
    this.#isNewDirectory = false;
  }

  #scheduleFlush(): void {
    if (this.#flushTimer !== null || this.#isClosed) return;
    this.#flushTimer = this.#modules.timers.setTimer(this.#config.flushMs ?? defaultFlushMs, () => {
      this.#flushTimer = null;
      this.flush().catch(() => {}); // `#fail` has told everybody
    });
  }

  /** Syncs what is written, then brings the index files up to it. Rejects with STORAGE, and then for good. */
  async flush(): Promise<void> {
    if (this.#stopped !== null) throw storageFault(this.#stopped);
    try {
      await this.#serially(async () => {
        await this.#syncWritten();
        await this.#segments.at(-1)?.persistIndexes();
      });
    } catch (error) {
      this.#fail(error);
      throw storageFault(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#isClosed) return;
    this.#failure = error;
    this.#flushTimer?.cancel();
    this.#refuseWaiters(storageFault(error));
    this.#tail.clear();
    this.#modules.logger.error({ err: error, directory: this.directory }, 'the log has failed and is out of service');
    this.onFailed?.(error);
  }

  #refuseWaiters(fault: BrokerError): void {
    this.#queue.stop(fault);
    const waiters = this.#awaitingSync;
    this.#awaitingSync = [];
    for (const waiter of waiters) waiter.reject(fault);
  }

  #refuseUnlessOpen(): void {
    if (this.#stopped !== null) throw storageFault(this.#stopped);
  }

  // Reading

  /**
   * Whole batches from the one that holds `from` on, all of which end at or before `endOffset`: at most `maxBytes`, but
   * at least one batch if `minOneBatch`. At once from memory where it can be, else a promise. Throws or rejects with
   * OFFSET_OUT_OF_RANGE, STORAGE or SEGMENT_CORRUPT.
   */
  read(from: Offset, limits: ReadLimits): LogRead | Promise<LogRead> {
    this.#refuseUnlessOpen();
    const logEndOffset = this.#logEndOffset;
    if (from < this.#logStartOffset || from > logEndOffset)
      throw new BrokerError({
        code: 'OFFSET_OUT_OF_RANGE',
        asked: from,
        logStartOffset: this.#logStartOffset,
        logEndOffset,
      });
    const endOffset = earlier(limits.endOffset, logEndOffset);
    if (from >= endOffset) return { chunks: [], byteLength: 0, nextOffset: from };
    const cached = this.#tail.read(from, limits.maxBytes, endOffset, limits.minOneBatch);
    if (cached !== null) {
      const { chunks, byteLength, baseOffset, nextOffset } = cached;
      return baseOffset === null ? { chunks, byteLength, nextOffset } : { chunks, byteLength, baseOffset, nextOffset };
    }
    return this.#reader.read(from, { ...limits, endOffset });
  }

  /** The first record, at or after the log start offset, that is as late as `timestampMs`; null where none is. */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | null> {
    this.#refuseUnlessOpen();
    return this.#reader.firstRecordSince(timestampMs, this.#logStartOffset);
  }

  /** The first record that has the largest timestamp of the log; null where no record has one. */
  async maxTimestampOffset(): Promise<TimestampOffset | null> {
    this.#refuseUnlessOpen();
    return this.#reader.latestRecord(this.#logStartOffset);
  }

  // Epochs, start and end

  /** On becoming leader: the epoch begins at the log's end; durable when it resolves (I16). */
  async startLeaderEpoch(epoch: LeaderEpoch): Promise<void> {
    this.#refuseUnlessOpen();
    const latest = this.epochs.latest();
    assert(latest === null || epoch >= latest.epoch, 'leader epochs do not fall');
    this.epochs.assign(epoch, this.#assignedEnd);
    if (this.#assignedEnd > 0 || this.#hasEpochFile) return this.#persistEpochs();
    // The first epoch of an empty log need not be durable: its first batch will tell it, and each of the thousands of
    // partitions that a topic can bring into being would cost two syncs.
    this.#hasEpochFile = true;
    const path = join(this.directory, epochFileName);
    const text = Buffer.from(formatEpochs(this.epochs.entries));
    await this.#queue.runTask(() => writeDerivedFile(this.#modules.disk, path, text, { isNew: true }));
  }

  /** Drops epochs that begin at or after `endOffset`: a leader's that wrote nothing, before a follower appends. */
  dropEpochsFrom(endOffset: Offset): void {
    if (this.epochs.truncateFromEnd(endOffset)) void this.#persistEpochs();
  }

  #persistEpochs(): Promise<void> {
    this.#hasEpochFile = true;
    const entries = [...this.epochs.entries];
    const persisted = this.#queue.runTask(() => writeEpochs(this.#modules.disk, this.directory, entries));
    persisted.catch(() => {}); // `#fail` has told everybody; whoever awaits it is told too
    return persisted;
  }

  /** Records below `offset` are not served any more; they leave the disk with their segments. */
  raiseLogStart(offset: Offset): void {
    if (offset <= this.#logStartOffset) return;
    this.#logStartOffset = earlier(offset, this.#logEndOffset);
    if (this.epochs.truncateFromStart(this.#logStartOffset)) void this.#persistEpochs();
  }

  /**
   * Drops all batches that end beyond `end`, from the file, the indexes, the epochs and the producers; durable when it
   * resolves. What was queued before is written first; nothing may be appended until it is done.
   */
  async truncateTo(end: Offset): Promise<void> {
    this.#refuseUnlessOpen();
    if (end < this.#logStartOffset) return this.truncateFullyAndStartAt(end);
    if (end >= this.#assignedEnd) {
      if (this.epochs.truncateFromEnd(this.#assignedEnd)) await this.#persistEpochs();
      return;
    }
    await this.#cut(async () => {
      await this.#lowerRecoveryPoint(end);
      for (let last = this.#segments.at(-1); last !== undefined; last = this.#segments.at(-1)) {
        if (last.baseOffset < end || this.#segments.length === 1) break;
        this.#segments.pop();
        this.#unfinished.delete(last);
        await last.deleteFiles();
      }
      const last = this.#segments.at(-1) as Segment;
      this.#unfinished.delete(last);
      const kept =
        last.writtenBytes === 0 ? last.baseOffset : await last.truncateTo(end, this.#config.indexIntervalBytes);
      await this.#modules.disk.syncDirectory(this.directory);
      await this.#endAt(kept);
    });
  }

  /** Drops everything; the next batch gets offset `start`. Durable when it resolves. */
  async truncateFullyAndStartAt(start: Offset): Promise<void> {
    this.#refuseUnlessOpen();
    await this.#cut(async () => {
      const { disk, clock } = this.#modules;
      await this.#lowerRecoveryPoint(offsetZero);
      this.#unfinished.clear();
      for (const segment of this.#segments.splice(0).reverse()) await segment.deleteFiles();
      const fresh = new Segment(this.directory, start, clock.wallMs(), disk);
      fresh.becomeNew();
      this.#segments.push(fresh);
      // The empty file's name is what says where the log begins.
      await fresh.fileForWriting();
      if (this.#isNewDirectory) await this.#syncNewDirectory();
      await disk.syncDirectory(this.directory);
      this.epochs.clear();
      this.#logStartOffset = start;
      await this.#endAt(start);
    });
  }

  #cut(work: () => Promise<void>): Promise<void> {
    this.#isCutting = true;
    this.#reader.onCut();
    return this.#queue
      .runTask(() => this.#serially(work))
      .finally(() => {
        this.#isCutting = false;
      });
  }

  /** A recovery point beyond the log's end would make the next recovery cry corruption. */
  async #lowerRecoveryPoint(end: Offset): Promise<void> {
    if (this.#recoveryPoint <= end) return;
    this.#recoveryPoint = end;
    await this.onRecoveryPointLowered?.();
  }

  async #endAt(end: Offset): Promise<void> {
    this.#tail.clear();
    this.#reader.onCut();
    this.#assignedEnd = end;
    this.#logEndOffset = end;
    if (this.#logStartOffset > end) this.#logStartOffset = end;
    this.#recoveryPoint = end;
    this.#unsyncedRecords = 0;
    this.epochs.truncateFromEnd(end);
    await writeEpochs(this.#modules.disk, this.directory, this.epochs.entries);
    if (this.#producersSavedAt > end) this.#producersSavedAt = -1;
    await this.#rebuildProducers(end);
  }

  async #rebuildProducers(end: Offset): Promise<void> {
    const { disk, clock } = this.#modules;
    const { producers, savedAt } = await recoverProducers(
      this.#segments,
      await listPartitionFiles(disk, this.directory),
      end,
      {
        directory: this.directory,
        indexIntervalBytes: this.#config.indexIntervalBytes,
        producerIdExpirationMs: this.#config.producerIdExpirationMs,
        nowMs: clock.wallMs(),
      },
      this.#modules,
    );
    this.#producers = producers;
    this.#producersSavedAt = savedAt;
  }

  // Producer snapshots

  /** State as it is now, that is before `at`; its files follow in the queue's order. */
  #saveProducersInQueue(at: Offset): void {
    const save = this.#producerFilesAt(at);
    this.#queue.runTask(save).catch(() => {});
  }

  #producerFilesAt(at: Offset): () => Promise<void> {
    this.#producers.expire(this.#modules.clock.wallMs(), this.#config.producerIdExpirationMs);
    const write = producerFilesOf(this.#producers.entries, this.directory, at);
    return async () => {
      await write(this.#modules.disk);
      this.#producersSavedAt = at;
    };
  }

  // The end

  /** Writes what is queued, syncs it, leaves all that a quick start needs, and closes the files. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#stopped === null) {
      await this.#queue.runTask(async () => {});
      this.#segments.at(-1)?.noteFinalTimestamp();
      await this.flush();
      if (this.#producersSavedAt !== this.#logEndOffset && this.#logEndOffset > 0)
        await this.#producerFilesAt(this.#logEndOffset)();
    }
    await this.release();
  }

  /** As a kill -9: files are closed, nothing more is written. */
  abandon(): void {
    void this.release();
  }

  /** As `abandon`, and resolves when the files are closed. */
  async release(): Promise<void> {
    this.#isClosed = true;
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    this.#refuseWaiters(storageFault(new Error('the log is closed')));
    this.#tail.clear();
    // A descriptor that is closed under a running write may be another file's by the time it runs.
    await this.#queue.atRest();
    await this.#flushing;
    for (const segment of this.#segments) await segment.close().catch(() => {});
  }
}

const limitsOf = (config: LogConfig): BatchLimits => ({ ...config, isCompacted: config.cleanupPolicy.compact });
