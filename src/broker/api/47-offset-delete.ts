/** OffsetDelete 0: a group's positions of partitions that no member reads (KIP-496). */
import { isRefused } from '../../coordinator/group-requests.ts';
import { offsetDeleteApi } from '../../wire/messages/47-offset-delete.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { serve } from '../services.ts';

const unknownPartition = errorCodeOf({ code: 'UNKNOWN_TOPIC_OR_PARTITION' });

export const offsetDelete = serve(offsetDeleteApi, async (services, request, { onDisconnect }) => {
  const image = services.image();
  const isThere = (topic: string, partition: number): boolean =>
    partition >= 0 && partition < (image.topicByName(topic)?.record.partitions ?? 0);
  const topics = request.topics.map(({ name, partitions }) => ({
    topic: name,
    partitions: partitions.map(({ partitionIndex }) => partitionIndex).filter((index) => isThere(name, index)),
  }));
  const { groupId } = request;
  const answer = await services.groups.ask({ kind: 'offsetDelete', groupId, topics }, onDisconnect);
  if (isRefused(answer)) return { errorCode: errorCodeOf(answer.fault), topics: [] };
  const errors = new Map<string, number>();
  for (const { topic, partitions } of answer.topics)
    for (const { partition, fault } of partitions)
      errors.set(`${topic}-${partition}`, fault === null ? 0 : errorCodeOf(fault));
  return {
    errorCode: 0,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: errors.get(`${name}-${partitionIndex}`) ?? unknownPartition,
      })),
    })),
  };
});
