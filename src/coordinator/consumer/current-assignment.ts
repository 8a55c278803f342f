/**
 * What does one member have to do next? Its current assignment is moved towards its target, one answer at a time, so that
 * a partition is handed on only when nobody else owns it (KIP-848, `CurrentAssignmentBuilder.java`).
 *
 *     assigned ∩ target      stays the member's
 *     assigned − target      must be given up: until the member reports that it owns none of it, it stays in its epoch
 *     target − assigned      is given to it as far as it is free; the rest is waited for
 *
 * | state       | the member                        | then                                                           |
 * | ----------- | --------------------------------- | -------------------------------------------------------------- |
 * | stable      | is in the target's epoch          | nothing                                                        |
 * | stable      | is in an older epoch              | next                                                           |
 * | unrevoked   | does not say what it owns         | nothing                                                        |
 * | unrevoked   | owns some of what is pending      | nothing                                                        |
 * | unrevoked   | owns none of it                   | next                                                           |
 * | unreleased  | any                               | next: what has become free is given to it                      |
 * | unknown     | owns nothing                      | next (a state of a later version; who owns something is fenced) |
 *
 * | next: to give up, and not yet given up | given | still owned by others | state      | epoch        |
 * | -------------------------------------- | ----- | --------------------- | ---------- | ------------ |
 * | yes                                    | none  | any                   | unrevoked  | as it was    |
 * | no                                     | all that is free | none       | stable     | the target's |
 * | no                                     | all that is free | some       | unreleased | the target's |
 */
import type { TopicId } from '../../model/brands.ts';
import { type MemberState, memberStates, type TopicPartitions } from '../group-records.ts';
import {
  type Assignment,
  containsAny,
  difference,
  emptyAssignment,
  intersection,
  isEqual,
  partition,
  union,
} from './assignment.ts';

export interface CurrentAssignment {
  /** -2 while a static member is away. */
  readonly memberEpoch: number;
  /** Accepted once more, since the answer that told the newer one may be lost. */
  readonly previousMemberEpoch: number;
  readonly state: MemberState;
  readonly assigned: Assignment;
  /** Still the member's, until it has given them up. */
  readonly pendingRevocation: Assignment;
}

export const initialAssignment: CurrentAssignment = {
  memberEpoch: 0,
  previousMemberEpoch: 0,
  state: memberStates.stable,
  assigned: emptyAssignment,
  pendingRevocation: emptyAssignment,
};

export interface Reconciliation {
  readonly current: CurrentAssignment;
  readonly targetEpoch: number;
  readonly target: Assignment;
  /** What the member says it owns; null where it does not say. */
  readonly owned: readonly TopicPartitions[] | null;
  /** Nobody but this member owns the partition. */
  isFree(topicId: TopicId, partition: number): boolean;
}

/** Whether the member has all it is meant to have at that epoch. */
export const isReconciledTo = (current: CurrentAssignment, targetEpoch: number): boolean =>
  current.state === memberStates.stable && current.memberEpoch === targetEpoch;

/** The current assignment itself where nothing is to be done. */
export function reconcile(reconciliation: Reconciliation): CurrentAssignment {
  const { current, targetEpoch, owned } = reconciliation;
  switch (current.state) {
    case memberStates.stable:
      return current.memberEpoch === targetEpoch ? current : next(reconciliation);
    case memberStates.unrevokedPartitions:
      return isGivenUp(current.pendingRevocation, owned) ? next(reconciliation) : current;
    default:
      return next(reconciliation);
  }
}

const isGivenUp = (pending: Assignment, owned: readonly TopicPartitions[] | null): boolean =>
  owned !== null && !containsAny(pending, owned);

function next({ current, targetEpoch, target, owned, isFree }: Reconciliation): CurrentAssignment {
  const kept = intersection(current.assigned, target);
  const pendingRevocation = difference(current.assigned, kept);
  if (pendingRevocation.size > 0 && !isGivenUp(pendingRevocation, owned))
    return changed(current, {
      memberEpoch: current.memberEpoch,
      state: memberStates.unrevokedPartitions,
      assigned: kept,
      pendingRevocation,
    });
  const { passing: given, others: unreleased } = partition(difference(target, kept), isFree);
  return changed(current, {
    memberEpoch: targetEpoch,
    state: unreleased.size > 0 ? memberStates.unreleasedPartitions : memberStates.stable,
    assigned: union(kept, given),
    pendingRevocation: emptyAssignment,
  });
}

function changed(from: CurrentAssignment, to: Omit<CurrentAssignment, 'previousMemberEpoch'>): CurrentAssignment {
  const isSame =
    from.memberEpoch === to.memberEpoch &&
    from.state === to.state &&
    isEqual(from.assigned, to.assigned) &&
    isEqual(from.pendingRevocation, to.pendingRevocation);
  return isSame ? from : { ...to, previousMemberEpoch: from.memberEpoch };
}
