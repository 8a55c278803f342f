import { describe, expect, test } from 'vitest';
import { formatEpochs, parseEpochs, parseOffsets } from '../../../src/log/checkpoint-file.ts';
import { EpochCache } from '../../../src/log/epoch-cache.ts';
import { at, epoch } from '../../support/log-harness.ts';

type Pairs = readonly (readonly [number, number])[];
const cacheOf = (pairs: Pairs): EpochCache =>
  new EpochCache(pairs.map(([one, startOffset]) => ({ epoch: epoch(one), startOffset: at(startOffset) })));
const pairsOf = (cache: EpochCache): number[][] => cache.entries.map((entry) => [entry.epoch, entry.startOffset]);

// cached (epoch, start) | asked | answer (epoch, end) with log start 5 and log end 300
const ends: [Pairs, number, [number, number]][] = [
  [[], 3, [3, 5]],
  [[[2, 10]], 1, [1, 5]],
  [[[2, 10]], 2, [2, 300]],
  [[[2, 10]], 9, [2, 300]],
  [
    [
      [2, 10],
      [4, 50],
    ],
    2,
    [2, 50],
  ],
  [
    [
      [2, 10],
      [4, 50],
    ],
    3,
    [2, 50],
  ],
  [
    [
      [2, 10],
      [4, 50],
    ],
    4,
    [4, 300],
  ],
  [
    [
      [2, 10],
      [4, 300],
    ],
    2,
    [2, 300],
  ],
];

describe('the end of an epoch', () => {
  test.each(ends)('given %j, of %i is %j', (pairs, asked, [k, end]) => {
    expect(cacheOf(pairs).endFor(epoch(asked), at(300), at(5))).toEqual({ epoch: k, endOffset: end });
  });
});

// cached | assigned | after
const assigned: [Pairs, [number, number], Pairs][] = [
  [[], [0, 0], [[0, 0]]],
  [[[0, 0]], [0, 10], [[0, 0]]],
  [
    [[0, 0]],
    [3, 10],
    [
      [0, 0],
      [3, 10],
    ],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ],
    [4, 10],
    [
      [0, 0],
      [4, 10],
    ],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ],
    [2, 20],
    [
      [0, 0],
      [2, 20],
    ],
  ],
  [
    [
      [0, 0],
      [3, 10],
      [5, 30],
    ],
    [6, 5],
    [
      [0, 0],
      [6, 5],
    ],
  ],
];

test.each(assigned)('of %j, after assigning %j, are %j', (pairs, [one, start], after) => {
  const cache = cacheOf(pairs);
  cache.assign(epoch(one), at(start));
  expect(pairsOf(cache)).toEqual(after);
});

// cached | cut from the end at | left
test.each([
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    11,
    [
      [0, 0],
      [3, 10],
    ],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    10,
    [[0, 0]],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    0,
    [],
  ],
])('of %j, cut at %i, are %j', (pairs, end, left) => {
  const cache = cacheOf(pairs);
  expect(cache.truncateFromEnd(at(end))).toBe(left.length < pairs.length);
  expect(pairsOf(cache)).toEqual(left);
});

// cached | the log now starts at | left
test.each([
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    0,
    [
      [0, 0],
      [3, 10],
    ],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    4,
    [
      [0, 4],
      [3, 10],
    ],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    10,
    [[3, 10]],
  ],
  [
    [
      [0, 0],
      [3, 10],
    ] as Pairs,
    12,
    [[3, 12]],
  ],
  [[] as Pairs, 12, []],
])('of %j, with the log start at %i, are %j', (pairs, start, left) => {
  const cache = cacheOf(pairs);
  cache.truncateFromStart(at(start));
  expect(pairsOf(cache)).toEqual(left);
});

test('the epoch of an offset is that of the last entry at or before it', () => {
  const cache = cacheOf([
    [2, 10],
    [4, 50],
  ]);
  expect([0, 9, 10, 49, 50, 999].map((offset) => cache.epochAt(at(offset)))).toEqual([-1, -1, 2, 2, 4, 4]);
});

describe('checkpoint files', () => {
  test('of epochs are as Kafka writes them, and read back', () => {
    const cache = cacheOf([
      [2, 10],
      [4, 50],
    ]);
    expect(formatEpochs(cache.entries)).toBe('0\n2\n2 10\n4 50\n');
    expect(parseEpochs(formatEpochs(cache.entries))).toEqual(cache.entries);
    expect(parseEpochs('0\n0\n')).toEqual([]);
  });

  test.each([
    '',
    '0\n2\n2 10\n',
    '1\n1\n2 10\n',
    '0\n2\n2 10\n2 50\n',
    '0\n2\n2 50\n4 10\n',
    '0\n1\nx 10\n',
    '0\n1\n-1 10\n',
  ])('of epochs that are damaged (%j) are not used', (text) => {
    expect(parseEpochs(text)).toBe(null);
  });

  test('of offsets keep topics with dashes and dots apart', () => {
    const text = '0\n3\na-b 1 7\na 12 8\na.b-1 0 9\n';
    expect([...(parseOffsets(text) ?? [])]).toEqual([
      ['a-b-1', 7],
      ['a-12', 8],
      ['a.b-1-0', 9],
    ]);
    expect(parseOffsets('0\n1\na b c\n')).toBe(null);
  });
});
