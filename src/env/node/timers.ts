/**
 * When does a callback run, on this machine? Node's timers with three corrections: they never fire early (Node's may, by
 * the fraction of a millisecond that its cached loop time is behind), a delay beyond 2^31 - 1 ms is waited for in
 * stages (Node fires at once), and a repeating timer keeps to start + k * period instead of adding up its delays.
 *
 * A pending timer keeps the process alive: whoever waits for one must not see the process end under it. Services cancel
 * theirs when they stop.
 */
import type { Timer, Timers } from '../clock.ts';

/** Node's longest delay, in milliseconds; a longer one overflows and fires at once. */
const longestDelayMs = 2 ** 31 - 1;

function runAt(dueMs: number, callback: () => void): Timer {
  let handle: NodeJS.Timeout;
  const arm = (): void => {
    const restMs = dueMs - performance.now();
    handle = setTimeout(onFired, Math.min(Math.max(Math.ceil(restMs), 0), longestDelayMs));
  };
  const onFired = (): void => {
    if (performance.now() < dueMs) arm();
    else callback();
  };
  arm();
  return { cancel: () => clearTimeout(handle) };
}

export const nodeTimers: Timers = {
  setTimer: (delayMs, callback) => runAt(performance.now() + delayMs, callback),

  setRepeatingTimer(periodMs, callback) {
    let dueMs = performance.now() + periodMs;
    let isCancelled = false;
    let current: Timer;
    const onDue = (): void => {
      const nowMs = performance.now();
      // Periods that passed while the loop was held up are left out, and the beat stays the old one.
      dueMs += periodMs * Math.max(1, Math.ceil((nowMs - dueMs) / periodMs));
      // Armed first: a callback that cancels must find the next run to cancel.
      current = runAt(dueMs, onDue);
      if (!isCancelled) callback();
    };
    current = runAt(dueMs, onDue);
    return {
      cancel() {
        isCancelled = true;
        current.cancel();
      },
    };
  },
};
