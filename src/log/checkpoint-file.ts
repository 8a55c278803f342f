/**
 * How are Kafka's text checkpoints written and read? (`CheckpointFile.java`, kafka-protocol.md c.5)
 *
 *     0                          version
 *     2                          lines that follow
 *     orders 0 1200              <topic> <partition> <offset>, or <epoch> <startOffset>
 *     orders 1 940
 *
 * All of them are derived or conservative: one that is missing or damaged reads as null, and the caller starts from
 * nothing (an earlier recovery point, a scan of the log) with a warning.
 */
import type { Disk } from '../env/disk.ts';
import { type LeaderEpoch, leaderEpoch, type Offset, offset } from '../model/brands.ts';
import type { EpochEntry } from './epoch-cache.ts';

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export const formatCheckpoint = (lines: readonly string[]): string => `0\n${[lines.length, ...lines].join('\n')}\n`;

/** The lines after the count, or null when the text is not such a file. */
export function parseCheckpoint(text: string): string[] | null {
  const [version, count, ...lines] = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return version === '0' && count === String(lines.length) ? lines : null;
}

/** A whole file's text, or null where there is none. */
export async function readTextFile(disk: Disk, path: string): Promise<string | null> {
  try {
    return (await disk.readFile(path)).toString('utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** `<topic>-<partition>` to offset. */
export type OffsetCheckpoint = ReadonlyMap<string, Offset>;

export function formatOffsets(offsets: OffsetCheckpoint): string {
  const lines: string[] = [];
  for (const [directory, value] of offsets) {
    const dash = directory.lastIndexOf('-');
    lines.push(`${directory.slice(0, dash)} ${directory.slice(dash + 1)} ${value}`);
  }
  return formatCheckpoint(lines);
}

export function parseOffsets(text: string): Map<string, Offset> | null {
  const lines = parseCheckpoint(text);
  if (lines === null) return null;
  const offsets = new Map<string, Offset>();
  for (const line of lines) {
    const match = /^(\S+) (\d+) (\d{1,16})$/.exec(line);
    if (match === null) return null;
    offsets.set(`${match[1]}-${match[2]}`, offset(Number(match[3])));
  }
  return offsets;
}

export const formatEpochs = (entries: readonly EpochEntry[]): string =>
  formatCheckpoint(entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`));

/** null unless epochs and offsets both rise strictly, as they do in a log. */
export function parseEpochs(text: string): EpochEntry[] | null {
  const lines = parseCheckpoint(text);
  if (lines === null) return null;
  const entries: { epoch: LeaderEpoch; startOffset: Offset }[] = [];
  for (const line of lines) {
    const match = /^(\d{1,10}) (\d{1,16})$/.exec(line);
    if (match === null) return null;
    const entry = { epoch: leaderEpoch(Number(match[1])), startOffset: offset(Number(match[2])) };
    const before = entries.at(-1);
    if (before !== undefined && (entry.epoch <= before.epoch || entry.startOffset <= before.startOffset)) return null;
    entries.push(entry);
  }
  return entries;
}
