/**
 * What must a partition's leader refuse, and what does it change in a batch it takes? (`LogValidator.java`,
 * `UnifiedLog.analyzeAndValidateRecords`; kafka-protocol.md b.4)
 *
 * All of it is read from the header, but for the CRC over the bytes; what a compacted topic demands of the records is in
 * `record-check.ts`. Knowing departures from Kafka, both to keep per-record work off the produce path:
 *   - the records inside a batch are not decoded, so a client that packs rubbish under a good CRC is found by its
 *     readers, not by the leader; and a maxTimestamp that is not its records' maximum is kept as sent;
 *   - the timestamp limits are held against the batch's base and maximum timestamps, not each record's.
 */
import { BrokerError } from '../model/fault.ts';
import * as header from './batch-header.ts';
import { codecOf } from './compression.ts';
import { hasValidCrc, writeCrc } from './record-batch.ts';

export interface BatchLimits {
  /** `max.message.bytes`: bytes of one batch, header included. */
  readonly maxMessageBytes: number;
  /** `segment.bytes`. */
  readonly segmentBytes: number;
  readonly messageTimestampType: 'CreateTime' | 'LogAppendTime';
  /** `message.timestamp.before.max.ms` */
  readonly messageTimestampBeforeMaxMs: number;
  /** `message.timestamp.after.max.ms` */
  readonly messageTimestampAfterMaxMs: number;
}

/** Who made the batch: clients may not write control batches, coordinators do. */
export type BatchOrigin = 'client' | 'coordinator';

const refuse = (reason: string): BrokerError => new BrokerError({ code: 'INVALID_RECORD', reason });
const corrupt = (reason: string): BrokerError => new BrokerError({ code: 'CORRUPT_MESSAGE', reason });

/**
 * Throws the refusal (CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE,
 * UNSUPPORTED_COMPRESSION_TYPE) unless `batch` is exactly one batch that a leader may append.
 */
export function validateBatch(batch: Buffer, limits: BatchLimits, origin: BatchOrigin, nowMs: number): void {
  checkFraming(batch);
  if (batch.length > limits.maxMessageBytes)
    throw new BrokerError({
      code: 'MESSAGE_TOO_LARGE',
      reason: `the batch has ${batch.length} bytes, max.message.bytes is ${limits.maxMessageBytes}`,
    });
  if (batch.length > limits.segmentBytes)
    throw new BrokerError({
      code: 'RECORD_LIST_TOO_LARGE',
      reason: `the batch has ${batch.length} bytes, segment.bytes is ${limits.segmentBytes}`,
    });
  if (!hasValidCrc(batch)) throw corrupt('the CRC-32C of the batch does not match its bytes');
  checkCountsAndProducer(batch, origin);
  checkTimestamps(batch, limits, nowMs);
  codecOf(header.codecNumberOf(batch));
}

function checkFraming(batch: Buffer): void {
  // Older formats keep their magic at the same place, so it is looked at before the length.
  if (batch.length > 16 && header.magicOf(batch) !== header.currentMagic)
    throw refuse(`message format v${header.magicOf(batch)} is not accepted, only v2`);
  const bytes = header.wholeBatchBytes(batch, 0);
  if (bytes === null || batch.length < header.batchHeaderBytes) throw corrupt('the batch is cut short');
  if (bytes < batch.length) throw refuse('more than one record batch for a partition');
}

function checkCountsAndProducer(batch: Buffer, origin: BatchOrigin): void {
  const count = header.recordCountOf(batch);
  if (count <= 0) throw refuse(`the batch has ${count} records`);
  if (header.lastOffsetDeltaOf(batch) + 1 !== count)
    throw refuse(`the batch has ${count} records and a last offset delta of ${header.lastOffsetDeltaOf(batch)}`);
  if (header.hasDeleteHorizon(batch)) throw refuse('the batch has a delete horizon');
  if (origin === 'client') {
    if (header.isControlBatch(batch)) throw refuse('clients cannot write control records');
    if (header.baseOffsetOf(batch) !== 0)
      throw refuse(`the base offset of the batch should be 0, but it is ${header.baseOffsetOf(batch)}`);
  }
  const producerId = header.producerIdOf(batch);
  if (!Number.isSafeInteger(producerId)) throw refuse('the producer id is out of range');
  if (producerId >= 0) {
    if (!header.isControlBatch(batch) && header.baseSequenceOf(batch) < 0)
      throw refuse(`invalid sequence number ${header.baseSequenceOf(batch)} in a batch with producer id ${producerId}`);
    if (header.producerEpochOf(batch) < 0) throw refuse('a producer id without a producer epoch');
  } else if (header.isTransactional(batch)) throw refuse('a transactional batch without a producer id');
}

function checkTimestamps(batch: Buffer, limits: BatchLimits, nowMs: number): void {
  if (limits.messageTimestampType === 'LogAppendTime') return;
  const invalid = (reason: string): BrokerError => new BrokerError({ code: 'INVALID_TIMESTAMP', reason });
  if (header.hasLogAppendTime(batch)) throw invalid('the batch says LogAppendTime on a topic of CreateTime');
  const baseMs = header.baseTimestampOf(batch);
  const maxMs = header.maxTimestampOf(batch);
  if (!Number.isSafeInteger(baseMs) || !Number.isSafeInteger(maxMs) || maxMs < header.noTimestamp)
    throw invalid(`a batch with base timestamp ${baseMs} and maximum timestamp ${maxMs}`);
  if (maxMs !== header.noTimestamp && maxMs - nowMs > limits.messageTimestampAfterMaxMs)
    throw invalid(`timestamp ${maxMs} is more than message.timestamp.after.max.ms ahead of ${nowMs}`);
  if (baseMs !== header.noTimestamp && nowMs - baseMs > limits.messageTimestampBeforeMaxMs)
    throw invalid(`timestamp ${baseMs} is more than message.timestamp.before.max.ms behind ${nowMs}`);
}

/** Stamps the batch with the leader's time: attribute bit 3, maximum timestamp, and so a new CRC. In place. */
export function setLogAppendTime(batch: Buffer, nowMs: number): void {
  batch.writeInt16BE(header.attributesOf(batch) | 0x08, 21);
  header.writeInt64(batch, nowMs, 35);
  writeCrc(batch);
}
