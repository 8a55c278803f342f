import { expect, test } from 'vitest';
import { bytesPerSlot, OffsetMap } from '../../../src/log/offset-map.ts';

const key = (index: number): Buffer => Buffer.from(`key-${index}`);

test('the newest offset of a key is found, and that of no other', () => {
  const map = new OffsetMap(1 << 20, 10_000);
  for (let index = 0; index < 10_000; index++) expect(map.put(key(index % 4000), index)).toBe(true);
  expect(map.size).toBe(4000);
  for (let index = 0; index < 4000; index++)
    expect(map.get(key(index))).toBe(index < 2000 ? 8000 + index : 4000 + index);
  for (let index = 4000; index < 5000; index++) expect(map.get(key(index))).toBeNull();
});

test('an empty key is a key', () => {
  const map = new OffsetMap(1000, 10);
  expect(map.get(Buffer.alloc(0))).toBeNull();
  map.put(Buffer.alloc(0), 5);
  expect(map.get(Buffer.alloc(0))).toBe(5);
});

test('offsets beyond 32 bits are kept exactly', () => {
  const map = new OffsetMap(1000, 10);
  map.put(key(1), 2 ** 52 + 1);
  expect(map.get(key(1))).toBe(2 ** 52 + 1);
});

test('a full map refuses new keys, and still takes and gives those it has', () => {
  const map = new OffsetMap(100 * bytesPerSlot, 1_000_000);
  let taken = 0;
  while (map.put(key(taken), taken)) taken++;
  expect(taken).toBe(90);
  expect(map.get(key(taken))).toBeNull();
  expect(map.put(key(3), 700)).toBe(true);
  for (let index = 0; index < taken; index++) expect(map.get(key(index))).toBe(index === 3 ? 700 : index);
});

test('all keys that were expected fit', () => {
  for (const expected of [1, 2, 9, 10, 11, 100]) {
    const map = new OffsetMap(1 << 20, expected);
    for (let index = 0; index < expected; index++) expect(map.put(key(index), index), `${expected}`).toBe(true);
  }
});
