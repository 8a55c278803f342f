/**
 * A group by the classic protocol: members join, the leader hands out what each of them reads, all sync.
 *
 *                 first join                    all joined, or time is up
 *     Empty ──────────────────► PreparingRebalance ───────────────────► CompletingRebalance
 *       ▲                        ▲   │      ▲    a member came, left,          │
 *       └── nobody is left ──────┼───┘      └─── or wants something else ──────┤
 *           (written)            └────────────── Stable ◄──────────────────────┘
 *                                                     the leader's assignment (written)
 *
 * What is answered in which state, and what a record is written for, is that of Kafka's `ClassicGroup.java` and
 * `GroupMetadataManager.java`. Stable, and Empty after there were members, are entered by `replay` alone: whatever was not
 * written leaves the group where it was, and whoever was refused comes again.
 */
import { present } from '../../model/assert.ts';
import type { Fault } from '../../model/fault.ts';
import type { Now } from '../coordinator-shard.ts';
import type { Group, GroupStep } from '../group.ts';
import type { DeadlineName, GroupModules } from '../group-modules.ts';
import type { ClassicGroupValue, GroupRecord } from '../group-records.ts';
import type {
  ClassicGroupStateName,
  DescribeGroupAnswer,
  HeartbeatRequest,
  JoinGroupAnswer,
  JoinGroupRequest,
  LeaveGroupAnswer,
  LeaveGroupRequest,
  OffsetCommitRequest,
  SyncGroupRequest,
} from '../group-requests.ts';
import { joinAnswer, successionAnswer, syncAnswer } from './classic-answers.ts';
import {
  type ClassicMember,
  hasSameProtocols,
  loadedMember,
  metadataOf,
  newMember,
  noBytes,
  sizeOf,
  toValue,
} from './classic-member.ts';
import { ClassicMembers } from './classic-members.ts';
import { StepDraft } from './step-draft.ts';
import { SubscribedTopics } from './subscribed-topics.ts';

/** The first members of a group are waited for, longer while more of them come (KIP-134). */
interface InitialDelay {
  hasNewMember: boolean;
  /** What was waited for last. */
  delayMs: number;
  /** How much longer it may be extended. */
  remainingMs: number;
}

type State =
  /** No member; there may be pending ones. */
  | { readonly kind: 'empty' }
  /** JoinGroup waits until all members have asked for it. Heartbeat and SyncGroup: REBALANCE_IN_PROGRESS. */
  | { readonly kind: 'preparingRebalance'; readonly initial: InitialDelay | null }
  /** SyncGroup waits until the leader's has come. OffsetCommit: REBALANCE_IN_PROGRESS. */
  | { readonly kind: 'completingRebalance'; readonly pendingSync: Set<string> }
  /** All is answered at once. Members that have not fetched their assignment in time are removed even now. */
  | { readonly kind: 'stable'; readonly pendingSync: Set<string> };

const stateNames = {
  empty: 'Empty',
  preparingRebalance: 'PreparingRebalance',
  completingRebalance: 'CompletingRebalance',
  stable: 'Stable',
} as const satisfies Record<State['kind'], ClassicGroupStateName>;

/** `consumer`: its members' bytes are those of `ConsumerProtocol`. */
const consumerProtocolType = 'consumer';
/** How long a new member's JoinGroup may wait (`GroupMetadataManager.java`, classicGroupNewMemberJoinTimeoutMs). */
const newMemberJoinTimeoutMs = 5 * 60_000;
/** A member id begins with so much of the name its client has, in UTF-16 units. */
const memberIdPrefixLength = 255;
/** Of a group besides its members, and of an id that was given out: objects, entries of maps, deadlines. */
const groupBytes = 2000;
const pendingBytes = 600 + 2 * (memberIdPrefixLength + 37);
/** The key of each deadline has the group's id in it, and a queue of them keys that are over. */
const idBytes = (groupId: string): number => 4 * groupId.length;
/** When an empty group is written again that the log refused. */
const emptyRetryMs = 1000;

const rebalanceInProgress: Fault = { code: 'REBALANCE_IN_PROGRESS' };
const illegalGeneration: Fault = { code: 'ILLEGAL_GENERATION' };
const inconsistentProtocol: Fault = { code: 'INCONSISTENT_GROUP_PROTOCOL' };

export class ClassicGroup implements Group {
  readonly type = 'classic';
  readonly groupId: string;
  readonly #modules: GroupModules;
  readonly #members = new ClassicMembers();
  /** Ids that were given out and have not come back (KIP-394), each with a session of its own. */
  readonly #pendingMembers = new Set<string>();
  #state: State = { kind: 'empty' };
  #generation = 0;
  #protocolType = '';
  #protocol: string | null = null;
  #leader: string | null = null;
  #emptySinceMs: number | null = null;
  readonly #subscribedTopics: SubscribedTopics;
  /** Its last record, which a tombstone would have to delete. */
  #written: ClassicGroupValue | null = null;
  /** Takes the place of its predecessor when the record that says so is replayed. */
  #successor: ClassicMember | null = null;
  /** What it has taken of the shard's memory. */
  #takenBytes = 0;
  readonly #draft: StepDraft;

  constructor(groupId: string, modules: GroupModules) {
    this.groupId = groupId;
    this.#modules = modules;
    this.#draft = new StepDraft(groupId, modules);
    this.#subscribedTopics = new SubscribedTopics(this.#members, modules.consumerProtocol);
  }

  get generation(): number {
    return this.#generation;
  }
  get protocolType(): string {
    return this.#protocolType;
  }
  get protocol(): string | null {
    return this.#protocol;
  }
  get leader(): string | null {
    return this.#leader;
  }
  get size(): number {
    return this.#members.size;
  }
  /** In the order in which they came. */
  members(): Iterable<Readonly<ClassicMember>> {
    return this.#members.all();
  }

  stateName(): ClassicGroupStateName {
    return stateNames[this.#state.kind];
  }
  isEmpty(): boolean {
    return this.#state.kind === 'empty';
  }
  emptySinceMs(): number | null {
    return this.isEmpty() ? this.#emptySinceMs : null;
  }
  /** Neither a record nor a member, not even a pending one: without offsets there is no such group. */
  get isNothing(): boolean {
    return this.#written === null && this.isEmpty() && this.#pendingMembers.size === 0;
  }
  get usesConsumerProtocol(): boolean {
    return this.#protocolType === consumerProtocolType;
  }

  join(request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    const { memberId } = request;
    const sizeFault = this.#sizeFault(request);
    if (!this.#hasRoomFor(memberId)) {
      const reason = `the group has ${this.#modules.options.maxSize} members, as many as group.max.size allows`;
      this.#draft.answer(requestId, { fault: { code: 'GROUP_MAX_SIZE_REACHED', reason } });
      this.#removeMember(memberId);
      this.#maybeCompleteJoin(now);
    } else if (!this.#suits(request)) this.#draft.answer(requestId, { fault: inconsistentProtocol });
    else if (sizeFault !== null) this.#draft.answer(requestId, { fault: sizeFault });
    else if (memberId === '') this.#joinWithoutId(request, requestId, now);
    // Only dynamic members are given an id first: with an instance id it could take a place that another one holds.
    else if (request.instanceId === null && this.#pendingMembers.has(memberId))
      this.#addMember(memberId, request, requestId, now);
    else this.#rejoin(request, requestId, now);
    return this.#take();
  }

  sync(request: SyncGroupRequest, requestId: number, now: Now): GroupStep {
    const fault = this.#members.faultOf(request.memberId, request.instanceId) ?? this.#syncFault(request);
    const state = this.#state;
    if (fault !== null) this.#draft.answer(requestId, { fault });
    else if (state.kind === 'preparingRebalance' || state.kind === 'empty')
      this.#draft.answer(requestId, { fault: rebalanceInProgress });
    else {
      const member = this.#memberOf(request.memberId);
      state.pendingSync.delete(member.memberId);
      if (state.kind === 'stable' && state.pendingSync.size === 0) this.#draft.cancelDeadline('sync');
      this.#armSession(member, now);
      if (state.kind === 'stable') this.#draft.answer(requestId, syncAnswer(this, member.assignment));
      else {
        this.#wait(member, 'sync', requestId);
        if (member.memberId === this.#leader) this.#assign(request.assignments, now);
      }
    }
    return this.#take();
  }

  heartbeat(request: HeartbeatRequest, requestId: number, now: Now): GroupStep {
    const fault =
      this.#members.faultOf(request.memberId, request.instanceId) ??
      (request.generation === this.#generation ? null : illegalGeneration);
    if (fault === null) this.#armSession(this.#memberOf(request.memberId), now);
    const isJoining = this.#state.kind === 'preparingRebalance';
    const answered = fault ?? (isJoining ? rebalanceInProgress : null);
    this.#draft.answer(requestId, answered === null ? {} : { fault: answered });
    return this.#take();
  }

  leave(request: LeaveGroupRequest, requestId: number, now: Now): GroupStep {
    const sizeBefore = this.#members.size;
    const members: LeaveGroupAnswer['members'][number][] = [];
    for (const { memberId, instanceId } of request.members)
      members.push({ memberId, instanceId, fault: this.#leaveOne(memberId, instanceId) });
    this.#draft.answer(requestId, { members });
    if (this.#members.size < sizeBefore) this.#onMembersGone(now);
    else this.#maybeCompleteJoin(now);
    return this.#take();
  }

  checkOffsetCommit(request: OffsetCommitRequest, now: Now): Fault | null {
    const { generationOrMemberEpoch: generation, memberId, instanceId } = request;
    // Whoever commits without a member, as tools and consumers with assignments of their own do, disturbs nobody here.
    if (generation < 0 && this.isEmpty()) return null;
    if (generation < 0 && memberId === '' && instanceId === null)
      return { code: 'UNKNOWN_MEMBER_ID', reason: 'the group has members, and the commit names none' };
    const fault = this.#members.faultOf(memberId, instanceId);
    if (fault !== null) return fault;
    if (generation !== this.#generation) return illegalGeneration;
    // It knows the new generation, and cannot know yet what it reads in it.
    if (this.#state.kind === 'completingRebalance') return rebalanceInProgress;
    this.#armSession(this.#memberOf(memberId), now);
    return null;
  }

  checkOffsetFetch(): Fault | null {
    return null;
  }

  checkOffsetDelete(): Fault | null {
    return this.isEmpty() || this.usesConsumerProtocol ? null : { code: 'NON_EMPTY_GROUP' };
  }

  isSubscribedTo(topic: string): boolean {
    if (!this.usesConsumerProtocol) return false;
    return this.#subscribedTopics.of(this.#protocol)?.has(topic) ?? true;
  }

  mayExpireUnreadOffsets(): boolean {
    return (
      this.#state.kind === 'stable' && this.usesConsumerProtocol && this.#subscribedTopics.of(this.#protocol) !== null
    );
  }

  describe(): DescribeGroupAnswer {
    const isStable = this.#state.kind === 'stable';
    return {
      state: this.stateName(),
      protocolType: this.#protocolType,
      protocol: isStable ? (this.#protocol ?? '') : '',
      members: Array.from(this.#members.all(), (member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: isStable ? metadataOf(member, this.#protocol) : noBytes,
        assignment: member.assignment,
      })),
    };
  }

  tombstones(): GroupRecord[] {
    return this.#written !== null ? [{ kind: 'classicGroup', groupId: this.groupId, value: null }] : [];
  }

  replay(value: ClassicGroupValue): void {
    const successor = this.#successor;
    this.#successor = null;
    this.#written = value;
    if (this.#isAheadOf(value)) return;
    this.#generation = value.generation;
    this.#protocolType = value.protocolType;
    this.#protocol = value.protocol;
    this.#leader = value.leader;
    const pendingSync = 'pendingSync' in this.#state ? this.#state.pendingSync : new Set<string>();
    const memberIds = new Set(value.members.map(({ memberId }) => memberId));
    for (const { memberId } of [...this.#members.all()])
      if (!memberIds.has(memberId)) {
        this.#removeMember(memberId);
        pendingSync.delete(memberId);
      }
    for (const written of value.members) {
      const member = loadedMember(written, value.protocol);
      const known = successor?.memberId === member.memberId ? successor : this.#members.remove(member.memberId);
      this.#members.add(known === null ? member : { ...known, ...member, protocols: protocolsOf(known, member) });
    }
    this.#countMemory();
    // Records before version 2 do not tell since when.
    const sinceMs = value.currentStateTimestampMs === -1 ? null : value.currentStateTimestampMs;
    if (value.members.length === 0) this.#becomeEmpty(sinceMs);
    else {
      this.#state = { kind: 'stable', pendingSync };
      if (pendingSync.size === 0) this.#draft.cancelDeadline('sync');
    }
  }

  onLoaded(now: Now): void {
    for (const member of this.#members.all()) this.#armSession(member, now);
    // Without a leader it was of the other protocol until now: nobody has shared out what its members are to read.
    const isUnled = this.#state.kind === 'stable' && this.#leader === null;
    if (isUnled || this.#members.size > this.#modules.options.maxSize) this.#prepareRebalance(now);
  }

  /** A group of the other protocol has become this one: its members have yet to be told (KIP-848, downgrade). */
  onDowngraded(now: Now): GroupStep {
    this.onLoaded(now);
    return this.#take();
  }

  onDeadline({ purpose, memberId }: DeadlineName, now: Now): GroupStep | null {
    if (purpose === 'session') this.#onSessionEnded(memberId, now);
    else if (purpose === 'join') this.#onJoinTimeUp(now);
    else if (purpose === 'sync') this.#onSyncTimeUp(now);
    return this.#take();
  }

  /** Everybody who waits is told to come again: a group of the other protocol takes its place, if that can be written. */
  disband(now: Now): GroupStep {
    for (const member of this.#members.all()) {
      if (member.waiting === null) continue;
      this.#refuse(member, rebalanceInProgress);
      this.#armSession(member, now);
    }
    return this.#take();
  }

  close(): void {
    for (const { memberId } of this.#members.all()) this.#draft.cancelDeadline('session', memberId);
    for (const memberId of this.#pendingMembers) this.#draft.cancelDeadline('session', memberId);
    this.#draft.cancelDeadline('join');
    this.#draft.cancelDeadline('sync');
    this.#takeMemory(0);
  }

  // -- what it may keep

  /**
   * Why there is no place for what would be kept of whoever asks. Nothing is changed: a member that is there already goes
   * on as it is. Metadata counts towards the group's record by the protocol in which a member has least to say, since it
   * may be the one that is chosen.
   */
  #sizeFault(request: JoinGroupRequest): Fault | null {
    const isIdAskedFor = this.#isIdAskedFor(request);
    const { recordBytes } = this.#members;
    const memberId = request.memberId === '' ? this.#members.holderOf(request.instanceId ?? '') : request.memberId;
    const known = memberId === undefined ? undefined : this.#members.get(memberId);
    const before = known === undefined ? null : sizeOf(known);
    const after = sizeOf(request);
    const moreInRecord = isIdAskedFor ? 0 : after.recordBytes - (before?.recordBytes ?? 0);
    const maxBytes = this.#modules.maxBatchBytes();
    if (moreInRecord > 0 && recordBytes + moreInRecord > maxBytes) {
      const reason = `its members say more than the ${maxBytes} bytes that a record of the group may have`;
      return { code: 'GROUP_MAX_SIZE_REACHED', reason };
    }
    const ofGroup = this.isNothing ? groupBytes + idBytes(this.groupId) : 0;
    const ofMember = isIdAskedFor ? pendingBytes : after.bytes - (before?.bytes ?? 0);
    const ofId = known === undefined ? idBytes(this.groupId) : 0;
    const bytes = ofGroup + ofMember + ofId;
    if (bytes <= 0 || this.#modules.memory.hasRoom(bytes, this.#written !== null)) return null;
    return { code: 'COORDINATOR_NOT_AVAILABLE' };
  }

  /** What it keeps that is in no record. */
  #countMemory(): void {
    const ids = this.#members.size + this.#pendingMembers.size;
    let bytes = this.#members.unwrittenBytes + this.#pendingMembers.size * pendingBytes;
    if (this.#written === null && ids > 0) bytes += groupBytes + (1 + ids) * idBytes(this.groupId);
    this.#takeMemory(bytes);
  }

  #takeMemory(bytes: number): void {
    this.#modules.memory.take(bytes - this.#takenBytes);
    this.#takenBytes = bytes;
  }

  /** The step, with what it leaves in memory. */
  #take(): GroupStep {
    this.#countMemory();
    return this.#draft.take();
  }

  // -- joining

  #hasRoomFor(memberId: string): boolean {
    const { maxSize } = this.#modules.options;
    // Whoever was given an id has a place with it.
    const pending = this.#pendingMembers.size - (this.#pendingMembers.has(memberId) ? 1 : 0);
    switch (this.#state.kind) {
      case 'empty':
        return pending < maxSize;
      // The size may be above the limit (the limit was lowered): then whoever comes last has no place.
      case 'preparingRebalance': {
        const { waitingToJoin } = this.#members;
        if (this.#members.has(memberId))
          return this.#members.get(memberId)?.waiting?.for === 'join' || waitingToJoin < maxSize;
        return waitingToJoin + pending < maxSize;
      }
      default:
        return this.#members.has(memberId) || this.#members.size + pending < maxSize;
    }
  }

  /** Only dynamic members are given an id first: with an instance id one could take a place that another one holds. */
  #isIdAskedFor({ memberId, instanceId, knowsMemberIdRequired }: JoinGroupRequest): boolean {
    return memberId === '' && instanceId === null && knowsMemberIdRequired;
  }

  #suits({ protocolType, protocols }: JoinGroupRequest): boolean {
    if (this.#members.size === 0) return protocolType !== '' && protocols.length > 0;
    return protocolType === this.#protocolType && this.#members.supportAny(protocols);
  }

  #joinWithoutId(request: JoinGroupRequest, requestId: number, now: Now): void {
    const { instanceId } = request;
    const memberId = `${memberIdPrefix(instanceId ?? request.clientId)}-${this.#modules.newUuid()}`;
    const holder = instanceId === null ? undefined : this.#members.holderOf(instanceId);
    if (holder !== undefined) this.#succeed(this.#memberOf(holder), memberId, request, requestId, now);
    else if (!this.#isIdAskedFor(request)) this.#addMember(memberId, request, requestId, now);
    else {
      this.#pendingMembers.add(memberId);
      this.#draft.setDeadline('session', now.monotonicMs + request.sessionTimeoutMs, memberId);
      this.#draft.answer(requestId, { fault: { code: 'MEMBER_ID_REQUIRED', memberId } });
    }
  }

  #addMember(memberId: string, request: JoinGroupRequest, requestId: number, now: Now): void {
    if (this.#members.size === 0) this.#protocolType = request.protocolType;
    this.#pendingMembers.delete(memberId);
    const member = newMember(memberId, request);
    this.#members.add(member);
    this.#leader ??= memberId;
    this.#wait(member, 'join', requestId);
    // Its client may be gone and have come again as somebody else: it cannot be told by heartbeats yet.
    this.#draft.setDeadline('session', now.monotonicMs + newMemberJoinTimeoutMs, memberId);
    if (this.#state.kind === 'preparingRebalance' && this.#state.initial !== null)
      this.#state.initial.hasNewMember = true;
    this.#rebalanceOrCompleteJoin(now);
  }

  #rejoin(request: JoinGroupRequest, requestId: number, now: Now): void {
    const fault = this.#members.faultOf(request.memberId, request.instanceId);
    if (fault !== null) {
      this.#draft.answer(requestId, { fault });
      return;
    }
    const member = this.#memberOf(request.memberId);
    const isLeader = member.memberId === this.#leader;
    // A leader that joins again wants a rebalance (the metadata of its topics has changed); another member only where its
    // own metadata did; and a member that missed the answer to its JoinGroup just gets it again.
    const isAnsweredAtOnce =
      (this.#state.kind === 'completingRebalance' || (this.#state.kind === 'stable' && !isLeader)) &&
      hasSameProtocols(member, request.protocols);
    if (isAnsweredAtOnce) {
      this.#armSession(member, now);
      this.#draft.answer(requestId, joinAnswer(member.memberId, this, this.#members.all()));
      return;
    }
    this.#update(member, request);
    this.#wait(member, 'join', requestId);
    this.#armSession(member, now);
    this.#rebalanceOrCompleteJoin(now);
  }

  #update(member: ClassicMember, { protocols, rebalanceTimeoutMs, sessionTimeoutMs }: JoinGroupRequest): void {
    this.#members.setProtocols(member, protocols);
    member.rebalanceTimeoutMs = rebalanceTimeoutMs;
    member.sessionTimeoutMs = sessionTimeoutMs;
  }

  /**
   * A static member has started again and takes over what its instance id held; the one before is fenced (KIP-345). The
   * client is the new one's, where Kafka goes on to show the old.
   */
  #succeed(former: ClassicMember, memberId: string, request: JoinGroupRequest, requestId: number, now: Now): void {
    const successor: ClassicMember = { ...newMember(memberId, request), assignment: former.assignment, isNew: false };
    this.#draft.setDeadline('session', now.monotonicMs + successor.sessionTimeoutMs, memberId);
    const isUndisturbed =
      this.#state.kind === 'stable' && this.#members.selectProtocol(former, successor.protocols) === this.#protocol;
    if (isUndisturbed) {
      this.#draft.answer(requestId, this.#writeSuccession(former, successor, request, now));
      return;
    }
    this.#refuse(former, { code: 'FENCED_INSTANCE_ID', reason: `${memberId} has taken over its instance id` });
    const isLeader = former.memberId === this.#leader;
    this.#removeMember(former.memberId);
    this.#members.add(successor);
    if (isLeader) this.#leader = memberId;
    this.#maybeWriteSuccessor(former, successor);
    this.#wait(successor, 'join', requestId);
    this.#rebalanceOrCompleteJoin(now);
  }

  /** Stable -> Stable, with one in the place of another, by replay */
  #writeSuccession(
    former: ClassicMember,
    successor: ClassicMember,
    { knowsSkipAssignment }: JoinGroupRequest,
    now: Now,
  ): JoinGroupAnswer {
    const { generation, protocolType, protocol, leader: formerLeader } = this;
    const leader = formerLeader === former.memberId ? successor.memberId : formerLeader;
    const members = Array.from(this.#members.all(), (member) => (member === former ? successor : member));
    const values = members.map((member) => toValue(member, protocol, member.assignment));
    this.#successor = successor;
    this.#write({ generation, protocol, leader, members: values }, now);
    const of = { generation, protocolType, protocol, leader };
    return successionAnswer(successor.memberId, of, members, { formerLeader, knowsSkipAssignment });
  }

  /**
   * In the last generation too, one has taken the place of the other: a coordinator that loads it would fence the new one
   * for the id it was given here, and its client would stop for good. (Kafka writes it with the next assignment only.)
   */
  #maybeWriteSuccessor({ memberId: formerId }: ClassicMember, { memberId, clientId, clientHost }: ClassicMember): void {
    const written = this.#written;
    if (written === null || written.members.every((member) => member.memberId !== formerId)) return;
    const members = written.members.map((member) =>
      member.memberId === formerId ? { ...member, memberId, clientId, clientHost } : member,
    );
    const leader = written.leader === formerId ? memberId : written.leader;
    this.#draft.write({ kind: 'classicGroup', groupId: this.groupId, value: { ...written, leader, members } });
  }

  /** A rebalance has begun since the generation that this record is of. */
  #isAheadOf({ generation, members }: ClassicGroupValue): boolean {
    if (members.length === 0) return false;
    if (this.#state.kind === 'preparingRebalance') return true;
    return this.#state.kind === 'completingRebalance' && generation < this.#generation;
  }

  // -- rebalancing

  #rebalanceOrCompleteJoin(now: Now): void {
    if (this.#state.kind === 'preparingRebalance') this.#maybeCompleteJoin(now);
    else this.#prepareRebalance(now);
  }

  /** Empty | CompletingRebalance | Stable -> PreparingRebalance, and on from there where all have joined already */
  #prepareRebalance(now: Now): void {
    if (this.#state.kind === 'completingRebalance')
      for (const member of this.#members.all()) {
        // Nobody shares out what an absent one reads before it is over: who moves the group meanwhile has to know.
        if (!member.isAbsent) member.assignment = noBytes;
        if (member.waiting?.for !== 'sync') continue;
        this.#refuse(member, rebalanceInProgress);
        this.#armSession(member, now);
      }
    this.#draft.cancelDeadline('sync');
    const { initialRebalanceDelayMs: delayMs } = this.#modules.options;
    if (this.#state.kind === 'empty' && delayMs > 0) {
      const remainingMs = Math.max(this.#members.rebalanceTimeoutMs() - delayMs, 0);
      this.#state = { kind: 'preparingRebalance', initial: { hasNewMember: false, delayMs, remainingMs } };
      this.#draft.setDeadline('join', now.monotonicMs + delayMs);
      return;
    }
    this.#state = { kind: 'preparingRebalance', initial: null };
    if (this.#haveAllJoined()) this.#completeJoin(now);
    else this.#draft.setDeadline('join', now.monotonicMs + this.#members.rebalanceTimeoutMs());
  }

  #maybeCompleteJoin(now: Now): void {
    const state = this.#state;
    if (state.kind === 'preparingRebalance' && state.initial === null && this.#haveAllJoined()) this.#completeJoin(now);
  }

  #haveAllJoined(): boolean {
    return this.#members.waitingToJoin === this.#members.size && this.#pendingMembers.size === 0;
  }

  #onJoinTimeUp(now: Now): void {
    if (this.#state.kind !== 'preparingRebalance') return;
    const { initial } = this.#state;
    if (initial === null || !initial.hasNewMember || initial.remainingMs === 0) {
      this.#completeJoin(now);
      return;
    }
    const delayMs = Math.min(this.#modules.options.initialRebalanceDelayMs, initial.remainingMs);
    const remainingMs = Math.max(initial.remainingMs - initial.delayMs, 0);
    this.#state = { kind: 'preparingRebalance', initial: { hasNewMember: false, delayMs, remainingMs } };
    this.#draft.setDeadline('join', now.monotonicMs + delayMs);
  }

  /** PreparingRebalance -> CompletingRebalance, or, by replay, Empty. Static members keep their place until their session ends. */
  #completeJoin(now: Now): void {
    this.#draft.cancelDeadline('join');
    for (const member of [...this.#members.all()])
      if (member.instanceId === null && member.waiting?.for !== 'join') this.#removeMember(member.memberId);
    if (this.#members.size === 0) {
      this.#writeEmpty(now);
      return;
    }
    const leader = this.#leader === null ? undefined : this.#members.get(this.#leader);
    const isLeaderHere = leader?.waiting?.for === 'join';
    if (!isLeaderHere) {
      const first = this.#firstToHaveJoined();
      if (first === null) {
        // Static members alone, and none of them has come: their sessions end first.
        this.#draft.setDeadline('join', now.monotonicMs + this.#members.rebalanceTimeoutMs());
        return;
      }
      this.#leader = first.memberId;
    }
    this.#generation++;
    this.#protocol = this.#members.selectProtocol();
    const pendingSync = new Set<string>();
    this.#state = { kind: 'completingRebalance', pendingSync };
    for (const member of this.#members.all()) {
      pendingSync.add(member.memberId);
      member.isNew = false;
      member.isAbsent = member.waiting?.for !== 'join';
      this.#armSession(member, now);
      const requestId = member.waiting?.requestId;
      this.#members.setWaiting(member, null);
      if (requestId !== undefined)
        this.#draft.answer(requestId, joinAnswer(member.memberId, this, this.#members.all()));
    }
    this.#draft.setDeadline('sync', now.monotonicMs + this.#members.rebalanceTimeoutMs());
  }

  #firstToHaveJoined(): ClassicMember | null {
    for (const member of this.#members.all()) if (member.waiting?.for === 'join') return member;
    return null;
  }

  /** A group that never came so far needs no record to be empty again. */
  #writeEmpty(now: Now): void {
    if (this.#written === null) {
      this.#protocolType = '';
      this.#protocol = null;
      this.#leader = null;
      this.#becomeEmpty(null);
      return;
    }
    const generation = this.#generation + 1;
    this.#write({ generation, protocol: null, leader: null, members: [] }, now);
    this.#draft.setDeadline('join', now.monotonicMs + emptyRetryMs);
  }

  #becomeEmpty(sinceMs: number | null): void {
    this.#state = { kind: 'empty' };
    this.#emptySinceMs = sinceMs;
    this.#draft.cancelDeadline('join');
    this.#draft.cancelDeadline('sync');
  }

  // -- syncing

  #syncFault({ generation, protocolType, protocol }: SyncGroupRequest): Fault | null {
    if (generation !== this.#generation) return illegalGeneration;
    const isConsistent =
      (protocolType === null || protocolType === this.#protocolType) &&
      (protocol === null || protocol === this.#protocol);
    return isConsistent ? null : inconsistentProtocol;
  }

  /** CompletingRebalance -> Stable, by replay. Everybody who waits is answered with the record; who comes later, from it. */
  #assign(assignments: SyncGroupRequest['assignments'], now: Now): void {
    const byMember = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]));
    const members = Array.from(this.#members.all(), (member) =>
      toValue(member, this.#protocol, byMember.get(member.memberId) ?? noBytes),
    );
    this.#write({ generation: this.#generation, protocol: this.#protocol, leader: this.#leader, members }, now);
    for (const member of this.#members.all()) {
      if (member.waiting?.for !== 'sync') continue;
      this.#draft.answer(member.waiting.requestId, syncAnswer(this, byMember.get(member.memberId) ?? noBytes));
      this.#members.setWaiting(member, null);
      this.#armSession(member, now);
    }
  }

  /** All may have synced and still be waited for: nothing has come of it where the log refused the assignment. */
  #onSyncTimeUp(now: Now): void {
    const state = this.#state;
    if (!('pendingSync' in state) || (state.kind === 'stable' && state.pendingSync.size === 0)) return;
    for (const memberId of state.pendingSync) this.#removeMember(memberId);
    this.#prepareRebalance(now);
  }

  // -- leaving

  #leaveOne(memberId: string, instanceId: string | null): Fault | null {
    if (this.#pendingMembers.has(memberId)) {
      this.#removeMember(memberId);
      return null;
    }
    // A tool that removes a static member knows its instance id alone.
    const holder = memberId === '' && instanceId !== null ? this.#members.holderOf(instanceId) : memberId;
    const fault = this.#members.faultOf(holder ?? '', instanceId);
    if (fault === null && holder !== undefined) this.#removeMember(holder);
    return fault;
  }

  /** Members that wait do not expire: they cannot send heartbeats meanwhile. New ones wait for a limited time. */
  #onSessionEnded(memberId: string, now: Now): void {
    const member = this.#members.get(memberId);
    if (member !== undefined && member.waiting !== null && !member.isNew) return;
    if (member === undefined && !this.#pendingMembers.has(memberId)) return;
    const wasPending = member === undefined;
    this.#removeMember(memberId);
    if (wasPending) this.#maybeCompleteJoin(now);
    else this.#onMembersGone(now);
  }

  #onMembersGone(now: Now): void {
    if (this.#state.kind !== 'empty') this.#rebalanceOrCompleteJoin(now);
  }

  /** Of a member, a pending one, or nobody. */
  #removeMember(memberId: string): void {
    this.#draft.cancelDeadline('session', memberId);
    this.#pendingMembers.delete(memberId);
    if ('pendingSync' in this.#state) this.#state.pendingSync.delete(memberId);
    const member = this.#members.get(memberId);
    if (member === undefined) return;
    this.#refuse(member, { code: 'UNKNOWN_MEMBER_ID', reason: `${memberId} was removed from the group` });
    this.#members.remove(memberId);
    if (this.#leader === memberId) this.#leader = this.#members.firstId();
  }

  // -- what all of it is made of

  #memberOf(memberId: string): ClassicMember {
    return present(this.#members.get(memberId), 'it was looked up already');
  }

  /** Of two requests of one member the older one has lost its client; whoever still reads its answer joins again. */
  #wait(member: ClassicMember, what: 'join' | 'sync', requestId: number): void {
    this.#refuse(member, rebalanceInProgress);
    this.#members.setWaiting(member, { for: what, requestId });
  }

  #refuse(member: ClassicMember, fault: Fault): void {
    if (member.waiting === null) return;
    this.#draft.answer(member.waiting.requestId, { fault });
    this.#members.setWaiting(member, null);
  }

  #write(
    value: Pick<ClassicGroupValue, 'generation' | 'protocol' | 'leader' | 'members'>,
    { wallMs: currentStateTimestampMs }: Now,
  ): void {
    const { groupId } = this;
    const protocolType = this.#protocolType;
    this.#draft.write({ kind: 'classicGroup', groupId, value: { ...value, protocolType, currentStateTimestampMs } });
  }

  /** A new member's time to join is not made shorter, or longer, by what else it sends. */
  #armSession(member: ClassicMember, now: Now): void {
    if (member.isNew) return;
    this.#draft.setDeadline('session', now.monotonicMs + member.sessionTimeoutMs, member.memberId);
  }
}

/** Kafka takes all of the name: then the id of one with 32,767 bytes fits neither the record of the group nor an answer. */
const memberIdPrefix = (name: string): string => name.slice(0, memberIdPrefixLength).toWellFormed();

/** All that a member supports is not written; it stays known as long as what is written agrees. */
function protocolsOf(known: ClassicMember, written: ClassicMember): ClassicMember['protocols'] {
  const agrees = written.protocols.every(({ name, metadata }) => metadataOf(known, name).equals(metadata));
  return agrees ? known.protocols : written.protocols;
}
