/** Both ends of a connection between brokers on real sockets, and words for what a test waits for. */
import { type GrpcClientModules, GrpcControlClient } from '../../../src/cluster/control-grpc.ts';
import { PeerServer, type PeerServerModules, type PeerServerOptions } from '../../../src/cluster/peer-server.ts';
import { defaultPeerTimings, type PeerTimings } from '../../../src/cluster/peer-timings.ts';
import { GrpcReplicationClient } from '../../../src/cluster/replication-grpc.ts';
import type { CloseCause, ControlPeer, ControlStream } from '../../../src/controller/control-channel.ts';
import type { BrokerMessage, ControllerMessage } from '../../../src/controller/control-messages.ts';
import type { Logger } from '../../../src/env/logger.ts';
import { nodeSocketListener } from '../../../src/env/node/socket-listener.ts';
import { nodeTimers } from '../../../src/env/node/timers.ts';
import { brokerId } from '../../../src/model/brands.ts';
import type { Endpoint } from '../../../src/model/metadata-schema.ts';
import type { ReplicationStream } from '../../../src/replication/replication-channel.ts';
import type { FollowerMessage, LeaderMessage } from '../../../src/replication/replication-messages.ts';

/** Silence is noticed sooner, so that a test need not wait for the real limit, but not when the machine is just busy. */
export const quickTimings: PeerTimings = {
  ...defaultPeerTimings,
  keepaliveMs: 100,
  tickMs: 100,
  silenceLimitMs: 1_000,
  connectTimeLimitMs: 5_000,
  strangerLimitMs: 200,
};

/** What arrives, in order, for whoever waits for it. */
export class Inbox<Item> {
  readonly #items: Item[] = [];
  readonly #waiting: ((item: Item) => void)[] = [];

  put(item: Item): void {
    const next = this.#waiting.shift();
    if (next) next(item);
    else this.#items.push(item);
  }

  /** The next item, waiting for it if need be. */
  take(): Promise<Item> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift() as Item);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get size(): number {
    return this.#items.length;
  }
}

export type Heard<Message> =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'drained' }
  | { readonly kind: 'closed'; readonly cause?: CloseCause };

/** A logger that keeps its warnings. */
export function warningsOf(): { logger: Logger; warnings: string[] } {
  const warnings: string[] = [];
  const logger: Logger = {
    debug() {},
    info() {},
    warn: (_fields, message) => warnings.push(message),
    error: (_fields, message) => warnings.push(message),
    child: () => logger,
  };
  return { logger, warnings };
}

export interface ServedControl {
  readonly peer: ControlPeer;
  readonly heard: Inbox<Heard<BrokerMessage>>;
}

export interface ServedReplication {
  readonly stream: ReplicationStream<LeaderMessage>;
  readonly heard: Inbox<Heard<FollowerMessage>>;
}

/** A server whose streams a test takes from their inboxes, and the clients of another broker. */
export class PeerPair {
  readonly controls = new Inbox<ServedControl>();
  readonly replications = new Inbox<ServedReplication>();
  readonly warnings: string[];
  readonly server: PeerServer;
  readonly control: GrpcControlClient;
  readonly replication: GrpcReplicationClient;
  readonly #clientModules: GrpcClientModules;
  endpoint: Endpoint = { name: '', host: '127.0.0.1', port: 0 };

  constructor(
    options: Partial<PeerServerOptions> = {},
    messageLimitBytes = 64 * 1024 * 1024,
    clientTimings = quickTimings,
  ) {
    const { logger, warnings } = warningsOf();
    this.warnings = warnings;
    const served = new Map<ControlPeer, Inbox<Heard<BrokerMessage>>>();
    const modules: PeerServerModules = {
      socketListener: nodeSocketListener,
      timers: nodeTimers,
      logger,
      control: {
        onOpened: (peer) => {
          const heard = new Inbox<Heard<BrokerMessage>>();
          served.set(peer, heard);
          this.controls.put({ peer, heard });
        },
        onMessage: (peer, message) => served.get(peer)?.put({ kind: 'message', message }),
        onClosed: (peer, cause) => served.get(peer)?.put({ kind: 'closed', cause }),
      },
      replication: (stream) => {
        const heard = new Inbox<Heard<FollowerMessage>>();
        this.replications.put({ stream, heard });
        return hearing(heard);
      },
    };
    this.server = new PeerServer(
      { address: { host: '127.0.0.1', port: 0 }, timings: quickTimings, ...options },
      modules,
    );
    this.#clientModules = { timers: nodeTimers, logger };
    this.control = new GrpcControlClient({ timings: clientTimings }, this.#clientModules);
    this.replication = new GrpcReplicationClient({ timings: clientTimings, messageLimitBytes }, this.#clientModules);
  }

  async start(): Promise<this> {
    const { host, port } = await this.server.listen();
    this.endpoint = { name: '', host, port };
    return this;
  }

  stop(): void {
    this.control.abandon();
    this.replication.abandon();
    this.server.abandon();
  }

  connectControl(endpoint = this.endpoint): { stream: ControlStream; heard: Inbox<Heard<ControllerMessage>> } {
    const heard = new Inbox<Heard<ControllerMessage>>();
    const stream = this.control.connect(endpoint, {
      onMessage: (message) => heard.put({ kind: 'message', message }),
      onClosed: (cause) => heard.put({ kind: 'closed', cause }),
    });
    return { stream, heard };
  }

  connectReplication(endpoint = this.endpoint): {
    stream: ReplicationStream<FollowerMessage>;
    heard: Inbox<Heard<LeaderMessage>>;
  } {
    const heard = new Inbox<Heard<LeaderMessage>>();
    return { stream: this.replication.connect(brokerId(1), endpoint, hearing(heard)), heard };
  }
}

function hearing<Message>(heard: Inbox<Heard<Message>>) {
  return {
    onMessages(messages: readonly Message[]): void {
      for (const message of messages) heard.put({ kind: 'message', message });
    },
    onDrained: () => heard.put({ kind: 'drained' }),
    onClosed: () => heard.put({ kind: 'closed' }),
  };
}

/** The next message; what drains meanwhile is passed over. */
export async function nextMessage<Message>(heard: Inbox<Heard<Message>>): Promise<Message> {
  for (;;) {
    const next = await heard.take();
    if (next.kind === 'message') return next.message;
    if (next.kind === 'closed') throw new Error(`closed (${next.cause ?? ''}) where a message was waited for`);
  }
}

/** Why it closed; what comes before is passed over. */
export async function closing<Message>(heard: Inbox<Heard<Message>>): Promise<CloseCause | undefined> {
  for (;;) {
    const next = await heard.take();
    if (next.kind === 'closed') return next.cause;
  }
}
