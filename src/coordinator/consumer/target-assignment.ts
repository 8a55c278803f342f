/**
 * What shall each member have? The assignor's answer for the members of a group as they will be, as records for those
 * whose target changes (`TargetAssignmentBuilder.java`).
 */
import { present } from '../../model/assert.ts';
import type { TopicId } from '../../model/brands.ts';
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { ConsumerMemberValue } from '../group-records.ts';
import type { Assignment } from './assignment.ts';
import type { Assignor, AssignorMember } from './assignor.ts';
import type { ResolvedRegex } from './consumer-group-state.ts';
import { assignRanges } from './range-assignor.ts';
import { type Subscription, subscriptionKey, subscriptionOf } from './subscription-counts.ts';
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

type ResolvedRegexes = ReadonlyMap<string, Pick<ResolvedRegex, 'topics'>>;

/** By member id, for every member. Topics that are not there are left out, and so are patterns not resolved yet. */
export function computeTargets(
  assignor: string,
  members: readonly TargetedMember[],
  regexes: ResolvedRegexes,
  image: ClusterImage,
): Map<string, Assignment> {
  const partitionCounts = new Map<TopicId, number>();
  const topicIdsByNames = new Map<readonly string[], Map<string | null, readonly TopicId[]>>();
  const topicIdsByKey = new Map<string, readonly TopicId[]>();

  const resolve = (subscription: Subscription): readonly TopicId[] => {
    const topicIds: TopicId[] = [];
    for (const name of topicNamesOf(subscription, regexes)) {
      const topic = image.topicByName(name);
      if (topic === undefined) continue;
      topicIds.push(topic.id);
      partitionCounts.set(topic.id, topic.record.partitions);
    }
    return topicIds;
  };
  // Members that subscribe alike share their list of names, which is found faster than its text is made.
  const topicIdsOf = (subscription: Subscription): readonly TopicId[] => {
    const { topicNames, regex } = subscription;
    let byRegex = topicIdsByNames.get(topicNames);
    if (byRegex === undefined) {
      byRegex = new Map();
      topicIdsByNames.set(topicNames, byRegex);
    }
    let topicIds = byRegex.get(regex);
    if (topicIds === undefined) {
      const key = subscriptionKey(subscription);
      topicIds = topicIdsByKey.get(key) ?? resolve(subscription);
      topicIdsByKey.set(key, topicIds);
      byRegex.set(regex, topicIds);
    }
    return topicIds;
  };

  const input = members.map(
    ({ memberId, value, target }): AssignorMember => ({
      memberId,
      instanceId: value.instanceId,
      topicIds: topicIdsOf(subscriptionOf(value)),
      target,
    }),
  );
  const assign = present(assignors.get(assignor), 'members ask for assignors that are there');
  return assign({ members: input, partitionCounts });
}

function topicNamesOf({ topicNames, regex }: Subscription, regexes: ResolvedRegexes): ReadonlySet<string> {
  const names = new Set(topicNames);
  if (regex !== null) for (const name of regexes.get(regex)?.topics ?? []) names.add(name);
  return names;
}

export function allTopicNames(subscriptions: readonly Subscription[], regexes: ResolvedRegexes): Set<string> {
  const names = new Set<string>();
  for (const subscription of subscriptions) for (const name of topicNamesOf(subscription, regexes)) names.add(name);
  return names;
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
