/**
 * A broker fenced three times in a minute waits before it becomes ACTIVE again, longer each time (§2.3): every false
 * alarm costs the uncopied tail of acks=1 and a pause. Counted per start of a broker: one that was restarted was
 * really dead, and keeping it away would only leave fewer replicas.
 */
import type { BrokerEpoch, BrokerId } from '../model/brands.ts';
import type { ControlOptions } from './control-options.ts';

interface Flaps {
  readonly brokerEpoch: BrokerEpoch;
  fencedAtMs: number[];
  penalties: number;
  waitsUntilMs: number;
}

export class FlapDamping {
  readonly #options: ControlOptions;
  readonly #flaps = new Map<BrokerId, Flaps>();

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  onFenced(id: BrokerId, brokerEpoch: BrokerEpoch, nowMs: number): void {
    const { flapCount, flapWindowMs, flapPenaltyMs, flapPenaltyMaxMs } = this.#options;
    const known = this.#flaps.get(id);
    const flaps: Flaps =
      known?.brokerEpoch === brokerEpoch
        ? known
        : { brokerEpoch, fencedAtMs: [], penalties: 0, waitsUntilMs: Number.NEGATIVE_INFINITY };
    this.#flaps.set(id, flaps);
    // Calm for a whole window forgives what was before.
    if (nowMs - (flaps.fencedAtMs.at(-1) ?? nowMs) > flapWindowMs + this.#penaltyMs(flaps.penalties))
      flaps.penalties = 0;
    flaps.fencedAtMs = [...flaps.fencedAtMs.filter((atMs) => nowMs - atMs < flapWindowMs), nowMs];
    if (flaps.fencedAtMs.length < flapCount && flaps.penalties === 0) return;
    flaps.waitsUntilMs = nowMs + Math.min(flapPenaltyMs * 2 ** flaps.penalties, flapPenaltyMaxMs);
    flaps.penalties++;
  }

  mayBecomeActive(id: BrokerId, brokerEpoch: BrokerEpoch, nowMs: number): boolean {
    const flaps = this.#flaps.get(id);
    return flaps?.brokerEpoch !== brokerEpoch || nowMs >= flaps.waitsUntilMs;
  }

  #penaltyMs(penalties: number): number {
    const { flapPenaltyMs, flapPenaltyMaxMs } = this.#options;
    return penalties === 0 ? 0 : Math.min(flapPenaltyMs * 2 ** (penalties - 1), flapPenaltyMaxMs);
  }
}
