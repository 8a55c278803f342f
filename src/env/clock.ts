/** Time as an argument. Only `env/node/` reads the machine's clocks. */
export interface Clock {
  /** Milliseconds since 1970, may jump; for timestamps in records and for people. */
  wallMs(): number;
  /** Milliseconds of a clock that never goes back; for every timeout and every lag. Has fractions. */
  monotonicMs(): number;
}

/** What `setTimer` and `setRepeatingTimer` give back. Cancelling twice is harmless. */
export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Runs `callback` once, no earlier than after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` every `periodMs` until cancelled; a late run is not made up for. */
  setRepeatingTimer(periodMs: number, callback: () => void): Timer;
}
