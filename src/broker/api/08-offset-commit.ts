/**
 * OffsetCommit 2–10: a group's positions, to its coordinator. KIP-320 (6: leader epoch), KIP-345 (7: static members),
 * KIP-848 (9: member epochs), KIP-516 (10: topic ids).
 */
import type { OffsetCommitRequest as Commit, OffsetCommitAnswer } from '../../coordinator/group-requests.ts';
import { isRefused } from '../../coordinator/group-requests.ts';
import { leaderEpoch, noLeaderEpoch } from '../../model/brands.ts';
import type { Fault } from '../../model/fault.ts';
import type { Item } from '../../wire/field.ts';
import { type OffsetCommitRequest, offsetCommitApi } from '../../wire/messages/08-offset-commit.ts';
import { isFault, topicOf } from '../cluster-view.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { type BrokerServices, serve } from '../services.ts';

type Topic = Item<OffsetCommitRequest['topics']>;
type Partition = Item<Topic['partitions']>;

/** Topics and partitions that are there go to the coordinator; the others are refused here. */
function split(services: BrokerServices, asked: Topic, version: number) {
  const topic = topicOf(services.image(), asked, version >= 10);
  if (isFault(topic)) return { topic: null, wanted: [], refusalOf: (): Fault => topic };
  const refusalOf = (partition: Partition): Fault | null => {
    if (!(partition.partitionIndex >= 0 && partition.partitionIndex < topic.record.partitions))
      return { code: 'UNKNOWN_TOPIC_OR_PARTITION' };
    const { committedOffset } = partition;
    // Any below 0 is kept, as Kafka does: to a consumer it says that there is no position.
    if (!Number.isSafeInteger(Number(committedOffset)))
      return { code: 'INVALID_REQUEST', reason: `offset ${committedOffset}` };
    return null;
  };
  return { topic, wanted: asked.partitions.filter((partition) => refusalOf(partition) === null), refusalOf };
}

/** How long a topic is waited for that was perhaps made a moment ago, and that this broker has yet to hear of. */
const topicHoldMs = 500;

async function awaitTopics(services: BrokerServices, topics: readonly Topic[], version: number): Promise<void> {
  const areKnown = (): boolean => {
    const image = services.image();
    return topics.every((asked) => !isFault(topicOf(image, asked, version >= 10)));
  };
  await services.metadata.until(areKnown, topicHoldMs);
}

const noAnswers: OffsetCommitAnswer = { topics: [] };

export const offsetCommit = serve(offsetCommitApi, async (services, request, context) => {
  const { version, onDisconnect } = context;
  await awaitTopics(services, request.topics, version);
  const parts = request.topics.map((asked) => ({ asked, ...split(services, asked, version) }));
  const topics: Item<Commit['topics']>[] = [];
  for (const { topic, wanted } of parts)
    if (topic && wanted.length > 0)
      topics.push({
        topic: topic.record.name,
        topicId: topic.id,
        partitions: wanted.map((partition) => ({
          partition: partition.partitionIndex,
          offset: Number(partition.committedOffset),
          leaderEpoch: partition.committedLeaderEpoch < 0 ? noLeaderEpoch : leaderEpoch(partition.committedLeaderEpoch),
          metadata: partition.committedMetadata ?? '',
        })),
      });
  const answer =
    topics.length === 0 && request.topics.length > 0
      ? noAnswers
      : await services.groups.ask(
          {
            kind: 'offsetCommit',
            groupId: request.groupId,
            generationOrMemberEpoch: request.generationIdOrMemberEpoch,
            memberId: request.memberId,
            instanceId: request.groupInstanceId,
            retentionTimeMs: request.retentionTimeMs < 0n ? null : Number(request.retentionTimeMs),
            knowsConsumerGroups: version >= 9,
            topics,
          },
          onDisconnect,
        );
  const faults = new Map<string, Fault | null>();
  if (!isRefused(answer))
    for (const { topic, partitions } of answer.topics)
      for (const { partition, fault } of partitions) faults.set(`${topic}-${partition}`, fault);
  const errorOf = (part: (typeof parts)[number], partition: Partition): number => {
    const refusal = part.refusalOf(partition);
    if (refusal) return errorCodeOf(refusal);
    if (isRefused(answer)) return errorCodeOf(answer.fault);
    const fault = faults.get(`${part.topic?.record.name}-${partition.partitionIndex}`) ?? null;
    return fault === null ? 0 : errorCodeOf(fault);
  };
  return {
    topics: parts.map((part) => ({
      name: part.asked.name,
      topicId: part.asked.topicId,
      partitions: part.asked.partitions.map((partition) => ({
        partitionIndex: partition.partitionIndex,
        errorCode: errorOf(part, partition),
      })),
    })),
  };
});
