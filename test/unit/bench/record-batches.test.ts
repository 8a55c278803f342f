/** The raw client's batches, checked against constants and against themselves: it is the yardstick for other code. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { loadBatch, loadValue } from '../../bench/produce-load.ts';
import { KafkaReader, KafkaWriter } from '../../support/kafka-bytes.ts';
import { batchesIn, crc32cOf, encodeRecordBatch, recordsOf } from '../../support/record-batches.ts';

const values = ['one', '', 'three'].map((text) => ({
  value: Buffer.from(text),
  key: text === '' ? Buffer.from('k') : null,
}));

test('CRC-32C has the check value of its definition (RFC 3720, B.4)', () => {
  assert.equal(crc32cOf(Buffer.from('123456789')), 0xe3069283);
});

test('records come back from a batch with their offsets, keys and values', () => {
  const batch = encodeRecordBatch(values, { timestampMs: 1 });
  batch.writeBigInt64BE(40n, 0);
  const [header] = batchesIn(batch);
  assert.ok(header);
  assert.deepEqual([header.baseOffset, header.lastOffset, header.recordCount, header.producerId], [40, 42, 3, -1]);
  const texts = recordsOf(header).map(({ offset, key, value }) => [offset, key?.toString() ?? null, value?.toString()]);
  assert.deepEqual(texts, [
    [40, null, 'one'],
    [41, 'k', ''],
    [42, null, 'three'],
  ]);
});

test('a changed byte is found', () => {
  const batch = encodeRecordBatch(values, { timestampMs: 1 });
  batch.writeUInt8(batch.readUInt8(batch.length - 2) ^ 1, batch.length - 2);
  const [header] = batchesIn(batch);
  assert.ok(header);
  assert.throws(() => recordsOf(header), /CRC/);
});

test('a batch cut off at the end of an answer is left out', () => {
  const batch = encodeRecordBatch(values, { timestampMs: 1 });
  const answer = Buffer.concat([batch, batch.subarray(0, batch.length - 1)]);
  assert.equal([...batchesIn(answer)].length, 1);
});

test('an idempotent batch carries its producer', () => {
  const batch = encodeRecordBatch(values, { timestampMs: 1, producerId: 7, producerEpoch: 2, baseSequence: 5 });
  assert.deepEqual([batch.readBigInt64BE(43), batch.readInt16BE(51), batch.readInt32BE(53)], [7n, 2, 5]);
});

test('a load batch is about as large as asked and holds at least one record', () => {
  const { batch, records } = loadBatch(100, 16_384, 0, 1);
  assert.ok(batch.length > 15_000 && batch.length < 17_000, String(batch.length));
  assert.equal(records, 148);
  assert.equal(loadBatch(1000, 10, 0, 1).records, 1);
});

test('load values differ by seed, so that no compression takes them for one', () => {
  assert.notDeepEqual(loadValue(100, 1), loadValue(100, 2));
});

const numbers = [0, 1, -1, 63, -64, 64, 300, -300, 2 ** 30, -(2 ** 30)];
test('varints come back', () => {
  const writer = new KafkaWriter();
  for (const number of numbers) writer.varint(number);
  const reader = new KafkaReader(writer.bytes());
  assert.deepEqual(
    numbers.map(() => reader.varint()),
    numbers,
  );
  assert.equal(reader.remaining, 0);
});

test('reading past the end is an error', () => {
  assert.throws(() => new KafkaReader(Buffer.of(0, 5, 1)).string(), RangeError);
});
