/**
 * Who is told when this broker's image, or what follows from it, has moved on: requests that wait for it, each for a
 * bounded time.
 */
import type { Timers } from '../env/clock.ts';

export class MetadataWatch {
  readonly #timers: Timers;
  readonly #listeners = new Set<() => void>();

  constructor(modules: { timers: Timers }) {
    this.#timers = modules.timers;
  }

  /** The image has applied another revision, or something else that is waited for may have changed. */
  notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Fulfilled with true as soon as `condition` holds, which is looked at now and after each revision; else false. */
  until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (isMet: boolean): void => {
        timer.cancel();
        this.#listeners.delete(look);
        resolve(isMet);
      };
      const look = (): void => {
        if (condition()) finish(true);
      };
      const timer = this.#timers.setTimer(timeoutMs, () => finish(condition()));
      this.#listeners.add(look);
    });
  }
}
