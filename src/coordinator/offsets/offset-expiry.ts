/**
 * Which committed offsets are over (KIP-211)?
 *
 *   the group                               counted from                 which topics
 *   ──────────────────────────────────────  ───────────────────────────  ─────────────────────
 *   is empty, and it is known since when    then, or a later commit      all
 *   is empty; commits alone have made it    the commit                   all
 *   has members, at rest                    the commit                   those no member reads
 *   is rebalancing, or who knows            —                            none
 *
 * An offset that was committed with a retention of its own (versions 2–4) is over when that is, whatever it is counted
 * from. Kafka counts from when the group became empty even what was committed long after, so that an offset set by hand can
 * be gone within minutes; here it has its whole retention.
 */
import type { Now } from '../coordinator-shard.ts';
import type { Group } from '../group.ts';
import type { GroupRecord, OffsetCommitValue } from '../group-records.ts';
import type { CommittedOffsets } from './committed-offsets.ts';

/** `group` may be left with no offset: `CommittedOffsets` tells when the records are replayed. */
export function expiredOffsets(
  group: Group,
  offsets: CommittedOffsets,
  retentionMs: number,
  { wallMs }: Now,
): GroupRecord[] {
  const { groupId } = group;
  const records: GroupRecord[] = [];
  if (!group.isEmpty() && !group.mayExpireUnreadOffsets()) return records;
  const emptySinceMs = group.emptySinceMs();
  for (const [topic, partitions] of offsets.of(groupId)) {
    if (!group.isEmpty() && group.isSubscribedTo(topic)) continue;
    for (const [partition, value] of partitions)
      if (expiresAtMs(value, emptySinceMs, retentionMs) <= wallMs)
        records.push({ kind: 'offsetCommit', groupId, topic, partition, value: null });
  }
  return records;
}

const expiresAtMs = (value: OffsetCommitValue, emptySinceMs: number | null, retentionMs: number): number =>
  value.expireTimestampMs ?? Math.max(emptySinceMs ?? 0, value.commitTimestampMs) + retentionMs;
