/**
 * Which member of etcd do we speak to, and what happens to a call when it does not answer? All calls and streams go to
 * one member, the current one; whoever finds it silent moves everybody on to the next. A call that may have been
 * carried out is repeated only where repeating it is harmless.
 */
import type {
  Client,
  ClientDuplexStream,
  ClientOptions,
  ClientUnaryCall,
  Metadata,
  MethodDefinition,
} from '@grpc/grpc-js';
import { StoreUnavailable } from '../../controller/metadata-store.ts';
import type { Clock, Timers } from '../../env/clock.ts';
import { pause } from '../../env/pause.ts';
import { assert, present } from '../../model/assert.ts';
import { grpcLibrary } from '../grpc-library.ts';
import { type EtcdFailure, etcdFailure } from './etcd-failure.ts';

export interface EtcdTls {
  /** PEM. Without it the system's authorities are trusted. */
  readonly ca?: Buffer;
  readonly key?: Buffer;
  readonly cert?: Buffer;
}

export interface EtcdMember {
  /** As configured. */
  readonly endpoint: string;
  readonly client: Client;
}

/** etcd's answer that another try would not change. */
export class EtcdRefusal extends Error {
  override name = 'EtcdRefusal';
  readonly failure: EtcdFailure;
  constructor(failure: EtcdFailure) {
    super('reason' in failure ? failure.reason : failure.kind);
    this.failure = failure;
  }
}

/** `replication-invariants` §2.3. etcd closes connections that ping more often than every 5 s. */
const channelOptions: ClientOptions = {
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.dns_min_time_between_resolutions_ms': 200,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  // A watch response may hold 1 000 revisions.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A store's connections are its own: closing it closes them, and another store's back-off is not ours.
  'grpc.use_local_subchannel_pool': 1,
};

const connectLimitMs = 1_000;
const attemptLimitMs = 1_500;
const pauseBetweenRoundsMs = 50;

/** Ends the stream of a member that is cut off from the others, instead of letting it go silent (`WithRequireLeader`). */
const requireLeader = (): Metadata => {
  const metadata = new (grpcLibrary().Metadata)();
  metadata.set('hasleader', 'true');
  return metadata;
};

/** `http://host:port`, `https://host:port` or `host:port` (which is http). */
export function parseEndpoint(endpoint: string): { readonly address: string; readonly isSecure: boolean } {
  const match = /^(?:(https?):\/\/)?((?:\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5})\/?$/.exec(endpoint.trim());
  const address = match?.[2];
  if (address === undefined) throw new RangeError(`not an etcd endpoint: "${endpoint}" (expected http://host:port)`);
  return { address, isSecure: match?.[1] === 'https' };
}

export class EtcdMembers {
  readonly all: readonly EtcdMember[];
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #underWay = new Map<EtcdMember, Set<ClientUnaryCall>>();
  #current = 0;
  #isClosed = false;

  constructor(
    endpoints: readonly string[],
    tls: EtcdTls | null,
    modules: { readonly clock: Clock; readonly timers: Timers },
  ) {
    assert(endpoints.length > 0, 'no etcd endpoint');
    this.#clock = modules.clock;
    this.#timers = modules.timers;
    const { Client, credentials } = grpcLibrary();
    const secure = credentials.createSsl(tls?.ca ?? null, tls?.key ?? null, tls?.cert ?? null);
    this.all = endpoints.map((endpoint) => {
      const { address, isSecure } = parseEndpoint(endpoint);
      return {
        endpoint,
        client: new Client(address, isSecure ? secure : credentials.createInsecure(), channelOptions),
      };
    });
  }

  get current(): EtcdMember {
    return present(this.all[this.#current], 'there is a member at the current index');
  }

  /** `member` does not answer: the next one is current, unless somebody has moved on already. */
  moveOn(member: EtcdMember): void {
    if (this.current === member) this.#current = (this.#current + 1) % this.all.length;
  }

  /**
   * `member` is silent, not only slow to decide: calls that wait for it are given up too. Not where it is the only one,
   * which may come back sooner than a caller could do anything better.
   */
  abandon(member: EtcdMember): void {
    this.moveOn(member);
    if (this.all.length > 1) for (const call of this.#underWay.get(member) ?? []) call.cancel();
  }

  prefer(member: EtcdMember): void {
    this.#current = this.all.indexOf(member);
  }

  /**
   * One call within `timeLimitMs`. `repeatable`: carrying it out twice is as good as once, so it is tried at other
   * members while time is left. `sentMs` is the monotonic time at which the answered attempt was sent. Throws
   * `StoreUnavailable`, `EtcdRefusal`.
   */
  async call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { repeatable, timeLimitMs }: { readonly repeatable: boolean; readonly timeLimitMs: number },
  ): Promise<{ readonly response: Response; readonly sentMs: number }> {
    const untilMs = this.#clock.monotonicMs() + timeLimitMs;
    let reason = `no connection to ${this.all.map(({ endpoint }) => endpoint).join(', ')}`;
    for (let attempt = 1; ; attempt++) {
      const leftMs = untilMs - this.#clock.monotonicMs();
      if (leftMs <= 0 || this.#isClosed) throw new StoreUnavailable(this.#isClosed ? 'it is closed' : reason, false);
      const member = this.current;
      if (await this.#isReady(member, Math.min(leftMs, connectLimitMs))) {
        const sentMs = this.#clock.monotonicMs();
        const limitMs = repeatable ? Math.min(leftMs, attemptLimitMs) : leftMs;
        try {
          return { response: await this.callMember(member, method, request, limitMs), sentMs };
        } catch (error) {
          if (!(error instanceof EtcdRefusal) || error.failure.kind !== 'away') throw error;
          const { reason: detail, outcomeUnknown } = error.failure;
          this.moveOn(member);
          reason = `${member.endpoint}: ${detail}`;
          if (!repeatable && outcomeUnknown) throw new StoreUnavailable(reason, true);
        }
      } else this.moveOn(member);
      if (attempt % this.all.length === 0)
        await pause(this.#timers, Math.min(pauseBetweenRoundsMs, Math.max(0, leftMs)));
    }
  }

  /** One attempt at one member. Throws `EtcdRefusal`, of kind 'away' too. */
  callMember<Request, Response>(
    member: EtcdMember,
    method: MethodDefinition<Request, Response>,
    request: Request,
    timeLimitMs: number,
  ): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = method;
    const underWay = this.#underWay.get(member) ?? new Set();
    this.#underWay.set(member, underWay);
    return new Promise((resolve, reject) => {
      const options = { deadline: this.#clock.wallMs() + Math.ceil(timeLimitMs) };
      member.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        options,
        (error, response) => {
          if (error) reject(new EtcdRefusal(etcdFailure(error)));
          else resolve(present(response, 'a call without an error has an answer'));
        },
      );
    });
  }

  openStream<Request, Response>(
    member: EtcdMember,
    method: MethodDefinition<Request, Response>,
  ): ClientDuplexStream<Request, Response> {
    const { path, requestSerialize, responseDeserialize } = method;
    return member.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, requireLeader());
  }

  close(): void {
    this.#isClosed = true;
    for (const { client } of this.all) client.close();
  }

  /** False as soon as the connection fails, or has failed and not come back. */
  async #isReady({ client }: EtcdMember, limitMs: number): Promise<boolean> {
    const { connectivityState } = grpcLibrary();
    const channel = client.getChannel();
    const deadline = this.#clock.wallMs() + Math.ceil(limitMs);
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return true;
      if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) return false;
      const hasChanged = await new Promise<boolean>((resolve) =>
        channel.watchConnectivityState(state, deadline, (error) => resolve(!error)),
      );
      if (!hasChanged) return false;
    }
  }
}
