/**
 * How do tests write and read the Kafka protocol without the codec they test? A growing writer and a checked reader
 * for the few types that the raw client's requests need (protocol guide, "Protocol Primitive Types").
 *
 * It shares nothing with `src/wire`: a mistake made on both sides of one codec would never show.
 */
export class KafkaWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  int8(value: number): this {
    const at = this.#take(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#take(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#take(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  int64(value: number | bigint): this {
    const at = this.#take(8);
    this.#bytes.writeBigInt64BE(BigInt(value), at);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  /** Unsigned LEB128. */
  uvarint(value: number): this {
    while (value >= 0x80) {
      this.int8((((value & 0x7f) | 0x80) << 24) >> 24);
      value = Math.floor(value / 128);
    }
    return this.int8(value);
  }

  /** Zig-zag, for the fields of a record; `value` within 32 bits. */
  varint(value: number): this {
    return this.uvarint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  /** int16 length, -1 for null. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).raw(bytes);
  }

  /** uvarint(length + 1), 0 for null. */
  compactString(value: string | null): this {
    if (value === null) return this.uvarint(0);
    const bytes = Buffer.from(value);
    return this.uvarint(bytes.length + 1).raw(bytes);
  }

  compactBytes(value: Uint8Array | null): this {
    return value === null ? this.uvarint(0) : this.uvarint(value.length + 1).raw(value);
  }

  array<Item>(items: readonly Item[], write: (item: Item, to: this) => void): this {
    this.int32(items.length);
    for (const item of items) write(item, this);
    return this;
  }

  compactArray<Item>(items: readonly Item[], write: (item: Item, to: this) => void): this {
    this.uvarint(items.length + 1);
    for (const item of items) write(item, this);
    return this;
  }

  noTags(): this {
    return this.uvarint(0);
  }

  raw(bytes: Uint8Array): this {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** What was written; valid until the next write. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #take(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}

/** Reads what `KafkaWriter` writes; throws a RangeError past the end. */
export class KafkaReader {
  readonly #bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position = 0) {
    this.#bytes = bytes;
    this.position = position;
  }

  int8(): number {
    const value = this.#bytes.readInt8(this.position);
    this.position += 1;
    return value;
  }

  int16(): number {
    const value = this.#bytes.readInt16BE(this.position);
    this.position += 2;
    return value;
  }

  int32(): number {
    const value = this.#bytes.readInt32BE(this.position);
    this.position += 4;
    return value;
  }

  /** An int64 that must fit a JavaScript number, as offsets, timestamps and producer ids do. */
  int64(): number {
    const value = Number(this.#bytes.readBigInt64BE(this.position));
    if (!Number.isSafeInteger(value)) throw new RangeError(`int64 beyond 2^53: ${value}`);
    this.position += 8;
    return value;
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  uvarint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.#bytes.readUInt8(this.position);
      this.position += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
      if (factor > 2 ** 49) throw new RangeError('a varint that does not end');
    }
  }

  /** Zig-zag; up to 53 bits, so that timestamp deltas fit. */
  varint(): number {
    const value = this.uvarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  string(): string {
    return this.nullableString() ?? '';
  }

  nullableString(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.raw(length).toString();
  }

  compactNullableString(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.raw(length).toString();
  }

  /** A view of the bytes, or null; it lives as long as the buffer under it. */
  compactNullableBytes(): Buffer | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.raw(length);
  }

  array<Item>(read: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.int32(); left > 0; left--) items.push(read());
    return items;
  }

  compactArray<Item>(read: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.uvarint() - 1; left > 0; left--) items.push(read());
    return items;
  }

  skipTags(): void {
    for (let left = this.uvarint(); left > 0; left--) {
      this.uvarint();
      this.raw(this.uvarint());
    }
  }

  raw(length: number): Buffer {
    const end = this.position + length;
    if (length < 0 || end > this.#bytes.length) throw new RangeError(`${length} bytes wanted at ${this.position}`);
    const bytes = this.#bytes.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.position;
  }
}
