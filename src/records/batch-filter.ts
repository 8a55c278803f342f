/**
 * How does a batch lose some of its records, as compaction wants it? (`MemoryRecords.filterTo`, KIP-534)
 *
 *     all records stay, horizon as it was     the same bytes
 *     some stay                               base offset, last offset delta, base sequence and producer stay; the records
 *                                             that are left keep their bytes; count, maximum timestamp and CRC are new
 *     none stays, the header must             a header with count 0: it remembers the last offset and the sequence
 *     none stays                              null
 *
 * A batch that keeps a tombstone is given a delete horizon, once: from that time on the tombstone may go. It takes the
 * place of the base timestamp, so the deltas of the records are written anew.
 *
 * All of it can be done in steps, with the records a piece at a time: a survey of which stay, and only where that is not
 * all of them a second look at the same pieces, which copies.
 */
import { assert } from '../model/assert.ts';
import * as header from './batch-header.ts';
import { codecOf, compress } from './compression.ts';
import { writeCrc } from './record-batch.ts';
import { RecordWalk } from './record-walk.ts';
import { varintBytes, writeVarint } from './varint.ts';

export interface BatchFilter {
  retains(record: RecordWalk): boolean;
  /** Milliseconds since 1970: the delete horizon for a batch that keeps a tombstone and has none yet; null for never. */
  readonly newHorizonMs: number | null;
  /** Whether the header stays when no record does. */
  readonly keepsHeader: boolean;
}

/** A batch without some of its records, of which it is known which. */
export interface Remnant {
  readonly batch: Buffer;
  /** Of each record in turn. */
  readonly kept: RecordFlags;
  readonly count: number;
  readonly maxTimestampMs: number;
  /** What the records count their timestamps from now; null where that is as before. */
  readonly horizonMs: number | null;
}

/** A bit for each record; grows as they come, since what the header counts need not be there. */
class RecordFlags {
  #bytes = Buffer.alloc(32);
  #count = 0;

  add(isSet: boolean): void {
    const at = this.#count >> 3;
    if (at === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(at)]);
    if (isSet) this.#bytes[at] = (this.#bytes[at] as number) | (1 << (this.#count & 7));
    this.#count++;
  }

  has(index: number): boolean {
    return ((this.#bytes[index >> 3] as number) & (1 << (index & 7))) !== 0;
  }
}

/** Which records of a whole batch with a right CRC stay? All methods throw CORRUPT_MESSAGE where they make no sense. */
export class BatchSurvey {
  readonly #batch: Buffer;
  readonly #filter: BatchFilter;
  readonly #walk: RecordWalk;
  readonly #kept = new RecordFlags();
  #count = 0;
  #maxDelta = Number.NEGATIVE_INFINITY;
  #hasTombstone = false;

  constructor(batch: Buffer, filter: BatchFilter) {
    this.#batch = batch;
    this.#filter = filter;
    this.#walk = new RecordWalk(batch);
  }

  /** The next of its records, unpacked, whole ones. */
  enter(records: Buffer): void {
    this.#walk.enter(records);
  }

  /** Looks at no more than `most` of those that were entered, and gives how many that were. */
  look(most: number): number {
    const walk = this.#walk;
    for (let count = 0; count < most; count++) {
      if (!walk.next()) return count;
      const stays = this.#filter.retains(walk);
      this.#kept.add(stays);
      if (!stays) continue;
      this.#count++;
      this.#maxDelta = Math.max(this.#maxDelta, walk.timestampDelta);
      if (!walk.hasValue) this.#hasTombstone = true;
    }
    return most;
  }

  /** What is left, once all records have been seen: the batch itself, a header, nothing, or what `Rewriting` makes. */
  result(): Buffer | Remnant | null {
    this.#walk.finish();
    const batch = this.#batch;
    if (this.#count === 0) return this.#filter.keepsHeader ? headerOnly(batch) : null;
    const horizonMs = this.#hasTombstone && !header.hasDeleteHorizon(batch) ? this.#filter.newHorizonMs : null;
    if (horizonMs === null && this.#count === header.recordCountOf(batch)) return batch;
    // Within what the batch says of itself: nobody has checked the times of its records.
    const latestMs = Math.min(header.maxTimestampOf(batch), header.baseTimestampOf(batch) + this.#maxDelta);
    const maxTimestampMs = header.hasLogAppendTime(batch)
      ? header.maxTimestampOf(batch)
      : Math.max(header.noTimestamp, latestMs);
    return { batch, kept: this.#kept, count: this.#count, maxTimestampMs, horizonMs };
  }
}

/** Of what is copied at a time. */
const chunkBytes = 256 << 10;
/** A length and a delta of at most ten bytes each are what is written anew of a record, with an attribute between. */
const rewrittenBytes = 21;

/** The records that stay, copied out of the pieces that were surveyed. */
export class Rewriting {
  readonly #remnant: Remnant;
  readonly #walk: RecordWalk;
  readonly #shift: number;
  #index = 0;

  constructor(remnant: Remnant) {
    const { batch, horizonMs } = remnant;
    this.#remnant = remnant;
    this.#walk = new RecordWalk(batch);
    this.#shift = horizonMs === null ? 0 : header.baseTimestampOf(batch) - horizonMs;
  }

  /** What stays of these, in chunks of their own. */
  *of(records: Buffer): Generator<Buffer, void, undefined> {
    const { kept, horizonMs, count } = this.#remnant;
    const walk = this.#walk;
    const room = Math.min(chunkBytes, records.length + (horizonMs === null ? 0 : count * rewrittenBytes));
    let chunk = Buffer.allocUnsafe(room);
    let at = 0;
    walk.enter(records);
    while (walk.next()) {
      if (!kept.has(this.#index++)) continue;
      let from = walk.start;
      if (horizonMs !== null) {
        if (at + rewrittenBytes > chunk.length) {
          yield chunk.subarray(0, at);
          chunk = Buffer.allocUnsafe(chunkBytes);
          at = 0;
        }
        const delta = walk.timestampDelta + this.#shift;
        at = writeVarint(chunk, 1 + varintBytes(delta) + walk.end - walk.restStart, at);
        chunk[at++] = 0;
        at = writeVarint(chunk, delta, at);
        from = walk.restStart;
      }
      while (from < walk.end) {
        if (at === chunk.length) {
          yield chunk;
          chunk = Buffer.allocUnsafe(chunkBytes);
          at = 0;
        }
        const copied = records.copy(chunk, at, from, walk.end);
        from += copied;
        at += copied;
      }
    }
    if (at > 0) yield chunk.subarray(0, at);
  }
}

/** The batch whose records are `packed`, in the codec it had. */
export function rebuilt({ batch, count, maxTimestampMs, horizonMs }: Remnant, packed: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(header.batchHeaderBytes + packed.length);
  batch.copy(bytes, 0, 0, header.batchHeaderBytes);
  packed.copy(bytes, header.batchHeaderBytes);
  bytes.writeInt32BE(bytes.length - header.batchLengthOverhead, 8);
  header.writeInt64(bytes, maxTimestampMs, 35);
  if (horizonMs !== null) header.setDeleteHorizon(bytes, horizonMs);
  bytes.writeInt32BE(count, 57);
  writeCrc(bytes);
  return bytes;
}

/** What a survey of these records, all of the batch, has left of it. */
export function rewrittenAtOnce(remnant: Remnant, records: Buffer): Buffer {
  const plain = Buffer.concat([...new Rewriting(remnant).of(records)]);
  return rebuilt(remnant, compress(codecOf(header.codecNumberOf(remnant.batch)), plain));
}

/** Kafka's `writeEmptyHeader`: the maximum timestamp stays, which is what the producer's expiry counts from. */
function headerOnly(batch: Buffer): Buffer {
  if (batch.length === header.batchHeaderBytes) return batch;
  const bytes = Buffer.from(batch.subarray(0, header.batchHeaderBytes));
  header.clearRecords(bytes);
  writeCrc(bytes);
  assert(header.recordCountOf(bytes) === 0, 'a header without records says so');
  return bytes;
}
