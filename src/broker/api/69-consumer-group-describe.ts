/** ConsumerGroupDescribe 0–1: groups of the new protocol (KIP-848), and by which protocol members joined (1: KIP-1099). */
import { isRefused, type NamedTopicPartitions } from '../../coordinator/group-requests.ts';
import { consumerGroupDescribeApi } from '../../wire/messages/69-consumer-group-describe.ts';
import { askInSlices } from '../ask-in-slices.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';
import { allGroupOperations } from './15-describe-groups.ts';

const classicMember = 0;
const consumerMember = 1;

const assignmentOf = (topics: readonly NamedTopicPartitions[]) => ({
  topicPartitions: topics.map(({ topicId, topic, partitions }) => ({ topicId, topicName: topic, partitions })),
});

async function describe(services: BrokerServices, groupId: string, { onDisconnect }: RequestContext) {
  const answer = await services.groups.ask({ kind: 'consumerGroupDescribe', groupId }, onDisconnect);
  if (isRefused(answer))
    return { errorCode: errorCodeOf(answer.fault), errorMessage: errorMessageOf(answer.fault), groupId };
  return {
    errorCode: 0,
    groupId,
    groupState: answer.state,
    groupEpoch: answer.groupEpoch,
    assignmentEpoch: answer.assignmentEpoch,
    assignorName: answer.assignor,
    members: answer.members.map(({ isClassic, assignment, targetAssignment, ...member }) => ({
      ...member,
      assignment: assignmentOf(assignment),
      targetAssignment: assignmentOf(targetAssignment),
      memberType: isClassic ? classicMember : consumerMember,
    })),
  };
}

/** A group that is asked for twice is told once, as DescribeGroups does. */
export const consumerGroupDescribe = serve(consumerGroupDescribeApi, async (services, request, context) => ({
  groups: await askInSlices(services.timers, [...new Set(request.groupIds)], async (groupId) => {
    const group = await describe(services, groupId, context);
    const isAsked = request.includeAuthorizedOperations && group.errorCode === 0;
    return isAsked ? { ...group, authorizedOperations: allGroupOperations } : group;
  }),
}));
