/**
 * How are the small numbers inside a record written? As zigzag varints (Kafka: `ByteUtils.writeVarint`), unlike those of
 * the flexible protocol, which are unsigned. Reading is a cursor over one buffer that refuses to leave it.
 */
import { BrokerError } from '../model/fault.ts';
import { readInt64 } from './batch-header.ts';

const cutShort = (): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason: 'a record is cut short' });

export class RecordCursor {
  readonly #buffer: Buffer;
  #at: number;
  #goesOn = false;

  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer;
    this.#at = at;
  }

  get position(): number {
    return this.#at;
  }

  get bytesLeft(): number {
    return this.#buffer.length - this.#at;
  }

  int8(): number {
    if (this.#at >= this.#buffer.length) throw cutShort();
    return this.#buffer.readInt8(this.#at++);
  }

  int16(): number {
    if (this.bytesLeft < 2) throw cutShort();
    this.#at += 2;
    return this.#buffer.readInt16BE(this.#at - 2);
  }

  int32(): number {
    if (this.bytesLeft < 4) throw cutShort();
    this.#at += 4;
    return this.#buffer.readInt32BE(this.#at - 4);
  }

  int64(): number {
    if (this.bytesLeft < 8) throw cutShort();
    this.#at += 8;
    return readInt64(this.#buffer, this.#at - 8);
  }

  /** A zigzag number of at most 32 bits. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer[this.#at++];
      if (byte === undefined) throw cutShort();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new BrokerError({ code: 'CORRUPT_MESSAGE', reason: 'a varint of a record has more than 5 bytes' });
  }

  /** A zigzag number of at most 64 bits, exact up to 2^53. */
  varlong(): number {
    const low = this.#sevens(4);
    if (!this.#goesOn) return (low >>> 1) ^ -(low & 1);
    // More than a number's 32 bits of logic: by halves of what comes out, the sign bit first. BigInt takes a microsecond.
    const middle = this.#sevens(4);
    const high = this.#goesOn ? this.#sevens(2) & 0xff : 0;
    if (this.#goesOn)
      throw new BrokerError({ code: 'CORRUPT_MESSAGE', reason: 'a varlong of a record has more than 10 bytes' });
    const half = (low >>> 1) + middle * 2 ** 27 + high * 2 ** 55;
    return (low & 1) === 0 ? half : -half - 1;
  }

  /** Up to `most` bytes of seven bits, the lowest first; `#goesOn` tells whether another one follows. */
  #sevens(most: number): number {
    let value = 0;
    for (let shift = 0; shift < most * 7; shift += 7) {
      const byte = this.#buffer[this.#at++];
      if (byte === undefined) throw cutShort();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#goesOn = false;
        return value;
      }
    }
    this.#goesOn = true;
    return value;
  }

  /** The same at another position. */
  varintAt(position: number): number {
    this.#at = position;
    return this.varint();
  }

  varlongAt(position: number): number {
    this.#at = position;
    return this.varlong();
  }

  /** `length` bytes as a view; `length` is checked against what is left. */
  bytes(length: number): Buffer {
    if (length < 0 || length > this.bytesLeft) throw cutShort();
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  /** A length as varint, -1 for null, then so many bytes. */
  nullableBytes(): Buffer | null {
    const length = this.varint();
    return length === -1 ? null : this.bytes(length);
  }

  skip(length: number): void {
    if (length < 0 || length > this.bytesLeft) throw cutShort();
    this.#at += length;
  }
}

/** Bytes that `writeVarint` takes for `value`; works for longs as well. */
export function varintBytes(value: number): number {
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1;
  let bytes = 1;
  while (zigzag >= 128) {
    zigzag = Math.floor(zigzag / 128);
    bytes++;
  }
  return bytes;
}

/** Writes a zigzag number of up to 53 bits and gives the position after it. */
export function writeVarint(buffer: Buffer, value: number, at: number): number {
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1;
  while (zigzag >= 128) {
    buffer[at++] = (zigzag % 128) | 0x80;
    zigzag = Math.floor(zigzag / 128);
  }
  buffer[at++] = zigzag;
  return at;
}
