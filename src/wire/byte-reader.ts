/**
 * How are Kafka's primitive types read? A cursor over received bytes; each read checks what it needs against what is
 * left before it takes or allocates anything, and throws `WireError` otherwise. Big endian throughout.
 */
import { WireError } from './wire-error.ts';

/** Kafka's limit for any string, compact ones included. */
const maxStringBytes = 0x7fff;

export const zeroUuid = 'AAAAAAAAAAAAAAAAAAAAAA';

/** Elements over all arrays of one message: it bounds the objects that a frame of tiny elements can turn into. */
export const defaultMaxElements = 1_000_000;

export class ByteReader {
  readonly buffer: Buffer;
  readonly #view: DataView;
  #position: number;
  #end: number;
  #elementsLeft: number;

  constructor(buffer: Buffer, position = 0, maxElements = defaultMaxElements) {
    this.buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    this.#position = position;
    this.#end = buffer.length;
    this.#elementsLeft = maxElements;
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.#end - this.#position;
  }

  /** Moves past `bytes` that are there and returns where they began. */
  #take(bytes: number): number {
    const position = this.#position;
    if (bytes > this.#end - position)
      throw new WireError(`${bytes} bytes needed, ${this.#end - position} left at byte ${position}`);
    this.#position = position + bytes;
    return position;
  }

  bool(): boolean {
    return this.#view.getUint8(this.#take(1)) !== 0;
  }

  int8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  int16(): number {
    return this.#view.getInt16(this.#take(2));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  /** 16 bytes as 22 characters of base64url. */
  uuid(): string {
    const position = this.#take(16);
    if (this.#view.getBigInt64(position) === 0n && this.#view.getBigInt64(position + 8) === 0n) return zeroUuid;
    return this.buffer.toString('base64url', position, position + 16);
  }

  /**
   * At most five bytes and 32 bits. Padded forms within five bytes (`80 00` for 0) are taken, as Kafka's
   * ByteUtils.readUnsignedVarint does: encoders that reserve room for a length and fill it in later write them.
   */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#view.getUint8(this.#take(1));
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.#view.getUint8(this.#take(1));
    if (last > 0x0f) throw new WireError(`varint beyond 32 bits at byte ${this.#position - 5}`);
    return ((last << 28) | value) >>> 0;
  }

  /** A length as compact types write it: n + 1, with 0 for null (here -1). */
  compactLength(): number {
    return this.uvarint() - 1;
  }

  string(length: number): string {
    if (length > maxStringBytes) throw new WireError(`string of ${length} bytes at byte ${this.#position}`);
    if (length === 0) return '';
    const position = this.#take(length);
    const text = this.buffer.toString('utf8', position, position + length);
    // What is no UTF-8 becomes U+FFFD, of three bytes: whatever is let in must fit into the answers, also others', that tell it.
    if (length > maxStringBytes / 3 && Buffer.byteLength(text) > maxStringBytes)
      throw new WireError(`string of ${length} bytes that are no UTF-8 at byte ${position}`);
    return text;
  }

  /** A view, not a copy: it keeps the whole frame alive. */
  bytes(length: number): Buffer {
    const position = this.#take(length);
    return this.buffer.subarray(position, position + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Checks an array's count against the bytes that so many elements need at least, and against the message's budget. */
  takeElements(count: number, minBytesEach: number): void {
    if (count * minBytesEach > this.left)
      throw new WireError(`${count} elements cannot be in the ${this.left} bytes left at byte ${this.#position}`);
    if (count > this.#elementsLeft) throw new WireError(`more array elements than a message may have`);
    this.#elementsLeft -= count;
  }

  /** Reads a part that says its own size: it may not reach beyond that, and must use all of it. */
  sized<Value>(size: number, read: (reader: ByteReader) => Value): Value {
    const begin = this.#position;
    const outerEnd = this.#end;
    if (size > this.left) throw new WireError(`${size} bytes needed, ${this.left} left at byte ${begin}`);
    this.#end = begin + size;
    const value = read(this);
    if (this.#position !== this.#end)
      throw new WireError(`${size} bytes announced, ${this.#position - begin} used at byte ${begin}`);
    this.#end = outerEnd;
    return value;
  }
}
