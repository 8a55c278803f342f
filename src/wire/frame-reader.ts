/**
 * Where does one Kafka frame end and the next begin? A frame is an int32 size and as many bytes; sockets deliver them
 * in pieces of their own. Pure: `push` takes a piece and gives the frames that it completes.
 *
 *     chunks   [size|frame|size|fra][me………][…………|size|frame]
 *     frames         view        └──── one copy ───┘    view
 *
 * A frame within one chunk is a view of that chunk; one over several is put together by one copy of each byte, when
 * its last piece is here. Until then the pieces are kept as they came, so that memory follows what was received and
 * never what a size claims. Small pieces are gathered, or a client that sends a byte at a time would make us keep an
 * object for each.
 */
import { WireError } from './wire-error.ts';

const sizeBytes = 4;
/** Pieces below this are copied together while the frame is incomplete (and the beginning of what follows them). */
const smallPieceBytes = 2048;
const leastGatherBytes = 64;
const mostGatherBytes = 64 * 1024;

export interface FrameLimits {
  /** The largest frame, in bytes without its size: Kafka's `socket.request.max.bytes`. */
  maxBytes: number;
  /** The smallest: 8 for requests (the fields every header has), 4 for responses, 0 for raw SASL tokens. */
  minBytes: number;
}

export const shortestRequestBytes = 8;

export class FrameReader {
  /** May be changed between two pushes, as when a connection has authenticated. */
  readonly limits: FrameLimits;
  readonly #pieces: Buffer[] = [];
  /** How much of the last piece is filled when it is one that gathers; -1 otherwise. */
  #gathered = -1;
  #heldBytes = 0;
  /** Bytes that the unfinished frame has, its size included; -1 until the size is known. */
  #frameBytes = -1;

  constructor(limits: FrameLimits) {
    this.limits = limits;
  }

  /** Bytes received of a frame that is not complete. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * The frames that `chunk` completes, in order, without their sizes. They may be views of `chunk`, which the caller
   * must not write to again.
   * @throws WireError for a size that is negative, below `minBytes` or above `maxBytes`: nothing after it can be found,
   * so the connection must be closed. Frames complete before it are lost with it.
   */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let position = this.#heldBytes > 0 ? this.#complete(chunk, frames) : 0;
    while (position < chunk.length) {
      const left = chunk.length - position;
      const frameBytes = left < sizeBytes ? -1 : sizeBytes + this.#checked(chunk.readInt32BE(position));
      if (frameBytes < 0 || left < frameBytes) {
        this.#frameBytes = frameBytes;
        this.#hold(chunk.subarray(position));
        break;
      }
      frames.push(chunk.subarray(position + sizeBytes, position + frameBytes));
      position += frameBytes;
    }
    return frames;
  }

  #checked(size: number): number {
    const { minBytes, maxBytes } = this.limits;
    if (size < minBytes) throw new WireError(`a frame of ${size} bytes; the smallest has ${minBytes}`);
    if (size > maxBytes) throw new WireError(`a frame of ${size} bytes; at most ${maxBytes} are accepted`);
    return size;
  }

  /** Continues the unfinished frame. @returns how much of `chunk` belongs to it. */
  #complete(chunk: Buffer, frames: Buffer[]): number {
    let position = 0;
    if (this.#frameBytes < 0) {
      position = Math.min(sizeBytes - this.#heldBytes, chunk.length);
      this.#hold(chunk.subarray(0, position));
      if (this.#heldBytes < sizeBytes) return position;
      const size = Buffer.concat(this.#held(), sizeBytes).readInt32BE();
      this.#frameBytes = sizeBytes + this.#checked(size);
    }
    const missing = this.#frameBytes - this.#heldBytes;
    if (chunk.length - position < missing) {
      this.#hold(chunk.subarray(position));
      return chunk.length;
    }
    this.#hold(chunk.subarray(position, position + missing));
    frames.push(this.#release());
    return position + missing;
  }

  #hold(piece: Buffer): void {
    this.#heldBytes += piece.length;
    const rest = piece.subarray(this.#gather(piece));
    if (rest.length >= smallPieceBytes) {
      this.#gathered = -1;
      this.#pieces.push(rest);
    } else if (rest.length > 0) {
      // Room for as much as is held, so that gathering at most doubles it.
      const room = Math.min(Math.max(leastGatherBytes, this.#heldBytes), mostGatherBytes);
      this.#pieces.push(Buffer.allocUnsafe(room));
      this.#gathered = 0;
      this.#gather(rest);
    }
  }

  /** Copies into the last piece, if it is one that gathers, what it has room for. @returns how many bytes that were. */
  #gather(piece: Buffer): number {
    const last = this.#pieces.at(-1);
    if (last === undefined || this.#gathered < 0) return 0;
    const copied = piece.copy(last, this.#gathered);
    this.#gathered += copied;
    return copied;
  }

  /** All that is held; a piece that gathers ends where it is filled. */
  #held(): Buffer[] {
    const last = this.#pieces.at(-1);
    if (last !== undefined && this.#gathered >= 0) {
      this.#pieces[this.#pieces.length - 1] = last.subarray(0, this.#gathered);
      this.#gathered = -1;
    }
    return this.#pieces;
  }

  /** The whole frame, in a buffer of its own. */
  #release(): Buffer {
    const frame = Buffer.allocUnsafe(this.#frameBytes - sizeBytes);
    let position = -sizeBytes;
    for (const piece of this.#held()) {
      if (position < 0) piece.copy(frame, 0, Math.min(-position, piece.length));
      else piece.copy(frame, position);
      position += piece.length;
    }
    this.#pieces.length = 0;
    this.#heldBytes = 0;
    this.#frameBytes = -1;
    return frame;
  }
}
