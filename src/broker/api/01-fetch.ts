/**
 * Fetch 4–18 for consumers: whole batches below the high watermark, waiting for MinBytes up to MaxWaitMs.
 * KIP-227 (7: sessions), KIP-320 (12: diverging epochs), KIP-516 (13: topic ids), KIP-951 (16: node endpoints).
 * Brokers copy over gRPC; a request that poses as a replica is refused (CVE-2018-1288).
 * With no transactions the last stable offset is the high watermark.
 */
import { leaderEpoch, type Offset, offset } from '../../model/brands.ts';
import { BrokerError, type Fault } from '../../model/fault.ts';
import type { Replica } from '../../replication/replica.ts';
import type { Item } from '../../wire/field.ts';
import { type FetchRequest, type FetchResponseInput, fetchApi } from '../../wire/messages/01-fetch.ts';
import { type ClientNode, isFault, leaderHint, topicOf } from '../cluster-view.ts';
import type { FetchContext, FetchPartition } from '../fetch-sessions.ts';
import { errorCodeOf, faultOf, fetchErrorCode, unknownServerError } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';
import { noReplicaFault } from './00-produce.ts';

type PartitionAnswer = Item<Item<FetchResponseInput['responses']>['partitions']>;

/** What one partition gave in one round. */
interface Fetched {
  readonly asked: FetchPartition;
  readonly replica: Replica | null;
  readonly byteLength: number;
  /** An error, a diverging epoch or a hint: answer at once. */
  readonly isUrgent: boolean;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly answer: PartitionAnswer;
}

interface Limits {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly isReadCommitted: boolean;
}

const usesTopicIds = (version: number): boolean => version >= 13;

function askedPartitions(request: FetchRequest): FetchPartition[] {
  const asked: FetchPartition[] = [];
  for (const { topic, topicId, partitions } of request.topics)
    for (const { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, partitionMaxBytes } of partitions)
      asked.push({
        topicId,
        topic,
        partition,
        currentLeaderEpoch,
        fetchOffset,
        lastFetchedEpoch,
        maxBytes: partitionMaxBytes,
      });
  return asked;
}

const forgottenPartitions = (request: FetchRequest) =>
  request.forgottenTopicsData.flatMap(({ topic, topicId, partitions }) =>
    partitions.map((partition) => ({ topic, topicId, partition })),
  );

/** A refusal as one partition's answer, with who leads instead where it is known. */
function refused(
  services: BrokerServices,
  asked: FetchPartition,
  replica: Replica | null,
  error: unknown,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Fetched {
  const fault = faultOf(error, services.logger);
  const errorCode = fault === null ? unknownServerError : fetchErrorCode(errorCodeOf(fault), context.version);
  const hint = fault && context.version >= 16 ? leaderHint(services.image(), fault, context.listener) : null;
  if (hint) hints.set(hint.node.nodeId, hint.node);
  return {
    asked,
    replica,
    byteLength: 0,
    isUrgent: true,
    highWatermark: -1,
    logStartOffset: -1,
    answer: {
      partitionIndex: asked.partition,
      errorCode,
      highWatermark: -1n,
      lastStableOffset: -1n,
      logStartOffset: -1n,
      abortedTransactions: null,
      records: noRecords,
      ...(hint && { currentLeader: { leaderId: hint.leaderId, leaderEpoch: hint.leaderEpoch } }),
    },
  };
}

const noRecords = Buffer.alloc(0);

function replicaFor(services: BrokerServices, asked: FetchPartition, version: number): Replica | Promise<Replica> {
  const topic = topicOf(services.image(), { topicId: asked.topicId, name: asked.topic }, usesTopicIds(version));
  if (isFault(topic)) throw new BrokerError(topic);
  const present = (replica: Replica | undefined): Replica => {
    if (!replica) throw new BrokerError(noReplicaFault(services, topic, asked.partition));
    return replica;
  };
  const found = services.replicas.find(topic.id, asked.partition);
  return found instanceof Promise ? found.then(present) : present(found);
}

/** KIP-320: the log has no such (epoch, offset), so what the client read up to there is not what is here. */
function divergence(
  replica: Replica,
  asked: FetchPartition,
  from: Offset,
): { epoch: number; endOffset: number } | null {
  if (asked.lastFetchedEpoch < 0) return null;
  const { log } = replica;
  const end = log.epochs.endFor(leaderEpoch(asked.lastFetchedEpoch), log.logEndOffset, log.logStartOffset);
  return end.epoch < asked.lastFetchedEpoch || end.endOffset < from ? end : null;
}

async function fetchOne(
  services: BrokerServices,
  asked: FetchPartition,
  limits: Limits,
  room: number,
  isFirst: boolean,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Promise<Fetched> {
  let replica: Replica | null = null;
  try {
    const found = replicaFor(services, asked, context.version);
    replica = found instanceof Promise ? await found : found;
    replica.checkLeaderEpoch(asked.currentLeaderEpoch);
    const leading = replica.leading();
    if (leading instanceof Promise) {
      await leading;
      replica.checkLeaderEpoch(asked.currentLeaderEpoch);
    }
    const from = asked.fetchOffset < 0n ? badOffset(replica, asked.fetchOffset) : offset(asked.fetchOffset);
    const diverging = divergence(replica, asked, from);
    const { highWatermark, logStartOffset } = replica;
    const reading = diverging ? null : replica.readForConsumer(from, Math.min(asked.maxBytes, room), isFirst);
    const read = reading instanceof Promise ? await reading : reading;
    return {
      asked,
      replica,
      byteLength: read?.byteLength ?? 0,
      isUrgent: diverging !== null,
      highWatermark,
      logStartOffset,
      answer: {
        partitionIndex: asked.partition,
        errorCode: 0,
        highWatermark,
        lastStableOffset: highWatermark,
        logStartOffset,
        abortedTransactions: limits.isReadCommitted ? [] : null,
        records: read?.chunks ?? noRecords,
        ...(diverging && { divergingEpoch: diverging }),
      },
    };
  } catch (error) {
    return refused(services, asked, replica, error, context, hints);
  }
}

function badOffset(replica: Replica, asked: bigint): never {
  const { logStartOffset, logEndOffset } = replica;
  throw new BrokerError({ code: 'OFFSET_OUT_OF_RANGE', asked: Number(asked) as Offset, logStartOffset, logEndOffset });
}

/** One round over all partitions. The first batch found may exceed the limits, so that it cannot stall a consumer. */
async function fetchAll(
  services: BrokerServices,
  asked: readonly FetchPartition[],
  limits: Limits,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Promise<Fetched[]> {
  const all: Fetched[] = [];
  let bytes = 0;
  for (const partition of asked) {
    const fetched = await fetchOne(
      services,
      partition,
      limits,
      Math.max(0, limits.maxBytes - bytes),
      bytes === 0,
      context,
      hints,
    );
    bytes += fetched.byteLength;
    all.push(fetched);
  }
  return all;
}

const isEnough = (all: readonly Fetched[], limits: Limits): boolean => {
  let bytes = 0;
  for (const one of all) {
    if (one.isUrgent) return true;
    bytes += one.byteLength;
  }
  return bytes >= limits.minBytes;
};

/** Fulfilled when one of the partitions has news, at the deadline, or when the client is gone. */
function news(
  services: BrokerServices,
  all: readonly Fetched[],
  waitMs: number,
  context: RequestContext,
): Promise<void> {
  return new Promise((resolve) => {
    const undo: (() => void)[] = [];
    const finish = (): void => {
      for (const stop of undo) stop();
      undo.length = 0;
      resolve();
    };
    const timer = services.timers.setTimer(waitMs, finish);
    undo.push(() => timer.cancel(), context.onDisconnect(finish));
    for (const { replica } of all) if (replica) undo.push(replica.onProgress(finish));
  });
}

async function fetchUntilEnough(
  services: BrokerServices,
  plan: FetchContext,
  limits: Limits,
  maxWaitMs: number,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Promise<Fetched[]> {
  const deadlineMs = services.clock.monotonicMs() + maxWaitMs;
  let isGone = false;
  const stopWatching = context.onDisconnect(() => {
    isGone = true;
  });
  let all = await fetchAll(services, plan.partitions, limits, context, hints);
  while (!isGone && plan.partitions.length > 0 && !isEnough(all, limits)) {
    const waitMs = deadlineMs - services.clock.monotonicMs();
    if (waitMs <= 0) break;
    await news(services, all, waitMs, context);
    all = await fetchAll(services, plan.partitions, limits, context, hints);
  }
  stopWatching();
  return all;
}

function answerOf(
  plan: FetchContext,
  all: readonly Fetched[],
  version: number,
  hints: Map<number, ClientNode>,
): FetchResponseInput {
  const topics = new Map<string, { topic: string; topicId: string; partitions: PartitionAnswer[] }>();
  for (const { asked, answer, byteLength, highWatermark, logStartOffset, isUrgent } of all) {
    const errorCode = answer.errorCode ?? 0;
    if (!plan.mustAnswer(asked, { errorCode, byteLength, highWatermark, logStartOffset, hasHint: isUrgent })) continue;
    const key = usesTopicIds(version) ? asked.topicId : asked.topic;
    const topic = topics.get(key) ?? { topic: asked.topic, topicId: asked.topicId, partitions: [] };
    topics.set(key, topic);
    topic.partitions.push(answer);
  }
  return {
    errorCode: 0,
    sessionId: plan.sessionId,
    responses: [...topics.values()],
    nodeEndpoints: [...hints.values()],
  };
}

export const fetch = serve(fetchApi, async (services, request, context) => {
  if (request.replicaId >= 0 || request.replicaState.replicaId >= 0)
    return { errorCode: errorCodeOf({ code: 'INVALID_REQUEST', reason: 'replicas copy over gRPC' }), responses: [] };
  let plan: FetchContext;
  try {
    plan = services.fetchSessions.begin(
      {
        sessionId: request.sessionId,
        sessionEpoch: context.version >= 7 ? request.sessionEpoch : -1,
        usesTopicIds: usesTopicIds(context.version),
        partitions: askedPartitions(request),
        forgotten: forgottenPartitions(request),
      },
      services.clock.monotonicMs(),
    );
  } catch (error) {
    const fault: Fault | null = faultOf(error, services.logger);
    return { errorCode: fault ? errorCodeOf(fault) : unknownServerError, responses: [] };
  }
  const limits: Limits = {
    minBytes: request.minBytes,
    maxBytes: Math.min(Math.max(request.maxBytes, 0), services.config.values['fetch.max.bytes']),
    isReadCommitted: request.isolationLevel === 1,
  };
  const hints = new Map<number, ClientNode>();
  const all = await fetchUntilEnough(services, plan, limits, Math.max(0, request.maxWaitMs), context, hints);
  return answerOf(plan, all, context.version, hints);
});
