/**
 * Members of the classic protocol in a group of the new one (KIP-848): to them each change is a rebalance, in which their
 * member epoch is the generation, and the coordinator hands out what they read.
 *
 *     Heartbeat ──► REBALANCE_IN_PROGRESS   the group epoch is ahead, it has something to give up, or is given more
 *     JoinGroup ──► its epoch               says what it owns: that is how it gives up; it never leads
 *     SyncGroup ──► what it has
 *
 * None of them waits for another. A member has its rebalance timeout to join after it was told to, and to sync after it
 * has joined.
 */
import { present } from '../../model/assert.ts';
import type { Fault } from '../../model/fault.ts';
import type { Now } from '../coordinator-shard.ts';
import type { GroupStep } from '../group.ts';
import type { ConsumerSubscription } from '../group-modules.ts';
import { type ClassicMemberMetadata, type ConsumerMemberValue, memberStates } from '../group-records.ts';
import type {
  HeartbeatRequest,
  JoinGroupRequest,
  LeaveGroupAnswer,
  LeaveGroupRequest,
  SyncGroupRequest,
} from '../group-requests.ts';
import { difference, partition, union } from './assignment.ts';
import type { CurrentAssignment } from './current-assignment.ts';
import { type GroupCore, purposes } from './group-core.ts';
import { maxTopicNames } from './heartbeat-rules.ts';
import { assignmentBytes, downgradeRecords, mayDowngrade, topicIdsOf } from './migration.ts';

const protocolType = 'consumer';
const rebalanceInProgress: Fault = { code: 'REBALANCE_IN_PROGRESS' };
const illegalGeneration: Fault = { code: 'ILLEGAL_GENERATION' };
const inconsistentProtocol: Fault = { code: 'INCONSISTENT_GROUP_PROTOCOL' };

interface Found {
  readonly memberId: string;
  readonly value: ConsumerMemberValue;
  readonly classic: ClassicMemberMetadata;
  readonly current: CurrentAssignment;
}

export class ClassicService {
  readonly #core: GroupCore;

  constructor(core: GroupCore) {
    this.#core = core;
  }

  join(request: JoinGroupRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const { instanceId } = request;
    const memberId = request.memberId === '' ? core.modules.newUuid() : request.memberId;
    const subscription = this.#subscriptionOf(request);
    const fault = core.sizeFault(memberId) ?? (subscription === null ? inconsistentProtocol : null);
    if (fault !== null || subscription === null) return core.refused(requestId, fault ?? inconsistentProtocol);
    if (request.memberId === '' && instanceId === null && request.knowsMemberIdRequired)
      return core.refused(requestId, { code: 'MEMBER_ID_REQUIRED', memberId });
    // It was removed and has not been told: it gives everything up first, for what it reads may be another's by now. A
    // newcomer that comes with the id it was just given owns nothing.
    const isUnheard = instanceId === null && request.memberId !== '' && !core.state.members.has(memberId);
    if (isUnheard && subscription.ownedPartitions.length > 0)
      return core.refused(requestId, core.unknownMember(memberId));

    let replaces: string | null = null;
    if (instanceId !== null) {
      // Who comes with an id must hold the place; who comes without takes it from whoever holds it.
      if (request.memberId === '') replaces = core.state.staticMembers.get(instanceId) ?? null;
      else {
        const instanceFault = core.instanceFault(memberId, instanceId);
        if (instanceFault !== null) return core.refused(requestId, instanceFault);
      }
    }
    const value = joinedValue(core.state.members.get(replaces ?? memberId) ?? null, request, subscription);
    const owned = topicIdsOf(subscription.ownedPartitions, core.image);
    const changed = core.change({ memberId, value, replaces, owned }, now);
    const protocol = request.protocols[0]?.name ?? null;
    const answer = { protocolType, protocol, leader: '', memberId, skipAssignment: false, members: [] };

    const { classicMemberMetadata: coming } = value;
    if (replaces !== null && mayDowngrade(core.state, [replaces], coming, core.modules.options)) {
      const { assigned, pendingRevocation } = changed.after;
      const successor = { memberId, value, assigned: union(assigned, pendingRevocation) };
      const downgraded = downgradeRecords(core.context(now), [replaces], successor, core.modules);
      if (downgraded !== null) {
        const { generation, protocol: chosen } = downgraded.group;
        return core.answered(requestId, downgraded.records, { ...answer, generation, protocol: chosen });
      }
    }
    core.cancelDeadline(purposes.classicJoin, memberId);
    core.cancelDeadline(purposes.rebalance, memberId);
    core.setDeadline(purposes.session, memberId, now.monotonicMs + request.sessionTimeoutMs);
    core.setDeadline(purposes.classicSync, memberId, now.monotonicMs + request.rebalanceTimeoutMs);
    return core.answered(requestId, changed.records, { ...answer, generation: changed.after.memberEpoch });
  }

  sync(request: SyncGroupRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const found = this.#find(request.memberId, request.instanceId);
    if ('code' in found) return core.refused(requestId, found);
    const { memberId, value, classic, current } = found;
    const fault = this.#syncFault(request, found);
    if (fault !== null) return core.refused(requestId, fault);
    if (core.state.groupEpoch > current.memberEpoch && current.state !== memberStates.unrevokedPartitions) {
      this.#mustJoin(memberId, value, now);
      return core.refused(requestId, rebalanceInProgress);
    }
    core.cancelDeadline(purposes.classicSync, memberId);
    core.setDeadline(purposes.session, memberId, now.monotonicMs + classic.sessionTimeoutMs);
    const metadata = classic.supportedProtocols[0]?.metadata ?? Buffer.alloc(0);
    const { consumerProtocol } = core.modules;
    return core.answered(requestId, [], {
      protocolType: request.protocolType,
      protocol: request.protocol,
      assignment: assignmentBytes(current.assigned, metadata, core.image, consumerProtocol),
    });
  }

  heartbeat(request: HeartbeatRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const found = this.#find(request.memberId, request.instanceId);
    if ('code' in found) return core.refused(requestId, found);
    const { memberId, value, classic, current } = found;
    if (request.generation !== current.memberEpoch) return core.refused(requestId, illegalGeneration);
    core.setDeadline(purposes.session, memberId, now.monotonicMs + classic.sessionTimeoutMs);
    const mustJoin =
      current.memberEpoch < core.state.groupEpoch ||
      current.state === memberStates.unrevokedPartitions ||
      (current.state === memberStates.unreleasedPartitions && this.#isMoreFree(memberId, current));
    if (!mustJoin) return core.answered(requestId, [], {});
    this.#mustJoin(memberId, value, now);
    return core.refused(requestId, rebalanceInProgress);
  }

  leave(request: LeaveGroupRequest, requestId: number, now: Now): GroupStep {
    const core = this.#core;
    const leaving: string[] = [];
    const members = request.members.map(({ memberId, instanceId }): LeaveGroupAnswer['members'][number] => {
      // An instance id alone is how a tool removes a static member.
      const holderId = instanceId === null ? undefined : core.state.staticMembers.get(instanceId);
      const found = this.#find(memberId === '' && holderId !== undefined ? holderId : memberId, instanceId);
      if ('code' in found) return { memberId, instanceId, fault: found };
      if (!leaving.includes(found.memberId)) leaving.push(found.memberId);
      return { memberId: found.memberId, instanceId, fault: null };
    });
    return core.answered(requestId, leaving.length === 0 ? [] : core.remove(leaving, now), { members });
  }

  /** What the member asks for; null where the group cannot serve it by the classic protocol. */
  #subscriptionOf(request: JoinGroupRequest): ConsumerSubscription | null {
    const [first] = request.protocols;
    if (request.protocolType !== protocolType || first === undefined || !this.#isSupported(request)) return null;
    const subscription = this.#core.modules.consumerProtocol.decodeSubscription(first.metadata);
    return subscription !== null && subscription.topics.length <= maxTopicNames ? subscription : null;
  }

  /** One of its protocols must be known to all others, in case the group becomes a classic one. */
  #isSupported({ protocols }: JoinGroupRequest): boolean {
    const names = new Set(protocols.map(({ name }) => name));
    for (const { classicMemberMetadata } of this.#core.state.members.values())
      if (classicMemberMetadata !== null) {
        const theirs = new Set(classicMemberMetadata.supportedProtocols.map(({ name }) => name));
        for (const name of names) if (!theirs.has(name)) names.delete(name);
      }
    return names.size > 0;
  }

  #find(memberId: string, instanceId: string | null): Found | Fault {
    const core = this.#core;
    const fault = instanceId === null ? null : core.instanceFault(memberId, instanceId);
    if (fault !== null) return fault;
    const value = core.state.members.get(memberId);
    const classic = value?.classicMemberMetadata ?? null;
    if (value === undefined || classic === null) return core.unknownMember(memberId);
    return { memberId, value, classic, current: core.state.currentOf(memberId) };
  }

  #syncFault(request: SyncGroupRequest, { classic, current }: Found): Fault | null {
    if (request.generation !== current.memberEpoch) return illegalGeneration;
    const told = present(classic.supportedProtocols[0], 'no member joins without a protocol').name;
    const isConsistent = (request.protocolType ?? protocolType) === protocolType && (request.protocol ?? told) === told;
    return isConsistent ? null : inconsistentProtocol;
  }

  #mustJoin(memberId: string, { rebalanceTimeoutMs }: ConsumerMemberValue, now: Now): void {
    const core = this.#core;
    if (core.deadlineOf(purposes.classicJoin, memberId) === null)
      core.setDeadline(purposes.classicJoin, memberId, now.monotonicMs + rebalanceTimeoutMs);
  }

  /** All that it waits for has been given up by others. */
  #isMoreFree(memberId: string, { assigned }: CurrentAssignment): boolean {
    const { state } = this.#core;
    const missing = difference(state.targetOf(memberId), assigned);
    return partition(missing, (topicId, number) => state.ownerOf(topicId, number) === null).others.size === 0;
  }
}

function joinedValue(
  before: ConsumerMemberValue | null,
  request: JoinGroupRequest,
  subscription: ConsumerSubscription,
): ConsumerMemberValue {
  return {
    instanceId: request.instanceId ?? before?.instanceId ?? null,
    rackId: subscription.rackId ?? before?.rackId ?? null,
    clientId: request.clientId,
    clientHost: request.clientHost,
    subscribedTopicNames: [...new Set(subscription.topics)].sort(),
    subscribedTopicRegex: null,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    serverAssignor: before?.serverAssignor ?? null,
    classicMemberMetadata: { sessionTimeoutMs: request.sessionTimeoutMs, supportedProtocols: [...request.protocols] },
  };
}
