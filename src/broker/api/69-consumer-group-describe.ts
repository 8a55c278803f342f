/** ConsumerGroupDescribe 0–1: groups of the new protocol (KIP-848), and by which protocol members joined (1: KIP-1099). */
import {
  type ConsumerGroupDescribeAnswer,
  isRefused,
  type NamedTopicPartitions,
} from '../../coordinator/group-requests.ts';
import type { Fault } from '../../model/fault.ts';
import { consumerGroupDescribeApi } from '../../wire/messages/69-consumer-group-describe.ts';
import { askGroups } from '../ask-groups.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';
import { allGroupOperations } from './15-describe-groups.ts';

const classicMember = 0;
const consumerMember = 1;

const assignmentOf = (topics: readonly NamedTopicPartitions[]) => ({
  topicPartitions: topics.map(({ topicId, topic, partitions }) => ({ topicId, topicName: topic, partitions })),
});

const memberOf = ({
  isClassic,
  assignment,
  targetAssignment,
  ...member
}: ConsumerGroupDescribeAnswer['members'][number]) => ({
  ...member,
  assignment: assignmentOf(assignment),
  targetAssignment: assignmentOf(targetAssignment),
  memberType: isClassic ? classicMember : consumerMember,
});
type DescribedMember = ReturnType<typeof memberOf>;

const refused = (groupId: string, fault: Fault) => ({
  errorCode: errorCodeOf(fault),
  errorMessage: errorMessageOf(fault),
  groupId,
  members: [] as DescribedMember[],
});

async function describe(services: BrokerServices, groupId: string, { onDisconnect }: RequestContext) {
  const answer = await services.groups.ask({ kind: 'consumerGroupDescribe', groupId }, onDisconnect);
  if (isRefused(answer)) return refused(groupId, answer.fault);
  return {
    errorCode: 0,
    groupId,
    groupState: answer.state,
    groupEpoch: answer.groupEpoch,
    assignmentEpoch: answer.assignmentEpoch,
    assignorName: answer.assignor,
    members: answer.members.map(memberOf),
  };
}

const partitionsOf = ({ assignment, targetAssignment }: DescribedMember): number =>
  [assignment, targetAssignment].reduce(
    (sum, { topicPartitions }) => topicPartitions.reduce((inner, { partitions }) => inner + partitions.length, sum),
    0,
  );

/** A group that is asked for twice is told once, as DescribeGroups does. */
export const consumerGroupDescribe = serve(consumerGroupDescribeApi, async (services, request, context) => {
  const ask = async (groupId: string) => {
    const group = await describe(services, groupId, context);
    const isAsked = request.includeAuthorizedOperations && group.errorCode === 0;
    return isAsked ? { ...group, authorizedOperations: allGroupOperations } : group;
  };
  const groups = await askGroups(services.timers, [...new Set(request.groupIds)], ask, {
    rowsOf: ({ members }) => members.reduce((sum, member) => sum + 1 + partitionsOf(member), 0),
    comeAgain: (groupId) => refused(groupId, { code: 'COORDINATOR_LOAD_IN_PROGRESS' }),
  });
  return { groups };
});
