/** DescribeTopicPartitions 0: topics in pages, with eligible leader replicas (KIP-966). */
import type { ClusterImage } from '../../model/cluster-image.ts';
import { topicNameProblem } from '../../model/topic-partition.ts';
import type { Item } from '../../wire/field.ts';
import {
  type DescribeTopicPartitionsResponseInput,
  describeTopicPartitionsApi,
} from '../../wire/messages/75-describe-topic-partitions.ts';
import { describePartition, zeroUuid } from '../cluster-view.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { closeConnection, serve } from '../services.ts';

type TopicAnswer = Item<DescribeTopicPartitionsResponseInput['topics']>;

const allTopicOperations = [3, 4, 5, 6, 7, 8, 10, 11].reduce((bits, code) => bits | (1 << code), 0);

const unknown = (name: string): TopicAnswer => ({
  errorCode: errorCodeOf(
    topicNameProblem(name) ? { code: 'INVALID_TOPIC', reason: '' } : { code: 'UNKNOWN_TOPIC_OR_PARTITION' },
  ),
  name,
  topicId: zeroUuid,
  isInternal: false,
  partitions: [],
});

export const describeTopicPartitions = serve(describeTopicPartitionsApi, (services, request, { listener }) => {
  const { cursor } = request;
  const image: ClusterImage = services.image();
  const isAll = request.topics.length === 0;
  const names = isAll ? [...image.topicIds.keys()] : [...new Set(request.topics.map((topic) => topic.name))];
  // This API has no error of its own for a bad cursor; a malformed request ends the connection.
  if (cursor && (cursor.partitionIndex < 0 || (!isAll && !names.includes(cursor.topicName)))) return closeConnection;
  const limit = services.config.values['max.request.partition.size.limit'];
  let room = Math.max(1, Math.min(request.responsePartitionLimit, limit));
  const topics: TopicAnswer[] = [];
  for (const name of names.sort()) {
    if (cursor && name < cursor.topicName) continue;
    const first = cursor?.topicName === name ? cursor.partitionIndex : 0;
    if (room === 0) return { topics, nextCursor: { topicName: name, partitionIndex: first } };
    const topic = image.topicByName(name);
    if (!topic) {
      topics.push(unknown(name));
      continue;
    }
    const last = Math.min(topic.record.partitions, first + room);
    const partitions = [];
    for (let index = first; index < last; index++) {
      const partition = describePartition(image, topic, index, listener, Number.POSITIVE_INFINITY);
      if (partition) partitions.push(partition);
    }
    room -= Math.max(0, last - first);
    const { isInternal } = topic.record;
    topics.push({
      errorCode: 0,
      name,
      topicId: topic.id,
      isInternal,
      partitions,
      topicAuthorizedOperations: allTopicOperations,
    });
    if (last < topic.record.partitions) return { topics, nextCursor: { topicName: name, partitionIndex: last } };
  }
  return { topics, nextCursor: null };
});
