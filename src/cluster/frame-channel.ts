/**
 * What do control and replication need of a gRPC stream? Frames (one gRPC message each) in order, an end with its cause,
 * and a word when a frame has been taken. `OutgoingCall` and `IncomingCall` are its two ends.
 */
import type { CloseCause } from '../controller/control-channel.ts';

/**
 * The bytes of one gRPC message. A Buffer is one; so is a list of parts that knows its length and can copy itself.
 * grpc-js asks no more of a serialized message than these three: it copies it, once, behind its five-byte prefix. A
 * frame made of parts is therefore copied once on its way out, and never joined before.
 */
export interface Frame {
  readonly length: number;
  readonly byteLength: number;
  copy(target: Buffer, targetStart: number): number;
}

export interface FrameChannelHandler {
  /** The frame is the receiver's to keep. */
  onFrame(frame: Buffer): void;
  /** Last of all, once, and not after `finish` or `destroy`. */
  onEnded(cause: CloseCause, reason: string): void;
}

export interface FrameChannel {
  /** `host:port`, for logs. */
  readonly remote: string;
  /** `onTaken` is called once the connection has taken the frame; not if the stream ends first. */
  write(frame: Frame, onTaken: () => void): void;
  /** Closes after all that was written has left. */
  finish(): void;
  /** Closes at once. */
  destroy(): void;
}

/** What grpc-js calls a serializer, and its inverse: bytes pass as they are. */
export const passFrame = (frame: Frame): Buffer => frame as unknown as Buffer;
export const passBytes = (bytes: Buffer): Buffer => bytes;
