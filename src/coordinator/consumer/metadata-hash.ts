/**
 * Have the topics that a group subscribes to changed since its target was computed? The group epoch's record carries a
 * hash over them (KIP-1101), so that a new coordinator can tell. How it is made is the coordinator's own affair: over
 * another one's hash the group computes its target anew once, and no more.
 */
import { createHash } from 'node:crypto';
import type { TopicImage } from '../../model/cluster-image.ts';

/** Over names, ids and partition counts of those topics that are there, by name; 0 where none is. */
export function metadataHash(topics: ReadonlyMap<string, TopicImage | undefined>): bigint {
  let described = '';
  for (const name of [...topics.keys()].sort()) {
    const topic = topics.get(name);
    if (topic !== undefined) described += `${name}\0${topic.id}\0${topic.record.partitions}\0`;
  }
  return described === '' ? 0n : createHash('sha256').update(described).digest().readBigInt64BE();
}
