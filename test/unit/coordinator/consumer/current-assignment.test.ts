import { describe, expect, test } from 'vitest';
import { emptyAssignment, topicPartitionsOf } from '../../../../src/coordinator/consumer/assignment.ts';
import {
  type CurrentAssignment,
  initialAssignment,
  reconcile,
} from '../../../../src/coordinator/consumer/current-assignment.ts';
import { type MemberState, memberStates } from '../../../../src/coordinator/group-records.ts';
import { assignment } from './assignor-cases.ts';

const { stable, unrevokedPartitions: unrevoked, unreleasedPartitions: unreleased, unknown } = memberStates;

interface Shown {
  readonly epoch: number;
  readonly previous: number;
  readonly state: MemberState;
  readonly assigned: readonly number[];
  readonly pending: readonly number[];
}

const current = ({ epoch, previous, state, assigned, pending }: Shown): CurrentAssignment => ({
  memberEpoch: epoch,
  previousMemberEpoch: previous,
  state,
  assigned: assignment({ 1: assigned }),
  pendingRevocation: assignment({ 1: pending }),
});
const at = (
  epoch: number,
  state: MemberState,
  assigned: readonly number[],
  pending: readonly number[] = [],
): Shown => ({
  epoch,
  previous: epoch - 1,
  state,
  assigned,
  pending,
});
const after = (before: Shown, shown: Shown): Shown => ({ ...shown, previous: before.epoch });

// A member … | now | target at epoch 7 | owns (null: does not say) | others own | expected (null: as it is)
const cases: readonly (readonly [string, Shown, number[], number[] | null, number[], Shown | null])[] = [
  ['that is there does nothing', at(7, stable, [0, 1]), [0, 1], [0, 1], [], null],
  ['that joins is given what is free', at(0, stable, []), [0, 1], [], [], at(7, stable, [0, 1])],
  ['that joins waits for what is not', at(0, stable, []), [0, 1], [], [1], at(7, unreleased, [0])],
  ['with the same target only takes the epoch', at(6, stable, [0]), [0], null, [], at(7, stable, [0])],
  ['must first give up', at(6, stable, [0, 1]), [1, 2], [0, 1], [], at(6, unrevoked, [1], [0])],
  ['must say that it has given up', at(6, stable, [0, 1]), [1], null, [], at(6, unrevoked, [1], [0])],
  ['that has given up already goes on', at(6, stable, [0, 1]), [1, 2], [1], [], at(7, stable, [1, 2])],
  ['that still owns some waits', at(6, unrevoked, [1], [0]), [1, 2], [0, 1], [], null],
  ['that does not say waits', at(6, unrevoked, [1], [0]), [1, 2], null, [], null],
  ['that gives up is given the rest', at(6, unrevoked, [1], [0]), [1, 2], [1], [], at(7, stable, [1, 2])],
  ['that gives up may have to wait', at(6, unrevoked, [1], [0]), [1, 2], [1], [2], at(7, unreleased, [1])],
  [
    'that gives up may have to give up more',
    at(5, unrevoked, [1, 2], [0]),
    [2],
    [1, 2],
    [],
    at(5, unrevoked, [2], [1]),
  ],
  ['that gives up may be given it back', at(5, unrevoked, [1], [0]), [0, 1], [1], [], at(7, stable, [0, 1])],
  ['waits while others own its part', at(7, unreleased, [0]), [0, 1], null, [1], null],
  ['is given what was released', at(7, unreleased, [0]), [0, 1, 2], null, [2], at(7, unreleased, [0, 1])],
  ['is given the last of it', at(7, unreleased, [0]), [0, 1], null, [], at(7, stable, [0, 1])],
  ['that waits may have to give up', at(6, unreleased, [0]), [1], [0], [], at(6, unrevoked, [], [0])],
  ['in an unknown state that owns nothing begins anew', at(6, unknown, []), [0, 1], [], [1], at(7, unreleased, [0])],
];

describe('a member', () => {
  for (const [title, before, target, owned, others, expected] of cases)
    test(title, () => {
      const from = current(before);
      const to = reconcile({
        current: from,
        targetEpoch: 7,
        target: assignment({ 1: target }),
        owned: owned === null ? null : topicPartitionsOf(assignment({ 1: owned })),
        isFree: (_, partition) => !others.includes(partition),
      });
      if (expected === null) expect(to).toBe(from);
      else expect(to).toEqual(current(after(before, expected)));
    });

  test('gives up a topic that is no longer its', () => {
    const to = reconcile({
      current: { ...initialAssignment, memberEpoch: 6, assigned: assignment({ 1: [0], 2: [0, 1] }) },
      targetEpoch: 7,
      target: assignment({ 1: [0], 3: [0] }),
      owned: [],
      isFree: () => true,
    });
    expect(to.assigned).toEqual(assignment({ 1: [0], 3: [0] }));
    expect(to.pendingRevocation).toEqual(emptyAssignment);
  });
});
