/**
 * How does producer state get into files, and which files?
 *
 * `<offset>.snapshot` is Kafka's (kafka-protocol.md c.4): state before that offset, with the last batch of each producer.
 *
 *     int16 version 1 · uint32 CRC-32C of what follows · int32 count
 *     { int64 producerId · int16 epoch · int32 lastSequence · int64 lastOffset · int32 offsetDelta · int64 timestamp
 *       · int32 coordinatorEpoch · int64 currentTxnFirstOffset }…
 *
 * A broker that knows only the last batch answers a repeat of the one before with OUT_OF_ORDER_SEQUENCE_NUMBER, which is
 * fatal to a producer; Kafka does so after a restart. Hence `<offset>.producers` beside it, ours, with all five: Kafka's
 * tools and brokers pass over names that they do not know. Where only the `.snapshot` is there, the other four come
 * from the log (`recovery.ts`).
 *
 *     int16 version 1 · uint32 CRC-32C of what follows · int32 count
 *     { int64 producerId · int16 epoch · int64 lastTimestamp · int32 coordinatorEpoch · int64 currentTxnFirstOffset
 *       · int8 batches · { int32 lastSequence · int64 lastOffset · int32 offsetDelta · int64 timestamp }… }…
 */
import { join } from 'node:path';
import type { Disk } from '../env/disk.ts';
import type { TurnBudget } from '../env/turn-budget.ts';
import { type Offset, producerId } from '../model/brands.ts';
import { readInt64, writeInt64 } from '../records/batch-header.ts';
import { crc32c } from '../records/crc32c.ts';
import { writeDerivedFile } from './partition-files.ts';
import { batchesPerProducer, type ProducerBatch, type ProducerEntry } from './producer-state.ts';
import { segmentFileName } from './segment.ts';

const version = 1;
const headBytes = 10;
const kafkaRowBytes = 46;
const producerRowBytes = 31;
const batchRowBytes = 24;

function sealed(bytes: Buffer, count: number): Buffer {
  bytes.writeInt16BE(version, 0);
  bytes.writeInt32BE(count, 6);
  bytes.writeUInt32BE(crc32c(bytes.subarray(6)), 2);
  return bytes;
}

/** The count of a file whose version and CRC are right, else null. */
function countOf(bytes: Buffer): number | null {
  if (bytes.length < headBytes || bytes.readInt16BE(0) !== version) return null;
  return bytes.readUInt32BE(2) === crc32c(bytes.subarray(6)) ? bytes.readInt32BE(6) : null;
}

interface RowFormat {
  bytesOf(entry: ProducerEntry): number;
  write(entry: ProducerEntry, bytes: Buffer, at: number): void;
}

const kafkaRows: RowFormat = {
  bytesOf: () => kafkaRowBytes,
  write(entry, bytes, at) {
    const last = entry.batches.at(-1);
    writeInt64(bytes, entry.producerId, at);
    bytes.writeInt16BE(entry.producerEpoch, at + 8);
    bytes.writeInt32BE(last?.lastSequence ?? -1, at + 10);
    writeInt64(bytes, last?.lastOffset ?? -1, at + 14);
    bytes.writeInt32BE(last?.offsetDelta ?? 0, at + 22);
    writeInt64(bytes, entry.lastTimestampMs, at + 26);
    bytes.writeInt32BE(entry.coordinatorEpoch, at + 34);
    writeInt64(bytes, entry.currentTxnFirstOffset, at + 38);
  },
};

const producerRows: RowFormat = {
  bytesOf: ({ batches }) => producerRowBytes + batches.length * batchRowBytes,
  write(entry, bytes, at) {
    writeInt64(bytes, entry.producerId, at);
    bytes.writeInt16BE(entry.producerEpoch, at + 8);
    writeInt64(bytes, entry.lastTimestampMs, at + 10);
    bytes.writeInt32BE(entry.coordinatorEpoch, at + 18);
    writeInt64(bytes, entry.currentTxnFirstOffset, at + 22);
    bytes.writeInt8(entry.batches.length, at + 30);
    let row = at + producerRowBytes;
    for (const batch of entry.batches) {
      bytes.writeInt32BE(batch.lastSequence, row);
      writeInt64(bytes, batch.lastOffset, row + 4);
      bytes.writeInt32BE(batch.offsetDelta, row + 12);
      writeInt64(bytes, batch.timestampMs, row + 16);
      row += batchRowBytes;
    }
  },
};

/** Work on very many producers, a step of some milliseconds at a time. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Whether the entry of this index is the first of a step, but for the first of all. */
export const isStepOver = (index: number): boolean => index > 0 && index % 4096 === 0;

/** The rows of all entries, a step at a time. */
function* encoding(entries: readonly ProducerEntry[], format: RowFormat): Steps<Buffer> {
  const total = entries.reduce((sum, entry) => sum + format.bytesOf(entry), headBytes);
  const bytes = Buffer.alloc(total);
  let at = headBytes;
  for (const [index, entry] of entries.entries()) {
    if (isStepOver(index)) yield;
    format.write(entry, bytes, at);
    at += format.bytesOf(entry);
  }
  return sealed(bytes, entries.length);
}

export async function inTurns<Result>(steps: Steps<Result>, turns: TurnBudget): Promise<Result> {
  for (;;) {
    if (!turns.hasTime) await turns.nextTurn();
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Kafka's `.snapshot`. */
export const encodingKafkaSnapshot = (entries: readonly ProducerEntry[]): Steps<Buffer> => encoding(entries, kafkaRows);

/** null where the bytes are not a whole snapshot. */
export function* decodingKafkaSnapshot(bytes: Buffer): Steps<ProducerEntry[] | null> {
  const count = countOf(bytes);
  if (count === null || bytes.length !== headBytes + count * kafkaRowBytes) return null;
  const entries: ProducerEntry[] = [];
  for (let at = headBytes; at < bytes.length; at += kafkaRowBytes) {
    if (isStepOver(entries.length)) yield;
    const lastOffset = readInt64(bytes, at + 14);
    const timestampMs = readInt64(bytes, at + 26);
    const last: ProducerBatch = {
      lastSequence: bytes.readInt32BE(at + 10),
      lastOffset: lastOffset as Offset,
      offsetDelta: bytes.readInt32BE(at + 22),
      timestampMs,
    };
    entries.push({
      producerId: producerId(readInt64(bytes, at)),
      producerEpoch: bytes.readInt16BE(at + 8),
      batches: lastOffset < 0 ? [] : [last],
      lastTimestampMs: timestampMs,
      coordinatorEpoch: bytes.readInt32BE(at + 34),
      currentTxnFirstOffset: readInt64(bytes, at + 38),
    });
  }
  return entries;
}

/** Our `.producers`. */
export const encodingProducers = (entries: readonly ProducerEntry[]): Steps<Buffer> => encoding(entries, producerRows);

/** null where the bytes are not a whole file of ours. */
export function* decodingProducers(bytes: Buffer): Steps<ProducerEntry[] | null> {
  const count = countOf(bytes);
  if (count === null) return null;
  const entries: ProducerEntry[] = [];
  let at = headBytes;
  for (let index = 0; index < count; index++) {
    if (isStepOver(index)) yield;
    if (at + producerRowBytes > bytes.length) return null;
    const batchCount = bytes.readInt8(at + 30);
    const end = at + producerRowBytes + batchCount * batchRowBytes;
    if (batchCount < 0 || batchCount > batchesPerProducer || end > bytes.length) return null;
    const batches: ProducerBatch[] = [];
    for (let row = at + producerRowBytes; row < end; row += batchRowBytes)
      batches.push({
        lastSequence: bytes.readInt32BE(row),
        lastOffset: readInt64(bytes, row + 4) as Offset,
        offsetDelta: bytes.readInt32BE(row + 12),
        timestampMs: readInt64(bytes, row + 16),
      });
    entries.push({
      producerId: producerId(readInt64(bytes, at)),
      producerEpoch: bytes.readInt16BE(at + 8),
      batches,
      lastTimestampMs: readInt64(bytes, at + 10),
      coordinatorEpoch: bytes.readInt32BE(at + 18),
      currentTxnFirstOffset: readInt64(bytes, at + 22),
    });
    at = end;
  }
  return at === bytes.length ? entries : null;
}

/**
 * Takes down the state now, which costs little; what it gives back writes the files, in turns, and they say that it is the
 * state before `at`. Of producers for which `isGone` nothing is written.
 */
export function producerFilesOf(
  producers: Iterable<ProducerEntry>,
  directory: string,
  at: Offset,
  isGone: (entry: ProducerEntry) => boolean = () => false,
): (disk: Disk, turns: TurnBudget) => Promise<void> {
  const all = [...producers];
  const path = (suffix: string): string => join(directory, segmentFileName(at, suffix));
  return async (disk, turns) => {
    const entries = await inTurns(choosing(all, isGone), turns);
    if (entries.length > 0) {
      const ours = await inTurns(encodingProducers(entries), turns);
      await writeDerivedFile(disk, path('.producers'), ours);
    }
    await writeDerivedFile(disk, path('.snapshot'), await inTurns(encodingKafkaSnapshot(entries), turns));
  };
}

function* choosing(
  entries: readonly ProducerEntry[],
  isGone: (entry: ProducerEntry) => boolean,
): Steps<readonly ProducerEntry[]> {
  const chosen: ProducerEntry[] = [];
  for (const [index, entry] of entries.entries()) {
    if (isStepOver(index)) yield;
    if (!isGone(entry)) chosen.push(entry);
  }
  return chosen;
}
