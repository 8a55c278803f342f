/** A promise of a timer, for code that waits between two attempts or lets the event loop turn (0). */
import type { Timers } from './clock.ts';

export const pause = (timers: Timers, delayMs: number): Promise<void> =>
  new Promise((resolve) => timers.setTimer(delayMs, resolve));
