/**
 * Has this batch of an idempotent producer been appended before, and does it follow the last one?
 * (`ProducerStateManager.java`, `ProducerAppendInfo.java`; kafka-protocol.md b.4, I34)
 *
 * Per producer id: its epoch and its last five batches, since a producer has up to five requests under way. The state
 * follows from the log alone: `append` is called for every batch in offset order, by leaders, by followers and by
 * recovery, and nothing else changes it; so each replica has the same. Pure; `producer-snapshot.ts` gives it bytes.
 *
 * What a client's batch is answered (`first` is its first sequence, `last` that of the newest batch):
 *
 *     state of the producer id   | its epoch | sequence                    | answer
 *     none, or expired           | any       | any                         | append
 *     there                      | lower     | any                         | INVALID_PRODUCER_EPOCH
 *     there                      | same      | (first, last) of one of 5   | the offset it has: a duplicate
 *     there                      | same      | first = last + 1, wrapping  | append
 *     there                      | higher    | first = 0                   | append
 *     there                      | any       | anything else               | OUT_OF_ORDER_SEQUENCE_NUMBER
 */
import type { Offset, ProducerId } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import type { EndTransactionMarker } from '../records/control-record.ts';

export interface ProducerBatch {
  readonly lastSequence: number;
  readonly lastOffset: Offset;
  /** lastOffset less the offset of its first record. */
  readonly offsetDelta: number;
  /** Milliseconds; the batch's maximum. */
  readonly timestampMs: number;
}

export interface ProducerEntry {
  readonly producerId: ProducerId;
  readonly producerEpoch: number;
  /** Oldest first, at most five, of this epoch; empty after a marker has raised the epoch. */
  readonly batches: readonly ProducerBatch[];
  /** Milliseconds, of the last batch or marker: what expiry counts from. */
  readonly lastTimestampMs: number;
  /** -1 before any marker. */
  readonly coordinatorEpoch: number;
  /** First offset of the open transaction, -1 for none. */
  readonly currentTxnFirstOffset: number;
}

/** Batches remembered per producer, Kafka's `NUM_BATCHES_TO_RETAIN`. */
export const batchesPerProducer = 5;

const firstSequenceOf = (batch: ProducerBatch): number => {
  const first = batch.lastSequence - batch.offsetDelta;
  return first < 0 ? first + 0x80000000 : first;
};

export const firstOffsetOf = (batch: ProducerBatch): Offset => (batch.lastOffset - batch.offsetDelta) as Offset;

const outOfOrder = (reason: string): BrokerError => new BrokerError({ code: 'OUT_OF_ORDER_SEQUENCE_NUMBER', reason });
const oldEpoch = (reason: string): BrokerError => new BrokerError({ code: 'INVALID_PRODUCER_EPOCH', reason });

export class ProducerState {
  readonly #entries = new Map<ProducerId, ProducerEntry>();
  /** When this process took note of a producer's last batch, in milliseconds: its records may carry any time. */
  readonly #heardMs = new Map<ProducerId, number>();

  /** In the order in which the producers were first seen. */
  get entries(): Iterable<ProducerEntry> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  entryOf(producerId: ProducerId): ProducerEntry | null {
    return this.#entries.get(producerId) ?? null;
  }

  /** As read from a snapshot. */
  restore(entry: ProducerEntry): void {
    this.#entries.set(entry.producerId, entry);
  }

  clear(): void {
    this.#entries.clear();
    this.#heardMs.clear();
  }

  /**
   * Forgets a producer without an open transaction that has written nothing for `expirationMs`, and gives whether it is one.
   * `entry` may have been taken down some time ago: one that has written since is not forgotten.
   */
  expire(entry: ProducerEntry, nowMs: number, expirationMs: number): boolean {
    if (!this.#isExpired(entry, nowMs, expirationMs)) return false;
    if (this.#entries.get(entry.producerId) === entry) {
      this.#entries.delete(entry.producerId);
      this.#heardMs.delete(entry.producerId);
    }
    return true;
  }

  /**
   * Counts from the last batch's time or from when it was taken note of, the later: whoever writes records of long ago
   * would else have no protection from duplicates (Kafka forgets such a producer within ten minutes).
   */
  #isExpired(entry: ProducerEntry, nowMs: number, expirationMs: number): boolean {
    const heardMs = this.#heardMs.get(entry.producerId) ?? Number.NEGATIVE_INFINITY;
    return entry.currentTxnFirstOffset < 0 && nowMs - Math.max(entry.lastTimestampMs, heardMs) >= expirationMs;
  }

  /**
   * Checks a batch that carries a producer id, of a client or (control batches) of a transaction coordinator. Gives the
   * batch that it repeats, or null when it is to be appended. Throws the refusals of the table above.
   */
  check(batch: Buffer, nowMs: number, expirationMs: number): ProducerBatch | null {
    const entry = this.#entries.get(header.producerIdOf(batch));
    if (entry === undefined || this.#isExpired(entry, nowMs, expirationMs)) return null;
    const epoch = header.producerEpochOf(batch);
    if (epoch < entry.producerEpoch)
      throw oldEpoch(`producer ${entry.producerId} has epoch ${entry.producerEpoch}, the batch has ${epoch}`);
    if (header.isControlBatch(batch)) return null;
    const first = header.baseSequenceOf(batch);
    if (epoch !== entry.producerEpoch) {
      if (first === 0) return null;
      throw outOfOrder(`the first batch of epoch ${epoch} of producer ${entry.producerId} begins at sequence ${first}`);
    }
    const last = header.lastSequenceOf(batch);
    for (const known of entry.batches)
      if (known.lastSequence === last && firstSequenceOf(known) === first) return known;
    const newest = entry.batches.at(-1)?.lastSequence ?? header.noSequence;
    if (first === header.sequenceAfter(newest, 1)) return null;
    throw outOfOrder(`producer ${entry.producerId} sent sequence ${first} after ${newest}`);
  }

  /**
   * Takes note of a batch that is in the log, its base offset assigned. `marker` is what a control batch says. Batches
   * without a producer id change nothing. `nowMs` where the batch has just been written or found.
   */
  append(batch: Buffer, marker: EndTransactionMarker | null, nowMs: number | null = null): void {
    const producerId = header.producerIdOf(batch);
    if (producerId < 0) return;
    if (nowMs !== null) this.#heardMs.set(producerId, nowMs);
    const entry = this.#entries.get(producerId);
    const producerEpoch = header.producerEpochOf(batch);
    const timestampMs = header.maxTimestampOf(batch);
    if (header.isControlBatch(batch)) {
      if (marker === null) return;
      this.#entries.set(producerId, {
        producerId,
        producerEpoch,
        batches: entry?.producerEpoch === producerEpoch ? entry.batches : [],
        lastTimestampMs: timestampMs,
        coordinatorEpoch: marker.coordinatorEpoch,
        currentTxnFirstOffset: -1,
      });
      return;
    }
    const lastOffset = header.lastOffsetOf(batch);
    const added: ProducerBatch = {
      lastSequence: header.lastSequenceOf(batch),
      lastOffset,
      offsetDelta: header.lastOffsetDeltaOf(batch),
      timestampMs,
    };
    const before = entry?.producerEpoch === producerEpoch ? entry.batches : [];
    const openSince = entry?.currentTxnFirstOffset ?? -1;
    this.#entries.set(producerId, {
      producerId,
      producerEpoch,
      batches: [...before.slice(Math.max(0, before.length - batchesPerProducer + 1)), added],
      lastTimestampMs: timestampMs,
      coordinatorEpoch: entry?.coordinatorEpoch ?? -1,
      currentTxnFirstOffset: openSince < 0 && header.isTransactional(batch) ? header.baseOffsetOf(batch) : openSince,
    });
  }
}
