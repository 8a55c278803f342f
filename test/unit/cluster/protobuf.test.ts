import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ProtobufError, ProtobufReader, ProtobufWriter, varintLength } from '../../../src/cluster/protobuf.ts';

const varints: readonly (readonly [number, string])[] = [
  [0, '00'],
  [1, '01'],
  [127, '7f'],
  [128, '8001'],
  [300, 'ac02'],
  [2 ** 31 - 1, 'ffffffff07'],
  [2 ** 31, '8080808008'],
  [2 ** 32, '8080808010'],
  [2 ** 35, '808080808001'],
  [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f'],
];

for (const [value, hex] of varints)
  test(`the varint ${value} is ${hex}`, () => {
    const writer = new ProtobufWriter(1);
    writer.varint(value);
    assert.equal(writer.bytes().toString('hex'), hex);
    assert.equal(varintLength(value), hex.length / 2);
    assert.equal(new ProtobufReader(Buffer.from(hex, 'hex')).varint(), value);
  });

for (const [value, hex] of [
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [-2, '03'],
  [2 ** 31, '8080808010'],
  [-(2 ** 40), 'ffffffffff3f'],
] as const)
  test(`the zigzag ${value} is ${hex}`, () => {
    const writer = new ProtobufWriter();
    writer.zigzag(value);
    assert.equal(writer.bytes().toString('hex'), hex);
    assert.equal(new ProtobufReader(Buffer.from(hex, 'hex')).zigzag(), value);
  });

for (const value of [-1, 0.5, Number.NaN, 2 ** 53])
  test(`${value} is not written as a varint`, () => {
    assert.throws(() => new ProtobufWriter().varint(value), ProtobufError);
  });

const malformed: readonly (readonly [string, string, (reader: ProtobufReader) => unknown])[] = [
  ['a varint that is cut off', 'ff', (reader) => reader.varint()],
  ['a varint beyond 2^53', 'ffffffffffffff1f', (reader) => reader.varint()],
  ['a varint of eleven bytes', `${'80'.repeat(10)}00`, (reader) => reader.varint()],
  ['a length beyond the message', '05616263', (reader) => reader.delimited()],
  ['a text beyond the message', '05616263', (reader) => reader.text()],
  ['a nested message beyond the message', 'ffffffff0f', (reader) => reader.nested()],
  ['a double that is cut off', '00000000000000', (reader) => reader.double()],
  ['a group, which proto3 does not have', '00', (reader) => reader.skip(3)],
  ['a skipped length beyond the message', '7f', (reader) => reader.skip(2)],
  ['a skipped number that is cut off', '80', (reader) => reader.skip(0)],
];

for (const [title, hex, read] of malformed)
  test(`${title} is refused`, () => {
    assert.throws(() => read(new ProtobufReader(Buffer.from(hex, 'hex'))), ProtobufError);
  });

test('delimited bytes are a view of the message', () => {
  const message = Buffer.from('03616263', 'hex');
  const bytes = new ProtobufReader(message).delimited();
  message[1] = 0x7a;
  assert.equal(bytes.toString(), 'zbc');
});

test('a writer grows beyond its first buffer', () => {
  const writer = new ProtobufWriter(1);
  writer.text('ä'.repeat(100));
  writer.delimited(Buffer.alloc(1_000, 1));
  writer.double(1.5);
  const reader = new ProtobufReader(writer.bytes());
  assert.equal(reader.text(), 'ä'.repeat(100));
  assert.equal(reader.delimited().length, 1_000);
  assert.equal(reader.double(), 1.5);
  assert.equal(reader.isAtEnd, true);
});
