/** Which heartbeats are refused before anything is changed? (`GroupMetadataManager.java`, the `throwIf…` of consumer groups) */
import type { Fault } from '../../model/fault.ts';
import { memberStates, type TopicPartitions } from '../group-records.ts';
import type { ConsumerGroupHeartbeatRequest } from '../group-requests.ts';
import { containsAll } from './assignment.ts';
import type { CurrentAssignment } from './current-assignment.ts';

/** Any epoch below leaves; -1 for good. */
export const joinEpoch = 0;
/** A static member that will be back before its session is over. */
export const leaveForAWhileEpoch = -2;

export const isLeaving = (request: ConsumerGroupHeartbeatRequest): boolean => request.memberEpoch < joinEpoch;

/**
 * So many topics may be named. Each change of such a group looks all of them up in one step: 10,000 that are there take some
 * 30 to 70 ms, longer than anything else may (I42). Kafka has no limit; whoever reads more topics subscribes by a pattern.
 */
export const maxTopicNames = 10_000;

/** What is wrong with the request itself, whatever the group; `maxBytes`: of a record. */
export function heartbeatFault(
  request: ConsumerGroupHeartbeatRequest,
  { assignors, maxBytes }: { readonly assignors: readonly string[]; readonly maxBytes: number },
): Fault | null {
  const reason = malformation(request) ?? excess(request, maxBytes);
  if (reason !== null) return { code: 'INVALID_REQUEST', reason };
  const { serverAssignor } = request;
  if (serverAssignor === null || assignors.includes(serverAssignor)) return null;
  return {
    code: 'UNSUPPORTED_ASSIGNOR',
    reason: `assignor ${serverAssignor} is not one of ${assignors.join(', ')}`,
  };
}

function malformation(request: ConsumerGroupHeartbeatRequest): string | null {
  const { memberId, memberEpoch, instanceId } = request;
  if (request.groupId === '') return 'the group id is empty';
  if (instanceId === '') return 'the instance id is empty';
  if (request.rackId === '') return 'the rack id is empty';
  // Below version 1 the coordinator makes the id of a member that joins.
  if (memberId === '' && (request.makesOwnMemberId || memberEpoch !== joinEpoch)) return 'the member id is empty';
  if (memberEpoch < leaveForAWhileEpoch) return `there is no member epoch ${memberEpoch}`;
  if (memberEpoch === leaveForAWhileEpoch && instanceId === null)
    return 'a member without instance id cannot come back';
  if (memberEpoch !== joinEpoch) return null;
  if (request.rebalanceTimeoutMs === -1) return 'who joins must say its rebalance timeout';
  if (request.topicPartitions === null || request.topicPartitions.length > 0)
    return 'who joins must own no partitions, and say so';
  if (request.subscribedTopicNames === null && request.subscribedTopicRegex === null)
    return 'who joins must say what it subscribes to';
  return null;
}

/** What would be refused by the log is not looked at: texts alone, by their characters, are more than a record may have. */
function excess(request: ConsumerGroupHeartbeatRequest, maxBytes: number): string | null {
  const { memberId, instanceId, rackId, clientId, subscribedTopicNames: names, subscribedTopicRegex: regex } = request;
  if (names !== null && names.length > maxTopicNames)
    return `a member may name ${maxTopicNames} topics; a pattern matches more`;
  let characters = 0;
  for (const text of [memberId, instanceId, rackId, clientId, regex, ...(names ?? [])]) characters += text?.length ?? 0;
  return characters <= maxBytes ? null : `what a member says may have ${maxBytes} bytes in all, as a record has`;
}

/**
 * | the request's epoch   | the member's own            | answer                                                     |
 * | --------------------- | --------------------------- | ---------------------------------------------------------- |
 * | 0                     | any                         | it has abandoned what it had and joins again               |
 * | the member's          |                             | goes on                                                    |
 * | the previous one      | owns only what it was given | goes on: the answer that told the newer epoch was lost     |
 * | the previous one      | owns more, or does not say  | FENCED_MEMBER_EPOCH                                        |
 * | any other             |                             | FENCED_MEMBER_EPOCH                                        |
 */
export function epochFault(
  current: CurrentAssignment,
  memberEpoch: number,
  owned: readonly TopicPartitions[] | null,
): Fault | null {
  if (current.state === memberStates.unknown && (owned === null || owned.length > 0))
    return { code: 'FENCED_MEMBER_EPOCH', reason: 'the state of the member is of a later version' };
  if (memberEpoch === joinEpoch || memberEpoch === current.memberEpoch) return null;
  const isAnswerLost =
    memberEpoch === current.previousMemberEpoch &&
    memberEpoch < current.memberEpoch &&
    owned !== null &&
    containsAll(current.assigned, owned);
  if (isAnswerLost) return null;
  return {
    code: 'FENCED_MEMBER_EPOCH',
    reason: `the member is at epoch ${current.memberEpoch}, not ${memberEpoch}: it must abandon its partitions and join again`,
  };
}
