/**
 * How is a lease kept alive? A keep-alive every third of its time to live, one unanswered at most, each with a time
 * limit of a sixth: so two members can fail to answer before the lease is in danger. Only etcd's own word ends it.
 *
 *     held → over   revoke, abandon, the end of the store, or etcd answers that it is gone (the only one the holder is told)
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Lease, LeaseId } from '../../controller/metadata-store.ts';
import type { Timer } from '../../env/clock.ts';
import { etcdApi, type LeaseKeepAliveResponse } from './etcd-api.ts';
import type { EtcdMember } from './etcd-members.ts';
import type { EtcdStreamModules } from './etcd-watch.ts';

export interface EtcdLeaseOptions {
  readonly id: LeaseId;
  /** As granted, which may be more than was asked. */
  readonly ttlMs: number;
  readonly grantSentMs: number;
  revoke(): Promise<void>;
  onOver(): void;
}

const retryMs = 50;

type KeepAliveStream = ClientDuplexStream<{ readonly ID: string }, LeaseKeepAliveResponse>;

export class EtcdLease implements Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly #options: EtcdLeaseOptions;
  readonly #modules: EtcdStreamModules;
  #lastRenewedMs: number;
  #stream: KeepAliveStream | null = null;
  #member: EtcdMember | null = null;
  /** The next keep-alive, or the limit for the answer to the last. */
  #timer: Timer;
  #isOver = false;
  #isLost = false;
  #onLost: (() => void) | null = null;

  constructor(options: EtcdLeaseOptions, modules: EtcdStreamModules) {
    this.#options = options;
    this.#modules = modules;
    this.id = options.id;
    this.ttlMs = options.ttlMs;
    this.#lastRenewedMs = options.grantSentMs;
    this.#timer = this.#keepAliveIn(this.ttlMs / 3);
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
    this.#finish();
    await this.#options.revoke();
  }

  abandon(): void {
    if (!this.#isOver) this.#finish();
  }

  #keepAliveIn(delayMs: number): Timer {
    return this.#modules.timers.setTimer(Math.max(0, delayMs), () => this.#sendKeepAlive());
  }

  #sendKeepAlive(): void {
    const { clock, timers } = this.#modules;
    const stream = this.#stream ?? this.#openStream();
    const sentMs = clock.monotonicMs();
    this.#timer = timers.setTimer(this.ttlMs / 6, () => this.#onBroken('a keep-alive was not answered in time', 0));
    // One listener per keep-alive, so that an answer is credited to the moment its own request was sent.
    stream.once('data', (response: LeaseKeepAliveResponse) => {
      if (this.#stream === stream) this.#onAnswer(response, sentMs);
    });
    stream.write({ ID: this.id });
  }

  #openStream(): KeepAliveStream {
    const { members } = this.#modules;
    const member = members.current;
    const stream = members.openStream(member, etcdApi.leaseKeepAlive);
    this.#stream = stream;
    this.#member = member;
    stream.on('error', (error) => {
      if (this.#stream === stream) this.#onBroken(error.message, retryMs);
    });
    stream.on('end', () => {
      if (this.#stream === stream) this.#onBroken('the server ended the stream', retryMs);
    });
    return stream;
  }

  #onAnswer({ TTL }: LeaseKeepAliveResponse, sentMs: number): void {
    this.#timer.cancel();
    if (TTL <= 0) {
      this.#finish();
      this.#isLost = true;
      this.#onLost?.();
      return;
    }
    this.#lastRenewedMs = sentMs;
    this.#timer = this.#keepAliveIn(sentMs + this.ttlMs / 3 - this.#modules.clock.monotonicMs());
  }

  #onBroken(reason: string, delayMs: number): void {
    const { members, logger } = this.#modules;
    const member = this.#member;
    logger.debug({ endpoint: member?.endpoint, lease: this.id, reason }, 'the keep-alives of a lease were cut');
    this.#dropStream();
    if (member) members.moveOn(member);
    this.#timer = this.#keepAliveIn(delayMs);
  }

  #finish(): void {
    this.#isOver = true;
    this.#dropStream();
    this.#options.onOver();
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#timer.cancel();
    stream?.cancel();
  }
}
