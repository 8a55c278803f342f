/**
 * How much may coordinators do before everybody else gets a turn? Sockets that become readable together are served in one
 * turn of the event loop: a thousand members that join at once would hold up every other client for as long as all of them
 * take. Work goes through in the order it came; what does not fit into a turn waits for the next.
 */
import type { Clock, Timers } from '../../env/clock.ts';

export class FairTurns {
  readonly #budgetMs: number;
  readonly #modules: { readonly clock: Clock; readonly timers: Timers };
  readonly #waiting: (() => void)[] = [];
  #spentMs = 0;
  #hasNextTurn = false;

  constructor(options: { readonly budgetMs: number }, modules: { readonly clock: Clock; readonly timers: Timers }) {
    this.#budgetMs = options.budgetMs;
    this.#modules = modules;
  }

  /** What `work` gives, at once or a turn later. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting.length === 0 && this.#spentMs < this.#budgetMs) return this.#timed(work);
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#timed(work)));
    });
  }

  async #timed<Result>(work: () => Promise<Result>): Promise<Result> {
    const startMs = this.#modules.clock.monotonicMs();
    try {
      return work();
    } finally {
      this.#spentMs += this.#modules.clock.monotonicMs() - startMs;
      this.#prepareNextTurn();
    }
  }

  #prepareNextTurn(): void {
    if (this.#hasNextTurn) return;
    this.#hasNextTurn = true;
    this.#modules.timers.setTimer(0, () => {
      this.#hasNextTurn = false;
      this.#spentMs = 0;
      while (this.#spentMs < this.#budgetMs) {
        const next = this.#waiting.shift();
        if (next === undefined) break;
        next();
      }
      if (this.#waiting.length > 0) this.#prepareNextTurn();
    });
  }
}
