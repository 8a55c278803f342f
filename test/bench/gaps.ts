/** How long did a partition go without an acknowledgement around an event? */
export interface Gap {
  ms: number;
  /** From the event to the gap's start; negative where the last acknowledgement came before the event. */
  startsAfterMs: number;
  /** False when nothing was acknowledged from the gap's start to the end of the window: then `ms` is a lower bound. */
  hasEnded: boolean;
}

/**
 * The longest time between two neighbouring acknowledgements of which the later lies in (fromMs, toMs], or between the
 * last one and `toMs`. `ackMs` rises. An acknowledgement before `fromMs` counts as the gap's start; without any, fromMs.
 */
export function longestGap(ackMs: readonly number[], fromMs: number, toMs: number): Gap {
  let last = fromMs;
  let longest: Gap = { ms: 0, startsAfterMs: 0, hasEnded: true };
  for (const at of ackMs) {
    if (at > toMs) break;
    if (at > fromMs && at - last > longest.ms)
      longest = { ms: at - last, startsAfterMs: last - fromMs, hasEnded: true };
    last = at;
  }
  if (toMs - last > longest.ms) longest = { ms: toMs - last, startsAfterMs: last - fromMs, hasEnded: false };
  return longest;
}
