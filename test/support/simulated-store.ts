/**
 * The metadata store of a simulated world: what etcd would do, on an injected clock, with its misfortunes as methods.
 *
 * `SimulatedStoreCore` is synchronous: a simulation that steps pure state machines calls it and pulls its watches when
 * its own scheduler says so. `SimulatedStore` puts a network in front of it (delay, loss, partition) and hands out
 * `MetadataStore` connections for drivers that wait. Neither reads a clock or draws a number that was not given to it:
 * the same seed makes the same run.
 */
import { RevisionStore, watchEventsOf } from '../../src/cluster/revision-store.ts';
import { assertWithinLimits } from '../../src/cluster/txn-limits.ts';
import {
  type KeyValue,
  type Lease,
  type LeaseId,
  type MetadataStore,
  type MetadataTxn,
  StoreUnavailable,
  StoreWentBack,
  type TxnOutcome,
  type Watch,
  type WatchEvents,
  type WatchListener,
} from '../../src/controller/metadata-store.ts';
import type { Clock, Timer, Timers } from '../../src/env/clock.ts';
import type { Random } from '../../src/env/random.ts';
import { type Revision, revision } from '../../src/model/brands.ts';

export type WatchPull =
  | { readonly kind: 'events'; readonly events: WatchEvents }
  | { readonly kind: 'nothing' }
  /** The cursor is of no more use: read everything, take another. */
  | { readonly kind: 'compacted' };

/** Where a watch has got to; a cut stream loses nothing of it, as etcd's client resumes after the last event. */
export interface WatchCursor {
  /** The next revision with a change under the prefix. Nothing while the store is away. */
  pull(): WatchPull;
  /** Everything up to here has been pulled, or did not concern the prefix. */
  readonly position: Revision;
}

export interface StoreSnapshot {
  readonly revision: Revision;
  readonly entries: readonly KeyValue[];
}

type NextTxn = 'loseRequest' | 'loseAnswer';

export class SimulatedStoreCore {
  readonly #nowMs: () => number;
  #store = new RevisionStore(revision(1), [], Number.MAX_SAFE_INTEGER);
  readonly #expiryMs = new Map<LeaseId, { ttlMs: number; atMs: number }>();
  readonly #nextTxns: NextTxn[] = [];
  #leasesGranted = 0;
  #isAway = false;
  /** Called after each change, for whoever schedules pulls. */
  onChanged: () => void = () => {};

  /** `nowMs`: monotonic time of the simulated store. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get revision(): Revision {
    return this.#store.revision;
  }

  get compactedRevision(): Revision {
    return this.#store.compactedRevision;
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** Away: every call throws `StoreUnavailable` and nothing was done; no lease runs out meanwhile (etcd: no leader). */
  setAway(isAway: boolean): void {
    this.expireLeases();
    // A new leader gives every lease its full time again.
    if (this.#isAway && !isAway) for (const lease of this.#expiryMs.values()) lease.atMs = this.#nowMs() + lease.ttlMs;
    this.#isAway = isAway;
    if (!isAway) this.onChanged();
  }

  /** The next transaction never reaches the store, or is carried out without an answer: the caller cannot tell which. */
  fateOfNextTxn(fate: NextTxn): void {
    this.#nextTxns.push(fate);
  }

  read(prefix: string, at?: Revision): { revision: Revision; entries: KeyValue[] } {
    this.#beforeCall();
    return { revision: at ?? this.#store.revision, entries: this.#store.read(prefix, at) };
  }

  /** Throws `StoreUnavailable`, `LeaseLost`. */
  transact(txn: MetadataTxn): TxnOutcome {
    assertWithinLimits(txn);
    this.#beforeCall();
    const fate = this.#nextTxns.shift();
    if (fate === 'loseRequest') throw new StoreUnavailable('the request was lost', true);
    const { succeeded, committed } = this.#store.transact(txn);
    if (committed) this.onChanged();
    if (fate === 'loseAnswer') throw new StoreUnavailable('the answer was lost', true);
    return { succeeded, revision: this.#store.revision };
  }

  grantLease(ttlMs: number): LeaseId {
    this.#beforeCall();
    const id = `simulated-${++this.#leasesGranted}` as LeaseId;
    this.#store.grantLease(id);
    this.#expiryMs.set(id, { ttlMs, atMs: this.#nowMs() + ttlMs });
    return id;
  }

  /** False: the lease is gone. Throws `StoreUnavailable`. */
  keepAlive(id: LeaseId): boolean {
    this.#beforeCall();
    const lease = this.#expiryMs.get(id);
    if (lease) lease.atMs = this.#nowMs() + lease.ttlMs;
    return lease !== undefined;
  }

  revokeLease(id: LeaseId): void {
    this.#beforeCall();
    this.#endLease(id);
  }

  /** When the next lease runs out unless it is kept alive; null while none can. */
  nextExpiryMs(): number | null {
    if (this.#isAway || this.#expiryMs.size === 0) return null;
    return Math.min(...[...this.#expiryMs.values()].map(({ atMs }) => atMs));
  }

  /** Ends the leases whose time is up; every call does it first, a scheduler does it at `nextExpiryMs`. */
  expireLeases(): void {
    if (this.#isAway) return;
    for (const [id, { atMs }] of [...this.#expiryMs]) if (atMs <= this.#nowMs()) this.#endLease(id);
  }

  /** What etcd does after a pause of its own: all leases end, though all holders are alive (I7). */
  dropAllLeases(): void {
    for (const id of [...this.#expiryMs.keys()]) this.#endLease(id);
  }

  openWatch(prefix: string, after: Revision): WatchCursor {
    const core = this;
    let position = after;
    return {
      get position() {
        return position;
      },
      pull() {
        if (core.#isAway) return { kind: 'nothing' };
        const news = core.#store.revisionsAfter(position);
        // A store older than this watch was restored: the read that follows says so.
        if (!news || position > core.#store.revision) return { kind: 'compacted' };
        for (const committed of news) {
          position = committed.revision;
          const events = watchEventsOf(committed, prefix);
          if (events) return { kind: 'events', events };
        }
        return { kind: 'nothing' };
      },
    };
  }

  compact(at: Revision = this.#store.revision): void {
    this.#store.compact(at);
  }

  snapshot(): StoreSnapshot {
    return { revision: this.#store.revision, entries: this.#store.read('') };
  }

  /** An operator brings back an old snapshot: revisions go back, leases are gone (I4). */
  restore({ revision: at, entries }: StoreSnapshot): void {
    this.#expiryMs.clear();
    const rows = entries.map(({ key, value, modRevision }) => [key, { value, modRevision, lease: null }] as const);
    this.#store = new RevisionStore(
      at,
      rows.map(([key, entry]) => [key, entry]),
      Number.MAX_SAFE_INTEGER,
    );
  }

  #beforeCall(): void {
    if (this.#isAway) throw new StoreUnavailable('it is away', false);
    this.expireLeases();
  }

  #endLease(id: LeaseId): void {
    this.#expiryMs.delete(id);
    if (this.#store.endLease(id)) this.onChanged();
  }
}

/** Chances in [0, 1) per message, and the delay of each message in milliseconds. */
export interface StoreNetwork {
  loseRequest: number;
  loseAnswer: number;
  /** Before each revision that a watch delivers. */
  cutWatch: number;
  leastDelayMs: number;
  mostDelayMs: number;
}

export const goodNetwork: StoreNetwork = {
  loseRequest: 0,
  loseAnswer: 0,
  cutWatch: 0,
  leastDelayMs: 0.2,
  mostDelayMs: 1,
};

export interface SimulatedStoreModules {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

const callLimitMs = 4_000;
const reconnectMs = 20;

export class SimulatedStore {
  readonly core: SimulatedStoreCore;
  /** May be changed at any time. */
  readonly network: StoreNetwork;
  readonly modules: SimulatedStoreModules;
  readonly #connections = new Set<SimulatedConnection>();
  #expiry: Timer | null = null;

  constructor(modules: SimulatedStoreModules, network: StoreNetwork = goodNetwork) {
    this.modules = modules;
    this.network = { ...network };
    this.core = new SimulatedStoreCore(() => modules.clock.monotonicMs());
    this.core.onChanged = () => {
      for (const connection of this.#connections) connection.wake();
    };
  }

  connect(): SimulatedConnection {
    const connection = new SimulatedConnection(this, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    return connection;
  }

  setAway(isAway: boolean): void {
    this.core.setAway(isAway);
    this.scheduleExpiry();
    for (const connection of this.#connections) connection.onReachableChanged();
  }

  /** Every open watch loses its stream and resumes a moment later. */
  cutWatches(): void {
    for (const connection of this.#connections) connection.cutWatches();
  }

  delayMs(): number {
    const { leastDelayMs, mostDelayMs } = this.network;
    return leastDelayMs + this.modules.random.next() * (mostDelayMs - leastDelayMs);
  }

  happens(chance: number): boolean {
    return chance > 0 && this.modules.random.next() < chance;
  }

  scheduleExpiry(): void {
    this.#expiry?.cancel();
    this.#expiry = null;
    const atMs = this.core.nextExpiryMs();
    if (atMs === null) return;
    this.#expiry = this.modules.timers.setTimer(atMs - this.modules.clock.monotonicMs(), () => {
      this.core.expireLeases();
      this.scheduleExpiry();
    });
  }
}

export class SimulatedConnection implements MetadataStore {
  readonly store: SimulatedStore;
  readonly #onClosed: () => void;
  readonly #watches = new Set<SimulatedWatch>();
  readonly #leases = new Set<SimulatedLease>();
  #highestRevision = revision(0);
  #isCutOff = false;
  #isClosed = false;

  constructor(store: SimulatedStore, onClosed: () => void) {
    this.store = store;
    this.#onClosed = onClosed;
  }

  /** A partition between this broker and the store; the others are not concerned. */
  setCutOff(isCutOff: boolean): void {
    this.#isCutOff = isCutOff;
    this.onReachableChanged();
  }

  get isReachable(): boolean {
    return !this.#isCutOff && !this.#isClosed && !this.store.core.isAway;
  }

  async read(prefix: string, at?: Revision): Promise<{ revision: Revision; entries: KeyValue[] }> {
    const known = this.#highestRevision;
    const result = await this.call(false, () => ({
      ...this.store.core.read(prefix, at),
      at: this.store.core.revision,
    }));
    if (result.at < known)
      throw new StoreWentBack(`the metadata store is at revision ${result.at}, it was at ${known}`);
    this.#sees(result.at);
    return { revision: result.revision, entries: result.entries };
  }

  async transact(txn: MetadataTxn): Promise<TxnOutcome> {
    assertWithinLimits(txn);
    const outcome = await this.call(true, () => this.store.core.transact(txn));
    this.#sees(outcome.revision);
    return outcome;
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    const sentMs = this.store.modules.clock.monotonicMs();
    const id = await this.call(false, () => {
      const granted = this.store.core.grantLease(ttlMs);
      this.store.scheduleExpiry();
      return granted;
    });
    const lease = new SimulatedLease(this, id, ttlMs, sentMs, () => this.#leases.delete(lease));
    this.#leases.add(lease);
    return lease;
  }

  watch(prefix: string, after: Revision, listener: WatchListener): Watch {
    if (this.#isClosed) throw new StoreUnavailable('it is closed', false);
    const sees = (events: WatchEvents): void => this.#sees(events.revision);
    const watch = new SimulatedWatch(this, this.store.core.openWatch(prefix, after), listener, sees, () =>
      this.#watches.delete(watch),
    );
    this.#watches.add(watch);
    return watch;
  }

  /** As a crash: nothing of it reaches the store any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#onClosed();
    for (const watch of [...this.#watches]) watch.close();
    for (const lease of [...this.#leases]) lease.abandon();
  }

  wake(): void {
    for (const watch of this.#watches) watch.wake();
  }

  cutWatches(): void {
    for (const watch of [...this.#watches]) watch.cut();
  }

  onReachableChanged(): void {
    for (const watch of [...this.#watches]) {
      if (this.isReachable) watch.wake();
      else watch.cut();
    }
  }

  /** A request and its answer, each delayed and either lost; the caller hears of a loss when the time limit is up. */
  call<Result>(isTxn: boolean, carryOut: () => Result): Promise<Result> {
    const { store } = this;
    const { timers } = store.modules;
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new StoreUnavailable('it is closed', false));
      const limit = timers.setTimer(callLimitMs, () => reject(new StoreUnavailable('no answer in time', isTxn)));
      const answer = (settle: () => void): void => {
        if (store.happens(store.network.loseAnswer)) return;
        timers.setTimer(store.delayMs(), () => {
          if (!this.isReachable) return;
          limit.cancel();
          settle();
        });
      };
      timers.setTimer(store.delayMs(), () => {
        if (!this.isReachable || store.happens(store.network.loseRequest)) return;
        try {
          const result = carryOut();
          answer(() => resolve(result));
        } catch (error) {
          // What the core calls lost is lost on the way: only the time limit tells.
          if (!(error instanceof StoreUnavailable)) answer(() => reject(error));
        }
      });
    });
  }

  #sees(at: Revision): void {
    if (at > this.#highestRevision) this.#highestRevision = at;
  }
}

class SimulatedWatch implements Watch {
  readonly #connection: SimulatedConnection;
  readonly #cursor: WatchCursor;
  readonly #listener: WatchListener;
  readonly #onEvents: (events: WatchEvents) => void;
  readonly #onClosed: () => void;
  #timer: Timer | null = null;
  #isConnected = false;
  #isClosed = false;

  constructor(
    connection: SimulatedConnection,
    cursor: WatchCursor,
    listener: WatchListener,
    onEvents: (events: WatchEvents) => void,
    onClosed: () => void,
  ) {
    this.#connection = connection;
    this.#cursor = cursor;
    this.#listener = listener;
    this.#onEvents = onEvents;
    this.#onClosed = onClosed;
    this.wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#onClosed();
  }

  /** There may be something to pull: after the delay of the way. */
  wake(): void {
    const { store, isReachable } = this.#connection;
    if (this.#timer || this.#isClosed || !isReachable) return;
    const delayMs = this.#isConnected ? store.delayMs() : reconnectMs + store.delayMs();
    this.#timer = store.modules.timers.setTimer(delayMs, () => this.#onTimer());
  }

  cut(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#isConnected) {
      this.#isConnected = false;
      this.#listener.onState(false);
    }
    this.wake();
  }

  #onTimer(): void {
    const { store } = this.#connection;
    this.#timer = null;
    if (!this.#isConnected) {
      this.#isConnected = true;
      this.#listener.onState(true);
    }
    if (this.#isClosed) return;
    if (store.happens(store.network.cutWatch)) return this.cut();
    const pulled = this.#cursor.pull();
    if (pulled.kind === 'nothing') return;
    if (pulled.kind === 'compacted') {
      this.close();
      this.#listener.onCompacted();
      return;
    }
    this.#onEvents(pulled.events);
    this.#listener.onEvents(pulled.events);
    this.wake();
  }
}

class SimulatedLease implements Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly #connection: SimulatedConnection;
  readonly #onOver: () => void;
  #timer: Timer;
  #lastRenewedMs: number;
  #isOver = false;
  #isLost = false;
  #onLost: (() => void) | null = null;

  constructor(connection: SimulatedConnection, id: LeaseId, ttlMs: number, sentMs: number, onOver: () => void) {
    this.#connection = connection;
    this.id = id;
    this.ttlMs = ttlMs;
    this.#lastRenewedMs = sentMs;
    this.#onOver = onOver;
    this.#timer = connection.store.modules.timers.setRepeatingTimer(ttlMs / 3, () => void this.#keepAlive());
  }

  get lastRenewedMs(): number {
    return this.#lastRenewedMs;
  }

  onLost(callback: () => void): void {
    if (this.#isLost) callback();
    else this.#onLost = callback;
  }

  async revoke(): Promise<void> {
    if (this.#isOver) return;
    this.abandon();
    const { store } = this.#connection;
    await this.#connection.call(false, () => store.core.revokeLease(this.id)).catch(() => {});
    store.scheduleExpiry();
  }

  abandon(): void {
    this.#isOver = true;
    this.#timer.cancel();
    this.#onOver();
  }

  async #keepAlive(): Promise<void> {
    const { store } = this.#connection;
    const sentMs = store.modules.clock.monotonicMs();
    const isAlive = await this.#connection
      .call(false, () => {
        const answer = store.core.keepAlive(this.id);
        store.scheduleExpiry();
        return answer;
      })
      .catch(() => null);
    if (this.#isOver || isAlive === null) return;
    if (isAlive) {
      this.#lastRenewedMs = Math.max(this.#lastRenewedMs, sentMs);
      return;
    }
    this.abandon();
    this.#isLost = true;
    this.#onLost?.();
  }
}
