/**
 * A group of the new protocol (KIP-848): the coordinator decides who has what, and each member is brought there by its
 * own heartbeats, without waiting for the others.
 *
 *     heartbeat ──► may it? ──► the member as it will be ──► what is written ──► the answer
 *                   rules         with what it said           group-change       epoch, and what it has
 *
 * Everything a heartbeat changes is in the records of its step. Besides them there are deadlines (a session, the time to
 * give partitions up), which are set again by each heartbeat, and patterns that are being evaluated.
 */
import type { Fault } from '../../model/fault.ts';
import type { Now, TopicsChange } from '../coordinator-shard.ts';
import type { Group, GroupStep } from '../group.ts';
import type { DeadlineName, GroupModules } from '../group-modules.ts';
import {
  type ConsumerGroupRecord,
  type ConsumerMemberValue,
  type GroupRecord,
  memberStates,
} from '../group-records.ts';
import type {
  ConsumerGroupDescribeAnswer,
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupStateName,
  HeartbeatRequest,
  JoinGroupRequest,
  LeaveGroupRequest,
  NamedTopicPartitions,
  OffsetCommitRequest,
  OffsetFetchRequest,
  SyncGroupRequest,
} from '../group-requests.ts';
import { type Assignment, emptyAssignment, isEqual, topicPartitionsOf } from './assignment.ts';
import { ClassicService } from './classic-service.ts';
import { currentAssignmentValue } from './consumer-group-state.ts';
import { type CurrentAssignment, isReconciledTo } from './current-assignment.ts';
import { groupTombstones, type MemberChanged } from './group-change.ts';
import { GroupCore, purposes } from './group-core.ts';
import { epochFault, heartbeatFault, isLeaving, joinEpoch, leaveForAWhileEpoch } from './heartbeat-rules.ts';
import { preferredAssignor } from './target-assignment.ts';

interface FoundMember {
  readonly memberId: string;
  /** Null for a member that is new. */
  readonly before: ConsumerMemberValue | null;
  readonly replaces: string | null;
}

export class ConsumerGroup implements Group {
  readonly type = 'consumer';
  readonly protocolType = 'consumer';
  readonly #core: GroupCore;
  readonly #classic: ClassicService;

  constructor(groupId: string, modules: GroupModules) {
    this.#core = new GroupCore(groupId, modules);
    this.#classic = new ClassicService(this.#core);
  }

  get groupId(): string {
    return this.#core.groupId;
  }

  // -- the new protocol

  heartbeat(request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const { modules } = core;
    const limits = { assignors: modules.options.consumerAssignors, maxBytes: modules.maxBatchBytes() };
    const fault = heartbeatFault(request, limits);
    if (fault !== null) return core.refused(requestId, fault);
    if (request.memberEpoch !== joinEpoch && this.isNothing)
      return core.refused(requestId, { code: 'GROUP_ID_NOT_FOUND', reason: `there is no group ${this.groupId}` });
    return isLeaving(request) ? this.#leave(request, requestId, now) : this.#joinOrStay(request, requestId, now);
  }

  #joinOrStay(request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const found = this.#findMember(request);
    if ('code' in found) return core.refused(requestId, found);
    const { memberId, before, replaces } = found;
    const value = updatedValue(before, request);
    const fault = core.regexFault(value);
    if (fault !== null) return core.refused(requestId, fault);

    const changed = core.change({ memberId, value, replaces, owned: request.topicPartitions }, now);
    core.setDeadline(purposes.session, memberId, now.monotonicMs + core.sessionTimeoutMs(value));
    this.#armRebalance(memberId, value, changed, now);

    const { after } = changed;
    const isFullRequest =
      request.memberEpoch === joinEpoch ||
      (request.rebalanceTimeoutMs !== -1 &&
        (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
        request.topicPartitions !== null);
    const isTold = isFullRequest || !isEqual(changed.before.assigned, after.assigned);
    return core.answered(requestId, changed.records, {
      memberId,
      memberEpoch: after.memberEpoch,
      heartbeatIntervalMs: core.heartbeatIntervalMs(),
      assignment: isTold ? topicPartitionsOf(after.assigned) : null,
    });
  }

  /** The member that a heartbeat comes from, or why it may not. */
  #findMember(request: ConsumerGroupHeartbeatRequest): FoundMember | Fault {
    const core = this.#core;
    const { memberEpoch, instanceId, topicPartitions: owned } = request;
    const isJoining = memberEpoch === joinEpoch;
    const memberId = request.memberId === '' ? core.modules.newUuid() : request.memberId;
    const sizeFault = core.sizeFault(memberId);
    if (sizeFault !== null) return sizeFault;
    if (instanceId !== null) {
      if (isJoining) return this.#findStaticJoiner(memberId, instanceId);
      const fault = core.instanceFault(memberId, instanceId);
      if (fault !== null) return fault;
    }
    const before = core.state.members.get(memberId) ?? null;
    if (before === null) return isJoining ? { memberId, before, replaces: null } : core.unknownMember(memberId);
    return epochFault(core.state.currentOf(memberId), memberEpoch, owned) ?? { memberId, before, replaces: null };
  }

  /** A static member's place is free, its own, or that of one that left for a while (or speaks the classic protocol). */
  #findStaticJoiner(memberId: string, instanceId: string): FoundMember | Fault {
    const { state } = this.#core;
    const holderId = state.staticMembers.get(instanceId) ?? null;
    // The member itself, which joins again, is let in as any other that abandoned what it had.
    if (holderId === null || holderId === memberId)
      return { memberId, before: state.members.get(memberId) ?? null, replaces: null };
    const holder = state.members.get(holderId) ?? null;
    const isClassic = holder !== null && holder.classicMemberMetadata !== null;
    if (!isClassic && state.currentOf(holderId).memberEpoch !== leaveForAWhileEpoch)
      return { code: 'UNRELEASED_INSTANCE_ID', reason: `instance ${instanceId} is held by member ${holderId}` };
    return { memberId, before: holder, replaces: holderId };
  }

  #leave(request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const { memberId, memberEpoch, instanceId } = request;
    const fault = instanceId === null ? null : core.instanceFault(memberId, instanceId);
    if (fault !== null) return core.refused(requestId, fault);
    if (!core.state.members.has(memberId)) return core.refused(requestId, core.unknownMember(memberId));
    const records = memberEpoch === leaveForAWhileEpoch ? [this.#awayRecord(memberId)] : core.remove([memberId], now);
    return core.answered(requestId, records, { memberId, memberEpoch, heartbeatIntervalMs: 0, assignment: null });
  }

  /** What it was assigned is kept for it until its session is over; what it had to give up it has given up. */
  #awayRecord(memberId: string): GroupRecord {
    const current: CurrentAssignment = {
      ...this.#core.state.currentOf(memberId),
      memberEpoch: leaveForAWhileEpoch,
      pendingRevocation: emptyAssignment,
    };
    const value = currentAssignmentValue(current);
    return { kind: 'consumerGroupCurrentAssignment', groupId: this.groupId, memberId, value };
  }

  /** A member that has something to give up has its rebalance timeout for that, from when it was first told. */
  #armRebalance(memberId: string, value: ConsumerMemberValue, { before, after }: MemberChanged, now: Now): void {
    const core = this.#core;
    if (after.state !== memberStates.unrevokedPartitions) core.cancelDeadline(purposes.rebalance, memberId);
    else if (after !== before || core.deadlineOf(purposes.rebalance, memberId) === null)
      core.setDeadline(purposes.rebalance, memberId, now.monotonicMs + value.rebalanceTimeoutMs);
  }

  describe(requestId: number): GroupStep {
    const { state, modules } = this.#core;
    const members: ConsumerGroupDescribeAnswer['members'] = [...state.members].map(([memberId, value]) => {
      const current = state.currentOf(memberId);
      return {
        memberId,
        instanceId: value.instanceId,
        rackId: value.rackId,
        memberEpoch: current.memberEpoch,
        clientId: value.clientId,
        clientHost: value.clientHost,
        subscribedTopicNames: value.subscribedTopicNames,
        subscribedTopicRegex: value.subscribedTopicRegex,
        assignment: this.#named(current.assigned),
        targetAssignment: this.#named(state.targetOf(memberId)),
        isClassic: value.classicMemberMetadata !== null,
      };
    });
    return this.#core.answered(requestId, [], {
      state: this.stateName(),
      groupEpoch: state.groupEpoch,
      assignmentEpoch: state.targetEpoch,
      assignor: preferredAssignor(state.members.values(), modules.options.consumerAssignors),
      members,
    });
  }

  #named(assignment: Assignment): NamedTopicPartitions[] {
    const { topics } = this.#core.image;
    return topicPartitionsOf(assignment).flatMap(({ topicId, partitions }) => {
      const topic = topics.get(topicId)?.record.name;
      return topic === undefined ? [] : [{ topic, topicId, partitions }];
    });
  }

  // -- members of the classic protocol

  joinClassic(request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    return this.#classic.join(request, requestId, now);
  }
  syncClassic(request: SyncGroupRequest, requestId: number, now: Now): GroupStep {
    return this.#classic.sync(request, requestId, now);
  }
  heartbeatClassic(request: HeartbeatRequest, requestId: number, now: Now): GroupStep {
    return this.#classic.heartbeat(request, requestId, now);
  }
  leaveClassic(request: LeaveGroupRequest, requestId: number, now: Now): GroupStep {
    return this.#classic.leave(request, requestId, now);
  }

  // -- what goes on around it

  replay(record: ConsumerGroupRecord): void {
    this.#core.replay(record);
  }

  onLoaded(now: Now): void {
    this.#core.onLoaded(now);
  }

  /** A classic group has become this one: its members' sessions go on from now. */
  onUpgraded(now: Now): void {
    this.#core.onUpgraded(now);
  }

  close(): void {
    this.#core.close();
  }

  /** Seen at the next heartbeat of any member: by heartbeats alone is anybody told what follows. */
  onTopicsChanged(change: TopicsChange): void {
    this.#core.onTopicsChanged(change);
  }

  onDeadline({ purpose, memberId }: DeadlineName, now: Now): GroupStep | null {
    switch (purpose) {
      case purposes.session:
      case purposes.rebalance:
      case purposes.classicJoin:
      case purposes.classicSync:
        return this.#core.fence(purpose, memberId, now);
      case purposes.regex:
        return this.#core.scanOn(now);
      default:
        return null;
    }
  }

  // -- as any group

  stateName(): ConsumerGroupStateName {
    const { state } = this.#core;
    if (state.members.size === 0) return 'Empty';
    if (state.groupEpoch > state.targetEpoch) return 'Assigning';
    for (const memberId of state.members.keys())
      if (!isReconciledTo(state.currentOf(memberId), state.targetEpoch)) return 'Reconciling';
    return 'Stable';
  }

  isEmpty(): boolean {
    return this.#core.state.members.size === 0;
  }

  /** No record tells of it: without offsets there is no such group. */
  get isNothing(): boolean {
    return this.#core.state.groupEpoch === 0 && this.isEmpty();
  }

  /** Nothing that is written tells: offsets expire counted from their commit, as in Kafka (`ConsumerGroup.java`). */
  emptySinceMs(): number | null {
    return null;
  }

  checkOffsetCommit(request: OffsetCommitRequest): Fault | null {
    const { memberId, generationOrMemberEpoch: memberEpoch } = request;
    if (memberEpoch < 0 && this.isEmpty()) return null;
    const member = this.#core.state.members.get(memberId);
    if (member === undefined) return this.#core.unknownMember(memberId);
    if (member.classicMemberMetadata === null && !request.knowsConsumerGroups)
      return { code: 'UNSUPPORTED_VERSION', reason: 'members of the new protocol commit with version 9 or later' };
    return this.#memberEpochFault(memberId, member, memberEpoch);
  }

  checkOffsetFetch({ memberId, memberEpoch }: OffsetFetchRequest): Fault | null {
    if ((memberId === null || memberId === '') && memberEpoch < 0) return null;
    const member = this.#core.state.members.get(memberId ?? '');
    if (member === undefined) return this.#core.unknownMember(memberId ?? '');
    return this.#memberEpochFault(memberId ?? '', member, memberEpoch);
  }

  #memberEpochFault(memberId: string, member: ConsumerMemberValue, memberEpoch: number): Fault | null {
    if (this.#core.state.currentOf(memberId).memberEpoch === memberEpoch) return null;
    return { code: member.classicMemberMetadata === null ? 'STALE_MEMBER_EPOCH' : 'ILLEGAL_GENERATION' };
  }

  checkOffsetDelete(): Fault | null {
    return null;
  }

  /** What members read is always known, and offsets of anything else are counted from their commit. */
  mayExpireUnreadOffsets(): boolean {
    return true;
  }

  isSubscribedTo(topic: string): boolean {
    const { subscriptions, regexes } = this.#core.state;
    const { topicNames, patterns } = subscriptions.now();
    if (topicNames.has(topic)) return true;
    for (const pattern of patterns.keys()) if (regexes.get(pattern)?.topics.has(topic) === true) return true;
    return false;
  }

  tombstones(): GroupRecord[] {
    return groupTombstones(this.groupId, this.#core.state);
  }
}

/** What a heartbeat leaves out stays as it was. */
function updatedValue(before: ConsumerMemberValue | null, request: ConsumerGroupHeartbeatRequest): ConsumerMemberValue {
  const { subscribedTopicNames: names, rebalanceTimeoutMs } = request;
  return {
    instanceId: request.instanceId ?? before?.instanceId ?? null,
    rackId: request.rackId ?? before?.rackId ?? null,
    clientId: request.clientId,
    clientHost: request.clientHost,
    subscribedTopicNames: names === null ? (before?.subscribedTopicNames ?? []) : [...new Set(names)].sort(),
    subscribedTopicRegex: request.subscribedTopicRegex ?? before?.subscribedTopicRegex ?? null,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? (before?.rebalanceTimeoutMs ?? -1) : rebalanceTimeoutMs,
    serverAssignor: request.serverAssignor ?? before?.serverAssignor ?? null,
    classicMemberMetadata: null,
  };
}
