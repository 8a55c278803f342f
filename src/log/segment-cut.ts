/**
 * Which files go when a log is cut, and in which order? The newest first: whatever a crash leaves of a cut that was
 * under way is a log that ends later than wanted, without a hole. The caller lowers the recovery point on disk before and
 * syncs the directory after.
 */
import type { Disk } from '../env/disk.ts';
import type { Offset } from '../model/brands.ts';
import { Segment } from './segment.ts';

/**
 * Drops all batches that end beyond `end`; at least one segment stays. Gives the first offset after what is left. Where
 * there are gaps, the segment that begins at `end` stays, empty: the one before may end lower, and then the offsets
 * between would be given away a second time.
 */
export async function cutSegments(
  segments: Segment[],
  end: Offset,
  { indexIntervalBytes, hasGaps }: { readonly indexIntervalBytes: number; readonly hasGaps: boolean },
  onTouched: (segment: Segment) => void,
): Promise<Offset> {
  for (let last = segments.at(-1); last !== undefined; last = segments.at(-1)) {
    if (last.baseOffset < end || (hasGaps && last.baseOffset === end) || segments.length === 1) break;
    segments.pop();
    onTouched(last);
    await last.deleteFiles();
  }
  const last = segments.at(-1) as Segment;
  onTouched(last);
  return last.writtenBytes === 0 ? last.baseOffset : last.truncateTo(end, indexIntervalBytes);
}

/** Drops all segments and begins anew at `start`: the empty file's name is what says where the log begins. */
export async function beginAnew(
  segments: Segment[],
  start: Offset,
  nowMs: number,
  { directory, disk }: { readonly directory: string; readonly disk: Disk },
): Promise<void> {
  for (const segment of segments.splice(0).reverse()) await segment.deleteFiles();
  const fresh = new Segment(directory, start, nowMs, disk);
  fresh.becomeNew();
  segments.push(fresh);
  await fresh.fileForWriting();
}
