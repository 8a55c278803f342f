import assert from 'node:assert/strict';
import { test } from 'vitest';
import { median, summariseLatencies } from '../../bench/percentiles.ts';

test('percentiles are exact values of the sample, by nearest rank', () => {
  const samples = Float64Array.from({ length: 1000 }, (_, index) => 1000 - index);
  assert.deepEqual(summariseLatencies(samples), { count: 1000, p50: 500, p99: 990, p999: 999, max: 1000 });
});

test('one sample is every percentile', () => {
  assert.deepEqual(summariseLatencies(Float64Array.of(7)), { count: 1, p50: 7, p99: 7, p999: 7, max: 7 });
});

test('no sample gives zeros', () => {
  assert.deepEqual(summariseLatencies(new Float64Array(0)), { count: 0, p50: 0, p99: 0, p999: 0, max: 0 });
});

const medians = [
  ['of an odd count is the middle value', [9, 1, 5], 5],
  ['of an even count is the mean of the two in the middle', [4, 1, 3, 2], 2.5],
] as const;
for (const [title, values, expected] of medians)
  test(`the median ${title}`, () => {
    assert.equal(median(values), expected);
  });
