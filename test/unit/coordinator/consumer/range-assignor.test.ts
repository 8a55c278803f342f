import { describe, expect, test } from 'vitest';
import { assignRanges } from '../../../../src/coordinator/consumer/range-assignor.ts';
import { SeededRandom } from '../../../simulation/seeded-random.ts';
import { assignBy, input, member, ownershipProblems, type Partitions, plain, randomInput } from './assignor-cases.ts';

describe('range', () => {
  // Members … | partition counts | members | expected
  const cases: readonly (readonly [
    string,
    Readonly<Record<number, number>>,
    Parameters<typeof member>[],
    Record<string, Partitions>,
  ])[] = [
    [
      'have the same ranges of topics with equally many partitions',
      { 1: 3, 2: 3 },
      [
        ['a', [1, 2]],
        ['b', [2, 1]],
      ],
      { a: { 1: [0, 1], 2: [0, 1] }, b: { 1: [2], 2: [2] } },
    ],
    [
      'that come last are left without where there are too few',
      { 1: 1 },
      [
        ['b', [1]],
        ['a', [1]],
      ],
      { a: { 1: [0] }, b: {} },
    ],
    [
      'share a topic with those alone who subscribe to it',
      { 1: 4, 2: 4 },
      [
        ['a', [1]],
        ['b', [1, 2]],
        ['c', [2]],
      ],
      { a: { 1: [0, 1] }, b: { 1: [2, 3], 2: [0, 1] }, c: { 2: [2, 3] } },
    ],
  ];
  for (const [title, counts, members, expected] of cases)
    test(`members ${title}`, () => {
      const given = assignBy(
        assignRanges,
        input(
          counts,
          members.map((one) => member(...one)),
        ),
      );
      expect(plain(given)).toEqual(expected);
    });

  test('static members keep their ranges when they come back under other ids', () => {
    const before = [
      { ...member('x', [1]), instanceId: 'i1' },
      { ...member('b', [1]), instanceId: 'i2' },
      member('a', [1]),
    ];
    const after = [
      { ...member('c', [1]), instanceId: 'i2' },
      { ...member('d', [1]), instanceId: 'i1' },
      member('a', [1]),
    ];
    expect(plain(assignBy(assignRanges, input({ 1: 3 }, before)))).toEqual({
      x: { 1: [0] },
      b: { 1: [1] },
      a: { 1: [2] },
    });
    expect(plain(assignBy(assignRanges, input({ 1: 3 }, after)))).toEqual({
      d: { 1: [0] },
      c: { 1: [1] },
      a: { 1: [2] },
    });
  });

  test('in random groups every partition is with one subscriber, of each topic evenly and in one piece', () => {
    for (let seed = 0; seed < 300; seed++) {
      const group = randomInput({ random: new SeededRandom(seed), isHomogeneous: seed % 2 === 0 });
      const given = assignBy(assignRanges, group);
      expect(ownershipProblems(group, given), `seed ${seed}`).toEqual([]);
      for (const topicId of group.partitionCounts.keys()) {
        const lengths: number[] = [];
        for (const { memberId, topicIds } of group.members) {
          const range = given.get(memberId)?.get(topicId) ?? [];
          if (topicIds.includes(topicId)) lengths.push(range.length);
          for (const [at, partition] of range.entries()) expect(partition).toBe((range[0] ?? 0) + at);
        }
        if (lengths.length > 0) expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      }
    }
  });
});
