import assert from 'node:assert/strict';
import { test } from 'vitest';
import { tableLines } from '../../../src/cli/output.ts';

test('columns are as wide as their widest cell, numbers and what is in their place stand to the right, and no line ends in spaces', () => {
  assert.deepEqual(
    tableLines(
      ['TOPIC', 'LAG', 'NOTE'],
      [
        ['a', 5, ''],
        ['longer-name', 12_345, 'x'],
        ['b', '-', 'y'],
      ],
    ),
    ['TOPIC        LAG    NOTE', 'a                5', 'longer-name  12345  x', 'b                -  y'],
  );
});

test('without rows the header stands alone', () => {
  assert.deepEqual(tableLines(['GROUP', 'STATE'], []), ['GROUP  STATE']);
});
