/**
 * What may be asked of a group's coordinator, and what it answers: Kafka's group APIs without their versions. Where a
 * version changes what an answer may be, the request says what its client knows (`knows…`), not its number.
 */
import type { LeaderEpoch, TopicId } from '../model/brands.ts';
import type { Fault } from '../model/fault.ts';
import type { TopicPartitions } from './group-records.ts';

/** Who asks, as it is shown to people: client id, and host with a slash in front as Kafka writes it. */
export interface Client {
  readonly clientId: string;
  readonly clientHost: string;
}

export interface JoinGroupRequest extends Client {
  readonly kind: 'joinGroup';
  readonly groupId: string;
  /** Empty when the member has none yet. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: number;
  /** The session timeout where the version has none (0). */
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** Most wanted first; views of the request. */
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  readonly reason: string | null;
  /** 4+: a new dynamic member is given an id and has to come again with it (KIP-394). */
  readonly knowsMemberIdRequired: boolean;
  /** 9+ (KIP-814). */
  readonly knowsSkipAssignment: boolean;
}

export interface JoinGroupAnswer {
  readonly generation: number;
  readonly protocolType: string;
  readonly protocol: string | null;
  /** The leader's member id. */
  readonly leader: string;
  readonly memberId: string;
  readonly skipAssignment: boolean;
  /** For the leader alone: every member with its metadata of the chosen protocol. */
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly metadata: Buffer;
  }[];
}

export interface SyncGroupRequest {
  readonly kind: 'syncGroup';
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Null where the version does not tell (below 5). */
  readonly protocolType: string | null;
  readonly protocol: string | null;
  /** The leader's. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
}

export interface SyncGroupAnswer {
  readonly protocolType: string | null;
  readonly protocol: string | null;
  readonly assignment: Buffer;
}

export interface HeartbeatRequest {
  readonly kind: 'heartbeat';
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

export interface LeaveGroupRequest {
  readonly kind: 'leaveGroup';
  readonly groupId: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly reason: string | null;
  }[];
}

export interface LeaveGroupAnswer {
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly fault: Fault | null;
  }[];
}

export interface OffsetCommitRequest {
  readonly kind: 'offsetCommit';
  readonly groupId: string;
  /** The generation of a classic group or the member epoch of the new protocol; -1 for a commit without a member. */
  readonly generationOrMemberEpoch: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Versions 2–4; null: the cluster's retention. */
  readonly retentionTimeMs: number | null;
  /** 9+: GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH may be answered (KIP-848). */
  readonly knowsConsumerGroups: boolean;
  /** Topics and partitions that are there; what is not was answered already. */
  readonly topics: readonly {
    readonly topic: string;
    readonly topicId: TopicId;
    readonly partitions: readonly {
      readonly partition: number;
      readonly offset: number;
      readonly leaderEpoch: LeaderEpoch;
      readonly metadata: string;
    }[];
  }[];
}

/** Of the request's partitions, in its order. */
export interface OffsetCommitAnswer {
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fault: Fault | null }[];
  }[];
}

export interface OffsetFetchRequest {
  readonly kind: 'offsetFetch';
  readonly groupId: string;
  /** Null, or empty with epoch -1, for whoever asks from outside; 9+ only. */
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** Null: all that are committed. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null;
  /** UNSTABLE_OFFSET_COMMIT for partitions with an open transaction's commit (KIP-447). */
  readonly requireStable: boolean;
}

export interface CommittedOffset {
  readonly partition: number;
  /** -1 where nothing is committed. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly fault: Fault | null;
}

export interface OffsetFetchAnswer {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly CommittedOffset[] }[];
}

export interface OffsetDeleteRequest {
  readonly kind: 'offsetDelete';
  readonly groupId: string;
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
}

export type OffsetDeleteAnswer = OffsetCommitAnswer;

export interface DescribeGroupRequest {
  readonly kind: 'describeGroup';
  readonly groupId: string;
}

/** Refused with GROUP_ID_NOT_FOUND where there is no such classic group. */
export interface DescribeGroupAnswer {
  readonly state: ClassicGroupStateName;
  readonly protocolType: string;
  /** Empty while it is not settled. */
  readonly protocol: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly metadata: Buffer;
    readonly assignment: Buffer;
  }[];
}

export interface ListGroupsRequest {
  readonly kind: 'listGroups';
  /** In lower case, since they are compared without; empty: all. */
  readonly states: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
}

export interface ListedGroup {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: GroupStateName;
  readonly type: GroupType;
}

export interface ListGroupsAnswer {
  readonly groups: readonly ListedGroup[];
}

export interface DeleteGroupRequest {
  readonly kind: 'deleteGroup';
  readonly groupId: string;
}

export interface ConsumerGroupHeartbeatRequest extends Client {
  readonly kind: 'consumerGroupHeartbeat';
  readonly groupId: string;
  readonly memberId: string;
  /** 0 join · -1 leave · -2 a static member leaves for a while · above: as last answered. */
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  /** -1: as before. */
  readonly rebalanceTimeoutMs: number;
  /** Null: as before. */
  readonly subscribedTopicNames: readonly string[] | null;
  readonly subscribedTopicRegex: string | null;
  readonly serverAssignor: string | null;
  /** What the member owns; null: as before. */
  readonly topicPartitions: readonly TopicPartitions[] | null;
  /** 1+: the member makes its own id, and may subscribe by a regular expression. */
  readonly makesOwnMemberId: boolean;
}

export interface ConsumerGroupHeartbeatAnswer {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** Null: as before. */
  readonly assignment: readonly TopicPartitions[] | null;
}

export interface ConsumerGroupDescribeRequest {
  readonly kind: 'consumerGroupDescribe';
  readonly groupId: string;
}

/** Topics that are gone are left out. */
export interface NamedTopicPartitions extends TopicPartitions {
  readonly topic: string;
}

/** Refused with GROUP_ID_NOT_FOUND where there is no such group of the new protocol. */
export interface ConsumerGroupDescribeAnswer {
  readonly state: ConsumerGroupStateName;
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly rackId: string | null;
    readonly memberEpoch: number;
    readonly clientId: string;
    readonly clientHost: string;
    readonly subscribedTopicNames: readonly string[];
    readonly subscribedTopicRegex: string | null;
    readonly assignment: readonly NamedTopicPartitions[];
    readonly targetAssignment: readonly NamedTopicPartitions[];
    /** KIP-1099: a member that joined by the classic protocol. */
    readonly isClassic: boolean;
  }[];
}

export type GroupType = 'classic' | 'consumer';
/** As ListGroups and DescribeGroups spell them. */
export type ClassicGroupStateName = 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Empty' | 'Dead';
export type ConsumerGroupStateName = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable' | 'Dead';
export type GroupStateName = ClassicGroupStateName | ConsumerGroupStateName;

export type GroupRequest =
  | JoinGroupRequest
  | SyncGroupRequest
  | HeartbeatRequest
  | LeaveGroupRequest
  | OffsetCommitRequest
  | OffsetFetchRequest
  | OffsetDeleteRequest
  | DescribeGroupRequest
  | ListGroupsRequest
  | DeleteGroupRequest
  | ConsumerGroupHeartbeatRequest
  | ConsumerGroupDescribeRequest;

interface Answers {
  joinGroup: JoinGroupAnswer;
  syncGroup: SyncGroupAnswer;
  heartbeat: object;
  leaveGroup: LeaveGroupAnswer;
  offsetCommit: OffsetCommitAnswer;
  offsetFetch: OffsetFetchAnswer;
  offsetDelete: OffsetDeleteAnswer;
  describeGroup: DescribeGroupAnswer;
  listGroups: ListGroupsAnswer;
  deleteGroup: object;
  consumerGroupHeartbeat: ConsumerGroupHeartbeatAnswer;
  consumerGroupDescribe: ConsumerGroupDescribeAnswer;
}

/** A refusal of the whole request, whatever it was. */
export interface Refused {
  readonly fault: Fault;
}

export type AnswerTo<Request extends GroupRequest> = Answers[Request['kind']] | Refused;
export type GroupAnswer = AnswerTo<GroupRequest>;

export const isRefused = (answer: object): answer is Refused => 'fault' in answer;
