import assert from 'node:assert/strict';
import { afterEach, beforeEach, test, vi } from 'vitest';
import { nodeTimers } from '../../../../src/env/node/timers.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => vi.useRealTimers());

test('a timer fires once, at its time and not before', () => {
  let runs = 0;
  nodeTimers.setTimer(100, () => {
    runs += 1;
  });
  vi.advanceTimersByTime(99);
  assert.equal(runs, 0);
  vi.advanceTimersByTime(1);
  assert.equal(runs, 1);
  vi.advanceTimersByTime(1000);
  assert.equal(runs, 1);
});

test('a fraction of a millisecond is waited for, not cut off', () => {
  let runs = 0;
  nodeTimers.setTimer(1.5, () => {
    runs += 1;
  });
  vi.advanceTimersByTime(1);
  assert.equal(runs, 0);
  vi.advanceTimersByTime(1);
  assert.equal(runs, 1);
});

test('a delay longer than Node can hold does not fire at once', () => {
  let runs = 0;
  nodeTimers.setTimer(2 ** 31 + 1000, () => {
    runs += 1;
  });
  vi.advanceTimersByTime(2 ** 31);
  assert.equal(runs, 0);
  vi.advanceTimersByTime(1000);
  assert.equal(runs, 1);
});

test('a cancelled timer never fires, and cancelling twice is harmless', () => {
  const timer = nodeTimers.setTimer(10, () => assert.fail('fired'));
  timer.cancel();
  timer.cancel();
  vi.advanceTimersByTime(100);
});

test('a repeating timer keeps its beat although its callback takes time', () => {
  const beats: number[] = [];
  const start = performance.now();
  const timer = nodeTimers.setRepeatingTimer(100, () => {
    beats.push(performance.now() - start);
    // Work that holds up the loop for a third of the period.
    vi.setSystemTime(Date.now() + 30);
  });
  vi.advanceTimersByTime(500);
  timer.cancel();
  assert.deepEqual(beats, [100, 200, 300, 400, 500]);
});

test('a repeating timer cancelled from its own callback stops', () => {
  let beats = 0;
  const timer = nodeTimers.setRepeatingTimer(10, () => {
    beats += 1;
    timer.cancel();
  });
  vi.advanceTimersByTime(100);
  assert.equal(beats, 1);
});
