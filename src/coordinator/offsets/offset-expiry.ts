/**
 * Which committed offsets are over (KIP-211)?
 *
 *   the group                               counted from                 which topics
 *   ──────────────────────────────────────  ───────────────────────────  ─────────────────────
 *   is empty, and it is known since when    then, or a later commit      all
 *   is empty; commits alone have made it    the commit                   all
 *   has members, at rest                    the commit                   those no member reads
 *   is rebalancing, or who knows            —                            none
 *   any                                     —                            those that are gone
 *
 * An offset that was committed with a retention of its own (versions 2–4) is over when that is, whatever it is counted
 * from. Kafka counts from when the group became empty even what was committed long after, so that an offset set by hand can
 * be gone within minutes; here it has its whole retention.
 */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Now } from '../coordinator-shard.ts';
import type { Group } from '../group.ts';
import type { GroupRecord, OffsetCommitValue } from '../group-records.ts';
import { type CommittedOffsets, isOfGoneTopic } from './committed-offsets.ts';

/** `group` may be left with no offset: `CommittedOffsets` tells when the records are replayed. */
export function expiredOffsets(
  group: Group,
  offsets: CommittedOffsets,
  { retentionMs, image }: { readonly retentionMs: number; readonly image: ClusterImage },
  { wallMs }: Now,
): GroupRecord[] {
  const { groupId } = group;
  const records: GroupRecord[] = [];
  const mayExpire = group.isEmpty() || group.mayExpireUnreadOffsets();
  const emptySinceMs = group.emptySinceMs();
  for (const [topic, partitions] of offsets.of(groupId)) {
    const isKept = !mayExpire || (!group.isEmpty() && group.isSubscribedTo(topic));
    for (const [partition, value] of partitions)
      if (isOfGoneTopic(value, image) || (!isKept && expiresAtMs(value, emptySinceMs, retentionMs) <= wallMs))
        records.push({ kind: 'offsetCommit', groupId, topic, partition, value: null });
  }
  return records;
}

const expiresAtMs = (value: OffsetCommitValue, emptySinceMs: number | null, retentionMs: number): number =>
  value.expireTimestampMs ?? Math.max(emptySinceMs ?? 0, value.commitTimestampMs) + retentionMs;
