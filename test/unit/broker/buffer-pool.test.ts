import { describe, expect, test } from 'vitest';
import { BufferPool } from '../../../src/broker/buffer-pool.ts';
import { AssertionError } from '../../../src/model/assert.ts';

const kib = 1024;
const mib = 1024 * kib;

describe('a buffer pool', () => {
  const sizes = [
    [32 * kib, null],
    [32 * kib + 1, 72 * kib],
    [72 * kib, 72 * kib],
    [72 * kib + 1, 136 * kib],
    [mib, mib + 8 * kib],
    [mib + 8 * kib, mib + 8 * kib],
    [mib + 8 * kib + 1, 2 * mib + 8 * kib],
    [8 * mib + 8 * kib, 8 * mib + 8 * kib],
    [8 * mib + 8 * kib + 1, null],
    [0, null],
  ] as const;
  for (const [asked, given] of sizes)
    test(`gives ${given ?? 'no'} bytes for ${asked}`, () => {
      const pool = new BufferPool(100 * mib);
      expect(pool.take(asked)?.length ?? null).toBe(given);
      expect(pool.bytes).toBe(given ?? 0);
    });

  test('gives what came back, and never one buffer to two', () => {
    const pool = new BufferPool(100 * mib);
    const first = pool.take(mib) as Buffer;
    const second = pool.take(mib) as Buffer;
    expect(second).not.toBe(first);
    pool.give(first);
    expect(pool.take(mib - 5)).toBe(first);
    expect(pool.take(mib)).not.toBe(first);
    expect(pool.bytes).toBe(3 * (mib + 8 * kib));
    expect(pool.lent).toBe(3);
  });

  test('never has more than its bound, and gives nothing when all is lent', () => {
    const pool = new BufferPool(4 * mib + 24 * kib);
    const lent = [pool.take(mib), pool.take(2 * mib), pool.take(mib)];
    expect(lent).not.toContain(null);
    expect(pool.take(64 * kib)).toBe(null);
    expect(pool.bytes).toBe(4 * mib + 24 * kib);
  });

  test('lets free buffers of other sizes go where their room is needed', () => {
    const pool = new BufferPool(4 * mib + 8 * kib);
    for (const buffer of [pool.take(mib), pool.take(2 * mib), pool.take(64 * kib)]) pool.give(buffer as Buffer);
    expect(pool.take(4 * mib)?.length).toBe(4 * mib + 8 * kib);
    expect(pool.bytes).toBe(4 * mib + 8 * kib);
  });

  test('takes a buffer back once, and only its own', () => {
    const pool = new BufferPool(4 * mib);
    const buffer = pool.take(mib) as Buffer;
    pool.give(buffer);
    expect(() => pool.give(buffer)).toThrow(AssertionError);
    expect(() => pool.give(Buffer.alloc(mib))).toThrow(AssertionError);
  });
});
