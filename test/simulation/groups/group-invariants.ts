/**
 * What must hold of consumer groups (replication-invariants §1 D, §5 C11 and C13): coordinators' answers against one another
 * and against what is committed. Clients are well behaved: their positions only grow, and late commits name the generation
 * that they are of; so an offset falls only where a coordinator took what it had to refuse, or told what was not so.
 */
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import {
  type GroupAnswer,
  isRefused,
  type OffsetCommitAnswer,
  type OffsetCommitRequest,
  type OffsetFetchAnswer,
  type SyncGroupAnswer,
  type SyncGroupRequest,
} from '../../../src/coordinator/group-requests.ts';
import { fail, type Invariant } from '../invariants.ts';
import type { World } from '../world.ts';
import { type CommittedGroups, memberEpochName, offsetKey } from './committed-groups.ts';
import type { GroupAsk } from './group-ask.ts';
import type { GroupMember } from './group-plan.ts';
import { plainConsumerProtocol } from './plain-consumer-protocol.ts';
import type { SimulatedCoordinator } from './simulated-coordinator.ts';
import { workTopic } from './work-topic.ts';

export const groupInvariants = (): Invariant[] => [
  new OffsetsNeverFall(),
  new OneOwnerPerGeneration(),
  new OldMembersCommitNothing(),
  new OffsetsOfMembersStay(),
  new OnlyLoadedCoordinatorsAnswer(),
  new IsolatedCoordinatorsAreSilent(),
  new ToldEpochsAreCommitted(),
  new NobodyElseHoldsIt(),
];

const committedOf = (world: World): CommittedGroups => {
  if (world.groups === null) throw new Error('a group is asked in a world without groups');
  return world.groups.committed;
};

interface Floor {
  /** The highest that a commit was answered for, or that was told, since it was deleted; -1 for none. */
  offset: number;
  deletions: number;
}

/**
 * As a register that only grows: who asks after an answer was given must not be told less than that answer, whoever is asked
 * and whatever that broker can know of elections.
 */
class OffsetsNeverFall implements Invariant {
  readonly name = 'C11 a committed offset is never told lower, nor lost';
  readonly #floors = new Map<string, Floor>();
  /** As they were when the request was sent; those that were not yet are not in it. */
  readonly #floorsWhenSent = new WeakMap<GroupAsk, Map<string, Floor>>();

  #floor(key: string): Floor {
    let floor = this.#floors.get(key);
    if (floor === undefined) {
      floor = { offset: -1, deletions: 0 };
      this.#floors.set(key, floor);
    }
    return floor;
  }

  onGroupSent(_: World, ask: GroupAsk): void {
    const { request } = ask;
    if (request.kind !== 'offsetFetch' && request.kind !== 'offsetCommit') return;
    const floors = new Map<string, Floor>();
    for (const [key, floor] of this.#floors) if (key.startsWith(`${request.groupId} `)) floors.set(key, { ...floor });
    this.#floorsWhenSent.set(ask, floors);
  }

  onGroupAnswered(world: World, ask: GroupAsk, answer: GroupAnswer): void {
    if (isRefused(answer)) return;
    if (ask.request.kind === 'offsetFetch') this.#onFetched(world, ask, answer as OffsetFetchAnswer);
    else if (ask.request.kind === 'offsetCommit')
      this.#onCommitted(world, ask, ask.request, answer as OffsetCommitAnswer);
  }

  #onFetched(world: World, ask: GroupAsk, answer: OffsetFetchAnswer): void {
    const { request } = ask;
    if (request.kind !== 'offsetFetch') return;
    const told = new Map<string, { offset: number; metadata: string }>();
    for (const { topic, partitions } of answer.topics)
      for (const { partition, offset, metadata } of partitions)
        told.set(offsetKey(request.groupId, topic, partition), { offset, metadata });
    const { commitNames } = committedOf(world);
    for (const [key, { offset, metadata }] of told)
      if (offset >= 0 && !commitNames.has(metadata)) fail(this, `${key} is told as ${offset}, which is not committed`);
    const before = this.#floorsWhenSent.get(ask) ?? new Map<string, Floor>();
    for (const [key, { offset, deletions }] of before) {
      if (request.topics !== null && !told.has(key)) continue;
      const now = told.get(key)?.offset ?? -1;
      if (now < offset && this.#floor(key).deletions === deletions)
        fail(this, `${key} is told as ${now}; before that was asked, ${offset} was told or acknowledged`);
    }
    for (const [key, { offset }] of told) this.#raise(key, offset, before);
  }

  #onCommitted(world: World, ask: GroupAsk, request: OffsetCommitRequest, answer: OffsetCommitAnswer): void {
    const { commitNames } = committedOf(world);
    const before = this.#floorsWhenSent.get(ask) ?? new Map<string, Floor>();
    for (const [i, { topic, partitions }] of request.topics.entries())
      for (const [j, { partition, offset, metadata }] of partitions.entries()) {
        if (answer.topics[i]?.partitions[j]?.fault) continue;
        const key = offsetKey(request.groupId, topic, partition);
        if (!commitNames.has(metadata)) fail(this, `${key} is answered as committed at ${offset}, and it is not`);
        this.#raise(key, offset, before);
      }
  }

  /** Not where it was deleted since the question: then nothing follows for those who ask now. */
  #raise(key: string, offset: number, before: ReadonlyMap<string, Floor>): void {
    const floor = this.#floor(key);
    if ((before.get(key)?.deletions ?? 0) === floor.deletions) floor.offset = Math.max(floor.offset, offset);
  }

  onGroupRecordCommitted(_: World, record: GroupRecord): void {
    if (record.kind !== 'offsetCommit') return;
    const key = offsetKey(record.groupId, record.topic, record.partition);
    const floor = this.#floor(key);
    if (record.value === null) {
      floor.offset = -1;
      floor.deletions++;
    } else if (record.value.offset < floor.offset)
      fail(this, `${key} is committed as ${record.value.offset} after ${floor.offset} was told or acknowledged`);
  }
}

/** Of the classic protocol: what SyncGroup answers. */
class OneOwnerPerGeneration implements Invariant {
  readonly name = 'C13 one owner of a partition per generation';
  /** By group and generation: instance or member id → partitions. */
  readonly #assignments = new Map<string, Map<string, readonly number[]>>();
  readonly #deletionsWhenHandled = new WeakMap<GroupAsk, number>();

  onGroupHandling(world: World, ask: GroupAsk): void {
    if (ask.request.kind !== 'syncGroup') return;
    this.#deletionsWhenHandled.set(ask, committedOf(world).group(ask.request.groupId).deletions);
  }

  onGroupAnswered(world: World, ask: GroupAsk, answer: GroupAnswer): void {
    const { request } = ask;
    if (request.kind !== 'syncGroup' || isRefused(answer)) return;
    // What was held until the group was deleted says nothing of the one that has its name now.
    const { deletions } = committedOf(world).group(request.groupId);
    if (this.#deletionsWhenHandled.get(ask) === deletions) this.#onSynced(world, request, answer as SyncGroupAnswer);
  }

  #onSynced(world: World, request: SyncGroupRequest, { assignment }: SyncGroupAnswer): void {
    const { groupId, generation, memberId, instanceId } = request;
    const group = committedOf(world).group(groupId);
    const written = group.classic;
    if (group.consumerGroupEpoch >= 0) return;
    if (written === null || written.generation < generation)
      fail(this, `${groupId} tells an assignment of generation ${generation}, which is not committed`);
    const member = written?.members.find((one) => one.memberId === memberId);
    if (written?.generation === generation && member && !member.assignment.equals(assignment))
      fail(this, `${memberId} is told ${assignment} in ${groupId} ${generation}, committed is ${member.assignment}`);
    const decoded = plainConsumerProtocol.decodeAssignment(assignment);
    const partitions = decoded?.assignedPartitions.find(({ topic }) => topic === workTopic)?.partitions ?? [];
    const name = `${groupId} ${group.deletions} ${generation}`;
    const known = this.#assignments.get(name) ?? new Map<string, readonly number[]>();
    this.#assignments.set(name, known);
    // A static member that comes back keeps its place under another member id.
    const holder = instanceId ?? memberId;
    const former = known.get(holder);
    if (former && former.join() !== partitions.join())
      fail(this, `${holder} was told ${former} and is told ${partitions} in generation ${generation} of ${groupId}`);
    for (const [other, theirs] of known)
      if (other !== holder && theirs.some((partition) => partitions.includes(partition)))
        fail(this, `${holder} is told ${partitions}, ${other} ${theirs} in generation ${generation} of ${groupId}`);
    known.set(holder, partitions);
  }
}

/** I38: from the moment on at which a newer generation, epoch or holder of the instance id is committed. */
class OldMembersCommitNothing implements Invariant {
  readonly name = 'C13 nothing is committed by an old generation, epoch or member';
  readonly #mustRefuse = new WeakMap<GroupAsk, string>();

  onGroupHandling(world: World, ask: GroupAsk): void {
    const { request } = ask;
    if (request.kind !== 'offsetCommit' || request.generationOrMemberEpoch < 0) return;
    const { groupId, generationOrMemberEpoch: named, memberId } = request;
    const { classic, consumerGroupEpoch, currentAssignments } = committedOf(world).group(groupId);
    if (classic !== null && consumerGroupEpoch < 0) {
      const isMember = classic.members.some((member) => member.memberId === memberId);
      if (named < classic.generation || (named === classic.generation && !isMember))
        this.#mustRefuse.set(ask, `generation ${classic.generation} of ${groupId} is committed`);
    } else if (consumerGroupEpoch >= 0) {
      const memberEpoch = currentAssignments.get(memberId)?.memberEpoch ?? -1;
      if (named < memberEpoch) this.#mustRefuse.set(ask, `epoch ${memberEpoch} of ${memberId} is committed`);
    }
  }

  onGroupAnswered(world: World, ask: GroupAsk, answer: GroupAnswer, coordinator: SimulatedCoordinator): void {
    const why = this.#mustRefuse.get(ask);
    if (why === undefined || isRefused(answer) || ask.request.kind !== 'offsetCommit') return;
    const { memberId, generationOrMemberEpoch } = ask.request;
    const at = `broker ${coordinator.host.id} at ${world.scheduler.nowMs.toFixed()} ms`;
    fail(this, `${at} took a commit of ${memberId} in ${generationOrMemberEpoch}, when ${why}`);
  }
}

/** KAFKA-13636: only offsets of groups that have long had no members expire. */
class OffsetsOfMembersStay implements Invariant {
  readonly name = 'I38 offsets of a group with members never vanish';

  onGroupRecordCommitted(world: World, record: GroupRecord): void {
    if (record.kind !== 'offsetCommit' || record.value !== null || world.groups === null) return;
    const { groupId, topic, partition } = record;
    // By hand offsets may go as soon as no living member reads the topic, whatever is written of the dead.
    if (world.groups.deletedByHand.has(groupId)) return;
    const { committed, offsetsRetentionMs } = world.groups;
    const group = committed.group(groupId);
    if (group.hasMembers) fail(this, `${groupId} has members, and its offset of ${topic} ${partition} is deleted`);
    // Where wall clocks jump, so does what they say of the age of an offset.
    if (world.brokers.some(({ disk }) => disk.hasMovedClock)) return;
    const value = committed.offsets.get(offsetKey(groupId, topic, partition));
    // Of the new protocol nothing is written of when a group became empty; then the commit alone counts.
    const sinceMs = Math.max(value?.commitTimestampMs ?? 0, group.classic?.currentStateTimestampMs ?? 0);
    const ageMs = world.wallMs - sinceMs;
    if (value !== undefined && ageMs < offsetsRetentionMs)
      fail(this, `the offset of ${topic} ${partition} of ${groupId} is deleted ${ageMs} ms after it was in use`);
  }
}

class OnlyLoadedCoordinatorsAnswer implements Invariant {
  readonly name = 'I39 only a loaded coordinator answers, one per leader epoch';
  readonly #coordinators = new Map<string, string>();

  onGroupAnswered(_: World, __: GroupAsk, answer: GroupAnswer, coordinator: SimulatedCoordinator): void {
    if (isRefused(answer)) return;
    const { replica, host, leaderEpoch, loadedOffset } = coordinator;
    const state = replica.leaderState;
    const who = `${host.id} ${host.incarnation}`;
    if (state === null || state.leaderEpoch !== leaderEpoch)
      return fail(this, `${who} answers in epoch ${leaderEpoch}, and leads ${state?.leaderEpoch ?? 'nothing'}`);
    const { leaderEpochStartOffset, highWatermark } = state;
    if (loadedOffset < leaderEpochStartOffset)
      fail(this, `${who} answers and has loaded up to ${loadedOffset} of ${leaderEpochStartOffset}`);
    if (highWatermark < leaderEpochStartOffset)
      fail(this, `${who} answers, and only ${highWatermark} of the ${leaderEpochStartOffset} it loaded is committed`);
    const name = `${replica.key} ${leaderEpoch}`;
    const known = this.#coordinators.get(name) ?? who;
    if (known !== who) fail(this, `${replica.key} is coordinated by ${known} and by ${who} in epoch ${leaderEpoch}`);
    this.#coordinators.set(name, who);
  }
}

/**
 * Also where nothing has to be confirmed: members of an isolated coordinator are to look for another. What does not leave at
 * once was committed meanwhile, which proves as much, however long an ack was on its way.
 */
class IsolatedCoordinatorsAreSilent implements Invariant {
  readonly name = 'I19 a coordinator that nobody reaches answers nobody';
  readonly #handledMs = new WeakMap<GroupAsk, number>();

  onGroupHandling(world: World, ask: GroupAsk): void {
    this.#handledMs.set(ask, world.scheduler.nowMs);
  }

  onGroupAnswered(world: World, ask: GroupAsk, answer: GroupAnswer, coordinator: SimulatedCoordinator): void {
    const { host, replica } = coordinator;
    const { nowMs } = world.scheduler;
    if (isRefused(answer) || this.#handledMs.get(ask) !== nowMs) return;
    if ((world.recordOf(replica.key)?.replicas.length ?? 0) < 2) return;
    const silentMs = nowMs - host.process.lastContactMs;
    if (silentMs > host.leaderOptions.isolationTimeMs)
      fail(this, `${host.id} answers ${ask.request.kind}; nobody has reached it for ${Math.round(silentMs)} ms`);
  }
}

/** KIP-848: a member acts on the epoch it is told. */
class ToldEpochsAreCommitted implements Invariant {
  readonly name = 'I39 what a member is told is committed';

  onGroupAnswered(world: World, { request }: GroupAsk, answer: GroupAnswer): void {
    if (request.kind !== 'consumerGroupHeartbeat' || isRefused(answer) || !('memberEpoch' in answer)) return;
    const { memberId, memberEpoch } = answer;
    if (memberEpoch > 0 && !committedOf(world).memberEpochs.has(memberEpochName(memberId, memberEpoch)))
      fail(this, `${memberId} is told epoch ${memberEpoch}, which is not committed`);
  }
}

/**
 * A partition is told to a member only when whoever had it has given it back, or is no member any more. Of the classic
 * protocol this is so where members join again in time, and leaders know what they read: static members need not come, and
 * then nobody can tell their leader.
 */
class NobodyElseHoldsIt implements Invariant {
  readonly name = 'C13 a partition is handed on when it was given back';
  /** When they were removed; they have been told nothing since, but may be in the group once more, under the same id. */
  readonly #removed = new Map<GroupMember, number>();

  onGroupRecordCommitted(world: World, record: GroupRecord): void {
    const { nowMs } = world.scheduler;
    const before = new Set<string>();
    const after = new Set<string>();
    if (record.kind === 'consumerGroupMember') (record.value === null ? before : after).add(record.memberId);
    else if (record.kind === 'classicGroup') {
      for (const { memberId } of committedOf(world).group(record.groupId).classic?.members ?? []) before.add(memberId);
      for (const { memberId } of record.value?.members ?? []) after.add(memberId);
    } else return;
    // A group that changes its protocol keeps its members, in one batch: they are gone and there again in one moment.
    for (const member of world.groups?.members ?? [])
      if (after.has(member.memberId) && this.#removed.get(member) === nowMs) this.#removed.delete(member);
      else if (before.has(member.memberId) && !after.has(member.memberId)) this.#removed.set(member, nowMs);
  }

  onPartitionsHeld(world: World, member: GroupMember, partitions: readonly number[]): void {
    const { consumerMembers, classic } = committedOf(world).group(member.groupId);
    const isMember = ({ memberId, instanceId }: GroupMember): boolean =>
      consumerMembers.has(memberId) ||
      (instanceId === null && classic?.members.some((one) => one.memberId === memberId) === true);
    // It stood still while it was told, and has been fenced since: it will learn of that next.
    if (!isMember(member)) return;
    this.#removed.delete(member);
    for (const other of world.groups?.members ?? []) {
      if (other === member || other.groupId !== member.groupId || !isMember(other) || this.#removed.has(other))
        continue;
      const held = partitions.find((partition) => other.holds(partition));
      if (held !== undefined)
        fail(this, `${member.name} of ${member.groupId} is told ${held}, and ${other.name} has not given it back`);
    }
  }
}
