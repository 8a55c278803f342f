/**
 * One partition on disk: what was appended, in which order, how far is it written and synced, and how is it read?
 *
 *     queueAsLeader ──┐ checks, offset, epoch, producers, index rows: at once, in memory
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
import { join } from 'node:path';
import type { Clock, Timers } from '../env/clock.ts';
import type { Disk, DiskFile } from '../env/disk.ts';
import type { Logger } from '../env/logger.ts';
import { assert } from '../model/assert.ts';
import { earlier, type LeaderEpoch, noLeaderEpoch, type Offset, offsetZero, type TopicId } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { codecOf } from '../records/compression.ts';
import { decodeEndTransactionMarker } from '../records/control-record.ts';
import { unpackedRecords } from '../records/record-batch.ts';
import { checkRecords } from '../records/record-check.ts';
import { type BatchOrigin, setLogAppendTime, validateBatch } from '../records/validate-batch.ts';
import { BatchInspector } from './batch-inspection.ts';
import { formatEpochs } from './checkpoint-file.ts';
import type { EpochCache } from './epoch-cache.ts';
import { checkedFollowerBatches } from './follower-batches.ts';
import type { LogConfig } from './log-config.ts';
import { LogProducers } from './log-producers.ts';
import { type LogRead, LogReader, segmentIndexOf, type TimestampOffset } from './log-reader.ts';
import { LogSync } from './log-sync.ts';
import {
  epochFileName,
  noPartitionFiles,
  openPartitionDirectory,
  writeDerivedFile,
  writeEpochs,
} from './partition-files.ts';
import { firstOffsetOf, type ProducerBatch, type ProducerState } from './producer-state.ts';
import type { ReadLimits } from './read-limits.ts';
import { type LastStop, type RecoveredLog, recoverLog } from './recovery.ts';
import { largestRelativeOffset, Segment } from './segment.ts';
import { beginAnew, cutSegments } from './segment-cut.ts';
import { swapIn } from './segment-swap.ts';
import { storageFault } from './storage-fault.ts';
import { appendChunk, type PartitionTail, TailCache } from './tail-cache.ts';
import { type BatchRun, WriteQueue } from './write-queue.ts';

export type { LogConfig } from './log-config.ts';
export type { LogRead, TimestampOffset } from './log-reader.ts';
export { ForeignDirectoryError } from './partition-files.ts';
export type { ReadBuffers } from './read-limits.ts';
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

/** What a cleaner may read and rewrite. */
export interface CleanableSegments {
  readonly segments: readonly Segment[];
  /** Where the last of them ends and the next begins. */
  readonly endOffset: Offset;
  /** How often the log had been cut. */
  readonly cuts: number;
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
  /** Shared by all logs of a process; its own where absent. */
  readonly inspector?: BatchInspector;
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
  readonly #inspector: BatchInspector;
  readonly #segments: Segment[];
  #config: LogConfig;
  #logStartOffset: Offset;
  #assignedEnd: Offset;
  #logEndOffset: Offset;
  readonly #producers: LogProducers;
  readonly #sync: LogSync;
  readonly #queue: WriteQueue;
  readonly #reader: LogReader;
  #isCutting = false;
  /** Changes when a cut begins and when it ends: what was known of the segments before does not hold any more. */
  #cuts = 0;
  #hasEpochFile: boolean;
  #failure: unknown = null;
  #isClosed = false;

  static async open(options: OpenOptions, modules: LogModules): Promise<PartitionLog> {
    const { disk } = modules;
    const inspector = options.inspector ?? new BatchInspector(modules);
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
      { ...modules, turns: inspector.turnsOfLarge },
      files ?? noPartitionFiles,
    );
    const log = new PartitionLog({ ...options, inspector }, modules, recovered, files === null);
    // What recovery kept must stay kept, and with it the knowledge of whose it is (I31).
    if (files !== null && options.lastStop !== 'clean') await log.#sync.syncOwnDirectory();
    return log;
  }

  private constructor(
    options: OpenOptions & { readonly inspector: BatchInspector },
    modules: LogModules,
    recovered: RecoveredLog,
    isNew: boolean,
  ) {
    this.directory = options.directory;
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.lastStop = options.lastStop;
    this.epochs = recovered.epochs;
    this.#modules = modules;
    this.#tail = (options.tailCache ?? noTail).tailOf();
    this.#inspector = options.inspector;
    this.#segments = recovered.segments;
    this.#config = options.config;
    this.#producers = new LogProducers(options.directory, recovered, () => this.#config, {
      ...modules,
      turns: this.#inspector.turnsOfLarge,
    });
    this.#logStartOffset = recovered.logStartOffset;
    this.#assignedEnd = recovered.logEndOffset;
    this.#logEndOffset = recovered.logEndOffset;
    this.#hasEpochFile = !isNew;
    this.#sync = new LogSync(
      {
        directory: options.directory,
        segments: this.#segments,
        config: () => this.#config,
        logEndOffset: () => this.#logEndOffset,
        stopped: () => this.#stopped,
        onFailed: (error) => this.#fail(error),
      },
      // Recovery has synced what it kept; after a clean stop all was.
      { recoveryPoint: recovered.logEndOffset, isNewDirectory: isNew },
      modules,
    );
    this.#reader = new LogReader(this.#segments, () => this.#config, this.#inspector);
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
    return this.#sync.recoveryPoint;
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
    return this.#producers.state;
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
  }

  // Appending

  /** Prepares and queues one batch, and resolves when it is written. */
  appendAsLeader(
    batch: Buffer,
    epoch: LeaderEpoch,
    options: { readonly origin: BatchOrigin } = { origin: 'client' },
  ): Promise<AppendResult> {
    const append = (ready: Buffer): Promise<AppendResult> => {
      const { result, written } = this.queueAsLeader(ready, epoch, options);
      return written.then(() => result);
    };
    const prepared = options.origin === 'client' ? this.prepareAsLeader(batch) : batch;
    return prepared instanceof Promise ? prepared.then(append) : append(prepared);
  }

  /**
   * What a client's batch goes through before it can be queued, where its records must be looked into: in most topics
   * that is nothing. Gives the batch to queue, as it is or in the topic's codec; at once, unless it takes long. Throws or
   * rejects with the refusals of `validate-batch.ts` and `batch-inspection.ts`, and STORAGE.
   */
  prepareAsLeader(batch: Buffer): Buffer | Promise<Buffer> {
    const { cleanupPolicy, compressionType, maxMessageBytes } = this.#config;
    if (!cleanupPolicy.compact && compressionType === 'producer') return batch;
    this.#refuseUnlessOpen();
    validateBatch(batch, this.#config, 'client', this.#modules.clock.wallMs());
    const asSent = codecOf(header.codecNumberOf(batch));
    const wanted = compressionType === 'uncompressed' ? 'none' : compressionType;
    const codec = wanted === 'producer' ? asSent : wanted;
    if (!cleanupPolicy.compact && codec === asSent) return batch;
    return this.#inspector.inspect(batch, { checksKeys: cleanupPolicy.compact, codec, maxMessageBytes });
  }

  /**
   * Takes one batch of a client, prepared, or of a coordinator: checks it, gives it its offset and leader epoch in place,
   * and queues it, all before this returns. Throws the refusals of `validate-batch.ts` and `producer-state.ts`, and
   * STORAGE, with nothing changed.
   */
  queueAsLeader(batch: Buffer, epoch: LeaderEpoch, options: { readonly origin: BatchOrigin }): QueuedAppend {
    this.#refuseUnlessOpen();
    const nowMs = this.#modules.clock.wallMs();
    validateBatch(batch, this.#config, options.origin, nowMs);
    if (options.origin === 'coordinator') this.#checkOwnRecords(batch);
    if (header.producerIdOf(batch) >= 0) {
      const known = this.#producers.check(batch, nowMs);
      if (known !== null) return { result: this.#resultOf(known), written: this.#asSafeAs(known) };
    }
    const isStamped = this.#config.messageTimestampType === 'LogAppendTime';
    if (isStamped) setLogAppendTime(batch, nowMs);
    if (header.isControlBatch(batch)) decodeEndTransactionMarker(batch); // refused before anything is changed
    const latest = this.epochs.latest();
    assert(latest === null || epoch >= latest.epoch, 'a leader appends under the newest epoch');
    const baseOffset = this.#assignedEnd;
    header.assignOffsetAndEpoch(batch, baseOffset, epoch);
    const result: AppendResult = {
      baseOffset,
      lastOffset: header.lastOffsetOf(batch),
      logAppendTimeMs: isStamped ? nowMs : -1,
      duplicate: false,
    };
    return { result, written: this.#enqueue([batch], batch.length) };
  }

  /** A coordinator's: few, and not packed. */
  #checkOwnRecords(batch: Buffer): void {
    const { cleanupPolicy, maxMessageBytes } = this.#config;
    if (!cleanupPolicy.compact || header.isControlBatch(batch)) return;
    checkRecords(batch, unpackedRecords(batch, maxMessageBytes));
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
    if (this.#config.flushPolicy === 'group-commit' && known.lastOffset >= this.recoveryPoint)
      await this.#sync.synced();
  }

  /**
   * Appends batches of the leader byte for byte. Throws CORRUPT_MESSAGE, before anything is changed, for bytes that are
   * not whole batches with a right CRC that follow this log's end and one another (I25), and for epochs that fall or
   * exceed `maxLeaderEpoch` [KAFKA-18723]. Resolves when written; rejects with STORAGE.
   */
  appendAsFollower(batches: Buffer, maxLeaderEpoch: LeaderEpoch): Promise<void> {
    this.#refuseUnlessOpen();
    const all = checkedFollowerBatches(batches, {
      endOffset: this.#assignedEnd,
      leaderEpoch: this.epochs.latest()?.epoch ?? null,
      maxLeaderEpoch,
      allowsGaps: this.#config.cleanupPolicy.compact,
    });
    return all.length > 0 ? this.#enqueue(all, batches.length) : Promise.resolve();
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
        this.#producers.note(batch, nowMs);
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
    this.#sync.noteFull(active);
    // At the log's end, as Kafka does, even where the batch comes after a gap.
    const isInReach = facts.lastOffset - this.#assignedEnd <= largestRelativeOffset;
    const base = isInReach ? this.#assignedEnd : header.baseOffsetOf(batch);
    const fresh = new Segment(this.directory, base, nowMs, this.#modules.disk);
    fresh.becomeNew();
    this.#segments.push(fresh);
    // State as it is now, that is before `base`; its files follow in the queue's order.
    this.#queue.runTask(this.#producers.snapshotAt(base)).catch(() => {});
    return fresh;
  }

  // Written

  async #fileFor({ segment, position }: BatchRun): Promise<DiskFile> {
    // A segment's name must not be durable before those of the segments in front of it: that would be a hole.
    if (position === 0 && this.#segments.length > 1) {
      // Nor before their bytes, where a recovery would take what is missing for what compaction has left out.
      if (this.#config.cleanupPolicy.compact) await this.#segments[this.#segments.indexOf(segment) - 1]?.sync();
      await this.#sync.syncNames();
    }
    const { file, isNew } = await segment.fileForWriting();
    if (isNew) this.#sync.noteName();
    return file;
  }

  #onWritten(written: readonly BatchRun[]): void {
    const last = written.at(-1);
    assert(last !== undefined && last.nextOffset > this.#logEndOffset, 'a write moves the log end on');
    this.#logEndOffset = last.nextOffset;
    const waitsForSync = this.#sync.onWritten(written);
    this.onAppended?.(this.#logEndOffset);
    if (!waitsForSync) for (const { waiter } of written) waiter?.resolve();
  }

  /** Syncs what is written, then brings the index files up to it. Rejects with STORAGE, and then for good. */
  flush(): Promise<void> {
    return this.#sync.flush();
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#isClosed) return;
    this.#failure = error;
    this.#refuseWaiters(storageFault(error));
    this.#tail.clear();
    this.#modules.logger.error({ err: error, directory: this.directory }, 'the log has failed and is out of service');
    this.onFailed?.(error);
  }

  #refuseWaiters(fault: BrokerError): void {
    this.#queue.stop(fault);
    this.#sync.stop(fault);
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
    // With no room left for it: of a fetch of many partitions all but the first few.
    const mayGive = limits.minOneBatch || limits.maxBytes > 0;
    if (from >= endOffset || !mayGive) return { chunks: [], byteLength: 0, nextOffset: from };
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
      // What is left may end anywhere in a gap around `end`, and a log must not end before its recovery point.
      const holder = this.#segments[segmentIndexOf(this.#segments, end)] as Segment;
      await this.#lowerRecoveryPoint(this.#config.cleanupPolicy.compact ? holder.baseOffset : end);
      const { indexIntervalBytes, cleanupPolicy } = this.#config;
      const kept = await cutSegments(
        this.#segments,
        end,
        { indexIntervalBytes, hasGaps: cleanupPolicy.compact },
        (touched) => this.#sync.forget(touched),
      );
      await this.#sync.syncNamesAfterCut();
      await this.#endAt(kept);
    });
  }

  /** Drops everything; the next batch gets offset `start`. Durable when it resolves. */
  async truncateFullyAndStartAt(start: Offset): Promise<void> {
    this.#refuseUnlessOpen();
    await this.#cut(async () => {
      await this.#lowerRecoveryPoint(offsetZero);
      for (const segment of this.#segments) this.#sync.forget(segment);
      const nowMs = this.#modules.clock.wallMs();
      await beginAnew(this.#segments, start, nowMs, { directory: this.directory, disk: this.#modules.disk });
      await this.#sync.syncNamesAfterCut();
      this.epochs.clear();
      this.#logStartOffset = start;
      await this.#endAt(start);
    });
  }

  #cut(work: () => Promise<void>): Promise<void> {
    this.#isCutting = true;
    this.#cuts++;
    this.#reader.onCut();
    return this.#queue
      .runTask(() => this.#sync.serially(work))
      .finally(() => {
        this.#isCutting = false;
        this.#cuts++;
      });
  }

  /** A recovery point beyond the log's end would make the next recovery cry corruption. */
  async #lowerRecoveryPoint(end: Offset): Promise<void> {
    if (this.#sync.lowerRecoveryPoint(end)) await this.onRecoveryPointLowered?.();
  }

  async #endAt(end: Offset): Promise<void> {
    this.#tail.clear();
    this.#reader.onCut();
    this.#assignedEnd = end;
    this.#logEndOffset = end;
    if (this.#logStartOffset > end) this.#logStartOffset = end;
    this.#sync.onCut(end);
    this.epochs.truncateFromEnd(end);
    await writeEpochs(this.#modules.disk, this.directory, this.epochs.entries);
    await this.#producers.rebuild(this.#segments, end);
  }

  // Compaction

  /**
   * The segments that end at or before `limit`, are full and synced, from the first on; for a cleaner to read. What it
   * makes of them is taken by `replaceSegments` unless the log is cut meanwhile.
   */
  cleanableSegments(limit: Offset): CleanableSegments {
    const bound = earlier(limit, this.recoveryPoint);
    let count = 0;
    let endOffset = this.firstSegmentOffset;
    for (const [index, segment] of this.#segments.entries()) {
      const next = this.#segments[index + 1];
      if (next === undefined || next.baseOffset > bound || !this.#sync.isFinished(segment)) break;
      endOffset = next.baseOffset;
      count = index + 1;
    }
    return { segments: this.#segments.slice(0, count), endOffset, cuts: this.#cuts };
  }

  /** False once the log is closed, has failed or was cut since `found`. */
  isUnchangedSince(found: CleanableSegments): boolean {
    return this.#stopped === null && found.cuts === this.#cuts;
  }

  /**
   * Puts a cleaned segment, synced, in the place of neighbours of those `found`; durable when it resolves. False, and
   * nothing is changed, where the log was cut or closed meanwhile. Rejects with STORAGE, and then the log has failed.
   */
  replaceSegments(found: CleanableSegments, old: readonly Segment[], cleaned: Segment): Promise<boolean> {
    return this.#sync.serially(async () => {
      if (!this.isUnchangedSince(found)) return false;
      const index = this.#segments.indexOf(old[0] as Segment);
      assert(index >= 0 && index + old.length < this.#segments.length, 'only closed segments are replaced');
      const onDecided = (): void => {
        this.#segments.splice(index, old.length, cleaned);
        this.#reader.onSwapped();
      };
      try {
        await swapIn(cleaned, old, onDecided, { directory: this.directory, disk: this.#modules.disk });
      } catch (error) {
        this.#fail(error);
        for (const segment of [...old, cleaned]) await segment.close().catch(() => {}); // some are in no list any more
        throw storageFault(error);
      }
      return true;
    });
  }

  // The end

  /** Writes what is queued, syncs it, leaves all that a quick start needs, and closes the files. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#stopped === null) {
      await this.#queue.runTask(async () => {});
      this.#segments.at(-1)?.noteFinalTimestamp();
      await this.flush();
      await this.#producers.saveAtEnd(this.#logEndOffset);
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
    this.#refuseWaiters(storageFault(new Error('the log is closed')));
    this.#tail.clear();
    // A descriptor that is closed under a running write may be another file's by the time it runs.
    await this.#queue.atRest();
    await this.#sync.atRest();
    for (const segment of this.#segments) await segment.close().catch(() => {});
  }
}
