import { describe, expect, test } from 'vitest';
import {
  type Assignment,
  assignmentOf,
  containsAll,
  containsAny,
  countOf,
  difference,
  intersection,
  isEqual,
  partition,
  topicPartitionsOf,
  union,
} from '../../../../src/coordinator/consumer/assignment.ts';
import { SeededRandom } from '../../../simulation/seeded-random.ts';
import { assignment } from './assignor-cases.ts';
import { idOf } from './group-world.ts';

/** As a set of texts, and back: nothing that could be wrong in the same way. */
const textsOf = (of: Assignment): Set<string> =>
  new Set([...of].flatMap(([topicId, numbers]) => numbers.map((number) => `${topicId} ${number}`)));
const sorted = (texts: Iterable<string>): string[] => [...texts].sort();

function randomAssignment(random: SeededRandom): Assignment {
  const topics = [1, 2, 3].filter(() => random.chance(0.7));
  return assignment(
    Object.fromEntries(topics.map((topic) => [topic, [0, 1, 2, 3, 11].filter(() => random.chance(0.5))])),
  );
}

describe('sets of partitions', () => {
  test('are what sets of anything are', () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = new SeededRandom(seed);
      const a = randomAssignment(random);
      const b = randomAssignment(random);
      const [inA, inB] = [textsOf(a), textsOf(b)];
      const inBoth = [...inA].filter((one) => inB.has(one));
      const onlyInA = [...inA].filter((one) => !inB.has(one));
      const isAllOfB = inBoth.length === inB.size;
      expect(sorted(textsOf(union(a, b)))).toEqual(sorted(new Set([...inA, ...inB])));
      expect(sorted(textsOf(intersection(a, b)))).toEqual(sorted(inBoth));
      expect(sorted(textsOf(difference(a, b)))).toEqual(sorted(onlyInA));
      expect(countOf(a)).toBe(inA.size);
      expect(isEqual(a, b)).toBe(onlyInA.length === 0 && isAllOfB);
      expect(containsAny(a, topicPartitionsOf(b))).toBe(inBoth.length > 0);
      expect(containsAll(a, topicPartitionsOf(b))).toBe(isAllOfB);
      const { passing, others } = partition(a, (_, number) => number < 2);
      expect(isEqual(union(passing, others), a)).toBe(true);
      for (const made of [union(a, b), intersection(a, b), difference(a, b), passing, others])
        for (const numbers of made.values()) {
          expect(numbers).not.toEqual([]);
          expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
        }
    }
  });

  test('are read from lists in any order, with repeats, and written in one order', () => {
    const lists = [
      { topicId: idOf(2), partitions: [11, 2] },
      { topicId: idOf(3), partitions: [] },
      { topicId: idOf(1), partitions: [1, 0, 1] },
      { topicId: idOf(2), partitions: [2, 3] },
    ];
    expect(topicPartitionsOf(assignmentOf(lists))).toEqual([
      { topicId: idOf(1), partitions: [0, 1] },
      { topicId: idOf(2), partitions: [2, 3, 11] },
    ]);
  });
});
