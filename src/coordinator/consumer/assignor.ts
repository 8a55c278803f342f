/** What an assignor is given and what it makes: which member shall have which partitions. Pure functions, one a file. */
import type { TopicId } from '../../model/brands.ts';
import type { Assignment } from './assignment.ts';

export interface AssignorTopic {
  readonly topicId: TopicId;
  /** How many. */
  readonly partitions: number;
}

export interface AssignorMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Topics that are there, each once, by their numbers. Members that subscribe to the same topics may share one list. */
  readonly topics: readonly number[];
  /** What it was meant to have last. */
  readonly target: Assignment;
}

export interface AssignorInput {
  readonly members: readonly AssignorMember[];
  /** By number: every topic that any member subscribes to. */
  readonly topics: readonly AssignorTopic[];
}

/** By member id, for every member: every partition of a subscribed topic is in exactly one of them. */
export type Assignor = (input: AssignorInput) => Map<string, Assignment>;

/** Code unit order, the same on every machine. */
export const byMemberId = (a: AssignorMember, b: AssignorMember): number => (a.memberId < b.memberId ? -1 : 1);
