/**
 * How long may coordinators go on before everybody else gets a turn? Sockets that become readable together are served in
 * one turn of the event loop, and one event may answer all who wait: a thousand members that join at once, or are told of
 * their assignment at once, would hold up every other client for as long as all of them take.
 *
 *     whenFree ──► line ──► one after another while the turn is young ──► a timer ──► the next turn …
 */
import type { Clock, Timers } from '../../env/clock.ts';
import { TurnBudget } from '../../env/turn-budget.ts';

export class FairTurns {
  readonly #budget: TurnBudget;
  /** From `#next` on: to take the first of a long array moves all others, so that is done now and then. */
  readonly #line: (() => void)[] = [];
  #next = 0;
  #isMoving = false;

  constructor(options: { readonly budgetMs: number }, modules: { readonly clock: Clock; readonly timers: Timers }) {
    this.#budget = new TurnBudget(options, modules);
  }

  /** In the order of the calls. All that went on in a turn counts, whoever did it. */
  whenFree(): Promise<void> {
    return new Promise((resolve) => {
      this.#line.push(resolve);
      if (!this.#isMoving) void this.#move();
    });
  }

  async #move(): Promise<void> {
    this.#isMoving = true;
    while (this.#next < this.#line.length) {
      while (!this.#budget.hasTime) await this.#budget.nextTurn();
      this.#letNextGo();
      // Who was let through begins before the time is looked at again.
      await null;
    }
    this.#isMoving = false;
  }

  #letNextGo(): void {
    this.#line[this.#next++]?.();
    if (this.#next * 2 < this.#line.length) return;
    this.#line.splice(0, this.#next);
    this.#next = 0;
  }
}
