/**
 * What does the header of a v2 record batch say, and how is it changed in place?
 *
 * The 61 bytes in front of the records (Kafka: `DefaultRecordBatch.java`), big-endian:
 *
 *     at  0  baseOffset            int64   set by the leader; outside the CRC
 *         8  batchLength           int32   bytes after this field, so the whole batch is 12 more
 *        12  partitionLeaderEpoch  int32   set by the leader; outside the CRC
 *        16  magic                 int8    2
 *        17  crc                   uint32  CRC-32C of bytes 21 to the end
 *        21  attributes            int16   bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
 *        23  lastOffsetDelta       int32
 *        27  baseTimestamp         int64   the delete horizon where bit 6 is set
 *        35  maxTimestamp          int64
 *        43  producerId            int64   -1 none
 *        51  producerEpoch         int16   -1 none
 *        53  baseSequence          int32   -1 none
 *        57  recordCount           int32
 *        61  records               the only part that may be compressed
 *
 * One function per field over (buffer, position of the batch), so that the produce path makes no object of a header.
 * int64 fields are read as JavaScript numbers: offsets, ids and milliseconds stay far below 2^53, and
 * `validate-batch.ts` refuses those that do not.
 */
import type { LeaderEpoch, Offset, ProducerId } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';

/** Bytes of a batch before its records. */
export const batchHeaderBytes = 61;
/** Bytes of a batch that `batchLength` does not count: itself and the base offset. */
export const batchLengthOverhead = 12;
/** Where the part that the CRC covers begins. */
export const crcCoverageStart = 21;
export const currentMagic = 2;

/** A number that stands for no timestamp (Kafka: `RecordBatch.NO_TIMESTAMP`). */
export const noTimestamp = -1;
export const noSequence = -1;

const codecMask = 0x07;
const logAppendTimeBit = 0x08;
const transactionalBit = 0x10;
const controlBit = 0x20;
const deleteHorizonBit = 0x40;

const twoTo32 = 4_294_967_296;

/** A signed 64-bit integer as a number; exact up to 2^53. */
export function readInt64(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * twoTo32 + buffer.readUInt32BE(position + 4);
}

/** `value` must be a safe integer. */
export function writeInt64(buffer: Buffer, value: number, position: number): void {
  const low = value - Math.floor(value / twoTo32) * twoTo32;
  buffer.writeInt32BE(Math.floor(value / twoTo32), position);
  buffer.writeUInt32BE(low, position + 4);
}

export const baseOffsetOf = (buffer: Buffer, at = 0): Offset => readInt64(buffer, at) as Offset;
/** Bytes of the whole batch, from its base offset to its last record. */
export const batchBytesOf = (buffer: Buffer, at = 0): number => buffer.readInt32BE(at + 8) + batchLengthOverhead;
export const partitionLeaderEpochOf = (buffer: Buffer, at = 0): LeaderEpoch =>
  buffer.readInt32BE(at + 12) as LeaderEpoch;
export const magicOf = (buffer: Buffer, at = 0): number => buffer.readInt8(at + 16);
export const crcOf = (buffer: Buffer, at = 0): number => buffer.readUInt32BE(at + 17);
export const attributesOf = (buffer: Buffer, at = 0): number => buffer.readInt16BE(at + 21);
export const lastOffsetDeltaOf = (buffer: Buffer, at = 0): number => buffer.readInt32BE(at + 23);
export const lastOffsetOf = (buffer: Buffer, at = 0): Offset =>
  (readInt64(buffer, at) + buffer.readInt32BE(at + 23)) as Offset;
/** First offset after the batch. */
export const nextOffsetOf = (buffer: Buffer, at = 0): Offset => (lastOffsetOf(buffer, at) + 1) as Offset;
/** Milliseconds; the timestamp that the records' deltas count from, or the delete horizon if bit 6 is set. */
export const baseTimestampOf = (buffer: Buffer, at = 0): number => readInt64(buffer, at + 27);
/** Milliseconds; the largest timestamp of the batch, -1 for none. */
export const maxTimestampOf = (buffer: Buffer, at = 0): number => readInt64(buffer, at + 35);
export const producerIdOf = (buffer: Buffer, at = 0): ProducerId => readInt64(buffer, at + 43) as ProducerId;
export const producerEpochOf = (buffer: Buffer, at = 0): number => buffer.readInt16BE(at + 51);
export const baseSequenceOf = (buffer: Buffer, at = 0): number => buffer.readInt32BE(at + 53);
export const recordCountOf = (buffer: Buffer, at = 0): number => buffer.readInt32BE(at + 57);

/** Codec number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5 to 7 mean nothing. */
export const codecNumberOf = (buffer: Buffer, at = 0): number => attributesOf(buffer, at) & codecMask;
export const hasLogAppendTime = (buffer: Buffer, at = 0): boolean =>
  (attributesOf(buffer, at) & logAppendTimeBit) !== 0;
export const isTransactional = (buffer: Buffer, at = 0): boolean => (attributesOf(buffer, at) & transactionalBit) !== 0;
export const isControlBatch = (buffer: Buffer, at = 0): boolean => (attributesOf(buffer, at) & controlBit) !== 0;
export const hasDeleteHorizon = (buffer: Buffer, at = 0): boolean =>
  (attributesOf(buffer, at) & deleteHorizonBit) !== 0;

/** Sequence numbers wrap from 2147483647 to 0 (Kafka: `DefaultRecordBatch.incrementSequence`). */
export function sequenceAfter(sequence: number, by: number): number {
  const next = sequence + by;
  return next > 0x7fffffff ? next - 0x80000000 : next;
}

/** Sequence of the batch's last record, -1 if it has none. */
export function lastSequenceOf(buffer: Buffer, at = 0): number {
  const base = baseSequenceOf(buffer, at);
  return base === noSequence ? noSequence : sequenceAfter(base, lastOffsetDeltaOf(buffer, at));
}

/** The leader's two changes; neither is covered by the CRC. */
export function assignOffsetAndEpoch(buffer: Buffer, baseOffset: Offset, epoch: LeaderEpoch, at = 0): void {
  writeInt64(buffer, baseOffset, at);
  buffer.writeInt32BE(epoch, at + 12);
}

/** Says from when on tombstones of the batch may go (KIP-534). Records count their timestamps from it. In place; no CRC. */
export function setDeleteHorizon(buffer: Buffer, horizonMs: number, at = 0): void {
  buffer.writeInt16BE(attributesOf(buffer, at) | deleteHorizonBit, at + 21);
  writeInt64(buffer, horizonMs, at + 27);
}

/** Makes the header that of a batch without records, not compressed and without a horizon. In place; no CRC. */
export function clearRecords(buffer: Buffer, at = 0): void {
  buffer.writeInt32BE(batchHeaderBytes - batchLengthOverhead, at + 8);
  buffer.writeInt16BE(attributesOf(buffer, at) & ~(codecMask | deleteHorizonBit), at + 21);
  writeInt64(buffer, noTimestamp, at + 27);
  buffer.writeInt32BE(0, at + 57);
}

export interface AttributeFlags {
  readonly codecNumber: number;
  readonly logAppendTime: boolean;
  readonly transactional: boolean;
  readonly control: boolean;
  readonly deleteHorizon: boolean;
}

export const attributesFrom = (flags: AttributeFlags): number =>
  (flags.codecNumber & codecMask) |
  (flags.logAppendTime ? logAppendTimeBit : 0) |
  (flags.transactional ? transactionalBit : 0) |
  (flags.control ? controlBit : 0) |
  (flags.deleteHorizon ? deleteHorizonBit : 0);

const corrupt = (reason: string): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason });

/**
 * Bytes of the batch that begins at `at`, checked to lie within the buffer and to be at least a header; or null when
 * the buffer ends before the batch does. Throws CORRUPT_MESSAGE for a length no batch can have.
 */
export function wholeBatchBytes(buffer: Buffer, at: number): number | null {
  if (buffer.length - at < batchLengthOverhead) return null;
  const bytes = batchBytesOf(buffer, at);
  if (bytes < batchHeaderBytes) throw corrupt(`a batch at position ${at} claims ${bytes} bytes`);
  return bytes <= buffer.length - at ? bytes : null;
}

/**
 * The batches that fill `buffer`, as views of it. Lengths and magic are checked, the CRC is not. Throws
 * CORRUPT_MESSAGE when the last batch is cut short or a length makes no sense.
 */
export function* batchesOf(buffer: Buffer): Generator<Buffer, void, undefined> {
  let at = 0;
  while (at < buffer.length) {
    const bytes = wholeBatchBytes(buffer, at);
    if (bytes === null) throw corrupt(`the batch at position ${at} is cut short`);
    if (magicOf(buffer, at) !== currentMagic)
      throw corrupt(`the batch at position ${at} has magic ${magicOf(buffer, at)}`);
    yield buffer.subarray(at, at + bytes);
    at += bytes;
  }
}
