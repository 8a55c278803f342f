/** Which bytes may a follower append? Whole batches that its leader could have written next (I14, I25). */
import { type LeaderEpoch, noLeaderEpoch } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { decodeEndTransactionMarker } from '../records/control-record.ts';
import { hasValidCrc } from '../records/record-batch.ts';

export interface FollowerEnd {
  /** Where the log ends. */
  readonly endOffset: number;
  /** The newest epoch of the log, -1 for none. */
  readonly leaderEpoch: LeaderEpoch | null;
  /** The epoch of the session that the batches came in [KAFKA-18723]. */
  readonly maxLeaderEpoch: LeaderEpoch;
  /** Compacted topics have gaps between batches. */
  readonly allowsGaps: boolean;
}

/** The batches in `bytes`, as views. Throws CORRUPT_MESSAGE unless all of them may be appended. */
export function checkedFollowerBatches(bytes: Buffer, end: FollowerEnd): Buffer[] {
  const batches = [...header.batchesOf(bytes)];
  let expected = end.endOffset;
  let epoch = end.leaderEpoch ?? noLeaderEpoch;
  for (const batch of batches) {
    const problem = problemOf(batch, expected, epoch, end);
    if (problem !== null) throw new BrokerError({ code: 'CORRUPT_MESSAGE', reason: problem });
    if (header.isControlBatch(batch)) decodeEndTransactionMarker(batch);
    expected = header.nextOffsetOf(batch);
    epoch = header.partitionLeaderEpochOf(batch);
  }
  return batches;
}

function problemOf(batch: Buffer, expected: number, epochBefore: LeaderEpoch, end: FollowerEnd): string | null {
  const base = header.baseOffsetOf(batch);
  const epoch = header.partitionLeaderEpochOf(batch);
  if (end.allowsGaps ? base < expected : base !== expected) return `base offset ${base}, the log ends at ${expected}`;
  if (header.lastOffsetDeltaOf(batch) < 0) return 'a batch ends before it begins';
  if (epoch > end.maxLeaderEpoch) return `leader epoch ${epoch} is above the session's ${end.maxLeaderEpoch}`;
  if (epoch < epochBefore) return `leader epoch ${epoch} after ${epochBefore}`;
  if (!hasValidCrc(batch)) return 'the CRC-32C of a batch does not match its bytes';
  return null;
}
