/**
 * A group moves between the protocols while its members are at work (KIP-848, "Online Migration"):
 *
 *     classic ──the first member of the new protocol joins──► consumer ──the last one goes──► classic
 *              its generation becomes the group epoch,                  the group epoch becomes the
 *              what members own their target                            generation, and all rebalance
 *
 * In between, members of the classic protocol are served by what they know (`classic-service.ts`). All of a move is in
 * the records of one step: tombstones of what was, and the group as it then is. `group.consumer.migration.policy` says
 * which way is open; what cannot be moved is left as it is (GROUP_ID_NOT_FOUND, as Kafka answers).
 */
import type { TopicId } from '../../model/brands.ts';
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Fault } from '../../model/fault.ts';
import type { ClassicGroup } from '../classic/classic-group.ts';
import { type ClassicMember, metadataOf } from '../classic/classic-member.ts';
import { namesOf, selectProtocol } from '../classic/protocol-votes.ts';
import type { ConsumerAssignment, ConsumerProtocol, GroupModules } from '../group-modules.ts';
import type { GroupOptions } from '../group-options.ts';
import {
  type ClassicGroupValue,
  type ClassicMemberMetadata,
  type ConsumerGroupRecord,
  type ConsumerMemberValue,
  type GroupRecord,
  memberStates,
  type TopicPartitions,
} from '../group-records.ts';
import { type Assignment, assignmentOf, emptyAssignment, topicPartitionsOf, union } from './assignment.ts';
import { type ConsumerGroupState, currentAssignmentValue } from './consumer-group-state.ts';
import { epochRecord, type GroupContext, groupTombstones, targetRecord } from './group-change.ts';

// -- classic → consumer

/**
 * What the members of a classic group read was shared out by one of them, and may leave partitions out that came since or
 * that somebody else read who is gone. So their first target is computed anew even where nobody came but a successor.
 */
const noMetadataYet = 0n;

/** The group as one of the new protocol, without the tombstone of what it was; or why it cannot be that. */
export function upgradeRecords(group: ClassicGroup, modules: GroupModules): ConsumerGroupRecord[] | Fault {
  const { groupId, generation } = group;
  const { options } = modules;
  const refused = (reason: string): Fault => ({ code: 'GROUP_ID_NOT_FOUND', reason: `group ${groupId} ${reason}` });
  if (options.consumerMigrationPolicy !== 'upgrade' && options.consumerMigrationPolicy !== 'bidirectional')
    return refused('speaks the classic protocol, and may not be moved');
  if (!group.usesConsumerProtocol) return refused('is not one of consumers');
  if (group.size > options.consumerMaxSize) return refused('has more members than one of the new protocol may');
  if (movedBytesOf(group) > Math.min(modules.maxBatchBytes(), maxMovedBytes))
    return refused('has members that say too much to be moved at once');

  const values: ConsumerGroupRecord[] = [];
  const targets: ConsumerGroupRecord[] = [];
  const currents: ConsumerGroupRecord[] = [];
  const members: MovedMember[] = [];
  for (const member of group.members()) {
    const moved = movedMember(member, group.protocol, modules);
    if (typeof moved === 'string') return refused(moved);
    members.push(moved);
  }
  // What was assigned goes before what members said they owned when they joined, which may be of long ago.
  const taken = new Map<TopicId, Set<number>>();
  const assignments = members.map(({ assigned }) => withoutTaken(assigned, taken));
  for (const [at, moved] of members.entries()) {
    const { memberId } = moved;
    const assigned = union(assignments[at] ?? emptyAssignment, withoutTaken(moved.said, taken));
    values.push({ kind: 'consumerGroupMember', groupId, memberId, value: moved.value });
    targets.push(targetRecord(groupId, memberId, assigned));
    currents.push({
      kind: 'consumerGroupCurrentAssignment',
      groupId,
      memberId,
      value: currentAssignmentValue({
        memberEpoch: generation,
        previousMemberEpoch: generation,
        state: memberStates.stable,
        assigned,
        pendingRevocation: emptyAssignment,
      }),
    });
  }
  return [
    ...values,
    epochRecord(groupId, generation, noMetadataYet),
    ...targets,
    {
      kind: 'consumerGroupTargetAssignmentMetadata',
      groupId,
      value: { assignmentEpoch: generation, assignmentTimestampMs: 0 },
    },
    ...currents,
  ];
}

/** So much is read and written in some 40 ms of the event loop (I42), whatever the log would take. */
const maxMovedBytes = 1_000_000;

/** At least: all metadata is written again, and the topics besides. For what the log will refuse nothing is looked into. */
function movedBytesOf(group: ClassicGroup): number {
  let bytes = 0;
  for (const { protocols } of group.members()) {
    for (const { metadata } of protocols) bytes += metadata.length;
    bytes += protocols[0]?.metadata.length ?? 0;
  }
  return bytes;
}

interface MovedMember {
  readonly memberId: string;
  readonly value: ConsumerMemberValue;
  /** By the last rebalance; nothing when it came to the next one, and that was broken off before it was over. */
  readonly assigned: Assignment;
  /** What it said it owned when it joined: consumers that rebalance cooperatively keep it meanwhile. */
  readonly said: Assignment;
}

/** Or what is in the way. */
function movedMember(
  member: Readonly<ClassicMember>,
  protocol: string | null,
  { consumerProtocol, image }: GroupModules,
): MovedMember | string {
  // Before the first rebalance is over no protocol is chosen.
  const metadata = protocol === null ? member.protocols[0]?.metadata : metadataOf(member, protocol);
  const subscription = metadata === undefined ? null : consumerProtocol.decodeSubscription(metadata);
  if (subscription === null) return `has member ${member.memberId}, whose subscription cannot be read`;
  // A member that has joined and never synced has none.
  let assignment: ConsumerAssignment | null = null;
  if (member.assignment.length > 0) {
    assignment = consumerProtocol.decodeAssignment(member.assignment);
    if (assignment === null) return `has member ${member.memberId}, whose assignment cannot be read`;
    if (assignment.userData !== null && assignment.userData.length > 0)
      return `has an assignor of its own, whose data for member ${member.memberId} would be lost`;
  }
  return {
    memberId: member.memberId,
    value: {
      instanceId: member.instanceId,
      rackId: subscription.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: [...new Set(subscription.topics)].sort(),
      subscribedTopicRegex: null,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      serverAssignor: null,
      classicMemberMetadata: { sessionTimeoutMs: member.sessionTimeoutMs, supportedProtocols: [...member.protocols] },
    },
    assigned: assignmentOf(topicIdsOf(assignment?.assignedPartitions ?? [], image())),
    said: assignmentOf(topicIdsOf(subscription.ownedPartitions, image())),
  };
}

/** An assignor of consumers may have given a partition twice; here it has one owner. */
function withoutTaken(assigned: Assignment, taken: Map<TopicId, Set<number>>): Assignment {
  const kept = topicPartitionsOf(assigned).map(({ topicId, partitions }) => {
    const others = taken.get(topicId) ?? new Set();
    taken.set(topicId, others);
    const free = partitions.filter((partition) => !others.has(partition));
    for (const partition of free) others.add(partition);
    return { topicId, partitions: free };
  });
  return assignmentOf(kept);
}

// -- consumer → classic

/** Whether all that is left without these members, and with who comes, are ones of the classic protocol, and may go back. */
export function mayDowngrade(
  state: ConsumerGroupState,
  leaving: readonly string[],
  coming: ClassicMemberMetadata | null,
  { consumerMigrationPolicy, maxSize }: GroupOptions,
): boolean {
  if (consumerMigrationPolicy !== 'downgrade' && consumerMigrationPolicy !== 'bidirectional') return false;
  const gone = new Set(leaving);
  const protocols = coming === null ? [] : [coming.supportedProtocols];
  let isLastOfNewProtocol = false;
  for (const [memberId, { classicMemberMetadata }] of state.members) {
    if (gone.has(memberId)) isLastOfNewProtocol ||= classicMemberMetadata === null;
    else if (classicMemberMetadata === null) return false;
    else protocols.push(classicMemberMetadata.supportedProtocols);
  }
  return isLastOfNewProtocol && protocols.length <= maxSize && haveOneInCommon(protocols);
}

/** Every member was let in for one; a group that another coordinator wrote may be different. */
function haveOneInCommon(members: readonly ClassicMemberMetadata['supportedProtocols'][]): boolean {
  const supporters = new Map<string, number>();
  for (const protocols of members)
    for (const name of namesOf(protocols)) supporters.set(name, (supporters.get(name) ?? 0) + 1);
  return [...supporters.values()].includes(members.length);
}

/** A member that takes the place of one of those who leave. */
export interface Successor {
  readonly memberId: string;
  readonly value: ConsumerMemberValue;
  /** What it may still have. */
  readonly assigned: Assignment;
}

/**
 * Each member keeps what it may still read, not what it was going to: the next to move the group back counts on that. They
 * share it out anew at once, and, since the group has no leader, under another coordinator too that finds it so.
 *
 * Null where one batch cannot take all of it: the group stays what it is, and who leaves it can.
 */
export function downgradeRecords(
  context: GroupContext,
  leaving: readonly string[],
  successor: Successor | null,
  { consumerProtocol, maxBatchBytes }: Pick<GroupModules, 'consumerProtocol' | 'maxBatchBytes'>,
): { records: GroupRecord[]; group: ClassicGroupValue } | null {
  const { groupId, state, image } = context;
  const gone = new Set(leaving);
  const staying: Successor[] = [];
  for (const [memberId, value] of state.members)
    if (!gone.has(memberId)) {
      const { assigned, pendingRevocation } = state.currentOf(memberId);
      staying.push({ memberId, value, assigned: union(assigned, pendingRevocation) });
    }
  if (successor !== null) {
    // It may sync before the others have been told to join again: what they still read is not for it to take up.
    const theirs = new Map<TopicId, Set<number>>();
    for (const { assigned } of staying) withoutTaken(assigned, theirs);
    staying.push({ ...successor, assigned: withoutTaken(successor.assigned, theirs) });
  }

  const protocols = staying.map(({ value }) => value.classicMemberMetadata?.supportedProtocols ?? []);
  const protocol = selectProtocol(protocols);
  const group: ClassicGroupValue = {
    protocolType: 'consumer',
    generation: state.groupEpoch,
    protocol,
    leader: null,
    currentStateTimestampMs: context.now.wallMs,
    members: staying.map(({ memberId, value, assigned }) => {
      const { sessionTimeoutMs, supportedProtocols } = value.classicMemberMetadata ?? noProtocols;
      const subscription = supportedProtocols.find(({ name }) => name === protocol)?.metadata ?? Buffer.alloc(0);
      return {
        memberId,
        instanceId: value.instanceId,
        clientId: value.clientId,
        clientHost: value.clientHost,
        rebalanceTimeoutMs: value.rebalanceTimeoutMs,
        sessionTimeoutMs,
        subscription,
        assignment: assignmentBytes(assigned, subscription, image, consumerProtocol),
      };
    }),
  };
  const tombstones = groupTombstones(groupId, state);
  if (bytesOf(group) + tombstones.length * tombstoneBytes(groupId) > maxBatchBytes()) return null;
  return { records: [...tombstones, { kind: 'classicGroup', groupId, value: group }], group };
}

/** Of the record, nearly. */
function bytesOf({ members }: ClassicGroupValue): number {
  let bytes = 0;
  for (const { memberId, instanceId, clientId, clientHost, subscription, assignment } of members) {
    bytes += Buffer.byteLength(memberId) + Buffer.byteLength(instanceId ?? '') + Buffer.byteLength(clientId);
    bytes += Buffer.byteLength(clientHost) + subscription.length + assignment.length + 30;
  }
  return bytes;
}

/** Nearly: member ids have some 60 bytes. */
const tombstoneBytes = (groupId: string): number => Buffer.byteLength(groupId) + 90;

const noProtocols: ClassicMemberMetadata = { sessionTimeoutMs: 0, supportedProtocols: [] };

// -- what consumers of the classic protocol are told, and tell

/** In the version that the member's subscription is in, by topic names; topics that are gone are left out. */
export function assignmentBytes(
  assignment: Assignment,
  subscription: Buffer,
  image: ClusterImage,
  consumerProtocol: ConsumerProtocol,
): Buffer {
  const assignedPartitions = topicPartitionsOf(assignment).flatMap(({ topicId, partitions }) => {
    const topic = image.topics.get(topicId)?.record.name;
    return topic === undefined ? [] : [{ topic, partitions }];
  });
  const version = consumerProtocol.decodeSubscription(subscription)?.version ?? 0;
  return consumerProtocol.encodeAssignment({ version, assignedPartitions, userData: null });
}

/** Topics that are not there (any more) are left out. */
export function topicIdsOf(
  partitions: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
  image: ClusterImage,
): TopicPartitions[] {
  return partitions.flatMap(({ topic, partitions: numbers }) => {
    const topicId = image.topicByName(topic)?.id;
    return topicId === undefined ? [] : [{ topicId, partitions: numbers }];
  });
}
