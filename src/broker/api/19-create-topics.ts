/** CreateTopics 2–7: checked here as far as any broker can, carried out by the controller. KIP-525 (5: configs in the answer). */
import type { AdminItemResult, NewTopic } from '../../controller/control-messages.ts';
import { type BrokerId, brokerId, type TopicId } from '../../model/brands.ts';
import { type BrokerConfig, effectiveTopicConfig } from '../../model/config/broker-config.ts';
import { formatConfigValue } from '../../model/config/config-key.ts';
import { type TopicConfigName, topicConfigKeys, topicConfigProblem } from '../../model/config/topic-config.ts';
import type { Fault } from '../../model/fault.ts';
import { topicNameProblem } from '../../model/topic-partition.ts';
import type { Item } from '../../wire/field.ts';
import {
  type CreateTopicsRequest,
  type CreateTopicsResponseInput,
  createTopicsApi,
} from '../../wire/messages/19-create-topics.ts';
import { zeroUuid } from '../cluster-view.ts';
import { internalTopic } from '../coordinators/internal-topics.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { type BrokerServices, serve } from '../services.ts';
import { adminResults } from './admin-results.ts';

type Topic = Item<CreateTopicsRequest['topics']>;
type TopicAnswer = Item<CreateTopicsResponseInput['topics']>;

/** Replicas by partition, from whatever order they came in; a fault where partitions are missing or named twice. */
function assignmentOf(topic: Topic): readonly (readonly BrokerId[])[] | Fault | null {
  if (topic.assignments.length === 0) return null;
  if (topic.numPartitions !== -1 || topic.replicationFactor !== -1)
    return {
      code: 'INVALID_REQUEST',
      reason: 'Both numPartitions or replicationFactor and replicasAssignments were set.',
    };
  const byPartition: (readonly BrokerId[])[] = [];
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (byPartition[partitionIndex] !== undefined || partitionIndex < 0 || partitionIndex >= topic.assignments.length)
      return {
        code: 'INVALID_REPLICA_ASSIGNMENT',
        reason: 'partitions should be a consecutive 0-based integer sequence',
      };
    if (brokerIds.some((id) => id < 0))
      return { code: 'INVALID_REPLICA_ASSIGNMENT', reason: 'a broker id is negative' };
    byPartition[partitionIndex] = brokerIds.map(brokerId);
  }
  return byPartition;
}

const isFault = (value: NewTopic | Fault): value is Fault => 'code' in value;

function newTopic(topic: Topic, config: BrokerConfig): NewTopic | Fault {
  const nameProblem = topicNameProblem(topic.name);
  if (nameProblem) return { code: 'INVALID_TOPIC', reason: nameProblem };
  const configs = Object.fromEntries(topic.configs.map(({ name, value }) => [name, value]));
  const configProblem = topicConfigProblem(configs);
  if (configProblem) return { code: 'INVALID_CONFIG', reason: configProblem };
  const assignment = assignmentOf(topic);
  if (assignment !== null && 'code' in assignment) return assignment;
  // A coordinator's topic is one whoever makes it; what the request does not say is as the coordinator would.
  const internal = internalTopic(topic.name, config);
  return {
    name: topic.name,
    partitions: assignment ? assignment.length : topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    assignment,
    configs: { ...internal?.configs, ...(configs as Record<string, string>) },
    isInternal: internal !== null,
  };
}

function configsOf(services: BrokerServices, configs: Readonly<Record<string, string>>) {
  return (Object.keys(topicConfigKeys) as TopicConfigName[]).map((name) => {
    const { value, source } = effectiveTopicConfig(name, configs, services.config);
    return { name, value: formatConfigValue(value), readOnly: false, configSource: source, isSensitive: false };
  });
}

const refused = (name: string, fault: Fault): TopicAnswer => ({
  name,
  topicId: zeroUuid,
  errorCode: errorCodeOf(fault),
  errorMessage: errorMessageOf(fault),
  configs: null,
});

function answer(
  services: BrokerServices,
  topic: NewTopic,
  result: AdminItemResult,
  isOnlyValidated: boolean,
): TopicAnswer {
  if (result.fault) return refused(topic.name, result.fault);
  const topicId: TopicId | string = isOnlyValidated ? zeroUuid : result.topicId;
  return {
    name: topic.name,
    topicId,
    errorCode: 0,
    errorMessage: null,
    numPartitions: result.partitions,
    replicationFactor: result.replicationFactor,
    configs: configsOf(services, topic.configs),
  };
}

export const createTopics = serve(createTopicsApi, async (services, request) => {
  const times = new Map<string, number>();
  for (const { name } of request.topics) times.set(name, (times.get(name) ?? 0) + 1);
  const twice: Fault = { code: 'INVALID_REQUEST', reason: 'Duplicate topic name.' };
  const checked = request.topics.map((topic) =>
    (times.get(topic.name) ?? 0) > 1 ? twice : newTopic(topic, services.config),
  );
  const topics = checked.filter((one): one is NewTopic => !isFault(one));
  const { validateOnly, timeoutMs } = request;
  const results = await adminResults(
    services,
    { kind: 'createTopics', topics, validateOnly },
    topics.length,
    timeoutMs,
  );
  let next = 0;
  return {
    topics: request.topics.map((topic, index) => {
      const one = checked[index];
      if (!one || isFault(one)) return refused(topic.name, one ?? twice);
      const result = results[next++] ?? { fault: { code: 'REQUEST_TIMED_OUT' } };
      return answer(services, one, result, validateOnly);
    }),
  };
});
