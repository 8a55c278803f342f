import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { ByteReader } from '../../../src/wire/byte-reader.ts';
import { ByteWriter, inlineBytes } from '../../../src/wire/byte-writer.ts';
import { EncodeError } from '../../../src/wire/wire-error.ts';

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  const { chunks, length } = writer.finish();
  assert.equal(
    chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    length,
  );
  return Buffer.concat(chunks);
}

const int64Cases = [
  0,
  1,
  -1,
  4_294_967_295,
  4_294_967_296,
  -4_294_967_296,
  -4_294_967_297,
  2 ** 53 - 1,
  -(2 ** 53) + 1,
];
for (const value of int64Cases)
  test(`an int64 of ${value} is the same whether given as number or as bigint`, () => {
    const bytes = written((writer) => writer.int64(value));
    assert.deepEqual(
      bytes,
      written((writer) => writer.int64(BigInt(value))),
    );
    assert.equal(new ByteReader(bytes).int64(), BigInt(value));
  });

const refused: readonly [string, (writer: ByteWriter) => void][] = [
  ['128 as int8', (writer) => writer.int8(128)],
  ['-129 as int8', (writer) => writer.int8(-129)],
  ['32768 as int16', (writer) => writer.int16(32768)],
  ['-1 as uint16', (writer) => writer.uint16(-1)],
  ['65536 as uint16', (writer) => writer.uint16(65536)],
  ['2147483648 as int32', (writer) => writer.int32(2 ** 31)],
  ['1.5 as int32', (writer) => writer.int32(1.5)],
  ['NaN as int32', (writer) => writer.int32(Number.NaN)],
  ['2^53 as int64', (writer) => writer.int64(2 ** 53)],
  ['2^63 as int64', (writer) => writer.int64(2n ** 63n)],
  ['-2^63 - 1 as int64', (writer) => writer.int64(-(2n ** 63n) - 1n)],
  ['a short uuid', (writer) => writer.uuid('AAAA')],
  ['a uuid with other characters', (writer) => writer.uuid('!!!!!!!!!!!!!!!!!!!!!!')],
  ['a string of 32,768 bytes', (writer) => writer.string('x'.repeat(32_768), true)],
  ['a string of fewer characters but as many bytes', (writer) => writer.string('ł'.repeat(16_384), false)],
];
for (const [title, write] of refused)
  test(`${title} is refused`, () => assert.throws(() => written(write), EncodeError));

for (const value of [
  '',
  'a',
  'żółw',
  '日本',
  'x'.repeat(42),
  'x'.repeat(43),
  `${'x'.repeat(41)}ł`,
  'x'.repeat(32_767),
  '\u{1f600}',
])
  test(`a string of ${value.length} characters (${value.slice(0, 5)}) is read back from both forms`, () => {
    const plain = new ByteReader(written((writer) => writer.string(value, false)));
    assert.equal(plain.string(plain.int16()), value);
    const compact = new ByteReader(written((writer) => writer.string(value, true)));
    assert.equal(compact.string(compact.compactLength()), value);
  });

for (const value of [0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1])
  test(`a varint of ${value} is read back`, () =>
    assert.equal(new ByteReader(written((writer) => writer.uvarint(value))).uvarint(), value));

// Every primitive, met by the end of the buffer at every distance from its own end.
const primitives: readonly [string, (writer: ByteWriter) => void][] = [
  ['bool', (writer) => writer.bool(true)],
  ['int8', (writer) => writer.int8(-2)],
  ['int16', (writer) => writer.int16(-2)],
  ['uint16', (writer) => writer.uint16(65_534)],
  ['int32', (writer) => writer.int32(-2)],
  ['int64 from a number', (writer) => writer.int64(-2)],
  ['int64 from a bigint', (writer) => writer.int64(-2n)],
  ['float64', (writer) => writer.float64(-2.5)],
  ['uuid', (writer) => writer.uuid('AAECAwQFBgcICQoLDA0ODw')],
  ['varint', (writer) => writer.uvarint(300)],
  ['short string', (writer) => writer.string('topic', false)],
  ['long compact string', (writer) => writer.string('topic'.repeat(50), true)],
  ['bytes', (writer) => writer.bytes(Buffer.from('some bytes'))],
  ['sized part', (writer) => writer.sized((inner) => inner.bytes(Buffer.alloc(200, 1)))],
];
for (const [title, write] of primitives)
  test(`writing a ${title} grows the buffer without losing what is there`, () => {
    const expected = written(write);
    for (let before = 16_384 - expected.length - 5; before <= 16_384 + 1; before++) {
      const bytes = written((writer) => {
        for (let i = 0; i < before; i++) writer.int8(i & 0x7f);
        write(writer);
        write(writer);
      });
      assert.equal(bytes.length, before + 2 * expected.length);
      assert.ok(bytes.subarray(before, before + expected.length).equals(expected), `${before} bytes before`);
      assert.ok(bytes.subarray(before + expected.length).equals(expected), `${before} bytes before`);
      for (let i = 0; i < before; i++) if (bytes[i] !== (i & 0x7f)) assert.fail(`byte ${i} of ${before}`);
    }
  });

test('large contents are among the chunks themselves, small ones are copied', () => {
  const large = Buffer.alloc(inlineBytes + 1, 1);
  const small = Buffer.alloc(inlineBytes, 2);
  const writer = new ByteWriter();
  writer.int32(7);
  writer.bytes(large);
  writer.bytes(small);
  writer.bytes(large);
  const { chunks, length } = writer.finish();
  assert.deepEqual(
    chunks.map((chunk) => chunk.length),
    [4, large.length, small.length, large.length],
  );
  assert.equal(chunks[1], large);
  assert.equal(chunks[3], large);
  assert.notEqual(chunks[2]?.buffer, small.buffer);
  assert.equal(length, 4 + 2 * large.length + small.length);
});

for (const size of [0, 1, 127, 128, 200, 16_383, 16_384, 40_000, 2 ** 21])
  test(`a part of ${size} bytes has its size before it, also within another`, () => {
    const content = Buffer.alloc(size, 5);
    const bytes = written((writer) => {
      writer.int8(1);
      writer.sized((outer) => {
        outer.sized((inner) => inner.bytes(content));
        outer.int8(2);
      });
      writer.int8(3);
    });
    const reader = new ByteReader(bytes);
    assert.equal(reader.int8(), 1);
    reader.sized(reader.uvarint(), (outer) => {
      const inner = outer.uvarint();
      assert.ok(outer.bytes(inner).equals(content));
      assert.equal(outer.int8(), 2);
    });
    assert.equal(reader.int8(), 3);
    assert.equal(reader.left, 0);
  });

test('an encoding that failed, or one begun within another, spoils no other', () => {
  const first = new ByteWriter();
  first.string('first', true);
  const second = new ByteWriter();
  second.string('second', true);
  assert.throws(() => new ByteWriter().int8(1000), EncodeError);
  first.string('more', true);
  assert.equal(Buffer.concat(first.finish().chunks).toString(), '\x06first\x05more');
  assert.equal(Buffer.concat(second.finish().chunks).toString(), '\x07second');
});

test('messages encoded one after the other keep their bytes', () => {
  const encoded = Array.from({ length: 5000 }, (_, i) => {
    const writer = new ByteWriter();
    writer.int32(i);
    writer.string(`message ${i}`, true);
    return writer.finish().chunks;
  });
  encoded.forEach((chunks, i) => {
    const reader = new ByteReader(Buffer.concat(chunks));
    assert.equal(reader.int32(), i);
    assert.equal(reader.string(reader.compactLength()), `message ${i}`);
  });
});

describe('a list that comes again', () => {
  const texts = Array.from({ length: 2000 }, (_, at) => `text-${at}`);

  /** What is written of `lists`, and how often one of them was gone through. */
  function writing(...lists: readonly (readonly string[])[]): { chunks: Buffer[]; times: number } {
    const writer = new ByteWriter();
    let times = 0;
    for (const list of lists)
      writer.list(list, (into) => {
        times++;
        for (const text of list) into.string(text, true);
      });
    return { chunks: writer.finish().chunks, times };
  }

  test('is made twice at most, and kept once', () => {
    const once = Buffer.concat(writing(texts).chunks);
    const { chunks, times } = writing(...Array.from({ length: 50 }, () => texts));
    assert.equal(times, 2);
    assert.ok(Buffer.concat(chunks).equals(Buffer.concat(Array.from({ length: 50 }, () => once))));
    assert.equal(new Set(chunks.map(({ buffer }) => buffer)).size, 2);
  });

  test('is made anew after another', () => {
    const others = ['a', 'b'];
    const { chunks, times } = writing(texts, others, others, others, texts);
    assert.equal(times, 4);
    const expected = [texts, others, others, others, texts].map((list) => Buffer.concat(writing(list).chunks));
    assert.ok(Buffer.concat(chunks).equals(Buffer.concat(expected)));
  });
});
