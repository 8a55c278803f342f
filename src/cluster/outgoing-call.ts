/**
 * How does a broker open a stream to another? One gRPC channel, and so one TCP connection, for each stream: heartbeats do
 * not wait behind replication data, and a broken connection is one stream's news. The channel never connects twice:
 * whoever wants the stream back opens another one.
 */
import type { ChannelCredentials, ClientDuplexStream } from '@grpc/grpc-js';
import type { CloseCause } from '../controller/control-channel.ts';
import type { Timer, Timers } from '../env/clock.ts';
import { formatAddress } from '../env/network.ts';
import type { Endpoint } from '../model/metadata-schema.ts';
import { type Frame, type FrameChannel, type FrameChannelHandler, passBytes, passFrame } from './frame-channel.ts';
import { grpcLibrary } from './grpc-library.ts';
import { PeerConnection } from './peer-connection.ts';
import type { PeerTimings } from './peer-timings.ts';

export interface OutgoingCallOptions {
  /** `/package.Service/Method` */
  readonly path: string;
  /** The longest gRPC message that is received. */
  readonly frameLimitBytes: number;
  /** Bytes that may be on their way to us unread, per connection. */
  readonly windowBytes: number;
  readonly timings: PeerTimings;
  /** Null for plain TCP. */
  readonly credentials: ChannelCredentials | null;
  /** The calls that are not closed yet: one adds itself, and leaves when it is. */
  readonly open: Set<OutgoingCall>;
}

export class OutgoingCall implements FrameChannel {
  readonly remote: string;
  readonly #handler: FrameChannelHandler;
  readonly #open: Set<OutgoingCall>;
  readonly #timings: PeerTimings;
  readonly #timers: Timers;
  readonly #channel: { close(): void };
  readonly #call: ClientDuplexStream<Frame, Buffer>;
  readonly #connectTimer: Timer;
  #silenceTimer: Timer | null = null;
  #lingerTimer: Timer | null = null;
  #connection: PeerConnection | null = null;
  /** finish, destroy or the end: nothing more is told. */
  #isOver = false;
  #isClosed = false;
  #status: { readonly code: number; readonly details: string } | null = null;

  constructor(endpoint: Endpoint, options: OutgoingCallOptions, timers: Timers, handler: FrameChannelHandler) {
    const { Client, ChannelCredentials } = grpcLibrary();
    const { timings } = options;
    this.remote = formatAddress(endpoint);
    this.#handler = handler;
    this.#open = options.open;
    this.#open.add(this);
    this.#timings = timings;
    this.#timers = timers;
    const credentials = options.credentials ?? ChannelCredentials.createInsecure();
    const client = new Client(
      this.remote,
      watched(credentials, (connection) => this.#onConnection(connection)),
      {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.initial_reconnect_backoff_ms': 50,
        'grpc.max_reconnect_backoff_ms': 1_000,
        'grpc.dns_min_time_between_resolutions_ms': 200,
        'grpc.keepalive_time_ms': timings.keepaliveMs,
        // Ours is the limit that counts; this one only must not come before it.
        'grpc.keepalive_timeout_ms': timings.silenceLimitMs * 4,
        'grpc.enable_retries': 0,
        'grpc.enable_channelz': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.max_receive_message_length': options.frameLimitBytes,
        'grpc.max_send_message_length': -1,
        'grpc-node.flow_control_window': options.windowBytes,
      },
    );
    this.#channel = client;
    this.#call = client.makeBidiStreamRequest(options.path, passFrame, passBytes);
    this.#call.on('metadata', () => this.#connectTimer.cancel());
    this.#call.on('data', (frame: Buffer) => {
      if (!this.#isOver) handler.onFrame(frame);
    });
    // Each error is a status too.
    this.#call.on('error', () => undefined);
    this.#call.on('status', (status) => {
      this.#status = status;
    });
    // After the last frame, which 'status' may come before.
    this.#call.on('end', () => this.#end(this.#causeOfEnd(), this.#status?.details ?? 'no status'));
    this.#connectTimer = timers.setTimer(timings.connectTimeLimitMs, () =>
      this.#end('lost', `not accepted within ${timings.connectTimeLimitMs} ms`),
    );
  }

  write(frame: Frame, onTaken: () => void): void {
    if (!this.#isOver) this.#call.write(frame, onTaken);
  }

  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.end();
    this.#lingerTimer = this.#timers.setTimer(this.#timings.lingerMs, () => this.#close());
  }

  destroy(): void {
    this.#isOver = true;
    this.#close();
  }

  #onConnection(connection: PeerConnection): void {
    if (this.#isClosed) {
      connection.destroy();
      return;
    }
    // A name may have several addresses; the last one tried is the one in use.
    this.#connection = connection;
    const { tickMs, silenceLimitMs } = this.#timings;
    this.#silenceTimer?.cancel();
    this.#silenceTimer = this.#timers.setRepeatingTimer(tickMs, () => {
      if (connection.tick() * tickMs >= silenceLimitMs) this.#end('lost', `silent for ${silenceLimitMs} ms`);
    });
  }

  #causeOfEnd(): CloseCause {
    if (this.#status?.code === 0 || /\b(ECONNREFUSED|ECONNRESET|EPIPE)\b/.test(this.#status?.details ?? ''))
      return 'peerClosed';
    return this.#connection?.cause ?? 'lost';
  }

  #end(cause: CloseCause, reason: string): void {
    const wasOver = this.#isOver;
    this.#isOver = true;
    this.#close();
    if (!wasOver) this.#handler.onEnded(cause, reason);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#open.delete(this);
    this.#connectTimer.cancel();
    this.#silenceTimer?.cancel();
    this.#lingerTimer?.cancel();
    this.#call.cancel();
    this.#channel.close();
    this.#connection?.destroy();
  }
}

/** The same credentials, but each socket that is connected with them is shown first. */
function watched(credentials: ChannelCredentials, onConnection: (connection: PeerConnection) => void) {
  const shown: ChannelCredentials = Object.create(credentials);
  shown._createSecureConnector = (target, options, callCredentials) => {
    const connector = credentials._createSecureConnector(target, options, callCredentials);
    return {
      connect(socket) {
        onConnection(new PeerConnection(socket));
        return connector.connect(socket);
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  };
  return shown;
}
