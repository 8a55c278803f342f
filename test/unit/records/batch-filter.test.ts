import { describe, expect, test } from 'vitest';
import type { Offset, ProducerId } from '../../../src/model/brands.ts';
import type { BatchFilter } from '../../../src/records/batch-filter.ts';
import * as header from '../../../src/records/batch-header.ts';
import { type BatchToWrite, encodeBatch, hasValidCrc, recordsOf } from '../../../src/records/record-batch.ts';
import { filterBatch } from '../../support/filter-batch.ts';

const nowMs = 1_700_000_000_000;
const maxBytes = 1 << 20;
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

const batchOf = (values: readonly (string | null)[], options: Partial<BatchToWrite> = {}): Buffer =>
  encodeBatch({
    records: values.map((value, index) => ({
      key: Buffer.from(`key ${index}`),
      value: value === null ? null : Buffer.from(value),
      timestampMs: nowMs + index * 1000 * (index % 2 === 0 ? 1 : -1),
      headers: [{ key: 'h', value: Buffer.from('x') }],
    })),
    baseOffset: 100 as Offset,
    producerId: 7 as ProducerId,
    producerEpoch: 1,
    baseSequence: 20,
    ...options,
  });

function filtered(batch: Buffer, kept: readonly number[], options: Partial<BatchFilter> = {}): Buffer | null {
  return filterBatch(batch, {
    retains: ({ offset }) => kept.includes(offset - header.baseOffsetOf(batch)),
    newHorizonMs: null,
    keepsHeader: false,
    ...options,
  });
}

const recordsIn = (batch: Buffer) => [...recordsOf(batch, maxBytes)];

test('a record whose time does not fit 64 bits does not stop the filter', () => {
  const records = ['a', 'b'].map((value, index) => ({
    key: Buffer.from(`key ${index}`),
    value: Buffer.from(value),
    timestampMs: nowMs + index * (2 ** 63 - 2 ** 40),
  }));
  const batch = encodeBatch({ records, logAppendTimeMs: nowMs });
  batch.writeInt16BE(header.attributesOf(batch) & ~8, 21);
  const kept = filtered(batch, [1]) as Buffer;
  expect(header.maxTimestampOf(kept)).toBe(nowMs);
  expect(header.recordCountOf(kept)).toBe(1);
});

describe.each(codecs)('a batch in %s', (codec) => {
  const whole = batchOf(['a', 'b', 'c', 'd', 'e'], { codec });

  test('is the same bytes when nothing goes', () => {
    expect(filtered(whole, [0, 1, 2, 3, 4])).toBe(whole);
  });

  test.each([[[0]], [[4]], [[1, 2]], [[0, 2, 4]], [[1, 2, 3, 4]]])(
    'keeps records %j as they were, and its place, producer and codec',
    (kept) => {
      const rest = filtered(whole, kept) as Buffer;
      expect(recordsIn(rest)).toEqual(recordsIn(whole).filter((_, index) => kept.includes(index)));
      expect(hasValidCrc(rest)).toBe(true);
      expect(header.batchBytesOf(rest)).toBe(rest.length);
      for (const field of [
        header.baseOffsetOf,
        header.lastOffsetOf,
        header.baseTimestampOf,
        header.attributesOf,
        header.lastSequenceOf,
        header.producerIdOf,
        header.producerEpochOf,
        header.partitionLeaderEpochOf,
      ])
        expect(field(rest), field.name).toBe(field(whole));
      expect(header.maxTimestampOf(rest)).toBe(Math.max(...recordsIn(rest).map(({ timestampMs }) => timestampMs)));
    },
  );

  test('is nothing, or a header that tells offsets and sequence, when all records go', () => {
    expect(filtered(whole, [])).toBeNull();
    const rest = filtered(whole, [], { keepsHeader: true }) as Buffer;
    expect(rest.length).toBe(header.batchHeaderBytes);
    expect(hasValidCrc(rest)).toBe(true);
    expect([...header.batchesOf(rest)]).toHaveLength(1);
    expect(recordsIn(rest)).toEqual([]);
    expect(header.codecNumberOf(rest)).toBe(0);
    expect(header.lastOffsetOf(rest)).toBe(104);
    expect(header.lastSequenceOf(rest)).toBe(24);
    expect(header.maxTimestampOf(rest)).toBe(header.maxTimestampOf(whole));
    expect(filtered(rest, [], { keepsHeader: true })).toBe(rest);
    expect(filtered(rest, [])).toBeNull();
  });

  test('gets a delete horizon once it keeps a tombstone, and its records keep their times', () => {
    const horizonMs = nowMs + 86_400_000;
    const before = batchOf(['a', null, 'c', null], { codec });
    const kept = filtered(before, [0, 1, 2, 3], { newHorizonMs: horizonMs }) as Buffer;
    expect(header.hasDeleteHorizon(kept)).toBe(true);
    expect(header.baseTimestampOf(kept)).toBe(horizonMs);
    expect(hasValidCrc(kept)).toBe(true);
    expect(recordsIn(kept)).toEqual(recordsIn(before));
    expect(header.maxTimestampOf(kept)).toBe(header.maxTimestampOf(before));
    expect(filtered(kept, [0, 1, 2, 3], { newHorizonMs: horizonMs + 5 }), 'a second horizon').toBe(kept);

    const fewer = filtered(before, [1, 2], { newHorizonMs: horizonMs }) as Buffer;
    expect(recordsIn(fewer)).toEqual(recordsIn(before).slice(1, 3));
    const later = filtered(kept, [2], { newHorizonMs: horizonMs + 5 }) as Buffer;
    expect(recordsIn(later)).toEqual(recordsIn(before).slice(2, 3));
    expect(header.baseTimestampOf(later)).toBe(horizonMs);
  });

  test('gets no delete horizon for a tombstone that goes', () => {
    const before = batchOf(['a', null], { codec });
    expect(header.hasDeleteHorizon(filtered(before, [0], { newHorizonMs: nowMs }) as Buffer)).toBe(false);
  });
});

test('the time of the log stays that of all records under LogAppendTime', () => {
  const stamped = batchOf(['a', null, 'c'], { logAppendTimeMs: nowMs + 77 });
  const rest = filtered(stamped, [0, 1], { newHorizonMs: nowMs + 5000 }) as Buffer;
  expect(recordsIn(rest).map(({ timestampMs }) => timestampMs)).toEqual([nowMs + 77, nowMs + 77]);
});
