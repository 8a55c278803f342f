import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import { compress } from '../../../src/records/compression.ts';
import { encodeBatch, unpackedRecords, withPackedRecords } from '../../../src/records/record-batch.ts';
import { recordPieces, recordsAtOnce } from '../../../src/records/record-pieces.ts';
import { RecordWalk } from '../../../src/records/record-walk.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import { randomBatch } from '../../support/random-batch.ts';

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const maxBytes = 8 << 20;
const timestampMs = 1_700_000_000_000;

async function piecesOf(batch: Buffer, most = maxBytes): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of recordPieces(batch, most)) pieces.push(Buffer.from(piece));
  return pieces;
}

/** The code of what it rejects with, or its result. */
async function outcomeOf<Result>(run: () => Result | Promise<Result>): Promise<Result | string> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BrokerError) return error.fault.code;
    throw error;
  }
}

const tinyRecords = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: Buffer.from(`k${index}`), value: null, timestampMs }));

describe.each(codecs)('a batch in %s', (codec) => {
  test('of many records is had in pieces of whole ones', async () => {
    const batch = encodeBatch({ records: tinyRecords(60_000), codec });
    expect(recordsAtOnce(batch)).toBe(null);
    const pieces = await piecesOf(batch);
    expect(pieces.length).toBeGreaterThan(4);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(160 << 10);
    expect(Buffer.concat(pieces).equals(unpackedRecords(batch, maxBytes))).toBe(true);
    const walk = new RecordWalk(batch);
    for (const piece of pieces) {
      walk.enter(piece);
      while (walk.next());
    }
    walk.finish();
  });

  test.each([1, 2, 3, 4, 5, 6])('of records of any size is cut between them (seed %i)', async (seed) => {
    const random = new SeededRandom(seed);
    const batch = randomBatch(random, { count: 20 + random.below(40), mostBytes: 30_000 }, { codec });
    const pieces = await piecesOf(batch);
    expect(Buffer.concat(pieces).equals(unpackedRecords(batch, maxBytes))).toBe(true);
    const walk = new RecordWalk(batch);
    for (const piece of pieces) {
      walk.enter(piece);
      while (walk.next())
        do walk.checkHeaders(2);
        while (walk.hasHeadersLeft);
    }
    walk.finish();
  });

  test('of one record that is larger than a piece is had whole, and others get their turns before', async () => {
    const value = Buffer.alloc(3 << 20, 'abc');
    const batch = encodeBatch({ records: [{ key: null, value, timestampMs }], codec });
    const pieces = await piecesOf(batch);
    const whole = pieces.filter(({ length }) => length > 0);
    expect(whole).toHaveLength(1);
    expect(whole[0]?.equals(unpackedRecords(batch, maxBytes))).toBe(true);
    if (codec !== 'none') expect(pieces.length, 'with those without a record').toBeGreaterThan(1);
  });

  test('that is small is had at once, and the same in pieces', async () => {
    const batch = encodeBatch({ records: tinyRecords(200), codec });
    expect(recordsAtOnce(batch)).toEqual(unpackedRecords(batch, maxBytes));
    expect(Buffer.concat(await piecesOf(batch))).toEqual(recordsAtOnce(batch));
  });

  test.runIf(codec !== 'none')('is too large, and not corrupt, where it unpacks to more than the limit', async () => {
    const large = { key: null, value: Buffer.alloc(300_000), timestampMs };
    const batch = encodeBatch({ records: [...tinyRecords(60_000), large], codec });
    const { length } = unpackedRecords(batch, maxBytes);
    expect(await outcomeOf(() => piecesOf(batch, 250_000))).toBe('MESSAGE_TOO_LARGE');
    expect(await outcomeOf(() => piecesOf(batch, length - 1))).toBe('MESSAGE_TOO_LARGE');
    expect(await outcomeOf(async () => Buffer.concat(await piecesOf(batch, length)).length)).toBe(length);
  });

  test('has the verdict of unpacking it whole, wherever it is cut and whichever byte is damaged', async () => {
    const batch = encodeBatch({ records: tinyRecords(40), codec });
    const packedBytes = batch.length - header.batchHeaderBytes;
    const step = Math.max(1, Math.floor(packedBytes / 40));
    for (let at = 0; at < packedBytes; at += step)
      for (const packed of [
        batch.subarray(header.batchHeaderBytes, header.batchHeaderBytes + at),
        Buffer.from(batch.subarray(header.batchHeaderBytes)).fill(0xa5, at, at + 1),
      ]) {
        const damaged = withPackedRecords(batch, packed, codec);
        const whole = await outcomeOf(() => unpackedRecords(damaged, maxBytes));
        const inPieces = await outcomeOf(async () => Buffer.concat(await piecesOf(damaged)));
        const atOnce = await outcomeOf(() => recordsAtOnce(damaged));
        expect(atOnce, `at ${at}`).toEqual(whole);
        // What unpacks may still be cut within a record.
        if (whole instanceof Buffer && inPieces instanceof Buffer) expect(inPieces.equals(whole)).toBe(true);
        else expect(inPieces, `at ${at}`).toBe('CORRUPT_MESSAGE');
      }
  });
});

test('a batch whose records compaction took has none, whatever its codec says', async () => {
  const packed = encodeBatch({ records: tinyRecords(1), codec: 'gzip' });
  const batch = packed.subarray(0, header.batchHeaderBytes);
  expect(recordsAtOnce(batch)).toHaveLength(0);
  expect(Buffer.concat(await piecesOf(batch))).toHaveLength(0);
});

test.each([
  ['a negative length', [0x01]],
  ['a length of six bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
  ['a length beyond the last byte', [0xfe, 0x01]],
  ['the beginning of a length', [0x80, 0x80]],
])('%s at the end is corrupt', async (_, bytes) => {
  const records = unpackedRecords(encodeBatch({ records: tinyRecords(3) }), maxBytes);
  for (const codec of ['none', 'lz4'] as const) {
    const plain = Buffer.concat([records, Buffer.from(bytes)]);
    const batch = withPackedRecords(encodeBatch({ records: tinyRecords(3) }), compress(codec, plain), codec);
    expect(await outcomeOf(() => piecesOf(batch)), codec).toBe('CORRUPT_MESSAGE');
  }
});
