import { describe, expect, test } from 'vitest';
import { decompress } from '../../../src/records/compression.ts';
import { PackedTooLargeError, packerOf } from '../../../src/records/packer.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const random = new SeededRandom(7);
const noise = random.bytes(300_000);
const text = Buffer.concat([Buffer.alloc(200_000, 'the quick brown fox '), noise.subarray(0, 50_000)]);

/** In pieces of all sizes, each of which is overwritten once it has been taken. */
async function packed(codec: (typeof codecs)[number], whole: Buffer, maxBytes: number): Promise<Buffer> {
  const packer = packerOf(codec, maxBytes);
  try {
    for (let at = 0; at < whole.length; ) {
      const length = 1 + random.below(random.chance(0.1) ? 100_000 : 3_000);
      const piece = Buffer.from(whole.subarray(at, at + length));
      await packer.write(piece);
      piece.fill(0xee);
      at += length;
    }
    return await packer.finish();
  } finally {
    packer.discard();
  }
}

describe.each(codecs)('packing in %s piece by piece', (codec) => {
  test.each([
    ['text', text],
    ['noise', noise],
    ['one byte', Buffer.from('x')],
    ['nothing', Buffer.alloc(0)],
  ])('makes of %s what unpacks to it', async (_, whole) => {
    const bytes = await packed(codec, whole, 1 << 20);
    expect(decompress(codec, bytes, 1 << 20).equals(whole)).toBe(true);
  });

  test('ends where more than the limit comes out', async () => {
    const { length } = await packed(codec, noise, 1 << 20);
    expect((await packed(codec, noise, length + 100)).length).toBeGreaterThan(length - 5000);
    await expect(packed(codec, noise, length - 5000)).rejects.toThrow(PackedTooLargeError);
  });
});
