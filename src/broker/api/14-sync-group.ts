/** SyncGroup 0–5: the leader's assignment goes in, each member's own comes out. KIP-345 (3), KIP-559 (5: protocol). */
import { isRefused } from '../../coordinator/group-requests.ts';
import { syncGroupApi } from '../../wire/messages/14-sync-group.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

const nothing = Buffer.alloc(0);

export const syncGroup = serve(syncGroupApi, async (services, request, { version, onDisconnect }) => {
  const { protocolType, protocolName: protocol } = request;
  // KIP-559: from 5 on both are mandatory (`KafkaApis.handleSyncGroupRequest`).
  if (version >= 5 && (protocolType === null || protocol === null))
    return { errorCode: errorCodeOf({ code: 'INCONSISTENT_GROUP_PROTOCOL' }), assignment: nothing };
  const answer = await services.groups.ask(
    {
      kind: 'syncGroup',
      groupId: request.groupId,
      generation: request.generationId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      protocolType,
      protocol,
      // Copies: the group keeps them, and a view would keep the whole request.
      assignments: request.assignments.map(({ memberId, assignment }) => ({
        memberId,
        assignment: Buffer.from(assignment),
      })),
    },
    onDisconnect,
  );
  if (isRefused(answer)) return { errorCode: errorCodeOf(answer.fault), assignment: nothing };
  return {
    errorCode: 0,
    protocolType: answer.protocolType,
    protocolName: answer.protocol,
    assignment: answer.assignment,
  };
});
