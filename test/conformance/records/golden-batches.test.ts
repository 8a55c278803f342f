/** Record batches as Apache Kafka 4.3.1 wrote them: decoded, encoded back, and refused when damaged. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { assert, describe, expect, test } from 'vitest';
import { type Offset, type ProducerId, producerId } from '../../../src/model/brands.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import { type Codec, codecNumber } from '../../../src/records/compression.ts';
import { decodeEndTransactionMarker, encodeEndTransactionMarker } from '../../../src/records/control-record.ts';
import { encodeBatch, hasValidCrc, recordsOf } from '../../../src/records/record-batch.ts';

interface Vector {
  codec: Codec;
  shape: string;
  records?: { offset: number; timestamp: number; key: string | null; value: string | null; headers: number }[];
  crc?: number;
  maxTimestamp?: number;
  lastOffset?: number;
  hex: string;
}

const file = new URL('../vectors/batches.ndjson.gz', import.meta.url);
const vectors = gunzipSync(readFileSync(file))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector);
const limit = 16 << 20;
const text = (bytes: Buffer | null): string | null => (bytes === null ? null : bytes.toString('utf8'));

function encodedAgain(batch: Buffer): Buffer {
  const records = [...recordsOf(batch, limit)];
  const base = header.baseOffsetOf(batch);
  // Under LogAppendTime every record reads as the maximum, while the bytes keep what the producer wrote.
  const asWritten = Buffer.from(batch);
  asWritten.writeInt16BE(header.attributesOf(batch) & ~8, 21);
  const timestamps = [...recordsOf(asWritten, limit)].map((record) => record.timestampMs);
  return encodeBatch({
    records: records.map((record, index) => ({
      key: record.key,
      value: record.value,
      headers: record.headers,
      timestampMs: timestamps[index] ?? 0,
      offsetDelta: record.offset - base,
    })),
    baseOffset: base,
    partitionLeaderEpoch: header.partitionLeaderEpochOf(batch),
    producerId: header.producerIdOf(batch),
    producerEpoch: header.producerEpochOf(batch),
    baseSequence: header.baseSequenceOf(batch),
    isTransactional: header.isTransactional(batch),
    isControl: header.isControlBatch(batch),
    lastOffsetDelta: header.lastOffsetDeltaOf(batch),
    ...(header.hasLogAppendTime(batch) ? { logAppendTimeMs: header.maxTimestampOf(batch) } : {}),
  });
}

test('all 37 batches are there', () => {
  expect(vectors).toHaveLength(37);
});

describe.each(vectors)('a batch of Kafka, $codec $shape', (vector) => {
  const bytes = Buffer.from(vector.hex, 'hex');

  test('has the header that Kafka says', () => {
    expect([...header.batchesOf(bytes)]).toHaveLength(1);
    expect(hasValidCrc(bytes)).toBe(true);
    expect(header.codecNumberOf(bytes)).toBe(codecNumber(vector.codec));
    if (vector.records === undefined) return;
    expect(header.crcOf(bytes)).toBe(vector.crc);
    expect(header.maxTimestampOf(bytes)).toBe(vector.maxTimestamp);
    expect(header.lastOffsetOf(bytes)).toBe(vector.lastOffset);
    expect(header.recordCountOf(bytes)).toBe(vector.records.length);
    expect(header.hasLogAppendTime(bytes)).toBe(vector.shape === 'log-append-time');
    expect(header.isTransactional(bytes)).toBe(vector.shape === 'transactional');
    expect(header.producerIdOf(bytes) >= 0).toBe(vector.shape === 'transactional' || vector.shape === 'idempotent');
  });

  test('holds the records that Kafka says', () => {
    if (vector.records === undefined) {
      const marker = decodeEndTransactionMarker(bytes);
      expect(marker?.kind).toBe(vector.shape === 'marker-commit' ? 'commit' : 'abort');
      return;
    }
    const read = [...recordsOf(bytes, limit)].map((record) => ({
      offset: record.offset as number,
      timestamp: record.timestampMs,
      key: text(record.key),
      value: text(record.value),
      headers: record.headers.length,
    }));
    // The vectors list what the producer wrote; readers are given the time of the leader where the batch says so.
    const appendTime = vector.shape === 'log-append-time' ? vector.maxTimestamp : undefined;
    expect(read).toEqual(vector.records.map((one) => ({ ...one, timestamp: appendTime ?? one.timestamp })));
  });

  test.runIf(vector.codec === 'none')('is encoded back to the same bytes', () => {
    expect(encodedAgain(bytes).toString('hex')).toBe(vector.hex);
  });

  test.runIf(vector.codec !== 'none')('holds the same records after packing them again', () => {
    const plain = encodedAgain(bytes);
    expect([...recordsOf(plain, limit)]).toEqual([...recordsOf(bytes, limit)]);
  });

  test('is refused when cut short anywhere', () => {
    const step = Math.max(1, Math.floor(bytes.length / 200));
    for (let length = 1; length < bytes.length; length += step)
      expect(() => [...header.batchesOf(bytes.subarray(0, length))], `cut to ${length}`).toThrow(BrokerError);
  });

  test('is refused, or its CRC fails, when any bit that it covers is flipped', () => {
    const step = Math.max(1, Math.floor(bytes.length / 500));
    for (let at = header.crcCoverageStart; at < bytes.length; at += step) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      expect(hasValidCrc(damaged), `flipped at ${at}`).toBe(false);
    }
  });

  test('never makes the decoder fail without a name, whatever byte of it is damaged', () => {
    const step = Math.max(1, Math.floor(bytes.length / 500));
    for (let at = header.crcCoverageStart; at < bytes.length; at += step)
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        try {
          for (const record of recordsOf(damaged, limit)) assert(record.offset !== undefined);
        } catch (error) {
          expect(error, `byte ${at}`).toBeInstanceOf(BrokerError);
        }
      }
  });
});

test('a transaction marker is made as Kafka makes it', () => {
  for (const vector of vectors.filter(({ shape }) => shape.startsWith('marker'))) {
    const bytes = Buffer.from(vector.hex, 'hex');
    const again = encodeEndTransactionMarker({
      kind: vector.shape === 'marker-commit' ? 'commit' : 'abort',
      coordinatorEpoch: decodeEndTransactionMarker(bytes)?.coordinatorEpoch ?? -1,
      producerId: producerId(header.producerIdOf(bytes)) as ProducerId,
      producerEpoch: header.producerEpochOf(bytes),
      timestampMs: header.baseTimestampOf(bytes),
      baseOffset: header.baseOffsetOf(bytes) as Offset,
      partitionLeaderEpoch: header.partitionLeaderEpochOf(bytes),
    });
    expect(again.toString('hex')).toBe(vector.hex);
  }
});
