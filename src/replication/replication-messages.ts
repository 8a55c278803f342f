/**
 * What a follower and a leader say to each other (§2.6): one bidirectional stream per (follower, leader) pair carries
 * many partitions. Everything after Attach names its attachId, which stands for exactly one (topicId, partition,
 * leaderEpoch, brokerEpoch) on this stream; messages of other attachIds are dropped (I13).
 * `cluster/` carries them over gRPC, `batches` as raw bytes; the simulation carries them over its own network.
 */
import type { BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicId } from '../model/brands.ts';

export type FollowerMessage =
  | {
      readonly kind: 'hello';
      readonly clusterId: string;
      readonly brokerId: BrokerId;
      readonly brokerEpoch: BrokerEpoch;
    }
  | {
      readonly kind: 'attach';
      readonly attachId: number;
      readonly topicId: TopicId;
      readonly partition: number;
      readonly leaderEpoch: LeaderEpoch;
      readonly logEndOffset: Offset;
      /** Epoch of the last record in the follower's log, -1 if it is empty. */
      readonly lastEpoch: LeaderEpoch;
    }
  | { readonly kind: 'detach'; readonly attachId: number }
  /** Everything before logEndOffset is in the follower's log. */
  | { readonly kind: 'ack'; readonly attachId: number; readonly logEndOffset: Offset }
  /** The leader may send `bytes` more of batches on this stream. */
  | { readonly kind: 'credit'; readonly bytes: number }
  /** Asks for a pong, which nobody sends who is dead. */
  | { readonly kind: 'ping' }
  /** As many as there were pings of the leader, in their order; what is detached by then was detached before. */
  | { readonly kind: 'pong' };

export type RejectReason =
  | 'fencedLeaderEpoch'
  | 'unknownLeaderEpoch'
  | 'notLeader'
  | 'unknownPartition'
  | 'offsetAhead';

export type LeaderMessage =
  /** As many as there were pings of the follower, in their order. */
  | { readonly kind: 'pong' }
  /** Asks for a pong: whoever sends it still follows what it has attached (I19). */
  | { readonly kind: 'ping' }
  /** Refused: this broker's metadata knows another epoch of the follower, or another cluster. */
  | { readonly kind: 'helloAnswer'; readonly isAccepted: boolean; readonly reason: string }
  | {
      readonly kind: 'reject';
      readonly attachId: number;
      readonly reason: RejectReason;
      readonly leaderEpoch: LeaderEpoch;
    }
  /** The logs part: cut to min(endOffset, own endFor(epoch)) and attach again. */
  | { readonly kind: 'diverging'; readonly attachId: number; readonly epoch: LeaderEpoch; readonly endOffset: Offset }
  | {
      readonly kind: 'attached';
      readonly attachId: number;
      readonly leaderEpochStartOffset: Offset;
      readonly highWatermark: Offset;
      readonly logStartOffset: Offset;
    }
  | {
      readonly kind: 'data';
      readonly attachId: number;
      readonly baseOffset: Offset;
      readonly highWatermark: Offset;
      readonly logStartOffset: Offset;
      /** Whole batches, or nothing: then it only tells the offsets. */
      readonly batches: readonly Buffer[];
    };

/** What is said about one attach request. */
export type AttachedMessage = Exclude<LeaderMessage, { readonly kind: 'helloAnswer' | 'ping' | 'pong' }>;
