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
 */
import { assert } from '../model/assert.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from './batch-header.ts';
import { codecOf, compress } from './compression.ts';
import { writeCrc } from './record-batch.ts';
import { RecordCursor, varintBytes, writeVarint } from './varint.ts';

/** One record of a batch, as far as compaction looks at it; the same object for each, moved on. */
export class RecordWalk {
  readonly #bytes: Buffer;
  readonly #cursor: RecordCursor;
  readonly #baseOffset: number;
  #left: number;
  /** Where the record begins, with its length in front, and where the next one does. */
  start = 0;
  end = 0;
  offset = 0;
  timestampDelta = 0;
  /** Where what follows the timestamp begins. */
  restStart = 0;
  #keyStart = 0;
  #keyLength = -1;
  hasValue = false;

  /** Over the unpacked records of `batch`. Throws CORRUPT_MESSAGE as soon as something does not fit. */
  constructor(batch: Buffer, records: Buffer) {
    this.#bytes = records;
    this.#cursor = new RecordCursor(records);
    this.#baseOffset = header.baseOffsetOf(batch);
    this.#left = header.recordCountOf(batch);
  }

  /** Moves on to the next record; false after the last. */
  next(): boolean {
    const cursor = this.#cursor;
    if (this.#left <= 0) {
      if (cursor.bytesLeft > 0) throw corrupt(`${cursor.bytesLeft} bytes are left after the last record`);
      return false;
    }
    this.#left--;
    this.start = cursor.position;
    const length = cursor.varint();
    if (length < 0 || length > cursor.bytesLeft) throw corrupt('a record is cut short');
    this.end = cursor.position + length;
    cursor.skip(1);
    this.timestampDelta = cursor.varlong();
    this.restStart = cursor.position;
    this.offset = this.#baseOffset + cursor.varint();
    this.#keyLength = cursor.varint();
    this.#keyStart = cursor.position;
    if (this.#keyLength > 0) cursor.skip(this.#keyLength);
    const valueLength = cursor.varint();
    this.hasValue = valueLength >= 0;
    if (cursor.position + Math.max(valueLength, 0) > this.end) throw corrupt('a value is longer than its record');
    cursor.skip(this.end - cursor.position);
    return true;
  }

  /** A view of the key, null where there is none. */
  get key(): Buffer | null {
    return this.#keyLength < 0 ? null : this.#bytes.subarray(this.#keyStart, this.#keyStart + this.#keyLength);
  }
}

const corrupt = (reason: string): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason });

export interface BatchFilter {
  retains(record: RecordWalk): boolean;
  /** Milliseconds since 1970: the delete horizon for a batch that keeps a tombstone and has none yet; null for never. */
  readonly newHorizonMs: number | null;
  /** Whether the header stays when no record does. */
  readonly keepsHeader: boolean;
}

/**
 * What is left of one whole batch with a right CRC and these records, unpacked: the batch itself where nothing changes, a new one, or null. Throws
 * CORRUPT_MESSAGE where the records make no sense.
 */
export function filterBatch(batch: Buffer, records: Buffer, filter: BatchFilter): Buffer | null {
  const walk = new RecordWalk(batch, records);
  const kept: Kept = { spans: [], count: 0, maxDelta: Number.NEGATIVE_INFINITY, hasTombstone: false };
  while (walk.next()) if (filter.retains(walk)) note(kept, walk);
  if (kept.count === 0) return filter.keepsHeader ? headerOnly(batch) : null;
  const horizonMs = kept.hasTombstone && !header.hasDeleteHorizon(batch) ? filter.newHorizonMs : null;
  if (horizonMs === null && kept.count === header.recordCountOf(batch)) return batch;
  const plain = horizonMs === null ? pick(records, kept) : pickAnew(batch, records, kept, horizonMs);
  return rebuilt(batch, plain, kept, horizonMs);
}

interface Kept {
  /** Stretches of records that stay: where each begins and ends. */
  readonly spans: number[];
  count: number;
  maxDelta: number;
  hasTombstone: boolean;
}

function note(kept: Kept, { start, end, timestampDelta, hasValue }: RecordWalk): void {
  if (kept.spans.at(-1) === start) kept.spans[kept.spans.length - 1] = end;
  else kept.spans.push(start, end);
  kept.count++;
  kept.maxDelta = Math.max(kept.maxDelta, timestampDelta);
  if (!hasValue) kept.hasTombstone = true;
}

function pick(records: Buffer, { spans }: Kept): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < spans.length; at += 2) pieces.push(records.subarray(spans[at], spans[at + 1]));
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

/** The records that stay, their timestamps told from `baseMs` on. */
function pickAnew(batch: Buffer, records: Buffer, kept: Kept, baseMs: number): Buffer {
  const shift = header.baseTimestampOf(batch) - baseMs;
  // A length and a delta of at most ten bytes each are what can grow.
  const bytes = Buffer.allocUnsafe(records.length + kept.count * 16);
  const walk = new RecordWalk(batch, records);
  let at = 0;
  let span = 0;
  while (walk.next()) {
    while (walk.start >= (kept.spans[span + 1] ?? Number.POSITIVE_INFINITY)) span += 2;
    if (walk.start < (kept.spans[span] ?? Number.POSITIVE_INFINITY)) continue;
    const delta = walk.timestampDelta + shift;
    at = writeVarint(bytes, 1 + varintBytes(delta) + walk.end - walk.restStart, at);
    bytes[at++] = 0;
    at = writeVarint(bytes, delta, at);
    at += records.copy(bytes, at, walk.restStart, walk.end);
  }
  return bytes.subarray(0, at);
}

function rebuilt(batch: Buffer, plain: Buffer, kept: Kept, horizonMs: number | null): Buffer {
  const packed = compress(codecOf(header.codecNumberOf(batch)), plain);
  const bytes = Buffer.allocUnsafe(header.batchHeaderBytes + packed.length);
  batch.copy(bytes, 0, 0, header.batchHeaderBytes);
  packed.copy(bytes, header.batchHeaderBytes);
  bytes.writeInt32BE(bytes.length - header.batchLengthOverhead, 8);
  if (!header.hasLogAppendTime(batch)) header.writeInt64(bytes, maxTimestampOf(batch, kept), 35);
  if (horizonMs !== null) header.setDeleteHorizon(bytes, horizonMs);
  bytes.writeInt32BE(kept.count, 57);
  writeCrc(bytes);
  return bytes;
}

/** Within what the batch says of itself: nobody has checked the times of its records. */
const maxTimestampOf = (batch: Buffer, { maxDelta }: Kept): number =>
  Math.max(header.noTimestamp, Math.min(header.maxTimestampOf(batch), header.baseTimestampOf(batch) + maxDelta));

/** Kafka's `writeEmptyHeader`: the maximum timestamp stays, which is what the producer's expiry counts from. */
function headerOnly(batch: Buffer): Buffer {
  if (batch.length === header.batchHeaderBytes) return batch;
  const bytes = Buffer.from(batch.subarray(0, header.batchHeaderBytes));
  header.clearRecords(bytes);
  writeCrc(bytes);
  assert(header.recordCountOf(bytes) === 0, 'a header without records says so');
  return bytes;
}
