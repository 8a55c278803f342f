/** What is answered to those who commit, fetch and delete offsets of a group that lets them, and what is written for it. */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Fault } from '../../model/fault.ts';
import type { Now } from '../coordinator-shard.ts';
import type { Group } from '../group.ts';
import type { GroupOptions } from '../group-options.ts';
import type { GroupRecord, OffsetCommitValue } from '../group-records.ts';
import type {
  CommittedOffset,
  OffsetCommitAnswer,
  OffsetCommitRequest,
  OffsetDeleteAnswer,
  OffsetDeleteRequest,
  OffsetFetchAnswer,
  OffsetFetchRequest,
} from '../group-requests.ts';
import { type CommittedOffsets, isOfGoneTopic } from './committed-offsets.ts';

export interface OffsetChange<Answer> {
  readonly records: readonly GroupRecord[];
  readonly answer: Answer;
}

const metadataTooLarge: Fault = { code: 'OFFSET_METADATA_TOO_LARGE' };

/** All partitions in one batch, but for those with too much metadata: each of these is refused by itself. */
export function commitOffsets(
  request: OffsetCommitRequest,
  { offsetMetadataMaxBytes }: GroupOptions,
  { wallMs }: Now,
): OffsetChange<OffsetCommitAnswer> {
  const { groupId, retentionTimeMs } = request;
  // A retention of Java's Long.MAX_VALUE is how a client says for ever.
  const expireTimestampMs =
    retentionTimeMs === null ? null : Math.min(wallMs + retentionTimeMs, Number.MAX_SAFE_INTEGER);
  const records: GroupRecord[] = [];
  const topics = request.topics.map(({ topic, topicId, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, offset, leaderEpoch, metadata }) => {
      // Counted in UTF-16 units, as Kafka does, whatever the key is called.
      if (metadata.length > offsetMetadataMaxBytes) return { partition, fault: metadataTooLarge };
      const value = { offset, leaderEpoch, metadata, commitTimestampMs: wallMs, expireTimestampMs, topicId };
      records.push({ kind: 'offsetCommit', groupId, topic, partition, value });
      return { partition, fault: null };
    }),
  }));
  return { records, answer: { topics } };
}

/** A partition without a committed offset is answered -1, not refused. */
export function fetchOffsets(
  request: OffsetFetchRequest,
  offsets: CommittedOffsets,
  image: ClusterImage,
): OffsetFetchAnswer {
  const committed = offsets.of(request.groupId);
  if (request.topics === null)
    return {
      topics: Array.from(committed, ([topic, partitions]) => ({
        topic,
        partitions: [...partitions]
          .filter(([, value]) => !isOfGoneTopic(value, image))
          .map(([partition, value]) => committedOffset(partition, value)),
      })).filter(({ partitions }) => partitions.length > 0),
    };
  return {
    topics: request.topics.map(({ topic, partitions }) => {
      const ofTopic = committed.get(topic);
      const told = (partition: number): OffsetCommitValue | undefined => {
        const value = ofTopic?.get(partition);
        return value === undefined || isOfGoneTopic(value, image) ? undefined : value;
      };
      return { topic, partitions: partitions.map((partition) => committedOffset(partition, told(partition))) };
    }),
  };
}

/** What a member reads stays; what is not there is as good as deleted. */
export function deleteOffsets(
  request: OffsetDeleteRequest,
  group: Group,
  offsets: CommittedOffsets,
): OffsetChange<OffsetDeleteAnswer> {
  const { groupId } = request;
  const records: GroupRecord[] = [];
  const topics = request.topics.map(({ topic, partitions }) => {
    const fault: Fault | null = group.isSubscribedTo(topic) ? { code: 'GROUP_SUBSCRIBED_TO_TOPIC' } : null;
    for (const partition of fault === null ? new Set(partitions) : [])
      if (offsets.get(groupId, topic, partition) !== null)
        records.push({ kind: 'offsetCommit', groupId, topic, partition, value: null });
    return { topic, partitions: partitions.map((partition) => ({ partition, fault })) };
  });
  return { records, answer: { topics } };
}

export function tombstonesOf(groupId: string, offsets: CommittedOffsets): GroupRecord[] {
  const records: GroupRecord[] = [];
  for (const [topic, partitions] of offsets.of(groupId))
    for (const partition of partitions.keys())
      records.push({ kind: 'offsetCommit', groupId, topic, partition, value: null });
  return records;
}

function committedOffset(partition: number, value: OffsetCommitValue | undefined): CommittedOffset {
  if (value === undefined) return { partition, offset: -1, leaderEpoch: -1, metadata: '', fault: null };
  const { offset, leaderEpoch, metadata } = value;
  return { partition, offset, leaderEpoch, metadata, fault: null };
}
