/**
 * What does a store of revisions hold after each transaction, and what did each revision change? The semantics that
 * the embedded and the simulated store share, in memory and synchronous; it knows no disk, no time and no watcher.
 *
 *     history   [r7: a=1] [r8: b=2, c=3] [r9: -a] [r10: b=4]      each with what stood there before
 *               └ compacted ┘└──────── kept ──────────────┘
 *     entries   b=4 (r10), c=3 (r8)                               a read at r8 is this, minus r10, minus r9
 */
import {
  type LeaseId,
  LeaseLost,
  type MetadataTxn,
  RevisionCompacted,
  type WatchEvents,
} from '../controller/metadata-store.ts';
import { assert } from '../model/assert.ts';
import { type Revision, revision } from '../model/brands.ts';

export interface RevisionEntry {
  readonly value: string;
  readonly modRevision: Revision;
  readonly lease: LeaseId | null;
}

/** One key's part in a revision. */
export interface RevisionChange {
  readonly key: string;
  readonly after: RevisionEntry | null;
  readonly before: RevisionEntry | null;
}

export interface CommittedRevision {
  readonly revision: Revision;
  readonly changes: readonly RevisionChange[];
}

/** The parts of a revision under a prefix, or null where it has none. */
export function watchEventsOf(committed: CommittedRevision, prefix: string): WatchEvents | null {
  const changes = committed.changes
    .filter(({ key }) => key.startsWith(prefix))
    .map(({ key, after }) => ({ key, value: after?.value ?? null, modRevision: committed.revision }));
  return changes.length === 0 ? null : { revision: committed.revision, changes };
}

/** Revisions kept for reads of the past and for watches that start there. */
const defaultHistoryChanges = 10_000;

export class RevisionStore {
  readonly #entries: Map<string, RevisionEntry>;
  /** The keys of each lease that is alive. */
  readonly #leases = new Map<LeaseId, Set<string>>();
  readonly #historyChanges: number;
  #history: CommittedRevision[] = [];
  #keptChanges = 0;
  #revision: Revision;
  #compactedRevision: Revision;

  /** `entries` as they stand at `at`; nothing before is known. */
  constructor(at: Revision, entries: Iterable<[string, RevisionEntry]> = [], historyChanges = defaultHistoryChanges) {
    this.#revision = at;
    this.#compactedRevision = at;
    this.#entries = new Map(entries);
    this.#historyChanges = historyChanges;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** A watch can start after this revision or a later one, and a read can be made at it. */
  get compactedRevision(): Revision {
    return this.#compactedRevision;
  }

  read(prefix: string, at: Revision = this.#revision): { key: string; value: string; modRevision: Revision }[] {
    if (at < this.#compactedRevision) throw new RevisionCompacted(at);
    assert(at <= this.#revision, `revision ${at} has not happened yet, the store is at ${this.#revision}`);
    const found = new Map<string, RevisionEntry>();
    for (const [key, entry] of this.#entries) if (key.startsWith(prefix)) found.set(key, entry);
    for (const { changes } of this.#laterThan(at).reverse())
      for (const { key, before } of changes)
        if (key.startsWith(prefix)) {
          if (before) found.set(key, before);
          else found.delete(key);
        }
    return [...found]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { value, modRevision }]) => ({ key, value, modRevision }));
  }

  /** The new revision, or null where a compare failed or nothing changed. Throws `LeaseLost`. */
  transact({ compares, mutations }: MetadataTxn): { succeeded: boolean; committed: CommittedRevision | null } {
    const holds = compares.every(({ key, modRevision }) => (this.#entries.get(key)?.modRevision ?? 0) === modRevision);
    if (!holds) return { succeeded: false, committed: null };
    for (const mutation of mutations)
      if (mutation.kind === 'put' && mutation.lease !== undefined && !this.#leases.has(mutation.lease))
        throw new LeaseLost(mutation.lease);
    const next = revision(this.#revision + 1);
    const changes: RevisionChange[] = [];
    for (const mutation of mutations) {
      const before = this.#entries.get(mutation.key) ?? null;
      if (mutation.kind === 'put')
        changes.push({
          key: mutation.key,
          after: { value: mutation.value, modRevision: next, lease: mutation.lease ?? null },
          before,
        });
      else if (before) changes.push({ key: mutation.key, after: null, before });
    }
    return { succeeded: true, committed: this.#commit(next, changes) };
  }

  grantLease(id: LeaseId): void {
    assert(!this.#leases.has(id), `lease ${id} is granted twice`);
    this.#leases.set(id, new Set());
  }

  hasLease(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  leases(): LeaseId[] {
    return [...this.#leases.keys()];
  }

  /** Ends a lease: its keys are deleted in one revision (null where it had none, or is not known). */
  endLease(id: LeaseId): CommittedRevision | null {
    const held = this.#leases.get(id);
    if (!held) return null;
    this.#leases.delete(id);
    const changes = [...held].sort().map((key) => ({ key, after: null, before: this.#entries.get(key) ?? null }));
    return this.#commit(revision(this.#revision + 1), changes);
  }

  /** What happened after a revision, oldest first; null where that is no longer known in full. */
  revisionsAfter(after: Revision): CommittedRevision[] | null {
    return after < this.#compactedRevision ? null : this.#laterThan(after);
  }

  /** Forgets how the store looked before `at`. */
  compact(at: Revision): void {
    assert(at <= this.#revision, `revision ${at} cannot be compacted, the store is at ${this.#revision}`);
    if (at <= this.#compactedRevision) return;
    const kept = this.#laterThan(at);
    this.#history = kept;
    this.#keptChanges = kept.reduce((sum, { changes }) => sum + changes.length, 0);
    this.#compactedRevision = at;
  }

  /** Forgets half of what is kept once it is more than `historyChanges`, so that forgetting stays cheap. */
  trimHistory(): void {
    if (this.#keptChanges > this.#historyChanges) this.compact(this.#middleRevision());
  }

  /** Takes back every revision later than `at`, as a transaction whose commit failed does. Ended leases stay ended. */
  rollBackTo(at: Revision): void {
    assert(at >= this.#compactedRevision, `revision ${at} is compacted, no way back to it`);
    for (const { changes } of this.#laterThan(at).reverse()) {
      for (const { key, before, after } of changes) this.#set(key, before, after);
      this.#keptChanges -= changes.length;
      this.#history.pop();
    }
    this.#revision = at;
  }

  #commit(next: Revision, changes: RevisionChange[]): CommittedRevision | null {
    if (changes.length === 0) return null;
    for (const { key, before, after } of changes) this.#set(key, after, before);
    const committed = { revision: next, changes };
    this.#revision = next;
    this.#history.push(committed);
    this.#keptChanges += changes.length;
    return committed;
  }

  #set(key: string, to: RevisionEntry | null, from: RevisionEntry | null): void {
    if (from?.lease) this.#leases.get(from.lease)?.delete(key);
    if (to?.lease) this.#leases.get(to.lease)?.add(key);
    if (to) this.#entries.set(key, to);
    else this.#entries.delete(key);
  }

  #middleRevision(): Revision {
    return this.#history[this.#history.length >> 1]?.revision ?? this.#revision;
  }

  #laterThan(after: Revision): CommittedRevision[] {
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#history[middle]?.revision ?? 0) <= after) low = middle + 1;
      else high = middle;
    }
    return this.#history.slice(low);
  }
}
