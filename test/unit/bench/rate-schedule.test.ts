import assert from 'node:assert/strict';
import { test } from 'vitest';
import { RateSchedule } from '../../bench/rate-schedule.ts';

test('records fall due at even distances', () => {
  assert.deepEqual(new RateSchedule(100, 200, 100).takeDue(130), [100, 110, 120, 130]);
});

test('a look after a stall finds all that fell due in it, each with its own time', () => {
  const schedule = new RateSchedule(0, 10_000, 1000);
  schedule.takeDue(10);
  const due = schedule.takeDue(510);
  assert.equal(due.length, 500);
  assert.deepEqual([due[0], due.at(-1)], [11, 510]);
});

test('nothing is due twice', () => {
  const schedule = new RateSchedule(0, 100, 1000);
  schedule.takeDue(50);
  assert.deepEqual(schedule.takeDue(50), []);
});

test('nothing falls due at the end or after it', () => {
  assert.deepEqual(new RateSchedule(0, 30, 100).takeDue(1000), [0, 10, 20]);
});
