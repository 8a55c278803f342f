/**
 * The changes of groups and their offsets, as `__consumer_offsets` keeps them: what a request makes, and the only thing
 * that changes a group's durable state. A null value deletes what the key names (a tombstone).
 *
 * Field for field Kafka's records (consumer-group `*Value.json`); how they become bytes is the broker's affair.
 */
import type { TopicId } from '../model/brands.ts';

export interface OffsetCommitValue {
  /** As it was committed: one below 0 is kept (kafkajs says -1, the end, and -2, the beginning), and is no position. */
  readonly offset: number;
  /** -1 where the client gave none. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
  /** Of versions 2–4 of OffsetCommit: when the offset expires; null: by `offsets.retention.minutes`. */
  readonly expireTimestampMs: number | null;
  /** Null in records written before topic ids were kept. */
  readonly topicId: TopicId | null;
}

export interface ClassicMemberValue {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** -1 in version 0 of the record, which has none: the session timeout stands in (`loadedMember`). */
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** The member's metadata for the protocol that was chosen. */
  readonly subscription: Buffer;
  readonly assignment: Buffer;
}

/** A classic group after a completed rebalance; without members it is Empty. */
export interface ClassicGroupValue {
  readonly protocolType: string;
  readonly generation: number;
  readonly protocol: string | null;
  readonly leader: string | null;
  /** When the group came into this state. */
  readonly currentStateTimestampMs: number;
  readonly members: readonly ClassicMemberValue[];
}

export interface TopicPartitions {
  readonly topicId: TopicId;
  /** Ascending. */
  readonly partitions: readonly number[];
}

/** What a member that joined by the classic protocol supports, while its group is of the new one. */
export interface ClassicMemberMetadata {
  readonly sessionTimeoutMs: number;
  readonly supportedProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

export interface ConsumerMemberValue {
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly subscribedTopicNames: readonly string[];
  readonly subscribedTopicRegex: string | null;
  /** -1 where none was given. */
  readonly rebalanceTimeoutMs: number;
  readonly serverAssignor: string | null;
  readonly classicMemberMetadata: ClassicMemberMetadata | null;
}

/** As Kafka numbers them in the record (`MemberState.java`). */
export const memberStates = {
  stable: 0,
  unrevokedPartitions: 1,
  unreleasedPartitions: 2,
  unknown: 127,
} as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

export interface CurrentAssignmentValue {
  readonly memberEpoch: number;
  readonly previousMemberEpoch: number;
  readonly state: MemberState;
  readonly assignedPartitions: readonly TopicPartitions[];
  readonly partitionsPendingRevocation: readonly TopicPartitions[];
}

export interface RegularExpressionValue {
  readonly topics: readonly string[];
  /** Of the metadata it was evaluated on. */
  readonly version: number;
  readonly timestampMs: number;
}

export type GroupRecord =
  | {
      readonly kind: 'offsetCommit';
      readonly groupId: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: OffsetCommitValue | null;
    }
  | { readonly kind: 'classicGroup'; readonly groupId: string; readonly value: ClassicGroupValue | null }
  | {
      readonly kind: 'consumerGroupMetadata';
      readonly groupId: string;
      readonly value: { readonly epoch: number; readonly metadataHash: bigint } | null;
    }
  | {
      readonly kind: 'consumerGroupMember';
      readonly groupId: string;
      readonly memberId: string;
      readonly value: ConsumerMemberValue | null;
    }
  | {
      readonly kind: 'consumerGroupTargetAssignmentMetadata';
      readonly groupId: string;
      readonly value: { readonly assignmentEpoch: number; readonly assignmentTimestampMs: number } | null;
    }
  | {
      readonly kind: 'consumerGroupTargetAssignmentMember';
      readonly groupId: string;
      readonly memberId: string;
      readonly value: { readonly topicPartitions: readonly TopicPartitions[] } | null;
    }
  | {
      readonly kind: 'consumerGroupCurrentAssignment';
      readonly groupId: string;
      readonly memberId: string;
      readonly value: CurrentAssignmentValue | null;
    }
  | {
      readonly kind: 'consumerGroupRegularExpression';
      readonly groupId: string;
      readonly regularExpression: string;
      readonly value: RegularExpressionValue | null;
    };

export type ConsumerGroupRecord = Exclude<GroupRecord, { kind: 'offsetCommit' | 'classicGroup' }>;
