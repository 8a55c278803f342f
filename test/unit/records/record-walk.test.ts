import { describe, expect, test } from 'vitest';
import type { Offset } from '../../../src/model/brands.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import { encodeBatch, recordsOf, unpackedRecords } from '../../../src/records/record-batch.ts';
import { RecordWalk } from '../../../src/records/record-walk.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import { randomBatch } from '../../support/random-batch.ts';

const maxBytes = 1 << 20;
const seeds = Array.from({ length: 8 }, (_, index) => index + 1);

/** What a reader says of a batch: its records, or that it is corrupt. */
type Verdict = readonly string[] | 'CORRUPT_MESSAGE';

function verdictOf(read: () => readonly string[]): Verdict {
  try {
    return read();
  } catch (error) {
    if (error instanceof BrokerError && error.fault.code === 'CORRUPT_MESSAGE') return 'CORRUPT_MESSAGE';
    throw error;
  }
}

const told = (offset: number, key: Buffer | null, hasValue: boolean, timestampMs: number): string =>
  `${offset} ${key === null ? 'none' : key.toString('hex')} ${hasValue} ${timestampMs}`;

/** By decoding all of it; offsets that are not the batch's, or do not rise, are what decoding lets pass. */
const decoded = (batch: Buffer): Verdict =>
  verdictOf(() => {
    let before = header.baseOffsetOf(batch) - 1;
    const records: string[] = [];
    for (const { offset, key, value, timestampMs } of recordsOf(batch, maxBytes)) {
      records.push(told(offset, key, value !== null, timestampMs));
      if (offset <= before || offset > header.lastOffsetOf(batch))
        throw new BrokerError({ code: 'CORRUPT_MESSAGE', reason: `offset ${offset} after ${before}` });
      before = offset;
    }
    return records;
  });

const walked = (batch: Buffer): Verdict =>
  verdictOf(() => {
    const walk = new RecordWalk(batch, unpackedRecords(batch, maxBytes));
    const records: string[] = [];
    while (walk.next()) {
      do walk.checkHeaders(2);
      while (walk.hasHeadersLeft);
      expect(walk.hasKey).toBe(walk.key !== null);
      records.push(told(walk.offset, walk.key, walk.hasValue, header.baseTimestampOf(batch) + walk.timestampDelta));
    }
    walk.finish();
    return records;
  });

/** The fields that the records are held against, and the records. */
const damageable = (batch: Buffer): number[] =>
  [...batch.keys()].filter((at) => (at >= 23 && at < 27) || at >= header.batchHeaderBytes - 4);

describe.each(seeds)('a walk over the records of a batch (seed %i)', (seed) => {
  const random = new SeededRandom(seed);
  const batch = randomBatch(
    random,
    { count: 1 + random.below(8), mostBytes: random.chance(0.5) ? 3 : 70, hasGaps: random.chance(0.3) },
    { baseOffset: random.below(2 ** 40) as Offset },
  );

  test('finds what decoding finds', () => {
    expect(decoded(batch)).not.toBe('CORRUPT_MESSAGE');
    expect(walked(batch)).toEqual(decoded(batch));
  });

  test('comes to the same verdict wherever they are cut', () => {
    for (let length = header.batchHeaderBytes; length < batch.length; length++)
      expect(walked(batch.subarray(0, length)), `cut to ${length}`).toEqual('CORRUPT_MESSAGE');
  });

  test('comes to the verdict of decoding whichever bit is flipped', () => {
    for (const at of damageable(batch))
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(batch);
        damaged[at] = (damaged[at] as number) ^ (1 << bit);
        expect(walked(damaged), `bit ${bit} of byte ${at}`).toEqual(decoded(damaged));
      }
  });

  test('comes to the verdict of decoding whatever several bytes are', () => {
    for (let round = 0; round < 300; round++) {
      const damaged = Buffer.from(batch);
      for (let count = random.below(3); count >= 0; count--)
        damaged[header.batchHeaderBytes + random.below(damaged.length - header.batchHeaderBytes)] =
          [0, 1, 2, 0x7f, 0x80, 0xff][random.below(6)] ?? 0;
      expect(walked(damaged), damaged.toString('hex')).toEqual(decoded(damaged));
    }
  });
});

/** A record of these fields, its length in front; the offset delta is its second byte. */
const recordOf = (fields: readonly number[]): Buffer => Buffer.from([fields.length * 2, ...fields]);

function batchAround(records: readonly Buffer[]): Buffer {
  const all = Buffer.concat(records);
  const empty = { key: null, value: null, timestampMs: 0 };
  const head = encodeBatch({ records: records.map(() => empty) }).subarray(0, header.batchHeaderBytes);
  return Buffer.concat([head, all]);
}

test.each([
  [[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 1, 1, 0], -(2 ** 63)],
  [[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 1, 1, 0], 2 ** 63],
  [[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 1, 1, 0], -(2 ** 53)],
  [[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 1, 1, 0], 2 ** 53 - 1],
  [[0, 0x80, 0x80, 0x80, 0x80, 0x02, 0, 1, 1, 0], 2 ** 28],
  [[0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e, 0, 1, 1, 0], 0],
])('a timestamp delta of many bytes is read to the last of its 64 bits (%j)', (fields, expected) => {
  const walk = new RecordWalk(batchAround([recordOf(fields)]), recordOf(fields));
  expect(walk.next()).toBe(true);
  expect(walk.timestampDelta).toBe(expected);
});

// what is wrong | the fields of two records
const wrongOffsets: [string, number, number][] = [
  ['the same twice', 0, 0],
  ['falling', 2, 0],
  ['below the batch', 1, 2],
  ['beyond the batch', 0, 4],
];
test.each(wrongOffsets)('offsets that are %s are corrupt: compaction goes by them', (_, first, second) => {
  const records = [first, second].map((delta) => recordOf([0, 0, delta, 1, 1, 0]));
  const walk = new RecordWalk(batchAround(records), Buffer.concat(records));
  expect(() => {
    while (walk.next());
  }).toThrow(BrokerError);
});

test('records in several pieces are those of one batch', () => {
  const pieces = [0, 2, 4].map((delta) => recordOf([0, 0, delta, 2, 65 + delta, 1, 0]));
  const walk = new RecordWalk(batchAround(pieces));
  const keys: string[] = [];
  for (const piece of pieces) {
    expect(() => walk.finish()).toThrow(BrokerError);
    walk.enter(piece);
    while (walk.next()) keys.push(`${walk.offset} ${walk.key}`);
  }
  walk.finish();
  expect(keys).toEqual(['0 A', '1 C', '2 E']);
  walk.enter(pieces[0] as Buffer);
  expect(() => walk.next(), 'one too many').toThrow(BrokerError);
});
