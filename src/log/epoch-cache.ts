/**
 * Which leader epoch wrote which offsets? A list of (epoch, first offset), both strictly rising, that equals the epochs
 * of the log's batches, plus at most one at the end that has written nothing yet (I16; `LeaderEpochFileCache.java`).
 *
 *     (0, 0) (3, 120) (4, 180)      epoch 3 wrote 120..179; epochs 1 and 2 wrote nothing and are not listed
 *
 * Pure: `partition-log.ts` writes it to `leader-epoch-checkpoint`.
 */
import { assert } from '../model/assert.ts';
import { type LeaderEpoch, noLeaderEpoch, type Offset } from '../model/brands.ts';

export interface EpochEntry {
  readonly epoch: LeaderEpoch;
  readonly startOffset: Offset;
}

export class EpochCache {
  #entries: EpochEntry[] = [];

  constructor(entries: readonly EpochEntry[] = []) {
    for (const { epoch, startOffset } of entries) this.assign(epoch, startOffset);
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries;
  }

  latest(): EpochEntry | null {
    return this.#entries.at(-1) ?? null;
  }

  /** The epoch that wrote `offset`, or would write it next; -1 below the first entry. */
  epochAt(offset: Offset): LeaderEpoch {
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index];
      if (entry !== undefined && entry.startOffset <= offset) return entry.epoch;
    }
    return noLeaderEpoch;
  }

  /**
   * Where the records of `epoch` end: the largest cached epoch that is not above it, and the start of the one after, or
   * `logEndOffset` where none follows. No epoch that low: `epoch` itself and `logStartOffset`
   * (replication-invariants §2.6, Kafka's `endOffsetFor`).
   */
  endFor(
    epoch: LeaderEpoch,
    logEndOffset: Offset,
    logStartOffset: Offset,
  ): { readonly epoch: LeaderEpoch; readonly endOffset: Offset } {
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index];
      if (entry !== undefined && entry.epoch <= epoch)
        return { epoch: entry.epoch, endOffset: this.#entries[index + 1]?.startOffset ?? logEndOffset };
    }
    return { epoch, endOffset: logStartOffset };
  }

  /**
   * `epoch` writes from `startOffset` on. Entries that it contradicts go: those that start there or later (an epoch
   * that wrote nothing), and those with a higher epoch. True if the list has changed.
   */
  assign(epoch: LeaderEpoch, startOffset: Offset): boolean {
    assert(epoch >= 0 && startOffset >= 0, 'an epoch entry has an epoch and an offset');
    const latest = this.latest();
    if (latest !== null && latest.epoch === epoch && latest.startOffset <= startOffset) return false;
    const kept = this.#entries.filter((entry) => entry.epoch < epoch && entry.startOffset < startOffset);
    kept.push({ epoch, startOffset });
    this.#entries = kept;
    return true;
  }

  /** Drops entries that start at or after `endOffset`, as a follower does before it appends [KAFKA-10706]. */
  truncateFromEnd(endOffset: Offset): boolean {
    const kept = this.#entries.filter((entry) => entry.startOffset < endOffset);
    const isChanged = kept.length !== this.#entries.length;
    this.#entries = kept;
    return isChanged;
  }

  /** The log now starts at `startOffset`: entries wholly below it go, and the one that holds it starts there. */
  truncateFromStart(startOffset: Offset): boolean {
    const below = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset);
    const holder = this.#entries[below];
    if (holder === undefined || (below === 0 && holder.startOffset === startOffset)) return false;
    this.#entries = [{ epoch: holder.epoch, startOffset }, ...this.#entries.slice(below + 1)];
    return true;
  }

  clear(): boolean {
    const isChanged = this.#entries.length > 0;
    this.#entries = [];
    return isChanged;
  }
}
