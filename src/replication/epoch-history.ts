/**
 * Which leader epoch wrote which offsets of a log, as replication asks for it. `log/` keeps the cache this is read
 * from; the simulation hands in the same one.
 */
import type { LeaderEpoch, Offset } from '../model/brands.ts';

/** Where the records of one leader epoch end; `endOffset` is exclusive. */
export interface EpochEnd {
  readonly epoch: LeaderEpoch;
  readonly endOffset: Offset;
}

export interface EpochHistory {
  /**
   * The largest known epoch that is not above `epoch`, and where it ends: the start of the next known epoch, or
   * `logEndOffset` where none follows. None known that low: `epoch` itself and `logStartOffset` (§2.6).
   */
  endFor(epoch: LeaderEpoch, logEndOffset: Offset, logStartOffset: Offset): EpochEnd;
}
