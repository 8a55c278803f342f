import { describe, expect, test } from 'vitest';
import { AnswerMemory } from '../../../src/broker/answer-memory.ts';
import { BufferPool } from '../../../src/broker/buffer-pool.ts';
import { AssertionError } from '../../../src/model/assert.ts';

const kib = 1024;
const mib = 1024 * kib;

function setUp(limitBytes: number, poolBytes = 4 * mib) {
  const pool = new BufferPool(poolBytes);
  return { pool, memory: new AnswerMemory(limitBytes, pool) };
}

describe('the memory of an answer', () => {
  test('is counted from the moment it is taken until it is released', () => {
    const { pool, memory } = setUp(100 * mib);
    const lease = memory.lease();
    expect(lease.take(mib - 1).length).toBe(mib - 1);
    expect(memory.usedBytes).toBe(mib + 8 * kib);
    lease.take(10 * mib);
    lease.take(100);
    expect(memory.usedBytes).toBe(11 * mib + 8 * kib + 100);
    expect(pool.lent).toBe(1);
    lease.release();
    expect(memory.usedBytes).toBe(0);
    expect(pool.lent).toBe(0);
  });

  test('counts what lies in the cache, and nothing twice', () => {
    const { memory } = setUp(100 * mib);
    const lease = memory.lease();
    lease.take(mib);
    lease.holdAtLeast(mib - 100);
    expect(memory.usedBytes).toBe(mib + 8 * kib);
    lease.holdAtLeast(3 * mib);
    expect(memory.usedBytes).toBe(3 * mib);
    lease.release();
    expect(memory.usedBytes).toBe(0);
  });

  test('is another’s when it is reset, and can be taken again', () => {
    const { pool, memory } = setUp(100 * mib);
    const waiting = memory.lease();
    const before = waiting.take(mib);
    waiting.reset();
    expect(memory.usedBytes).toBe(0);
    const other = memory.lease();
    expect(other.take(mib).buffer).toBe(before.buffer);
    expect(waiting.take(mib).buffer).not.toBe(before.buffer);
    waiting.release();
    other.release();
    expect(pool.lent).toBe(0);
  });

  test('is released once, and nothing is taken after that', () => {
    const { memory } = setUp(100 * mib);
    const lease = memory.lease();
    lease.take(mib);
    lease.release();
    expect(() => lease.release()).toThrow(AssertionError);
    expect(() => lease.reset()).toThrow(AssertionError);
    expect(() => lease.take(1)).toThrow(AssertionError);
    expect(memory.usedBytes).toBe(0);
  });

  test('is never two answers’ at once, however many begin and end', () => {
    const { memory, pool } = setUp(100 * mib, 6 * mib);
    const open: { lease: ReturnType<AnswerMemory['lease']>; bytes: Buffer; mark: number }[] = [];
    for (let mark = 0; mark < 500; mark++) {
      const lease = memory.lease();
      const bytes = lease.take(40_000 + ((mark * 7919) % (2 * mib))).fill(mark % 251);
      open.push({ lease, bytes, mark: mark % 251 });
      if (open.length < 8) continue;
      const [done] = open.splice((mark * 31) % open.length, 1);
      expect(done?.bytes.equals(Buffer.alloc(done.bytes.length, done.mark))).toBe(true);
      done?.lease.release();
    }
    for (const { lease } of open) lease.release();
    expect(memory.usedBytes).toBe(0);
    expect(pool.lent).toBe(0);
  });
});

describe('an answer', () => {
  test('may take half of what is left', () => {
    const { memory } = setUp(8 * mib);
    const rooms: number[] = [];
    for (let answer = 0; answer < 4; answer++) {
      const lease = memory.lease();
      rooms.push(lease.room / mib);
      lease.holdAtLeast(lease.room);
    }
    expect(rooms).toEqual([4, 2, 1, 0.5]);
  });

  test('may take a little when nothing is left, once', () => {
    const { memory } = setUp(mib);
    memory.lease().holdAtLeast(5 * mib);
    expect(memory.leftBytes).toBe(-4 * mib);
    const lease = memory.lease();
    expect(lease.room).toBe(64 * kib);
    lease.holdAtLeast(60 * kib);
    expect(lease.room).toBe(4 * kib);
    lease.holdAtLeast(mib);
    expect(lease.room).toBe(0);
  });
});
