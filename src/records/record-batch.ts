/**
 * What records does a batch hold, and how are records made into one?
 *
 * One record (Kafka: `DefaultRecord.java`), varints are zigzag:
 *
 *     varint length of what follows · int8 attributes 0 · varlong timestampDelta · varint offsetDelta
 *     · varint keyLength (-1 null) + key · varint valueLength (-1 null) + value
 *     · varint headerCount · { varint keyLength + UTF-8 · varint valueLength (-1 null) + value }…
 *
 * The broker seldom comes here: batches pass through as they were sent. Internal topics, control batches, the console and
 * tests do; compaction and compacted topics walk over records instead (`record-walk.ts`).
 */
import { assert } from '../model/assert.ts';
import type { LeaderEpoch, Offset, ProducerId } from '../model/brands.ts';
import { noLeaderEpoch, noProducerId } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from './batch-header.ts';
import { type Codec, type CompressionLevels, codecNumber, codecOf, compress, decompress } from './compression.ts';
import { crc32c } from './crc32c.ts';
import { DecompressionError } from './decompression-error.ts';
import { RecordCursor, varintBytes, writeVarint } from './varint.ts';

export interface RecordHeader {
  readonly key: string;
  readonly value: Buffer | null;
}

export interface RecordToWrite {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
  readonly headers?: readonly RecordHeader[];
  /** Counts from the batch's base offset; the record's index where absent. Gaps come from compaction. */
  readonly offsetDelta?: number;
}

export interface ReadRecord {
  readonly offset: Offset;
  readonly timestampMs: number;
  /** Views of the batch, or of its unpacked records. */
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

export interface BatchToWrite {
  readonly records: readonly RecordToWrite[];
  readonly codec?: Codec;
  readonly levels?: CompressionLevels;
  readonly baseOffset?: Offset;
  readonly partitionLeaderEpoch?: LeaderEpoch;
  readonly producerId?: ProducerId;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  /** Set: the batch says LogAppendTime and this as its maximum. Absent: CreateTime and the records' own maximum. */
  readonly logAppendTimeMs?: number;
  /** The last record's where absent. */
  readonly lastOffsetDelta?: number;
}

export function encodeBatch(batch: BatchToWrite): Buffer {
  const first = batch.records[0];
  assert(first !== undefined, 'a batch is made of at least one record');
  const baseTimestampMs = first.timestampMs;
  const plain = encodeRecords(batch.records, baseTimestampMs);
  const codec = batch.codec ?? 'none';
  const packed = compress(codec, plain, batch.levels);
  const lastIndex = batch.records.length - 1;
  let maxTimestampMs = header.noTimestamp;
  for (const record of batch.records) maxTimestampMs = Math.max(maxTimestampMs, record.timestampMs);

  const bytes = Buffer.allocUnsafe(header.batchHeaderBytes + packed.length);
  header.writeInt64(bytes, batch.baseOffset ?? 0, 0);
  bytes.writeInt32BE(bytes.length - header.batchLengthOverhead, 8);
  bytes.writeInt32BE(batch.partitionLeaderEpoch ?? noLeaderEpoch, 12);
  bytes.writeInt8(header.currentMagic, 16);
  const attributes = header.attributesFrom({
    codecNumber: codecNumber(codec),
    logAppendTime: batch.logAppendTimeMs !== undefined,
    transactional: batch.isTransactional ?? false,
    control: batch.isControl ?? false,
    deleteHorizon: false,
  });
  bytes.writeInt16BE(attributes, 21);
  bytes.writeInt32BE(batch.lastOffsetDelta ?? batch.records[lastIndex]?.offsetDelta ?? lastIndex, 23);
  header.writeInt64(bytes, baseTimestampMs, 27);
  header.writeInt64(bytes, batch.logAppendTimeMs ?? maxTimestampMs, 35);
  header.writeInt64(bytes, batch.producerId ?? noProducerId, 43);
  bytes.writeInt16BE(batch.producerEpoch ?? -1, 51);
  bytes.writeInt32BE(batch.baseSequence ?? header.noSequence, 53);
  bytes.writeInt32BE(batch.records.length, 57);
  packed.copy(bytes, header.batchHeaderBytes);
  writeCrc(bytes);
  return bytes;
}

/** After a change of anything behind byte 21. `batch` is one whole batch and nothing else. */
export function writeCrc(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch.subarray(header.crcCoverageStart)), 17);
}

/** Whether the stored CRC-32C is that of the bytes. `batch` is one whole batch and nothing else. */
export const hasValidCrc = (batch: Buffer): boolean =>
  crc32c(batch.subarray(header.crcCoverageStart)) === header.crcOf(batch);

function encodeRecords(records: readonly RecordToWrite[], baseTimestampMs: number): Buffer {
  const bodies = records.map((record, index) => recordBodyBytes(record, index, baseTimestampMs));
  let total = 0;
  for (const body of bodies) total += varintBytes(body) + body;
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [index, record] of records.entries()) {
    at = writeVarint(bytes, bodies[index] ?? 0, at);
    bytes[at++] = 0;
    at = writeVarint(bytes, record.timestampMs - baseTimestampMs, at);
    at = writeVarint(bytes, record.offsetDelta ?? index, at);
    at = writeNullable(bytes, record.key, at);
    at = writeNullable(bytes, record.value, at);
    const headers = record.headers ?? [];
    at = writeVarint(bytes, headers.length, at);
    for (const { key, value } of headers) {
      at = writeNullable(bytes, Buffer.from(key, 'utf8'), at);
      at = writeNullable(bytes, value, at);
    }
  }
  assert(at === total, 'records take the bytes that were counted');
  return bytes;
}

function recordBodyBytes(record: RecordToWrite, index: number, baseTimestampMs: number): number {
  let bytes = 1 + varintBytes(record.timestampMs - baseTimestampMs) + varintBytes(record.offsetDelta ?? index);
  bytes += nullableBytes(record.key?.length) + nullableBytes(record.value?.length);
  const headers = record.headers ?? [];
  bytes += varintBytes(headers.length);
  for (const { key, value } of headers) bytes += nullableBytes(Buffer.byteLength(key)) + nullableBytes(value?.length);
  return bytes;
}

const nullableBytes = (length: number | undefined): number =>
  length === undefined ? varintBytes(-1) : varintBytes(length) + length;

function writeNullable(target: Buffer, bytes: Buffer | null, at: number): number {
  if (bytes === null) return writeVarint(target, -1, at);
  at = writeVarint(target, bytes.length, at);
  bytes.copy(target, at);
  return at + bytes.length;
}

const corrupt = (reason: string): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason });

/** The smallest record: length, attributes, two deltas, two null lengths and a header count, one byte each. */
const smallestRecordBytes = 7;

/**
 * The records part of one whole batch, unpacked to at most `maxBytes`. Throws CORRUPT_MESSAGE where the codec refuses.
 */
export function unpackedRecords(batch: Buffer, maxBytes: number): Buffer {
  const packed = batch.subarray(header.batchHeaderBytes);
  const codec = codecOf(header.codecNumberOf(batch));
  if (codec !== 'none' && packed.length === 0) return packed; // an empty batch that compaction left
  try {
    return decompress(codec, packed, maxBytes);
  } catch (error) {
    if (error instanceof DecompressionError) throw corrupt(error.message);
    throw error;
  }
}

/**
 * The records of one whole batch (its CRC is the caller's affair), at most `maxBytes` of them unpacked. Throws
 * CORRUPT_MESSAGE when a length does not fit, when records are missing or left over, or when the codec refuses.
 */
export function* recordsOf(batch: Buffer, maxBytes: number): Generator<ReadRecord, void, undefined> {
  const base = header.baseOffsetOf(batch);
  const baseTimestampMs = header.baseTimestampOf(batch);
  const appendTimeMs = header.hasLogAppendTime(batch) ? header.maxTimestampOf(batch) : null;
  const count = header.recordCountOf(batch);
  const bytes = unpackedRecords(batch, maxBytes);
  if (count < 0 || count * smallestRecordBytes > bytes.length)
    throw corrupt(`${count} records in ${bytes.length} bytes`);
  const cursor = new RecordCursor(bytes);
  for (let index = 0; index < count; index++) {
    const length = cursor.varint();
    if (length < 0 || length > cursor.bytesLeft) throw corrupt(`record ${index} is cut short`);
    const end = cursor.position + length;
    cursor.int8();
    const timestampMs = baseTimestampMs + cursor.varlong();
    const offset = (base + cursor.varint()) as Offset;
    const key = cursor.nullableBytes();
    const value = cursor.nullableBytes();
    const headers = readHeaders(cursor);
    if (cursor.position !== end) throw corrupt(`record ${index} has another length than it says`);
    yield { offset, timestampMs: appendTimeMs ?? timestampMs, key, value, headers };
  }
  if (cursor.bytesLeft !== 0) throw corrupt(`${cursor.bytesLeft} bytes are left after the last record`);
}

const noHeaders: readonly RecordHeader[] = [];

function readHeaders(cursor: RecordCursor): readonly RecordHeader[] {
  const count = cursor.varint();
  if (count === 0) return noHeaders;
  if (count < 0 || count * 2 > cursor.bytesLeft) throw corrupt(`a record claims ${count} headers`);
  const headers: RecordHeader[] = [];
  for (let index = 0; index < count; index++) {
    const key = cursor.nullableBytes();
    if (key === null) throw corrupt('a record header without a key');
    headers.push({ key: key.toString('utf8'), value: cursor.nullableBytes() });
  }
  return headers;
}

/** The batch with its records packed anew, in `codec`: same offsets, timestamps, producer and flags. */
export function withPackedRecords(batch: Buffer, packed: Buffer, codec: Codec): Buffer {
  const bytes = Buffer.allocUnsafe(header.batchHeaderBytes + packed.length);
  batch.copy(bytes, 0, 0, header.batchHeaderBytes);
  packed.copy(bytes, header.batchHeaderBytes);
  bytes.writeInt32BE(bytes.length - header.batchLengthOverhead, 8);
  bytes.writeInt16BE((header.attributesOf(batch) & ~7) | codecNumber(codec), 21);
  writeCrc(bytes);
  return bytes;
}
