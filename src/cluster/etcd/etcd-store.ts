/**
 * The metadata store of a cluster: etcd behind our interface, by the few calls of `proto/etcd.proto`. Every key lies
 * under `/<cluster>/v1/`, so that several clusters can share one etcd (`replication-invariants` §3).
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import {
  type KeyValue,
  type Lease,
  type LeaseId,
  LeaseLost,
  type MetadataStore,
  type MetadataTxn,
  type Mutation,
  RevisionCompacted,
  StoreUnavailable,
  StoreWentBack,
  type TxnOutcome,
  type Watch,
  type WatchListener,
} from '../../controller/metadata-store.ts';
import type { Clock, Timers } from '../../env/clock.ts';
import type { Logger } from '../../env/logger.ts';
import { pause } from '../../env/pause.ts';
import { assert, present } from '../../model/assert.ts';
import { type Revision, revision } from '../../model/brands.ts';
import { StoreCannotOpen } from '../store-cannot-open.ts';
import { assertWithinLimits } from '../txn-limits.ts';
import { type EtcdKeyValue, etcdApi, modRevisionTarget, type RequestOp, type ResponseHeader } from './etcd-api.ts';
import { EtcdLease } from './etcd-lease.ts';
import { type EtcdMember, EtcdMembers, EtcdRefusal, type EtcdTls } from './etcd-members.ts';
import { versionProblem } from './etcd-version.ts';
import { type EtcdStreamModules, EtcdWatch } from './etcd-watch.ts';

export interface EtcdStoreOptions {
  /** `http://host:port` each; any of them, or all. */
  readonly endpoints: readonly string[];
  /** The first part of every key. */
  readonly clusterName: string;
  readonly tls?: EtcdTls;
  /** How long `open` waits for a member that answers and has a leader. */
  readonly openLimitMs?: number;
  /** How long a call may take, tries at other members included. */
  readonly callLimitMs?: number;
  /** Keys per answer of a read. */
  readonly pageKeys?: number;
}

export interface EtcdStoreModules {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

const defaultOpenLimitMs = 10_000;
const defaultCallLimitMs = 4_000;
const defaultPageKeys = 1_000;
const statusLimitMs = 1_000;
const revokeLimitMs = 2_000;
const zero = Buffer.alloc(1);
const noLease = '0';

/** The first key that is later than all that start with `prefix`. */
export function rangeEndOf(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--) {
    const byte = present(end[at], 'the position is within the prefix');
    if (byte < 0xff) {
      end[at] = byte + 1;
      return end.subarray(0, at + 1);
    }
  }
  return zero;
}

export class EtcdStore implements MetadataStore {
  readonly #members: EtcdMembers;
  readonly #modules: EtcdStreamModules;
  readonly #keyPrefix: Buffer;
  readonly #callLimitMs: number;
  readonly #pageKeys: number;
  readonly #watches = new Set<EtcdWatch>();
  readonly #leases = new Set<EtcdLease>();
  /** The latest revision known to be committed, and in which etcd. */
  #highestRevision = revision(0);
  #etcdClusterId: string | null = null;
  #isClosed = false;

  private constructor(members: EtcdMembers, options: EtcdStoreOptions, modules: EtcdStoreModules) {
    this.#members = members;
    this.#modules = { members, ...modules };
    this.#keyPrefix = Buffer.from(`/${options.clusterName}/v1/`);
    this.#callLimitMs = options.callLimitMs ?? defaultCallLimitMs;
    this.#pageKeys = options.pageKeys ?? defaultPageKeys;
  }

  /** Waits until a member answers and a majority stands behind it; throws `StoreCannotOpen` naming endpoints and reasons. */
  static async open(options: EtcdStoreOptions, modules: EtcdStoreModules): Promise<EtcdStore> {
    assert(/^[^/\s]+$/.test(options.clusterName), `the cluster name cannot be part of a key: "${options.clusterName}"`);
    const members = new EtcdMembers(options.endpoints, options.tls ?? null, modules);
    const store = new EtcdStore(members, options, modules);
    try {
      await store.#connect(options.openLimitMs ?? defaultOpenLimitMs);
      return store;
    } catch (error) {
      members.close();
      throw error;
    }
  }

  /** The member that calls go to now, as configured. */
  get endpoint(): string {
    return this.#members.current.endpoint;
  }

  async read(prefix: string, at?: Revision): Promise<{ revision: Revision; entries: KeyValue[] }> {
    for (;;) {
      try {
        return await this.#readPages(this.#key(prefix), at);
      } catch (error) {
        const kind = error instanceof EtcdRefusal ? error.failure.kind : null;
        // Compacted between two pages of a read that did not name its revision: begin anew with the newest.
        if (kind === 'compacted' && at === undefined) continue;
        if (kind === 'compacted' && at !== undefined) throw new RevisionCompacted(at);
        if (kind === 'futureRevision') throw new StoreWentBack(`the metadata store has not reached revision ${at}`);
        throw this.#asUnavailable(error);
      }
    }
  }

  async transact(txn: MetadataTxn): Promise<TxnOutcome> {
    assertWithinLimits(txn, this.#keyPrefix.length);
    const request = {
      compare: txn.compares.map(({ key, modRevision }) => ({
        target: modRevisionTarget,
        key: this.#key(key),
        modRevision,
      })),
      success: txn.mutations.map((mutation) => this.#requestOp(mutation)),
    };
    const known = this.#highestRevision;
    try {
      const { response } = await this.#call(etcdApi.txn, request, false);
      return { succeeded: response.succeeded, revision: this.#check(response.header, known) };
    } catch (error) {
      if (error instanceof EtcdRefusal && error.failure.kind === 'leaseNotFound') throw new LeaseLost(leasesOf(txn));
      throw this.#asUnavailable(error);
    }
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    this.#refuseIfClosed();
    const request = { TTL: Math.ceil(ttlMs / 1_000) };
    // Granting twice leaves a lease behind that nobody keeps alive: harmless.
    const { response, sentMs } = await this.#call(etcdApi.leaseGrant, request, true).catch((error: unknown) => {
      throw this.#asUnavailable(error);
    });
    const id = response.ID as LeaseId;
    const lease = new EtcdLease(
      {
        id,
        ttlMs: response.TTL * 1_000,
        grantSentMs: sentMs,
        revoke: () => this.#revoke(id),
        onOver: () => this.#leases.delete(lease),
      },
      this.#modules,
    );
    this.#leases.add(lease);
    if (this.#isClosed) lease.abandon();
    return lease;
  }

  watch(prefix: string, after: Revision, listener: WatchListener): Watch {
    this.#refuseIfClosed();
    const key = this.#key(prefix);
    const watch = new EtcdWatch(
      {
        key,
        rangeEnd: rangeEndOf(key),
        keyOverheadBytes: this.#keyPrefix.length,
        after,
        hasGoneBack: (delivered) => this.#hasGoneBack(delivered),
        onClosed: () => this.#watches.delete(watch),
      },
      {
        onEvents: (events) => {
          this.#highestRevision = later(this.#highestRevision, events.revision);
          listener.onEvents(events);
        },
        onCompacted: () => listener.onCompacted(),
        onState: (connected) => listener.onState(connected),
      },
      this.#modules,
    );
    this.#watches.add(watch);
    return watch;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of [...this.#watches]) watch.close();
    for (const lease of [...this.#leases]) lease.abandon();
    this.#members.close();
  }

  #key(key: string): Buffer {
    return Buffer.concat([this.#keyPrefix, Buffer.from(key)]);
  }

  #requestOp(mutation: Mutation): RequestOp {
    const key = this.#key(mutation.key);
    if (mutation.kind === 'delete') return { requestPut: null, requestDeleteRange: { key } };
    const put = { key, value: Buffer.from(mutation.value), lease: mutation.lease ?? noLease };
    return { requestPut: put, requestDeleteRange: null };
  }

  #call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    repeatable: boolean,
  ): Promise<{ readonly response: Response; readonly sentMs: number }> {
    return this.#members.call(method, request, { repeatable, timeLimitMs: this.#callLimitMs });
  }

  /** All pages at the revision of the first, whichever member gives them. */
  async #readPages(key: Buffer, at: Revision | undefined): Promise<{ revision: Revision; entries: KeyValue[] }> {
    const rangeEnd = rangeEndOf(key);
    const entries: KeyValue[] = [];
    let from = key;
    let readAt = at;
    for (;;) {
      const known = this.#highestRevision;
      const request = { key: from, rangeEnd, limit: this.#pageKeys, revision: readAt ?? 0 };
      const { response } = await this.#call(etcdApi.range, request, true);
      const newest = this.#check(response.header, known);
      readAt ??= newest;
      for (const kv of response.kvs) entries.push(this.#entryOf(kv));
      const last = response.kvs.at(-1);
      if (!response.more || !last) return { revision: readAt, entries };
      from = Buffer.concat([last.key, zero]);
    }
  }

  #entryOf({ key, value, modRevision }: EtcdKeyValue): KeyValue {
    return {
      key: key.toString('utf8', this.#keyPrefix.length),
      value: value.toString('utf8'),
      modRevision: revision(modRevision),
    };
  }

  /** The revision of a linearizable answer, which cannot be older than what was known before the question (I4). */
  #check(header: ResponseHeader | null, known: Revision): Revision {
    const { revision: answeredAt, clusterId } = present(header, 'etcd puts a header on every answer');
    const at = revision(answeredAt);
    this.#etcdClusterId ??= clusterId;
    if (clusterId !== this.#etcdClusterId)
      throw new StoreWentBack(
        `the endpoints are now of etcd cluster ${clusterId}, they were of ${this.#etcdClusterId}`,
      );
    if (at < known)
      throw new StoreWentBack(`the metadata store is at revision ${at}, it was at ${known}: restored from a snapshot?`);
    this.#highestRevision = later(this.#highestRevision, at);
    return at;
  }

  async #hasGoneBack(known: Revision): Promise<boolean> {
    this.#highestRevision = later(this.#highestRevision, known);
    try {
      await this.#readPages(this.#key('cluster'), undefined);
      return false;
    } catch (error) {
      return error instanceof StoreWentBack;
    }
  }

  async #revoke(id: LeaseId): Promise<void> {
    try {
      await this.#members.call(etcdApi.leaseRevoke, { ID: id }, { repeatable: true, timeLimitMs: revokeLimitMs });
    } catch (error) {
      // It runs out by itself.
      this.#modules.logger.debug({ err: error, lease: id }, 'a lease could not be revoked');
    }
  }

  #asUnavailable(error: unknown): unknown {
    return error instanceof EtcdRefusal ? new StoreUnavailable(error.message, false) : error;
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new StoreUnavailable('it is closed', false);
  }

  /** Asks all members at once; the first that knows of a leader is the one to speak to. */
  async #connect(limitMs: number): Promise<void> {
    const untilMs = this.#modules.clock.monotonicMs() + limitMs;
    const reasons = new Map<string, string>();
    const warned = new Set<string>();
    for (;;) {
      const member = await this.#firstWithLeader(reasons, warned);
      if (member) {
        this.#members.prefer(member);
        // A leader that was known a moment ago need not have a majority now; a linearizable read does.
        const proof = await this.read('cluster').then(
          () => null,
          (error: Error) => error,
        );
        if (!proof) return;
        reasons.set(member.endpoint, proof.message);
      }
      if (this.#modules.clock.monotonicMs() >= untilMs) break;
      await pause(this.#modules.timers, 100);
    }
    const detail = [...reasons].map(([endpoint, reason]) => `${endpoint} (${reason})`).join(', ');
    const endpoints = this.#members.all.map(({ endpoint }) => endpoint).join(', ');
    throw new StoreCannotOpen(
      `etcd at ${endpoints}`,
      `no member answered within ${limitMs} ms with a majority: ${detail}`,
    );
  }

  async #firstWithLeader(reasons: Map<string, string>, warned: Set<string>): Promise<EtcdMember | null> {
    const asked = this.#members.all.map(async (member) => {
      const status = await this.#members.callMember(member, etcdApi.status, {}, statusLimitMs).catch((error: Error) => {
        reasons.set(member.endpoint, error.message);
        throw error;
      });
      const problem = versionProblem(status.version);
      if (problem && !warned.has(member.endpoint)) this.#modules.logger.warn({ endpoint: member.endpoint }, problem);
      warned.add(member.endpoint);
      if (status.leader !== '0') return member;
      reasons.set(member.endpoint, 'it knows of no leader');
      throw new Error('no leader');
    });
    return await Promise.any(asked).catch(() => null);
  }
}

const later = (a: Revision, b: Revision): Revision => (a > b ? a : b);

/** The lease of a transaction whose lease is unknown; with several it does not matter which, all are to be renewed. */
function leasesOf({ mutations }: MetadataTxn): LeaseId {
  const named = mutations.flatMap((mutation) => (mutation.kind === 'put' && mutation.lease ? [mutation.lease] : []));
  return present(named[0], 'etcd misses a lease that the transaction named');
}
