/** What the shard asks of a group, whichever protocol its members speak. */
import type { Fault } from '../model/fault.ts';
import type { CoordinatorShard, Now, Step } from './coordinator-shard.ts';
import type { DeadlineName } from './group-modules.ts';
import type { GroupRecord } from './group-records.ts';
import type {
  GroupAnswer,
  GroupRequest,
  GroupStateName,
  GroupType,
  OffsetCommitRequest,
  OffsetFetchRequest,
} from './group-requests.ts';

export type GroupStep = Step<GroupRecord, GroupAnswer>;
export type GroupCoordinatorShard = CoordinatorShard<GroupRequest, GroupRecord, GroupAnswer>;

export interface Group {
  readonly type: GroupType;
  readonly groupId: string;
  /** Empty where the group was made by commits alone. */
  readonly protocolType: string;
  stateName(): GroupStateName;
  /** No member, whatever offsets it has: it may be deleted, and its offsets may expire. */
  isEmpty(): boolean;
  /** Since when it is empty, on the wall clock; offsets expire counted from there (KIP-211). Null while it has members. */
  emptySinceMs(): number | null;
  /** Why a commit is refused, before anything is written; accepting one counts as a heartbeat of the member. */
  checkOffsetCommit(request: OffsetCommitRequest, now: Now): Fault | null;
  /** Why a fetch is refused. */
  checkOffsetFetch(request: OffsetFetchRequest): Fault | null;
  /** Why offsets cannot be deleted one by one, whatever their topic. */
  checkOffsetDelete(): Fault | null;
  /** Offsets of a topic that a member reads are not deleted (GROUP_SUBSCRIBED_TO_TOPIC). */
  isSubscribedTo(topic: string): boolean;
  /**
   * Whether offsets of topics that no member reads may expire, by the time of their commit, while there are members: not
   * where it is unknown what they read, or in the middle of a rebalance.
   */
  mayExpireUnreadOffsets(): boolean;
  /** The records that delete the group itself; its offsets are the shard's. */
  tombstones(): GroupRecord[];
  /**
   * A deadline of this group has come. Null where it means nothing any more. Between the step of one event and the replay
   * of its records no other event comes to the same group.
   */
  onDeadline(name: DeadlineName, now: Now): GroupStep | null;
  /** The shard serves from now on. */
  onLoaded(now: Now): void;
  /** It is no longer there: its deadlines are cancelled. */
  close(): void;
}
