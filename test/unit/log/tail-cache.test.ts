import { describe, expect, test } from 'vitest';
import { type PartitionTail, TailCache } from '../../../src/log/tail-cache.ts';
import { at } from '../../support/log-harness.ts';

/** `count` batches of `bytes` bytes, each a view of memory of `within` bytes. */
function add(tail: PartitionTail, from: number, count: number, bytes: number, within: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const batch = Buffer.alloc(within)
      .subarray(0, bytes)
      .fill(from + index);
    return tail.add(batch, at(from + index), at(from + index + 1), bytes);
  });
}

const read = (tail: PartitionTail, from: number, maxBytes = 1 << 30, end = 1 << 30) =>
  tail.read(at(from), maxBytes, at(end), true);

describe('the tail cache', () => {
  test('never keeps more memory alive than its bound, whatever is added', () => {
    const cache = new TailCache(1 << 20);
    const tails = Array.from({ length: 5 }, () => cache.tailOf());
    const next = tails.map(() => 0);
    for (let round = 0; round < 3000; round++) {
      const which = (round * 7) % 5;
      const bytes = 1 + ((round * 7919) % 9000);
      const within = round % 3 === 0 ? bytes : bytes * 50;
      add(tails[which] as PartitionTail, next[which] ?? 0, 1, bytes, within);
      next[which] = (next[which] ?? 0) + 1;
      expect(cache.bytes).toBeLessThanOrEqual(1 << 20);
    }
    expect(cache.bytes).toBeGreaterThan(1 << 19);
  });

  test('gives up the oldest first, and what is left has no hole', () => {
    const cache = new TailCache(100_000);
    const [one, two] = [cache.tailOf(), cache.tailOf()];
    add(one, 0, 20, 2000, 2000);
    add(two, 0, 80, 1000, 1000);
    expect(read(one, 0)).toBe(null);
    const left = [...Array(20).keys()].filter((offset) => read(one, offset) !== null);
    expect(left).toEqual(Array.from({ length: left.length }, (_, index) => 20 - left.length + index));
    expect(read(two, 0)?.nextOffset).toBe(80);
  });

  test('copies what is a small part of its memory, and puts the copies side by side', () => {
    const cache = new TailCache(1 << 20);
    const tail = cache.tailOf();
    const written = add(tail, 0, 30, 100, 1 << 20);
    expect(cache.bytes).toBeLessThan(10_000);
    expect(read(tail, 0)?.chunks.length).toBeLessThan(4);
    expect(Buffer.concat(read(tail, 0)?.chunks ?? []).equals(Buffer.concat(written))).toBe(true);
  });

  test('keeps what is most of its memory without a copy', () => {
    const tail = new TailCache(1 << 20).tailOf();
    const batch = Buffer.alloc(1000);
    expect(tail.add(batch, at(0), at(1), 1000)).toBe(batch);
  });

  test('counts memory once that several batches arrived in', () => {
    const cache = new TailCache(1 << 20);
    const tail = cache.tailOf();
    const memory = Buffer.alloc(10_000);
    for (let index = 0; index < 10; index++)
      tail.add(memory.subarray(index * 1000, index * 1000 + 1000), at(index), at(index + 1), 10_000);
    expect(cache.bytes).toBe(10_000);
    expect(read(tail, 3)?.chunks).toHaveLength(1);
  });

  test('answers from the batch that holds the offset, within its limits', () => {
    const tail = new TailCache(1 << 20).tailOf();
    add(tail, 10, 10, 100, 100);
    expect(read(tail, 9)).toBe(null);
    expect(read(tail, 12, 250)).toMatchObject({ baseOffset: 12, byteLength: 200, nextOffset: 14 });
    expect(read(tail, 12, 1)).toMatchObject({ baseOffset: 12, byteLength: 100, nextOffset: 13 });
    expect(tail.read(at(12), 1, at(99), false)).toMatchObject({ baseOffset: null, byteLength: 0, nextOffset: 12 });
    expect(read(tail, 12, 1 << 20, 15)).toMatchObject({ byteLength: 300, nextOffset: 15 });
  });

  test('leaves no hole when a batch is too large for it', () => {
    const cache = new TailCache(10_000);
    const tail = cache.tailOf();
    add(tail, 0, 2, 1000, 1000);
    add(tail, 2, 1, 9000, 9000);
    add(tail, 3, 1, 1000, 1000);
    expect([0, 1, 2].map((offset) => read(tail, offset))).toEqual([null, null, null]);
    expect(read(tail, 3)?.nextOffset).toBe(4);
  });

  test('is empty, and counts nothing, after it is cleared', () => {
    const cache = new TailCache(1 << 20);
    const [one, two] = [cache.tailOf(), cache.tailOf()];
    add(one, 0, 10, 1000, 1000);
    add(two, 0, 10, 1000, 1000);
    one.clear();
    expect([read(one, 5), cache.bytes]).toEqual([null, 10_000]);
    add(one, 10, 1, 1000, 1000);
    expect(read(one, 10)?.nextOffset).toBe(11);
  });
});
