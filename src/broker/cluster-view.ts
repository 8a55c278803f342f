/** The cluster image as clients may see it: endpoints of their listener, topics by name or id, hints to the leader. */

import { type BrokerId, noBroker, topicId } from '../model/brands.ts';
import type { ClusterImage, TopicImage } from '../model/cluster-image.ts';
import type { Fault } from '../model/fault.ts';
import type { BrokerRecord, Endpoint } from '../model/metadata-schema.ts';
import { errorCodes } from '../wire/error-codes.ts';
import { errorCodeOf } from './kafka-errors.ts';

/** As the wire says it when no id is given. */
export const zeroUuid = 'AAAAAAAAAAAAAAAAAAAAAA';

export interface ClientNode {
  readonly nodeId: BrokerId;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

const endpointFor = (broker: BrokerRecord, listener: string): Endpoint | undefined =>
  broker.listeners.find((endpoint) => endpoint.name === listener);

/** The broker on the listener that the client uses, or null where it has none, is fenced or unknown. */
export function clientNode(image: ClusterImage, id: BrokerId, listener: string): ClientNode | null {
  const broker = image.brokers.get(id)?.record;
  if (!broker || broker.state === 'fenced') return null;
  const endpoint = endpointFor(broker, listener);
  return endpoint ? { nodeId: id, host: endpoint.host, port: endpoint.port, rack: broker.rack } : null;
}

/** Every broker that is not fenced, by id. */
export function clientNodes(image: ClusterImage, listener: string): ClientNode[] {
  const nodes: ClientNode[] = [];
  for (const id of image.brokers.keys()) {
    const node = clientNode(image, id, listener);
    if (node) nodes.push(node);
  }
  return nodes.sort((a, b) => a.nodeId - b.nodeId);
}

/** The controller if the client can reach it, else any broker: each takes an admin request. */
export function controllerFor(image: ClusterImage, nodes: readonly ClientNode[]): number {
  const controller = image.controllerId();
  return nodes.some((node) => node.nodeId === controller) ? controller : (nodes[0]?.nodeId ?? noBroker);
}

export function topicOf(
  image: ClusterImage,
  asked: { topicId: string; name: string },
  byId: boolean,
): TopicImage | Fault {
  if (!byId) return image.topicByName(asked.name) ?? { code: 'UNKNOWN_TOPIC_OR_PARTITION' };
  const known = asked.topicId === zeroUuid ? undefined : image.topics.get(topicId(asked.topicId));
  return known ?? { code: 'UNKNOWN_TOPIC_ID' };
}

export const isFault = (value: TopicImage | Fault): value is Fault => 'code' in value;

/** KIP-951: who leads, for NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH; null where nobody alive is known. */
export function leaderHint(
  image: ClusterImage,
  fault: Fault,
  listener: string,
): { readonly leaderId: number; readonly leaderEpoch: number; readonly node: ClientNode } | null {
  if (fault.code !== 'NOT_LEADER' && fault.code !== 'FENCED_LEADER_EPOCH') return null;
  const node = fault.leaderId === noBroker ? null : clientNode(image, fault.leaderId, listener);
  return node && { leaderId: fault.leaderId, leaderEpoch: fault.leaderEpoch, node };
}

/** What one partition of Metadata or DescribeTopicPartitions says, the same in both. */
export function describePartition(
  image: ClusterImage,
  topic: TopicImage,
  index: number,
  listener: string,
  version: number,
) {
  const record = topic.partitions[index]?.record;
  if (!record) return null;
  const isReachable = record.leader !== noBroker && clientNode(image, record.leader, listener) !== null;
  const isOnOtherListener = record.leader !== noBroker && image.isUnfenced(record.leader);
  const errorCode = isReachable
    ? 0
    : isOnOtherListener && version >= 6
      ? listenerNotFound
      : errorCodeOf({ code: 'LEADER_NOT_AVAILABLE' });
  return {
    errorCode,
    partitionIndex: index,
    leaderId: isReachable ? record.leader : noBroker,
    leaderEpoch: record.leaderEpoch,
    replicaNodes: record.replicas,
    isrNodes: record.isr,
    eligibleLeaderReplicas: record.elr,
    lastKnownElr: record.lastKnownElr,
    offlineReplicas: record.replicas.filter((id) => !image.isUnfenced(id)),
  };
}

const listenerNotFound = errorCodes.LISTENER_NOT_FOUND;
