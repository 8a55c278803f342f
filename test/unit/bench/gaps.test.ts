import assert from 'node:assert/strict';
import { test } from 'vitest';
import { longestGap } from '../../bench/gaps.ts';

const steady = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
const cases = [
  ['is one period where nothing stands still', steady, 25, 95, { ms: 10, startsAfterMs: -5, hasEnded: true }],
  [
    'begins at the last acknowledgement before the kill',
    [0, 10, 20, 320, 330],
    25,
    330,
    { ms: 300, startsAfterMs: -5, hasEnded: true },
  ],
  ['is the longest of several', [0, 10, 60, 160, 170], 5, 170, { ms: 100, startsAfterMs: 55, hasEnded: true }],
  [
    'leaves out what had ended before the kill',
    [0, 500, 510, 520, 530],
    505,
    530,
    { ms: 10, startsAfterMs: -5, hasEnded: true },
  ],
  ['leaves out what comes after the window', [0, 10, 20, 900], 5, 25, { ms: 10, startsAfterMs: -5, hasEnded: true }],
  [
    'is open where acknowledgements do not come back',
    [0, 10, 20],
    15,
    500,
    { ms: 480, startsAfterMs: 5, hasEnded: false },
  ],
  [
    'is open from the kill on without any acknowledgement',
    [],
    100,
    500,
    { ms: 400, startsAfterMs: 0, hasEnded: false },
  ],
] as const;

for (const [title, acks, fromMs, toMs, expected] of cases)
  test(`the longest gap ${title}`, () => {
    assert.deepEqual(longestGap(acks, fromMs, toMs), expected);
  });
