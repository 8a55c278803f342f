import assert from 'node:assert/strict';
import { test } from 'vitest';
import { checkLines, type LineFault, numberedLines } from '../../chaos/line-check.ts';

const lines = numberedLines(Buffer.from('a\nb\n\na\nc\nd\n'));
const rules = { isAllAcknowledged: true, isIdempotent: true };

/** Partitions as lists of line numbers; a string is a record that is no line. */
const read = (...partitions: (number | string)[][]) =>
  partitions.map((numbers, partition) => ({
    partition,
    records: numbers.map((line, offset) => ({
      offset,
      value: typeof line === 'string' ? Buffer.from(line) : (lines[line] ?? null),
    })),
  }));
const kinds = (faults: readonly LineFault[]): string[] => faults.map(({ kind, line }) => `${kind} ${line}`);

test('lines are numbered, so that equal lines differ and an empty line is a record', () => {
  assert.deepEqual(lines.map(String), ['0\ta', '1\tb', '2\t', '3\ta', '4\tc', '5\td']);
});

test('a text without a newline at its end keeps its last line', () => {
  assert.deepEqual(numberedLines(Buffer.from('x\ny')).map(String), ['0\tx', '1\ty']);
});

test('every line once and in order is no fault', async () => {
  const report = await checkLines(lines, read([0, 2, 5], [1, 3, 4]), rules);
  assert.deepEqual(report, {
    ...{ lines: 6, read: 6, distinct: 6, missing: 0, duplicates: 0, outOfOrder: 0, unknown: 0, faults: [] },
  });
});

const planted = [
  [
    'a line that is gone',
    [
      [0, 2, 5],
      [1, 4],
    ],
    ['missing 3'],
  ],
  [
    'a line that stands twice in one partition',
    [
      [0, 2, 5, 2],
      [1, 3, 4],
    ],
    ['duplicate 2'],
  ],
  [
    'a line that stands in two partitions',
    [
      [0, 2, 5],
      [1, 2, 3, 4],
    ],
    ['duplicate 2'],
  ],
  [
    'a line after a later one',
    [
      [2, 0, 5],
      [1, 3, 4],
    ],
    ['out of order 0'],
  ],
  [
    'a record that is no line',
    [
      [0, 2, 5, 'x'],
      [1, 3, 4],
    ],
    ['unknown -1'],
  ],
  [
    'a line whose bytes have changed',
    [
      [0, 2, 5],
      [1, 3, '4\tC'],
    ],
    ['unknown -1', 'missing 4'],
  ],
  [
    'a record with the number of a line that does not exist',
    [
      [0, 2, 5, '6\te'],
      [1, 3, 4],
    ],
    ['unknown -1'],
  ],
] satisfies [string, (number | string)[][], string[]][];
for (const [title, partitions, expected] of planted)
  test(`${title} is a fault`, async () => {
    assert.deepEqual(kinds((await checkLines(lines, read(...partitions), rules)).faults), expected);
  });

test('without idempotence copies and their order are counted but are no faults', async () => {
  const report = await checkLines(lines, read([2, 0, 2, 5], [1, 3, 4]), { ...rules, isIdempotent: false });
  assert.deepEqual([report.duplicates, report.outOfOrder, report.faults.length], [1, 1, 0]);
});

test('without an acknowledgement of everything a missing line is counted but is no fault', async () => {
  const report = await checkLines(lines, read([0]), { ...rules, isAllAcknowledged: false });
  assert.deepEqual([report.missing, report.faults.length], [5, 0]);
});
