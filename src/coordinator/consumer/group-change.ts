/**
 * What has to be written when one member of a group comes or changes, or when members go? One order for all of it:
 *
 *     1. the member         its record; of a static member that comes back under another id, also what the old one had
 *     2. the group epoch    rises when subscriptions, the topics of patterns, or the topics themselves have changed
 *     3. the target         is computed anew when it is behind the group epoch, for all members
 *     4. the member's part  is moved towards its target (`current-assignment.ts`)
 *
 * Members that go raise the group epoch; the target is computed with the next heartbeat of one that stays, as Kafka does:
 * what the gone ones had is handed on by heartbeats anyway.
 */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Now } from '../coordinator-shard.ts';
import type { ConsumerGroupRecord, ConsumerMemberValue, GroupRecord, TopicPartitions } from '../group-records.ts';
import { type Assignment, isEqual, topicPartitionsOf } from './assignment.ts';
import { type ConsumerGroupState, currentAssignmentValue, type ResolvedRegex } from './consumer-group-state.ts';
import { type CurrentAssignment, initialAssignment, isReconciledTo, reconcile } from './current-assignment.ts';
import { isSameSet } from './regex-resolution.ts';
import { allTopicNames } from './subscribed-topics.ts';
import { isSameSubscription, type Subscribed, type Subscription, subscriptionOf } from './subscription-counts.ts';
import { computeTargets, preferredAssignor, type TargetedMember } from './target-assignment.ts';

export interface GroupContext {
  readonly groupId: string;
  readonly state: ConsumerGroupState;
  readonly image: ClusterImage;
  /** `group.consumer.assignors` */
  readonly assignors: readonly string[];
  readonly now: Now;
}

export interface MemberChange {
  readonly memberId: string;
  readonly value: ConsumerMemberValue;
  /** The member of the same instance id whose place this one takes. */
  readonly replaces: string | null;
  /** What the member says it owns; null where it does not say. */
  readonly owned: readonly TopicPartitions[] | null;
  /** Topics of patterns that were found just now. */
  readonly regexes: ReadonlyMap<string, ResolvedRegex>;
  /** The topics may have changed since the group epoch was written. */
  readonly isMetadataStale: boolean;
}

export interface MemberChanged {
  readonly records: GroupRecord[];
  readonly before: CurrentAssignment;
  readonly after: CurrentAssignment;
  /** The topics were compared, and are those of the group epoch that is written. */
  readonly isMetadataFresh: boolean;
}

export function changeMember(context: GroupContext, change: MemberChange): MemberChanged {
  const { groupId, state, image } = context;
  const { memberId, value, replaces, isMetadataStale } = change;
  const records: GroupRecord[] = [];

  const valueBefore = state.members.get(replaces ?? memberId) ?? null;
  if (replaces !== null) records.push(...memberTombstones(groupId, replaces));
  if (replaces !== null || valueBefore === null || !isSameMember(valueBefore, value))
    records.push({ kind: 'consumerGroupMember', groupId, memberId, value });

  const gone = valueBefore === null ? [] : [subscriptionOf(valueBefore)];
  const come = subscriptionOf(value);
  const subscriptions = state.subscriptions.after(gone, come);
  const { regexRecords, regexes, haveTopicsChanged } = changeRegexes(context, subscriptions, change.regexes);
  records.push(...regexRecords);

  let isBumped = state.groupEpoch === 0 || haveTopicsChanged || !isSameSubscription(gone[0] ?? none, come);
  let isMetadataFresh = false;
  let groupEpoch = state.groupEpoch;
  if (isBumped || isMetadataStale || groupEpoch > state.targetEpoch)
    state.topics.lookUp(allTopicNames(subscriptions, regexes), image);
  if (isBumped || isMetadataStale) {
    const hash = state.topics.hash();
    isMetadataFresh = hash === state.metadataHash;
    isBumped ||= !isMetadataFresh;
    if (isBumped) groupEpoch++;
    if (isBumped) records.push(epochRecord(groupId, groupEpoch, hash));
  }

  const targetBefore = state.targetOf(replaces ?? memberId);
  let target = targetBefore;
  let targetEpoch = state.targetEpoch;
  if (groupEpoch > targetEpoch) {
    const members: TargetedMember[] = [];
    for (const [otherId, other] of state.members)
      if (otherId !== memberId && otherId !== replaces)
        members.push({ memberId: otherId, value: other, target: state.targetOf(otherId) });
    members.push({ memberId, value, target: targetBefore });
    const targets = computeTargets(assignorOf(members, context.assignors), members, state.topics, regexes);
    for (const { memberId: ofId, target: last } of members) {
      const next = targets.get(ofId) ?? last;
      if (ofId === memberId) target = next;
      else if (!isEqual(next, last)) records.push(targetRecord(groupId, ofId, next));
    }
    targetEpoch = groupEpoch;
  }
  if (replaces !== null || !isEqual(target, targetBefore)) records.push(targetRecord(groupId, memberId, target));
  if (targetEpoch > state.targetEpoch)
    records.push({
      kind: 'consumerGroupTargetAssignmentMetadata',
      groupId,
      value: { assignmentEpoch: targetEpoch, assignmentTimestampMs: context.now.wallMs },
    });

  const inherited = state.currentOf(replaces ?? memberId);
  // Who takes another's place has been told nothing yet, and takes over what was kept for it.
  const before = replaces === null ? inherited : { ...inherited, memberEpoch: 0, previousMemberEpoch: 0 };
  const after = isReconciledTo(before, targetEpoch)
    ? before
    : reconcile({
        current: before,
        targetEpoch,
        target,
        owned: change.owned,
        isFree: (topicId, partition) => {
          const owner = state.ownerOf(topicId, partition);
          return owner === null || owner === memberId || owner === replaces;
        },
      });
  if (after !== inherited)
    records.push({
      kind: 'consumerGroupCurrentAssignment',
      groupId,
      memberId,
      value: currentAssignmentValue(after),
    });
  return { records, before: valueBefore === null ? initialAssignment : before, after, isMetadataFresh };
}

/** Members go, and the group epoch rises. */
export function removeMembers(context: GroupContext, memberIds: readonly string[]): GroupRecord[] {
  const { groupId, state, image } = context;
  const gone: Subscription[] = [];
  for (const memberId of memberIds) {
    const value = state.members.get(memberId);
    if (value !== undefined) gone.push(subscriptionOf(value));
  }
  const subscriptions = state.subscriptions.after(gone, null);
  const { regexRecords, regexes } = changeRegexes(context, subscriptions, new Map());
  state.topics.lookUp(allTopicNames(subscriptions, regexes), image);
  return [
    ...memberIds.flatMap((memberId) => memberTombstones(groupId, memberId)),
    ...regexRecords,
    epochRecord(groupId, state.groupEpoch + 1, state.topics.hash()),
  ];
}

/** Patterns were evaluated: what is written, with a new group epoch where they match other topics than before. */
export function changeTopicsOfPatterns(
  context: GroupContext,
  found: ReadonlyMap<string, ResolvedRegex>,
): GroupRecord[] {
  const { groupId, state, image } = context;
  const subscriptions = state.subscriptions.now();
  const { regexRecords, regexes, haveTopicsChanged } = changeRegexes(context, subscriptions, found);
  if (!haveTopicsChanged) return regexRecords;
  state.topics.lookUp(allTopicNames(subscriptions, regexes), image);
  return [...regexRecords, epochRecord(groupId, state.groupEpoch + 1, state.topics.hash())];
}

/** The member's own records, in the order that Kafka's coordinator insists on when it reads them. */
const memberTombstones = (groupId: string, memberId: string): GroupRecord[] => [
  { kind: 'consumerGroupCurrentAssignment', groupId, memberId, value: null },
  { kind: 'consumerGroupTargetAssignmentMember', groupId, memberId, value: null },
  { kind: 'consumerGroupMember', groupId, memberId, value: null },
];

/** All that is written of the group. */
export function groupTombstones(groupId: string, state: ConsumerGroupState): GroupRecord[] {
  return [
    ...[...state.members.keys()].flatMap((memberId) => memberTombstones(groupId, memberId)),
    { kind: 'consumerGroupTargetAssignmentMetadata', groupId, value: null },
    ...[...state.regexes.keys()].map(
      (regularExpression) =>
        ({ kind: 'consumerGroupRegularExpression', groupId, regularExpression, value: null }) as const,
    ),
    { kind: 'consumerGroupMetadata', groupId, value: null },
  ];
}

export const epochRecord = (groupId: string, epoch: number, hash: bigint): ConsumerGroupRecord => ({
  kind: 'consumerGroupMetadata',
  groupId,
  value: { epoch, metadataHash: hash },
});

export const targetRecord = (groupId: string, memberId: string, target: Assignment): ConsumerGroupRecord => ({
  kind: 'consumerGroupTargetAssignmentMember',
  groupId,
  memberId,
  value: { topicPartitions: topicPartitionsOf(target) },
});

/** Patterns that nobody subscribes to any more are forgotten; the topics of those that were evaluated are written. */
function changeRegexes(
  { groupId, state }: GroupContext,
  { patterns }: Subscribed,
  found: ReadonlyMap<string, ResolvedRegex>,
): { regexRecords: GroupRecord[]; regexes: ReadonlyMap<string, ResolvedRegex>; haveTopicsChanged: boolean } {
  if (state.regexes.size === 0 && found.size === 0)
    return { regexRecords: [], regexes: state.regexes, haveTopicsChanged: false };
  const regexes = new Map(state.regexes);
  const regexRecords: GroupRecord[] = [];
  let haveTopicsChanged = false;
  for (const regularExpression of state.regexes.keys()) {
    if (patterns.has(regularExpression)) continue;
    regexes.delete(regularExpression);
    regexRecords.push({ kind: 'consumerGroupRegularExpression', groupId, regularExpression, value: null });
  }
  for (const [regularExpression, resolved] of found) {
    if (!patterns.has(regularExpression)) continue;
    const before = regexes.get(regularExpression);
    if (before === undefined || !isSameSet(before.topics, resolved.topics)) haveTopicsChanged = true;
    regexes.set(regularExpression, resolved);
    const { topics, version, timestampMs } = resolved;
    regexRecords.push({
      kind: 'consumerGroupRegularExpression',
      groupId,
      regularExpression,
      value: { topics: [...topics].sort(), version, timestampMs },
    });
  }
  return { regexRecords, regexes, haveTopicsChanged };
}

const none: Subscription = { topicNames: [], regex: null };

const assignorOf = (members: readonly TargetedMember[], assignors: readonly string[]): string =>
  preferredAssignor(
    members.map(({ value }) => value),
    assignors,
  );

function isSameMember(a: ConsumerMemberValue, b: ConsumerMemberValue): boolean {
  return (
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.clientId === b.clientId &&
    a.clientHost === b.clientHost &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.serverAssignor === b.serverAssignor &&
    a.subscribedTopicRegex === b.subscribedTopicRegex &&
    isSameSubscription(subscriptionOf(a), subscriptionOf(b)) &&
    isSameProtocols(a, b)
  );
}

function isSameProtocols(
  { classicMemberMetadata: a }: ConsumerMemberValue,
  { classicMemberMetadata: b }: ConsumerMemberValue,
): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.sessionTimeoutMs === b.sessionTimeoutMs &&
    a.supportedProtocols.length === b.supportedProtocols.length &&
    a.supportedProtocols.every(({ name, metadata }, index) => {
      const other = b.supportedProtocols[index];
      return other !== undefined && other.name === name && other.metadata.equals(metadata);
    })
  );
}
