/** Groups to assign partitions in, by hand and at random, and what must be so of every assignment. */
import { type Assignment, assignmentOf } from '../../../../src/coordinator/consumer/assignment.ts';
import type { Assignor, AssignorMember } from '../../../../src/coordinator/consumer/assignor.ts';
import type { TopicId } from '../../../../src/model/brands.ts';
import type { SeededRandom } from '../../../simulation/seeded-random.ts';
import { idOf } from './group-world.ts';

/** Partitions by topic number. */
export type Partitions = Readonly<Record<number, readonly number[]>>;

export const assignment = (partitions: Partitions): Assignment =>
  assignmentOf(
    Object.entries(partitions).map(([topic, numbers]) => ({ topicId: idOf(Number(topic)), partitions: numbers })),
  );

export interface Member extends Omit<AssignorMember, 'topics'> {
  readonly topicIds: readonly TopicId[];
}

export interface Input {
  readonly members: readonly Member[];
  readonly partitionCounts: ReadonlyMap<TopicId, number>;
}

/** Topics without partitions are not there. Members that share their list of topics share their list of numbers. */
export function assignBy(assignor: Assignor, { members, partitionCounts }: Input): Map<string, Assignment> {
  const topics = [...partitionCounts].map(([topicId, partitions]) => ({ topicId, partitions }));
  const numbers = new Map(topics.map(({ topicId }, number) => [topicId, number]));
  const lists = new Map(
    members.map(({ topicIds }) => [
      topicIds,
      topicIds.map((topicId) => numbers.get(topicId)).filter((number) => number !== undefined),
    ]),
  );
  return assignor({
    members: members.map(({ topicIds, ...one }) => ({ ...one, topics: lists.get(topicIds) ?? [] })),
    topics,
  });
}

export const member = (memberId: string, topics: readonly number[], target: Partitions = {}): Member => ({
  memberId,
  instanceId: null,
  topicIds: topics.map(idOf),
  target: assignment(target),
});

/** Topic number → partition count. */
export const input = (counts: Readonly<Record<number, number>>, members: readonly Member[]): Input => ({
  members,
  partitionCounts: new Map(Object.entries(counts).map(([topic, count]) => [idOf(Number(topic)), count])),
});

export const plain = (assignments: ReadonlyMap<string, Assignment>): Record<string, Partitions> =>
  Object.fromEntries(
    [...assignments].map(([memberId, given]) => [
      memberId,
      Object.fromEntries([...given].map(([topicId, partitions]) => [Number(topicId.slice(9)), [...partitions]])),
    ]),
  );

export const again = (before: Input, assignments: ReadonlyMap<string, Assignment>): Member[] =>
  before.members.map((one) => ({ ...one, target: assignments.get(one.memberId) ?? one.target }));

/** What is wrong: a partition with nobody, with two, with somebody who does not subscribe to it, or that is not there. */
export function ownershipProblems(
  { members, partitionCounts }: Input,
  assignments: ReadonlyMap<string, Assignment>,
): string[] {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  const subscribed = new Set<TopicId>();
  for (const { memberId, topicIds } of members) {
    const given = assignments.get(memberId);
    if (given === undefined) problems.push(`${memberId} has no assignment`);
    for (const topicId of topicIds) subscribed.add(topicId);
    for (const [topicId, partitions] of given ?? []) {
      if (!topicIds.includes(topicId)) problems.push(`${memberId} does not subscribe to ${topicId}`);
      if (partitions.length === 0) problems.push(`${memberId} has ${topicId} without partitions`);
      for (const [at, partition] of partitions.entries()) {
        const before = partitions[at - 1];
        if (before !== undefined && before >= partition) problems.push(`${memberId}: ${topicId} is not in order`);
        if (partition >= (partitionCounts.get(topicId) ?? 0)) problems.push(`there is no ${topicId} ${partition}`);
        const other = owners.get(`${topicId} ${partition}`);
        if (other !== undefined) problems.push(`${topicId} ${partition} is with ${other} and ${memberId}`);
        owners.set(`${topicId} ${partition}`, memberId);
      }
    }
  }
  for (const topicId of subscribed)
    for (let partition = 0; partition < (partitionCounts.get(topicId) ?? 0); partition++)
      if (!owners.has(`${topicId} ${partition}`)) problems.push(`${topicId} ${partition} is with nobody`);
  return problems;
}

export const countsOf = (assignments: ReadonlyMap<string, Assignment>): Map<string, number> =>
  new Map(
    [...assignments].map(([memberId, given]) => [
      memberId,
      [...given.values()].reduce((sum, partitions) => sum + partitions.length, 0),
    ]),
  );

/** How many partitions are with another member than before, of those whose member is still there. */
export function moved(before: ReadonlyMap<string, Assignment>, after: ReadonlyMap<string, Assignment>): number {
  let count = 0;
  for (const [memberId, had] of before) {
    const has = after.get(memberId);
    if (has === undefined) continue;
    for (const [topicId, partitions] of had) {
      const kept = new Set(has.get(topicId));
      count += partitions.filter((partition) => !kept.has(partition)).length;
    }
  }
  return count;
}

export interface RandomGroup {
  readonly random: SeededRandom;
  readonly isHomogeneous: boolean;
}

/** Up to 8 members on up to 6 topics of up to 12 partitions. */
export function randomInput({ random, isHomogeneous }: RandomGroup): Input {
  const topics = Array.from({ length: 1 + random.below(6) }, (_, at) => at + 1);
  const counts = Object.fromEntries(topics.map((topic) => [topic, random.below(13)]));
  const all = topics.filter(() => random.chance(0.8));
  const members = Array.from({ length: 1 + random.below(8) }, (_, at) =>
    member(`m${at}`, isHomogeneous ? all : topics.filter(() => random.chance(0.5))),
  );
  return input(counts, members);
}

/** Members come and go, topics grow or go, subscriptions change (where they may). */
export function changedInput(before: Input, { random, isHomogeneous }: RandomGroup): Input {
  const members = before.members.filter(() => random.chance(0.8));
  const counts = new Map(before.partitionCounts);
  for (const [topicId, count] of counts) {
    if (random.chance(0.2)) counts.set(topicId, count + random.below(4));
    else if (random.chance(0.1)) counts.set(topicId, 0);
  }
  const [first] = before.members;
  const topicIds = first?.topicIds ?? [];
  const subscribe = (): readonly TopicId[] =>
    isHomogeneous ? topicIds : [...counts.keys()].filter(() => random.chance(0.5));
  for (let come = random.below(3); come > 0 || members.length === 0; come--)
    members.push({ ...member(`n${random.below(1_000_000)}`, []), topicIds: subscribe() });
  return {
    members: members.map((one) => (!isHomogeneous && random.chance(0.2) ? { ...one, topicIds: subscribe() } : one)),
    partitionCounts: counts,
  };
}
