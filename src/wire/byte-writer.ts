/**
 * How do values become bytes without copying the large ones? Small fields go one after the other into a buffer that
 * is a slice of a shared slab; a large `bytes` or `records` field is put between two slices as it is:
 *
 *     slab  [ size header fields… | fields… | trailing tags ]      chunks:  [slice][records][slice][records][slice]
 *                                 ▲         ▲
 *                              records   records (the caller's own buffers, not copied)
 */
import { EncodeError } from './wire-error.ts';

/** Up to this size a copy costs less than one more entry of a writev. */
export const inlineBytes = 4096;
const slabBytes = 16 * 1024;
/** A slab with less than this left is not worth keeping. */
const slabRestBytes = 512;
const maxStringBytes = 0x7fff;
const lowestInt64 = -(2n ** 63n);
const highestInt64 = 2n ** 63n - 1n;
const twoTo32 = 2 ** 32;

/** What an encoder gives: pieces for one `writev`, in order, with the bytes they have together. */
export interface EncodedMessage {
  readonly chunks: Buffer[];
  readonly length: number;
}

/** The slab between two encodings; null while one runs, so that none can write over another. */
let spare: { buffer: Buffer; view: DataView; position: number } | null = null;

export class ByteWriter {
  #buffer: Buffer;
  #view: DataView;
  /** Where the piece begins that is not among the chunks yet. */
  #start: number;
  #position: number;
  readonly #chunks: Buffer[] = [];
  #chunkBytes = 0;
  /** The list that was written last, and its bytes once it has been written twice. */
  #list: readonly unknown[] | null = null;
  #listBytes: Buffer | null = null;
  /** Above 0 within a part whose size goes before it: all of it must lie in one piece. */
  #sizedDepth = 0;

  constructor() {
    const slab = spare ?? newSlab();
    spare = null;
    this.#buffer = slab.buffer;
    this.#view = slab.view;
    this.#start = slab.position;
    this.#position = slab.position;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#chunkBytes + this.#position - this.#start;
  }

  /** Moves past `bytes` that have room and returns where they begin; before `#view` is looked at, for it may be replaced. */
  #reserve(bytes: number): number {
    if (this.#position + bytes > this.#buffer.length) this.#grow(bytes);
    const position = this.#position;
    this.#position = position + bytes;
    return position;
  }

  #grow(bytes: number): void {
    const open = this.#position - this.#start;
    const grown = Buffer.allocUnsafeSlow(Math.max(slabBytes, 2 * (open + bytes)));
    this.#buffer.copy(grown, 0, this.#start, this.#position);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer, grown.byteOffset, grown.length);
    this.#start = 0;
    this.#position = open;
  }

  #byte(value: number): void {
    const position = this.#reserve(1);
    this.#view.setUint8(position, value);
  }

  bool(value: boolean): void {
    this.#byte(value ? 1 : 0);
  }

  int8(value: number): void {
    if ((value << 24) >> 24 !== value) throw new EncodeError(`${value} is no int8`);
    const position = this.#reserve(1);
    this.#view.setInt8(position, value);
  }

  int16(value: number): void {
    if ((value << 16) >> 16 !== value) throw new EncodeError(`${value} is no int16`);
    const position = this.#reserve(2);
    this.#view.setInt16(position, value);
  }

  uint16(value: number): void {
    if ((value & 0xffff) !== value) throw new EncodeError(`${value} is no uint16`);
    const position = this.#reserve(2);
    this.#view.setUint16(position, value);
  }

  int32(value: number): void {
    if ((value | 0) !== value) throw new EncodeError(`${value} is no int32`);
    const position = this.#reserve(4);
    this.#view.setInt32(position, value);
  }

  int64(value: bigint | number): void {
    if (typeof value === 'bigint') {
      if (value < lowestInt64 || value > highestInt64) throw new EncodeError(`${value} is no int64`);
      const position = this.#reserve(8);
      this.#view.setBigInt64(position, value);
      return;
    }
    if (!Number.isSafeInteger(value)) throw new EncodeError(`${value} is no int64`);
    const position = this.#reserve(8);
    this.#view.setInt32(position, Math.floor(value / twoTo32));
    this.#view.setUint32(position + 4, value >>> 0);
  }

  float64(value: number): void {
    const position = this.#reserve(8);
    this.#view.setFloat64(position, value);
  }

  /** 22 characters of base64url as 16 bytes. */
  uuid(value: string): void {
    if (value.length !== 22) throw new EncodeError(`not a uuid: ${value}`);
    const position = this.#reserve(16);
    if (this.#buffer.write(value, position, 16, 'base64url') !== 16) throw new EncodeError(`not a uuid: ${value}`);
  }

  uvarint(value: number): void {
    while (value > 0x7f) {
      this.#byte((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    this.#byte(value);
  }

  /** With its length before it: int16, or compact (uvarint of n + 1). */
  string(value: string, compact: boolean): void {
    const length = value.length <= 42 && isAscii(value) ? value.length : Buffer.byteLength(value);
    if (length > maxStringBytes)
      throw new EncodeError(`string of ${length} bytes; Kafka has at most ${maxStringBytes}`);
    if (compact) this.uvarint(length + 1);
    else this.int16(length);
    const position = this.#reserve(length);
    if (length === value.length && length <= 42)
      for (let i = 0; i < length; i++) this.#view.setUint8(position + i, value.charCodeAt(i));
    else this.#buffer.write(value, position, length);
  }

  /** Content without a length. Beyond `inlineBytes` the caller's buffer itself is sent: it must not change until then. */
  bytes(value: Buffer): void {
    if (value.length <= inlineBytes || this.#sizedDepth > 0) {
      const position = this.#reserve(value.length);
      value.copy(this.#buffer, position);
      return;
    }
    this.#seal();
    this.#chunks.push(value);
    this.#chunkBytes += value.length;
  }

  /**
   * A list that may come again and again, such as the topic names that a thousand members of one group share: what `write`
   * makes of it is made twice at most, and sent as it is after that.
   */
  list(items: readonly unknown[], write: (writer: ByteWriter) => void): void {
    if (items !== this.#list) {
      this.#list = items;
      this.#listBytes = null;
      write(this);
      return;
    }
    if (this.#listBytes === null) {
      const writer = new ByteWriter();
      write(writer);
      const { chunks, length } = writer.finish();
      this.#listBytes = Buffer.concat(chunks, length);
    }
    this.bytes(this.#listBytes);
  }

  #seal(): void {
    if (this.#position === this.#start) return;
    this.#chunks.push(this.#buffer.subarray(this.#start, this.#position));
    this.#chunkBytes += this.#position - this.#start;
    this.#start = this.#position;
  }

  /** Writes a part with its size (uvarint) before it; one byte is kept for the size and the part moved if it needs more. */
  sized(write: (writer: ByteWriter) => void): void {
    this.#sizedDepth += 1;
    const mark = this.#reserve(1) - this.#start;
    write(this);
    this.#sizedDepth -= 1;
    const size = this.#position - this.#start - mark - 1;
    if (size > 0x7f) {
      const extra = size < 2 ** 14 ? 1 : size < 2 ** 21 ? 2 : size < 2 ** 28 ? 3 : 4;
      this.#reserve(extra);
      const begin = this.#start + mark + 1;
      this.#buffer.copyWithin(begin + extra, begin, begin + size);
    }
    const end = this.#position;
    this.#position = this.#start + mark;
    this.uvarint(size);
    this.#position = end;
  }

  /** Ends the writing. The pieces are the caller's; the rest of the slab goes to the next writer. */
  finish(): EncodedMessage {
    this.#seal();
    if (this.#buffer.length - this.#position >= slabRestBytes)
      spare = { buffer: this.#buffer, view: this.#view, position: this.#position };
    return { chunks: this.#chunks, length: this.#chunkBytes };
  }
}

function newSlab(): NonNullable<typeof spare> {
  const buffer = Buffer.allocUnsafeSlow(slabBytes);
  return { buffer, view: new DataView(buffer.buffer, buffer.byteOffset, buffer.length), position: 0 };
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return false;
  return true;
}
