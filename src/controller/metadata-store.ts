/**
 * What the control plane needs of the store that orders all metadata: read at a revision, compare-and-swap, lease,
 * watch. Three stores implement it and pass one suite (`test/contract/metadata-store.test.ts`): etcd and the embedded
 * one in `cluster/`, and the simulated one of the tests.
 *
 * Keys are given without the cluster's prefix (`model/metadata-schema.ts` spells them); values are compact JSON.
 * Safety rests on the compares of a transaction alone, never on a read being fresh (`replication-invariants` §3).
 */
import type { Revision } from '../model/brands.ts';

declare const leaseBrand: unique symbol;
/** A lease's id as text: etcd's are 64-bit. */
export type LeaseId = string & { readonly [leaseBrand]: true };

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The revision that last wrote the key. */
  readonly modRevision: Revision;
}

/** The key was last written at exactly this revision; 0 means that there is no such key. */
export interface Compare {
  readonly key: string;
  readonly modRevision: Revision;
}

export type Mutation =
  /** A put without a lease takes the key off the lease it had. */
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: LeaseId }
  /** Deleting a key that is not there is no error and changes nothing. */
  | { readonly kind: 'delete'; readonly key: string };

/** All compares hold → all mutations happen, at one new revision; else none. A key may be mutated once. */
export interface MetadataTxn {
  readonly compares: readonly Compare[];
  readonly mutations: readonly Mutation[];
}

export interface TxnOutcome {
  readonly succeeded: boolean;
  /**
   * Succeeded: the revision that the mutations made (a watch over them shows it). Else the store's revision when the
   * compares were made, which a watch need not show: in a shared etcd it may be somebody else's.
   */
  readonly revision: Revision;
}

/** Everything one revision changed under the watched prefix; never a part of it (I1). */
export interface WatchEvents {
  readonly revision: Revision;
  /** `value` is null where the key was deleted; `modRevision` is then the revision of the deletion. */
  readonly changes: readonly { readonly key: string; readonly value: string | null; readonly modRevision: Revision }[];
}

export interface WatchListener {
  /** In revision order, without gap or repeat. */
  onEvents(events: WatchEvents): void;
  /**
   * The store has forgotten revisions this watch still needed. The watch is over: read everything at one revision,
   * take the difference, and watch from there.
   */
  onCompacted(): void;
  /** false: the store is away and news are late; the watch goes on by itself without a gap. First called with true. */
  onState(connected: boolean): void;
}

export interface Watch {
  /** No call to the listener after this. */
  close(): void;
}

export interface Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  /**
   * Monotonic time at which the last *answered* keep-alive (or the grant) was sent: the store keeps the lease at least
   * until then + ttlMs. The controller stops deciding at 0.6 of it (§2.1.5).
   */
  readonly lastRenewedMs: number;
  /**
   * Called once, when the store says that the lease is gone; at once if it has said so already. Not after `revoke` or
   * `abandon`, and not while the store is away: what silence means is read from `lastRenewedMs`. Proves nothing about
   * others (I7): take a new lease.
   */
  onLost(callback: () => void): void;
  /** Deletes the lease's keys in one revision. Never rejects: where the store is away the lease runs out by itself. */
  revoke(): Promise<void>;
  /** Stops the keep-alives and says nothing to the store, as a crash would. */
  abandon(): void;
}

export interface MetadataStore {
  /**
   * All keys that start with `prefix` ('' for all), sorted, at one revision; the newest one committed (linearizable)
   * unless `at` names one. Throws `RevisionCompacted` where `at` is no longer kept, `StoreUnavailable`, `StoreWentBack`.
   */
  read(prefix: string, at?: Revision): Promise<{ readonly revision: Revision; readonly entries: KeyValue[] }>;
  /**
   * Throws `StoreUnavailable` when no answer came in time (the transaction may have been committed: read, compare,
   * decide; never repeat blindly), `LeaseLost` when a put names a lease the store does not know (nothing happened).
   * More than 128 compares or mutations, 1.5 MiB, or a key mutated twice are bugs of the caller: an assertion.
   */
  transact(txn: MetadataTxn): Promise<TxnOutcome>;
  /** A lease kept alive by the store's client until it is revoked, abandoned or lost. Throws `StoreUnavailable`. */
  grantLease(ttlMs: number): Promise<Lease>;
  /** Every revision later than `after` that changes a key under `prefix`. */
  watch(prefix: string, after: Revision, listener: WatchListener): Watch;
  /** Ends watches and keep-alives; leases run out by themselves, as after a crash (revoke them first). */
  close(): Promise<void>;
}

/** Operations of one kind (compares, mutations) in a transaction: etcd's `--max-txn-ops`. */
export const maxTxnOps = 128;
/** Bytes of one request: etcd's `--max-request-bytes`. */
export const maxTxnBytes = 1_572_864;

/** The store did not answer in time, or cannot be reached. A failure of the world: retry, or say so. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
  /** True where the request may have been carried out all the same. */
  readonly outcomeUnknown: boolean;
  constructor(reason: string, outcomeUnknown: boolean) {
    super(`the metadata store does not answer: ${reason}`);
    this.outcomeUnknown = outcomeUnknown;
  }
}

/** The revision asked for has been compacted away: read the newest one instead. */
export class RevisionCompacted extends Error {
  override name = 'RevisionCompacted';
  constructor(asked: Revision) {
    super(`revision ${asked} of the metadata store has been compacted`);
  }
}

/** The store is older than what this process has already seen of it: restored from a snapshot, or another one (I4). Stop. */
export class StoreWentBack extends Error {
  override name = 'StoreWentBack';
}

/** The lease that a put names is gone; nothing of the transaction happened. Take a new lease. */
export class LeaseLost extends Error {
  override name = 'LeaseLost';
  constructor(id: LeaseId) {
    super(`lease ${id} is gone`);
  }
}
