/**
 * Drives `Election` and, while this broker is the controller, `ControllerState`: carries their actions to the store,
 * the streams and the dialer, and tells them what came of it. Every broker runs one; it decides nothing.
 */
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Random } from '../env/random.ts';
import { unreachable } from '../model/assert.ts';
import type { BrokerId, Revision } from '../model/brands.ts';
import type { Endpoint, MetadataEntry } from '../model/metadata-schema.ts';
import type { CloseCause, ControlPeer, ControlServerHandler, Dialer } from './control-channel.ts';
import type { BrokerMessage } from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';
import type { ControllerAction, ControllerEvent, StoreOutcome } from './controller-events.ts';
import { ControllerState } from './controller-state.ts';
import { Election } from './election.ts';
import type { ElectionAction, ElectionEvent } from './election-events.ts';
import type { ImageFollower } from './image-follower.ts';
import { type Lease, type MetadataStore, type MetadataTxn, StoreUnavailable } from './metadata-store.ts';
import { outcomeOf } from './store-outcome.ts';

export interface ControllerRunnerOptions {
  readonly brokerId: BrokerId;
  readonly incarnation: string;
  /** Where this broker's control streams are served: it listens before `start`. */
  readonly endpoint: Endpoint;
  readonly control: ControlOptions;
}

export interface ControllerRunnerModules {
  readonly store: MetadataStore;
  readonly follower: ImageFollower;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export class ControllerRunner implements ControlServerHandler {
  readonly #options: ControllerRunnerOptions;
  readonly #modules: ControllerRunnerModules;
  readonly #election: Election;
  readonly #peers = new Map<number, ControlPeer>();
  #controller: ControllerState | null = null;
  #lease: Lease | null = null;
  /** Grants that were asked for; only the answer to the newest counts. */
  #grants = 0;
  #tick: Timer | null = null;
  #stopFollowing: () => void = () => {};
  #isStopped = false;

  constructor(options: ControllerRunnerOptions, modules: ControllerRunnerModules) {
    this.#options = options;
    this.#modules = modules;
    const { brokerId, incarnation, endpoint, control } = options;
    this.#election = new Election(control, { brokerId, incarnation, endpoint });
  }

  get isController(): boolean {
    return this.#controller !== null;
  }

  /** Begins to take part in elections. */
  start(): void {
    const { follower, timers } = this.#modules;
    this.#stopFollowing = follower.onChange((entries) => this.#onChange(entries));
    this.#tick = timers.setRepeatingTimer(this.#options.control.tickMs, () => this.#onTick());
    this.#elect({ kind: 'started', nowMs: this.#nowMs() });
    this.#tellElection();
  }

  /** Gives `ctl/leader` up, so that another broker is elected at once instead of after the lease. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#stopFollowing();
    this.#tick?.cancel();
    const lease = this.#lease;
    this.#elect({ kind: 'resigned', mayCampaignAgain: false, nowMs: this.#nowMs() });
    this.#isStopped = true;
    await lease?.revoke();
  }

  /** As a crash would: no word to anybody. */
  abandon(): void {
    this.#isStopped = true;
    this.#stopFollowing();
    this.#tick?.cancel();
    this.#lease?.abandon();
    this.#controller = null;
  }

  /** E1 against the controller's own broker, found by this broker's lifecycle (§2.1.2). */
  onControllerDead(controllerEpoch: Revision): void {
    this.#elect({ kind: 'controllerDead', controllerEpoch, nowMs: this.#nowMs() });
  }

  // ── control streams ─────────────────────────────────────────────────────────────────────────────────────────────

  onOpened(peer: ControlPeer): void {
    this.#peers.set(peer.streamId, peer);
    // A sign of life at once: probes wait for any message (§2.3 E2).
    if (this.#controller === null) peer.send({ kind: 'notController' });
    else this.#control({ kind: 'streamOpened', streamId: peer.streamId, nowMs: this.#nowMs() });
  }

  onMessage(peer: ControlPeer, message: BrokerMessage): void {
    if (this.#controller === null) return peer.send({ kind: 'notController' });
    const wallMs = this.#modules.clock.wallMs();
    this.#control({ kind: 'brokerMessage', streamId: peer.streamId, message, nowMs: this.#nowMs(), wallMs });
  }

  onClosed(peer: ControlPeer, cause: CloseCause): void {
    this.#peers.delete(peer.streamId);
    this.#control({ kind: 'streamClosed', streamId: peer.streamId, cause, nowMs: this.#nowMs() });
  }

  // ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #nowMs(): number {
    return this.#modules.clock.monotonicMs();
  }

  #onChange(entries: readonly MetadataEntry[]): void {
    if (entries.some((entry) => entry.kind === 'controller')) this.#tellElection();
    else if (this.#controller === null) this.#tellElection();
    this.#control({ kind: 'metadataChanged', entries, nowMs: this.#nowMs() });
  }

  #tellElection(): void {
    const { image } = this.#modules.follower;
    const { controller, revision } = image;
    this.#elect({ kind: 'controllerSeen', controller, revision, nowMs: this.#nowMs() });
  }

  #onTick(): void {
    const nowMs = this.#nowMs();
    this.#elect({ kind: 'ticked', nowMs });
    this.#tellLeaseRenewed();
    this.#control({ kind: 'ticked', nowMs });
  }

  #tellLeaseRenewed(): void {
    if (!this.#lease) return;
    this.#control({ kind: 'leaseRenewed', renewedMs: this.#lease.lastRenewedMs, nowMs: this.#nowMs() });
  }

  #elect(event: ElectionEvent): void {
    if (this.#isStopped) return;
    for (const action of this.#election.step(event)) this.#carryOutElection(action);
  }

  #control(event: ControllerEvent): void {
    const controller = this.#controller;
    if (this.#isStopped || controller === null) return;
    for (const action of controller.step(event)) this.#carryOut(controller, action);
  }

  // ── actions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #carryOutElection(action: ElectionAction): void {
    switch (action.kind) {
      case 'grantLease':
        void this.#grantLease(action.ttlMs);
        return;
      case 'revokeLease':
        this.#grants++;
        void this.#lease?.revoke();
        this.#lease = null;
        return;
      case 'transact':
        return this.#transact(action.txn, (outcome) =>
          this.#elect({ kind: 'txnDone', id: action.id, outcome, nowMs: this.#nowMs() }),
        );
      case 'beginTerm': {
        const { brokerId, control } = this.#options;
        const { random, follower } = this.#modules;
        this.#controller = new ControllerState({ brokerId, control }, { random });
        const { controllerEpoch, knownDead } = action;
        this.#control({
          kind: 'elected',
          image: follower.image,
          controllerEpoch,
          knownDead,
          nowMs: this.#nowMs(),
        });
        // The first heartbeats are to be answered with a proof: leaders may have no other contact yet.
        return this.#tellLeaseRenewed();
      }
      case 'endTerm':
        this.#controller = null;
        this.#modules.logger.info({ reason: action.reason }, 'the term as controller is over');
        for (const peer of this.#peers.values()) peer.send({ kind: 'notController' });
        return;
      default:
        return unreachable(action);
    }
  }

  #carryOut(controller: ControllerState, action: ControllerAction): void {
    const isCurrent = (): boolean => this.#controller === controller;
    switch (action.kind) {
      case 'transact':
        return this.#transact(action.txn, (outcome) => {
          if (isCurrent()) this.#control({ kind: 'txnDone', id: action.id, outcome, nowMs: this.#nowMs() });
        });
      case 'send':
        this.#peers.get(action.streamId)?.send(action.message);
        return;
      case 'closeStream':
        this.#peers.get(action.streamId)?.close();
        return;
      case 'dial':
        void this.#modules.dialer.dial(action.endpoint, action.timeLimitMs).then((outcome) => {
          if (isCurrent()) this.#control({ kind: 'dialed', dialId: action.dialId, outcome, nowMs: this.#nowMs() });
        });
        return;
      case 'resign':
        if (isCurrent()) this.#elect({ kind: 'resigned', mayCampaignAgain: true, nowMs: this.#nowMs() });
        return;
      case 'log':
        this.#modules.logger[action.level](action.fields, action.message);
        return;
      default:
        return unreachable(action);
    }
  }

  #transact(txn: MetadataTxn, onDone: (outcome: StoreOutcome) => void): void {
    void outcomeOf(this.#modules.store, txn).then((outcome) => {
      if (outcome.kind === 'unknown' || outcome.kind === 'notDone')
        this.#modules.logger.warn({ outcome: outcome.kind }, 'the metadata store did not answer a transaction');
      onDone(outcome);
    });
  }

  async #grantLease(ttlMs: number): Promise<void> {
    const grant = ++this.#grants;
    const lost = (): void => {
      if (grant !== this.#grants) return;
      this.#lease = null;
      this.#elect({ kind: 'leaseLost', nowMs: this.#nowMs() });
    };
    try {
      const lease = await this.#modules.store.grantLease(ttlMs);
      if (this.#isStopped || grant !== this.#grants) return void (await lease.revoke());
      this.#lease = lease;
      lease.onLost(lost);
      this.#elect({ kind: 'leaseGranted', leaseId: lease.id, nowMs: this.#nowMs() });
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      lost();
    }
  }
}
