/**
 * Which brokers are gone, judged on evidence (`replication-invariants` §2.3). One object per term of a controller; no
 * clock or socket: it is told what was heard and how dials ended, and answers what to do about it.
 *
 *   evidence                                                              | verdict
 *   E1 stream closed, a new connection refused or its name unknown        | fence at once
 *   E1 stream closed by the peer's kernel, no connection within 300 ms    | fence at once
 *      stream closed, a new connection accepted                           | dial again until it comes back or E2
 *   E2 silent for 1 s                                                     | two others probe its process
 *   E2 silent for 2 s and no probe reached it in that time                | fence
 *   E2 silent for 6 s, others reach it                                    | fence; resign if so for half of all
 *   E3 its lease is gone                                                  | dial (a hint only, I7)
 *   two and more than half of the others silent (mass guard)              | their leases decide, below
 */
import type { BrokerEpoch, BrokerId } from '../model/brands.ts';
import type { Endpoint } from '../model/metadata-schema.ts';
import type { CloseCause } from './control-channel.ts';
import type { DialOutcome } from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';

export type LivenessVerdict =
  | { readonly kind: 'dial'; readonly dialId: number; readonly brokerId: BrokerId; readonly endpoint: Endpoint }
  /** Ask the broker `by` to probe the process of `brokerId`. */
  | { readonly kind: 'probe'; readonly by: BrokerId; readonly brokerId: BrokerId; readonly endpoint: Endpoint }
  | { readonly kind: 'fence'; readonly brokerId: BrokerId; readonly brokerEpoch: BrokerEpoch; readonly reason: string }
  | { readonly kind: 'resign'; readonly reason: string };

/** A broker that is not fenced: the ones whose death matters. */
export interface WatchedBroker {
  readonly id: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly peer: Endpoint;
  /** Its lease key is there, with this incarnation. */
  readonly hasLease: boolean;
}

interface Tracked {
  brokerEpoch: BrokerEpoch;
  /** The stream of its newest heartbeat; null while it has none. */
  streamId: number | null;
  lastHeardMs: number;
  /** The newest time at which it was heard, or a probe of another broker reached its process. */
  lastReachedMs: number;
  closed: CloseCause | null;
  dialId: number | null;
  /** Dials that were accepted since its stream closed. */
  acceptedDials: number;
  probesAskedMs: number;
}

/** A kernel may accept one more connection while it tears down a process: look again at once, then on each tick. */
const immediateRedials = 3;

export class BrokerLiveness {
  readonly #options: ControlOptions;
  readonly #self: BrokerId;
  readonly #tracked = new Map<BrokerId, Tracked>();
  readonly #dials = new Map<number, BrokerId>();
  #nextDialId = 1;
  #startedMs: number;

  constructor(options: ControlOptions, self: BrokerId, nowMs: number) {
    this.#options = options;
    this.#self = self;
    this.#startedMs = nowMs;
  }

  /** A heartbeat or registration of exactly this start of the broker. */
  heard(id: BrokerId, epoch: BrokerEpoch, streamId: number, nowMs: number): void {
    const broker = this.#of(id, epoch, nowMs);
    broker.streamId = streamId;
    broker.lastHeardMs = nowMs;
    broker.lastReachedMs = nowMs;
    broker.closed = null;
    broker.dialId = null;
    broker.acceptedDials = 0;
  }

  /** From now on its silence counts. */
  expect(id: BrokerId, epoch: BrokerEpoch, nowMs: number): void {
    this.#of(id, epoch, nowMs);
  }

  /** Which broker speaks on this stream; null for none. */
  brokerOf(streamId: number): BrokerId | null {
    for (const [id, tracked] of this.#tracked) if (tracked.streamId === streamId) return id;
    return null;
  }

  /** The stream it speaks on; null while it has none. */
  streamOf(id: BrokerId): number | null {
    return this.#tracked.get(id)?.streamId ?? null;
  }

  lastHeardMs(id: BrokerId): number {
    return this.#tracked.get(id)?.lastHeardMs ?? this.#startedMs;
  }

  /** Heard on an open stream within the time after which silence is suspect. */
  isHeard(id: BrokerId, nowMs: number): boolean {
    const broker = this.#tracked.get(id);
    return (
      broker !== undefined && broker.streamId !== null && nowMs - broker.lastHeardMs < this.#options.suspectAfterMs
    );
  }

  streamClosed(streamId: number, cause: CloseCause, brokers: readonly WatchedBroker[]): LivenessVerdict[] {
    for (const [id, tracked] of this.#tracked) {
      if (tracked.streamId !== streamId) continue;
      tracked.streamId = null;
      tracked.closed = cause;
      const broker = brokers.find((one) => one.id === id && one.brokerEpoch === tracked.brokerEpoch);
      return broker ? this.#dial(broker, tracked) : [];
    }
    return [];
  }

  dialed(dialId: number, outcome: DialOutcome, brokers: readonly WatchedBroker[]): LivenessVerdict[] {
    const id = this.#dials.get(dialId);
    this.#dials.delete(dialId);
    const broker = brokers.find((one) => one.id === id);
    const tracked = id === undefined ? undefined : this.#tracked.get(id);
    // Answers about a broker that has spoken since, or about an older start of it, say nothing.
    if (!broker || tracked?.dialId !== dialId || tracked.brokerEpoch !== broker.brokerEpoch) return [];
    tracked.dialId = null;
    const fence = (reason: string): LivenessVerdict[] => [
      { kind: 'fence', brokerId: broker.id, brokerEpoch: broker.brokerEpoch, reason },
    ];
    switch (outcome) {
      // E1. A refusal comes from the broker's own kernel: no process listens there, however the stream ended.
      case 'refused':
        return fence('its stream is gone and a new connection is refused');
      case 'noSuchName':
        return fence('its stream is gone and so is its name');
      case 'silent':
        return tracked.closed === 'peerClosed'
          ? fence('its kernel closed the stream and no new connection came up in time')
          : [];
      case 'accepted':
        tracked.acceptedDials++;
        return tracked.acceptedDials <= immediateRedials ? this.#dial(broker, tracked) : [];
    }
  }

  /** §2.3 E2: what another broker met. Only a process that answers counts; see the lifecycle's `probe`. */
  probed(id: BrokerId, outcome: DialOutcome, nowMs: number): void {
    const tracked = this.#tracked.get(id);
    if (tracked && outcome === 'accepted') tracked.lastReachedMs = nowMs;
  }

  /** §2.3 E3: its lease is gone. Nothing follows from that but a look (I7). */
  leaseGone(broker: WatchedBroker, nowMs: number): LivenessVerdict[] {
    if (this.isHeard(broker.id, nowMs)) return [];
    return this.#dial(broker, this.#of(broker.id, broker.brokerEpoch, nowMs));
  }

  /** §2.3 stall guard: this process was not there to listen; every silence starts anew. */
  resetSilence(nowMs: number): void {
    this.#startedMs = nowMs;
    for (const tracked of this.#tracked.values()) {
      tracked.lastHeardMs = nowMs;
      tracked.lastReachedMs = nowMs;
    }
  }

  /** Every `tickMs`, over all brokers that are not fenced. */
  tick(brokers: readonly WatchedBroker[], nowMs: number): LivenessVerdict[] {
    const others = brokers.filter((broker) => broker.id !== this.#self);
    for (const id of this.#tracked.keys()) if (!brokers.some((broker) => broker.id === id)) this.#forget(id);
    const silent = others.filter((broker) => this.#silenceOf(broker, nowMs) >= this.#options.suspectAfterMs);
    // Two or more, and more than half of the others: probably it is this broker that is cut off.
    const isMass = silent.length >= 2 && silent.length * 2 > others.length;
    const verdicts: LivenessVerdict[] = [];
    for (const broker of others) verdicts.push(...this.#maybeDial(broker, nowMs));
    for (const broker of silent) verdicts.push(...this.#askProbes(broker, others, nowMs));
    verdicts.push(...(isMass ? this.#judgeMass(silent, nowMs) : this.#judgeSilence(silent, brokers.length, nowMs)));
    return verdicts;
  }

  /** §2.3 E2. */
  #judgeSilence(silent: readonly WatchedBroker[], all: number, nowMs: number): LivenessVerdict[] {
    const { fenceAfterMs, fenceUnreachableAfterMs } = this.#options;
    const unreachableHere = silent.filter((broker) => this.#silenceOf(broker, nowMs) >= fenceUnreachableAfterMs);
    const reachedByOthers = unreachableHere.filter((broker) => this.#unreachedFor(broker, nowMs) < fenceAfterMs);
    if (reachedByOthers.length * 2 >= all && reachedByOthers.length > 0)
      return [{ kind: 'resign', reason: 'others reach half of the brokers and this controller does not' }];
    return silent.flatMap((broker) => {
      if (this.#unreachedFor(broker, nowMs) >= fenceAfterMs)
        return [fenceOf(broker, `nobody has reached it for ${fenceAfterMs} ms`)];
      if (unreachableHere.includes(broker))
        return [fenceOf(broker, `the controller has not heard it for ${fenceUnreachableAfterMs} ms`)];
      return [];
    });
  }

  /**
   * §2.3 mass guard. A lease outlives its owner by up to its TTL, so a lease that is there tells something only after
   * that: alive → they live and cannot reach us: resign · all gone → fence. A store that is silent too stops all
   * decisions by the lease rule of §2.1.5.
   */
  #judgeMass(silent: readonly WatchedBroker[], nowMs: number): LivenessVerdict[] {
    const { fenceAfterMs, leaseTtlMs, suspectAfterMs } = this.#options;
    const withLease = silent.filter((broker) => broker.hasLease);
    if (withLease.length === 0)
      return silent
        .filter((broker) => this.#unreachedFor(broker, nowMs) >= fenceAfterMs)
        .map((broker) => fenceOf(broker, `it is silent and its lease is gone, like those of most others`));
    const isTelling = withLease.some((broker) => this.#silenceOf(broker, nowMs) >= leaseTtlMs + suspectAfterMs);
    return isTelling ? [{ kind: 'resign', reason: 'most brokers are silent here, and keep their leases alive' }] : [];
  }

  /** A closed stream is dialed until it is back; so is a broker that has not come to a new controller. */
  #maybeDial(broker: WatchedBroker, nowMs: number): LivenessVerdict[] {
    const tracked = this.#of(broker.id, broker.brokerEpoch, nowMs);
    if (tracked.streamId !== null || tracked.dialId !== null) return [];
    const hasHadTime = nowMs - tracked.lastHeardMs >= 2 * this.#options.heartbeatIntervalMs;
    return tracked.closed !== null || hasHadTime ? this.#dial(broker, tracked) : [];
  }

  #askProbes(broker: WatchedBroker, others: readonly WatchedBroker[], nowMs: number): LivenessVerdict[] {
    const tracked = this.#of(broker.id, broker.brokerEpoch, nowMs);
    if (nowMs - tracked.probesAskedMs < this.#options.suspectAfterMs / 2) return [];
    const able = others.filter((other) => other.id !== broker.id && this.isHeard(other.id, nowMs));
    if (able.length > 0) tracked.probesAskedMs = nowMs;
    return able
      .slice(0, 2)
      .map((by) => ({ kind: 'probe', by: by.id, brokerId: broker.id, endpoint: broker.peer }) as const);
  }

  #dial(broker: WatchedBroker, tracked: Tracked): LivenessVerdict[] {
    if (tracked.dialId !== null) return [];
    const dialId = this.#nextDialId++;
    tracked.dialId = dialId;
    this.#dials.set(dialId, broker.id);
    return [{ kind: 'dial', dialId, brokerId: broker.id, endpoint: broker.peer }];
  }

  #silenceOf(broker: WatchedBroker, nowMs: number): number {
    return nowMs - this.#of(broker.id, broker.brokerEpoch, nowMs).lastHeardMs;
  }

  #unreachedFor(broker: WatchedBroker, nowMs: number): number {
    return nowMs - this.#of(broker.id, broker.brokerEpoch, nowMs).lastReachedMs;
  }

  /** A broker seen for the first time gets a full fence time from then on, at a take-over too (§2.1.4, KAFKA-18138). */
  #of(id: BrokerId, epoch: BrokerEpoch, nowMs: number): Tracked {
    const known = this.#tracked.get(id);
    if (known?.brokerEpoch === epoch) return known;
    const fresh: Tracked = {
      brokerEpoch: epoch,
      streamId: null,
      lastHeardMs: nowMs,
      lastReachedMs: nowMs,
      closed: null,
      dialId: null,
      acceptedDials: 0,
      probesAskedMs: Number.NEGATIVE_INFINITY,
    };
    this.#tracked.set(id, fresh);
    return fresh;
  }

  /** A fenced broker is not watched, but its stream stays known: it may speak again on it. */
  #forget(id: BrokerId): void {
    if (this.#tracked.get(id)?.streamId === null) this.#tracked.delete(id);
  }
}

const fenceOf = (broker: WatchedBroker, reason: string): LivenessVerdict => ({
  kind: 'fence',
  brokerId: broker.id,
  brokerEpoch: broker.brokerEpoch,
  reason,
});
