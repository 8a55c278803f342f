/**
 * One process's way to the metadata store: requests and answers that are delayed and lost, a transaction that is
 * carried out long after its caller gave up, a watch that is cut and compacted, a lease that is kept alive.
 */
import type { StoreOutcome } from '../../src/controller/controller-events.ts';
import {
  type KeyValue,
  type LeaseId,
  LeaseLost,
  type MetadataTxn,
  StoreUnavailable,
} from '../../src/controller/metadata-store.ts';
import type { Revision } from '../../src/model/brands.ts';
import type { StoredEntry } from '../../src/model/cluster-image.ts';
import type { SimulatedStoreCore, WatchCursor } from '../support/simulated-store.ts';
import type { SeededRandom } from './seeded-random.ts';
import { type SimulatedNetwork, storePlace } from './simulated-network.ts';
import type { SimulatedProcess } from './simulated-process.ts';

export interface StoreWeather {
  loseRequest: number;
  loseAnswer: number;
  /** Carried out after the caller was told that it cannot be known. */
  carryOutLate: number;
  latencyMs: number;
}

const callLimitMs = 2_000;

/** A store that everybody shares, with the weather on the way to it. */
export interface SharedStore {
  readonly core: SimulatedStoreCore;
  readonly weather: StoreWeather;
  readonly network: SimulatedNetwork;
  readonly random: SeededRandom;
  /** Called with each transaction before it is carried out; may replace it (planted faults). */
  beforeTxn(txn: MetadataTxn): MetadataTxn;
  readonly accesses: Set<StoreAccess>;
}

export class StoreAccess {
  readonly #store: SharedStore;
  readonly #process: SimulatedProcess;
  #watch: MetadataFollower | null = null;

  constructor(store: SharedStore, process: SimulatedProcess) {
    this.#store = store;
    this.#process = process;
    store.accesses.add(this);
  }

  get #isReachable(): boolean {
    return this.#store.network.canTalk(this.#process.brokerId, storePlace) && !this.#store.core.isAway;
  }

  #delayMs(): number {
    return this.#store.random.next() * this.#store.weather.latencyMs;
  }

  transact(txn: MetadataTxn, done: (outcome: StoreOutcome) => void): void {
    const { random, weather, network } = this.#store;
    const answer = (delayMs: number, outcome: StoreOutcome): void => this.#process.after(delayMs, () => done(outcome));
    if (!this.#isReachable) {
      const isKnown = random.chance(0.5);
      return answer(isKnown ? this.#delayMs() : callLimitMs, { kind: isKnown ? 'notDone' : 'unknown' });
    }
    if (random.chance(weather.loseRequest)) return answer(callLimitMs, { kind: 'unknown' });
    const isLate = random.chance(weather.carryOutLate);
    if (isLate) answer(callLimitMs, { kind: 'unknown' });
    network.scheduler.after(isLate ? callLimitMs + random.between(0, 2_000) : this.#delayMs(), () => {
      const outcome = this.#carryOut(txn);
      if (isLate) return;
      const isLost = random.chance(weather.loseAnswer) || !this.#isReachable;
      answer(isLost ? callLimitMs : this.#delayMs(), isLost ? { kind: 'unknown' } : outcome);
    });
  }

  #carryOut(txn: MetadataTxn): StoreOutcome {
    try {
      const { succeeded, revision } = this.#store.core.transact(this.#store.beforeTxn(txn));
      return { kind: succeeded ? 'succeeded' : 'failed', revision };
    } catch (error) {
      if (error instanceof LeaseLost) return { kind: 'notDone' };
      if (error instanceof StoreUnavailable) return { kind: error.outcomeUnknown ? 'unknown' : 'notDone' };
      throw error;
    }
  }

  /** Everything at one revision; asks until it is answered. */
  read(done: (entries: readonly KeyValue[], at: Revision) => void): void {
    this.#process.after(this.#delayMs(), () => {
      if (!this.#isReachable) return this.#process.after(200, () => this.read(done));
      const { entries, revision } = this.#store.core.read('');
      this.#process.after(this.#delayMs(), () => done(entries, revision));
    });
  }

  /** Follows all changes after `revision`; `known` is what was read at it. */
  follow(known: readonly KeyValue[], at: Revision, onChanges: MetadataFollower['onChanges']): void {
    this.#watch = new MetadataFollower(this.#store, this, this.#process, known, at, onChanges);
    this.#watch.wake();
  }

  /** The store has changed, or can be reached again. */
  wake(): void {
    this.#watch?.wake();
  }

  /** A lease, kept alive by this process for as long as it can; `onLost` once it cannot count on it any more. */
  grantLease(
    ttlMs: number,
    on: { granted(id: LeaseId): void; renewed(sentMs: number): void; lost(): void },
  ): LeaseHolder {
    const holder = new LeaseHolder(this.#store, this.#process, ttlMs, on);
    holder.start();
    return holder;
  }

  close(): void {
    this.#store.accesses.delete(this);
  }
}

/** The broker's image follows the store: in revision order, each revision whole (I1). */
export class MetadataFollower {
  readonly #store: SharedStore;
  readonly #access: StoreAccess;
  readonly #process: SimulatedProcess;
  readonly onChanges: (at: Revision, changes: readonly StoredEntry[]) => void;
  #cursor: WatchCursor;
  /** Keys as of what was last applied, for the difference after a compaction. */
  readonly #known = new Map<string, Revision>();
  #isPulling = false;

  constructor(
    store: SharedStore,
    access: StoreAccess,
    process: SimulatedProcess,
    known: readonly KeyValue[],
    at: Revision,
    onChanges: (at: Revision, changes: readonly StoredEntry[]) => void,
  ) {
    this.#store = store;
    this.#access = access;
    this.#process = process;
    this.onChanges = onChanges;
    this.#cursor = store.core.openWatch('', at);
    for (const { key, modRevision } of known) this.#known.set(key, modRevision);
  }

  wake(): void {
    if (this.#isPulling || this.#process.isDead) return;
    const { network, weather, random } = this.#store;
    if (!network.canTalk(this.#process.brokerId, storePlace)) return;
    this.#isPulling = true;
    network.scheduler.after(random.next() * weather.latencyMs, () => {
      this.#isPulling = false;
      if (!this.#process.isDead && network.canTalk(this.#process.brokerId, storePlace)) this.#pull();
    });
  }

  #pull(): void {
    const pulled = this.#cursor.pull();
    if (pulled.kind === 'compacted') return this.#readAgain();
    if (pulled.kind === 'nothing') return;
    const { revision, changes } = pulled.events;
    this.#process.run(() => this.#apply(revision, changes));
    this.wake();
  }

  #apply(at: Revision, changes: readonly StoredEntry[]): void {
    for (const { key, value, modRevision } of changes)
      if (value === null) this.#known.delete(key);
      else this.#known.set(key, modRevision);
    this.onChanges(at, changes);
  }

  #readAgain(): void {
    this.#isPulling = true;
    this.#access.read((entries, at) => {
      this.#isPulling = false;
      const found = new Set(entries.map(({ key }) => key));
      const changes: StoredEntry[] = entries.filter(({ key, modRevision }) => this.#known.get(key) !== modRevision);
      for (const key of this.#known.keys()) if (!found.has(key)) changes.push({ key, value: null, modRevision: at });
      this.#cursor = this.#store.core.openWatch('', at);
      if (changes.length > 0) this.#apply(at, changes);
      this.wake();
    });
  }
}

export class LeaseHolder {
  readonly #store: SharedStore;
  readonly #process: SimulatedProcess;
  readonly #ttlMs: number;
  readonly #on: { granted(id: LeaseId): void; renewed(sentMs: number): void; lost(): void };
  #id: LeaseId | null = null;
  #lastRenewedMs = 0;
  #isOver = false;

  constructor(store: SharedStore, process: SimulatedProcess, ttlMs: number, on: LeaseHolder['handlers']) {
    this.#store = store;
    this.#process = process;
    this.#ttlMs = ttlMs;
    this.#on = on;
  }

  get handlers(): { granted(id: LeaseId): void; renewed(sentMs: number): void; lost(): void } {
    return this.#on;
  }
  get id(): LeaseId | null {
    return this.#isOver ? null : this.#id;
  }
  get lastRenewedMs(): number {
    return this.#lastRenewedMs;
  }

  start(): void {
    const sentMs = this.#nowMs;
    this.#call(
      () => this.#store.core.grantLease(this.#ttlMs),
      (id) => {
        this.#id = id;
        this.#lastRenewedMs = sentMs;
        this.#on.granted(id);
        this.#on.renewed(sentMs);
        this.#keepAliveLater();
      },
      () => this.#lose(),
    );
  }

  get #nowMs(): number {
    return this.#store.network.scheduler.nowMs;
  }

  #keepAliveLater(): void {
    this.#process.after(this.#ttlMs / 3, () => {
      if (this.#isOver || this.#id === null) return;
      const id = this.#id;
      const sentMs = this.#nowMs;
      this.#call(
        () => this.#store.core.keepAlive(id),
        (isAlive) => {
          if (this.#isOver) return;
          if (!isAlive) return this.#lose();
          this.#lastRenewedMs = sentMs;
          this.#on.renewed(sentMs);
        },
        () => undefined,
      );
      this.#keepAliveLater();
    });
  }

  /** One call there and back; `failed` when it did not get through, which is noticed late. */
  #call<Result>(there: () => Result, back: (result: Result) => void, failed: () => void): void {
    const { network, weather, random } = this.#store;
    const fail = (): void => this.#process.after(1_000, failed);
    network.scheduler.after(random.next() * weather.latencyMs, () => {
      if (!network.canTalk(this.#process.brokerId, storePlace)) return fail();
      try {
        const result = there();
        this.#process.after(random.next() * weather.latencyMs, () => back(result));
      } catch {
        fail();
      }
    });
  }

  #lose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#on.lost();
  }

  revoke(): void {
    this.#isOver = true;
    const id = this.#id;
    if (id === null) return;
    this.#call(
      () => this.#store.core.revokeLease(id),
      () => undefined,
      () => undefined,
    );
  }
}
