/**
 * What does a directory hold when it is opened again, and what of it may be kept?
 *
 *     stop   | read                                      | the first bad batch at or past the recovery point
 *     clean  | the end of the last segment, no CRC       | cannot be: SEGMENT_CORRUPT
 *     killed | from the recovery point on, with CRC      | cut if nothing good comes after it, else SEGMENT_CORRUPT
 *     lossy  | its segments from the start, with CRC     | cut, whatever comes after: pages reach a disk in any order
 *
 * A bad batch, or an end, before the recovery point was synced once: it is damage and never a torn tail (I29). The log
 * is then not opened: SEGMENT_CORRUPT names file and position, and the caller keeps the files out of service.
 *
 * All but `.log` is derived (I30): an index that is missing or fails its check is made again from the log, so are the
 * epochs and the producers. What was kept is synced before anybody is served (I31).
 */
import { join } from 'node:path';
import type { Disk } from '../env/disk.ts';
import type { Logger } from '../env/logger.ts';
import type { TurnBudget } from '../env/turn-budget.ts';
import { later, noLeaderEpoch, type Offset } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { decodeEndTransactionMarker } from '../records/control-record.ts';
import { hasValidCrc } from '../records/record-batch.ts';
import { findsGoodBatch, type Visit } from './batch-scanner.ts';
import { EpochCache, type EpochEntry } from './epoch-cache.ts';
import { listPartitionFiles, type PartitionFiles, readEpochs, writeEpochs } from './partition-files.ts';
import { decodingKafkaSnapshot, decodingProducers, inTurns, isStepOver, type Steps } from './producer-snapshot.ts';
import { batchesPerProducer, type ProducerEntry, ProducerState } from './producer-state.ts';
import { Segment, segmentFileName } from './segment.ts';
import { finishSwaps } from './segment-swap.ts';

export type LastStop = 'clean' | 'killed' | 'lossy';

export interface RecoveryOptions {
  readonly directory: string;
  readonly recoveryPoint: Offset;
  readonly lastStop: LastStop;
  readonly logStartOffset: Offset;
  readonly indexIntervalBytes: number;
  readonly producerIdExpirationMs: number;
  /** Compaction leaves gaps between batches; elsewhere each begins where the one before ended. */
  readonly allowsGaps: boolean;
  readonly nowMs: number;
}

export interface RecoveredLog {
  /** At least one, in order; the last one takes appends. */
  readonly segments: Segment[];
  readonly epochs: EpochCache;
  readonly producers: ProducerState;
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  /** Offset of the newest producer files on disk that match the log, -1 for none. */
  readonly producersSavedAt: number;
}

interface Modules {
  readonly disk: Disk;
  readonly logger: Logger;
  /** Of the long work of all logs. */
  readonly turns: TurnBudget;
}

/** How much of a log is read again to find a producer's older batches, where only Kafka's snapshot is there. */
const backfillBytes = 1 << 30;

export async function recoverLog(
  options: RecoveryOptions,
  modules: Modules,
  found: PartitionFiles,
): Promise<RecoveredLog> {
  const { disk } = modules;
  const { directory } = options;
  for (const name of found.leftOvers) await disk.remove(join(directory, name));
  if (found.swaps.length > 0) await finishSwaps(found, { directory, disk });
  const files = found.swaps.length > 0 ? await listPartitionFiles(disk, directory) : found;
  const segments = files.segments.map((base) => new Segment(directory, base, options.nowMs, disk));
  try {
    for (const segment of segments) await segment.openExisting();
    const known = files.hasEpochs ? await readEpochs(disk, directory) : null;
    const epochs = await recoverSegments(segments, known, options, modules);
    const start = await keptFromStart(segments, options, disk);
    const logEndOffset = start.active.nextOffset;
    if (epochs.truncateFromStart(start.logStartOffset) || start.isReset) {
      if (start.isReset) epochs.clear();
      await writeEpochs(disk, directory, epochs.entries);
    }
    const { producers, savedAt } = await recoverProducers(segments, files, logEndOffset, options, modules);
    return {
      segments,
      epochs,
      producers,
      logStartOffset: start.logStartOffset,
      logEndOffset,
      producersSavedAt: savedAt,
    };
  } catch (error) {
    for (const segment of segments) await segment.close();
    throw error;
  }
}

/** Finds the log's end, cuts what must go, and makes the epochs that the batches have. */
async function recoverSegments(
  segments: Segment[],
  knownEpochs: readonly EpochEntry[] | null,
  options: RecoveryOptions,
  modules: Modules,
): Promise<EpochCache> {
  const { recoveryPoint, lastStop } = options;
  const rebuilt = new EpochCache();
  const known = knownEpochs === null || knownEpochs.length === 0 ? null : new EpochCache(knownEpochs);
  const firstUnsure = lastStop === 'clean' ? Math.max(segments.length - 1, 0) : firstBeyond(segments, recoveryPoint);
  const isRebuilding = known === null && segments.some((segment) => segment.writtenBytes > 0);
  for (let index = isRebuilding ? 0 : firstUnsure; index < segments.length; index++) {
    const segment = segments[index] as Segment;
    const isUnsure = index >= firstUnsure && lastStop !== 'clean';
    const check = checkOf(segment, isUnsure, known, rebuilt, options);
    const end = await scanSegment(segment, isUnsure, isRebuilding, check, options);
    const next = segments[index + 1];
    const problem =
      end.bad ?? (next !== undefined && endsWrong(segment, next, options) ? 'the next segment does not follow' : null);
    if (problem !== null) {
      await cutOrGiveUp(segments, index, end.position, problem, options, modules);
      break;
    }
  }
  for (const closed of segments.slice(0, -1)) closed.noteFinalTimestamp();
  const last = segments.at(-1);
  const logEndOffset = last?.nextOffset ?? (0 as Offset);
  if (logEndOffset < recoveryPoint)
    throw corrupt(
      last?.path ?? options.directory,
      last?.writtenBytes ?? 0,
      `records up to ${recoveryPoint} were synced, the log ends at ${logEndOffset}`,
    );
  if (lastStop !== 'clean') {
    for (const segment of segments.slice(firstUnsure, -1)) {
      await segment.sync();
      await segment.becomeInactive();
    }
    await last?.persistIndexes();
    await last?.sync();
    if (segments.length > 0) await modules.disk.syncDirectory(options.directory);
  }
  if (known === null) {
    if (isRebuilding) await writeEpochs(modules.disk, options.directory, rebuilt.entries);
    return rebuilt;
  }
  // An entry at the log's end is a leader that has written nothing yet; one beyond it belongs to what was cut.
  if (last !== undefined && known.truncateFromEnd((logEndOffset + 1) as Offset))
    await writeEpochs(modules.disk, options.directory, known.entries);
  return known;
}

/**
 * The first segment that holds anything past the recovery point, or that ended there: the indexes of one that was full
 * when it was synced need not have been.
 */
function firstBeyond(segments: readonly Segment[], recoveryPoint: Offset): number {
  const index = segments.findLastIndex((segment) => segment.baseOffset < recoveryPoint);
  return Math.max(index, 0);
}

/** Where gaps are allowed, a segment was synced before the next one was begun: what is missing was taken out. */
const endsWrong = (segment: Segment, next: Segment, options: RecoveryOptions): boolean =>
  options.allowsGaps ? segment.nextOffset > next.baseOffset : segment.nextOffset !== next.baseOffset;

/** What is wrong with a batch, given those before it. Also collects the epochs where there is no file to trust. */
function checkOf(
  segment: Segment,
  isUnsure: boolean,
  known: EpochCache | null,
  rebuilt: EpochCache,
  options: RecoveryOptions,
): Visit {
  let expected: number | null = null;
  return (batch, position) => {
    const base = header.baseOffsetOf(batch);
    const epoch = header.partitionLeaderEpochOf(batch);
    if (position === 0) expected = segment.baseOffset;
    if (expected !== null && (options.allowsGaps ? base < expected : base !== expected))
      return { bad: `a batch has base offset ${base}, ${expected} comes next` };
    if (header.lastOffsetDeltaOf(batch) < 0) return { bad: 'a batch ends before it begins' };
    if (isUnsure && !hasValidCrc(batch)) return { bad: 'the CRC-32C of a batch does not match its bytes' };
    if (known !== null) {
      const oldest = known.entries[0];
      // Below the log start offset the cache has forgotten who wrote what.
      const isForgotten = oldest !== undefined && base < oldest.startOffset && epoch <= oldest.epoch;
      if (!isForgotten && known.epochAt(base) !== epoch)
        return { bad: `a batch has leader epoch ${epoch}, offset ${base} is of epoch ${known.epochAt(base)}` };
    } else if (epoch !== noLeaderEpoch) {
      const latest = rebuilt.latest();
      if (latest !== null && epoch < latest.epoch) return { bad: `leader epoch ${epoch} after ${latest.epoch}` };
      rebuilt.assign(epoch, base);
    }
    expected = header.nextOffsetOf(batch);
    return undefined;
  };
}

async function scanSegment(
  segment: Segment,
  isUnsure: boolean,
  isRebuilding: boolean,
  check: Visit,
  options: RecoveryOptions,
): Promise<{ position: number; bad: string | null }> {
  const hasIndexes = (await segment.loadIndexes()) && !isRebuilding;
  // Index files of a segment that was not synced as a whole are worth nothing after a kernel stop.
  const isTrusted = hasIndexes && !(isUnsure && options.lastStop === 'lossy');
  const until = isUnsure ? options.recoveryPoint : (Number.MAX_SAFE_INTEGER as Offset);
  const row = isTrusted ? segment.lastRowBelow(until) : null;
  if (row === null) return segment.scanFrom(null, options.indexIntervalBytes, check);
  const end = await segment.scanFrom(row, options.indexIntervalBytes, check);
  // The row itself may be what is wrong: the whole segment decides.
  const isRowBad = end.bad !== null && end.position === row.position;
  return isRowBad ? segment.scanFrom(null, options.indexIntervalBytes, check) : end;
}

async function cutOrGiveUp(
  segments: Segment[],
  index: number,
  position: number,
  problem: string,
  options: RecoveryOptions,
  { logger }: Modules,
): Promise<void> {
  const segment = segments[index] as Segment;
  const end = segment.nextOffset;
  const laterOnes = segments.slice(index + 1);
  const { lastStop, recoveryPoint } = options;
  if (lastStop === 'clean' || end < recoveryPoint) throw corrupt(segment.path, position, problem);
  if (lastStop === 'killed') {
    const file = await segment.openFile();
    const isFollowed =
      laterOnes.some(({ writtenBytes }) => writtenBytes > 0) ||
      (await findsGoodBatch(file, position + 1, await file.size(), end));
    if (isFollowed) throw corrupt(segment.path, position, `${problem}, and whole batches come after it`);
  }
  logger.warn(
    { file: segment.path, position, logEndOffset: end, reason: problem, segmentsDropped: laterOnes.length },
    'the log was cut at a batch that was not written in full',
  );
  for (const dropped of laterOnes.reverse()) await dropped.deleteFiles();
  segments.length = index + 1;
  await segment.cutFileTo(position);
}

const corrupt = (file: string, position: number, reason: string): BrokerError =>
  new BrokerError({ code: 'SEGMENT_CORRUPT', file, position, reason });

/** The log start offset, and the segment that takes appends; a log that ends below its start begins anew there. */
async function keptFromStart(
  segments: Segment[],
  options: RecoveryOptions,
  disk: Disk,
): Promise<{ active: Segment; logStartOffset: Offset; isReset: boolean }> {
  const last = segments.at(-1);
  const { logStartOffset } = options;
  if (last !== undefined && last.nextOffset >= logStartOffset) {
    const lowest = (segments[0] as Segment).baseOffset;
    return { active: last, logStartOffset: later(logStartOffset, lowest), isReset: false };
  }
  for (const segment of segments.splice(0).reverse()) await segment.deleteFiles();
  const fresh = new Segment(options.directory, logStartOffset, options.nowMs, disk);
  fresh.becomeNew();
  segments.push(fresh);
  return { active: fresh, logStartOffset, isReset: last !== undefined };
}

/**
 * Producer state before `endOffset`: the newest snapshot that is good, and the batches after it.
 *   .producers            all five batches of each producer: nothing before it is read
 *   .snapshot alone       one batch of each: the older ones come from the log, if it is not larger than a limit
 *   neither               all from the log
 */
export async function recoverProducers(
  segments: readonly Segment[],
  files: Pick<PartitionFiles, 'kafkaSnapshots' | 'producerFiles'>,
  endOffset: Offset,
  options: Pick<RecoveryOptions, 'directory' | 'indexIntervalBytes' | 'producerIdExpirationMs' | 'nowMs'>,
  modules: Modules,
): Promise<{ producers: ProducerState; savedAt: number }> {
  const saved = await newestProducers(files, endOffset, options.directory, modules);
  const producers = new ProducerState();
  const base = (segments[0]?.baseOffset ?? 0) as Offset;
  const logBytes = segments.reduce((sum, segment) => sum + segment.writtenBytes, 0);
  if (saved === null) await replay(segments, base, endOffset, producers, options);
  else {
    await inTurns(restoring(saved.entries, producers), modules.turns);
    if (!saved.isComplete && logBytes <= backfillBytes) {
      const older = new ProducerState();
      await replay(segments, base, saved.offset, older, options);
      for (const entry of saved.entries) producers.restore(withOlderBatches(entry, older.entryOf(entry.producerId)));
    }
    await replay(segments, saved.offset, endOffset, producers, options);
  }
  // One that is gone must stay gone: the log may grow past its offset with other batches.
  const hasBeenCut = [...files.producerFiles, ...files.kafkaSnapshots].some((at) => at > endOffset);
  if (hasBeenCut) await modules.disk.syncDirectory(options.directory);
  await removeUnusedSnapshots(segments, files, saved?.offset ?? -1, options.directory, modules.disk);
  await inTurns(expiring(producers, options), modules.turns);
  return { producers, savedAt: saved?.isComplete === true ? saved.offset : -1 };
}

function* restoring(entries: readonly ProducerEntry[], producers: ProducerState): Steps<void> {
  for (const [index, entry] of entries.entries()) {
    if (isStepOver(index)) yield;
    producers.restore(entry);
  }
}

function* expiring(
  producers: ProducerState,
  { nowMs, producerIdExpirationMs }: Pick<RecoveryOptions, 'nowMs' | 'producerIdExpirationMs'>,
): Steps<void> {
  let index = 0;
  for (const entry of producers.entries) {
    if (isStepOver(index++)) yield;
    producers.expire(entry, nowMs, producerIdExpirationMs);
  }
}

/** Older snapshots are of use only where a segment begins, since a cut may go back that far. */
async function removeUnusedSnapshots(
  segments: readonly Segment[],
  files: Pick<PartitionFiles, 'kafkaSnapshots' | 'producerFiles'>,
  newest: number,
  directory: string,
  disk: Disk,
): Promise<void> {
  const bases = new Set(segments.map(({ baseOffset }) => baseOffset));
  const isUnused = (at: Offset): boolean => at < newest && !bases.has(at);
  for (const at of files.producerFiles.filter(isUnused))
    await disk.remove(join(directory, segmentFileName(at, '.producers')));
  for (const at of files.kafkaSnapshots.filter(isUnused))
    await disk.remove(join(directory, segmentFileName(at, '.snapshot')));
}

interface SavedProducers {
  readonly offset: Offset;
  readonly entries: readonly ProducerEntry[];
  readonly isComplete: boolean;
}

async function newestProducers(
  files: Pick<PartitionFiles, 'kafkaSnapshots' | 'producerFiles'>,
  endOffset: Offset,
  directory: string,
  { disk, logger, turns }: Modules,
): Promise<SavedProducers | null> {
  const offsets = [...new Set([...files.producerFiles, ...files.kafkaSnapshots])].sort((a, b) => b - a);
  for (const offset of offsets) {
    if (offset > endOffset) {
      // It tells of batches that were cut.
      for (const suffix of ['.producers', '.snapshot'])
        await disk.remove(join(directory, segmentFileName(offset, suffix)));
      continue;
    }
    if (files.producerFiles.includes(offset)) {
      const bytes = await disk.readFile(join(directory, segmentFileName(offset, '.producers')));
      const entries = await inTurns(decodingProducers(bytes), turns);
      if (entries !== null) return { offset, entries, isComplete: true };
    }
    if (files.kafkaSnapshots.includes(offset)) {
      const bytes = await disk.readFile(join(directory, segmentFileName(offset, '.snapshot')));
      const entries = await inTurns(decodingKafkaSnapshot(bytes), turns);
      if (entries !== null) return { offset, entries, isComplete: entries.length === 0 };
    }
    logger.warn({ directory, offset }, 'a producer snapshot was damaged and is not used');
  }
  return null;
}

function withOlderBatches(entry: ProducerEntry, older: ProducerEntry | null): ProducerEntry {
  const newest = entry.batches.at(-1);
  if (older === null || newest === undefined || older.producerEpoch !== entry.producerEpoch) return entry;
  const before = older.batches.filter((batch) => batch.lastOffset < newest.lastOffset);
  return { ...entry, batches: [...before, newest].slice(-batchesPerProducer) };
}

async function replay(
  segments: readonly Segment[],
  from: Offset,
  end: Offset,
  producers: ProducerState,
  { indexIntervalBytes, nowMs }: Pick<RecoveryOptions, 'indexIntervalBytes' | 'nowMs'>,
): Promise<void> {
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1];
    if ((next !== undefined && next.baseOffset <= from) || segment.baseOffset >= end) continue;
    if (segment.writtenBytes === 0) continue;
    const position = from <= segment.baseOffset ? 0 : await segment.positionBefore(from, indexIntervalBytes);
    await segment.visitBatches(position, (batch) => {
      if (header.baseOffsetOf(batch) >= end) return 'stop';
      if (header.baseOffsetOf(batch) >= from && header.producerIdOf(batch) >= 0) noteInto(producers, batch, nowMs);
      return undefined;
    });
  }
}

/** A batch of the log, as every replica takes note of it. */
export function noteInto(producers: ProducerState, batch: Buffer, nowMs: number | null = null): void {
  producers.append(batch, header.isControlBatch(batch) ? decodeEndTransactionMarker(batch) : null, nowMs);
}
