/**
 * The groups that hash to one partition of `__consumer_offsets`, with their offsets: which group a request or a deadline is
 * for, whichever protocol that group speaks, and what is answered where there is none.
 */
import { unreachable } from '../model/assert.ts';
import type { Fault } from '../model/fault.ts';
import type { ClassicGroup } from './classic/classic-group.ts';
import { upgradeRecords } from './consumer/migration.ts';
import type { Now, TopicsChange } from './coordinator-shard.ts';
import type { Group, GroupCoordinatorShard, GroupStep } from './group.ts';
import { type GroupModules, parseDeadlineKey } from './group-modules.ts';
import type { GroupRecord } from './group-records.ts';
import { GroupRegistry } from './group-registry.ts';
import type {
  ConsumerGroupDescribeRequest,
  ConsumerGroupHeartbeatRequest,
  DeleteGroupRequest,
  DescribeGroupRequest,
  GroupAnswer,
  GroupRequest,
  HeartbeatRequest,
  JoinGroupRequest,
  LeaveGroupRequest,
  ListGroupsRequest,
  OffsetCommitRequest,
  OffsetDeleteRequest,
  OffsetFetchRequest,
  SyncGroupRequest,
} from './group-requests.ts';
import { OffsetCleanup, recordsPerStep } from './offsets/offset-cleanup.ts';
import { commitOffsets, deleteOffsets, fetchOffsets, tombstonesOf } from './offsets/offset-requests.ts';

/** A tick ends after so many deadlines: what is left is due at the next one. */
const deadlinesPerTick = 1000;

const invalidGroupId: Fault = { code: 'INVALID_GROUP_ID' };

export class GroupShard implements GroupCoordinatorShard {
  readonly #modules: GroupModules;
  readonly #groups: GroupRegistry;
  readonly #cleanup: OffsetCleanup;
  /** On the monotonic clock. */
  #nextExpiryMs = 0;

  constructor(modules: GroupModules) {
    this.#modules = modules;
    this.#groups = new GroupRegistry(modules);
    this.#cleanup = new OffsetCleanup({
      groups: this.#groups.all,
      offsets: this.#groups.offsets,
      retentionMs: modules.options.offsetsRetentionMs,
      image: modules.image,
    });
  }

  handle(request: GroupRequest, requestId: number, now: Now): readonly GroupStep[] {
    const late = this.#groups.onEvent(now);
    const steps =
      request.kind === 'deleteGroup'
        ? this.#delete(request, requestId).map(asRead)
        : [this.#step(request, requestId, now)];
    if ('groupId' in request) this.#groups.maybeForget(request.groupId);
    return late === null ? steps : [late, ...steps];
  }

  replay(record: GroupRecord): void {
    this.#groups.replay(record);
  }

  onLoaded(now: Now): void {
    this.#groups.onLoaded();
    for (const group of this.#groups.all.values()) group.onLoaded(now);
    this.#nextExpiryMs = now.monotonicMs + this.#modules.options.offsetsRetentionCheckIntervalMs;
  }

  onStalled(byMs: number): void {
    this.#modules.deadlines.postpone(byMs);
  }

  close(): void {
    this.#modules.memory.close();
  }

  onTick(now: Now): readonly GroupStep[] {
    const late = this.#groups.onEvent(now);
    const steps = late === null ? [] : [late];
    for (const group of this.#groups.takeMoved())
      if (group.type === 'classic') steps.push(group.onDowngraded(now));
      else group.onUpgraded(now);
    steps.push(...this.#passDeadlines(now));
    if (this.#nextExpiryMs <= now.monotonicMs) {
      this.#nextExpiryMs = now.monotonicMs + this.#modules.options.offsetsRetentionCheckIntervalMs;
      this.#cleanup.beginExpiry();
    }
    // A group whose deadline has just passed is not what this slice would see: the next tick looks at it.
    return steps.length > 0 ? steps : this.#cleanup.nextSlice(now);
  }

  onTopicsChanged(change: TopicsChange, now: Now): readonly GroupStep[] {
    const late = this.#groups.onEvent(now);
    for (const group of this.#groups.all.values()) if (group.type === 'consumer') group.onTopicsChanged(change);
    if (change.deleted.length > 0) this.#cleanup.beginDeletion(change.deleted);
    const steps = this.#cleanup.nextSlice(now);
    return late === null ? steps : [late, ...steps];
  }

  #step(request: Exclude<GroupRequest, DeleteGroupRequest>, requestId: number, now: Now): GroupStep {
    switch (request.kind) {
      case 'joinGroup':
        return this.#join(request, requestId, now);
      case 'syncGroup':
        return this.#sync(request, requestId, now);
      case 'heartbeat':
        return this.#heartbeat(request, requestId, now);
      case 'leaveGroup':
        return this.#leave(request, requestId, now);
      case 'offsetCommit':
        return this.#commit(request, requestId, now);
      case 'offsetFetch':
        return asRead(this.#fetch(request, requestId));
      case 'offsetDelete':
        return asRead(this.#deleteOffsets(request, requestId));
      case 'describeGroup':
        return this.#describe(request, requestId);
      case 'listGroups':
        return this.#list(request, requestId);
      case 'consumerGroupHeartbeat':
        return this.#consumerHeartbeat(request, requestId, now);
      case 'consumerGroupDescribe':
        return this.#describeConsumer(request, requestId);
      default:
        return unreachable(request);
    }
  }

  // -- the classic protocol

  #join(request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId, sessionTimeoutMs } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#modules.options;
    if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs)
      return refused(groupId, requestId, { code: 'INVALID_SESSION_TIMEOUT' });
    const fault = tooLargeFault(request, this.#modules.maxBatchBytes());
    if (fault !== null) return refused(groupId, requestId, fault);
    // Copies: the group keeps them, and a view would keep the whole request.
    const protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
    return this.#joinGroup({ ...request, protocols }, requestId, now);
  }

  #joinGroup(request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId, memberId } = request;
    const group = this.#groups.get(groupId);
    if (group?.type === 'consumer' && !group.isEmpty()) return group.joinClassic(request, requestId, now);
    if (group?.type === 'classic') return group.join(request, requestId, now);
    if (memberId !== '') return refused(groupId, requestId, unknownMember(groupId));
    return group === undefined
      ? this.#groups.addClassic(groupId).join(request, requestId, now)
      : this.#joinInPlaceOf(group, request, requestId, now);
  }

  /** An empty group of the new protocol makes way. */
  #joinInPlaceOf(former: Group, request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    const group = this.#groups.newClassic(former.groupId);
    const step = group.join(request, requestId, now);
    if (group.isNothing) return step;
    this.#groups.arrive(group);
    return { ...step, records: [...former.tombstones(), ...step.records] };
  }

  #sync(request: SyncGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    const group = this.#groups.get(groupId);
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    if (group === undefined) return refused(groupId, requestId, unknownMember(groupId));
    return group.type === 'classic' ? group.sync(request, requestId, now) : group.syncClassic(request, requestId, now);
  }

  #heartbeat(request: HeartbeatRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    const group = this.#groups.get(groupId);
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    if (group === undefined) return refused(groupId, requestId, unknownMember(groupId));
    return group.type === 'classic'
      ? group.heartbeat(request, requestId, now)
      : group.heartbeatClassic(request, requestId, now);
  }

  #leave(request: LeaveGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    const group = this.#groups.get(groupId);
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    if (group?.type === 'classic') return group.leave(request, requestId, now);
    if (group?.type === 'consumer') return group.leaveClassic(request, requestId, now);
    const fault = unknownMember(groupId);
    const members = request.members.map(({ memberId, instanceId }) => ({ memberId, instanceId, fault }));
    return answered(groupId, requestId, { members });
  }

  #describe({ groupId }: DescribeGroupRequest, requestId: number): GroupStep {
    const group = this.#groups.get(groupId);
    return group?.type === 'classic'
      ? answered(groupId, requestId, group.describe())
      : refused(groupId, requestId, groupNotFound(groupId));
  }

  // -- the new protocol

  /**
   * A classic group makes way when it is empty, and else becomes one of the new protocol with its members. One that nobody
   * knows is there when its first records are replayed.
   */
  #consumerHeartbeat(request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    const known = this.#groups.get(groupId);
    if (known?.type === 'consumer') return known.heartbeat(request, requestId, now);
    if (known !== undefined && !known.isEmpty() && request.memberEpoch === 0)
      return this.#upgrade(known, request, requestId, now);
    const group = this.#groups.newConsumer(groupId);
    const step = group.heartbeat(request, requestId, now);
    if (step.records.length === 0) return step;
    this.#groups.arrive(group);
    return { ...step, records: [...(known?.tombstones() ?? []), ...step.records] };
  }

  #upgrade(known: ClassicGroup, request: ConsumerGroupHeartbeatRequest, requestId: number, now: Now): GroupStep {
    const moved = upgradeRecords(known, this.#modules);
    if ('code' in moved) return refused(known.groupId, requestId, moved);
    const group = this.#groups.newConsumer(known.groupId);
    for (const record of moved) group.replay(record);
    const step = group.heartbeat(request, requestId, now);
    if (step.records.length === 0) return step;
    this.#groups.arrive(group);
    return {
      key: known.groupId,
      records: [...known.tombstones(), ...moved, ...step.records],
      answers: [...known.disband(now).answers, ...step.answers],
    };
  }

  #describeConsumer({ groupId }: ConsumerGroupDescribeRequest, requestId: number): GroupStep {
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    const group = this.#groups.get(groupId);
    return group?.type === 'consumer' ? group.describe(requestId) : refused(groupId, requestId, groupNotFound(groupId));
  }

  // -- offsets

  #commit(request: OffsetCommitRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    const group = this.#groups.get(groupId);
    const fault = group === undefined ? unknownGroupCommit(request) : group.checkOffsetCommit(request, now);
    if (fault !== null) return refused(groupId, requestId, fault);
    const { records, answer } = commitOffsets(request, this.#modules.options, now);
    return { key: groupId, records, answers: [{ requestId, answer }] };
  }

  #fetch(request: OffsetFetchRequest, requestId: number): GroupStep {
    const { groupId } = request;
    // A group that is not there has committed nothing: that is no fault.
    const group: Group | undefined = this.#groups.get(groupId);
    const fault = group?.checkOffsetFetch(request) ?? null;
    return fault === null
      ? answered(groupId, requestId, fetchOffsets(request, this.#groups.offsets, this.#modules.image()))
      : refused(groupId, requestId, fault);
  }

  #deleteOffsets(request: OffsetDeleteRequest, requestId: number): GroupStep {
    const { groupId } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    const group = this.#groups.get(groupId);
    const fault = group === undefined ? groupNotFound(groupId) : group.checkOffsetDelete();
    if (group === undefined || fault !== null) return refused(groupId, requestId, fault ?? groupNotFound(groupId));
    const { records, answer } = deleteOffsets(request, group, this.#groups.offsets);
    return { key: groupId, records, answers: [{ requestId, answer }] };
  }

  // -- all protocols

  #list({ states, types }: ListGroupsRequest, requestId: number): GroupStep {
    const isAsked = (filter: ReadonlySet<string>, value: string): boolean =>
      filter.size === 0 || filter.has(value.toLowerCase());
    const groups = [];
    for (const group of this.#groups.all.values()) {
      const { groupId, protocolType, type } = group;
      const state = group.stateName();
      if (isAsked(states, state) && isAsked(types, type)) groups.push({ groupId, protocolType, state, type });
    }
    return answered(null, requestId, { groups });
  }

  /** In batches that the log takes, the group itself with the last: one that is refused leaves a group with fewer offsets. */
  #delete({ groupId }: DeleteGroupRequest, requestId: number): GroupStep[] {
    const group = this.#groups.get(groupId);
    if (group === undefined) return [refused(groupId, requestId, groupNotFound(groupId))];
    if (!group.isEmpty()) return [refused(groupId, requestId, { code: 'NON_EMPTY_GROUP' })];
    const steps: GroupStep[] = [];
    const offsets = tombstonesOf(groupId, this.#groups.offsets);
    while (offsets.length > recordsPerStep)
      steps.push({ key: groupId, records: offsets.splice(0, recordsPerStep), answers: [] });
    steps.push({ key: groupId, records: [...offsets, ...group.tombstones()], answers: [{ requestId, answer: {} }] });
    return steps;
  }

  /** Between the step of a deadline and the replay of its records, no other deadline comes to the same group. */
  #passDeadlines(now: Now): GroupStep[] {
    const { deadlines } = this.#modules;
    const steps: GroupStep[] = [];
    const written = new Set<string>();
    const postponed: string[] = [];
    for (let passed = 0; passed < deadlinesPerTick; passed++) {
      const key = deadlines.takeDue(now.monotonicMs);
      if (key === null) break;
      const name = parseDeadlineKey(key);
      if (written.has(name.groupId)) {
        postponed.push(key);
        continue;
      }
      const step = this.#groups.get(name.groupId)?.onDeadline(name, now) ?? null;
      this.#groups.maybeForget(name.groupId);
      if (step === null || (step.records.length === 0 && step.answers.length === 0)) continue;
      if (step.records.length > 0) written.add(name.groupId);
      steps.push(step);
    }
    for (const key of postponed) deadlines.set(key, now.monotonicMs);
    return steps;
  }
}

const answered = (key: string | null, requestId: number, answer: GroupAnswer): GroupStep => ({
  key,
  records: [],
  answers: [{ requestId, answer }],
});
const refused = (key: string, requestId: number, fault: Fault): GroupStep => answered(key, requestId, { fault });
/** That there is nothing, and so nothing to delete, is told of what is durable, too. */
const asRead = (step: GroupStep): GroupStep => ({ ...step, isRead: true });

const unknownMember = (groupId: string): Fault => ({
  code: 'UNKNOWN_MEMBER_ID',
  reason: `there is no group ${groupId}`,
});
/** What no record can hold is not looked at. */
function tooLargeFault({ memberId, instanceId, protocols }: JoinGroupRequest, maxBytes: number): Fault | null {
  let bytes = memberId.length + (instanceId?.length ?? 0);
  for (const { name, metadata } of protocols) bytes += name.length + metadata.length;
  if (bytes <= maxBytes) return null;
  return { code: 'INVALID_REQUEST', reason: `what a member says may have ${maxBytes} bytes in all, as a record has` };
}
const groupNotFound = (groupId: string): Fault => ({
  code: 'GROUP_ID_NOT_FOUND',
  reason: `there is no group ${groupId}`,
});

/** Commits without a member make a group; a member must have been known to one. */
function unknownGroupCommit({
  groupId,
  generationOrMemberEpoch,
  knowsConsumerGroups,
}: OffsetCommitRequest): Fault | null {
  if (generationOrMemberEpoch < 0) return null;
  return knowsConsumerGroups ? groupNotFound(groupId) : { code: 'ILLEGAL_GENERATION' };
}
