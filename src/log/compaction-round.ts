/**
 * One round of compaction of one log (`Cleaner.java`, KIP-534): which records stay, and in which files?
 *
 *     log start          first dirty offset        end of the round       uncleanable: high watermark, active segment
 *         │  cleaned before      │  keys go into the map  │  left as it is        │
 *         └──────────────────────┴────────────────────────┘
 *               all of it is written again, group by group of neighbouring segments
 *
 *     record                                     | its key in the map        | stays
 *     with a value                               | at no later offset        | yes
 *     tombstone, its batch without a horizon     | at no later offset        | yes, and its batch gets one
 *     tombstone, its batch's horizon to come     | at no later offset        | yes
 *     tombstone, its batch's horizon past        | any                       | no, if an earlier round has cleaned it
 *     any                                        | at a later offset         | no
 *     without a key                              |                           | no
 *
 * A tombstone goes only in a round after the one that first cleaned it, and that one took the older records of its key,
 * durably: a swap that a crash cuts short may leave such a record and take the tombstone (`segment-swap.ts`). So nothing
 * comes back. Offsets, epochs and order stay.
 *
 * A header stays, where its records do not, of
 *   - each batch that the log's producer state remembers, all five of a producer: a replay of the log gives the same state;
 *   - the first batch of each leader epoch: who copies the log or makes its epochs anew learns where each began, and as a
 *     leader tells others rightly where theirs ended;
 *   - the round's last batch: a follower learns how far the log goes.
 *
 * Whether a transactional record counts is told by a marker after it, and nothing here knows of aborted transactions yet:
 * a segment with transactional or control batches ends what can be cleaned.
 */
import type { Clock } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import { earlier, type Offset } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import {
  type BatchFilter,
  BatchSurvey,
  type Remnant,
  Rewriting,
  rebuilt,
  rewrittenAtOnce,
} from '../records/batch-filter.ts';
import * as header from '../records/batch-header.ts';
import { codecOf } from '../records/compression.ts';
import { packerOf } from '../records/packer.ts';
import { hasValidCrc } from '../records/record-batch.ts';
import { unpackLimit } from '../records/record-check.ts';
import { recordPieces, recordsAtOnce } from '../records/record-pieces.ts';
import { RecordWalk } from '../records/record-walk.ts';
import { OffsetMap } from './offset-map.ts';
import type { CleanableSegments, PartitionLog } from './partition-log.ts';
import { largestRelativeOffset, Segment } from './segment.ts';
import { appendChunk } from './tail-cache.ts';

export interface RoundOptions {
  /** Up to here an earlier round has taken the keys into account. */
  readonly firstDirtyOffset: Offset;
  /** What a cleaner may read, below the high watermark. */
  readonly cleanable: CleanableSegments;
  /** Memory for the offsets of keys. */
  readonly mapBytes: number;
}

export interface RoundModules {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Lets others have a turn. */
  pause(): Promise<void>;
  isAborted(): boolean;
}

export interface RoundResult {
  /** False where the log was cut or closed, or the round aborted: nothing may be concluded from it. */
  readonly isComplete: boolean;
  readonly firstDirtyOffset: Offset;
  /** The first segment that cannot be cleaned, and why; null where all could be. */
  readonly blocked: { readonly baseOffset: Offset; readonly reason: string } | null;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Why a batch may not be written anew; its base offset is not covered by the CRC. */
function problemOf(batch: Buffer, from: Offset, segmentEnd: Offset): string | null {
  const [base, last] = [header.baseOffsetOf(batch), header.lastOffsetOf(batch)];
  if (base < from || last < base || last >= segmentEnd)
    return `a batch of offsets ${base} to ${last} between ${from} and ${segmentEnd}`;
  return hasValidCrc(batch) ? null : 'the CRC-32C of a batch does not match its bytes';
}

/** Bytes of one read; also how much is unpacked or looked at before others have a turn. */
const sliceBytes = 256 << 10;
/** What looking at one record takes, in bytes of unpacking: its key is hashed, which takes about a microsecond. */
const bytesPerRecord = 64;
/** Records of one batch that are looked at before others have a turn. */
const sliceRecords = sliceBytes / bytesPerRecord;

/** What writing records anew takes, as against unpacking as many bytes: they are copied one by one. */
const rewritingFactor = 4;

/** Tombstones that are to stay longer get no horizon: timestamps could not be told exactly from one so late. */
const longestRetentionMs = 2 ** 50;

/** Thrown within a round, and never out of it. */
class Blocked extends Error {
  readonly baseOffset: Offset;
  constructor(baseOffset: Offset, reason: string) {
    super(reason);
    this.baseOffset = baseOffset;
  }
}
class Abandoned extends Error {}

/** A batch that unpacks to more than may be looked at: it came before the topic was compacted. */
function asBlocked(error: unknown, segment: Segment): Blocked | null {
  if (error instanceof Blocked) return error;
  const isTooLarge = error instanceof BrokerError && error.fault.code === 'MESSAGE_TOO_LARGE';
  return isTooLarge ? new Blocked(segment.baseOffset, error.message) : null;
}

export async function compactionRound(
  log: PartitionLog,
  options: RoundOptions,
  modules: RoundModules,
): Promise<RoundResult> {
  return new Round(log, options, modules).run();
}

class Round {
  readonly #log: PartitionLog;
  readonly #found: CleanableSegments;
  readonly #firstDirty: Offset;
  readonly #modules: RoundModules;
  readonly #map: OffsetMap;
  readonly #nowMs: number;
  readonly #epochStarts: ReadonlySet<Offset>;
  readonly #unpackBytes: number;
  /** Where the next segment begins. */
  readonly #ends = new Map<Segment, Offset>();
  #endOffset: Offset;
  #spentBytes = 0;
  #bytesRead = 0;
  #bytesWritten = 0;

  constructor(log: PartitionLog, { firstDirtyOffset, cleanable, mapBytes }: RoundOptions, modules: RoundModules) {
    this.#log = log;
    this.#found = cleanable;
    this.#firstDirty = firstDirtyOffset;
    this.#modules = modules;
    this.#map = new OffsetMap(mapBytes, cleanable.endOffset - firstDirtyOffset);
    this.#nowMs = modules.clock.wallMs();
    this.#epochStarts = new Set(log.epochs.entries.map(({ startOffset }) => startOffset));
    this.#unpackBytes = unpackLimit(log.config.maxMessageBytes);
    this.#endOffset = firstDirtyOffset;
    for (const [index, segment] of cleanable.segments.entries())
      this.#ends.set(segment, cleanable.segments[index + 1]?.baseOffset ?? cleanable.endOffset);
  }

  async run(): Promise<RoundResult> {
    try {
      const blocked = await this.#fillMap();
      if (this.#endOffset <= this.#firstDirty) return this.#result(this.#firstDirty, blocked);
      for (const group of this.#groups()) await this.#clean(group);
      return this.#result(this.#endOffset, blocked);
    } catch (error) {
      if (error instanceof Blocked) return this.#result(this.#firstDirty, error);
      const isAbandoned = error instanceof Abandoned || this.#isOver;
      if (isAbandoned) return { ...this.#result(this.#firstDirty, null), isComplete: false };
      throw error;
    }
  }

  get #isOver(): boolean {
    return this.#modules.isAborted() || !this.#log.isUnchangedSince(this.#found);
  }

  #result(firstDirtyOffset: Offset, blocked: Blocked | null): RoundResult {
    return {
      isComplete: true,
      firstDirtyOffset,
      blocked: blocked === null ? null : { baseOffset: blocked.baseOffset, reason: blocked.message },
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
    };
  }

  #endOf(segment: Segment): Offset {
    return this.#ends.get(segment) as Offset;
  }

  /** The batches of a segment from `from` on, checked, as many at a time as one slice has. */
  async *#slices(segment: Segment, segmentEnd: Offset, from: Offset): AsyncGenerator<Buffer[]> {
    const { indexIntervalBytes } = this.#log.config;
    const limits = { maxBytes: sliceBytes, endOffset: Number.MAX_SAFE_INTEGER as Offset, minOneBatch: true };
    let next = from;
    /** The first dirty offset may lie within a batch. */
    let lowest = segment.baseOffset;
    let position: number | null = from <= segment.baseOffset ? 0 : null;
    for (;;) {
      if (this.#isOver) throw new Abandoned();
      const read = await segment.read(next, limits, position, indexIntervalBytes);
      if (read.baseOffset === null) return;
      const batches = [...header.batchesOf(read.bytes)];
      let at = read.nextPosition - read.bytes.length;
      for (const batch of batches) {
        const problem = problemOf(batch, lowest, segmentEnd);
        if (problem !== null)
          throw new BrokerError({ code: 'SEGMENT_CORRUPT', file: segment.path, position: at, reason: problem });
        if (header.isTransactional(batch) || header.isControlBatch(batch))
          throw new Blocked(segment.baseOffset, 'transactional records are not compacted');
        at += batch.length;
        lowest = header.nextOffsetOf(batch);
      }
      next = lowest;
      this.#bytesRead += read.bytes.length;
      yield batches;
      position = read.nextPosition;
    }
  }

  /** After each step: what is packed can be very much larger than the slice it came in. True where a pause is due. */
  #spend(bytes: number): boolean {
    this.#spentBytes += bytes;
    return this.#spentBytes >= sliceBytes;
  }

  async #pause(): Promise<void> {
    this.#spentBytes = 0;
    await this.#modules.pause();
    if (this.#isOver) throw new Abandoned();
  }

  /** `step` is called until it has looked at fewer records than it may. */
  async #inSlices(step: (most: number) => number): Promise<void> {
    let count = sliceRecords;
    while (count === sliceRecords) {
      count = step(sliceRecords);
      if (this.#spend(count * bytesPerRecord)) await this.#pause();
    }
  }

  /** Notes the keys from the first dirty offset on, and with them where the round ends. Gives what ended it too soon. */
  async #fillMap(): Promise<Blocked | null> {
    for (const segment of this.#found.segments) {
      const segmentEnd = this.#endOf(segment);
      if (segmentEnd <= this.#firstDirty) continue;
      try {
        for await (const batches of this.#slices(segment, segmentEnd, this.#firstDirty))
          for (const batch of batches) {
            if (!(await this.#note(batch))) return this.#isFullAt(segment);
            this.#endOffset = header.nextOffsetOf(batch);
          }
      } catch (error) {
        const blocked = asBlocked(error, segment);
        if (blocked === null) throw error;
        this.#endOffset = earlier(this.#endOffset, segment.baseOffset);
        return blocked;
      }
      this.#endOffset = segmentEnd;
    }
    return null;
  }

  /**
   * False where the map is full. What it has of the batch may stay: each of its records is in the log, below the high
   * watermark, and no record before it is the last of its key.
   */
  async #note(batch: Buffer): Promise<boolean> {
    const walk = new RecordWalk(batch);
    let isFull = false;
    const step = (most: number): number => {
      for (let count = 0; count < most; count++) {
        if (!walk.next()) return count;
        const { key } = walk;
        if (key === null || walk.offset < this.#firstDirty || this.#map.put(key, walk.offset)) continue;
        isFull = true;
        return count;
      }
      return most;
    };
    for await (const records of this.#piecesOf(batch, recordsAtOnce(batch))) {
      walk.enter(records);
      await this.#inSlices(step);
      if (isFull) return false;
      if (this.#spend(records.length)) await this.#pause();
    }
    walk.finish();
    return true;
  }

  /** `all` of its records where they are known. */
  #piecesOf(batch: Buffer, all: Buffer | null): AsyncIterable<Buffer> | Iterable<Buffer> {
    return all === null ? recordPieces(batch, this.#unpackBytes) : [all];
  }

  /** The next round goes on from here; unless there is no batch small enough for the map. */
  #isFullAt(segment: Segment): Blocked | null {
    if (this.#endOffset > this.#firstDirty) return null;
    return new Blocked(segment.baseOffset, 'a batch has more keys than the memory for compaction holds');
  }

  /** Neighbours that fit into one segment, up to the end of the round (`Cleaner.groupSegmentsBySize`). */
  #groups(): Segment[][] {
    const { segmentBytes, segmentIndexBytes, indexIntervalBytes } = this.#log.config;
    const groups: Segment[][] = [];
    let bytes = 0;
    for (const segment of this.#found.segments) {
      if (segment.baseOffset >= this.#endOffset) break;
      const segmentEnd = this.#endOf(segment);
      const group = groups.at(-1);
      const first = group?.[0];
      bytes += segment.sizeBytes;
      const mostRows = Math.ceil(bytes / (indexIntervalBytes + 1)) + 1;
      const fits =
        first !== undefined &&
        bytes <= segmentBytes &&
        mostRows * 12 <= segmentIndexBytes &&
        segmentEnd - 1 - first.baseOffset <= largestRelativeOffset;
      if (fits) group?.push(segment);
      else {
        groups.push([segment]);
        bytes = segment.sizeBytes;
      }
    }
    return groups;
  }

  async #clean(group: readonly Segment[]): Promise<void> {
    const { disk, clock } = this.#modules;
    const first = group[0] as Segment;
    const cleaned = new Segment(this.#log.directory, first.baseOffset, clock.wallMs(), disk, '.cleaned');
    let isTaken = false;
    try {
      await cleaned.removeOldFiles();
      const isChanged = await this.#write(group, cleaned);
      if (!isChanged) return;
      isTaken = await this.#log.replaceSegments(this.#found, group, cleaned);
      if (!isTaken) throw new Abandoned();
    } finally {
      // What is left of a log that is closed or has failed is found when it is opened again.
      if (!isTaken) await (this.#isOver ? cleaned.close() : cleaned.deleteFiles()).catch(() => {});
    }
  }

  /** Writes what stays of a group, and syncs it. False where that is what is there already. */
  async #write(group: readonly Segment[], cleaned: Segment): Promise<boolean> {
    const { indexIntervalBytes } = this.#log.config;
    const { file } = await cleaned.fileForWriting();
    let isChanged = group.length > 1;
    for (const segment of group)
      for await (const batches of this.#slices(segment, this.#endOf(segment), segment.baseOffset)) {
        let position = cleaned.sizeBytes;
        let chunks: Buffer[] = [];
        const flush = async (): Promise<void> => {
          if (cleaned.sizeBytes === position) return;
          await file.write(chunks, position);
          cleaned.onWritten(cleaned.sizeBytes - position);
          this.#bytesWritten += cleaned.sizeBytes - position;
          chunks = [];
          position = cleaned.sizeBytes;
        };
        for (const batch of batches) {
          const rest = header.baseOffsetOf(batch) >= this.#endOffset ? batch : await this.#filtered(batch);
          if (rest !== batch) isChanged = true;
          if (rest !== null) {
            cleaned.noteAppend(rest, indexIntervalBytes);
            appendChunk(chunks, rest);
            if (cleaned.sizeBytes - position > sliceBytes) await flush();
          }
          if (this.#spend(batch.length)) await this.#pause();
        }
        await flush();
      }
    if (!isChanged) return false;
    await cleaned.sync();
    await cleaned.becomeInactive();
    return true;
  }

  /** What stays of a batch: itself where nothing goes, null where nothing is left. */
  async #filtered(batch: Buffer): Promise<Buffer | null> {
    const all = recordsAtOnce(batch);
    const survey = new BatchSurvey(batch, this.#filterOf(batch));
    for await (const records of this.#piecesOf(batch, all)) {
      survey.enter(records);
      await this.#inSlices((most) => survey.look(most));
      if (this.#spend(records.length)) await this.#pause();
    }
    const result = survey.result();
    if (result === null || Buffer.isBuffer(result)) return result;
    return all === null ? this.#rewritten(result) : rewrittenAtOnce(result, all);
  }

  #filterOf(batch: Buffer): BatchFilter {
    const { deleteRetentionMs } = this.#log.config;
    const isDue = header.hasDeleteHorizon(batch) && header.baseTimestampOf(batch) <= this.#nowMs;
    return {
      newHorizonMs: deleteRetentionMs <= longestRetentionMs ? this.#nowMs + deleteRetentionMs : null,
      keepsHeader:
        this.#isRemembered(batch) ||
        this.#epochStarts.has(header.baseOffsetOf(batch)) ||
        header.nextOffsetOf(batch) === this.#endOffset,
      retains: ({ key, offset, hasValue }) => {
        if (key === null) return false;
        const latest = this.#map.get(key);
        return (latest === null || offset >= latest) && (hasValue || !isDue || offset >= this.#firstDirty);
      },
    };
  }

  /** A batch whose records are too many for one piece: they are unpacked a second time, and packed as they come. */
  async #rewritten(remnant: Remnant): Promise<Buffer> {
    const { batch } = remnant;
    const packer = packerOf(codecOf(header.codecNumberOf(batch)), Number.POSITIVE_INFINITY);
    try {
      const rewriting = new Rewriting(remnant);
      for await (const records of recordPieces(batch, this.#unpackBytes))
        for (const chunk of rewriting.of(records)) {
          await packer.write(chunk);
          if (this.#spend(chunk.length * rewritingFactor)) await this.#pause();
        }
      return rebuilt(remnant, await packer.finish());
    } finally {
      packer.discard();
    }
  }

  /** Whether the state of the batch's producer is made from this batch, among others. */
  #isRemembered(batch: Buffer): boolean {
    const producerId = header.producerIdOf(batch);
    if (producerId < 0) return false;
    const lastOffset = header.lastOffsetOf(batch);
    return this.#log.producers.entryOf(producerId)?.batches.some((known) => known.lastOffset === lastOffset) ?? false;
  }
}
