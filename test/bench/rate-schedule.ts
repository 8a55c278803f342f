/** When is each record of a fixed rate due? By the clock alone: a late look finds all that fell due meanwhile. */
export class RateSchedule {
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #periodMs: number;
  #taken = 0;

  constructor(startMs: number, endMs: number, ratePerSecond: number) {
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#periodMs = 1000 / ratePerSecond;
  }

  /** Due times in (last look, nowMs], rising; nothing is due at the end or after it. */
  takeDue(nowMs: number): number[] {
    const due: number[] = [];
    for (;;) {
      const dueMs = this.#startMs + this.#taken * this.#periodMs;
      if (dueMs > nowMs || dueMs >= this.#endMs) return due;
      due.push(dueMs);
      this.#taken += 1;
    }
  }
}
