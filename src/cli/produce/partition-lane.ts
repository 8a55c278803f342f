/**
 * In which order do the records of one partition leave, and what happens to a batch that was not acknowledged? One batch
 * is in flight at a time and is sent again, the same bytes with the same sequence, until it is acknowledged, refused for
 * good, or late: so records keep their order, and with an idempotent producer none stands twice.
 *
 *     push → queue → batch → send ─ acknowledged → next batch
 *                              ├─── retry        → wait, send the same again, until the delivery timeout
 *                              └─── refused      → the lane has failed; nothing more is sent
 */
import type { Clock, Timers } from '../../env/clock.ts';
import { pause } from '../../env/pause.ts';
import { sequenceAfter } from '../../records/batch-header.ts';

export interface LaneRecord {
  readonly key?: Buffer;
  readonly value: Buffer;
  /** Milliseconds since 1970; set when the line was read, so that a repeat has the same bytes. */
  readonly timestamp: bigint;
  readonly headers?: Map<Buffer, Buffer>;
}

/** What came of sending a batch once. */
export type Attempt =
  | { readonly kind: 'acknowledged'; readonly baseOffset: bigint }
  /** `mayBeWritten`: the broker may have the records although it did not say so. */
  | { readonly kind: 'retry'; readonly reason: string; readonly mayBeWritten: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

export interface LaneOptions {
  /** The most bytes of records in one batch, before compression; a single larger record goes alone. */
  readonly batchBytes: number;
  /** What a record takes at most besides its key and value: lengths, deltas, headers. */
  readonly recordOverheadBytes: number;
  readonly maxBatchRecords: number;
  /** From the first sending of a batch to giving it up, in milliseconds. */
  readonly deliveryTimeoutMs: number;
}

export interface LaneModules {
  readonly clock: Clock;
  readonly timers: Timers;
  /** One sending. Never rejects. */
  send(records: readonly LaneRecord[], baseSequence: number): Promise<Attempt>;
  /** Records and bytes that left the lane acknowledged. */
  onAcknowledged(records: number, bytes: number): void;
  onFailed(reason: string): void;
}

export interface LaneCounts {
  readonly acknowledged: number;
  /** Sent, without an answer that says what became of them. */
  readonly unknown: number;
  /** Refused, or never sent. */
  readonly unsent: number;
  /** Null until the first acknowledgement. */
  readonly firstOffset: bigint | null;
  /** Exclusive: the offset after the last one acknowledged. */
  readonly endOffset: bigint | null;
}

const firstBackoffMs = 10;
const longestBackoffMs = 250;

export const recordBytes = (record: LaneRecord): number => record.value.length + (record.key?.length ?? 0);

export class PartitionLane {
  readonly #options: LaneOptions;
  readonly #modules: LaneModules;
  #queue: LaneRecord[] = [];
  /** The first record of `#queue` that is not in a batch yet. */
  #next = 0;
  #nextSequence = 0;
  #isRunning = false;
  #isAbandoned = false;
  #idleWaiters: (() => void)[] = [];
  #acknowledged = 0;
  #unknown = 0;
  #firstOffset: bigint | null = null;
  #endOffset: bigint | null = null;

  constructor(options: LaneOptions, modules: LaneModules) {
    this.#options = options;
    this.#modules = modules;
  }

  get counts(): LaneCounts {
    return {
      acknowledged: this.#acknowledged,
      unknown: this.#unknown,
      unsent: this.#queue.length - this.#next - this.#unknown,
      firstOffset: this.#firstOffset,
      endOffset: this.#endOffset,
    };
  }

  push(records: readonly LaneRecord[]): void {
    for (const record of records) this.#queue.push(record);
    if (!this.#isRunning && !this.#isAbandoned) {
      this.#isRunning = true;
      void this.#run();
    }
  }

  /** Sends nothing new; what is in flight gets its one answer. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** Fulfilled when nothing is in flight and nothing will be sent without another `push`. */
  whenIdle(): Promise<void> {
    return this.#isRunning ? new Promise((resolve) => this.#idleWaiters.push(resolve)) : Promise.resolve();
  }

  async #run(): Promise<void> {
    while (!this.#isAbandoned && this.#next < this.#queue.length) {
      const { batch, bytes } = this.#takeBatch();
      const isDelivered = await this.#deliver(batch, bytes);
      if (!isDelivered) this.#isAbandoned = true;
    }
    this.#isRunning = false;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #takeBatch(): { batch: LaneRecord[]; bytes: number } {
    const { batchBytes, recordOverheadBytes, maxBatchRecords } = this.#options;
    const start = this.#next;
    let end = start;
    let bytes = 0;
    while (end < this.#queue.length && end - start < maxBatchRecords) {
      const more = recordBytes(this.#queue[end] as LaneRecord);
      // Of short lines the overhead is the larger part: without it, a batch of them is larger than a topic takes.
      if (end > start && bytes + more + (end - start + 1) * recordOverheadBytes > batchBytes) break;
      bytes += more;
      end += 1;
    }
    return { batch: this.#queue.slice(start, end), bytes };
  }

  /** Whether the batch was acknowledged; it stays at the head of the queue where it was not. */
  async #deliver(batch: readonly LaneRecord[], bytes: number): Promise<boolean> {
    const { clock } = this.#modules;
    const giveUpMs = clock.monotonicMs() + this.#options.deliveryTimeoutMs;
    let backoffMs = firstBackoffMs;
    let mayBeWritten = false;
    for (;;) {
      const attempt = await this.#modules.send(batch, this.#nextSequence);
      if (attempt.kind === 'acknowledged') {
        this.#onAcknowledged(batch.length, bytes, attempt.baseOffset);
        return true;
      }
      if (attempt.kind === 'retry') {
        mayBeWritten ||= attempt.mayBeWritten;
        const isLate = clock.monotonicMs() + backoffMs >= giveUpMs;
        if (!isLate && !this.#isAbandoned) {
          await pause(this.#modules.timers, backoffMs);
          backoffMs = Math.min(backoffMs * 2, longestBackoffMs);
          continue;
        }
      }
      if (mayBeWritten) this.#unknown = batch.length;
      this.#modules.onFailed(
        attempt.kind === 'refused' ? attempt.reason : `${attempt.reason}, for ${this.#options.deliveryTimeoutMs} ms`,
      );
      return false;
    }
  }

  #onAcknowledged(records: number, bytes: number, baseOffset: bigint): void {
    this.#next += records;
    this.#acknowledged += records;
    this.#nextSequence = sequenceAfter(this.#nextSequence, records);
    // A repeat that the broker knew already may be answered without its offset (-1), and acks=0 never has one.
    if (baseOffset >= 0n) {
      this.#firstOffset ??= baseOffset;
      this.#endOffset = baseOffset + BigInt(records);
    }
    // Cut off what has left, now and then: doing it for each batch would copy the whole queue each time.
    if (this.#next === this.#queue.length || this.#next > 100_000) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    this.#modules.onAcknowledged(records, bytes);
  }
}
