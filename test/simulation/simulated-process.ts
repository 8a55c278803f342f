/** One run of one broker's program, as the machine sees it: it can be killed, and stopped for a while (SIGSTOP). */
import type { BrokerId } from '../../src/model/brands.ts';
import type { Scheduler } from './scheduler.ts';

export class SimulatedProcess {
  readonly brokerId: BrokerId;
  readonly #scheduler: Scheduler;
  /** What came in while it was stopped: the kernel keeps it. */
  #backlog: (() => void)[] = [];
  isDead = false;
  isPaused = false;
  #lastContactMs: number;

  constructor(brokerId: BrokerId, scheduler: Scheduler) {
    this.brokerId = brokerId;
    this.#scheduler = scheduler;
    this.#lastContactMs = scheduler.nowMs;
  }

  /**
   * When the newest of these was sent: a message of another process that has reached this one, or the question that the
   * store has answered with this being the controller (I19).
   */
  get lastContactMs(): number {
    return this.#lastContactMs;
  }

  noteContact(sentMs: number): void {
    this.#lastContactMs = Math.max(this.#lastContactMs, sentMs);
  }

  /** Now, or once the process runs again; never after its death. */
  run(task: () => void): void {
    if (this.isDead) return;
    if (this.isPaused) this.#backlog.push(task);
    else task();
  }

  after(delayMs: number, task: () => void): void {
    this.#scheduler.after(delayMs, () => this.run(task));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const task of backlog) this.run(task);
  }

  die(): void {
    this.isDead = true;
    this.#backlog = [];
  }
}
