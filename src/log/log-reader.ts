/** Which batches and records lie where on the disk: reads by offset, and searches by timestamp, over a log's segments. */
import { type LeaderEpoch, later, type Offset } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { RecordWalk } from '../records/record-walk.ts';
import type { BatchInspector } from './batch-inspection.ts';
import type { LogConfig } from './log-config.ts';
import type { ReadLimits } from './read-limits.ts';
import type { Segment } from './segment.ts';

export interface LogRead {
  /** Whole batches, back to back, as views that stay as they are; where the read was given buffers, until those go back. */
  readonly chunks: Buffer[];
  readonly byteLength: number;
  /** Of the first batch; absent when there is none. */
  readonly baseOffset?: Offset;
  /** Where to read on; past `from` without any chunk where the log has nothing from there to the end that was asked for. */
  readonly nextOffset: Offset;
}

export interface TimestampOffset {
  readonly offset: Offset;
  readonly timestampMs: number;
  readonly leaderEpoch: LeaderEpoch;
}

/** The index of the segment in which `offset` lies, or would. Segments are in order. */
export function segmentIndexOf(segments: readonly Segment[], offset: Offset): number {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((segments[middle] as Segment).baseOffset <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

const nothingFrom = (nextOffset: Offset): LogRead => ({ chunks: [], byteLength: 0, nextOffset });

/** Segments were swapped under a read that had not found what it looked for. */
const lookAgain = Symbol('look again');

const rememberedPositions = 16;
/** Bytes of one read from the disk, whatever a client asks for; a larger batch is read alone. */
const largestReadBytes = 8 << 20;

export class LogReader {
  /** The log's own list: it grows and shrinks under the reader. */
  readonly #segments: readonly Segment[];
  readonly #config: () => LogConfig;
  readonly #inspector: BatchInspector;
  /** Where reads left off: the next one of the same reader begins there. */
  readonly #positions = new Map<Offset, { readonly segment: Segment; readonly position: number }>();
  #cuts = 0;
  #swaps = 0;

  constructor(segments: readonly Segment[], config: () => LogConfig, inspector: BatchInspector) {
    this.#segments = segments;
    this.#config = config;
    this.#inspector = inspector;
  }

  /** The log is being cut: positions do not hold any more, and a read under way may find less than it looked for. */
  onCut(): void {
    this.#cuts++;
    this.#positions.clear();
  }

  /** Segments have given way to a cleaned one: a read under way looks again. */
  onSwapped(): void {
    this.#swaps++;
    this.#positions.clear();
  }

  async read(from: Offset, limits: ReadLimits): Promise<LogRead> {
    const cuts = this.#cuts;
    const bounded = { ...limits, maxBytes: Math.min(limits.maxBytes, largestReadBytes) };
    try {
      return await this.#sinceSwap(() => this.#readSegments(from, bounded));
    } catch (error) {
      // What it wanted is gone, and nothing is wrong with the file.
      if (cuts !== this.#cuts) return nothingFrom(from);
      throw error;
    }
  }

  /** Does `work` again where it failed because segments were swapped under it, or says that they were. */
  async #sinceSwap<Result>(work: () => Promise<Result | typeof lookAgain>): Promise<Result> {
    for (;;) {
      const swaps = this.#swaps;
      try {
        const result = await work();
        if (result !== lookAgain) return result;
      } catch (error) {
        if (swaps === this.#swaps) throw error;
      }
    }
  }

  async #readSegments(from: Offset, limits: ReadLimits): Promise<LogRead | typeof lookAgain> {
    const swaps = this.#swaps;
    const known = this.#positions.get(from);
    this.#positions.delete(from);
    for (let index = segmentIndexOf(this.#segments, from); index < this.#segments.length; index++) {
      const segment = this.#segments[index] as Segment;
      if (segment.baseOffset >= limits.endOffset) break;
      const position = known?.segment === segment ? known.position : null;
      const read = await segment.read(from, limits, position, this.#config().indexIntervalBytes);
      if (read.baseOffset !== null) {
        if (swaps === this.#swaps) this.#remember(read.nextOffset, segment, read.nextPosition);
        const { bytes, baseOffset, nextOffset } = read;
        return { chunks: [bytes], byteLength: bytes.length, baseOffset, nextOffset };
      }
      // The index no longer says which segment comes next.
      if (swaps !== this.#swaps) return lookAgain;
      // Compaction can leave the end of a segment empty; anything else that was not given is past a limit.
      if (read.nextPosition < segment.writtenBytes) return nothingFrom(from);
    }
    // Nothing is there: a gap in front of an active segment without records.
    return nothingFrom(limits.endOffset);
  }

  #remember(nextOffset: Offset, segment: Segment, position: number): void {
    this.#positions.set(nextOffset, { segment, position });
    if (this.#positions.size <= rememberedPositions) return;
    for (const oldest of this.#positions.keys()) {
      this.#positions.delete(oldest);
      return;
    }
  }

  /** The first record at or after `logStartOffset` that is as late as `timestampMs`; null where none is. */
  firstRecordSince(timestampMs: number, logStartOffset: Offset): Promise<TimestampOffset | null> {
    return this.#sinceSwap(() => this.#firstRecordSince(timestampMs, logStartOffset));
  }

  async #firstRecordSince(timestampMs: number, logStartOffset: Offset): Promise<TimestampOffset | null> {
    for (const segment of [...this.#segments]) {
      if ((await this.#maxTimestampOf(segment)) < timestampMs) continue;
      const found = await this.#firstRecord(segment, timestampMs, logStartOffset);
      if (found !== null) return found;
    }
    return null;
  }

  /** The first record that has the largest timestamp of the log; null where no record has one. */
  latestRecord(logStartOffset: Offset): Promise<TimestampOffset | null> {
    return this.#sinceSwap(() => this.#latestRecord(logStartOffset));
  }

  async #latestRecord(logStartOffset: Offset): Promise<TimestampOffset | null> {
    let best: { segment: Segment; timestampMs: number } | null = null;
    for (const segment of [...this.#segments]) {
      const timestampMs = await this.#maxTimestampOf(segment);
      if (timestampMs > (best?.timestampMs ?? header.noTimestamp)) best = { segment, timestampMs };
    }
    return best === null ? null : this.#firstRecord(best.segment, best.timestampMs, logStartOffset);
  }

  /** Milliseconds, -1 for none. */
  async #maxTimestampOf(segment: Segment): Promise<number> {
    if (segment.writtenBytes === 0) return header.noTimestamp;
    if (segment === this.#segments.at(-1)) return segment.maxTimestampMs;
    return (await segment.maxTimestamp(this.#config().indexIntervalBytes)).timestampMs;
  }

  async #firstRecord(segment: Segment, wantedMs: number, logStartOffset: Offset): Promise<TimestampOffset | null> {
    const { indexIntervalBytes } = this.#config();
    const below = await segment.offsetBelowTimestamp(wantedMs, indexIntervalBytes);
    let position = await segment.positionBefore(below, indexIntervalBytes);
    for (;;) {
      let batch: Buffer | null = null;
      await segment.visitBatches(position, (candidate, at) => {
        if (header.lastOffsetOf(candidate) < logStartOffset || header.maxTimestampOf(candidate) < wantedMs)
          return undefined;
        batch = Buffer.from(candidate);
        position = at + candidate.length;
        return 'stop';
      });
      if (batch === null) return null;
      const found = await this.#firstRecordOf(batch, wantedMs, logStartOffset);
      if (found !== null) return found;
    }
  }

  /**
   * Nobody has looked into a batch of a topic that is not compacted. One that cannot be read, or unpacks to more than may be
   * looked at, is answered with its first offset: no record before that is as late, and its readers find out the rest.
   */
  async #firstRecordOf(batch: Buffer, wantedMs: number, logStartOffset: Offset): Promise<TimestampOffset | null> {
    const leaderEpoch = header.partitionLeaderEpochOf(batch);
    const maxTimestampMs = header.maxTimestampOf(batch);
    const isStamped = header.hasLogAppendTime(batch);
    const walk = new RecordWalk(batch);
    try {
      return await this.#inspector.search(batch, this.#config().maxMessageBytes, (records) => {
        walk.enter(records);
        while (walk.next()) {
          const timestampMs = isStamped ? maxTimestampMs : header.baseTimestampOf(batch) + walk.timestampDelta;
          const offset = walk.offset as Offset;
          if (timestampMs >= wantedMs && offset >= logStartOffset) return { offset, timestampMs, leaderEpoch };
        }
        return null;
      });
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      return { offset: later(header.baseOffsetOf(batch), logStartOffset), timestampMs: maxTimestampMs, leaderEpoch };
    }
  }
}
