/**
 * How far is a log synced, and who waits for it?
 *
 *     names of segments ─► bytes of a full segment ─► its indexes ─► bytes of the active one ─► recoveryPoint
 *
 * Syncs, index files, cuts and whatever else changes files that are there already happen one after another
 * (`serially`). One fdatasync serves all who wait for one; those who come meanwhile get the next. A sync that fails ends
 * the log: the owner is told, and stops this.
 */
import { dirname, join } from 'node:path';
import type { Timer, Timers } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import type { Offset } from '../model/brands.ts';
import type { BrokerError } from '../model/fault.ts';
import { defaultFlushMs, type LogConfig } from './log-config.ts';
import { segmentIndexOf } from './log-reader.ts';
import { metadataFileName } from './partition-files.ts';
import type { Segment } from './segment.ts';
import { storageFault } from './storage-fault.ts';
import type { BatchRun, Waiter } from './write-queue.ts';

/** The log whose files are synced. */
export interface SyncedLog {
  readonly directory: string;
  /** In order; grows and shrinks. */
  readonly segments: readonly Segment[];
  config(): LogConfig;
  /** Written up to here. */
  logEndOffset(): Offset;
  /** Why nothing can be done any more, or null. */
  stopped(): unknown;
  /** Must call `stop`. */
  onFailed(error: unknown): void;
}

export class LogSync {
  readonly #log: SyncedLog;
  readonly #disk: Disk;
  readonly #timers: Timers;
  #recoveryPoint: Offset;
  /** Full segments whose bytes and indexes may not be synced. */
  readonly #unfinished = new Set<Segment>();
  #unsyncedRecords = 0;
  #waiting: Waiter[] = [];
  #isSyncing = false;
  #isNewDirectory: boolean;
  /** Names added to the directory, and how many of them are durable. */
  #namesAdded = 0;
  #namesSynced = 0;
  #underWay: Promise<void> = Promise.resolve();
  #flushTimer: Timer | null = null;
  #isStopped = false;

  constructor(
    log: SyncedLog,
    state: { readonly recoveryPoint: Offset; readonly isNewDirectory: boolean },
    modules: { readonly disk: Disk; readonly timers: Timers },
  ) {
    this.#log = log;
    this.#disk = modules.disk;
    this.#timers = modules.timers;
    this.#recoveryPoint = state.recoveryPoint;
    this.#isNewDirectory = state.isNewDirectory;
    if (state.isNewDirectory) this.#namesAdded++;
  }

  /** Synced up to here. */
  get recoveryPoint(): Offset {
    return this.#recoveryPoint;
  }

  // What has changed

  /** The segment takes no more. */
  noteFull(segment: Segment): void {
    this.#unfinished.add(segment);
  }

  /** The segment is full, and all of it is synced, indexes too. */
  isFinished(segment: Segment): boolean {
    return !this.#unfinished.has(segment) && segment !== this.#log.segments.at(-1);
  }

  /** The segment is gone, or takes appends again. */
  forget(segment: Segment): void {
    this.#unfinished.delete(segment);
  }

  /** A file was added to the directory. */
  noteName(): void {
    this.#namesAdded++;
  }

  /** Runs are in the file. True where the configuration asks for a sync before their waiters are told: it tells them. */
  onWritten(written: readonly BatchRun[]): boolean {
    for (const { recordCount } of written) this.#unsyncedRecords += recordCount;
    const { flushPolicy, flushMessages } = this.#log.config();
    const waitsForSync =
      flushPolicy === 'group-commit' || (flushMessages !== null && this.#unsyncedRecords >= flushMessages);
    if (waitsForSync) {
      for (const { waiter } of written) if (waiter !== null) this.#waiting.push(waiter);
      void this.#syncForWaiters();
    }
    this.#scheduleFlush();
    return waitsForSync;
  }

  /** True if the recovery point was beyond `end`, where the log is about to be cut; it is not any more. */
  lowerRecoveryPoint(end: Offset): boolean {
    if (this.#recoveryPoint <= end) return false;
    this.#recoveryPoint = end;
    return true;
  }

  /** The log was cut and ends at `end`; what is left is synced. */
  onCut(end: Offset): void {
    this.#recoveryPoint = end;
    this.#unsyncedRecords = 0;
  }

  // Syncing

  async #syncForWaiters(): Promise<void> {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    try {
      while (this.#waiting.length > 0 && this.#log.stopped() === null) {
        const waiters = this.#waiting;
        this.#waiting = [];
        try {
          await this.serially(() => this.#syncWritten());
        } catch (error) {
          for (const waiter of waiters) waiter.reject(storageFault(error));
          throw error;
        }
        for (const waiter of waiters) waiter.resolve();
      }
    } catch (error) {
      this.#log.onFailed(error);
    } finally {
      this.#isSyncing = false;
    }
  }

  /** Resolves when all that is written now is synced; rejects with STORAGE. */
  synced(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopped = this.#log.stopped();
      if (stopped !== null) {
        reject(storageFault(stopped));
        return;
      }
      this.#waiting.push({ resolve, reject });
      void this.#syncForWaiters();
    });
  }

  /** Runs `work` when all work before it is done, and before any that comes after. */
  serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const run = this.#underWay.then(work);
    this.#underWay = run.then(
      () => {},
      () => {},
    );
    return run;
  }

  async #syncWritten(): Promise<void> {
    const stopped = this.#log.stopped();
    if (stopped !== null) throw storageFault(stopped);
    const end = this.#log.logEndOffset();
    const records = this.#unsyncedRecords;
    for (const segment of this.#unfinished) {
      if (segment.nextOffset > end) break;
      await segment.sync();
      // From here on a recovery trusts its indexes, so they must be as durable as its records.
      await segment.becomeInactive();
      this.#unfinished.delete(segment);
    }
    const { segments } = this.#log;
    if (end > this.#recoveryPoint)
      for (const segment of segments.slice(segmentIndexOf(segments, this.#recoveryPoint))) {
        if (segment.baseOffset >= end) break;
        await segment.sync();
      }
    await this.syncNames();
    if (end > this.#recoveryPoint) this.#recoveryPoint = end;
    this.#unsyncedRecords = Math.max(0, this.#unsyncedRecords - records);
  }

  /** Makes the names of the files durable, and that of a new directory. */
  async syncNames(): Promise<void> {
    if (this.#isNewDirectory) await this.syncOwnDirectory();
    if (this.#namesSynced === this.#namesAdded) return;
    const added = this.#namesAdded;
    await this.#disk.syncDirectory(this.#log.directory);
    this.#namesSynced = added;
  }

  /** A partition's first records are safe only with the directory that they lie in, and with whose it is. */
  async syncOwnDirectory(): Promise<void> {
    const { directory } = this.#log;
    const metadata = await this.#disk.open(join(directory, metadataFileName), 'r+');
    try {
      await metadata.sync();
    } finally {
      await metadata.close();
    }
    await this.#disk.syncDirectory(dirname(directory));
    this.#isNewDirectory = false;
  }

  /** After names were removed or added by a cut. */
  async syncNamesAfterCut(): Promise<void> {
    if (this.#isNewDirectory) await this.syncOwnDirectory();
    await this.#disk.syncDirectory(this.#log.directory);
  }

  // Flushing

  #scheduleFlush(): void {
    if (this.#flushTimer !== null || this.#isStopped) return;
    this.#flushTimer = this.#timers.setTimer(this.#log.config().flushMs ?? defaultFlushMs, () => {
      this.#flushTimer = null;
      this.flush().catch(() => {}); // the owner has told everybody
    });
  }

  /** Syncs what is written, then brings the index files up to it. Rejects with STORAGE, and then for good. */
  async flush(): Promise<void> {
    const stopped = this.#log.stopped();
    if (stopped !== null) throw storageFault(stopped);
    try {
      await this.serially(async () => {
        await this.#syncWritten();
        await this.#log.segments.at(-1)?.persistIndexes();
      });
    } catch (error) {
      this.#log.onFailed(error);
      throw storageFault(error);
    }
  }

  // The end

  /** Nothing more is begun; all that wait are refused. */
  stop(fault: BrokerError): void {
    this.#isStopped = true;
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    const waiters = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiters) waiter.reject(fault);
  }

  /** Settles when nothing is under way; never rejects. */
  atRest(): Promise<void> {
    return this.#underWay;
  }
}
