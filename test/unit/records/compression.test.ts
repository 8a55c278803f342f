import { describe, expect, test, vi } from 'vitest';
import { type Codec, compress, decompress } from '../../../src/records/compression.ts';
import { crc32c, crc32cInJavaScript } from '../../../src/records/crc32c.ts';
import { DecompressionError } from '../../../src/records/decompression-error.ts';
import { compressLz4FrameInJavaScript, decompressLz4Frame, lz4Pieces } from '../../../src/records/lz4-frame.ts';
import {
  compressSnappy,
  decompressSnappy,
  snappyInJavaScript,
  snappyPieces,
} from '../../../src/records/snappy-blocks.ts';

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

describe('frames of very many blocks', () => {
  const header = (flags: number, blockSize = 0x40): number[] => [0x04, 0x22, 0x4d, 0x18, flags, blockSize, 0];
  const linked = 0x40;
  const independent = 0x60;
  const endMark = [0, 0, 0, 0];
  const stored = (...bytes: number[]): number[] => [bytes.length, 0, 0, 0x80, ...bytes];
  const packed = (...bytes: number[]): number[] => [bytes.length & 0xff, bytes.length >> 8, 0, 0, ...bytes];
  /** One zero, repeated: 65,020 bytes or so, of 260. */
  const zeros = packed(0x1f, 0, 1, 0, ...Array.from({ length: 254 }, () => 255), 0, 0x10, 0);
  const zerosBytes = 1 + 19 + 254 * 255 + 1;
  const frameOf = (start: readonly number[], block: readonly number[], count: number): Buffer =>
    Buffer.concat([Buffer.from(start), Buffer.alloc(block.length * count, Buffer.from(block)), Buffer.from(endMark)]);

  function allocatedBytes(run: () => void): number {
    const allocations = vi.spyOn(Buffer, 'allocUnsafe');
    try {
      run();
      return allocations.mock.calls.reduce((sum, [size]) => sum + size, 0);
    } finally {
      allocations.mockRestore();
    }
  }

  test('lz4 blocks of one byte have no buffers of their own, nor pieces', () => {
    const frame = frameOf([...header(linked), ...zeros], stored(7), 6000);
    let unpacked: Buffer = Buffer.alloc(0);
    expect(allocatedBytes(() => (unpacked = decompressLz4Frame(frame, 128 << 10)))).toBeLessThan(256 << 10);
    expect(unpacked.equals(Buffer.concat([Buffer.alloc(zerosBytes), Buffer.alloc(6000, 7)]))).toBe(true);
    expect([...lz4Pieces(frame, 128 << 10)].length).toBeLessThan(20);
  });

  test('lz4 blocks that hold little of what they could share a buffer too', () => {
    // Blocks of up to 4 MiB with 1028 literals each: by their length they may hold 255 times as much.
    const literals = Array.from({ length: 1028 }, (_, index) => index % 251);
    const frame = frameOf(header(linked, 0x70), packed(0xf0, 255, 255, 255, 1028 - 15 - 3 * 255, ...literals), 1000);
    let unpacked: Buffer = Buffer.alloc(0);
    expect(allocatedBytes(() => (unpacked = decompressLz4Frame(frame, 64 << 20)))).toBeLessThan(4 << 20);
    expect(unpacked.equals(Buffer.alloc(1028 * 1000, Buffer.from(literals)))).toBe(true);
  });

  test.each([
    ['stored', stored()],
    ['packed', packed(0)],
  ])('%s lz4 blocks without bytes are passed over in many steps, without a buffer', (_, empty) => {
    const frame = frameOf([...header(linked), ...zeros], empty, 65_000);
    let steps = 0;
    const bytes = allocatedBytes(() => {
      for (const piece of lz4Pieces(frame, 64 << 20)) {
        steps++;
        expect([0, zerosBytes]).toContain(piece.length);
      }
    });
    expect(steps).toBeGreaterThan(60);
    expect(bytes).toBeLessThan(1 << 20);
  });

  test('an lz4 match finds what was written 64 KiB before, over all buffers, and no more than its block if that stands alone', () => {
    // The second block and all after it: four bytes from 65,535 before, one literal.
    const far = packed(0x00, 0xff, 0xff, 0x10, 9);
    const seed = noise(65_535);
    const start = [0xff, 0xff, 0, 0x80, ...seed];
    const frame = frameOf([...header(linked), ...start], far, 150_000);
    const expected = Buffer.alloc(seed.length + 5 * 150_000);
    seed.copy(expected);
    for (let to = seed.length; to < expected.length; to += 5) {
      expected.copyWithin(to, to - 65_535, to - 65_531);
      expected[to + 4] = 9;
    }
    expect(decompressLz4Frame(frame, 64 << 20).equals(expected)).toBe(true);
    expect(() => decompressLz4Frame(frame, expected.length - 1)).toThrow(DecompressionError);
    const alone = frameOf([...header(independent), ...start], far, 1);
    expect(() => decompressLz4Frame(alone, 64 << 20)).toThrow('points before the data');
  });

  test('snappy blocks without bytes are passed over in many steps', () => {
    const xerial = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    const source = Buffer.concat([Buffer.from(xerial), Buffer.alloc(5 * 50_000, Buffer.from([0, 0, 0, 1, 0]))]);
    expect([...snappyPieces(source, 1 << 20)].length).toBeGreaterThan(40);
    expect(decompressSnappy(source, 1 << 20)).toHaveLength(0);
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
