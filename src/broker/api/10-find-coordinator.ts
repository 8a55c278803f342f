/**
 * FindCoordinator 0–6: which broker coordinates a group. KIP-699 (4: several keys at once). The topic of the groups is
 * made on first use. Not served: transactional ids (type 1), which are answered COORDINATOR_NOT_AVAILABLE, and share
 * groups (type 2).
 */
import { noBroker } from '../../model/brands.ts';
import type { Fault } from '../../model/fault.ts';
import { findCoordinatorApi } from '../../wire/messages/10-find-coordinator.ts';
import { type ClientNode, clientNode } from '../cluster-view.ts';
import { groupTopic, internalTopic } from '../coordinators/internal-topics.ts';
import { errorCodeOf, errorMessageOf } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';

const groupType = 0;
const transactionType = 1;
const createTimeoutMs = 5000;
/** How long an answer waits for the topic to be made, or for an election that is under way. */
const holdMs = 1000;

type Found = ClientNode | { readonly fault: Fault };
const notAvailable: Found = { fault: { code: 'COORDINATOR_NOT_AVAILABLE' } };

/** Who coordinates the groups of one partition of their topic; null while nobody is known to. */
function coordinatorNow(services: BrokerServices, partition: number, listener: string): ClientNode | null {
  const leader = services.groups.leaderOf(partition);
  // The broker whose stream has just broken is probably dead: its successor is about to be elected.
  if (leader === noBroker || (leader !== services.localId && services.replicas.isStreamBroken(leader))) return null;
  return clientNode(services.image(), leader, listener);
}

/** One wait for all of them, however many they are: what is looked at, again and again, are the partitions of the topic. */
async function findGroups(services: BrokerServices, groupIds: readonly string[], listener: string): Promise<Found[]> {
  const topic = internalTopic(groupTopic, services.config);
  if (topic && !services.image().topicByName(groupTopic))
    // Whether it worked is seen in the image; who finds it made already is as well off.
    void services.admin({ kind: 'createTopics', topics: [topic], validateOnly: false }, createTimeoutMs);
  let partitions: (number | null)[] = [];
  const found = new Map<number, ClientNode>();
  const areFound = (): boolean => {
    if (!services.image().topicByName(groupTopic)) return false;
    if (partitions.length === 0) partitions = groupIds.map((groupId) => services.groups.partitionOf(groupId));
    found.clear();
    const distinct = new Set(partitions);
    for (const partition of distinct) {
      const node = partition === null ? null : coordinatorNow(services, partition, listener);
      if (partition !== null && node !== null) found.set(partition, node);
    }
    return found.size === distinct.size;
  };
  await services.metadata.until(areFound, holdMs);
  return groupIds.map((_, index) => found.get(partitions[index] ?? -1) ?? notAvailable);
}

async function find(
  services: BrokerServices,
  keyType: number,
  keys: readonly string[],
  { listener }: RequestContext,
): Promise<Found[]> {
  if (keyType === groupType) return findGroups(services, keys, listener);
  if (keyType === transactionType) return keys.map(() => notAvailable);
  const fault: Fault = { code: 'INVALID_REQUEST', reason: `coordinators of type ${keyType} are not served` };
  return keys.map(() => ({ fault }));
}

function answerOf(found: Found) {
  if (!('fault' in found))
    return { errorCode: 0, errorMessage: '', nodeId: found.nodeId, host: found.host, port: found.port };
  const { fault } = found;
  return { errorCode: errorCodeOf(fault), errorMessage: errorMessageOf(fault) ?? '', nodeId: -1, host: '', port: -1 };
}

export const findCoordinator = serve(findCoordinatorApi, async (services, request, context) => {
  const isBatch = context.version >= 4;
  const keys = isBatch ? request.coordinatorKeys : [request.key];
  const answers = (await find(services, request.keyType, keys, context)).map(answerOf);
  if (!isBatch) return answers[0] ?? answerOf(notAvailable);
  return { coordinators: answers.map((answer, index) => ({ key: keys[index] ?? '', ...answer })) };
});
