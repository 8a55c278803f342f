/**
 * Which compacted log is cleaned next, from where, and how far has each been? (`LogCleaner.java`, `LogCleanerManager.java`)
 *
 *     every backoff ─► the dirtiest log at or above its ratio ─► one round ─► checkpoint ─► the next, until none is left
 *
 * `cleaner-offset-checkpoint` holds each log's first dirty offset: no two records before it have the same key. It may be
 * too low, which costs work, and never too high, which would bring back what was overwritten. So it rises when a round is
 * durable, and it is durable when it has fallen, before the log is cut or its name is another topic's.
 */
import { join } from 'node:path';
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import type { Logger } from '../env/logger.ts';
import { earlier, later, type Offset, offsetZero } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import { formatOffsets } from './checkpoint-file.ts';
import { compactionRound } from './compaction-round.ts';
import { cleanerOffsetName } from './directory-files.ts';
import type { CleanableSegments, PartitionLog } from './partition-log.ts';

export interface CleanerOptions {
  /** Between one look at the logs and the next, Kafka's `log.cleaner.backoff.ms`. */
  readonly backoffMs: number;
  /** Memory for the keys of one round, Kafka's `log.cleaner.dedupe.buffer.size`. */
  readonly mapBytes: number;
}

/** How far a log may be cleaned: what lies below the high watermark is never cut. null for not at all. */
export type HighWatermarkOf = (log: PartitionLog) => Offset | null;

interface Modules {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

interface Candidate {
  readonly log: PartitionLog;
  readonly cleanable: CleanableSegments;
  readonly firstDirtyOffset: Offset;
  readonly dirtyRatio: number;
}

interface RoundUnderWay {
  readonly log: PartitionLog;
  readonly done: Promise<void>;
  isAborted: boolean;
  /** Ends a pause. */
  wake(): void;
}

const nameOf = (log: PartitionLog): string => `${log.topic}-${log.partition}`;

export class LogCleaner {
  readonly #path: string;
  readonly #logs: () => Iterable<PartitionLog>;
  readonly #modules: Modules;
  /** By the name of the partition's directory. */
  readonly #firstDirty: Map<string, Offset>;
  /** Where something begins that cannot be cleaned, and was found in this run. */
  readonly #blockedAt = new WeakMap<PartitionLog, Offset>();
  readonly #damaged = new WeakSet<PartitionLog>();
  #saving: Promise<void> = Promise.resolve();
  #round: RoundUnderWay | null = null;
  #isLooking = false;
  #timer: Timer | null = null;
  #isStopped = false;

  /** `path` is the log directory, `firstDirty` what its checkpoint says. */
  constructor(
    { path, firstDirty }: { readonly path: string; readonly firstDirty: Map<string, Offset> },
    logs: () => Iterable<PartitionLog>,
    modules: Modules,
  ) {
    this.#path = path;
    this.#firstDirty = firstDirty;
    this.#logs = logs;
    this.#modules = modules;
  }

  start(options: CleanerOptions, highWatermarkOf: HighWatermarkOf): void {
    if (this.#isStopped) return;
    this.#timer = this.#modules.timers.setRepeatingTimer(options.backoffMs, () => {
      void this.#cleanAll(options, highWatermarkOf);
    });
  }

  /** Ends the round that is under way and begins no other. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    if (this.#round !== null) await this.abort(this.#round.log);
  }

  /** When it resolves nothing of the log's directory is being read or written. */
  async abort(log: PartitionLog): Promise<void> {
    if (this.#round?.log !== log) return;
    this.#round.isAborted = true;
    this.#round.wake();
    await this.#round.done;
  }

  // First dirty offsets

  /** Never below the log's start: what was before it is gone. */
  firstDirtyOffsetOf(log: PartitionLog): Offset {
    return later(this.#firstDirty.get(nameOf(log)) ?? offsetZero, log.firstSegmentOffset);
  }

  /** The log ends at `end`, or is about to. Durable when it resolves, where it changes anything. */
  async onEndLowered(log: PartitionLog, end: Offset): Promise<void> {
    const name = nameOf(log);
    if ((this.#firstDirty.get(name) ?? offsetZero) <= end) return;
    this.#firstDirty.set(name, end);
    await this.#save();
  }

  /** The name will be another log's. Durable when it resolves. */
  async forget(name: string): Promise<void> {
    if (this.#firstDirty.delete(name)) await this.#save();
  }

  #save(): Promise<void> {
    const saved = this.#saving.then(async () => {
      const path = join(this.#path, cleanerOffsetName);
      await this.#modules.disk.replaceFile(path, formatOffsets(this.#firstDirty));
    });
    this.#saving = saved.catch(() => {});
    return saved;
  }

  // Rounds

  async #cleanAll(options: CleanerOptions, highWatermarkOf: HighWatermarkOf): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    /** Those that failed wait for the next look, so that they do not keep others from being cleaned. */
    const passedOver = new Set<PartitionLog>();
    try {
      for (;;) {
        const next = this.#isStopped ? null : this.#dirtiest(highWatermarkOf, passedOver);
        if (next === null) break;
        if (!(await this.#clean(next, options))) passedOver.add(next.log);
      }
    } finally {
      this.#isLooking = false;
    }
  }

  #dirtiest(highWatermarkOf: HighWatermarkOf, passedOver: ReadonlySet<PartitionLog>): Candidate | null {
    let dirtiest: Candidate | null = null;
    for (const log of this.#logs()) {
      if (!log.config.cleanupPolicy.compact || log.hasFailed || passedOver.has(log) || this.#damaged.has(log)) continue;
      const candidate = this.#candidate(log, highWatermarkOf(log));
      if (candidate !== null && candidate.dirtyRatio > (dirtiest?.dirtyRatio ?? -1)) dirtiest = candidate;
    }
    return dirtiest;
  }

  #candidate(log: PartitionLog, highWatermark: Offset | null): Candidate | null {
    if (highWatermark === null) return null;
    const cleanable = log.cleanableSegments(earlier(highWatermark, this.#blockedAt.get(log) ?? highWatermark));
    const firstDirtyOffset = this.firstDirtyOffsetOf(log);
    let bytes = 0;
    let dirtyBytes = 0;
    for (const [index, { sizeBytes }] of cleanable.segments.entries()) {
      const end = cleanable.segments[index + 1]?.baseOffset ?? cleanable.endOffset;
      bytes += sizeBytes;
      if (end > firstDirtyOffset) dirtyBytes += sizeBytes;
    }
    if (dirtyBytes === 0) return null;
    const dirtyRatio = dirtyBytes / bytes;
    return dirtyRatio < log.config.minCleanableDirtyRatio ? null : { log, cleanable, firstDirtyOffset, dirtyRatio };
  }

  /** One round. False where the log is no cleaner for it. */
  async #clean(candidate: Candidate, options: CleanerOptions): Promise<boolean> {
    const { log } = candidate;
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const round: RoundUnderWay = { log, done, isAborted: false, wake: () => {} };
    this.#round = round;
    try {
      return await this.#cleanFrom(candidate, options.mapBytes, round);
    } catch (error) {
      this.#onFailed(log, error);
      return false;
    } finally {
      this.#round = null;
      finish();
    }
  }

  async #cleanFrom(
    { log, cleanable, firstDirtyOffset }: Candidate,
    mapBytes: number,
    round: RoundUnderWay,
  ): Promise<boolean> {
    const { disk, clock, timers, logger } = this.#modules;
    const beganMs = clock.monotonicMs();
    const result = await compactionRound(
      log,
      { firstDirtyOffset, cleanable, mapBytes },
      {
        disk,
        clock,
        pause: () =>
          new Promise((resolve) => {
            round.wake = resolve;
            timers.setTimer(0, resolve);
          }),
        isAborted: () => round.isAborted,
      },
    );
    const { topic, partition } = log;
    // A cut may have begun since the last record was looked at; it has lowered the first dirty offset or is about to.
    if (!result.isComplete || !log.isUnchangedSince(cleanable)) return false;
    if (result.blocked !== null) {
      this.#blockedAt.set(log, result.blocked.baseOffset);
      logger.warn({ topic, partition, ...result.blocked }, 'a log cannot be compacted from this segment on');
    }
    if (result.firstDirtyOffset <= firstDirtyOffset) return false;
    this.#firstDirty.set(nameOf(log), result.firstDirtyOffset);
    await this.#save();
    const { bytesRead, bytesWritten } = result;
    const tookMs = Math.round(clock.monotonicMs() - beganMs);
    logger.info(
      { topic, partition, from: firstDirtyOffset, to: result.firstDirtyOffset, bytesRead, bytesWritten, tookMs },
      'a log was compacted',
    );
    return true;
  }

  #onFailed(log: PartitionLog, error: unknown): void {
    if (this.#isStopped || log.hasFailed) return; // told already
    const facts = { err: error, directory: log.directory };
    const isDamaged =
      error instanceof BrokerError &&
      ['SEGMENT_CORRUPT', 'CORRUPT_MESSAGE', 'MESSAGE_TOO_LARGE'].includes(error.fault.code);
    if (!isDamaged) return this.#modules.logger.warn(facts, 'a log was not compacted; it will be tried again');
    this.#damaged.add(log);
    this.#modules.logger.error(facts, 'a damaged log is not compacted any more');
  }
}
