/**
 * What is deleted without anybody asking: offsets that are over, groups that have none left, offsets of deleted topics. It
 * looks at every group, a slice of them at a time, so that a pass over many holds nobody up.
 */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Now } from '../coordinator-shard.ts';
import type { Group, GroupStep } from '../group.ts';
import type { GroupRecord } from '../group-records.ts';
import type { CommittedOffsets } from './committed-offsets.ts';
import { expiredOffsets } from './offset-expiry.ts';

/** A slice ends after so many groups, or so many records. */
const groupsPerSlice = 500;
const recordsPerSlice = 2000;
/** One batch: a topic of many partitions must not make one that the log refuses for its size. */
export const recordsPerStep = 1000;

type Pass =
  | { readonly kind: 'expiry'; readonly groupIds: string[] }
  | { readonly kind: 'deletedTopics'; readonly groupIds: string[]; readonly topics: readonly string[] };

export interface OffsetCleanupModules {
  readonly groups: ReadonlyMap<string, Group>;
  readonly offsets: CommittedOffsets;
  readonly retentionMs: number;
  image(): ClusterImage;
}

export class OffsetCleanup {
  readonly #modules: OffsetCleanupModules;
  readonly #passes: Pass[] = [];

  constructor(modules: OffsetCleanupModules) {
    this.#modules = modules;
  }

  /** Does nothing while an earlier pass of this kind goes on. */
  beginExpiry(): void {
    if (this.#passes.some(({ kind }) => kind === 'expiry')) return;
    this.#passes.push({ kind: 'expiry', groupIds: [...this.#modules.groups.keys()] });
  }

  beginDeletion(topics: readonly string[]): void {
    this.#passes.push({ kind: 'deletedTopics', groupIds: [...this.#modules.groups.keys()], topics });
  }

  /** What the next slice of groups has to lose. */
  nextSlice(now: Now): GroupStep[] {
    const steps: GroupStep[] = [];
    let records = 0;
    for (let groups = 0; groups < groupsPerSlice && records < recordsPerSlice; groups++) {
      const pass = this.#passes[0];
      const groupId = pass?.groupIds.pop();
      if (pass === undefined) break;
      if (groupId === undefined) {
        this.#passes.shift();
        continue;
      }
      const group = this.#modules.groups.get(groupId);
      if (group === undefined) continue;
      const lost = pass.kind === 'expiry' ? this.#expired(group, now) : this.#ofDeletedTopics(group, pass.topics);
      records += lost.length;
      for (let at = 0; at < lost.length; at += recordsPerStep)
        steps.push({ key: groupId, records: lost.slice(at, at + recordsPerStep), answers: [] });
    }
    return steps;
  }

  /** With its last offsets an empty group goes too, unless there are too many of them for one batch: then it is next time's. */
  #expired(group: Group, now: Now): GroupRecord[] {
    const { offsets, retentionMs } = this.#modules;
    const expired = expiredOffsets(group, offsets, { retentionMs, image: this.#modules.image() }, now);
    const isOver = group.isEmpty() && expired.length === offsets.count(group.groupId);
    return isOver && expired.length < recordsPerStep - 10 ? [...expired, ...group.tombstones()] : expired;
  }

  /** A topic of the same name may be there again, and offsets of it committed. */
  #ofDeletedTopics({ groupId }: Group, topics: readonly string[]): GroupRecord[] {
    const { offsets } = this.#modules;
    const records: GroupRecord[] = [];
    for (const topic of topics) {
      const topicId = this.#modules.image().topicByName(topic)?.id;
      for (const [partition, value] of offsets.of(groupId).get(topic) ?? [])
        if (topicId === undefined || value.topicId !== topicId)
          records.push({ kind: 'offsetCommit', groupId, topic, partition, value: null });
    }
    return records;
  }
}
