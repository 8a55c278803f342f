/**
 * Produce 3–13: one batch per partition goes to its replica; the answer waits for what acks asks for.
 * KIP-951 (10: current leader), KIP-516 (13: topic ids). Advertised from 0 for librdkafka before 2.11 (KAFKA-18659).
 * Not served: transactional batches, which need their own coordinator.
 */
import type { TopicImage } from '../../model/cluster-image.ts';
import { BrokerError, type Fault } from '../../model/fault.ts';
import { codecNumberOf, isTransactional } from '../../records/batch-header.ts';
import type { Item } from '../../wire/field.ts';
import { type ProduceRequest, type ProduceResponseInput, produceApi } from '../../wire/messages/00-produce.ts';
import { type ClientNode, isFault, leaderHint, topicOf } from '../cluster-view.ts';
import { errorCodeOf, errorMessageOf, faultOf, unknownServerError } from '../kafka-errors.ts';
import { type BrokerServices, closeConnection, noAnswer, type RequestContext, serve } from '../services.ts';

type Topic = Item<ProduceRequest['topicData']>;
type Partition = Item<Topic['partitionData']>;
type PartitionAnswer = Item<Item<ProduceResponseInput['responses']>['partitionResponses']>;

const zstd = 4;

async function produceOne(
  services: BrokerServices,
  request: ProduceRequest,
  topic: Topic,
  { index, records }: Partition,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): Promise<PartitionAnswer> {
  try {
    const image = services.image();
    const known = topicOf(image, topic, context.version >= 13);
    if (isFault(known)) throw new BrokerError(known);
    if (known.record.isInternal)
      throw new BrokerError({ code: 'INVALID_TOPIC', reason: `${known.record.name} is internal` });
    const found = services.replicas.find(known.id, index);
    const replica = found instanceof Promise ? await found : found;
    if (!replica) throw new BrokerError(noReplicaFault(services, known, index));
    if (records === null || records.length === 0)
      throw new BrokerError({ code: 'INVALID_RECORD', reason: 'there is no record batch' });
    if (records.length >= 61) {
      if (codecNumberOf(records) === zstd && context.version < 7)
        throw new BrokerError({ code: 'UNSUPPORTED_COMPRESSION_TYPE' });
      if (isTransactional(records))
        throw new BrokerError({ code: 'INVALID_TXN_STATE', reason: 'transactions are not served' });
    }
    const { baseOffset, logAppendTimeMs, logStartOffset } = await replica.produce(
      records,
      request.acks,
      request.timeoutMs,
    );
    return { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset };
  } catch (error) {
    const fault = faultOf(error, services.logger);
    if (fault === null) return { index, errorCode: unknownServerError, baseOffset: -1n };
    return refusal(services, index, fault, context, hints);
  }
}

/** A replica that should be here and is damaged, one of other brokers, or none at all. */
export function noReplicaFault(services: BrokerServices, topic: TopicImage | undefined, partition: number): Fault {
  const record = topic?.partitions[partition]?.record;
  if (!topic || !record) return { code: 'UNKNOWN_TOPIC_OR_PARTITION' };
  const damage = services.replicas.damageOf(topic.id, partition);
  return damage ?? { code: 'NOT_LEADER', leaderId: record.leader, leaderEpoch: record.leaderEpoch };
}

function refusal(
  services: BrokerServices,
  index: number,
  fault: Fault,
  context: RequestContext,
  hints: Map<number, ClientNode>,
): PartitionAnswer {
  const hint = context.version >= 10 ? leaderHint(services.image(), fault, context.listener) : null;
  if (hint) hints.set(hint.node.nodeId, hint.node);
  const recordErrors = fault.code === 'INVALID_RECORD' ? fault.recordErrors : undefined;
  return {
    index,
    errorCode: errorCodeOf(fault),
    baseOffset: -1n,
    errorMessage: errorMessageOf(fault),
    ...(recordErrors && {
      recordErrors: recordErrors.map((one) => ({ batchIndex: one.index, batchIndexErrorMessage: one.reason })),
    }),
    ...(hint && { currentLeader: { leaderId: hint.leaderId, leaderEpoch: hint.leaderEpoch } }),
  };
}

export const produce = serve(
  produceApi,
  async (services, request, context) => {
    const hints = new Map<number, ClientNode>();
    // Every append is queued in this turn, in the order of the request, or takes its place in its partition's line where the
    // records have to be looked into; then all are waited for together.
    const topics = await Promise.all(
      request.topicData.map(async (topic) => ({
        name: topic.name,
        topicId: topic.topicId,
        partitionResponses: await Promise.all(
          topic.partitionData.map((partition) => produceOne(services, request, topic, partition, context, hints)),
        ),
      })),
    );
    if (request.acks === 0) {
      const hasFailed = topics.some((topic) => topic.partitionResponses.some((partition) => partition.errorCode !== 0));
      return hasFailed ? closeConnection : noAnswer;
    }
    return { responses: topics, nodeEndpoints: [...hints.values()] };
  },
  { isPipelined: true, advertisedMinVersion: 0 },
);
