/**
 * The follower's end of the stream to one leader's broker (§2.6): it connects, says hello, hands each partition what
 * is meant for it, and connects again when the stream breaks. What a partition does with a message is decided by its
 * FollowerState.
 *
 * Connecting again starts at once and slows down only while it keeps failing: a follower that waits a second after a
 * break is a second of acks=all writes that stand still.
 */
import type { Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { BrokerEpoch, BrokerId, Offset } from '../model/brands.ts';
import type { Endpoint } from '../model/metadata-schema.ts';
import type { ReplicationClient, ReplicationStream } from './replication-channel.ts';
import type { AttachedMessage, FollowerMessage, LeaderMessage } from './replication-messages.ts';

/** What the session tells a partition that follows over it. */
export interface FollowingReplica {
  onStreamOpened(): void;
  onStreamClosed(): void;
  onLeaderMessage(message: AttachedMessage): void;
}

export interface FollowerSessionOptions {
  readonly clusterId: string;
  readonly localId: BrokerId;
  readonly leader: BrokerId;
  /** Bytes of batches that may be on their way at once. */
  readonly creditBytes: number;
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
}

export interface FollowerSessionModules {
  readonly client: ReplicationClient;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Where the leader's broker listens now; null while it is not registered. */
  endpointOf(leader: BrokerId): Endpoint | null;
  localEpoch(): BrokerEpoch;
  /** The stream is up: whoever waited because it was broken may look again. */
  onOpened(): void;
}

export class FollowerSession {
  readonly #options: FollowerSessionOptions;
  readonly #modules: FollowerSessionModules;
  readonly #replicas = new Set<FollowingReplica>();
  readonly #attached = new Map<number, FollowingReplica>();
  #stream: ReplicationStream<FollowerMessage> | null = null;
  #isOpen = false;
  #hasBroken = false;
  #isClosed = false;
  #retryMs: number;
  #retry: Timer | null = null;
  /** Bytes taken from the stream and not yet given back as credit. */
  #owedCredit = 0;
  #outbox: FollowerMessage[] = [];
  /** Who waits for the pong that is on its way, and who came after its ping was sent. */
  #answer: PromiseWithResolvers<void> | null = null;
  #nextAnswer: PromiseWithResolvers<void> | null = null;

  constructor(options: FollowerSessionOptions, modules: FollowerSessionModules) {
    this.#options = options;
    this.#modules = modules;
    this.#retryMs = options.firstRetryMs;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }
  /** It was open, partitions need it, and it is not open now. */
  get isBroken(): boolean {
    return this.#hasBroken && this.#replicas.size > 0;
  }

  /**
   * Resolves when the leader's broker has answered what it is asked from now on, or the stream to it is gone: until then
   * it may be dead without anybody here having heard of it. At once where there is no stream.
   */
  heard(): Promise<void> {
    if (!this.#isOpen) return Promise.resolve();
    if (this.#answer !== null) {
      this.#nextAnswer ??= Promise.withResolvers();
      return this.#nextAnswer.promise;
    }
    this.#answer = Promise.withResolvers();
    this.#send({ kind: 'ping' });
    return this.#answer.promise;
  }

  #onPong(): void {
    this.#answer?.resolve();
    this.#answer = this.#nextAnswer;
    this.#nextAnswer = null;
    if (this.#answer !== null) this.#send({ kind: 'ping' });
  }

  /** Nobody answers any more. */
  #endPings(): void {
    this.#answer?.resolve();
    this.#nextAnswer?.resolve();
    this.#answer = null;
    this.#nextAnswer = null;
  }

  add(replica: FollowingReplica): void {
    this.#replicas.add(replica);
    if (this.#isOpen) replica.onStreamOpened();
    else this.#connect();
  }

  remove(replica: FollowingReplica): void {
    this.#replicas.delete(replica);
    // That leader's end is no news for those who will follow it again one day.
    if (this.#replicas.size === 0) this.#hasBroken = false;
    for (const [attachId, owner] of this.#attached) {
      if (owner !== replica) continue;
      this.#attached.delete(attachId);
      this.#send({ kind: 'detach', attachId });
    }
  }

  attach(replica: FollowingReplica, message: Extract<FollowerMessage, { kind: 'attach' }>): void {
    this.#attached.set(message.attachId, replica);
    this.#send(message);
  }

  detach(attachId: number): void {
    this.#attached.delete(attachId);
    this.#send({ kind: 'detach', attachId });
  }

  ack(attachId: number, logEndOffset: Offset): void {
    this.#send({ kind: 'ack', attachId, logEndOffset });
  }

  /** Batches of so many bytes are written or dropped: the leader may send as many more. */
  returnCredit(bytes: number): void {
    this.#owedCredit += bytes;
    if (this.#owedCredit < this.#options.creditBytes / 8) return;
    this.#send({ kind: 'credit', bytes: this.#owedCredit });
    this.#owedCredit = 0;
  }

  /** The leader's broker has registered anew, or moved: no reason to wait any longer. */
  onMetadataChanged(): void {
    if (this.#stream !== null) return;
    this.#retryMs = this.#options.firstRetryMs;
    this.#connect();
  }

  #connect(): void {
    if (this.#stream !== null || this.#isClosed || this.#replicas.size === 0) return;
    this.#retry?.cancel();
    this.#retry = null;
    const endpoint = this.#modules.endpointOf(this.#options.leader);
    if (!endpoint) return this.#connectLater();
    const stream: ReplicationStream<FollowerMessage> = this.#modules.client.connect(this.#options.leader, endpoint, {
      onMessages: (messages) => {
        if (this.#stream === stream) for (const message of messages) this.#onMessage(message);
      },
      onDrained: () => undefined,
      onClosed: () => {
        if (this.#stream === stream) this.#onStreamClosed();
      },
    });
    this.#stream = stream;
    this.#owedCredit = 0;
    stream.send([
      {
        kind: 'hello',
        clusterId: this.#options.clusterId,
        brokerId: this.#options.localId,
        brokerEpoch: this.#modules.localEpoch(),
      },
      { kind: 'credit', bytes: this.#options.creditBytes },
    ]);
  }

  #connectLater(): void {
    if (this.#isClosed || this.#retry !== null) return;
    this.#retry = this.#modules.timers.setTimer(this.#retryMs, () => {
      this.#retry = null;
      this.#connect();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, this.#options.maxRetryMs);
  }

  #onMessage(message: LeaderMessage): void {
    if (message.kind === 'helloAnswer') {
      if (!message.isAccepted) {
        this.#modules.logger.info(
          { leader: this.#options.leader, reason: message.reason },
          'replication stream refused',
        );
        this.#stream?.close();
        return this.#onStreamClosed();
      }
      this.#isOpen = true;
      this.#hasBroken = false;
      this.#retryMs = this.#options.firstRetryMs;
      for (const replica of [...this.#replicas]) replica.onStreamOpened();
      this.#modules.onOpened();
      return;
    }
    if (message.kind === 'pong') return this.#onPong();
    if (message.kind === 'ping') return this.#send({ kind: 'pong' });
    const replica = this.#attached.get(message.attachId);
    if (!replica) {
      // Of a session that is over: no effect, but its bytes were counted.
      if (message.kind === 'data') this.returnCredit(byteLengthOf(message.batches));
      return;
    }
    if (message.kind === 'reject' || message.kind === 'diverging') this.#attached.delete(message.attachId);
    replica.onLeaderMessage(message);
  }

  #onStreamClosed(): void {
    this.#stream = null;
    this.#attached.clear();
    this.#outbox = [];
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    this.#hasBroken ||= wasOpen;
    this.#endPings();
    if (wasOpen) for (const replica of [...this.#replicas]) replica.onStreamClosed();
    this.#connectLater();
  }

  /** What is sent in one turn of the event loop travels together. */
  #send(message: FollowerMessage): void {
    if (this.#stream === null) return;
    if (this.#outbox.length === 0)
      queueMicrotask(() => {
        const messages = this.#outbox;
        this.#outbox = [];
        if (messages.length > 0) this.#stream?.send(messages);
      });
    this.#outbox.push(message);
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#stream?.close();
    this.#stream = null;
    this.#isOpen = false;
    this.#endPings();
    this.#attached.clear();
    this.#replicas.clear();
  }
}

export function byteLengthOf(batches: readonly Buffer[]): number {
  let bytes = 0;
  for (const batch of batches) bytes += batch.length;
  return bytes;
}
