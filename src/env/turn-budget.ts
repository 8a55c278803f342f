/**
 * How long may one kind of work take in one turn of the event loop? Long work is done in steps, and asks before each of
 * them; sockets that become readable together are served in one turn, so work that is short asks as well.
 */
import type { Clock, Timers } from './clock.ts';
import { pause } from './pause.ts';

export class TurnBudget {
  readonly #budgetMs: number;
  readonly #modules: { readonly clock: Clock; readonly timers: Timers };
  /** When this turn's time is over, on the monotonic clock; null where nobody has asked in it. */
  #endMs: number | null = null;

  constructor(options: { readonly budgetMs: number }, modules: { readonly clock: Clock; readonly timers: Timers }) {
    this.#budgetMs = options.budgetMs;
    this.#modules = modules;
  }

  /** Whether the next step may be done in this turn. Time counts from the first time this is asked in it. */
  get hasTime(): boolean {
    const nowMs = this.#modules.clock.monotonicMs();
    if (this.#endMs === null) {
      this.#endMs = nowMs + this.#budgetMs;
      this.#modules.timers.setTimer(0, () => {
        this.#endMs = null;
      });
    }
    return nowMs < this.#endMs;
  }

  /** Resolves in a turn to come. */
  nextTurn(): Promise<void> {
    return pause(this.#modules.timers, 0);
  }
}
