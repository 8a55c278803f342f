/** Sets of partitions by topic, as groups of the new protocol keep them: never changed once made, so that they can be shared. */
import type { TopicId } from '../../model/brands.ts';
import type { TopicPartitions } from '../group-records.ts';

/** Partition numbers ascend; no topic is there without partitions. */
export type Assignment = ReadonlyMap<TopicId, readonly number[]>;

export const emptyAssignment: Assignment = new Map();

const ascending = (a: number, b: number): number => a - b;

/** Shares the lists that are in order already, as all are that were written. */
export function assignmentOf(topicPartitions: readonly TopicPartitions[]): Assignment {
  const assignment = new Map<TopicId, readonly number[]>();
  for (const { topicId, partitions } of topicPartitions) {
    const before = assignment.get(topicId);
    if (before !== undefined || !isAscending(partitions)) {
      const all = [...new Set([...(before ?? []), ...partitions])].sort(ascending);
      if (all.length > 0) assignment.set(topicId, all);
    } else if (partitions.length > 0) assignment.set(topicId, partitions);
  }
  return assignment;
}

const isAscending = (numbers: readonly number[]): boolean =>
  numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? number));

/** In the order of topic ids, so that what is written does not depend on history. */
export const topicPartitionsOf = (assignment: Assignment): TopicPartitions[] =>
  [...assignment]
    .map(([topicId, partitions]) => ({ topicId, partitions }))
    .sort((a, b) => (a.topicId < b.topicId ? -1 : 1));

export function countOf(assignment: Assignment): number {
  let count = 0;
  for (const partitions of assignment.values()) count += partitions.length;
  return count;
}

export function isEqual(a: Assignment, b: Assignment): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId);
    if (others === undefined || others.length !== partitions.length) return false;
    if (partitions.some((partition, index) => others[index] !== partition)) return false;
  }
  return true;
}

function select(from: Assignment, keep: (topicId: TopicId, partition: number) => boolean): Assignment {
  const selected = new Map<TopicId, readonly number[]>();
  for (const [topicId, partitions] of from) {
    const kept = partitions.filter((partition) => keep(topicId, partition));
    if (kept.length > 0) selected.set(topicId, kept);
  }
  return selected;
}

/** Both halves of `from`: what passes and what does not. */
export function partition(
  from: Assignment,
  passes: (topicId: TopicId, partition: number) => boolean,
): { passing: Assignment; others: Assignment } {
  const passing = select(from, passes);
  return { passing, others: countOf(passing) === countOf(from) ? emptyAssignment : difference(from, passing) };
}

export function intersection(a: Assignment, b: Assignment): Assignment {
  return a.size === 0 || b.size === 0 ? emptyAssignment : select(a, lookUp(b));
}

export function difference(a: Assignment, b: Assignment): Assignment {
  if (a.size === 0 || b.size === 0) return a;
  const numbers = lookUp(b);
  return select(a, (topicId, number) => !numbers(topicId, number));
}

export function union(a: Assignment, b: Assignment): Assignment {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const together = new Map(a);
  for (const [topicId, partitions] of b) {
    const before = a.get(topicId);
    const all = before === undefined ? partitions : [...new Set([...before, ...partitions])].sort(ascending);
    together.set(topicId, all);
  }
  return together;
}

/** Asked often for one topic after the other: the set of the last topic is kept. */
function lookUp(assignment: Assignment): (topicId: TopicId, partition: number) => boolean {
  let last: TopicId | null = null;
  let numbers = new Set<number>();
  return (topicId, number) => {
    if (topicId !== last) {
      last = topicId;
      numbers = new Set(assignment.get(topicId));
    }
    return numbers.has(number);
  };
}

/** Whether any of what a member says it owns is in `assignment`. */
export function containsAny(assignment: Assignment, owned: readonly TopicPartitions[]): boolean {
  const contains = lookUp(assignment);
  return owned.some(({ topicId, partitions }) => partitions.some((number) => contains(topicId, number)));
}

/** Whether all of what a member says it owns is in `assignment`. */
export function containsAll(assignment: Assignment, owned: readonly TopicPartitions[]): boolean {
  const contains = lookUp(assignment);
  return owned.every(({ topicId, partitions }) => partitions.every((number) => contains(topicId, number)));
}
