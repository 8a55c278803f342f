/**
 * JoinGroup 0–9: a member enters a classic group, or a rebalance of it. KIP-62 (1: rebalance timeout), KIP-394 (4: member
 * id required), KIP-345 (5: static members), KIP-559 (7: protocol type), KIP-800 (8: reason), KIP-814 (9: skip assignment).
 */
import { isRefused } from '../../coordinator/group-requests.ts';
import { joinGroupApi } from '../../wire/messages/11-join-group.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const joinGroup = serve(joinGroupApi, async (services, request, context) => {
  const { version, clientId, clientHost, onDisconnect } = context;
  const answer = await services.groups.ask(
    {
      kind: 'joinGroup',
      groupId: request.groupId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: version === 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      reason: request.reason,
      knowsMemberIdRequired: version >= 4,
      knowsSkipAssignment: version >= 9,
      clientId: clientId ?? '',
      clientHost,
    },
    onDisconnect,
  );
  if (isRefused(answer)) {
    const { fault } = answer;
    const memberId = fault.code === 'MEMBER_ID_REQUIRED' ? fault.memberId : request.memberId;
    return { errorCode: errorCodeOf(fault), memberId, protocolName: version >= 7 ? null : '' };
  }
  return {
    errorCode: 0,
    generationId: answer.generation,
    protocolType: answer.protocolType,
    protocolName: answer.protocol ?? (version >= 7 ? null : ''),
    leader: answer.leader,
    skipAssignment: answer.skipAssignment,
    memberId: answer.memberId,
    members: answer.members.map(({ memberId, instanceId, metadata }) => ({
      memberId,
      groupInstanceId: instanceId,
      metadata,
    })),
  };
});
