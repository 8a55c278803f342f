/** What an assignor is given and what it makes: which member shall have which partitions. Pure functions, one a file. */
import type { TopicId } from '../../model/brands.ts';
import type { Assignment } from './assignment.ts';

export interface AssignorMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Topics that are there, each once. Members that subscribe to the same topics may share one array. */
  readonly topicIds: readonly TopicId[];
  /** What it was meant to have last. */
  readonly target: Assignment;
}

export interface AssignorInput {
  readonly members: readonly AssignorMember[];
  /** Of every topic that any member subscribes to. */
  readonly partitionCounts: ReadonlyMap<TopicId, number>;
}

/** By member id, for every member: every partition of a subscribed topic is in exactly one of them. */
export type Assignor = (input: AssignorInput) => Map<string, Assignment>;

/** Code unit order, the same on every machine. */
export const byMemberId = (a: AssignorMember, b: AssignorMember): number => (a.memberId < b.memberId ? -1 : 1);

/** Whether all members subscribe to the same topics. */
export function isHomogeneous(members: readonly AssignorMember[]): boolean {
  const first = members[0];
  if (first === undefined) return true;
  let topics: Set<TopicId> | null = null;
  for (const { topicIds } of members) {
    if (topicIds === first.topicIds) continue;
    topics ??= new Set(first.topicIds);
    if (topicIds.length !== topics.size) return false;
    for (const topicId of topicIds) if (!topics.has(topicId)) return false;
  }
  return true;
}
