/**
 * How do tests make record batches (message format v2, kafka `DefaultRecordBatch.java`) and read them back, apart from
 * `src/records`? Enough for load and for reading histories: no control batches are made, no lz4 or snappy is read.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { KafkaReader, KafkaWriter } from './kafka-bytes.ts';

/** Bytes before the first record of a batch. */
export const batchHeaderBytes = 61;

const crcAt = 17;
const attributesAt = 21;
const producerIdAt = 43;
const recordCountAt = 57;

const crcTable = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC-32C (Castagnoli), bytewise: load is built once, so this need not be fast. */
export function crc32cOf(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

export interface RecordToSend {
  key?: Uint8Array | null;
  value: Uint8Array;
}

export interface BatchOptions {
  /** Milliseconds since 1970, for every record. */
  timestampMs: number;
  /** -1 (the default of all three) for a producer that is not idempotent. */
  producerId?: number;
  producerEpoch?: number;
  baseSequence?: number;
}

/** One uncompressed batch with base offset 0 and leader epoch -1, as a client sends it. */
export function encodeRecordBatch(records: readonly RecordToSend[], options: BatchOptions): Buffer {
  const body = new KafkaWriter();
  for (const [offsetDelta, { key = null, value }] of records.entries()) {
    const fields = new KafkaWriter();
    fields.int8(0).varint(0).varint(offsetDelta);
    if (key === null) fields.varint(-1);
    else fields.varint(key.length).raw(key);
    fields.varint(value.length).raw(value).varint(0);
    body.varint(fields.length).raw(fields.bytes());
  }
  const batch = new KafkaWriter()
    .int64(0)
    .int32(batchHeaderBytes - 12 + body.length)
    .int32(-1)
    .int8(2)
    .int32(0)
    .int16(0)
    .int32(records.length - 1)
    .int64(options.timestampMs)
    .int64(options.timestampMs)
    .int64(options.producerId ?? -1)
    .int16(options.producerEpoch ?? -1)
    .int32(options.baseSequence ?? -1)
    .int32(records.length)
    .raw(body.bytes());
  const bytes = Buffer.from(batch.bytes());
  bytes.writeUInt32BE(crc32cOf(bytes.subarray(attributesAt)), crcAt);
  return bytes;
}

/** What a batch's header says; all a load generator needs to count. */
export interface BatchHeader {
  baseOffset: number;
  lastOffset: number;
  leaderEpoch: number;
  producerId: number;
  recordCount: number;
  isControl: boolean;
  /** The whole batch. */
  bytes: Buffer;
}

/** The complete batches in a fetch's record bytes; a batch cut off at the end is left out. */
export function* batchesIn(bytes: Buffer): Generator<BatchHeader> {
  for (let at = 0; at + batchHeaderBytes <= bytes.length; ) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    if (end > bytes.length) return;
    if (bytes.readInt8(at + 16) !== 2) throw new Error(`record batch with magic ${bytes.readInt8(at + 16)}`);
    const baseOffset = Number(bytes.readBigInt64BE(at));
    yield {
      baseOffset,
      lastOffset: baseOffset + bytes.readInt32BE(at + 23),
      leaderEpoch: bytes.readInt32BE(at + 12),
      producerId: Number(bytes.readBigInt64BE(at + producerIdAt)),
      recordCount: bytes.readInt32BE(at + recordCountAt),
      isControl: (bytes.readInt16BE(at + attributesAt) & 0x20) !== 0,
      bytes: bytes.subarray(at, end),
    };
    at = end;
  }
}

export interface ReadRecord {
  offset: number;
  key: Buffer | null;
  value: Buffer | null;
}

/** The records of one batch after its CRC was checked. Throws on lz4 and snappy, which no raw producer here sends. */
export function recordsOf(batch: BatchHeader): ReadRecord[] {
  const { bytes, baseOffset } = batch;
  const crc = crc32cOf(bytes.subarray(attributesAt));
  if (crc !== bytes.readUInt32BE(crcAt)) throw new Error(`CRC of the batch at offset ${baseOffset} does not match`);
  const reader = new KafkaReader(decompressed(bytes.readInt16BE(attributesAt) & 7, bytes.subarray(batchHeaderBytes)));
  const records: ReadRecord[] = [];
  for (let left = batch.recordCount; left > 0; left--) {
    const end = reader.uvarint() / 2 + reader.position;
    reader.int8();
    reader.varint();
    const offset = baseOffset + reader.varint();
    const keyLength = reader.varint();
    const key = keyLength < 0 ? null : reader.raw(keyLength);
    const valueLength = reader.varint();
    const value = valueLength < 0 ? null : reader.raw(valueLength);
    reader.position = end;
    records.push({ offset, key, value });
  }
  return records;
}

function decompressed(codec: number, bytes: Buffer): Buffer {
  if (codec === 0) return bytes;
  if (codec === 1) return gunzipSync(bytes);
  if (codec === 4) return zstdDecompressSync(bytes);
  throw new Error(`compression codec ${codec} is not read here; produce with none, gzip or zstd`);
}
