/**
 * The acks=all writes of one partition that wait for the high watermark: ordered by offset, of one leader epoch, bounded.
 * No timer here: whoever holds it calls `expire` at `nextDeadlineMs`.
 */
import { assert } from '../model/assert.ts';
import type { LeaderEpoch, Offset } from '../model/brands.ts';
import type { Fault } from '../model/fault.ts';
import { type AcksView, faultAtDeadline } from './acks.ts';

export interface ProduceWaiter {
  /** The offset after its last record: done once the high watermark is there. */
  readonly endOffset: Offset;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  /** Called exactly once; null means committed. Must not call back into the waiters. */
  complete(fault: Fault | null): void;
}

export class ProduceWaiters {
  readonly leaderEpoch: LeaderEpoch;
  readonly #limit: number;
  /** By endOffset, lowest first, from #head on. */
  #waiters: ProduceWaiter[] = [];
  #head = 0;

  /** `limit`: how many writes may wait; one more is refused with REQUEST_TIMED_OUT at once. */
  constructor(leaderEpoch: LeaderEpoch, limit: number) {
    this.leaderEpoch = leaderEpoch;
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiters.length - this.#head;
  }

  /** When `expire` has something to do, at the earliest; Infinity when nobody waits. */
  get nextDeadlineMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = this.#head; i < this.#waiters.length; i++) {
      const deadlineMs = this.#waiters[i]?.deadlineMs ?? earliest;
      if (deadlineMs < earliest) earliest = deadlineMs;
    }
    return earliest;
  }

  /** A write appended under `appendedIn`; another epoch than that of these waiters never completes well (I18). */
  add(waiter: ProduceWaiter, appendedIn: LeaderEpoch, highWatermark: Offset): void {
    assert(appendedIn === this.leaderEpoch, 'waiters are of one leader epoch');
    if (waiter.endOffset <= highWatermark) {
      waiter.complete(null);
      return;
    }
    if (this.size >= this.#limit) {
      waiter.complete({ code: 'REQUEST_TIMED_OUT' });
      return;
    }
    // Nearly always the last one; the repeat of an idempotent batch waits for an older offset.
    let at = this.#waiters.length;
    while (at > this.#head && (this.#waiters[at - 1]?.endOffset ?? 0) > waiter.endOffset) at--;
    this.#waiters.splice(at, 0, waiter);
  }

  onHighWatermark(highWatermark: Offset): void {
    for (let first = this.#waiters[this.#head]; first !== undefined && first.endOffset <= highWatermark; ) {
      this.#head++;
      first.complete(null);
      first = this.#waiters[this.#head];
    }
    if (this.#head > 64 && this.#head * 2 > this.#waiters.length) {
      this.#waiters = this.#waiters.slice(this.#head);
      this.#head = 0;
    }
  }

  expire(nowMs: number, leader: AcksView): void {
    const waiting = this.#take();
    this.#waiters = waiting.filter((waiter) => waiter.deadlineMs > nowMs);
    for (const waiter of waiting) if (waiter.deadlineMs <= nowMs) waiter.complete(faultAtDeadline(leader));
  }

  /** The leader epoch is over, or the log failed: whether these writes survive is not known here. */
  failAll(fault: Fault): void {
    for (const waiter of this.#take()) waiter.complete(fault);
  }

  #take(): ProduceWaiter[] {
    const waiting = this.#waiters.slice(this.#head);
    this.#waiters = [];
    this.#head = 0;
    return waiting;
  }
}
