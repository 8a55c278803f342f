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
import { type DeadlineName, deadlineKey, type GroupModules } from '../group-modules.ts';
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
  GroupAnswer,
  NamedTopicPartitions,
  OffsetCommitRequest,
  OffsetFetchRequest,
} from '../group-requests.ts';
import { type Assignment, emptyAssignment, isEqual, topicPartitionsOf } from './assignment.ts';
import { ConsumerGroupState, currentAssignmentValue } from './consumer-group-state.ts';
import { type CurrentAssignment, isReconciledTo } from './current-assignment.ts';
import {
  changeMember,
  changeTopicsOfPatterns,
  type GroupContext,
  type MemberChange,
  type MemberChanged,
  removeMembers,
} from './group-change.ts';
import { epochFault, heartbeatFault, isLeaving, joinEpoch, leaveForAWhileEpoch } from './heartbeat-rules.ts';
import { RegexResolution } from './regex-resolution.ts';
import { patternsOf, subscriptionOf } from './subscription-counts.ts';
import { preferredAssignor } from './target-assignment.ts';

/** What a deadline of a consumer group ends. */
const purposes = {
  session: 'session',
  /** A member gives up what was taken from it. */
  rebalance: 'rebalance',
  /** Not an end: topics are left to match against patterns. */
  regex: 'regex',
} as const;

/** When a member whose time is over could not be removed, since nothing could be written, it is tried again. */
const fenceRetryMs = 500;

interface FoundMember {
  readonly memberId: string;
  /** Null for a member that is new. */
  readonly before: ConsumerMemberValue | null;
  readonly replaces: string | null;
}

export class ConsumerGroup implements Group {
  readonly type = 'consumer';
  readonly protocolType = 'consumer';
  readonly groupId: string;
  readonly #modules: GroupModules;
  readonly #state = new ConsumerGroupState();
  readonly #regexes: RegexResolution;
  /** Topics may have changed since the group epoch was written; not so only once they were found to be the same. */
  #isMetadataStale = true;

  constructor(groupId: string, modules: GroupModules) {
    this.groupId = groupId;
    this.#modules = modules;
    this.#regexes = new RegexResolution(modules.options.consumerRegexRefreshIntervalMs);
  }

  heartbeat(request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const fault = heartbeatFault(request, this.#modules.options.consumerAssignors);
    if (fault !== null) return this.#refused(requestId, fault);
    if (request.memberEpoch !== joinEpoch && this.#state.groupEpoch === 0)
      return this.#refused(requestId, { code: 'GROUP_ID_NOT_FOUND', reason: `there is no group ${this.groupId}` });
    return isLeaving(request) ? this.#leave(request, requestId, now) : this.#joinOrStay(request, requestId, now);
  }

  #joinOrStay(request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const found = this.#findMember(request);
    if ('code' in found) return this.#refused(requestId, found);
    const { memberId, before, replaces } = found;
    const value = updatedValue(before, request);
    const regex = subscriptionOf(value).regex;
    const fault = regex === null ? null : this.#regexes.check(regex);
    if (fault !== null) return this.#refused(requestId, fault);

    const changed = this.#changeMember({ memberId, value, replaces, owned: request.topicPartitions }, now);
    this.#setDeadline(purposes.session, memberId, now.monotonicMs + this.#sessionTimeoutMs());
    this.#armRebalance(memberId, value, changed, now);

    const { after } = changed;
    const isFullRequest =
      request.memberEpoch === joinEpoch ||
      (request.rebalanceTimeoutMs !== -1 &&
        (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
        request.topicPartitions !== null);
    const isTold = isFullRequest || !isEqual(changed.before.assigned, after.assigned);
    return this.#answered(requestId, changed.records, {
      memberId,
      memberEpoch: after.memberEpoch,
      heartbeatIntervalMs: this.#heartbeatIntervalMs(),
      assignment: isTold ? topicPartitionsOf(after.assigned) : null,
    });
  }

  #changeMember(change: Omit<MemberChange, 'regexes' | 'isMetadataStale'>, now: Now): MemberChanged {
    const state = this.#state;
    const { image } = this.#context(now);
    const before = state.members.get(change.replaces ?? change.memberId);
    const subscriptions = state.subscriptions.after(
      before === undefined ? [] : [subscriptionOf(before)],
      subscriptionOf(change.value),
    );
    const regexes = this.#regexes.resolve(patternsOf(subscriptions), state.regexes, image, now);
    this.#maybeScanOn(now);
    const isMetadataStale = this.#isMetadataStale;
    const changed = changeMember(this.#context(now), { ...change, regexes, isMetadataStale });
    if (changed.isMetadataFresh) this.#isMetadataStale = false;
    return changed;
  }

  /** The member that a heartbeat comes from, or why it may not. */
  #findMember(request: ConsumerGroupHeartbeatRequest): FoundMember | Fault {
    const state = this.#state;
    const { memberEpoch, instanceId, topicPartitions: owned } = request;
    const isJoining = memberEpoch === joinEpoch;
    const isKnown = request.memberId !== '' && state.members.has(request.memberId);
    const { consumerMaxSize } = this.#modules.options;
    if (!isKnown && state.members.size >= consumerMaxSize)
      return { code: 'GROUP_MAX_SIZE_REACHED', reason: `the group has ${consumerMaxSize} members` };
    const memberId = request.memberId === '' ? this.#modules.newUuid() : request.memberId;

    if (instanceId !== null) {
      const holderId = state.staticMembers.get(instanceId) ?? null;
      if (isJoining) return this.#findStaticJoiner(memberId, instanceId, holderId);
      if (holderId === null) return { code: 'UNKNOWN_MEMBER_ID', reason: `there is no instance ${instanceId}` };
      if (holderId !== memberId)
        return { code: 'FENCED_INSTANCE_ID', reason: `instance ${instanceId} is now member ${holderId}` };
    }
    const before = state.members.get(memberId) ?? null;
    if (before === null)
      return isJoining ? { memberId, before, replaces: null } : unknownMember(memberId, this.groupId);
    return epochFault(state.currentOf(memberId), memberEpoch, owned) ?? { memberId, before, replaces: null };
  }

  /** A static member's place is free, its own, or that of one that left for a while (or speaks the classic protocol). */
  #findStaticJoiner(memberId: string, instanceId: string, holderId: string | null): FoundMember | Fault {
    const state = this.#state;
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
    const state = this.#state;
    const { memberId, memberEpoch, instanceId } = request;
    if (instanceId !== null) {
      const holderId = state.staticMembers.get(instanceId);
      if (holderId === undefined)
        return this.#refused(requestId, { code: 'UNKNOWN_MEMBER_ID', reason: `there is no instance ${instanceId}` });
      if (holderId !== memberId)
        return this.#refused(requestId, {
          code: 'FENCED_INSTANCE_ID',
          reason: `instance ${instanceId} is now member ${holderId}`,
        });
    }
    if (!state.members.has(memberId)) return this.#refused(requestId, unknownMember(memberId, this.groupId));
    const records =
      memberEpoch === leaveForAWhileEpoch
        ? [this.#awayRecord(memberId)]
        : removeMembers(this.#context(now), [memberId]);
    return this.#answered(requestId, records, { memberId, memberEpoch, heartbeatIntervalMs: 0, assignment: null });
  }

  /** What it was assigned is kept for it until its session is over; what it had to give up it has given up. */
  #awayRecord(memberId: string): GroupRecord {
    const current: CurrentAssignment = {
      ...this.#state.currentOf(memberId),
      memberEpoch: leaveForAWhileEpoch,
      pendingRevocation: emptyAssignment,
    };
    const value = currentAssignmentValue(current);
    return { kind: 'consumerGroupCurrentAssignment', groupId: this.groupId, memberId, value };
  }

  describe(requestId: number): GroupStep {
    const state = this.#state;
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
    return this.#answered(requestId, [], {
      state: this.stateName(),
      groupEpoch: state.groupEpoch,
      assignmentEpoch: state.targetEpoch,
      assignor: preferredAssignor(state.members.values(), this.#modules.options.consumerAssignors),
      members,
    });
  }

  #named(assignment: Assignment): NamedTopicPartitions[] {
    const { topics } = this.#modules.image();
    return topicPartitionsOf(assignment).flatMap(({ topicId, partitions }) => {
      const topic = topics.get(topicId)?.record.name;
      return topic === undefined ? [] : [{ topic, topicId, partitions }];
    });
  }

  replay(record: ConsumerGroupRecord): void {
    this.#state.replay(record);
  }

  /** Sessions of all members start now, and so does the time of those who have something to give up. */
  onLoaded(now: Now): void {
    this.#regexes.onLoaded();
    for (const [memberId, value] of this.#state.members) {
      this.#setDeadline(purposes.session, memberId, now.monotonicMs + this.#sessionTimeoutMs());
      if (this.#state.currentOf(memberId).state === memberStates.unrevokedPartitions)
        this.#setDeadline(purposes.rebalance, memberId, now.monotonicMs + value.rebalanceTimeoutMs);
    }
  }

  close(): void {
    for (const memberId of this.#state.members.keys())
      for (const purpose of [purposes.session, purposes.rebalance])
        this.#modules.deadlines.cancel(this.#deadlineKey(purpose, memberId));
    this.#modules.deadlines.cancel(this.#deadlineKey(purposes.regex, ''));
  }

  /** Seen at the next heartbeat of any member: by heartbeats alone is anybody told what follows. */
  onTopicsChanged(change: TopicsChange): void {
    this.#isMetadataStale = true;
    this.#regexes.onTopicsChanged(change);
  }

  onDeadline({ purpose, memberId }: DeadlineName, now: Now): GroupStep | null {
    switch (purpose) {
      case purposes.session:
        return this.#fence(purposes.session, memberId, now);
      case purposes.rebalance: {
        const isDue = this.#state.currentOf(memberId).state === memberStates.unrevokedPartitions;
        return isDue ? this.#fence(purposes.rebalance, memberId, now) : null;
      }
      case purposes.regex:
        return this.#goOnScanning(now);
      default:
        return null;
    }
  }

  #fence(purpose: string, memberId: string, now: Now): GroupStep | null {
    if (!this.#state.members.has(memberId)) return null;
    this.#setDeadline(purpose, memberId, now.monotonicMs + fenceRetryMs);
    return { key: this.groupId, records: removeMembers(this.#context(now), [memberId]), answers: [] };
  }

  #goOnScanning(now: Now): GroupStep | null {
    const state = this.#state;
    const context = this.#context(now);
    const found = this.#regexes.resolve(patternsOf(state.subscriptions.now()), state.regexes, context.image, now);
    this.#maybeScanOn(now);
    const records = changeTopicsOfPatterns(context, found);
    return records.length === 0 ? null : { key: this.groupId, records, answers: [] };
  }

  /** With the next tick: what is due now would be taken in this one. */
  #maybeScanOn(now: Now): void {
    if (this.#regexes.isScanning) this.#setDeadline(purposes.regex, '', now.monotonicMs + 1);
  }

  /** A member that has something to give up has its rebalance timeout for that, from when it was first told. */
  #armRebalance(memberId: string, value: ConsumerMemberValue, { before, after }: MemberChanged, now: Now): void {
    const key = this.#deadlineKey(purposes.rebalance, memberId);
    if (after.state !== memberStates.unrevokedPartitions) this.#modules.deadlines.cancel(key);
    else if (after !== before || this.#modules.deadlines.deadlineOf(key) === null)
      this.#modules.deadlines.set(key, now.monotonicMs + value.rebalanceTimeoutMs);
  }

  stateName(): ConsumerGroupStateName {
    const state = this.#state;
    if (state.members.size === 0) return 'Empty';
    if (state.groupEpoch > state.targetEpoch) return 'Assigning';
    for (const memberId of state.members.keys())
      if (!isReconciledTo(state.currentOf(memberId), state.targetEpoch)) return 'Reconciling';
    return 'Stable';
  }

  isEmpty(): boolean {
    return this.#state.members.size === 0;
  }

  /** No record tells of it: without offsets there is no such group. */
  get isNothing(): boolean {
    return this.#state.groupEpoch === 0 && this.isEmpty();
  }

  /** Nothing that is written tells: offsets expire counted from their commit, as in Kafka (`ConsumerGroup.java`). */
  emptySinceMs(): number | null {
    return null;
  }

  checkOffsetCommit(request: OffsetCommitRequest): Fault | null {
    const { memberId, generationOrMemberEpoch: memberEpoch } = request;
    if (memberEpoch < 0 && this.isEmpty()) return null;
    const member = this.#state.members.get(memberId);
    if (member === undefined) return unknownMember(memberId, this.groupId);
    if (member.classicMemberMetadata === null && !request.knowsConsumerGroups)
      return { code: 'UNSUPPORTED_VERSION', reason: 'members of the new protocol commit with version 9 or later' };
    return this.#memberEpochFault(memberId, member, memberEpoch);
  }

  checkOffsetFetch({ memberId, memberEpoch }: OffsetFetchRequest): Fault | null {
    if ((memberId === null || memberId === '') && memberEpoch < 0) return null;
    const member = this.#state.members.get(memberId ?? '');
    if (member === undefined) return unknownMember(memberId ?? '', this.groupId);
    return this.#memberEpochFault(memberId ?? '', member, memberEpoch);
  }

  #memberEpochFault(memberId: string, member: ConsumerMemberValue, memberEpoch: number): Fault | null {
    if (this.#state.currentOf(memberId).memberEpoch === memberEpoch) return null;
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
    const { subscriptions, regexes } = this.#state;
    return subscriptions
      .now()
      .some(
        ({ topicNames, regex }) =>
          topicNames.includes(topic) || (regex !== null && regexes.get(regex)?.topics.has(topic) === true),
      );
  }

  tombstones(): GroupRecord[] {
    const { groupId } = this;
    const memberIds = [...this.#state.members.keys()];
    return [
      ...memberIds.map(
        (memberId) => ({ kind: 'consumerGroupCurrentAssignment', groupId, memberId, value: null }) as const,
      ),
      ...memberIds.map(
        (memberId) => ({ kind: 'consumerGroupTargetAssignmentMember', groupId, memberId, value: null }) as const,
      ),
      { kind: 'consumerGroupTargetAssignmentMetadata', groupId, value: null },
      ...memberIds.map((memberId) => ({ kind: 'consumerGroupMember', groupId, memberId, value: null }) as const),
      ...[...this.#state.regexes.keys()].map(
        (regularExpression) =>
          ({ kind: 'consumerGroupRegularExpression', groupId, regularExpression, value: null }) as const,
      ),
      { kind: 'consumerGroupMetadata', groupId, value: null },
    ];
  }

  /** `consumer.session.timeout.ms` and `consumer.heartbeat.interval.ms` of the group, over the broker's. */
  #sessionTimeoutMs(): number {
    return this.#configured('consumer.session.timeout.ms') ?? this.#modules.options.consumerSessionTimeoutMs;
  }
  #heartbeatIntervalMs(): number {
    return this.#configured('consumer.heartbeat.interval.ms') ?? this.#modules.options.consumerHeartbeatIntervalMs;
  }
  #configured(name: string): number | null {
    const value = this.#modules.image().config('group', this.groupId)[name];
    return value === undefined ? null : Number(value);
  }

  #context(now: Now): GroupContext {
    const { options } = this.#modules;
    const image = this.#modules.image();
    return { groupId: this.groupId, state: this.#state, image, assignors: options.consumerAssignors, now };
  }

  #deadlineKey(purpose: string, memberId: string): string {
    return deadlineKey({ groupId: this.groupId, purpose, memberId });
  }
  #setDeadline(purpose: string, memberId: string, atMs: number): void {
    this.#modules.deadlines.set(this.#deadlineKey(purpose, memberId), atMs);
  }

  #answered(requestId: number, records: readonly GroupRecord[], answer: GroupAnswer): GroupStep {
    return { key: this.groupId, records, answers: [{ requestId, answer }] };
  }
  #refused(requestId: number, fault: Fault): GroupStep {
    return this.#answered(requestId, [], { fault });
  }
}

const unknownMember = (memberId: string, groupId: string): Fault => ({
  code: 'UNKNOWN_MEMBER_ID',
  reason: `${memberId} is not a member of group ${groupId}`,
});

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
