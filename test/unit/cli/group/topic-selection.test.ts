import assert from 'node:assert/strict';
import { test } from 'vitest';
import { parseTopicSelection } from '../../../../src/cli/group/topic-selection.ts';

const cases = [
  ['nothing', [], []],
  ['a topic is all of its partitions', ['orders'], [['orders', null]]],
  ['numbers are these partitions', ['orders:2,0,2'], [['orders', [2, 0]]]],
  ['what is said of one topic adds up', ['orders:1', 'orders:3'], [['orders', [1, 3]]]],
  ['all is all, whatever else is said of it', ['orders:1', 'orders', 'orders:2'], [['orders', null]]],
  [
    'topics stay in the order they are named in',
    ['b.x:0', 'a_y-1'],
    [
      ['b.x', [0]],
      ['a_y-1', null],
    ],
  ],
] as const;

for (const [title, texts, expected] of cases)
  test(`in a selection, ${title}`, () => {
    const selection = [...parseTopicSelection(texts)].map(([topic, partitions]) => [
      topic,
      partitions === null ? null : [...partitions],
    ]);
    assert.deepEqual(selection, expected);
  });

for (const text of ['', ':1', 'orders:', 'orders:x', 'orders:1,', 'orders:-1', 'or ders', 'orders:1:2'])
  test(`"${text}" is refused as wrong usage`, () => {
    assert.throws(() => parseTopicSelection([text]), { name: 'CliError', code: 2 });
  });
