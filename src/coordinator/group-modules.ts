/** What groups are given of the world: metadata, chance, deadlines, and the one thing they must read inside bytes. */
import type { ClusterImage } from '../model/cluster-image.ts';
import type { DeadlineQueue } from './deadline-queue.ts';
import type { ShardMemory } from './group-memory.ts';
import type { GroupOptions } from './group-options.ts';

export interface GroupModules {
  readonly options: GroupOptions;
  /** The newest applied metadata; ask again each time. */
  image(): ClusterImage;
  /** A random id in the form of a UUID (8-4-4-4-12 hexadecimal digits). */
  newUuid(): string;
  readonly consumerProtocol: ConsumerProtocol;
  /** On the monotonic clock, shared by all groups of a shard; keys as `deadlineKey` makes them. */
  readonly deadlines: DeadlineQueue;
  /** Of what no log holds; the broker's, by way of its shard. */
  readonly memory: ShardMemory;
  /** What the log takes at once (`max.message.bytes`): larger records can never be written. */
  maxBatchBytes(): number;
}

/** A member's subscription, as consumers of a classic group tell it their leader (KIP-429, 792, 881). */
export interface ConsumerSubscription {
  readonly version: number;
  readonly topics: readonly string[];
  readonly userData: Buffer | null;
  readonly ownedPartitions: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
  /** -1 below version 2. */
  readonly generation: number;
  readonly rackId: string | null;
}

export interface ConsumerAssignment {
  readonly version: number;
  readonly assignedPartitions: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
  readonly userData: Buffer | null;
}

/** The bytes that classic consumers exchange through their coordinator; null for what is not such bytes. */
export interface ConsumerProtocol {
  decodeSubscription(metadata: Buffer): ConsumerSubscription | null;
  encodeSubscription(subscription: ConsumerSubscription): Buffer;
  decodeAssignment(assignment: Buffer): ConsumerAssignment | null;
  encodeAssignment(assignment: ConsumerAssignment): Buffer;
}

export interface DeadlineName {
  readonly groupId: string;
  /** What ends: a session, a rebalance, … */
  readonly purpose: string;
  /** Empty where it is the group's own. */
  readonly memberId: string;
}

const separator = '\u0000';

export const deadlineKey = ({ groupId, purpose, memberId }: DeadlineName): string =>
  `${purpose}${separator}${memberId.length}${separator}${memberId}${groupId}`;

export function parseDeadlineKey(key: string): DeadlineName {
  const first = key.indexOf(separator);
  const second = key.indexOf(separator, first + 1);
  const memberEnd = second + 1 + Number(key.slice(first + 1, second));
  return { purpose: key.slice(0, first), memberId: key.slice(second + 1, memberEnd), groupId: key.slice(memberEnd) };
}
