/** A partition's log on a disk in memory, and what tests say about it. */
import { type Logger, silentLogger } from '../../src/env/logger.ts';
import { type LastStop, type LogConfig, PartitionLog } from '../../src/log/partition-log.ts';
import { TailCache } from '../../src/log/tail-cache.ts';
import { type LeaderEpoch, type Offset, offset, offsetZero, type ProducerId, topicId } from '../../src/model/brands.ts';
import * as header from '../../src/records/batch-header.ts';
import { crc32c } from '../../src/records/crc32c.ts';
import { type BatchToWrite, encodeBatch } from '../../src/records/record-batch.ts';
import { ManualTime } from './manual-time.ts';
import { MemoryDisk } from './memory-disk.ts';

export const ordersId = topicId('AAAAAAAAAAAAAAAAAAAAAQ');
export const ordersDirectory = '/data/orders-0';

export const usualConfig: LogConfig = {
  segmentBytes: 1 << 20,
  segmentMs: 7 * 86_400_000,
  indexIntervalBytes: 4096,
  segmentIndexBytes: 10 << 20,
  maxMessageBytes: 1 << 20,
  messageTimestampType: 'CreateTime',
  messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  messageTimestampAfterMaxMs: 3_600_000,
  compressionType: 'producer',
  cleanupPolicy: { compact: false, delete: true },
  deleteRetentionMs: 86_400_000,
  minCleanableDirtyRatio: 0.5,
  producerIdExpirationMs: 86_400_000,
  flushMessages: null,
  flushMs: null,
  flushPolicy: 'background',
};

export interface OpenedLog {
  config?: Partial<LogConfig>;
  disk?: MemoryDisk;
  time?: ManualTime;
  recoveryPoint?: number;
  lastStop?: LastStop;
  logStartOffset?: number;
  tailBytes?: number;
  logger?: Logger;
}

export async function openLog(
  options: OpenedLog = {},
): Promise<{ log: PartitionLog; disk: MemoryDisk; time: ManualTime }> {
  const disk = options.disk ?? new MemoryDisk();
  const time = options.time ?? new ManualTime();
  const log = await PartitionLog.open(
    {
      directory: ordersDirectory,
      topic: 'orders',
      partition: 0,
      topicId: ordersId,
      config: { ...usualConfig, ...options.config },
      recoveryPoint: offset(options.recoveryPoint ?? 0),
      lastStop: options.lastStop ?? 'clean',
      logStartOffset: offset(options.logStartOffset ?? 0),
      tailCache: new TailCache(options.tailBytes ?? 0),
    },
    { disk, clock: time, timers: time, logger: options.logger ?? silentLogger },
  );
  return { log, disk, time };
}

/** `values` as one batch of a client. */
export const batchOf = (
  values: readonly string[],
  options: Partial<BatchToWrite> & { timestampMs?: number } = {},
): Buffer =>
  encodeBatch({
    records: values.map((value) => ({
      key: null,
      value: Buffer.from(value),
      timestampMs: options.timestampMs ?? 1_700_000_000_000,
    })),
    ...options,
  });

export const idempotent = (producer: number, sequence: number, producerEpoch = 0): Partial<BatchToWrite> => ({
  producerId: producer as ProducerId,
  producerEpoch,
  baseSequence: sequence,
});

export const epoch = (value: number): LeaderEpoch => value as LeaderEpoch;
export const at = (value: number): Offset => value as Offset;

/** All bytes from the log start to the log end, read as a consumer would. */
export async function everything(log: PartitionLog, maxBytes = 1 << 20): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let next = log.logStartOffset; next < log.logEndOffset; ) {
    const read = await log.read(next, { maxBytes, endOffset: log.logEndOffset, minOneBatch: true });
    if (read.nextOffset <= next) throw new Error(`reading stands still at ${next}`);
    chunks.push(...read.chunks);
    next = read.nextOffset;
  }
  return Buffer.concat(chunks);
}

export const offsetsIn = (bytes: Buffer): number[] =>
  [...header.batchesOf(bytes)].map((batch) => header.baseOffsetOf(batch));

/** What must be equal however the log came to be open. */
export async function stateOf(log: PartitionLog): Promise<object> {
  return {
    bytes: crc32c(await everything(log)),
    logStartOffset: log.logStartOffset,
    logEndOffset: log.logEndOffset,
    lastEpoch: log.lastEpoch(),
    epochs: log.epochs.entries,
    producers: [...log.producers.entries].sort((a, b) => a.producerId - b.producerId),
    maxTimestamp: await log.maxTimestampOffset(),
  };
}

export { offsetZero };
