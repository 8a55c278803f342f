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

function coordinatorNow(services: BrokerServices, groupId: string, listener: string): ClientNode | null {
  const image = services.image();
  const partition = services.groups.partitionOf(groupId);
  if (partition === null) return null;
  const leader = image.topicByName(groupTopic)?.partitions[partition]?.record.leader ?? noBroker;
  // The broker whose stream has just broken is probably dead: its successor is about to be elected.
  if (leader === noBroker || (leader !== services.localId && services.replicas.isStreamBroken(leader))) return null;
  return clientNode(image, leader, listener);
}

async function findGroup(services: BrokerServices, groupId: string, listener: string): Promise<Found> {
  const found = coordinatorNow(services, groupId, listener);
  if (found) return found;
  const topic = internalTopic(groupTopic, services.config);
  if (topic && !services.image().topicByName(groupTopic))
    // Whether it worked is seen in the image; who finds it made already is as well off.
    void services.admin({ kind: 'createTopics', topics: [topic], validateOnly: false }, createTimeoutMs);
  await services.metadata.until(() => coordinatorNow(services, groupId, listener) !== null, holdMs);
  return coordinatorNow(services, groupId, listener) ?? { fault: { code: 'COORDINATOR_NOT_AVAILABLE' } };
}

function find(
  services: BrokerServices,
  keyType: number,
  key: string,
  { listener }: RequestContext,
): Promise<Found> | Found {
  if (keyType === groupType) return findGroup(services, key, listener);
  if (keyType === transactionType) return { fault: { code: 'COORDINATOR_NOT_AVAILABLE' } };
  return { fault: { code: 'INVALID_REQUEST', reason: `coordinators of type ${keyType} are not served` } };
}

async function answerOf(found: Promise<Found> | Found) {
  const node = await found;
  if (!('fault' in node))
    return { errorCode: 0, errorMessage: '', nodeId: node.nodeId, host: node.host, port: node.port };
  const { fault } = node;
  return { errorCode: errorCodeOf(fault), errorMessage: errorMessageOf(fault) ?? '', nodeId: -1, host: '', port: -1 };
}

export const findCoordinator = serve(findCoordinatorApi, async (services, request, context) => {
  const { keyType } = request;
  if (context.version < 4) return answerOf(find(services, keyType, request.key, context));
  return {
    coordinators: await Promise.all(
      request.coordinatorKeys.map(async (key) => ({ key, ...(await answerOf(find(services, keyType, key, context))) })),
    ),
  };
});
