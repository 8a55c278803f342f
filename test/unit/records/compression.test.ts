import { describe, expect, test } from 'vitest';
import { type Codec, compress, decompress } from '../../../src/records/compression.ts';
import { crc32c, crc32cInJavaScript } from '../../../src/records/crc32c.ts';
import { DecompressionError } from '../../../src/records/decompression-error.ts';
import { compressLz4FrameInJavaScript, decompressLz4Frame } from '../../../src/records/lz4-frame.ts';
import { compressSnappy, decompressSnappy, snappyInJavaScript } from '../../../src/records/snappy-blocks.ts';

/** Numbers that look random and are the same each time. */
function* numbers(seed: number): Generator<number, never, undefined> {
  for (;;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    yield seed;
  }
}

function noise(length: number, seed = 1, values = 256): Buffer {
  const source = numbers(seed);
  return Buffer.from(Array.from({ length }, () => (source.next().value >>> 16) % values));
}

const texts: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['words', Buffer.from('the quick brown fox '.repeat(5000))],
  ['zeros over several blocks', Buffer.alloc(300_000)],
  ['noise over several blocks', noise(200_001)],
  ['few letters', noise(150_000, 7, 3)],
];
const codecs: Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

describe.each(codecs)('%s', (codec) => {
  test.each(texts)('gives back %s', (_, text) => {
    expect(decompress(codec, compress(codec, text), text.length).equals(text)).toBe(true);
  });

  test('stops at the limit, one byte over', () => {
    for (const [, text] of texts.slice(2)) {
      const packed = compress(codec, text);
      expect(() => decompress(codec, packed, text.length - 1)).toThrow(DecompressionError);
    }
  });

  test.runIf(codec !== 'none')('refuses a bomb without unpacking it', () => {
    const bomb = compress(codec, Buffer.alloc(64 << 20));
    expect(() => decompress(codec, bomb, 1 << 20)).toThrow(DecompressionError);
  });

  test.runIf(codec !== 'none')('refuses bytes cut short or damaged, or gives at most the limit', () => {
    const packed = compress(codec, Buffer.from('abcabcabcabcabcabc-'.repeat(200)));
    for (let length = 0; length < packed.length; length++)
      for (const bytes of [packed.subarray(0, length), flipped(packed, length)])
        try {
          expect(decompress(codec, bytes, 10_000).length).toBeLessThanOrEqual(10_000);
        } catch (error) {
          expect(error).toBeInstanceOf(DecompressionError);
        }
  });
});

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x55;
  return copy;
};

describe('the JavaScript fallbacks', () => {
  test.each(texts)('pack and unpack %s as the native ones do', (_, text) => {
    const limit = text.length;
    const snappy = snappyInJavaScript();
    expect(decompressLz4Frame(compressLz4FrameInJavaScript(text), limit).equals(text)).toBe(true);
    expect(decompressSnappy(compressSnappy(text, snappy), limit).equals(text)).toBe(true);
    expect(decompressSnappy(compressSnappy(text), limit, snappy).equals(text)).toBe(true);
    expect(crc32cInJavaScript(text)).toBe(crc32c(text));
  });

  test('lz4 frames have independent blocks, which Kafka demands', () => {
    expect(compressLz4FrameInJavaScript(Buffer.from('a')).readUInt8(4) & 0x20).toBe(0x20);
    expect(compress('lz4', Buffer.from('a')).readUInt8(4) & 0x20).toBe(0x20);
  });

  test('snappy without the xerial framing is read too', () => {
    const text = Buffer.from('abc'.repeat(100));
    expect(decompressSnappy(snappyInJavaScript().compress(text), 300).equals(text)).toBe(true);
  });
});

describe('CRC-32C', () => {
  test('of "123456789" is the check value of its definition', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32cInJavaScript(Buffer.from('123456789'))).toBe(0xe3069283);
  });

  test('is the same in JavaScript at every length and alignment', () => {
    const bytes = noise(200);
    for (let from = 0; from < 9; from++)
      for (let to = from; to < bytes.length; to++)
        expect(crc32cInJavaScript(bytes.subarray(from, to))).toBe(crc32c(bytes.subarray(from, to)));
  });
});
