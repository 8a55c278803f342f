import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { DeadlineQueue } from '../../../src/coordinator/deadline-queue.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';

describe('deadlines', () => {
  test('are taken when they have come, the earliest first', () => {
    const queue = new DeadlineQueue();
    queue.set('late', 30);
    queue.set('early', 10);
    queue.set('middle', 20);
    assert.equal(queue.takeDue(9), null);
    assert.deepEqual([queue.takeDue(20), queue.takeDue(20), queue.takeDue(20)], ['early', 'middle', null]);
    assert.equal(queue.deadlineOf('late'), 30);
    assert.equal(queue.deadlineOf('early'), null);
  });

  test('that were moved or cancelled are not taken at their old time', () => {
    const queue = new DeadlineQueue();
    queue.set('moved', 10);
    queue.set('moved', 20);
    queue.set('cancelled', 10);
    queue.cancel('cancelled');
    assert.equal(queue.takeDue(19), null);
    assert.equal(queue.takeDue(20), 'moved');
    assert.equal(queue.size, 0);
  });

  test('that are set again at the same time are taken once for each time they were waited for', () => {
    const queue = new DeadlineQueue();
    queue.set('again', 10);
    queue.set('again', 10);
    assert.deepEqual([queue.takeDue(10), queue.takeDue(10)], ['again', null]);
    queue.set('again', 10);
    assert.deepEqual([queue.takeDue(10), queue.takeDue(10)], ['again', null]);
  });

  test('that are postponed are all due so much later', () => {
    const queue = new DeadlineQueue();
    queue.set('a', 10);
    queue.set('b', 20);
    queue.postpone(15);
    assert.equal(queue.takeDue(24), null);
    assert.deepEqual([queue.takeDue(25), queue.takeDue(34), queue.takeDue(35)], ['a', null, 'b']);
  });

  for (const seed of [1, 2, 3])
    test(`are what a plain map of them would tell, through any history (seed ${seed})`, () => {
      const random = new SeededRandom(seed);
      const queue = new DeadlineQueue();
      const model = new Map<string, number>();
      let nowMs = 0;
      for (let round = 0; round < 20_000; round++) {
        const key = `key-${random.below(40)}`;
        const what = random.below(10);
        if (what < 6) {
          const atMs = nowMs + random.below(50);
          queue.set(key, atMs);
          model.set(key, atMs);
        } else if (what === 6) {
          queue.cancel(key);
          model.delete(key);
        } else {
          nowMs += random.below(20);
          let last = -1;
          for (let due = queue.takeDue(nowMs); due !== null; due = queue.takeDue(nowMs)) {
            const atMs = model.get(due);
            assert.ok(atMs !== undefined && atMs <= nowMs && atMs >= last, `${due} at ${atMs}, after ${last}`);
            last = atMs;
            model.delete(due);
          }
          for (const [left, atMs] of model) assert.ok(atMs > nowMs, `${left} was due at ${atMs}`);
        }
        assert.equal(queue.size, model.size);
        assert.equal(queue.deadlineOf(key), model.get(key) ?? null);
      }
    });
});
