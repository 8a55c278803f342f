import { describe, expect, test } from 'vitest';
import { BrokerError, type FaultOf } from '../../../src/model/fault.ts';
import { encodeBatch, unpackedRecords } from '../../../src/records/record-batch.ts';
import { checkRecords, RecordCheck } from '../../../src/records/record-check.ts';

const timestampMs = 1_700_000_000_000;
const batchOf = (keys: readonly (string | null)[]): Buffer =>
  encodeBatch({
    records: keys.map((key) => ({
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from('some value'),
      timestampMs,
      headers: [{ key: 'h', value: null }],
    })),
  });
const recordsIn = (batch: Buffer): Buffer => unpackedRecords(batch, 1 << 20);

function refusalOf(run: () => void): FaultOf<'INVALID_RECORD'> | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof BrokerError && error.fault.code === 'INVALID_RECORD') return error.fault;
    throw error;
  }
}

describe('the records of a compacted topic', () => {
  test('are taken where each has a key, be it empty', () => {
    const batch = batchOf(['a', '', 'c']);
    expect(refusalOf(() => checkRecords(batch, recordsIn(batch)))).toBe(null);
  });

  test('are refused where some have no key, and these are named', () => {
    const batch = batchOf(['a', null, 'c', null]);
    const refusal = refusalOf(() => checkRecords(batch, recordsIn(batch)));
    expect(refusal?.recordErrors?.map(({ index }) => index)).toEqual([1, 3]);
  });

  test('are counted over all pieces they come in', () => {
    const batch = batchOf(['a', null, 'c', null]);
    const records = recordsIn(batch);
    const size = records.length / 4 + 0.25; // a key is a byte more
    const check = new RecordCheck(batch);
    const half = Math.floor(size * 2);
    for (const piece of [records.subarray(0, half), records.subarray(half)]) {
      check.enter(piece);
      while (check.look());
    }
    expect(refusalOf(() => check.finish())?.recordErrors?.map(({ index }) => index)).toEqual([1, 3]);
  });

  test('are looked at no further where a hundred have no key: the answer is as small as the request', () => {
    const batch = batchOf(Array.from({ length: 1000 }, () => null));
    const check = new RecordCheck(batch);
    check.enter(recordsIn(batch));
    const refusal = refusalOf(() => check.look());
    expect(refusal?.recordErrors).toHaveLength(100);
  });

  test('are refused for good where they make no sense: clients try a CORRUPT_MESSAGE again', () => {
    const batch = batchOf(['a', 'b']);
    const records = recordsIn(batch);
    expect(refusalOf(() => checkRecords(batch, records.subarray(0, -1)))?.reason).toContain('cut short');
    expect(refusalOf(() => checkRecords(batch, records.subarray(0, records.length / 2)))?.reason).toContain(
      '1 records',
    );
    const headless = Buffer.from(records);
    headless[records.length / 2 - 4] = 3; // a negative header count
    expect(refusalOf(() => checkRecords(batch, headless))).not.toBe(null);
  });

  test('are looked at in several steps where one of them has very many headers', () => {
    const headers = Array.from({ length: 200_000 }, () => ({ key: '', value: null }));
    const record = { key: Buffer.from('k'), value: null, timestampMs };
    const batch = encodeBatch({ records: [record, { ...record, headers }, record] });
    const check = new RecordCheck(batch);
    check.enter(unpackedRecords(batch, 1 << 20));
    let steps = 1;
    while (check.look()) steps++;
    check.finish();
    expect(steps).toBeGreaterThan(3);
  });
});
