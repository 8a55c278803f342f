/**
 * Where do other brokers reach this one? One gRPC server with the services of `proto/cordwood/`, on sockets that this
 * file accepts itself: so it can say who closed a connection, bound how many there are, turn away strangers, and drop
 * everything at once as a killed process would.
 *
 *     socket → PeerConnection → HTTP/2 (grpc-js) → one call → ControlServerHandler | ReplicationAcceptor
 */
import type { ServerCredentials, ServerDuplexStream } from '@grpc/grpc-js';
import type { ControlServerHandler } from '../controller/control-channel.ts';
import type { Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Address, Listener } from '../env/network.ts';
import type { RawSocket, SocketListener } from '../env/socket-listener.ts';
import type { ReplicationAcceptor } from '../replication/replication-channel.ts';
import { controlPath, serveControl } from './control-grpc.ts';
import { type Frame, passBytes, passFrame } from './frame-channel.ts';
import { grpcLibrary } from './grpc-library.ts';
import { IncomingCall } from './incoming-call.ts';
import { PeerConnection, remoteOf } from './peer-connection.ts';
import { defaultPeerTimings, type PeerTimings } from './peer-timings.ts';
import { replicationPath, serveReplication } from './replication-grpc.ts';

export interface PeerServerOptions {
  /** Port 0 for any free one. */
  readonly address: Address;
  /** Null for plain TCP. */
  readonly credentials?: ServerCredentials | null;
  readonly timings?: PeerTimings;
  /** Beyond these a new connection is closed at once. Each other broker needs two. */
  readonly connectionLimit?: number;
  /** The longest gRPC message that is received. */
  readonly frameLimitBytes?: number;
}

export interface PeerServerModules {
  readonly socketListener: SocketListener;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly control: ControlServerHandler;
  readonly replication: ReplicationAcceptor;
}

interface Accepted {
  readonly connection: PeerConnection;
  call: IncomingCall | null;
  ticks: number;
}

type ServerCall = ServerDuplexStream<Buffer, Frame>;

export class PeerServer {
  readonly #options: Required<PeerServerOptions>;
  readonly #modules: PeerServerModules;
  readonly #accepted = new Map<string, Accepted>();
  #listener: Listener | null = null;
  #ticker: Timer | null = null;
  #stopGrpc: () => void = () => undefined;
  #onEmpty: (() => void) | null = null;

  constructor(options: PeerServerOptions, modules: PeerServerModules) {
    this.#options = {
      credentials: null,
      timings: defaultPeerTimings,
      connectionLimit: 512,
      frameLimitBytes: 16 * 1024 * 1024,
      ...options,
    };
    this.#modules = modules;
  }

  /** Rejects with `AddressError` when the address cannot be had. */
  async listen(): Promise<Address> {
    const { socketListener, timers, logger, control, replication } = this.#modules;
    const { timings, address, frameLimitBytes } = this.#options;
    const { Server, ServerCredentials } = grpcLibrary();
    const server = new Server({
      'grpc.enable_channelz': 0,
      'grpc.max_concurrent_streams': 1,
      'grpc.max_receive_message_length': frameLimitBytes,
      'grpc.max_send_message_length': -1,
    });
    const register = (path: string, serve: (call: IncomingCall) => void): void => {
      server.register(path, (call: ServerCall) => this.#onCall(call, serve), passFrame, passBytes, 'bidi');
    };
    register(controlPath, (call) => serveControl(call, control, logger));
    register(replicationPath, (call) => serveReplication(call, replication, logger));
    const injector = server.createConnectionInjector(this.#options.credentials ?? ServerCredentials.createInsecure());
    this.#stopGrpc = () => {
      injector.destroy();
      server.forceShutdown();
    };
    this.#listener = await socketListener.listen(
      address,
      (socket) => this.#onSocket(socket, () => injector.injectConnection(socket)),
      (error) => logger.error({ error: error.message }, 'the listener for brokers cannot accept'),
    );
    this.#ticker = timers.setRepeatingTimer(timings.tickMs, () => this.#onTick());
    return this.#listener.address;
  }

  /** Accepts no more, ends every stream after what was sent on it, and waits until the last connection is closed. */
  async close(): Promise<void> {
    const closed = this.#listener?.close();
    this.#listener = null;
    for (const { connection, call } of this.#accepted.values()) {
      if (call === null) connection.destroy();
      else call.finish();
    }
    if (this.#accepted.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
    }
    this.#stop();
    await closed;
  }

  /** Lets go of everything at once and tells nobody: what a killed process looks like to the others. */
  abandon(): void {
    // Sockets are destroyed below, so the listener closes by itself.
    void this.#listener?.close();
    this.#listener = null;
    for (const { connection, call } of this.#accepted.values()) {
      call?.destroy();
      connection.destroy();
    }
    this.#stop();
  }

  #stop(): void {
    this.#ticker?.cancel();
    this.#stopGrpc();
    this.#stopGrpc = () => undefined;
  }

  #onSocket(socket: RawSocket, inject: () => void): void {
    const { logger } = this.#modules;
    const remote = remoteOf(socket);
    // Before anything can fail: an error event without a listener would end the process.
    const connection = new PeerConnection(socket);
    if (this.#listener === null || this.#accepted.size >= this.#options.connectionLimit) {
      if (this.#listener !== null) logger.warn({ remote }, 'too many connections between brokers; this one is closed');
      connection.destroy();
      return;
    }
    const accepted: Accepted = { connection, call: null, ticks: 0 };
    this.#accepted.set(remote, accepted);
    socket.on('close', () => {
      this.#accepted.delete(remote);
      if (accepted.call !== null) accepted.call.onConnectionClosed();
      // A dial that only looks whether somebody listens sends nothing.
      else if (connection.bytesRead > 0)
        logger.warn({ remote }, 'closed a connection that opened no stream of a broker');
      if (this.#accepted.size === 0) this.#onEmpty?.();
    });
    inject();
  }

  #onCall(serverCall: ServerCall, serve: (call: IncomingCall) => void): void {
    const accepted = this.#accepted.get(serverCall.getPeer());
    if (accepted === undefined || accepted.call !== null || this.#listener === null) {
      serverCall.on('error', () => undefined);
      serverCall.end();
      return;
    }
    accepted.call = new IncomingCall(serverCall, accepted.connection, this.#options.timings, this.#modules.timers);
    serve(accepted.call);
  }

  #onTick(): void {
    const { tickMs, silenceLimitMs, strangerLimitMs } = this.#options.timings;
    for (const accepted of this.#accepted.values()) {
      const silentTicks = accepted.connection.tick();
      accepted.ticks++;
      if (accepted.call === null) {
        if (accepted.ticks * tickMs >= strangerLimitMs) accepted.connection.destroy();
      } else if (silentTicks * tickMs >= silenceLimitMs) accepted.call.onSilence();
    }
  }
}
