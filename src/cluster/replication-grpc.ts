/**
 * How do replication messages travel? `cordwood.replication.v1.Replication/Session`. Messages wait here while two frames
 * are on their way, and what has gathered meanwhile leaves as one frame: under load frames grow by themselves, without a
 * timer that would delay a lonely message.
 *
 *     send() → waiting → (end of this piece of JavaScript) → up to 2 frames of ~1 MiB → HTTP/2 → …
 */
import type { Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { BrokerId } from '../model/brands.ts';
import type { Endpoint } from '../model/metadata-schema.ts';
import type {
  ReplicationAcceptor,
  ReplicationClient,
  ReplicationStream,
  ReplicationStreamHandler,
} from '../replication/replication-channel.ts';
import type { FollowerMessage, LeaderMessage } from '../replication/replication-messages.ts';
import type { GrpcClientModules, GrpcClientOptions } from './control-grpc.ts';
import type { Frame, FrameChannel, FrameChannelHandler } from './frame-channel.ts';
import type { IncomingCall } from './incoming-call.ts';
import { OutgoingCall } from './outgoing-call.ts';
import { defaultPeerTimings } from './peer-timings.ts';
import {
  decodeFollowerFrame,
  type EncodedMessage,
  encodeFollowerMessage,
  encodeLeaderMessage,
  fragmentsOf,
  frameBytes,
  frameLimitBytes,
  LeaderFrameDecoder,
  takeFrame,
  wholeMessageBytes,
} from './replication-codec.ts';

export const replicationPath = '/cordwood.replication.v1.Replication/Session';

/** Frames handed to gRPC and not yet taken: one that is being written and one behind it. */
const framesUnderWay = 2;
/** What may come towards a follower before it has read it. */
const windowBytes = 4 * frameBytes;
/** The longest message that is put together from fragments: one batch of `message.max.bytes` at its largest. */
const defaultMessageLimitBytes = 128 * 1024 * 1024;

/** One end of a replication stream, whichever side it is on. */
class ReplicationEnd<Sent, Received> implements ReplicationStream<Sent>, FrameChannelHandler {
  readonly #encode: (message: Sent) => EncodedMessage;
  readonly #decode: (frame: Buffer) => readonly Received[];
  readonly #logger: Logger;
  #handler: ReplicationStreamHandler<Received> | null = null;
  #channel: FrameChannel | null = null;
  #waiting: EncodedMessage[] = [];
  /** What is left of a message that is longer than a frame. */
  #fragments: Generator<Frame> | null = null;
  #framesUnderWay = 0;
  #queuedBytes = 0;
  #isFlushPlanned = false;
  #isClosing = false;

  constructor(
    encode: (message: Sent) => EncodedMessage,
    decode: (frame: Buffer) => readonly Received[],
    logger: Logger,
  ) {
    this.#encode = encode;
    this.#decode = decode;
    this.#logger = logger;
  }

  /** First of all, so that a handler can send before it is known here itself. */
  attach(channel: FrameChannel): void {
    this.#channel = channel;
  }

  handleWith(handler: ReplicationStreamHandler<Received>): void {
    if (!this.#isClosing) this.#handler = handler;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  send(messages: readonly Sent[]): void {
    if (this.#channel === null || this.#isClosing) return;
    for (const message of messages) {
      const encoded = this.#encode(message);
      this.#waiting.push(encoded);
      this.#queuedBytes += encoded.byteLength;
    }
    this.#planFlush();
  }

  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#handler = null;
    this.#planFlush();
  }

  onFrame(frame: Buffer): void {
    if (this.#handler === null) return;
    let messages: readonly Received[];
    try {
      messages = this.#decode(frame);
    } catch (error) {
      this.#giveUp(error instanceof Error ? error.message : String(error));
      return;
    }
    if (messages.length > 0) this.#handler.onMessages(messages);
  }

  onEnded(cause: string, reason: string): void {
    const facts = { remote: this.#channel?.remote, cause, reason };
    // That a peer closes is everyday; how a stream was lost, somebody will ask.
    if (cause === 'lost') this.#logger.info(facts, 'a replication stream was lost');
    else this.#logger.debug(facts, 'a replication stream ended');
    this.#end();
  }

  #giveUp(reason: string): void {
    const channel = this.#channel;
    this.#logger.warn({ remote: channel?.remote, reason }, 'closed a replication stream');
    channel?.destroy();
    this.#end();
  }

  #end(): void {
    const handler = this.#handler;
    this.#handler = null;
    this.#channel = null;
    this.#waiting = [];
    this.#fragments = null;
    this.#queuedBytes = 0;
    handler?.onClosed();
  }

  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    const channel = this.#channel;
    if (channel === null) return;
    while (this.#framesUnderWay < framesUnderWay) {
      const frame = this.#nextFrame();
      if (frame === null) break;
      this.#framesUnderWay++;
      channel.write(frame, () => this.#onTaken(frame.length));
    }
    if (this.#isClosing && this.#waiting.length === 0 && this.#fragments === null) {
      this.#channel = null;
      channel.finish();
    }
  }

  #nextFrame(): Frame | null {
    const fragment = this.#fragments?.next();
    if (fragment !== undefined && !fragment.done) return fragment.value;
    this.#fragments = null;
    const first = this.#waiting[0];
    if (first === undefined || first.byteLength <= wholeMessageBytes) return takeFrame(this.#waiting);
    this.#waiting.shift();
    this.#fragments = fragmentsOf(first);
    return this.#nextFrame();
  }

  #onTaken(bytes: number): void {
    this.#framesUnderWay--;
    if (this.#channel === null) return;
    // Fragments carry a little more than the message that was counted.
    this.#queuedBytes = Math.max(0, this.#queuedBytes - bytes);
    this.#flush();
    if (this.#queuedBytes <= frameBytes) this.#handler?.onDrained();
  }
}

export function serveReplication(call: IncomingCall, accept: ReplicationAcceptor, logger: Logger): void {
  const end = new ReplicationEnd<LeaderMessage, FollowerMessage>(encodeLeaderMessage, decodeFollowerFrame, logger);
  end.attach(call);
  end.handleWith(accept(end));
  call.start(end);
}

export interface GrpcReplicationOptions extends GrpcClientOptions {
  /** The longest message that a leader may send. */
  readonly messageLimitBytes?: number;
}

/** Messages sent before the connection stands wait for it. After `close` the handler hears nothing more. */
export class GrpcReplicationClient implements ReplicationClient {
  readonly #options: GrpcReplicationOptions;
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #open = new Set<OutgoingCall>();

  constructor(options: GrpcReplicationOptions, modules: GrpcClientModules) {
    this.#options = options;
    this.#timers = modules.timers;
    this.#logger = modules.logger;
  }

  connect(
    leader: BrokerId,
    endpoint: Endpoint,
    handler: ReplicationStreamHandler<LeaderMessage>,
  ): ReplicationStream<FollowerMessage> {
    const decoder = new LeaderFrameDecoder(this.#options.messageLimitBytes ?? defaultMessageLimitBytes);
    const end = new ReplicationEnd<FollowerMessage, LeaderMessage>(
      encodeFollowerMessage,
      (frame) => decoder.decode(frame),
      this.#logger.child({ leader }),
    );
    const call = new OutgoingCall(
      endpoint,
      {
        path: replicationPath,
        frameLimitBytes,
        windowBytes,
        timings: this.#options.timings ?? defaultPeerTimings,
        credentials: this.#options.credentials ?? null,
        open: this.#open,
      },
      this.#timers,
      end,
    );
    end.attach(call);
    end.handleWith(handler);
    return end;
  }

  /** Drops every open stream at once and tells nobody: what a killed process looks like to the others. */
  abandon(): void {
    for (const call of [...this.#open]) call.destroy();
  }
}
