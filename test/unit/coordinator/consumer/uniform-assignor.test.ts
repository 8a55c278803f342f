import { describe, expect, test } from 'vitest';
import { type Assignment, emptyAssignment } from '../../../../src/coordinator/consumer/assignment.ts';
import { assignUniformly } from '../../../../src/coordinator/consumer/uniform-assignor.ts';
import { SeededRandom } from '../../../simulation/seeded-random.ts';
import {
  again,
  assignBy,
  changedInput,
  countsOf,
  type Input,
  input,
  member,
  moved,
  ownershipProblems,
  type Partitions,
  plain,
  randomInput,
} from './assignor-cases.ts';
import { idOf } from './group-world.ts';

describe('uniform', () => {
  // Members … | partition counts | members | expected
  const cases: readonly (readonly [
    string,
    Readonly<Record<number, number>>,
    Parameters<typeof member>[],
    Record<string, Partitions>,
  ])[] = [
    ['alone have all', { 1: 2, 2: 1 }, [['a', [1, 2]]], { a: { 1: [0, 1], 2: [0] } }],
    [
      'share evenly',
      { 1: 4 },
      [
        ['a', [1]],
        ['b', [1]],
      ],
      { a: { 1: [0, 1] }, b: { 1: [2, 3] } },
    ],
    [
      'have one more or less where it does not come out even',
      { 1: 3 },
      [
        ['a', [1]],
        ['b', [1]],
      ],
      { a: { 1: [0, 1] }, b: { 1: [2] } },
    ],
    [
      'keep one more where they have it, whatever their order',
      { 1: 3 },
      [
        ['a', [1], { 1: [2] }],
        ['b', [1], { 1: [0, 1] }],
      ],
      { a: { 1: [2] }, b: { 1: [0, 1] } },
    ],
    [
      'that are too many have nothing',
      { 1: 1 },
      [
        ['a', [1]],
        ['b', [1], { 1: [0] }],
      ],
      { a: {}, b: { 1: [0] } },
    ],
    [
      'give up no more than a new one needs',
      { 1: 6 },
      [
        ['a', [1], { 1: [0, 1, 2] }],
        ['b', [1], { 1: [3, 4, 5] }],
        ['c', [1]],
      ],
      { a: { 1: [0, 1] }, b: { 1: [3, 4] }, c: { 1: [2, 5] } },
    ],
    [
      'give up topics they do not want any more',
      { 1: 2, 2: 2 },
      [['a', [1], { 1: [0], 2: [0, 1] }]],
      { a: { 1: [0, 1] } },
    ],
    ['give up partitions that are gone', { 1: 1 }, [['a', [1], { 1: [0, 1, 2] }]], { a: { 1: [0] } }],
    ['have nothing of topics that are gone', {}, [['a', [1], { 1: [0] }]], { a: {} }],
    [
      'with less choice come first, and those with more make up for it',
      { 1: 2, 2: 2 },
      [
        ['a', [1]],
        ['b', [1, 2]],
      ],
      { a: { 1: [0, 1] }, b: { 2: [0, 1] } },
    ],
    [
      'of different topics are made even by moving what can be moved',
      { 1: 2, 2: 2 },
      [
        ['a', [1], {}],
        ['b', [1, 2], { 1: [0, 1], 2: [0, 1] }],
      ],
      { a: { 1: [0, 1] }, b: { 2: [0, 1] } },
    ],
  ];
  for (const [title, counts, members, expected] of cases)
    test(`members ${title}`, () => {
      const given = assignBy(
        assignUniformly,
        input(
          counts,
          members.map((one) => member(...one)),
        ),
      );
      expect(plain(given)).toEqual(expected);
    });

  test('nobody is assigned nothing', () => {
    expect(assignBy(assignUniformly, input({ 1: 3 }, []))).toEqual(new Map());
  });
});

/** The most that two members differ by, where one has a partition that the other could have. */
function unevenness({ members }: Input, assignments: ReadonlyMap<string, Assignment>): number {
  const counts = countsOf(assignments);
  let worst = 0;
  for (const [ownerId, given] of assignments)
    for (const topicId of given.keys())
      for (const { memberId, topicIds } of members)
        if (topicIds.includes(topicId))
          worst = Math.max(worst, (counts.get(ownerId) ?? 0) - (counts.get(memberId) ?? 0));
  return worst;
}

/** The least that has to move from members that stay: what is above their fair share, which some may exceed by one. */
function leastMoves({ members, partitionCounts }: Input): number {
  const taken = new Set<string>();
  const kept = members.map(({ topicIds, target }) => {
    let count = 0;
    for (const [topicId, partitions] of target)
      for (const partition of partitions)
        if (topicIds.includes(topicId) && partition < (partitionCounts.get(topicId) ?? 0)) {
          count++;
          taken.add(`${topicId} ${partition}`);
        }
    return count;
  });
  const [first] = members;
  const total = (first?.topicIds ?? []).reduce((sum, topicId) => sum + (partitionCounts.get(topicId) ?? 0), 0);
  const fair = Math.floor(total / members.length);
  let extras = total % members.length;
  let moves = 0;
  for (const count of kept)
    if (count > fair) {
      moves += count - fair;
      if (extras > 0) {
        extras--;
        moves--;
      }
    }
  return moves;
}

const validTargets = ({ members, partitionCounts }: Input): Map<string, Assignment> =>
  new Map(
    members.map(({ memberId, topicIds, target }) => [
      memberId,
      new Map(
        [...target].flatMap(([topicId, partitions]) => {
          const there = partitions.filter((partition) => partition < (partitionCounts.get(topicId) ?? 0));
          return topicIds.includes(topicId) && there.length > 0 ? [[topicId, there] as const] : [];
        }),
      ),
    ]),
  );

describe('uniform, over random histories of a group', () => {
  for (const isHomogeneous of [true, false])
    test(`${isHomogeneous ? 'with one subscription' : 'with a subscription each'}: all partitions are with one subscriber, evenly, and move only for that`, () => {
      for (let seed = 0; seed < 300; seed++) {
        const group = { random: new SeededRandom(seed), isHomogeneous };
        let now = randomInput(group);
        for (let round = 0; round < 6; round++) {
          const given = assignBy(assignUniformly, now);
          expect(ownershipProblems(now, given), `seed ${seed}`).toEqual([]);
          expect(unevenness(now, given), `seed ${seed}`).toBeLessThanOrEqual(1);
          const movedHere = moved(validTargets(now), given);
          if (isHomogeneous) expect(movedHere, `seed ${seed}`).toBe(leastMoves(now));
          const after = { ...now, members: again(now, given) };
          // Once more with nothing changed: the very same assignments, so nothing is written.
          for (const [memberId, same] of assignBy(assignUniformly, after)) expect(same).toBe(given.get(memberId));
          now = changedInput(after, group);
        }
      }
    });

  test('the order of members does not matter', () => {
    for (let seed = 0; seed < 100; seed++) {
      const one = randomInput({ random: new SeededRandom(seed), isHomogeneous: seed % 2 === 0 });
      const reversed = { ...one, members: [...one.members].reverse() };
      expect(plain(assignBy(assignUniformly, reversed))).toEqual(plain(assignBy(assignUniformly, one)));
    }
  });
});

describe('uniform, of a group that changes little', () => {
  /** How often the list of topics that all but one member share is gone through, once all have what they shall have. */
  function timesRead(members: number, another: readonly number[]): number {
    let times = 0;
    const shared = [0, 1, 2, 3];
    const counted = new Proxy(shared, {
      get: (list, property) => {
        if (property === Symbol.iterator || property === 'every') times++;
        return Reflect.get(list, property);
      },
    });
    const topics = shared.map((number) => ({ topicId: idOf(number + 1), partitions: 2 * members }));
    const group = Array.from({ length: members }, (_, at) => ({
      memberId: `m${at}`,
      instanceId: null,
      topics: at === 0 ? another : counted,
      target: emptyAssignment,
    }));
    const given = assignUniformly({ members: group, topics });
    times = 0;
    assignUniformly({
      members: group.map((one) => ({ ...one, target: given.get(one.memberId) ?? one.target })),
      topics,
    });
    return times;
  }

  test('the topics of a subscription are gone through as often for many members as for few', () => {
    for (const another of [[0, 1, 2, 3], [2]]) {
      expect(timesRead(5, another)).toBeGreaterThan(0);
      expect(timesRead(200, another)).toBe(timesRead(5, another));
    }
  });

  test('who keeps all keeps the very same assignment', () => {
    const members = Array.from({ length: 20 }, (_, at) => member(`m${at}`, [1, 2]));
    const before = input({ 1: 50, 2: 50 }, members);
    const given = assignBy(assignUniformly, before);
    const joined = { ...before, members: [...again(before, given), member('n', [1, 2])] };
    const changed = [...assignBy(assignUniformly, joined)].filter(([memberId, now]) => now !== given.get(memberId));
    // 100 partitions: what the new one has, four or five, it has from as many.
    expect(changed.length).toBeLessThanOrEqual(6);
  });
});
