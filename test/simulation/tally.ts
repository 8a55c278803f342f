/** What a series of seeds amounted to, and how one of them is played again. */
import type { DeliberateFault } from './deliberate-fault.ts';
import type { RunResult } from './world.ts';

export const replayCommand = (seed: number, fault: DeliberateFault | null, hasGroups = false): string =>
  `npm run simulate -- --seed ${seed}${fault ? ` --fault ${fault.name}` : ''}${hasGroups ? ' --groups' : ''}`;

export class Tally {
  seeds = 0;
  red = 0;
  simulatedMs = 0;
  steps = 0;
  committedRecords = 0;
  groupAnswers = 0;
  readonly #startedMs = performance.now();

  add(result: RunResult): void {
    this.seeds++;
    if (result.violation) this.red++;
    this.simulatedMs += result.simulatedMs;
    this.steps += result.steps;
    this.committedRecords += result.committedRecords;
    this.groupAnswers += result.groupAnswers;
  }

  summary(): string {
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    return [
      `${this.seeds} seeds, ${this.red} red`,
      `${(this.simulatedMs / 60_000).toFixed(1)} simulated minutes in ${seconds.toFixed(1)} s (${(this.seeds / seconds).toFixed(1)} seeds/s)`,
      `${this.steps} steps, ${this.committedRecords} committed records, ${this.groupAnswers} answers to groups`,
    ].join('; ');
  }
}
