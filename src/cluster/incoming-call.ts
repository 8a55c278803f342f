/** What does a stream that another broker has opened look like here? One gRPC call on one accepted connection. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { CloseCause } from '../controller/control-channel.ts';
import type { Timer, Timers } from '../env/clock.ts';
import type { Frame, FrameChannel, FrameChannelHandler } from './frame-channel.ts';
import { grpcLibrary } from './grpc-library.ts';
import type { PeerConnection } from './peer-connection.ts';
import type { PeerTimings } from './peer-timings.ts';

export class IncomingCall implements FrameChannel {
  readonly remote: string;
  readonly #call: ServerDuplexStream<Buffer, Frame>;
  readonly #connection: PeerConnection;
  readonly #timings: PeerTimings;
  readonly #timers: Timers;
  #handler: FrameChannelHandler | null = null;
  #lingerTimer: Timer | null = null;
  /** finish, destroy or the end: nothing more is told. */
  #isOver = false;

  constructor(
    call: ServerDuplexStream<Buffer, Frame>,
    connection: PeerConnection,
    timings: PeerTimings,
    timers: Timers,
  ) {
    this.remote = connection.remote;
    this.#call = call;
    this.#connection = connection;
    this.#timings = timings;
    this.#timers = timers;
    // The headers tell the other end that it has been accepted.
    call.sendMetadata(new (grpcLibrary().Metadata)());
    // Each error is a cancellation too.
    call.on('error', () => undefined);
    call.on('end', () => this.#onEnded('peerClosed', 'closed by the other end'));
    // Without an end before it, on a connection that stands: gRPC would not read on (a message too long, compressed in an
    // unknown way), or the HTTP/2 session has failed.
    call.on('cancelled', () => this.#onEnded(connection.cause, 'ended by gRPC'));
  }

  /** To be called once, in the turn in which the call came: frames are read from then on. */
  start(handler: FrameChannelHandler): void {
    this.#handler = handler;
    this.#call.on('data', (frame: Buffer) => {
      if (!this.#isOver) handler.onFrame(frame);
    });
  }

  write(frame: Frame, onTaken: () => void): void {
    if (!this.#isOver) this.#call.write(frame, onTaken);
  }

  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#endCall();
  }

  destroy(): void {
    this.#isOver = true;
    this.#connection.destroy();
  }

  /** Nothing has come for too long. */
  onSilence(): void {
    this.#end('lost', `silent for ${this.#timings.silenceLimitMs} ms`);
    this.#connection.destroy();
  }

  /** No more waiting for the other end. */
  onConnectionClosed(): void {
    this.#lingerTimer?.cancel();
    this.#lingerTimer = null;
    this.#end(this.#connection.cause, 'the connection is gone');
  }

  #onEnded(cause: CloseCause, reason: string): void {
    if (this.#isOver) return;
    this.#end(cause, reason);
    this.#endCall();
  }

  #endCall(): void {
    this.#call.end();
    this.#lingerTimer ??= this.#timers.setTimer(this.#timings.lingerMs, () => this.#connection.destroy());
  }

  #end(cause: CloseCause, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handler?.onEnded(cause, reason);
  }
}
