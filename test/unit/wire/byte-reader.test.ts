import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ByteReader, zeroUuid } from '../../../src/wire/byte-reader.ts';
import { WireError } from '../../../src/wire/wire-error.ts';

const reader = (hex: string, maxElements?: number) => new ByteReader(Buffer.from(hex, 'hex'), 0, maxElements);

const varints = [
  ['one byte', '7f', 127],
  ['two bytes', '8001', 128],
  ['all 32 bits', 'ffffffff0f', 2 ** 32 - 1],
  ['padded within five bytes, as Kafka reads it', '8080808000', 0],
] as const;
for (const [title, hex, value] of varints)
  test(`a varint is read: ${title}`, () => assert.equal(reader(hex).uvarint(), value));

const badVarints = [
  ['no bytes', ''],
  ['cut short', 'ffff'],
  ['more than 32 bits', 'ffffffff10'],
  ['a sixth byte', '808080808000'],
] as const;
for (const [title, hex] of badVarints)
  test(`a varint is refused: ${title}`, () => assert.throws(() => reader(hex).uvarint(), WireError));

const tooShort: readonly [string, number, (input: ByteReader) => unknown][] = [
  ['bool', 1, (input) => input.bool()],
  ['int8', 1, (input) => input.int8()],
  ['int16', 2, (input) => input.int16()],
  ['uint16', 2, (input) => input.uint16()],
  ['int32', 4, (input) => input.int32()],
  ['int64', 8, (input) => input.int64()],
  ['float64', 8, (input) => input.float64()],
  ['uuid', 16, (input) => input.uuid()],
  ['string', 5, (input) => input.string(5)],
  ['bytes', 5, (input) => input.bytes(5)],
  ['sized part', 5, (input) => input.sized(5, (part) => part.skip(5))],
];
for (const [title, bytes, read] of tooShort)
  test(`a ${title} needs ${bytes} bytes`, () => {
    read(new ByteReader(Buffer.alloc(bytes)));
    assert.throws(() => read(new ByteReader(Buffer.alloc(bytes - 1))), WireError);
  });

test('the view begins where the buffer does, also within a larger one', () => {
  const within = Buffer.from('ffff00000007ffff', 'hex').subarray(2, 6);
  assert.equal(new ByteReader(within).int32(), 7);
});

test('a uuid is 22 characters of base64url', () => {
  assert.equal(reader('000102030405060708090a0b0c0d0e0f').uuid(), 'AAECAwQFBgcICQoLDA0ODw');
  assert.equal(reader('00'.repeat(16)).uuid(), zeroUuid);
});

test('bytes are a view of the buffer', () => {
  const buffer = Buffer.from('abcdef');
  assert.equal(new ByteReader(buffer, 2).bytes(3).buffer, buffer.buffer);
});

test('a string of more than 32,767 bytes is refused', () => {
  const buffer = Buffer.alloc(40_000, 'x');
  assert.equal(new ByteReader(buffer).string(32_767).length, 32_767);
  assert.throws(() => new ByteReader(buffer).string(32_768), WireError);
});

test('more elements than there are bytes for are refused', () => {
  const input = reader('00'.repeat(40));
  input.takeElements(10, 4);
  assert.throws(() => input.takeElements(11, 4), WireError);
  assert.throws(() => input.takeElements(2 ** 32 - 2, 1), WireError);
});

test('the elements of all arrays of a message are counted together', () => {
  const input = reader('00'.repeat(40), 15);
  input.takeElements(10, 1);
  assert.throws(() => input.takeElements(6, 1), WireError);
});

test('a sized part may neither use less than its size nor reach beyond it', () => {
  assert.throws(() => reader('0011223344').sized(3, (part) => part.int16()), WireError);
  assert.throws(() => reader('0011223344').sized(3, (part) => part.int32()), WireError);
  const input = reader('0011223344');
  assert.equal(
    input.sized(4, (part) => part.int32()),
    0x00112233,
  );
  assert.equal(input.left, 1);
});

test('a string that is no UTF-8 is refused where what it becomes could not be written', () => {
  const fits = Buffer.alloc(10_922, 0xff);
  assert.equal(new ByteReader(fits).string(10_922), '\ufffd'.repeat(10_922));
  assert.throws(() => new ByteReader(Buffer.alloc(10_923, 0xff)).string(10_923), WireError);
});
