/** Time that stands still until a test moves it: what is due then runs in order of time, and of setting where equal. */
import type { Clock, Timer, Timers } from '../../src/env/clock.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  run(): void;
}

export class ManualTime implements Clock, Timers {
  #nowMs: number;
  readonly #wallAtZeroMs: number;
  #timersSet = 0;
  readonly #due = new Set<Due>();

  constructor(nowMs = 1_000, wallAtZeroMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
    this.#wallAtZeroMs = wallAtZeroMs;
  }

  wallMs(): number {
    return this.#wallAtZeroMs + Math.floor(this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const due: Due = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#timersSet++,
      run: () => {
        this.#due.delete(due);
        callback();
      },
    };
    this.#due.add(due);
    return { cancel: () => this.#due.delete(due) };
  }

  setRepeatingTimer(periodMs: number, callback: () => void): Timer {
    let current: Timer;
    const again = (): void => {
      current = this.setTimer(periodMs, again);
      callback();
    };
    current = this.setTimer(periodMs, again);
    return { cancel: () => current.cancel() };
  }

  /** Moves time on, running what falls due at its own time, and lets promises settle between the timers. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settled();
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settled();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Due | null {
    let first: Due | null = null;
    for (const due of this.#due)
      if (
        due.atMs <= untilMs &&
        (!first || due.atMs < first.atMs || (due.atMs === first.atMs && due.order < first.order))
      )
        first = due;
    return first;
  }
}

/** Promises that were settled have run their reactions, several deep. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
