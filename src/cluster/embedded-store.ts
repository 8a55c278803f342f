/**
 * The metadata store of one process: all brokers of the process share one `EmbeddedStore`, each through a connection
 * of its own, so that the end of a broker ends its watches and lets its leases run out. Transactions that wait in the
 * same turn are one SQLite commit, and nobody sees a change before that commit (I3).
 */
import {
  type Lease,
  type LeaseId,
  LeaseLost,
  type MetadataStore,
  type MetadataTxn,
  StoreUnavailable,
  type TxnOutcome,
  type Watch,
  type WatchListener,
} from '../controller/metadata-store.ts';
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { assert } from '../model/assert.ts';
import { type Revision, revision } from '../model/brands.ts';
import { EmbeddedFile } from './embedded-file.ts';
import { type CommittedRevision, RevisionStore, watchEventsOf } from './revision-store.ts';
import { assertWithinLimits } from './txn-limits.ts';

export interface EmbeddedStoreOptions {
  /** The SQLite file, or ':memory:' for a store that dies with the process. */
  readonly path: string;
  /** Changes of the past kept for watches that start there. */
  readonly historyChanges?: number;
}

export interface EmbeddedStoreModules {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

interface WaitingTxn {
  readonly txn: MetadataTxn;
  resolve(outcome: TxnOutcome): void;
  reject(error: Error): void;
}

export class EmbeddedStore {
  readonly #modules: EmbeddedStoreModules;
  readonly #file: EmbeddedFile | null;
  readonly #store: RevisionStore;
  readonly #watches = new Set<EmbeddedWatch>();
  readonly #leases = new Map<LeaseId, EmbeddedLease>();
  #waiting: WaitingTxn[] = [];
  #leasesGranted = 0;
  #isClosed = false;

  private constructor(file: EmbeddedFile | null, store: RevisionStore, modules: EmbeddedStoreModules) {
    this.#file = file;
    this.#store = store;
    this.#modules = modules;
  }

  /** Throws `StoreCannotOpen` with the path and the reason. */
  static async open(
    { path, historyChanges }: EmbeddedStoreOptions,
    modules: EmbeddedStoreModules,
  ): Promise<EmbeddedStore> {
    const file = path === ':memory:' ? null : await EmbeddedFile.open(path);
    const store = new RevisionStore(file?.revision ?? revision(0), file?.entries(), historyChanges);
    return new EmbeddedStore(file, store, modules);
  }

  /** One broker's way in. Closing it is what a crash of that broker looks like to the others. */
  connect(): MetadataStore {
    assert(!this.#isClosed, 'the embedded store is closed');
    return new EmbeddedConnection(this);
  }

  /** The way in of a process's only broker: closing it closes the store and its file. */
  connectAlone(): MetadataStore {
    const connection = this.connect();
    return {
      read: (prefix, at) => connection.read(prefix, at),
      transact: (txn) => connection.transact(txn),
      grantLease: (ttlMs) => connection.grantLease(ttlMs),
      watch: (prefix, after, listener) => connection.watch(prefix, after, listener),
      close: async () => {
        await connection.close();
        this.close();
      },
    };
  }

  get revision(): Revision {
    return this.#store.revision;
  }

  get clock(): Clock {
    return this.#modules.clock;
  }

  get timers(): Timers {
    return this.#modules.timers;
  }

  read(prefix: string, at?: Revision): ReturnType<RevisionStore['read']> {
    this.#refuseIfClosed();
    return this.#store.read(prefix, at);
  }

  transact(txn: MetadataTxn): Promise<TxnOutcome> {
    assertWithinLimits(txn);
    return new Promise((resolve, reject) => {
      this.#refuseIfClosed();
      if (this.#waiting.length === 0) queueMicrotask(() => this.#commitWaiting());
      this.#waiting.push({ txn, resolve, reject });
    });
  }

  grantLease(ttlMs: number): EmbeddedLease {
    this.#refuseIfClosed();
    const lease = new EmbeddedLease(this, String(++this.#leasesGranted) as LeaseId, ttlMs);
    this.#store.grantLease(lease.id);
    this.#leases.set(lease.id, lease);
    return lease;
  }

  watch(prefix: string, after: Revision, listener: WatchListener): EmbeddedWatch {
    this.#refuseIfClosed();
    const watch = new EmbeddedWatch(this.#store, prefix, after, listener, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    queueMicrotask(() => watch.start());
    return watch;
  }

  /** Ends a lease whoever holds it, deletes its keys and tells the holder; also an operator's means. */
  endLease(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (!lease || this.#isClosed) return;
    this.#leases.delete(id);
    const before = this.#store.revision;
    const committed = this.#store.endLease(id);
    if (committed) {
      try {
        this.#file?.commit([committed]);
      } catch (error) {
        // Leased keys are in no file, so nothing is lost but a reservation of revisions: the next commit makes it.
        this.#modules.logger.warn({ err: error, revision: before }, 'the metadata store could not reserve revisions');
      }
      this.#publish();
    }
    lease.lose();
  }

  /** Forgets the past before `at`: watches that need it must read anew. */
  compact(at: Revision = this.#store.revision): void {
    this.#store.compact(at);
  }

  /** Waits for nothing: what was answered is in the file already. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const watch of [...this.#watches]) watch.close();
    for (const lease of this.#leases.values()) lease.abandon();
    for (const { reject } of this.#waiting.splice(0)) reject(new StoreUnavailable('it is closed', false));
    this.#file?.close();
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new StoreUnavailable('it is closed', false);
  }

  #commitWaiting(): void {
    const batch = this.#waiting.splice(0);
    const before = this.#store.revision;
    const committed: CommittedRevision[] = [];
    const answers = batch.map((waiting) => {
      try {
        const result = this.#store.transact(waiting.txn);
        if (result.committed) committed.push(result.committed);
        const outcome = { succeeded: result.succeeded, revision: this.#store.revision };
        return () => waiting.resolve(outcome);
      } catch (error) {
        if (!(error instanceof LeaseLost)) throw error;
        return () => waiting.reject(error);
      }
    });
    try {
      this.#file?.commit(committed);
    } catch (error) {
      this.#store.rollBackTo(before);
      this.#modules.logger.error({ err: error }, 'the metadata store could not commit');
      const reason = error instanceof Error ? error.message : String(error);
      for (const { reject } of batch) reject(new StoreUnavailable(reason, true));
      return;
    }
    for (const answer of answers) answer();
    if (committed.length > 0) this.#publish();
  }

  #publish(): void {
    queueMicrotask(() => {
      for (const watch of [...this.#watches]) watch.pump();
      this.#store.trimHistory();
    });
  }
}

/** Alive as long as its holder is: in one process there is no keep-alive that could get lost. */
class EmbeddedLease implements Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly #store: EmbeddedStore;
  #state:
    | { kind: 'held' }
    | { kind: 'abandoned'; expiry: Timer; renewedMs: number }
    | { kind: 'over'; renewedMs: number } = { kind: 'held' };
  #isLost = false;
  #onLost: (() => void) | null = null;

  constructor(store: EmbeddedStore, id: LeaseId, ttlMs: number) {
    this.#store = store;
    this.id = id;
    this.ttlMs = ttlMs;
  }

  get lastRenewedMs(): number {
    return this.#state.kind === 'held' ? this.#store.clock.monotonicMs() : this.#state.renewedMs;
  }

  onLost(callback: () => void): void {
    if (this.#isLost) callback();
    else this.#onLost = callback;
  }

  /** held → over, without a word to the holder. */
  async revoke(): Promise<void> {
    this.#onLost = null;
    this.#finish();
    this.#store.endLease(this.id);
  }

  /** held → abandoned → over once the time to live has run out. */
  abandon(): void {
    this.#onLost = null;
    if (this.#state.kind !== 'held') return;
    const expiry = this.#store.timers.setTimer(this.ttlMs, () => this.#store.endLease(this.id));
    this.#state = { kind: 'abandoned', expiry, renewedMs: this.lastRenewedMs };
  }

  /** The store has ended it. */
  lose(): void {
    const isHeld = this.#state.kind === 'held';
    this.#finish();
    if (!isHeld) return;
    this.#isLost = true;
    this.#onLost?.();
  }

  #finish(): void {
    if (this.#state.kind === 'abandoned') this.#state.expiry.cancel();
    this.#state = { kind: 'over', renewedMs: this.lastRenewedMs };
  }
}

/** Reads the history behind the store at its own pace; the store only says that there is more. */
class EmbeddedWatch implements Watch {
  readonly #store: RevisionStore;
  readonly #prefix: string;
  readonly #listener: WatchListener;
  readonly #onClosed: () => void;
  #delivered: Revision;
  #state: 'starting' | 'idle' | 'delivering' | 'closed' = 'starting';

  constructor(store: RevisionStore, prefix: string, after: Revision, listener: WatchListener, onClosed: () => void) {
    this.#store = store;
    this.#prefix = prefix;
    this.#delivered = after;
    this.#listener = listener;
    this.#onClosed = onClosed;
  }

  start(): void {
    if (this.#state !== 'starting') return;
    this.#state = 'idle';
    this.#listener.onState(true);
    this.pump();
  }

  /** Harmless at any time; news that come while the listener runs are delivered after it. */
  pump(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'delivering';
    for (let news = this.#news(); news.length > 0; news = this.#news())
      for (const committed of news) {
        this.#delivered = committed.revision;
        const events = watchEventsOf(committed, this.#prefix);
        if (events) this.#listener.onEvents(events);
        if (this.#isClosed()) return;
      }
    if (!this.#isClosed()) this.#state = 'idle';
  }

  /** Empty as well once the past it needs is gone, after which the watch is over. */
  #news(): CommittedRevision[] {
    const news = this.#store.revisionsAfter(this.#delivered);
    if (news) return news;
    this.close();
    this.#listener.onCompacted();
    return [];
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#onClosed();
  }
}

class EmbeddedConnection implements MetadataStore {
  readonly #store: EmbeddedStore;
  readonly #watches: Watch[] = [];
  readonly #leases: Lease[] = [];
  #isClosed = false;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  async read(prefix: string, at?: Revision): ReturnType<MetadataStore['read']> {
    this.#refuseIfClosed();
    return { revision: at ?? this.#store.revision, entries: this.#store.read(prefix, at) };
  }

  async transact(txn: MetadataTxn): Promise<TxnOutcome> {
    this.#refuseIfClosed();
    return this.#store.transact(txn);
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    this.#refuseIfClosed();
    const lease = this.#store.grantLease(ttlMs);
    this.#leases.push(lease);
    return lease;
  }

  watch(prefix: string, after: Revision, listener: WatchListener): Watch {
    this.#refuseIfClosed();
    const watch = this.#store.watch(prefix, after, listener);
    this.#watches.push(watch);
    return watch;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of this.#watches.splice(0)) watch.close();
    for (const lease of this.#leases.splice(0)) lease.abandon();
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new StoreUnavailable('this connection is closed', false);
  }
}
