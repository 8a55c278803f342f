import assert from 'node:assert/strict';
import { test } from 'vitest';
import { pidsIn } from '../../bench/pairs.ts';
import { compareResults, formatComparison, type ResultsFile, type RunResult } from '../../bench/results.ts';

function run(name: string, megabytesPerSecond: number, cpuSecondsPerGigabyte: number | null): RunResult {
  const resident = { residentBytesBefore: [2 ** 20], residentBytesAfter: [2 ** 20, 2 ** 20], peakResidentBytes: [0] };
  return {
    name,
    at: '2026-01-01T00:00:00.000Z',
    parameters: {},
    result: {
      ...{
        seconds: 1,
        valueBytes: 1,
        records: 1,
        requests: 1,
        recordsPerSecond: 1,
        generatorCpuShare: 0.1,
        latencyMs: null,
      },
      megabytesPerSecond,
      brokers: cpuSecondsPerGigabyte === null ? null : { cpuSecondsPerGigabyte, cpuShare: 1, ...resident },
    },
  };
}
const file = (label: string, ...runs: RunResult[]): ResultsFile => ({ label, runs, starts: [] });

test('a comparison is B over A of the medians of repeated runs', () => {
  const a = file('a', run('produce', 100, null), run('produce', 300, null), run('produce', 110, null));
  const b = file('b', run('produce', 220, null));
  assert.deepEqual(compareResults(a, b), [{ name: 'produce', metric: 'MB/s', a: 110, b: 220, ratio: 2 }]);
});

test('runs that only one file has are left out', () => {
  assert.deepEqual(compareResults(file('a', run('produce', 1, null)), file('b', run('consume', 1, null))), []);
});

test('CPU and memory are compared where both files have them, memory summed over the brokers', () => {
  const comparisons = compareResults(file('a', run('produce', 1, 4)), file('b', run('produce', 1, 2)));
  const byMetric = Object.fromEntries(comparisons.map(({ metric, a, ratio }) => [metric, [a, ratio]]));
  assert.deepEqual(byMetric, {
    'MB/s': [1, 1],
    'CPU s/GB': [4, 0.5],
    'RSS before, MiB': [1, 1],
    'RSS after, MiB': [2, 1],
  });
});

test('starts are compared by the time to the first acknowledgement', () => {
  const start = (toFirstAcknowledgement: number): ResultsFile => ({
    ...{ label: 'x', runs: [] },
    starts: [
      {
        name: 'start',
        at: '',
        parameters: {},
        startMs: { toFirstConnection: 1, toMetadata: 2, toFirstAcknowledgement },
      },
    ],
  });
  assert.deepEqual(compareResults(start(2000), start(300)), [
    { name: 'start', metric: 'start to first ack, ms', a: 2000, b: 300, ratio: 0.15 },
  ]);
});

test('a table of comparisons names both files and ends each line with the ratio', () => {
  const lines = formatComparison(
    ['kafka', 'ours'],
    [{ name: 'produce', metric: 'MB/s', a: 100, b: 250, ratio: 2.5 }],
  ).split('\n');
  assert.match(lines[0] ?? '', /kafka +ours +ratio$/);
  assert.match(lines[1] ?? '', /^produce +MB\/s +100 +250 +2\.50x$/);
});

test('a start command tells its broker processes as «pid N»', () => {
  assert.deepEqual(
    pidsIn('node 1 127.0.0.1:19092 pid 24826\nnode 2 127.0.0.1:19093 pid 24827\nrapid 5\n'),
    [24826, 24827],
  );
});
