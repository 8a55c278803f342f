/**
 * Drives `BrokerLifecycle`: this broker's stream to the controller, its lease key, its dials and probes; and gives the
 * rest of the broker promises for what it asks of the controller.
 */
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { unreachable } from '../model/assert.ts';
import type { BrokerEpoch, Revision } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import { type BrokerState, type Endpoint, encodeValue, keys } from '../model/metadata-schema.ts';
import type { TopicPartition } from '../model/topic-partition.ts';
import { BrokerLifecycle, type ControllerContact } from './broker-lifecycle.ts';
import type { ControlClient, ControlStream, Dialer } from './control-channel.ts';
import type {
  AdminAnswer,
  AdminCommand,
  DialOutcome,
  IsrProposal,
  Registration,
  ReplicaState,
} from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';
import type { ImageFollower } from './image-follower.ts';
import type { IsrOutcome, LifecycleAction, LifecycleEvent } from './lifecycle-events.ts';
import { type Lease, type MetadataStore, StoreUnavailable } from './metadata-store.ts';
import { outcomeOf } from './store-outcome.ts';

export interface BrokerAgentOptions {
  readonly control: ControlOptions;
  readonly registration: Registration;
}

export interface BrokerAgentModules {
  readonly store: MetadataStore;
  readonly follower: ImageFollower;
  readonly client: ControlClient;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Last epoch and log end offset of replicas here, in the order asked; null for one that is not (§2.10). */
  readonly replicaStates: (partitions: readonly TopicPartition[]) => Promise<readonly (ReplicaState | null)[]>;
  /** E1 against the controller's own broker: for this broker's `ControllerRunner`. */
  readonly onControllerDead: (controllerEpoch: Revision) => void;
}

export interface Registered {
  readonly brokerEpoch: BrokerEpoch;
  /** Metadata shows this start from here on (§2.2.5). */
  readonly revision: Revision;
}

export interface ShutdownAnswer {
  /** False where the time limit was over first: the stop counts as `killed` (§2.8). */
  readonly isClean: boolean;
  readonly leadersLeft: number;
}

/** An event without the times, which are added here. */
type Untimed<Event> = Event extends unknown ? Omit<Event, 'nowMs' | 'wallMs'> : never;

export class BrokerAgent {
  readonly #options: BrokerAgentOptions;
  readonly #modules: BrokerAgentModules;
  readonly #lifecycle: BrokerLifecycle;
  readonly #streams = new Map<number, ControlStream>();
  readonly #registered = Promise.withResolvers<Registered>();
  readonly #shutdown = Promise.withResolvers<ShutdownAnswer>();
  readonly #alters = new Map<number, (answers: readonly IsrOutcome[]) => void>();
  readonly #admins = new Map<number, (answer: AdminAnswer) => void>();
  readonly #stateListeners = new Set<(state: BrokerState | 'unregistered') => void>();
  #nextCallId = 1;
  #liveLease: Lease | null = null;
  #tick: Timer | null = null;
  #wake: Timer | null = null;
  #stopFollowing: () => void = () => {};
  #isStopped = false;

  constructor(options: BrokerAgentOptions, modules: BrokerAgentModules) {
    this.#options = options;
    this.#modules = modules;
    this.#lifecycle = new BrokerLifecycle(options.control, options.registration);
    // Who does not start, or stops before it is registered, need not look at it.
    this.#registered.promise.catch(() => {});
  }

  /** Looks for the controller and registers. Rejects with a BrokerError where another process holds this broker id. */
  start(): Promise<Registered> {
    const { follower, timers } = this.#modules;
    this.#stopFollowing = follower.onChange(() => this.#step({ kind: 'metadataChanged' }));
    this.#tick = timers.setRepeatingTimer(this.#options.control.tickMs, () => this.#step({ kind: 'ticked' }));
    this.#step({ kind: 'started', image: follower.image });
    return this.#registered.promise;
  }

  /** Resolves once, when this start has its broker epoch. */
  get onRegistered(): Promise<Registered> {
    return this.#registered.promise;
  }

  /** -1 until registered. */
  get brokerEpoch(): BrokerEpoch {
    return this.#lifecycle.brokerEpoch;
  }

  get state(): BrokerState | 'unregistered' {
    return this.#lifecycle.state;
  }

  /** For leaders here (I19). */
  get controllerContact(): ControllerContact {
    return this.#lifecycle.controllerContact;
  }

  /** `listener` runs at each change of `state`, until the returned function is called. */
  onState(listener: (state: BrokerState | 'unregistered') => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Every replica here is open and follows what leader it has (§2.2.5), or no more. */
  setCaughtUp(isCaughtUp: boolean): void {
    this.#step({ kind: 'caughtUp', isCaughtUp });
  }

  /** Answers in the order of the proposals, however long it takes (§2.7); a newer partition epoch ends it too. */
  alterPartition(proposals: readonly IsrProposal[]): Promise<readonly IsrOutcome[]> {
    return new Promise((resolve) => {
      const callId = this.#nextCallId++;
      this.#alters.set(callId, resolve);
      this.#step({ kind: 'alterPartition', callId, proposals });
    });
  }

  /** The controller's answer, whoever it is; refused with REQUEST_TIMED_OUT after `timeLimitMs`. */
  admin(command: AdminCommand, timeLimitMs: number): Promise<AdminAnswer> {
    return new Promise((resolve) => {
      const callId = this.#nextCallId++;
      this.#admins.set(callId, resolve);
      this.#step({ kind: 'admin', callId, command, timeLimitMs });
    });
  }

  /** Controlled shutdown (§2.8): resolves when this broker leads nothing and the others know, or time is up. */
  requestShutdown(): Promise<ShutdownAnswer> {
    this.#step({ kind: 'shutdownRequested' });
    return this.#shutdown.promise;
  }

  /** Ends the stream and takes the lease key away. Calls under way are refused. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#step({ kind: 'goodbye' });
    this.#end();
    await this.#liveLease?.revoke();
  }

  /** As a crash would: no word to anybody. */
  abandon(): void {
    this.#end();
    this.#liveLease?.abandon();
  }

  #end(): void {
    this.#isStopped = true;
    this.#stopFollowing();
    this.#tick?.cancel();
    this.#wake?.cancel();
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
    for (const resolve of this.#admins.values()) resolve({ kind: 'refused', fault: { code: 'NOT_CONTROLLER' } });
    this.#admins.clear();
    this.#shutdown.resolve({ isClean: false, leadersLeft: 0 });
    this.#registered.reject(new BrokerError({ code: 'NOT_CONTROLLER' }));
  }

  #step(event: Untimed<LifecycleEvent>): void {
    if (this.#isStopped) return;
    const { clock } = this.#modules;
    const timed = { ...event, nowMs: clock.monotonicMs(), wallMs: clock.wallMs() } as LifecycleEvent;
    for (const action of this.#lifecycle.step(timed)) this.#carryOut(action);
    this.#maybeWake(timed.nowMs);
  }

  /** Reconnecting waits less than a tick at first. */
  #maybeWake(nowMs: number): void {
    const { wakeAtMs } = this.#lifecycle;
    if (wakeAtMs === null || this.#wake !== null || wakeAtMs - nowMs >= this.#options.control.tickMs) return;
    this.#wake = this.#modules.timers.setTimer(Math.max(1, wakeAtMs - nowMs), () => {
      this.#wake = null;
      this.#step({ kind: 'ticked' });
    });
  }

  #carryOut(action: LifecycleAction): void {
    const { dialer, logger, onControllerDead, replicaStates } = this.#modules;
    switch (action.kind) {
      case 'connect':
        return this.#connect(action.streamId, action.endpoint);
      case 'closeStream':
        this.#streams.get(action.streamId)?.close();
        this.#streams.delete(action.streamId);
        return;
      case 'send':
        this.#streams.get(action.streamId)?.send(action.message);
        return;
      case 'dial':
        void dialer
          .dial(action.endpoint, action.timeLimitMs)
          .then((outcome) => this.#step({ kind: 'dialed', dialId: action.dialId, outcome }));
        return;
      case 'probe':
        void this.#probe(action.endpoint, action.timeLimitMs).then((outcome) =>
          this.#step({ kind: 'probed', brokerId: action.brokerId, outcome }),
        );
        return;
      case 'registered':
        logger.info({ brokerEpoch: action.brokerEpoch }, 'registered with the controller');
        return this.#registered.resolve(action);
      case 'registrationRefused':
        return this.#registered.reject(new BrokerError(action.fault));
      case 'stateChanged':
        for (const listener of [...this.#stateListeners]) listener(action.state);
        return;
      case 'putLive':
        void this.#putLive().then((ok) => this.#step({ kind: 'liveDone', ok }));
        return;
      case 'controllerDead':
        logger.warn({ controllerEpoch: action.controllerEpoch }, 'the controller is dead');
        return onControllerDead(action.controllerEpoch);
      case 'alterPartitionAnswer':
        this.#alters.get(action.callId)?.(action.answers);
        this.#alters.delete(action.callId);
        return;
      case 'adminAnswer':
        this.#admins.get(action.callId)?.(action.answer);
        this.#admins.delete(action.callId);
        return;
      case 'askReplicaStates': {
        const { requestId, streamId } = action;
        void replicaStates(action.partitions).then((states) =>
          this.#step({ kind: 'replicaStates', requestId, streamId, states }),
        );
        return;
      }
      case 'mayStop':
        return this.#shutdown.resolve({ isClean: action.isClean, leadersLeft: action.leadersLeft });
      default:
        return unreachable(action);
    }
  }

  #connect(streamId: number, endpoint: Endpoint): void {
    const stream = this.#modules.client.connect(endpoint, {
      onMessage: (message) => this.#step({ kind: 'streamMessage', streamId, message }),
      onClosed: (cause) => {
        this.#streams.delete(streamId);
        this.#step({ kind: 'streamClosed', streamId, cause });
      },
    });
    this.#streams.set(streamId, stream);
  }

  /**
   * §2.3 E2: does the *process* answer? The kernel of a stopped one accepts connections, so a dial would not do. Any
   * broker says something on a new control stream.
   */
  #probe(endpoint: Endpoint, timeLimitMs: number): Promise<DialOutcome> {
    return new Promise((resolve) => {
      const end = (outcome: DialOutcome): void => {
        timer.cancel();
        resolve(outcome);
        stream?.close();
      };
      const timer = this.#modules.timers.setTimer(timeLimitMs, () => end('silent'));
      let stream: ControlStream | null = null;
      stream = this.#modules.client.connect(endpoint, {
        onMessage: () => end('accepted'),
        onClosed: () => end('silent'),
      });
    });
  }

  async #putLive(): Promise<boolean> {
    const { store } = this.#modules;
    const { brokerId, incarnation } = this.#options.registration;
    try {
      if (!this.#liveLease) {
        const lease = await store.grantLease(this.#options.control.leaseTtlMs);
        if (this.#isStopped) await lease.revoke();
        this.#liveLease = lease;
        lease.onLost(() => {
          this.#liveLease = null;
        });
      }
      const value = encodeValue({ incarnation });
      const put = { kind: 'put', key: keys.live(brokerId), value, lease: this.#liveLease.id } as const;
      const outcome = await outcomeOf(store, { compares: [], mutations: [put] });
      return outcome.kind === 'succeeded';
    } catch (error) {
      if (error instanceof StoreUnavailable) return false;
      throw error;
    }
  }
}
