/**
 * When does a running broker or cluster stop? At the first Ctrl-C (or SIGTERM, or when its terminal goes away) in an
 * orderly way, at the second one at once.
 */
import type { Clock } from '../env/clock.ts';
import { exitCode } from './exit-code.ts';

/**
 * npm passes a Ctrl-C on to its script, which had it from the terminal already: the two arrive within milliseconds and
 * are one. Nobody presses twice that fast.
 */
const sameSignalMs = 300;

/** Fulfilled with the first signal; the next one ends the process. */
export function firstStopSignal(clock: Clock): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const onSignal = (signal: NodeJS.Signals): void => {
      const nowMs = clock.monotonicMs();
      if (firstMs === null) {
        firstMs = nowMs;
        resolve(signal);
      } else if (nowMs - firstMs > sameSignalMs) process.exit(exitCode.interrupted);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
