/** How do control messages travel? `cordwood.control.v1.Control/Stream`: one gRPC message for each, in both directions. */
import type { ChannelCredentials } from '@grpc/grpc-js';
import type {
  CloseCause,
  ControlClient,
  ControlPeer,
  ControlServerHandler,
  ControlStream,
  ControlStreamHandler,
} from '../controller/control-channel.ts';
import type { BrokerMessage, ControllerMessage } from '../controller/control-messages.ts';
import type { Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Endpoint } from '../model/metadata-schema.ts';
import { brokerMessage, controllerMessage } from './control-codec.ts';
import type { FrameChannel, FrameChannelHandler } from './frame-channel.ts';
import type { IncomingCall } from './incoming-call.ts';
import { OutgoingCall } from './outgoing-call.ts';
import { defaultPeerTimings, type PeerTimings } from './peer-timings.ts';
import type { MessageType } from './protobuf-message.ts';

export const controlPath = '/cordwood.control.v1.Control/Stream';

/** The longest control message, and what may wait for a peer that does not read before the stream is given up. */
const messageLimitBytes = 16 * 1024 * 1024;
const queueLimitBytes = 2 * messageLimitBytes;
const windowBytes = 256 * 1024;

/** One end of a control stream: messages to frames and back, whichever side it is on. */
class ControlEnd<Sent, Received> implements FrameChannelHandler {
  readonly #sent: MessageType<Sent | null>;
  readonly #received: MessageType<Received | null>;
  readonly #logger: Logger;
  readonly #onMessage: (message: Received) => void;
  readonly #onClosed: (cause: CloseCause) => void;
  #channel: FrameChannel | null = null;
  #queuedBytes = 0;

  constructor(
    sent: MessageType<Sent | null>,
    received: MessageType<Received | null>,
    logger: Logger,
    onMessage: (message: Received) => void,
    onClosed: (cause: CloseCause) => void,
  ) {
    this.#sent = sent;
    this.#received = received;
    this.#logger = logger;
    this.#onMessage = onMessage;
    this.#onClosed = onClosed;
  }

  attach(channel: FrameChannel): void {
    this.#channel = channel;
  }

  send(message: Sent): void {
    const frame = this.#sent.encode(message);
    this.#queuedBytes += frame.length;
    if (this.#queuedBytes > queueLimitBytes) {
      this.#giveUp('the other end does not read');
      return;
    }
    this.#channel?.write(frame, () => {
      this.#queuedBytes -= frame.length;
    });
  }

  close(): void {
    this.#channel?.finish();
    this.#channel = null;
  }

  onFrame(frame: Buffer): void {
    let message: Received | null;
    try {
      message = this.#received.decode(frame);
    } catch (error) {
      this.#giveUp(error instanceof Error ? error.message : String(error));
      return;
    }
    if (message !== null) this.#onMessage(message);
  }

  onEnded(cause: CloseCause, reason: string): void {
    const facts = { remote: this.#channel?.remote, cause, reason };
    // That a peer closes is everyday; how a stream was lost, somebody will ask.
    if (cause === 'lost') this.#logger.info(facts, 'a control stream was lost');
    else this.#logger.debug(facts, 'a control stream ended');
    this.#channel = null;
    this.#onClosed(cause);
  }

  #giveUp(reason: string): void {
    const channel = this.#channel;
    if (channel === null) return;
    this.#logger.warn({ remote: channel.remote, reason }, 'closed a control stream');
    this.#channel = null;
    channel.destroy();
    this.#onClosed('lost');
  }
}

let nextStreamId = 1;

export function serveControl(call: IncomingCall, handler: ControlServerHandler, logger: Logger): void {
  const end = new ControlEnd<ControllerMessage, BrokerMessage>(
    controllerMessage,
    brokerMessage,
    logger,
    (message) => handler.onMessage(peer, message),
    (cause) => handler.onClosed(peer, cause),
  );
  const peer: ControlPeer = {
    streamId: nextStreamId++,
    send: (message) => end.send(message),
    close: () => end.close(),
  };
  end.attach(call);
  handler.onOpened(peer);
  call.start(end);
}

export interface GrpcClientOptions {
  /** Null for plain TCP. */
  readonly credentials?: ChannelCredentials | null;
  readonly timings?: PeerTimings;
}

export interface GrpcClientModules {
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Messages sent before the connection stands wait for it. After `close` the handler hears nothing more. */
export class GrpcControlClient implements ControlClient {
  readonly #options: GrpcClientOptions;
  readonly #modules: GrpcClientModules;
  readonly #open = new Set<OutgoingCall>();

  constructor(options: GrpcClientOptions, modules: GrpcClientModules) {
    this.#options = options;
    this.#modules = modules;
  }

  connect(controller: Endpoint, handler: ControlStreamHandler): ControlStream {
    const { timers, logger } = this.#modules;
    const end = new ControlEnd<BrokerMessage, ControllerMessage>(
      brokerMessage,
      controllerMessage,
      logger,
      (message) => handler.onMessage(message),
      (cause) => handler.onClosed(cause),
    );
    const call = new OutgoingCall(
      controller,
      {
        path: controlPath,
        frameLimitBytes: messageLimitBytes,
        windowBytes,
        timings: this.#options.timings ?? defaultPeerTimings,
        credentials: this.#options.credentials ?? null,
        open: this.#open,
      },
      timers,
      end,
    );
    end.attach(call);
    return {
      send: (message) => end.send(message),
      close: () => end.close(),
    };
  }

  /** Drops every open stream at once and tells nobody: what a killed process looks like to the others. */
  abandon(): void {
    for (const call of [...this.#open]) call.destroy();
  }
}
