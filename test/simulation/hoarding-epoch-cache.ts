/**
 * A planted fault: an epoch cache that keeps the epochs of leaders that wrote nothing, as one did before KAFKA-10706.
 * It then says that an older epoch ends where such an epoch began, and makes good replicas cut committed records.
 */
import { EpochCache, type EpochEntry } from '../../src/log/epoch-cache.ts';
import type { LeaderEpoch, Offset } from '../../src/model/brands.ts';

export class HoardingEpochCache extends EpochCache {
  #hoarded: EpochEntry[] = [];

  override get entries(): readonly EpochEntry[] {
    return this.#hoarded;
  }
  override latest(): EpochEntry | null {
    return this.#hoarded.at(-1) ?? null;
  }
  override assign(epoch: LeaderEpoch, startOffset: Offset): boolean {
    if (this.#hoarded.some((entry) => entry.epoch >= epoch)) return false;
    this.#hoarded.push({ epoch, startOffset });
    return true;
  }
  override endFor(epoch: LeaderEpoch, logEndOffset: Offset, logStartOffset: Offset): ReturnType<EpochCache['endFor']> {
    const at = this.#hoarded.findLastIndex((entry) => entry.epoch <= epoch);
    const found = this.#hoarded[at];
    if (found === undefined) return { epoch, endOffset: logStartOffset };
    return { epoch: found.epoch, endOffset: this.#hoarded[at + 1]?.startOffset ?? logEndOffset };
  }
  /** Entries at the log end stay: the fault. */
  override truncateFromEnd(endOffset: Offset): boolean {
    this.#hoarded = this.#hoarded.filter((entry) => entry.startOffset <= endOffset);
    return true;
  }
  override truncateFromStart(): boolean {
    return false;
  }
  override clear(): boolean {
    this.#hoarded = [];
    return true;
  }
}
