/**
 * Where do the records of a batch lie, and what do they say in front of their values? For who looks at each of them and
 * keeps none: compaction, the keys that a compacted topic demands, a search by time.
 *
 * Nothing is made per record: a mebibyte of the smallest records, 150,000 of them, takes some milliseconds, where making
 * an object of each (`recordsOf`) takes a hundred.
 */
import { BrokerError } from '../model/fault.ts';
import * as header from './batch-header.ts';
import { RecordCursor } from './varint.ts';

const corrupt = (reason: string): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason });
const noRecords = Buffer.alloc(0);
const noCursor = new RecordCursor(noRecords);
/** In the place of the length of a key or a value that is null. */
const nullLength = -1;

/** One record of a batch at a time, the same object for each, moved on. */
export class RecordWalk {
  readonly #baseOffset: number;
  readonly #lastDelta: number;
  readonly #count: number;
  #bytes: Buffer = noRecords;
  #cursor = noCursor;
  #seen = 0;
  #delta = -1;
  /** Where the record begins, with its length in front, and where the next one does. */
  start = 0;
  end = 0;
  offset = 0;
  timestampDelta = 0;
  /** Where what follows the timestamp begins. */
  restStart = 0;
  hasValue = false;
  #keyStart = 0;
  #keyLength = nullLength;
  #valueStart = 0;
  /** Where what follows the value begins. */
  #headersStart = 0;
  #headersLeft = 0;

  /** Over the records of `batch`, unpacked: all of them, or as many as there are yet, and `enter` brings the others. */
  constructor(batch: Buffer, records: Buffer = noRecords) {
    this.#baseOffset = header.baseOffsetOf(batch);
    this.#lastDelta = header.lastOffsetDeltaOf(batch);
    this.#count = header.recordCountOf(batch);
    this.enter(records);
  }

  /** Goes on with the next records of the batch, whole ones; positions count from the first byte of these. */
  enter(records: Buffer): void {
    this.#bytes = records;
    this.#cursor = new RecordCursor(records);
    this.end = 0;
  }

  /**
   * Moves on to the next record; false after the last of those there are. Throws CORRUPT_MESSAGE as soon as something does
   * not fit: also where an offset is none of the batch's, or does not rise, since compaction goes by the highest of a key.
   */
  next(): boolean {
    const bytes = this.#bytes;
    const cursor = this.#cursor;
    let at = this.end;
    this.start = at;
    if (at >= bytes.length) return false;
    if (this.#seen++ >= this.#count) throw corrupt('bytes are left after the last record');
    // Most numbers are of one byte, and are read right here; beyond the end there is none, and the cursor says so.
    let byte = bytes[at] as number;
    let length: number;
    if (byte < 0x80) {
      length = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      length = cursor.varintAt(at);
      at = cursor.position;
    }
    const end = at + length;
    if (length < 0 || end > bytes.length) throw corrupt('a record is cut short');
    at++; // attributes
    byte = bytes[at] as number;
    if (byte < 0x80) {
      this.timestampDelta = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      this.timestampDelta = cursor.varlongAt(at);
      at = cursor.position;
    }
    this.restStart = at;
    byte = bytes[at] as number;
    let delta: number;
    if (byte < 0x80) {
      delta = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      delta = cursor.varintAt(at);
      at = cursor.position;
    }
    if (delta <= this.#delta || delta > this.#lastDelta)
      throw corrupt(`offset ${delta} of a batch after ${this.#delta}`);
    this.#delta = delta;
    this.offset = this.#baseOffset + delta;
    byte = bytes[at] as number;
    if (byte < 0x80) {
      length = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      length = cursor.varintAt(at);
      at = cursor.position;
    }
    this.#keyLength = length;
    this.#keyStart = at;
    if (length < nullLength) throw corrupt('a key of negative length');
    if (length > 0) at += length;
    byte = bytes[at] as number;
    if (byte < 0x80) {
      length = (byte >>> 1) ^ -(byte & 1);
      at++;
    } else {
      length = cursor.varintAt(at);
      at = cursor.position;
    }
    if (length < nullLength) throw corrupt('a value of negative length');
    this.hasValue = length !== nullLength;
    this.#valueStart = at;
    if (length > 0) at += length;
    this.#headersStart = at;
    if (at > end) throw corrupt('a record is longer than it says');
    this.end = end;
    return true;
  }

  /** Throws CORRUPT_MESSAGE unless this was all of the batch. */
  finish(): void {
    if (this.#seen !== this.#count) throw corrupt(`${this.#seen} records of ${this.#count}`);
  }

  get hasKey(): boolean {
    return this.#keyLength !== nullLength;
  }

  /** A view of the key, null where there is none. */
  get key(): Buffer | null {
    return this.#keyLength === nullLength
      ? null
      : this.#bytes.subarray(this.#keyStart, this.#keyStart + this.#keyLength);
  }

  /** A view of the value, null where there is none. */
  get value(): Buffer | null {
    return this.hasValue ? this.#bytes.subarray(this.#valueStart, this.#headersStart) : null;
  }

  /** Whether `checkHeaders` has more of the record to look at. */
  hasHeadersLeft = false;

  /**
   * Looks at up to `most` headers, which `next` passes over, and gives how many that were: there can be millions. Throws
   * CORRUPT_MESSAGE unless, in the end, they fill the rest of the record.
   */
  checkHeaders(most: number): number {
    const { end } = this;
    const cursor = this.#cursor;
    if (!this.hasHeadersLeft) {
      const at = this.#headersStart;
      if (this.#bytes[at] === 0 && at + 1 === end) return 0;
      this.#headersLeft = cursor.varintAt(at);
      if (this.#headersLeft < 0) throw corrupt(`a record claims ${this.#headersLeft} headers`);
    }
    const looked = Math.min(most, this.#headersLeft);
    for (let index = 0; index < looked; index++) {
      if (cursor.position >= end) throw corrupt('a record has fewer headers than it claims');
      cursor.skip(cursor.varint());
      const length = cursor.varint();
      if (length !== nullLength) cursor.skip(length);
    }
    this.#headersLeft -= looked;
    this.hasHeadersLeft = this.#headersLeft > 0;
    if (!this.hasHeadersLeft && cursor.position !== end) throw corrupt('a record has another length than it says');
    return looked;
  }
}

/**
 * Never used: as long as one lives V8 keeps what it knows of their shape. Without, it forgets that whenever garbage is
 * collected while there is none, and after the fourth time all the code above takes six times as long.
 */
export const keptForItsShape = new RecordWalk(Buffer.alloc(header.batchHeaderBytes));
