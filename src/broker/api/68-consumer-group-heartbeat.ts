/** ConsumerGroupHeartbeat 0–1: the one API of the new group protocol (KIP-848). KIP-1082 (1: the member makes its id). */
import { isRefused } from '../../coordinator/group-requests.ts';
import { type TopicId, topicId } from '../../model/brands.ts';
import { consumerGroupHeartbeatApi } from '../../wire/messages/68-consumer-group-heartbeat.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

export const consumerGroupHeartbeat = serve(consumerGroupHeartbeatApi, async (services, request, context) => {
  const { version, clientId, clientHost, onDisconnect } = context;
  const answer = await services.groups.ask(
    {
      kind: 'consumerGroupHeartbeat',
      groupId: request.groupId,
      memberId: request.memberId,
      memberEpoch: request.memberEpoch,
      instanceId: request.instanceId,
      rackId: request.rackId,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      subscribedTopicNames: request.subscribedTopicNames,
      subscribedTopicRegex: request.subscribedTopicRegex,
      serverAssignor: request.serverAssignor,
      topicPartitions:
        request.topicPartitions?.map(({ topicId: id, partitions }) => ({
          topicId: topicId(id) as TopicId,
          partitions: [...partitions].sort((a, b) => a - b),
        })) ?? null,
      makesOwnMemberId: version >= 1,
      clientId: clientId ?? '',
      clientHost,
    },
    onDisconnect,
  );
  if (isRefused(answer)) return { errorCode: errorCodeOf(answer.fault), errorMessage: errorMessageOf(answer.fault) };
  return {
    errorCode: 0,
    memberId: answer.memberId,
    memberEpoch: answer.memberEpoch,
    heartbeatIntervalMs: answer.heartbeatIntervalMs,
    assignment: answer.assignment && { topicPartitions: answer.assignment },
  };
});
