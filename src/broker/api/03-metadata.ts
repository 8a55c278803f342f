/**
 * Metadata 0–13: brokers, topics, who leads what. KIP-516 (10: topic ids in answers, 12: in requests).
 *
 * While an election is under way the answer is held for a bounded time rather than naming a leader that is gone:
 * clients that are told a dead leader ask again only after seconds (client-expectations, failing over 2). A client hears
 * of a death as early as this broker does and asks within a millisecond, so whoever is named has answered since.
 */

import type { NewTopic } from '../../controller/control-messages.ts';
import { type BrokerId, topicId } from '../../model/brands.ts';
import type { ClusterImage, TopicImage } from '../../model/cluster-image.ts';
import type { Fault } from '../../model/fault.ts';
import { topicNameProblem } from '../../model/topic-partition.ts';
import type { Item } from '../../wire/field.ts';
import { type MetadataRequest, type MetadataResponseInput, metadataApi } from '../../wire/messages/03-metadata.ts';
import { clientNodes, controllerFor, describePartition, zeroUuid } from '../cluster-view.ts';
import { internalTopic } from '../coordinators/internal-topics.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';

type TopicAnswer = Item<MetadataResponseInput['topics']>;

/** How long an answer waits for an election that is under way. */
const electionHoldMs = 500;
/** How long it waits for leaders to prove that they live; a busy one is named without. */
const proofLimitMs = 20;
const autoCreateTimeoutMs = 5000;
const notRequested = -2147483648;

interface Asked {
  readonly name: string | null;
  readonly topicId: string;
}

/** null asks for all topics; in version 0 an empty list does, too. */
function askedTopics(request: MetadataRequest, version: number): readonly Asked[] | null {
  if (request.topics === null) return null;
  return version === 0 && request.topics.length === 0 ? null : request.topics;
}

const find = (image: ClusterImage, asked: Asked): TopicImage | undefined =>
  asked.topicId !== zeroUuid ? image.topics.get(topicId(asked.topicId)) : image.topicByName(asked.name ?? '');

/** Somebody who can be elected lives, but nobody leads; or the leader's stream to this broker has just broken. */
function isBeingElected(services: BrokerServices, topic: TopicImage): boolean {
  const image = services.image();
  return topic.partitions.some((partition) => {
    if (!partition) return false;
    const { leader, isr, elr } = partition.record;
    if (leader < 0) return [...isr, ...elr].some((id) => image.isActive(id));
    return leader !== services.localId && services.replicas.isStreamBroken(leader);
  });
}

function topicsOf(image: ClusterImage, asked: readonly Asked[] | null): TopicImage[] {
  if (asked === null) return [...image.topics.values()];
  return asked.flatMap((one) => find(image, one) ?? []);
}

/** Each leader that this broker follows has answered since, or its stream has broken, or the time is up. */
function awaitProofs(services: BrokerServices, asked: readonly Asked[] | null): Promise<void> {
  const leaders = new Set<BrokerId>();
  for (const { partitions } of topicsOf(services.image(), asked))
    for (const partition of partitions) if (partition) leaders.add(partition.record.leader);
  return new Promise((resolve) => {
    const timer = services.timers.setTimer(proofLimitMs, resolve);
    void Promise.all([...leaders].map((leader) => services.replicas.heardFrom(leader))).then(() => {
      timer.cancel();
      resolve();
    });
  });
}

async function awaitElections(services: BrokerServices, asked: readonly Asked[] | null): Promise<void> {
  await awaitProofs(services, asked);
  const areLed = (): boolean => !topicsOf(services.image(), asked).some((topic) => isBeingElected(services, topic));
  await services.metadata.until(areLed, electionHoldMs);
}

/** Creates what is missing; whether that worked the client learns when it asks again, as in Kafka. */
function createMissing(services: BrokerServices, names: readonly string[]): void {
  const topics = names.map(
    (name): NewTopic =>
      internalTopic(name, services.config) ?? {
        name,
        partitions: -1,
        replicationFactor: -1,
        assignment: null,
        configs: {},
        isInternal: false,
      },
  );
  void services.admin({ kind: 'createTopics', topics, validateOnly: false }, autoCreateTimeoutMs);
}

function missing(asked: Asked): TopicAnswer {
  const isById = asked.topicId !== zeroUuid;
  const fault: Fault = isById
    ? { code: 'UNKNOWN_TOPIC_ID' }
    : topicNameProblem(asked.name ?? '') !== null
      ? { code: 'INVALID_TOPIC', reason: '' }
      : { code: 'UNKNOWN_TOPIC_OR_PARTITION' };
  return { errorCode: errorCodeOf(fault), name: asked.name, topicId: asked.topicId, isInternal: false, partitions: [] };
}

function describe(image: ClusterImage, topic: TopicImage, { listener, version }: RequestContext): TopicAnswer {
  const partitions = [];
  for (let index = 0; index < topic.record.partitions; index++) {
    const partition = describePartition(image, topic, index, listener, version);
    if (partition) partitions.push(partition);
  }
  return { errorCode: 0, name: topic.record.name, topicId: topic.id, isInternal: topic.record.isInternal, partitions };
}

export const metadata = serve(metadataApi, async (services, request, context) => {
  const asked = askedTopics(request, context.version);
  const usesIds = asked?.some((one) => one.topicId !== zeroUuid || one.name === null) ?? false;
  const isRefused = usesIds && context.version < 12;
  if (!isRefused) await awaitElections(services, asked);
  const image = services.image();
  const brokers = clientNodes(image, context.listener);
  const answers: TopicAnswer[] = [];
  const unknown: string[] = [];
  for (const one of asked ?? []) {
    const topic = isRefused ? undefined : find(image, one);
    answers.push(topic ? describe(image, topic, context) : missing(one));
    if (!topic && one.name !== null && one.topicId === zeroUuid && topicNameProblem(one.name) === null)
      unknown.push(one.name);
  }
  if (asked === null) for (const topic of image.topics.values()) answers.push(describe(image, topic, context));
  const mayCreate =
    services.config.values['auto.create.topics.enable'] && (request.allowAutoTopicCreation || context.version < 4);
  if (mayCreate && unknown.length > 0 && !isRefused) createMissing(services, [...new Set(unknown)]);
  const invalid = errorCodeOf({ code: 'INVALID_REQUEST', reason: '' });
  return {
    brokers,
    clusterId: services.clusterId,
    controllerId: controllerFor(image, brokers),
    topics: isRefused ? answers.map((answer) => ({ ...answer, errorCode: invalid })) : answers,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : notRequested,
  };
});

/** Bits of the operations on a cluster that everybody has while there is no authorizer (Kafka: `AclOperation` codes). */
export const allClusterOperations = [5, 7, 8, 9, 10, 11, 12].reduce((bits, code) => bits | (1 << code), 0);
