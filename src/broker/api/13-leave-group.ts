/** LeaveGroup 0–5: members leave a classic group. KIP-345 (3: several, static ones by instance id), KIP-800 (5: reason). */
import { isRefused } from '../../coordinator/group-requests.ts';
import { leaveGroupApi } from '../../wire/messages/13-leave-group.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const leaveGroup = serve(leaveGroupApi, async (services, request, { version, onDisconnect }) => {
  const members =
    version >= 3
      ? request.members.map(({ memberId, groupInstanceId, reason }) => ({
          memberId,
          instanceId: groupInstanceId,
          reason,
        }))
      : [{ memberId: request.memberId, instanceId: null, reason: null }];
  const answer = await services.groups.ask({ kind: 'leaveGroup', groupId: request.groupId, members }, onDisconnect);
  if (isRefused(answer)) return { errorCode: errorCodeOf(answer.fault) };
  const results = answer.members.map(({ memberId, instanceId, fault }) => ({
    memberId,
    groupInstanceId: instanceId,
    errorCode: fault === null ? 0 : errorCodeOf(fault),
  }));
  // Below 3 the one member's error is the answer's.
  return version >= 3 ? { errorCode: 0, members: results } : { errorCode: results[0]?.errorCode ?? 0 };
});
