/**
 * In which order does a cleaned segment take the place of those it was made from, and what does a crash leave?
 *
 *     step                                                          | a crash after it leaves           | next start
 *     1  <base>.log.cleaned and its indexes, written and synced     | the old ones, and .cleaned        | removes .cleaned
 *     2  <base>.log.cleaned becomes <base>.log.swap; names synced   | both                              | 3 to 5
 *     3  the old ones go, but for <base>.log; names synced          | .swap, and <base>.log at most     | 4, 5
 *     4  <base>.log.swap becomes <base>.log                         | the new one, without indexes      | makes them anew
 *     5  the indexes get their names; names synced                  | the new one                       |
 *
 * Step 2 decides. Indexes go before the `.log` they belong to is replaced, since one that is older than its log may look
 * right and is not. (`LogLoader.java` finishes swaps in the same way, and Kafka's names are used.)
 *
 * What step 3 has still to remove is told by the offsets in the `.swap`. If compaction took all batches of the last old
 * segments, those stay after a crash, or the first few of them. That is no more than a round that did not get so far: each
 * of their records has a later one of its key at or after the first dirty offset, which rises only when all swaps of a
 * round are durable, or is a tombstone that an earlier round has cleaned before.
 */
import { join } from 'node:path';
import type { Disk } from '../env/disk.ts';
import type { Offset } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import type { PartitionFiles } from './partition-files.ts';
import { Segment, segmentFileName, sidecarSuffixes } from './segment.ts';

interface Place {
  readonly directory: string;
  readonly disk: Disk;
}

/** Steps 2 to 5. `onDecided` is called after step 2: from then on `cleaned` is what is read. Durable when it resolves. */
export async function swapIn(
  cleaned: Segment,
  old: readonly Segment[],
  onDecided: () => void,
  { directory, disk }: Place,
): Promise<void> {
  await cleaned.renameLog('.swap');
  await disk.syncDirectory(directory);
  onDecided();
  for (const segment of [...old].reverse())
    if (segment.baseOffset === cleaned.baseOffset) await segment.retire();
    else await removeSegment(segment, { directory, disk });
  await disk.syncDirectory(directory);
  await cleaned.renameLog('');
  await cleaned.renameIndexes('.cleaned');
  await disk.syncDirectory(directory);
}

/** The segment, and the producer snapshots that only a cut to its base offset would have needed. */
async function removeSegment(segment: Segment, { directory, disk }: Place): Promise<void> {
  await segment.deleteFiles();
  for (const suffix of ['.snapshot', '.producers'])
    await disk.remove(join(directory, segmentFileName(segment.baseOffset, suffix)));
}

/** Finishes the swaps that a crash has cut short. SEGMENT_CORRUPT where a `.swap` is damaged: it was synced whole. */
export async function finishSwaps(
  { swaps, segments }: Pick<PartitionFiles, 'swaps' | 'segments'>,
  { directory, disk }: Place,
): Promise<void> {
  for (const base of swaps) {
    const nextOffset = await endOf(base, { directory, disk });
    const path = (offset: Offset, suffix: string): string => join(directory, segmentFileName(offset, suffix));
    for (const replaced of segments.filter((offset) => offset > base && offset < nextOffset).reverse())
      for (const suffix of ['.log', ...sidecarSuffixes]) await disk.remove(path(replaced, suffix));
    for (const sidecar of sidecarSuffixes) {
      await disk.remove(path(base, sidecar));
      await disk.remove(path(base, `${sidecar}.swap`));
    }
    await disk.syncDirectory(directory);
    await disk.rename(path(base, '.log.swap'), path(base, '.log'));
    await disk.syncDirectory(directory);
  }
}

/** First offset after the last batch of a `.swap`. */
async function endOf(base: Offset, { directory, disk }: Place): Promise<Offset> {
  const swap = new Segment(directory, base, 0, disk, '.swap');
  try {
    await swap.openExisting();
    const { bad, position } = await swap.scanFrom(null, Number.MAX_SAFE_INTEGER, () => undefined);
    if (bad !== null) throw new BrokerError({ code: 'SEGMENT_CORRUPT', file: swap.path, position, reason: bad });
    return swap.nextOffset;
  } finally {
    await swap.close();
  }
}
