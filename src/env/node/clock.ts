/** What time is it, on this machine? The only place that reads its clocks. */
import type { Clock } from '../clock.ts';

export const nodeClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
