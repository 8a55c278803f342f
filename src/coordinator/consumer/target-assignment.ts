/**
 * What shall each member have? The assignor's answer for the members of a group as they will be, as records for those
 * whose target changes (`TargetAssignmentBuilder.java`).
 */
import { present } from '../../model/assert.ts';
import type { ConsumerMemberValue } from '../group-records.ts';
import type { Assignment } from './assignment.ts';
import type { Assignor } from './assignor.ts';
import { assignRanges } from './range-assignor.ts';
import type { ResolvedRegexes, SubscribedTopics } from './subscribed-topics.ts';
import { subscriptionOf } from './subscription-counts.ts';
import { assignUniformly } from './uniform-assignor.ts';

/** By the names of `group.consumer.assignors`. */
const assignors: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', assignUniformly],
  ['range', assignRanges],
]);

export interface TargetedMember {
  readonly memberId: string;
  readonly value: ConsumerMemberValue;
  /** What it was meant to have last. */
  readonly target: Assignment;
}

/** By member id, for every member, over topics that were looked up for all of them. */
export function computeTargets(
  assignor: string,
  members: readonly TargetedMember[],
  topics: SubscribedTopics,
  regexes: ResolvedRegexes,
): Map<string, Assignment> {
  const assign = present(assignors.get(assignor), 'members ask for assignors that are there');
  return assign({
    members: members.map(({ memberId, value, target }) => ({
      memberId,
      instanceId: value.instanceId,
      topics: topics.numbersOf(subscriptionOf(value), regexes),
      target,
    })),
    topics: topics.all(),
  });
}

/** What most members ask for, of equals the first; the group's first where none asks (`computePreferredServerAssignor`). */
export function preferredAssignor(members: Iterable<ConsumerMemberValue>, otherwise: readonly string[]): string {
  const votes = new Map<string, number>();
  for (const { serverAssignor } of members)
    if (serverAssignor !== null) votes.set(serverAssignor, (votes.get(serverAssignor) ?? 0) + 1);
  let preferred = otherwise[0] ?? 'uniform';
  let most = 0;
  for (const [name, count] of votes)
    if (count > most && assignors.has(name)) {
      preferred = name;
      most = count;
    }
  return preferred;
}
