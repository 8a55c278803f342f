/** Heartbeat 0–4: a member of a classic group is alive, and asks whether a rebalance is on. KIP-345 (3: static members). */
import { isRefused } from '../../coordinator/group-requests.ts';
import { heartbeatApi } from '../../wire/messages/12-heartbeat.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const heartbeat = serve(heartbeatApi, async (services, request, { onDisconnect }) => {
  const { groupId, generationId: generation, memberId, groupInstanceId: instanceId } = request;
  const answer = await services.groups.ask(
    { kind: 'heartbeat', groupId, generation, memberId, instanceId },
    onDisconnect,
  );
  return { errorCode: isRefused(answer) ? errorCodeOf(answer.fault) : 0 };
});
