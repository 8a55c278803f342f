/** The three metadata stores as the contract suite sees them: connections, the passing of time, and an operator's hand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedStore } from '../../src/cluster/embedded-store.ts';
import { EtcdStore } from '../../src/cluster/etcd/etcd-store.ts';
import type { LeaseId, MetadataStore, Watch, WatchEvents } from '../../src/controller/metadata-store.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { nodeClock } from '../../src/env/node/clock.ts';
import { nodeTimers } from '../../src/env/node/timers.ts';
import type { Random } from '../../src/env/random.ts';
import { type Revision, revision } from '../../src/model/brands.ts';
import { EtcdCluster, etcdProgram } from './etcd.ts';
import { ManualTime, settled } from './manual-time.ts';
import { SimulatedStore } from './simulated-store.ts';

export interface StoreHarness {
  connect(): Promise<MetadataStore>;
  /** Lets time pass until the promise is settled. */
  settle<Result>(promise: Promise<Result>): Promise<Result>;
  compact(at: Revision): Promise<void>;
  /** The store ends a lease whose holder is alive. */
  dropLease(id: LeaseId): Promise<void>;
  /** Watches lose their streams, where the store has streams. */
  cutWatches?(): void;
  stop(): Promise<void>;
}

/** Small numbers in a fixed order: what they are does not matter to the suite. */
function countingRandom(): Random {
  let drawn = 0;
  return { next: () => (drawn++ % 7) / 7, bytes: (length) => Buffer.alloc(length, drawn++) };
}

/** Manual time moves in small steps while a promise is awaited. */
async function settleInManualTime<Result>(time: ManualTime, promise: Promise<Result>): Promise<Result> {
  let isSettled = false;
  const mark = (): void => {
    isSettled = true;
  };
  promise.then(mark, mark);
  for (let step = 0; step < 10_000 && !isSettled; step++) {
    await time.advance(5);
    await settled();
  }
  if (!isSettled) throw new Error('not settled after 50 s of simulated time');
  return promise;
}

export async function simulatedHarness(): Promise<StoreHarness> {
  const time = new ManualTime();
  const store = new SimulatedStore({ clock: time, timers: time, random: countingRandom() });
  return {
    connect: async () => store.connect(),
    settle: (promise) => settleInManualTime(time, promise),
    compact: async (at) => store.core.compact(at),
    dropLease: async () => store.core.dropAllLeases(),
    cutWatches: () => store.cutWatches(),
    stop: async () => {},
  };
}

export async function embeddedHarness(): Promise<StoreHarness> {
  const time = new ManualTime();
  const directory = mkdtempSync(join(tmpdir(), 'cordwood-store-'));
  const modules = { clock: time, timers: time, logger: silentLogger };
  const store = await EmbeddedStore.open({ path: join(directory, 'metadata.sqlite') }, modules);
  return {
    connect: async () => store.connect(),
    settle: (promise) => settleInManualTime(time, promise),
    compact: async (at) => store.compact(at),
    dropLease: async (id) => store.endLease(id),
    stop: async () => {
      store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

/** One etcd for a whole file; each harness takes a cluster name of its own in it. Null without an etcd. */
export async function etcdHarnesses(
  size: number,
): Promise<{ make(): Promise<StoreHarness>; stop(): Promise<void> } | null> {
  const program = etcdProgram();
  if (!program) return null;
  const cluster = await EtcdCluster.start(program, size);
  let made = 0;
  return {
    async make() {
      const opened: MetadataStore[] = [];
      const clusterName = `contract-${++made}`;
      return {
        async connect() {
          const modules = { clock: nodeClock, timers: nodeTimers, logger: silentLogger };
          // Pages of three, so that every read of the suite is a read of several.
          const options = { endpoints: cluster.endpoints, clusterName, pageKeys: 3, openLimitMs: 30_000 };
          const store = await EtcdStore.open(options, modules);
          opened.push(store);
          return store;
        },
        settle: (promise) => promise,
        compact: (at) => cluster.compact(at),
        dropLease: (id) => cluster.revokeLease(id),
        stop: async () => {
          await Promise.all(opened.map((store) => store.close()));
        },
      };
    },
    stop: () => cluster.stop(),
  };
}

/** Keeps what a watch says and lets a test wait for it. */
export class WatchRecorder {
  readonly events: WatchEvents[] = [];
  readonly states: boolean[] = [];
  compactions = 0;
  #waiting: { isMet: () => boolean; resolve: () => void }[] = [];
  #watch: Watch | null = null;

  start(store: MetadataStore, prefix: string, after: Revision): this {
    this.#watch = store.watch(prefix, after, {
      onEvents: (events) => {
        this.events.push(events);
        this.#check();
      },
      onCompacted: () => {
        this.compactions++;
        this.#check();
      },
      onState: (connected) => {
        this.states.push(connected);
        this.#check();
      },
    });
    return this;
  }

  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isMet, resolve });
      this.#check();
    });
  }

  /** All that the watch said of a key: its values in order, null for a deletion. */
  valuesOf(key: string): (string | null)[] {
    return this.events.flatMap(({ changes }) =>
      changes.filter((change) => change.key === key).map(({ value }) => value),
    );
  }

  get lastRevision(): Revision {
    return this.events.at(-1)?.revision ?? revision(0);
  }

  /** What a reader would see now that knew `entries` and then heard all of this. */
  appliedTo(entries: readonly { key: string; value: string }[]): [string, string][] {
    const state = new Map(entries.map(({ key, value }) => [key, value]));
    for (const { changes } of this.events)
      for (const { key, value } of changes)
        if (value === null) state.delete(key);
        else state.set(key, value);
    return [...state].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  close(): void {
    this.#watch?.close();
  }

  #check(): void {
    this.#waiting = this.#waiting.filter(({ isMet, resolve }) => {
      if (!isMet()) return true;
      resolve();
      return false;
    });
  }
}
