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
import type { AnswerLease } from '../answer-memory.ts';
import { type ClientNode, isFault, leaderHint, topicOf } from '../cluster-view.ts';
import type { FetchContext, FetchPartition } from '../fetch-sessions.ts';
import { errorCodeOf, faultOf, fetchErrorCode, unknownServerError } from '../kafka-errors.ts';
import { type BrokerServices, type RequestContext, serve } from '../services.ts';
import { noReplicaFault } from './00-produce.ts';

type PartitionAnswer = Item<Item<FetchResponseInput['responses']>['partitions']>;

/** What one partition gave in one round. */
interface Fetched {
  readonly asked: FetchPartition;
  /** null: there is nothing to wait for. */
  readonly replica: Replica | null;
  /** Of the replica, before it was read. */
  readonly progress: number;
  readonly byteLength: number;
  /** Counted for MinBytes: with more in the log than there was room for, all that was asked for. */
  readonly countedBytes: number;
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
  /** What the answer's bytes are read into, and how many more it may hold. */
  readonly memory: AnswerLease;
}

/** What all partitions gave in one round. */
interface Round {
  readonly all: readonly Fetched[];
  /** Answer now: there is as much as was asked for, or an error. */
  readonly isEnough: boolean;
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
    replica: null,
    progress: 0,
    byteLength: 0,
    countedBytes: 0,
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

/** The replica once it leads; a promise where its log is being opened, or where it is not known yet who leads. */
function leaderFor(services: BrokerServices, asked: FetchPartition, version: number): Replica | Promise<Replica> {
  const found = replicaFor(services, asked, version);
  const whenLeading = (replica: Replica): Replica | Promise<Replica> => {
    replica.checkLeaderEpoch(asked.currentLeaderEpoch);
    const leading = replica.leading();
    return leading instanceof Promise ? leading.then(() => replica) : replica;
  };
  return found instanceof Promise ? found.then(whenLeading) : whenLeading(found);
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
  leader: Replica | Promise<Replica>,
  limits: Limits,
  wantedBytes: number,
  isFirst: boolean,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Promise<Fetched> {
  try {
    const replica = leader instanceof Promise ? await leader : leader;
    // While others were waited for the role may have changed.
    replica.checkLeaderEpoch(asked.currentLeaderEpoch);
    replica.leadingNow();
    const from = offsetIn(replica, asked.fetchOffset);
    const diverging = divergence(replica, asked, from);
    const { highWatermark, logStartOffset, progress } = replica;
    const room = Math.min(wantedBytes, limits.memory.room);
    const reading = diverging ? null : replica.readForConsumer(from, room, isFirst, limits.memory);
    const read = reading instanceof Promise ? await reading : reading;
    const byteLength = read?.byteLength ?? 0;
    // Where even one batch that must be given is not there, waiting is all there is to do.
    const hasMore = read !== null && read.nextOffset < highWatermark && (byteLength > 0 || !isFirst);
    return {
      asked,
      replica,
      progress,
      byteLength,
      countedBytes: hasMore ? Math.max(byteLength, wantedBytes) : byteLength,
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
    return refused(services, asked, error, context, hints);
  }
}

/** Whatever 64 bits a client sends: what cannot be an offset is out of range. */
function offsetIn({ logStartOffset, logEndOffset }: Replica, asked: bigint): Offset {
  if (asked >= 0n && asked <= Number.MAX_SAFE_INTEGER) return offset(asked);
  throw new BrokerError({ code: 'OFFSET_OUT_OF_RANGE', asked: Number(asked) as Offset, logStartOffset, logEndOffset });
}

interface Asked {
  readonly partition: FetchPartition;
  readonly leader: Replica | Promise<Replica>;
}

/** Asked for all at once, so that all whose leader is not known yet are waited for together. */
async function withLeaders(
  services: BrokerServices,
  partitions: readonly FetchPartition[],
  version: number,
): Promise<Asked[]> {
  const all = partitions.map((partition): Asked => {
    try {
      return { partition, leader: leaderFor(services, partition, version) };
    } catch (error) {
      return { partition, leader: Promise.reject(error) };
    }
  });
  if (all.some(({ leader }) => leader instanceof Promise)) await Promise.allSettled(all.map(({ leader }) => leader));
  return all;
}

/** One round over all partitions. The first batch found may exceed the limits, so that it cannot stall a consumer. */
async function fetchAll(
  services: BrokerServices,
  asked: readonly FetchPartition[],
  limits: Limits,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Promise<Round> {
  const { memory, minBytes, maxBytes } = limits;
  const all: Fetched[] = [];
  let bytes = 0;
  let countedBytes = 0;
  let isUrgent = false;
  for (const { partition, leader } of await withLeaders(services, asked, context.version)) {
    const wantedBytes = Math.max(0, Math.min(partition.maxBytes, maxBytes - bytes));
    const fetched = await fetchOne(services, partition, leader, limits, wantedBytes, bytes === 0, context, hints);
    bytes += fetched.byteLength;
    countedBytes += fetched.countedBytes;
    memory.holdAtLeast(bytes);
    isUrgent ||= fetched.isUrgent;
    all.push(fetched);
  }
  return { all, isEnough: isUrgent || countedBytes >= Math.min(minBytes, maxBytes) };
}

/** Fulfilled when one of the partitions has news, at the deadline, or when the client is gone. */
function news(
  services: BrokerServices,
  all: readonly Fetched[],
  waitMs: number,
  context: RequestContext,
): Promise<void> {
  // What came while other partitions were read has told nobody.
  if (all.some(({ replica, progress }) => replica !== null && replica.progress !== progress)) return Promise.resolve();
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
): Promise<readonly Fetched[]> {
  const deadlineMs = services.clock.monotonicMs() + maxWaitMs;
  let isGone = false;
  const stopWatching = context.onDisconnect(() => {
    isGone = true;
  });
  let round = await fetchAll(services, plan.partitions, limits, context, hints);
  while (!isGone && plan.partitions.length > 0 && !round.isEnough) {
    const waitMs = deadlineMs - services.clock.monotonicMs();
    if (waitMs <= 0) break;
    limits.memory.reset(); // who waits holds nothing
    await news(services, round.all, waitMs, context);
    round = await fetchAll(services, plan.partitions, limits, context, hints);
  }
  stopWatching();
  return round.all;
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
  const memory = services.answerMemory.lease();
  context.onAnswerGone(() => memory.release());
  const limits: Limits = {
    memory,
    minBytes: request.minBytes,
    maxBytes: Math.min(Math.max(request.maxBytes, 0), services.config.values['fetch.max.bytes']),
    isReadCommitted: request.isolationLevel === 1,
  };
  const hints = new Map<number, ClientNode>();
  const all = await fetchUntilEnough(services, plan, limits, Math.max(0, request.maxWaitMs), context, hints);
  return answerOf(plan, all, context.version, hints);
});
