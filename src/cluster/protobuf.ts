/**
 * How is a protobuf message read and written by hand? The wire format's primitives only: varints, zigzag, doubles and
 * length-delimited bytes (https://protobuf.dev/programming-guides/encoding/). No reflection and no library: loading
 * protobufjs costs a starting broker more than its whole cluster room, and it copies the bytes of every batch.
 *
 *     field   := tag value            tag := varint(number << 3 | wireType)
 *     value   := varint               wireType 0
 *              | 8 bytes, LE          wireType 1
 *              | varint(n) n bytes    wireType 2
 *              | 4 bytes, LE          wireType 5, only ever skipped
 */

/** Bytes that no writer of ours sends. The stream they came on is closed; nothing of the message is used. */
export class ProtobufError extends Error {
  override name = 'ProtobufError';
}

export const varintWire = 0;
export const doubleWire = 1;
export const bytesWire = 2;
const fixed32Wire = 5;

/** Bytes of an unsigned varint. */
export function varintLength(value: number): number {
  let length = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) length++;
  return length;
}

/** Writes an unsigned varint at `position` and returns the position after it. `value` is a safe integer, 0 and up. */
export function writeVarint(target: Buffer, value: number, position: number): number {
  let left = value;
  // Bit operations are for 32 bits; above them divide.
  while (left > 0x7fffffff) {
    target[position++] = (left % 0x80) | 0x80;
    left = Math.floor(left / 0x80);
  }
  while (left >= 0x80) {
    target[position++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  target[position++] = left;
  return position;
}

function checkedInteger(value: number, lowest: number): number {
  if (!Number.isSafeInteger(value) || value < lowest) throw new ProtobufError(`not a number to send: ${value}`);
  return value;
}

/** Grows as it is written to; `bytes` hands out what was written. */
export class ProtobufWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written; the writer must not be written to afterwards. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  tag(fieldNumber: number, wireType: number): void {
    this.varint(fieldNumber * 8 + wireType);
  }

  varint(value: number): void {
    checkedInteger(value, 0);
    this.#reserve(10);
    this.#length = writeVarint(this.#buffer, value, this.#length);
  }

  /** An unsigned 64-bit number that need not be a safe integer: etcd's ids. */
  wideVarint(value: bigint): void {
    this.#reserve(10);
    let left = BigInt.asUintN(64, value);
    for (; left >= 0x80n; left >>= 7n) this.#buffer[this.#length++] = Number(left & 0x7fn) | 0x80;
    this.#buffer[this.#length++] = Number(left);
  }

  /** Signed, so that -1 is one byte: 0, -1, 1, -2 … become 0, 1, 2, 3 …. Up to 2^52. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? checkedInteger(value * 2, 0) : checkedInteger(-value * 2 - 1, 0));
  }

  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  /** A length and that many bytes. */
  delimited(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value);
    this.varint(bytes);
    this.#reserve(bytes);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Reads one message's bytes. Every length is checked against the bytes that are left before it is used. */
export class ProtobufReader {
  readonly #buffer: Buffer;
  #position: number;
  readonly #end: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.#position = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#end;
  }

  get bytesLeft(): number {
    return this.#end - this.#position;
  }

  /** An unsigned varint that a number can hold exactly. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 10; index++) {
      if (this.#position >= this.#end) throw new ProtobufError('a number is cut off');
      const byte = this.#buffer[this.#position++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new ProtobufError('a number beyond 2^53');
        return value;
      }
      scale *= 0x80;
    }
    throw new ProtobufError('a number longer than ten bytes');
  }

  wideVarint(): bigint {
    let value = 0n;
    for (let index = 0n; index < 10n; index++) {
      if (this.#position >= this.#end) throw new ProtobufError('a number is cut off');
      const byte = this.#buffer[this.#position++] ?? 0;
      value |= BigInt(byte & 0x7f) << (7n * index);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError('a number longer than ten bytes');
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  double(): number {
    if (this.bytesLeft < 8) throw new ProtobufError('a double is cut off');
    const value = this.#buffer.readDoubleLE(this.#position);
    this.#position += 8;
    return value;
  }

  /** A view into the message, not a copy. */
  delimited(): Buffer {
    const length = this.#length();
    const start = this.#position;
    this.#position += length;
    return this.#buffer.subarray(start, start + length);
  }

  text(): string {
    const length = this.#length();
    const start = this.#position;
    this.#position += length;
    return this.#buffer.toString('utf8', start, start + length);
  }

  /** A reader of the nested message that starts here. */
  nested(): ProtobufReader {
    const length = this.#length();
    const start = this.#position;
    this.#position += length;
    return new ProtobufReader(this.#buffer, start, start + length);
  }

  /** Passes over a field that this version does not know: a newer peer may say more. */
  skip(wireType: number): void {
    if (wireType === varintWire) {
      for (let index = 0; index < 10; index++) {
        if (this.isAtEnd) throw new ProtobufError('a number is cut off');
        if ((this.#buffer[this.#position++] ?? 0) < 0x80) return;
      }
      throw new ProtobufError('a number longer than ten bytes');
    }
    if (wireType === bytesWire) this.#pass(this.#length());
    else if (wireType === doubleWire || wireType === fixed32Wire) this.#pass(wireType === doubleWire ? 8 : 4);
    else throw new ProtobufError(`wire type ${wireType}`);
  }

  #length(): number {
    const length = this.varint();
    if (length > this.bytesLeft) throw new ProtobufError(`a length of ${length} with ${this.bytesLeft} bytes left`);
    return length;
  }

  #pass(bytes: number): void {
    if (bytes > this.bytesLeft) throw new ProtobufError('a fixed number is cut off');
    this.#position += bytes;
  }
}
