/** `cordwood topic …`: create, list, describe, delete and grow topics. */
import * as kafka from '@platformatic/kafka';
import { type AdminOptions, reportOutcomes, requestTimeoutMs, withClient } from './admin-command.ts';
import type { ClusterInfo, KafkaClient, TopicInfo } from './client/kafka-client.ts';
import { CliError, exitCode } from './exit-code.ts';
import { printJson, printLine, printTable } from './output.ts';

export interface CreateOptions extends AdminOptions {
  /** -1: as the broker's num.partitions and default.replication.factor say. */
  readonly partitions: number;
  readonly replicas: number;
  readonly config: readonly (readonly [name: string, value: string])[];
  readonly ifNotExists: boolean;
}

const topicAlreadyExists = 36;
const topicResource = 2;
/** DescribeConfigs' source of a value that somebody set on the topic. */
const setOnTopic = 1;

export const createTopics = (names: readonly string[], options: CreateOptions): Promise<void> =>
  withClient(options, async (client) => {
    const topics = names.map((name) => ({
      name,
      numPartitions: options.partitions,
      replicationFactor: options.replicas,
      assignments: [],
      configs: options.config.map(([key, value]) => ({ name: key, value })),
    }));
    const answer = await client.requestAny(kafka.createTopicsV7.api, topics, requestTimeoutMs, false);
    const outcomes = answer.topics.map((topic) => {
      const isFine = options.ifNotExists && topic.errorCode === topicAlreadyExists;
      return { name: topic.name, errorCode: isFine ? 0 : topic.errorCode, message: topic.errorMessage ?? null };
    });
    reportOutcomes('topic', outcomes, (topic) => `created ${topic}`, options.json);
  });

export const deleteTopics = (names: readonly string[], options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const answer = await client.requestAny(
      kafka.deleteTopicsV6.api,
      names.map((name) => ({ name })),
      requestTimeoutMs,
    );
    const outcomes = answer.responses.map(({ name, errorCode, errorMessage }) => ({
      name: name ?? '',
      errorCode,
      message: errorMessage ?? null,
    }));
    reportOutcomes('topic', outcomes, (topic) => `deleted ${topic}`, options.json);
  });

export const addPartitions = (name: string, added: number, options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const topic = await client.topic(name);
    const count = topic.partitions.length + added;
    // null assignments: the cluster places the new partitions.
    const request = [{ name, count, assignments: null as unknown as [] }];
    const answer = await client.requestAny(kafka.createPartitionsV3.api, request, requestTimeoutMs, false);
    const outcomes = answer.results.map((result) => ({
      name: result.name,
      errorCode: result.errorCode,
      message: result.errorMessage ?? null,
    }));
    reportOutcomes('topic', outcomes, () => `${name} has ${count} partitions`, options.json);
  });

export const listTopics = (isAll: boolean, options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const { topics } = await client.metadata(null);
    const rows = topics
      .filter(({ isInternal }) => isAll || !isInternal)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, partitions }) => ({
        topic: name,
        partitions: partitions.length,
        replicas: partitions[0]?.replicaNodes.length ?? 0,
      }));
    if (options.json) printJson(rows);
    else
      printTable(
        ['TOPIC', 'PARTITIONS', 'REPLICAS'],
        rows.map(({ topic, partitions, replicas }) => [topic, partitions, replicas]),
      );
  });

interface PartitionRow {
  readonly partition: number;
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  /** Null where the leader did not say. */
  readonly logStartOffset: number | null;
  readonly highWatermark: number | null;
}

export const describeTopics = (names: readonly string[], options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const described = [];
    for (const name of names) {
      const topic = await client.topic(name);
      const offsets = await offsetsOf(client, topic);
      described.push({
        topic: name,
        id: topic.topicId,
        configs: await setConfigsOf(client, name),
        partitions: topic.partitions.map((partition) => ({
          partition: partition.partitionIndex,
          leader: partition.leaderId,
          leaderEpoch: partition.leaderEpoch,
          replicas: partition.replicaNodes,
          isr: partition.isrNodes,
          logStartOffset: offsets.get(partition.partitionIndex)?.[0] ?? null,
          highWatermark: offsets.get(partition.partitionIndex)?.[1] ?? null,
        })),
      });
    }
    if (options.json) return printJson(described);
    described.forEach((topic, at) => {
      if (at > 0) printLine('');
      const configs = Object.entries(topic.configs).map(([key, value]) => `${key}=${value}`);
      printLine(`${topic.topic}  id ${topic.id}${configs.length > 0 ? `  ${configs.join(' ')}` : ''}`);
      printPartitions(topic.partitions);
    });
  });

function printPartitions(rows: readonly PartitionRow[]): void {
  printTable(
    ['PARTITION', 'LEADER', 'EPOCH', 'REPLICAS', 'ISR', 'START', 'HIGH WATERMARK'],
    rows.map((row) => [
      row.partition,
      row.leader < 0 ? 'none' : row.leader,
      row.leaderEpoch,
      row.replicas.join(','),
      row.isr.join(','),
      row.logStartOffset ?? '?',
      row.highWatermark ?? '?',
    ]),
  );
}

/** Partition → log start offset and high watermark, from the leaders that answer. */
async function offsetsOf(client: KafkaClient, topic: TopicInfo): Promise<Map<number, [number, number]>> {
  const found = new Map<number, [number, number]>();
  const perLeader = new Map<number, number[]>();
  for (const { leaderId, partitionIndex } of topic.partitions)
    if (leaderId >= 0) perLeader.set(leaderId, [...(perLeader.get(leaderId) ?? []), partitionIndex]);
  const ask = async (
    nodeId: number,
    partitions: readonly number[],
    timestamp: bigint,
  ): Promise<Map<number, number>> => {
    const list = partitions.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp }));
    const topics = [{ name: topic.name, partitions: list }];
    const answer = await client.request(nodeId, kafka.listOffsetsV9.api, -1, 0, topics);
    const good = (answer.topics[0]?.partitions ?? []).filter(({ errorCode }) => errorCode === 0);
    return new Map(good.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]));
  };
  const asked = [...perLeader].map(async ([nodeId, partitions]) => {
    const [starts, ends] = await Promise.all([ask(nodeId, partitions, -2n), ask(nodeId, partitions, -1n)]);
    for (const partition of partitions) {
      const [start, end] = [starts.get(partition), ends.get(partition)];
      if (start !== undefined && end !== undefined) found.set(partition, [start, end]);
    }
  });
  await Promise.allSettled(asked);
  return found;
}

async function setConfigsOf(client: KafkaClient, name: string): Promise<Record<string, string | null>> {
  const resources = [{ resourceType: topicResource, resourceName: name, configurationKeys: null }] as const;
  const answer = await client.requestAny(kafka.describeConfigsV4.api, [...resources], false, false);
  const configs = answer.results[0]?.configs.filter(({ configSource }) => configSource === setOnTopic) ?? [];
  return Object.fromEntries(configs.map((config) => [config.name, config.value ?? null]));
}

/** `cordwood cluster status`. */
export const showClusterStatus = (options: AdminOptions): Promise<void> =>
  withClient(options, async (client) => {
    const cluster = await client.metadata(null);
    const status = statusOf(cluster);
    if (options.json) printJson(status);
    else {
      printLine(`cluster ${status.clusterId}, controller ${status.controllerId}`);
      printTable(
        ['BROKER', 'ADDRESS', 'RACK', 'LEADS', 'IN SYNC', 'REPLICAS'],
        status.brokers.map((broker) => [
          broker.id,
          broker.address,
          broker.rack ?? '',
          broker.leads,
          broker.inSync,
          broker.replicas,
        ]),
      );
      const { partitions, underReplicated, leaderless } = status;
      printLine(
        `${status.topics} topics, ${partitions} partitions, ${underReplicated} under-replicated, ${leaderless} without a leader`,
      );
    }
    if (status.leaderless > 0) throw new CliError('some partitions have no leader', exitCode.failed);
  });

function statusOf({ clusterId, controllerId, brokers, topics }: ClusterInfo) {
  const partitions = topics.flatMap((topic) => topic.partitions);
  return {
    clusterId,
    controllerId,
    brokers: brokers.map(({ nodeId, host, port, rack }) => ({
      id: nodeId,
      address: `${host}:${port}`,
      rack: rack ?? null,
      leads: partitions.filter(({ leaderId }) => leaderId === nodeId).length,
      inSync: partitions.filter(({ isrNodes }) => isrNodes.includes(nodeId)).length,
      replicas: partitions.filter(({ replicaNodes }) => replicaNodes.includes(nodeId)).length,
    })),
    topics: topics.length,
    partitions: partitions.length,
    underReplicated: partitions.filter(({ isrNodes, replicaNodes }) => isrNodes.length < replicaNodes.length).length,
    leaderless: partitions.filter(({ leaderId }) => leaderId < 0).length,
  };
}
