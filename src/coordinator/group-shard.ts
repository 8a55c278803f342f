/**
 * The groups that hash to one partition of `__consumer_offsets`, with their offsets: which group a request, a deadline or a
 * record is for, whichever protocol that group speaks, and what there is to do when there is none.
 *
 * A group is there as long as it has a record, an offset, or somebody who joins it. One that offsets alone keep is a
 * classic group without protocol type ("simple").
 */
import { unreachable } from '../model/assert.ts';
import type { Fault } from '../model/fault.ts';
import { ClassicGroup } from './classic/classic-group.ts';
import type { Now, TopicsChange } from './coordinator-shard.ts';
import type { Group, GroupCoordinatorShard, GroupStep } from './group.ts';
import { type GroupModules, parseDeadlineKey } from './group-modules.ts';
import type { ClassicGroupValue, GroupRecord, OffsetCommitValue } from './group-records.ts';
import type {
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
import { CommittedOffsets } from './offsets/committed-offsets.ts';
import { OffsetCleanup } from './offsets/offset-cleanup.ts';
import { commitOffsets, deleteOffsets, fetchOffsets, tombstonesOf } from './offsets/offset-requests.ts';

/** A tick ends after so many deadlines: what is left is due at the next one. */
const deadlinesPerTick = 1000;

const invalidGroupId: Fault = { code: 'INVALID_GROUP_ID' };

export class GroupShard implements GroupCoordinatorShard {
  readonly #modules: GroupModules;
  readonly #groups = new Map<string, ClassicGroup>();
  readonly #offsets = new CommittedOffsets();
  readonly #cleanup: OffsetCleanup;
  /** On the monotonic clock. */
  #nextExpiryMs = 0;

  constructor(modules: GroupModules) {
    this.#modules = modules;
    this.#cleanup = new OffsetCleanup({
      groups: this.#groups,
      offsets: this.#offsets,
      retentionMs: modules.options.offsetsRetentionMs,
      image: modules.image,
    });
  }

  handle(request: GroupRequest, requestId: number, now: Now): readonly GroupStep[] {
    const step = this.#step(request, requestId, now);
    if ('groupId' in request) this.#maybeForget(request.groupId);
    return [step];
  }

  replay(record: GroupRecord): void {
    switch (record.kind) {
      case 'offsetCommit':
        this.#replayOffset(record.groupId, record.topic, record.partition, record.value);
        break;
      case 'classicGroup':
        this.#replayClassicGroup(record.groupId, record.value);
        break;
      default:
        break;
    }
  }

  onLoaded(now: Now): void {
    for (const group of this.#groups.values()) group.onLoaded(now);
    this.#nextExpiryMs = now.monotonicMs + this.#modules.options.offsetsRetentionCheckIntervalMs;
  }

  onTick(now: Now): readonly GroupStep[] {
    const steps = this.#passDeadlines(now);
    if (this.#nextExpiryMs <= now.monotonicMs) {
      this.#nextExpiryMs = now.monotonicMs + this.#modules.options.offsetsRetentionCheckIntervalMs;
      this.#cleanup.beginExpiry();
    }
    // A group whose deadline has just passed is not what this slice would see: the next tick looks at it.
    return steps.length > 0 ? steps : this.#cleanup.nextSlice(now);
  }

  onTopicsChanged({ deleted }: TopicsChange, now: Now): readonly GroupStep[] {
    if (deleted.length > 0) this.#cleanup.beginDeletion(deleted);
    return this.#cleanup.nextSlice(now);
  }

  #step(request: GroupRequest, requestId: number, now: Now): GroupStep {
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
        return this.#fetch(request, requestId);
      case 'offsetDelete':
        return this.#deleteOffsets(request, requestId);
      case 'describeGroup':
        return this.#describe(request, requestId);
      case 'listGroups':
        return this.#list(request, requestId);
      case 'deleteGroup':
        return this.#delete(request, requestId);
      case 'consumerGroupHeartbeat':
        return refused(request.groupId, requestId, { code: 'UNSUPPORTED_VERSION', reason: 'group.version is 0' });
      case 'consumerGroupDescribe':
        return refused(request.groupId, requestId, groupNotFound(request.groupId));
      default:
        return unreachable(request);
    }
  }

  // -- the classic protocol

  #join(request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId, memberId, sessionTimeoutMs } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#modules.options;
    if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs)
      return refused(groupId, requestId, { code: 'INVALID_SESSION_TIMEOUT' });
    const group = this.#groups.get(groupId);
    if (group === undefined && memberId !== '') return refused(groupId, requestId, unknownMember(groupId));
    return (group ?? this.#addClassicGroup(groupId)).join(request, requestId, now);
  }

  #sync(request: SyncGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    return (
      this.#groups.get(groupId)?.sync(request, requestId, now) ?? refused(groupId, requestId, unknownMember(groupId))
    );
  }

  #heartbeat(request: HeartbeatRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    return (
      this.#groups.get(groupId)?.heartbeat(request, requestId, now) ??
      refused(groupId, requestId, unknownMember(groupId))
    );
  }

  #leave(request: LeaveGroupRequest, requestId: number, now: Now): GroupStep {
    const { groupId } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    const group = this.#groups.get(groupId);
    if (group !== undefined) return group.leave(request, requestId, now);
    const fault = unknownMember(groupId);
    const members = request.members.map(({ memberId, instanceId }) => ({ memberId, instanceId, fault }));
    return answered(groupId, requestId, { members });
  }

  #describe({ groupId }: DescribeGroupRequest, requestId: number): GroupStep {
    const group = this.#groups.get(groupId);
    return group === undefined
      ? refused(groupId, requestId, groupNotFound(groupId))
      : answered(groupId, requestId, group.describe());
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
      ? answered(groupId, requestId, fetchOffsets(request, this.#offsets))
      : refused(groupId, requestId, fault);
  }

  #deleteOffsets(request: OffsetDeleteRequest, requestId: number): GroupStep {
    const { groupId } = request;
    if (groupId === '') return refused(groupId, requestId, invalidGroupId);
    const group = this.#groups.get(groupId);
    const fault = group === undefined ? groupNotFound(groupId) : group.checkOffsetDelete();
    if (group === undefined || fault !== null) return refused(groupId, requestId, fault ?? groupNotFound(groupId));
    const { records, answer } = deleteOffsets(request, group, this.#offsets);
    return { key: groupId, records, answers: [{ requestId, answer }] };
  }

  // -- all protocols

  #list({ states, types }: ListGroupsRequest, requestId: number): GroupStep {
    const isAsked = (filter: readonly string[], value: string): boolean =>
      filter.length === 0 || filter.some((one) => one.toLowerCase() === value.toLowerCase());
    const groups = [];
    for (const group of this.#groups.values()) {
      const { groupId, protocolType, type } = group;
      const state = group.stateName();
      if (isAsked(states, state) && isAsked(types, type)) groups.push({ groupId, protocolType, state, type });
    }
    return answered(null, requestId, { groups });
  }

  #delete({ groupId }: DeleteGroupRequest, requestId: number): GroupStep {
    const group = this.#groups.get(groupId);
    if (group === undefined) return refused(groupId, requestId, groupNotFound(groupId));
    if (!group.isEmpty()) return refused(groupId, requestId, { code: 'NON_EMPTY_GROUP' });
    const records = [...tombstonesOf(groupId, this.#offsets), ...group.tombstones()];
    return { key: groupId, records, answers: [{ requestId, answer: {} }] };
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
      this.#maybeForget(name.groupId);
      if (step === null || (step.records.length === 0 && step.answers.length === 0)) continue;
      if (step.records.length > 0) written.add(name.groupId);
      steps.push(step);
    }
    for (const key of postponed) deadlines.set(key, now.monotonicMs);
    return steps;
  }

  // -- which groups there are

  #addClassicGroup(groupId: string): ClassicGroup {
    const group = new ClassicGroup(groupId, this.#modules);
    this.#groups.set(groupId, group);
    return group;
  }

  #maybeForget(groupId: string): void {
    const group = this.#groups.get(groupId);
    if (group?.isNothing && !this.#offsets.has(groupId)) this.#groups.delete(groupId);
  }

  #replayOffset(groupId: string, topic: string, partition: number, value: OffsetCommitValue | null): void {
    this.#offsets.replay(groupId, topic, partition, value);
    if (value !== null && !this.#groups.has(groupId)) this.#addClassicGroup(groupId);
    if (value === null) this.#maybeForget(groupId);
  }

  #replayClassicGroup(groupId: string, value: ClassicGroupValue | null): void {
    if (value !== null) (this.#groups.get(groupId) ?? this.#addClassicGroup(groupId)).replay(value);
    else this.#replayGroupTombstone(groupId);
  }

  #replayGroupTombstone(groupId: string): void {
    this.#groups.get(groupId)?.close();
    this.#groups.delete(groupId);
    if (this.#offsets.has(groupId)) this.#addClassicGroup(groupId);
  }
}

const answered = (key: string | null, requestId: number, answer: GroupAnswer): GroupStep => ({
  key,
  records: [],
  answers: [{ requestId, answer }],
});
const refused = (key: string, requestId: number, fault: Fault): GroupStep => answered(key, requestId, { fault });

const unknownMember = (groupId: string): Fault => ({
  code: 'UNKNOWN_MEMBER_ID',
  reason: `there is no group ${groupId}`,
});
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
