/**
 * One data directory of a broker: whose is it, how did the last run end, and which logs lie in it?
 *
 *     open    lock ─► files at the root ─► lastStop            nothing is written yet
 *     join    cluster, broker and revision match ─► clean-shutdown mark gone, boot id noted unless
 *             the stop was lossy: that stays so until the controller knows (noteRegistered), however often it starts
 *     openLog … checkpoints every minute …
 *     close   logs closed ─► checkpoints ─► clean-shutdown mark, last of all and only if no write has failed
 */
import { join } from 'node:path';
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import type { Logger } from '../env/logger.ts';
import type { Random } from '../env/random.ts';
import {
  type BrokerEpoch,
  type BrokerId,
  noBrokerEpoch,
  noLeaderEpoch,
  type Offset,
  offsetZero,
  type Revision,
  revision,
  type TopicId,
} from '../model/brands.ts';
import { partitionKey } from '../model/topic-partition.ts';
import { BatchInspector } from './batch-inspection.ts';
import { formatOffsets, parseOffsets, readTextFile } from './checkpoint-file.ts';
import * as files from './directory-files.ts';
import { type CleanerOptions, type HighWatermarkOf, LogCleaner } from './log-cleaner.ts';
import type { LogConfig } from './log-config.ts';
import { ForeignDirectoryError, type LastStop, PartitionLog } from './partition-log.ts';
import { TailCache } from './tail-cache.ts';

export type LogDirectoryProblem =
  /** Another process holds the lock. */
  | 'LOCKED'
  /** Files of another cluster or another broker. */
  | 'FOREIGN'
  /** The metadata store knows less than this broker has seen: an old backup. */
  | 'STORE_BEHIND'
  /** A file at the root that cannot be made again is damaged. */
  | 'DAMAGED'
  /** A log cannot be opened, or a write or a sync has failed. */
  | 'FAILED';

/** The broker must not start on this directory; the message tells the operator why. */
export class LogDirectoryError extends Error {
  override name = 'LogDirectoryError';
  readonly problem: LogDirectoryProblem;
  constructor(problem: LogDirectoryProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

export interface LogDirectoryOptions {
  readonly path: string;
  /** Newest bytes of all partitions that are kept in memory; 32 MiB where absent. */
  readonly tailCacheBytes?: number;
}

export interface LogDirectoryModules {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface LogToOpen {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly config: LogConfig;
}

const defaultTailCacheBytes = 32 << 20;
/** Kafka's `log.flush.offset.checkpoint.interval.ms`. */
const checkpointPeriodMs = 60_000;
/** How long a removed partition stays on the disk, Kafka's `file.delete.delay.ms`. */
const deleteDelayMs = 60_000;
const revisionDelayMs = 1_000;
/** Logs that are opened or closed at once. */
const parallelLogs = 16;

export class LogDirectory {
  readonly path: string;
  readonly directoryId: string;
  readonly lastStop: LastStop;
  /** As the clean-shutdown mark says; -1 after any other stop. */
  readonly previousBrokerEpoch: BrokerEpoch;
  /** Bytes of the newest records, shared by all logs. */
  readonly tailCache: TailCache;
  readonly #modules: LogDirectoryModules;
  readonly #lock: { release(): Promise<void> };
  readonly #meta: files.MetaProperties | null;
  readonly #bootId: string;
  readonly #logs = new Map<string, PartitionLog>();
  /** By directory name: the log that has it open. */
  readonly #holders = new Map<string, PartitionLog>();
  /** By directory name: the end of what is being done with it. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #cleaner: LogCleaner;
  readonly #inspector: BatchInspector;
  readonly #recoveryPoints: Map<string, Offset>;
  readonly #logStarts: Map<string, Offset>;
  readonly #highWatermarks: Map<string, files.HighWatermark>;
  readonly #kafkaHighWatermarks: Map<string, Offset>;
  /** Directories of partitions that were there when this run began. */
  readonly #found: Set<string>;
  #highestRevision: Revision;
  #savedRevision: Revision;
  #timers: Timer[] = [];
  #revisionTimer: Timer | null = null;
  #checkpointing: Promise<void> | null = null;
  #nextCheckpoint: Promise<void> | null = null;
  #openSlots = parallelLogs;
  readonly #waitingForSlot: (() => void)[] = [];
  /** The last stop was clean, or this start is registered: the logs were opened before, and the controller knows. */
  #isStopKnown: boolean;
  /** A log is still as a stop that was not clean has left it: the next start must look at it as this one did. */
  #hasUnsureLogs = false;
  /** No more logs are opened. */
  #isClosing = false;
  #isEnded = false;
  #hasFailed = false;

  /** Takes the lock and reads what is there. Throws LogDirectoryError; writes nothing but the lock. */
  static async open(options: LogDirectoryOptions, modules: LogDirectoryModules): Promise<LogDirectory> {
    const { disk } = modules;
    const { path } = options;
    await disk.makeDirectory(path);
    const lock = await lockOf(disk, path);
    try {
      return new LogDirectory(options, modules, lock, await readRoot(disk, path, modules.logger));
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(
    { path, tailCacheBytes }: LogDirectoryOptions,
    modules: LogDirectoryModules,
    lock: { release(): Promise<void> },
    root: Root,
  ) {
    this.path = path;
    this.#modules = modules;
    this.#lock = lock;
    this.#meta = root.meta;
    this.#bootId = root.bootId;
    this.directoryId = root.meta?.directoryId ?? modules.random.bytes(16).toString('base64url');
    this.previousBrokerEpoch = root.cleanEpoch ?? noBrokerEpoch;
    this.lastStop = lastStopOf(root);
    this.#isStopKnown = this.lastStop === 'clean';
    this.tailCache = new TailCache(tailCacheBytes ?? defaultTailCacheBytes);
    this.#inspector = new BatchInspector(modules);
    this.#cleaner = new LogCleaner({ path, firstDirty: root.firstDirty }, () => this.logs, modules);
    this.#recoveryPoints = root.recoveryPoints;
    this.#logStarts = root.logStarts;
    this.#highWatermarks = root.highWatermarks;
    this.#kafkaHighWatermarks = root.kafkaHighWatermarks;
    this.#found = new Set(root.names);
    this.#highestRevision = root.revision;
    this.#savedRevision = root.revision;
  }

  /** Every log that is open. */
  get logs(): Iterable<PartitionLog> {
    return this.#logs.values();
  }

  /**
   * This run begins: from here on a stop is no clean one until `close`. Throws LogDirectoryError, having written
   * nothing, when the files belong to another cluster or broker, or when the store has lost revisions (I4).
   */
  async join(clusterId: string, brokerId: BrokerId, storeRevision: Revision): Promise<void> {
    const { disk, timers } = this.#modules;
    if (this.#meta !== null && this.#meta.clusterId !== clusterId)
      throw new LogDirectoryError(
        'FOREIGN',
        `${this.path} holds data of cluster ${this.#meta.clusterId}, this broker belongs to ${clusterId}`,
      );
    if (this.#meta !== null && this.#meta.nodeId !== brokerId)
      throw new LogDirectoryError(
        'FOREIGN',
        `${this.path} holds data of broker ${this.#meta.nodeId}, this broker has node.id ${brokerId}`,
      );
    if (storeRevision < this.#highestRevision)
      throw new LogDirectoryError(
        'STORE_BEHIND',
        `the metadata store is at revision ${storeRevision}, this broker has seen ${this.#highestRevision}: was an old backup restored?`,
      );
    if (this.#meta === null)
      await disk.replaceFile(
        join(this.path, files.metaPropertiesName),
        files.formatMetaProperties({ clusterId, nodeId: brokerId, directoryId: this.directoryId }),
      );
    if (this.lastStop !== 'lossy') await this.#noteBoot();
    await disk.remove(join(this.path, files.cleanShutdownName));
    await disk.syncDirectory(this.path);
    this.#timers.push(
      timers.setRepeatingTimer(checkpointPeriodMs, () => {
        this.checkpointRecoveryPoints().catch((error: unknown) => this.#warn(error, 'recovery points were not saved'));
      }),
    );
    for (const name of this.#found) if (name.endsWith('-delete')) this.#deleteLater(join(this.path, name), 0);
  }

  /**
   * The controller has registered this start, and with it how the last one ended. Before that a lossy stop must not
   * look like a killed one to the next start: the replicas here would stay eligible without what they lost (I22).
   */
  async noteRegistered(): Promise<void> {
    if (this.lastStop === 'lossy') await this.#noteBoot();
    this.#isStopKnown = true;
  }

  async #noteBoot(): Promise<void> {
    await this.#modules.disk.replaceFile(join(this.path, files.bootName), this.#bootId);
  }

  // Logs

  /**
   * Opens the log of a partition, or makes it. A directory of another topic id is renamed and kept (I24). Rejects with
   * SEGMENT_CORRUPT where the log is damaged: it stays as it is, and this partition out of service.
   */
  async openLog({ topic, topicId, partition, config }: LogToOpen): Promise<PartitionLog> {
    const name = `${topic}-${partition}`;
    return this.#inTurn(name, async () => {
      await this.#takeSlot();
      try {
        this.#refuse(this.#isClosing);
        const log = await this.#openInDirectory(name, { topic, topicId, partition, config });
        try {
          await this.#cleaner.onEndLowered(log, log.logEndOffset);
          this.#refuse(this.#isEnded);
        } catch (error) {
          await log.release();
          throw error;
        }
        log.onRecoveryPointLowered = async () => {
          await this.#cleaner.onEndLowered(log, log.recoveryPoint);
          await this.checkpointRecoveryPoints();
        };
        this.#logs.set(partitionKey(topicId, partition), log);
        this.#holders.set(name, log);
        return log;
      } catch (error) {
        if (this.#found.has(name) && this.lastStop !== 'clean') this.#hasUnsureLogs = true;
        throw error;
      } finally {
        this.#giveSlot();
      }
    });
  }

  #refuse(isClosed: boolean): void {
    if (isClosed) throw new LogDirectoryError('FAILED', `${this.path} is closed`);
  }

  /** What is done with one directory is done one after the other: the name of a deleted topic may be used again at once. */
  #inTurn<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const done = (this.#turns.get(name) ?? Promise.resolve()).then(work);
    const turn = done.then(
      () => {},
      () => {},
    );
    this.#turns.set(name, turn);
    void turn.then(() => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    });
    return done;
  }

  async #openInDirectory(name: string, options: LogToOpen): Promise<PartitionLog> {
    const isOld = this.#found.has(name);
    const directory = join(this.path, name);
    const logStartOffset = (isOld ? this.#logStarts.get(name) : undefined) ?? offsetZero;
    try {
      return await PartitionLog.open(
        {
          ...options,
          directory,
          logStartOffset,
          recoveryPoint: (isOld ? this.#recoveryPoints.get(name) : undefined) ?? offsetZero,
          lastStop: isOld ? this.lastStop : 'clean',
          tailCache: this.tailCache,
          inspector: this.#inspector,
        },
        this.#modules,
      );
    } catch (error) {
      if (!(error instanceof ForeignDirectoryError)) throw error;
      // A log of this run: its topic was deleted while it was being opened, and the name is in use again already.
      if (this.#holders.delete(name)) {
        await this.#moveAway(name);
        return this.#openInDirectory(name, options);
      }
      const stray = `${directory}.${this.#newName()}-stray`;
      this.#modules.logger.warn(
        { directory, keptAs: stray, topicId: error.found },
        'files of another topic were set aside',
      );
      await this.#forgetName(name);
      await this.#modules.disk.rename(directory, stray);
      await this.#modules.disk.syncDirectory(this.path);
      return this.#openInDirectory(name, options);
    }
  }

  /** The partition is no longer this broker's: out of the way at once, off the disk after a minute. */
  async removeLog(log: PartitionLog): Promise<void> {
    const name = `${log.topic}-${log.partition}`;
    const key = partitionKey(log.topicId, log.partition);
    if (this.#logs.get(key) === log) this.#logs.delete(key);
    this.#highWatermarks.delete(key);
    await this.#inTurn(name, async () => {
      await this.#cleaner.abort(log);
      await log.release();
      if (this.#holders.get(name) !== log) return; // the directory has gone to another topic of that name
      this.#holders.delete(name);
      await this.#moveAway(name);
    });
  }

  async #moveAway(name: string): Promise<void> {
    await this.#forgetName(name);
    const removed = join(this.path, `${name}.${this.#newName()}-delete`);
    await this.#modules.disk.rename(join(this.path, name), removed);
    await this.#modules.disk.syncDirectory(this.path);
    this.#deleteLater(removed, deleteDelayMs);
  }

  /** The next log of this name must not be taken for the one before, by no start however soon it comes. */
  async #forgetName(name: string): Promise<void> {
    this.#found.delete(name);
    this.#kafkaHighWatermarks.delete(name);
    const hasRecoveryPoint = this.#recoveryPoints.delete(name);
    const hasLogStart = this.#logStarts.delete(name);
    if (hasRecoveryPoint || hasLogStart) await this.checkpointRecoveryPoints();
    await this.#cleaner.forget(name);
  }

  #newName(): string {
    return this.#modules.random.bytes(16).toString('hex');
  }

  #deleteLater(directory: string, delayMs: number): void {
    const { timers, disk } = this.#modules;
    this.#timers.push(
      timers.setTimer(delayMs, () => {
        disk.removeDirectory(directory).catch((error: unknown) => this.#warn(error, 'a removed log is still there'));
      }),
    );
  }

  async #takeSlot(): Promise<void> {
    if (this.#openSlots > 0) this.#openSlots--;
    else await new Promise<void>((resolve) => this.#waitingForSlot.push(resolve));
  }

  #giveSlot(): void {
    const next = this.#waitingForSlot.shift();
    if (next === undefined) this.#openSlots++;
    else next();
  }

  // Compaction

  /** From now on compacted logs are cleaned, each below its high watermark. */
  startCleaning(options: CleanerOptions, highWatermarkOf: HighWatermarkOf): void {
    this.#cleaner.start(options, highWatermarkOf);
  }

  // High watermarks

  /** As last saved, with the leader epoch it was learned under (I15); never beyond the end of a log that is open. */
  highWatermarkOf(topicId: TopicId, partition: number): files.HighWatermark {
    const key = partitionKey(topicId, partition);
    const log = this.#logs.get(key);
    const name = log === undefined ? '' : `${log.topic}-${log.partition}`;
    const kafka = this.#found.has(name) ? this.#kafkaHighWatermarks.get(name) : undefined;
    const saved = this.#highWatermarks.get(key) ?? { highWatermark: kafka ?? offsetZero, leaderEpoch: noLeaderEpoch };
    const lowest = log?.logStartOffset ?? offsetZero;
    const highest = log?.logEndOffset ?? saved.highWatermark;
    const highWatermark = Math.max(lowest, Math.min(saved.highWatermark, highest)) as Offset;
    return { highWatermark, leaderEpoch: saved.leaderEpoch };
  }

  /** Saves them all: Kafka's checkpoint by topic name, ours by topic id with the epochs. */
  async checkpointHighWatermarks(
    all: readonly (files.HighWatermark & { readonly log: PartitionLog })[],
  ): Promise<void> {
    if (this.#isEnded) return;
    for (const { log, highWatermark, leaderEpoch } of all) {
      this.#highWatermarks.set(partitionKey(log.topicId, log.partition), { highWatermark, leaderEpoch });
      this.#kafkaHighWatermarks.set(`${log.topic}-${log.partition}`, highWatermark);
    }
    const { disk } = this.#modules;
    await disk.replaceFile(
      join(this.path, files.highWatermarkEpochName),
      files.formatHighWatermarks(this.#highWatermarks),
    );
    await disk.replaceFile(join(this.path, files.highWatermarkName), formatOffsets(this.#kafkaHighWatermarks));
  }

  // Recovery points and log starts

  /** Saves how far each log is synced. Whoever asks while one is being saved gets the next, which has it all. */
  checkpointRecoveryPoints(): Promise<void> {
    if (this.#checkpointing === null) {
      this.#checkpointing = this.#saveRecoveryPoints().finally(() => {
        this.#checkpointing = null;
      });
      return this.#checkpointing;
    }
    this.#nextCheckpoint ??= this.#checkpointing
      .catch(() => {})
      .then(() => {
        this.#nextCheckpoint = null;
        return this.checkpointRecoveryPoints();
      });
    return this.#nextCheckpoint;
  }

  async #saveRecoveryPoints(): Promise<void> {
    if (this.#isEnded) return;
    for (const log of this.#logs.values()) {
      const name = `${log.topic}-${log.partition}`;
      this.#found.add(name);
      this.#recoveryPoints.set(name, log.recoveryPoint);
      if (log.logStartOffset > log.firstSegmentOffset) this.#logStarts.set(name, log.logStartOffset);
      else this.#logStarts.delete(name);
    }
    const { disk } = this.#modules;
    // A start that is too low serves a few records too many; a recovery point without its start would be worse.
    await disk.replaceFile(join(this.path, files.logStartName), formatOffsets(this.#logStarts));
    await disk.replaceFile(join(this.path, files.recoveryPointName), formatOffsets(this.#recoveryPoints));
  }

  // Metadata revision

  /** The store has shown this revision; saved within a second (I4). */
  noteRevision(seen: Revision): void {
    if (seen <= this.#highestRevision) return;
    this.#highestRevision = seen;
    if (this.#revisionTimer !== null || this.#isEnded) return;
    this.#revisionTimer = this.#modules.timers.setTimer(revisionDelayMs, () => {
      this.#revisionTimer = null;
      this.#saveRevision().catch((error: unknown) => this.#warn(error, 'the metadata revision was not saved'));
    });
  }

  async #saveRevision(): Promise<void> {
    if (this.#isEnded || this.#savedRevision === this.#highestRevision) return;
    const seen = this.#highestRevision;
    await this.#modules.disk.replaceFile(join(this.path, files.revisionName), `${seen}\n`);
    this.#savedRevision = seen;
  }

  #warn(error: unknown, message: string): void {
    if (!this.#isEnded) this.#modules.logger.warn({ err: error, directory: this.path }, message);
  }

  // The end

  /**
   * Closes all logs and leaves what a quick start needs; the clean-shutdown mark carries `brokerEpoch` and is written
   * only if no write has failed [KAFKA-13773], and if what the last stop left behind has been looked at.
   */
  async close(brokerEpoch: BrokerEpoch): Promise<void> {
    if (this.#isEnded) return;
    this.#isClosing = true;
    await this.#cleaner.stop();
    // Those that are being opened are closed with the others.
    await Promise.all(this.#turns.values());
    const open = [...this.#logs.values()];
    const closing = open.map(async (log) => {
      await this.#takeSlot();
      try {
        await log.close();
        if (log.hasFailed) this.#hasFailed = true;
      } catch (error) {
        this.#hasFailed = true;
        this.#warn(error, 'a log could not be closed');
      } finally {
        this.#giveSlot();
      }
    });
    await Promise.all(closing);
    try {
      await this.checkpointRecoveryPoints();
      await this.#saveRevision();
      const { disk } = this.#modules;
      if (!this.#hasFailed && !this.#hasUnsureLogs && this.#isStopKnown)
        await disk.replaceFile(join(this.path, files.cleanShutdownName), files.formatCleanShutdown(brokerEpoch));
    } finally {
      await this.#end();
    }
  }

  /** As a kill -9: nothing more is written. */
  async abandon(): Promise<void> {
    if (this.#isEnded) return;
    for (const log of this.#logs.values()) log.abandon();
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#isClosing = true;
    this.#isEnded = true;
    this.#revisionTimer?.cancel();
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    await this.#cleaner.stop();
    // A recovery under way may cut files: nobody else may have the directory before it is over.
    await Promise.all(this.#turns.values());
    await Promise.all([...this.#logs.values()].map((log) => log.release()));
    await this.#lock.release();
  }
}

interface Root {
  readonly names: readonly string[];
  readonly meta: files.MetaProperties | null;
  readonly cleanEpoch: BrokerEpoch | null;
  readonly bootId: string;
  readonly lastBootId: string | null;
  readonly revision: Revision;
  readonly recoveryPoints: Map<string, Offset>;
  readonly logStarts: Map<string, Offset>;
  readonly highWatermarks: Map<string, files.HighWatermark>;
  readonly kafkaHighWatermarks: Map<string, Offset>;
  readonly firstDirty: Map<string, Offset>;
}

async function lockOf(disk: Disk, path: string): Promise<{ release(): Promise<void> }> {
  try {
    return await disk.lock(join(path, files.lockName));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    throw new LogDirectoryError('LOCKED', `${path} is in use: ${(error as Error).message}`);
  }
}

async function readRoot(disk: Disk, path: string, logger: Logger): Promise<Root> {
  const names = await disk.list(path);
  const text = (name: string): Promise<string | null> =>
    names.includes(name) ? readTextFile(disk, join(path, name)) : Promise.resolve(null);
  /** What can be done without: damage is as good as absence. */
  const derived = async <Value>(name: string, parse: (text: string) => Value | null): Promise<Value | null> => {
    const content = await text(name);
    const value = content === null ? null : parse(content);
    if (content !== null && value === null) logger.warn({ file: join(path, name) }, 'a damaged file is not used');
    return value;
  };
  const metaText = await text(files.metaPropertiesName);
  const meta = metaText === null ? null : files.parseMetaProperties(metaText);
  if (metaText !== null && meta === null)
    throw new LogDirectoryError(
      'DAMAGED',
      `${join(path, files.metaPropertiesName)} lacks cluster.id, node.id or directory.id`,
    );
  const parseRevision = (content: string): Revision | null =>
    /^\d{1,16}\s*$/.test(content) ? revision(Number(content)) : null;
  return {
    names,
    meta,
    cleanEpoch: await derived(files.cleanShutdownName, files.parseCleanShutdown),
    bootId: ((await readTextFile(disk, files.bootIdPath)) ?? '').trim(),
    lastBootId: await text(files.bootName),
    revision: (await derived(files.revisionName, parseRevision)) ?? revision(0),
    recoveryPoints: (await derived(files.recoveryPointName, parseOffsets)) ?? new Map(),
    logStarts: (await derived(files.logStartName, parseOffsets)) ?? new Map(),
    highWatermarks: (await derived(files.highWatermarkEpochName, files.parseHighWatermarks)) ?? new Map(),
    kafkaHighWatermarks: (await derived(files.highWatermarkName, parseOffsets)) ?? new Map(),
    firstDirty: (await derived(files.cleanerOffsetName, parseOffsets)) ?? new Map(),
  };
}

/** replication-invariants §2.2. A directory without a past is lossy: whatever was here is gone. */
function lastStopOf({ meta, cleanEpoch, bootId, lastBootId }: Root): LastStop {
  if (meta === null) return 'lossy';
  if (cleanEpoch !== null) return 'clean';
  return bootId !== '' && lastBootId?.trim() === bootId ? 'killed' : 'lossy';
}
