/**
 * How are the records of a batch had of which nobody knows how many there are? A batch of a few kilobytes may unpack to
 * very many times as much. What takes some milliseconds is given at once, everything else in pieces of whole records:
 * between two of them whoever looks at them lets others have a turn, and there is never more than a piece of it in memory,
 * or one record where that is larger.
 */
import { BrokerError } from '../model/fault.ts';
import * as header from './batch-header.ts';
import { codecOf, decompress, decompressInPieces } from './compression.ts';
import { DecompressionError, UnpackedTooLargeError } from './decompression-error.ts';
import { RecordCursor } from './varint.ts';

/** Of a piece, unless one record is larger. */
const pieceBytes = 128 << 10;
/** A batch that is not packed is looked at at once if it is no larger. */
const smallPlainBytes = 256 << 10;
/** A packed batch that is no larger is unpacked at once... */
const smallPackedBytes = 32 << 10;
/** ...if it holds no more than this. */
const smallUnpackedBytes = 128 << 10;
/** A record of which so much has come is given the room for all of it. */
const largeBytes = 1 << 20;
/** A record's length has at most as many bytes. */
const longestVarint = 5;

const noRecords = Buffer.alloc(0);
const corrupt = (reason: string): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason });
const cutShort = (): BrokerError => corrupt('a record is cut short');

/** All records of a batch that is soon unpacked, if it has to be; else null. Throws CORRUPT_MESSAGE. */
export function recordsAtOnce(batch: Buffer): Buffer | null {
  const packed = batch.subarray(header.batchHeaderBytes);
  const codec = codecOf(header.codecNumberOf(batch));
  // Without a codec, or without records: compaction leaves such a header as it was.
  if (codec === 'none' || packed.length === 0) return packed.length <= smallPlainBytes ? packed : null;
  if (packed.length > smallPackedBytes) return null;
  try {
    return decompress(codec, packed, smallUnpackedBytes);
  } catch (error) {
    if (error instanceof UnpackedTooLargeError) return null;
    throw asFault(error);
  }
}

/**
 * The records of one whole batch, some at a time, or none where it was much work to come to the next; a piece is nobody
 * else's, or a view of the batch. Rejects with CORRUPT_MESSAGE where they cannot be unpacked or end within a record, and
 * with MESSAGE_TOO_LARGE where they are more than `maxBytes`.
 */
export async function* recordPieces(batch: Buffer, maxBytes: number): AsyncGenerator<Buffer, void, undefined> {
  const packed = batch.subarray(header.batchHeaderBytes);
  const codec = codecOf(header.codecNumberOf(batch));
  if (codec === 'none' || packed.length === 0) return yield* plainPieces(packed);
  const cutter = new RecordCutter(maxBytes);
  try {
    for await (const bytes of decompressInPieces(codec, packed, maxBytes)) {
      yield* cutter.cut(bytes);
      if (cutter.isInRecord) yield noRecords;
    }
  } catch (error) {
    throw asFault(error);
  }
  cutter.finish();
}

function asFault(error: unknown): unknown {
  if (error instanceof UnpackedTooLargeError)
    return new BrokerError({ code: 'MESSAGE_TOO_LARGE', reason: error.message });
  return error instanceof DecompressionError ? corrupt(error.message) : error;
}

function* plainPieces(records: Buffer): Generator<Buffer, void, undefined> {
  for (let at = 0; at < records.length; ) {
    const end = wholeRecordsEnd(records, at);
    if (end === at) throw cutShort();
    yield records.subarray(at, end);
    at = end;
  }
}

/** Where the last whole record ends of those that make up a piece from `at` on; `at` where there is none. */
function wholeRecordsEnd(bytes: Buffer, at: number): number {
  const cursor = new RecordCursor(bytes);
  const most = Math.min(bytes.length, at + pieceBytes);
  while (at < most) {
    const byte = bytes[at] as number;
    let next: number;
    if (byte < 0x80) next = at + 1 + (byte >>> 1);
    else if (hasVarint(bytes, at)) next = cursor.varintAt(at) + cursor.position;
    else return at;
    // A negative length would lead back.
    if (next <= at || (byte & 1) === 1) throw cutShort();
    if (next > bytes.length) return at;
    at = next;
  }
  return at;
}

function hasVarint(bytes: Buffer, at: number): boolean {
  const end = Math.min(bytes.length, at + longestVarint);
  for (let index = at; index < end; index++) if ((bytes[index] as number) < 0x80) return true;
  return end - at === longestVarint; // one that is too long: reading it says so
}

/** Cuts what is unpacked between records, and keeps the beginning of one until its end has come. */
class RecordCutter {
  readonly #maxBytes: number;
  #kept: Buffer = noRecords;
  #keptBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *cut(bytes: Buffer): Generator<Buffer, void, undefined> {
    let at = 0;
    if (this.#keptBytes > 0) {
      at = this.#complete(bytes);
      if (at < 0) return;
      const record = this.#kept.subarray(0, this.#keptBytes);
      this.#kept = noRecords;
      this.#keptBytes = 0;
      yield record;
    }
    while (at < bytes.length) {
      const end = wholeRecordsEnd(bytes, at);
      if (end === at) break;
      yield bytes.subarray(at, end);
      at = end;
    }
    this.#keep(bytes, at, bytes.length);
  }

  get isInRecord(): boolean {
    return this.#keptBytes > 0;
  }

  /** Throws CORRUPT_MESSAGE where the last record has no end. */
  finish(): void {
    if (this.#keptBytes > 0) throw cutShort();
  }

  /** Takes from `bytes` what the kept record lacks and gives the position after it, or -1 where all of them are too few. */
  #complete(bytes: Buffer): number {
    let at = 0;
    while (!hasVarint(this.#kept.subarray(0, this.#keptBytes), 0)) {
      if (at === bytes.length) return -1;
      this.#keep(bytes, at, at + 1);
      at++;
    }
    const cursor = new RecordCursor(this.#kept);
    const recordBytes = cursor.varint() + cursor.position;
    if (recordBytes < cursor.position) throw cutShort();
    // Or it lies, and nothing need be kept of it.
    if (recordBytes > this.#maxBytes) throw new UnpackedTooLargeError(this.#maxBytes);
    const end = at + recordBytes - this.#keptBytes;
    this.#keep(bytes, at, Math.min(end, bytes.length), recordBytes);
    return end <= bytes.length ? end : -1;
  }

  /** `mostBytes` is what the record will have, or at least what is kept now. */
  #keep(bytes: Buffer, from: number, to: number, mostBytes = 0): void {
    const length = this.#keptBytes + to - from;
    if (length > this.#kept.length) {
      // Once it has proved to be large, at once: to copy half of 64 MiB takes twenty milliseconds.
      const room = length > largeBytes ? mostBytes : this.#kept.length * 2;
      const larger = Buffer.allocUnsafe(Math.max(length, room));
      this.#kept.copy(larger, 0, 0, this.#keptBytes);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, this.#keptBytes, from, to);
    this.#keptBytes = length;
  }
}
