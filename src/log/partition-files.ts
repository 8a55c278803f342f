/** Which files lie in a partition's directory, and what do the small ones say? (kafka-protocol.md c.1, c.5) */
import { join } from 'node:path';
import type { Disk } from '../env/disk.ts';
import { type Offset, offset, type TopicId, topicId } from '../model/brands.ts';
import { formatEpochs, parseEpochs, readTextFile } from './checkpoint-file.ts';
import type { EpochEntry } from './epoch-cache.ts';

export const epochFileName = 'leader-epoch-checkpoint';
export const metadataFileName = 'partition.metadata';
/** What a rename that was cut short, a deletion or a cleaner leaves behind; never part of a log. */
const leftOver = /\.(tmp|deleted|cleaned)$/;
/** What compaction had decided to put in the place of a segment, and had not when the process ended. */
const swap = '.log.swap';

export interface PartitionFiles {
  /** Base offsets of `.log` files, rising. */
  readonly segments: readonly Offset[];
  /** Offsets of `.snapshot` files, falling. */
  readonly kafkaSnapshots: readonly Offset[];
  /** Offsets of `.producers` files, falling. */
  readonly producerFiles: readonly Offset[];
  /** Base offsets of `.log.swap` files, rising: see `segment-swap.ts`. */
  readonly swaps: readonly Offset[];
  readonly leftOvers: readonly string[];
  readonly isEmpty: boolean;
  readonly hasMetadata: boolean;
  readonly hasEpochs: boolean;
}

export async function listPartitionFiles(disk: Disk, directory: string): Promise<PartitionFiles> {
  const names = await disk.list(directory);
  const offsetsOf = (suffix: string): Offset[] =>
    names
      .filter((name) => name.length === 20 + suffix.length && name.endsWith(suffix) && /^\d{20}/.test(name))
      .map((name) => offset(Number(name.slice(0, 20))))
      .sort((a, b) => a - b);
  return {
    segments: offsetsOf('.log'),
    kafkaSnapshots: offsetsOf('.snapshot').reverse(),
    producerFiles: offsetsOf('.producers').reverse(),
    swaps: offsetsOf(swap),
    leftOvers: names.filter((name) => leftOver.test(name)),
    isEmpty: names.length === 0,
    hasMetadata: names.includes(metadataFileName),
    hasEpochs: names.includes(epochFileName),
  };
}

export const formatPartitionMetadata = (id: TopicId): string => `version: 0\ntopic_id: ${id}`;

/** null where the file is missing or damaged. */
export async function readPartitionMetadata(disk: Disk, directory: string): Promise<TopicId | null> {
  const text = await readTextFile(disk, join(directory, metadataFileName));
  const match = /^version: 0\s*\ntopic_id: ([A-Za-z0-9_-]{22})\s*$/.exec(text ?? '');
  return match?.[1] === undefined ? null : topicId(match[1]);
}

/** null where the file is missing or damaged. */
export async function readEpochs(disk: Disk, directory: string): Promise<EpochEntry[] | null> {
  const text = await readTextFile(disk, join(directory, epochFileName));
  return text === null ? null : parseEpochs(text);
}

/** Durable when it resolves (I16). */
export const writeEpochs = (disk: Disk, directory: string, entries: readonly EpochEntry[]): Promise<void> =>
  disk.replaceFile(join(directory, epochFileName), formatEpochs(entries));

/**
 * Written in place and not synced: for files that are checked when read and can be made again. `isNew` says that there
 * is surely none of that name.
 */
export async function writeDerivedFile(
  disk: Disk,
  path: string,
  content: Uint8Array,
  { isNew } = { isNew: false },
): Promise<void> {
  const file = await disk.open(path, 'open-or-create');
  try {
    if (!isNew) await file.truncate(0);
    await file.write([content], 0);
  } finally {
    await file.close();
  }
}

export const noPartitionFiles: PartitionFiles = {
  segments: [],
  kafkaSnapshots: [],
  producerFiles: [],
  swaps: [],
  leftOvers: [],
  isEmpty: true,
  hasMetadata: false,
  hasEpochs: false,
};

/** The directory belongs to another topic, or to one that nobody can name: it must be set aside, not used (I24). */
export class ForeignDirectoryError extends Error {
  override name = 'ForeignDirectoryError';
  readonly found: TopicId | null;
  constructor(directory: string, found: TopicId | null) {
    super(`${directory} belongs to ${found === null ? 'an unknown topic' : `topic id ${found}`}`);
    this.found = found;
  }
}

/** The files of the topic's partition, or null when its directory had to be made. Throws ForeignDirectoryError. */
export async function openPartitionDirectory(
  disk: Disk,
  directory: string,
  id: TopicId,
): Promise<PartitionFiles | null> {
  let files: PartitionFiles | null = null;
  try {
    files = await listPartitionFiles(disk, directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await disk.makeDirectory(directory);
  }
  const found = files?.hasMetadata === true ? await readPartitionMetadata(disk, directory) : null;
  if (found === id) return files;
  // An empty directory is one whose making was cut short.
  if (files !== null && !files.isEmpty) throw new ForeignDirectoryError(directory, found);
  await writeDerivedFile(disk, join(directory, metadataFileName), Buffer.from(formatPartitionMetadata(id)), {
    isNew: true,
  });
  return null;
}
