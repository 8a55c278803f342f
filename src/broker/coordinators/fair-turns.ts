/**
 * How long may coordinators go on before everybody else gets a turn? Sockets that become readable together are served in
 * one turn of the event loop, and one event may answer all who wait: a thousand members that join at once, or are told of
 * their assignment at once, would hold up every other client for as long as all of them take.
 *
 *     whenFree ──► line ──► one after another while the turn is young ──► a timer ──► the next turn …
 */
import type { Clock, Timers } from '../../env/clock.ts';

interface Turn {
  readonly startMs: number;
  readonly ended: Promise<void>;
}

export class FairTurns {
  readonly #budgetMs: number;
  readonly #modules: { readonly clock: Clock; readonly timers: Timers };
  /** From `#next` on: to take the first of a long array moves all others, so that is done now and then. */
  readonly #line: (() => void)[] = [];
  #next = 0;
  #isMoving = false;
  /** Begins with the first who asks. */
  #turn: Turn | null = null;

  constructor(options: { readonly budgetMs: number }, modules: { readonly clock: Clock; readonly timers: Timers }) {
    this.#budgetMs = options.budgetMs;
    this.#modules = modules;
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
      const { startMs, ended } = this.#thisTurn();
      if (this.#modules.clock.monotonicMs() - startMs >= this.#budgetMs) {
        await ended;
        continue;
      }
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

  #thisTurn(): Turn {
    this.#turn ??= {
      startMs: this.#modules.clock.monotonicMs(),
      ended: new Promise((resolve) => {
        this.#modules.timers.setTimer(0, () => {
          this.#turn = null;
          resolve();
        });
      }),
    };
    return this.#turn;
  }
}
