/**
 * Which offsets are committed, by group, topic and partition. Changed by `replay` alone. Those of transactions that are
 * still open would lie beside these, by producer id, until their marker comes: there are none yet, so every committed
 * offset is stable (KIP-447).
 */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { OffsetCommitValue } from '../group-records.ts';

export type OffsetsOfTopic = ReadonlyMap<number, OffsetCommitValue>;

const none: ReadonlyMap<string, OffsetsOfTopic> = new Map();

export class CommittedOffsets {
  readonly #groups = new Map<string, Map<string, Map<number, OffsetCommitValue>>>();

  /** By topic and partition, in the order of their first commit. */
  of(groupId: string): ReadonlyMap<string, OffsetsOfTopic> {
    return this.#groups.get(groupId) ?? none;
  }

  has(groupId: string): boolean {
    return this.#groups.has(groupId);
  }

  /** Of partitions with a committed offset. */
  count(groupId: string): number {
    let count = 0;
    for (const partitions of this.of(groupId).values()) count += partitions.size;
    return count;
  }

  get(groupId: string, topic: string, partition: number): OffsetCommitValue | null {
    return this.#groups.get(groupId)?.get(topic)?.get(partition) ?? null;
  }

  replay(groupId: string, topic: string, partition: number, value: OffsetCommitValue | null): void {
    if (value === null) this.#remove(groupId, topic, partition);
    else within(within(this.#groups, groupId), topic).set(partition, value);
  }

  #remove(groupId: string, topic: string, partition: number): void {
    const topics = this.#groups.get(groupId);
    const partitions = topics?.get(topic);
    if (topics === undefined || partitions === undefined) return;
    partitions.delete(partition);
    if (partitions.size === 0) topics.delete(topic);
    if (topics.size === 0) this.#groups.delete(groupId);
  }
}

/**
 * Whether it was committed for a topic that has been deleted, whatever is called so today. Such offsets are deleted when the
 * topic is, but not by a coordinator that came later, or whose log refused just then: to tell them would let a consumer
 * skip what a new topic of that name holds.
 */
export const isOfGoneTopic = ({ topicId }: OffsetCommitValue, image: ClusterImage): boolean =>
  topicId !== null && !image.topics.has(topicId);

function within<Key, InnerKey, Value>(map: Map<Key, Map<InnerKey, Value>>, key: Key): Map<InnerKey, Value> {
  let inner = map.get(key);
  if (inner === undefined) {
    inner = new Map();
    map.set(key, inner);
  }
  return inner;
}
