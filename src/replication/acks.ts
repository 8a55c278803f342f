/**
 * When a produce request is answered, and with what. One table, then the functions that encode it.
 *
 *     acks      | before the append              | answered once …                  | at the time limit
 *     ----------|--------------------------------|----------------------------------|-----------------------------------
 *     0         | –                              | never: the client does not wait  | –
 *     1         | –                              | the record is in the leader's log| –
 *     all (-1)  | ISR < min ISR:                 | the high watermark passes its    | ISR < min ISR:
 *               | NOT_ENOUGH_REPLICAS, nothing   | last offset, under the leader    | NOT_ENOUGH_REPLICAS_AFTER_APPEND
 *               | is written                     | epoch it was appended in (I18)   | else REQUEST_TIMED_OUT
 *     all (-1)  |                                | another leader epoch begins, or  |
 *               |                                | the replica stops leading:       |
 *               |                                | NOT_LEADER                       |
 *     any other | INVALID_REQUIRED_ACKS          |                                  |
 *
 * Departure from Kafka: it answers NOT_ENOUGH_REPLICAS_AFTER_APPEND as soon as the record is on all of an ISR that is
 * too small. Here the high watermark stands still below min ISR (I11, KIP-966), so the write waits for the ISR to grow
 * until its own time limit.
 */
import type { Fault } from '../model/fault.ts';

/** What an acks decision needs to know of the partition; `LeaderState` has both. */
export interface AcksView {
  readonly canAcceptAcksAll: boolean;
}

/** Why a write with these acks is refused before anything is appended; null: append it. */
export function refusalBeforeAppend(acks: number, leader: AcksView): Fault | null {
  if (acks !== -1 && acks !== 0 && acks !== 1) return { code: 'INVALID_REQUIRED_ACKS' };
  if (acks === -1 && !leader.canAcceptAcksAll) return { code: 'NOT_ENOUGH_REPLICAS' };
  return null;
}

/** Whether the answer waits for the high watermark. */
export const waitsForCommit = (acks: number): boolean => acks === -1;

/** What a waiting write is told at its time limit: it is in the log and not confirmed. */
export const faultAtDeadline = (leader: AcksView): Fault =>
  leader.canAcceptAcksAll ? { code: 'REQUEST_TIMED_OUT' } : { code: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' };
