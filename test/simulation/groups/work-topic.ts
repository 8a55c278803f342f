/** What the groups read: a topic that is metadata alone, seen by coordinators and never written to. */
import { noBroker, type Revision, revision, topicId } from '../../../src/model/brands.ts';
import { ClusterImage, type StoredEntry } from '../../../src/model/cluster-image.ts';
import { encodeValue, keys, newPartitionRecord } from '../../../src/model/metadata-schema.ts';

export const workTopic = 'work';
export const workTopicId = topicId('AAAAAAAAQACAAAAAAAD-7Q');

export const imageOfWork = (partitions: number): ClusterImage =>
  ClusterImage.from(entriesOfWork(partitions, revision(1)), revision(1));

/** The topic with so many partitions; the same keys again make it grow. */
export function entriesOfWork(partitions: number, modRevision: Revision): StoredEntry[] {
  const record = { name: workTopic, partitions, isInternal: false, createdAtMs: 0 };
  const entries = [
    { key: keys.topic(workTopicId), value: encodeValue(record) },
    { key: keys.name(workTopic), value: encodeValue(workTopicId) },
  ];
  for (let i = 0; i < partitions; i++)
    entries.push({ key: keys.partition(workTopicId, i), value: encodeValue(newPartitionRecord([], [], noBroker, 1)) });
  return entries.map((entry) => ({ ...entry, modRevision }));
}
