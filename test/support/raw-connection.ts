/**
 * How does the raw client talk to one broker at the least cost? Frames out as they are, answers in order into one
 * reused buffer, no promise and no copy on the hot path.
 *
 *     send(frame) ──► socket            socket ──► [size|answer][size|ans…  one buffer, grown to the largest frame
 *     waiting: callbacks, first in first out ◄──── a view of each whole frame, valid during the callback only
 *
 * Kafka answers the requests of a connection in order, so the oldest callback owns the next frame.
 */
import { connect, type Socket } from 'node:net';

export class RawConnection {
  readonly #socket: Socket;
  readonly #waiting: { onAnswer: (answer: Buffer) => void; onLoss: (error: Error) => void }[] = [];
  #incoming = Buffer.allocUnsafeSlow(256 * 1024);
  #filled = 0;
  #loss: Error | null = null;
  /** Called once, when the connection is gone for whatever reason. */
  onClose: (error: Error) => void = () => {};

  private constructor(host: string, port: number) {
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: () => this.#room(), callback: (count) => this.#onBytes(count) },
    });
    this.#socket.on('error', (error) => this.#onLoss(error));
    this.#socket.on('end', () => this.#onLoss(new Error('the broker closed the connection')));
    this.#socket.on('close', () => this.#onLoss(new Error('connection closed')));
  }

  static open(host: string, port: number, timeoutMs = 5000): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const connection = new RawConnection(host, port);
      const timer = setTimeout(() => connection.#onLoss(new Error(`no connection to ${host}:${port}`)), timeoutMs);
      connection.onClose = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      connection.#socket.once('connect', () => {
        clearTimeout(timer);
        connection.onClose = () => {};
        resolve(connection);
      });
    });
  }

  /**
   * Sends a whole frame, size included. `onAnswer` gets the answer from its correlation id on, as a view that is only
   * valid until it returns. Exactly one of the two callbacks is called, once.
   */
  send(frame: Uint8Array, onAnswer: (answer: Buffer) => void, onLoss: (error: Error) => void): void {
    if (this.#loss !== null) {
      onLoss(this.#loss);
      return;
    }
    this.#waiting.push({ onAnswer, onLoss });
    this.#socket.write(frame);
  }

  /** As `send`, with a copy of the answer. Past `timeoutMs` the connection is given up, as every client does. */
  request(frame: Uint8Array, timeoutMs = 30_000): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#onLoss(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
      this.send(
        frame,
        (answer) => {
          clearTimeout(timer);
          resolve(Buffer.from(answer));
        },
        (error) => {
          clearTimeout(timer);
          reject(error);
        },
      );
    });
  }

  get isOpen(): boolean {
    return this.#loss === null;
  }

  close(): void {
    this.#onLoss(new Error('closed by the client'));
  }

  #room(): Buffer {
    if (this.#incoming.length - this.#filled < 64 * 1024) this.#grow(this.#incoming.length * 2);
    return this.#incoming.subarray(this.#filled);
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(length);
    this.#incoming.copy(larger, 0, 0, this.#filled);
    this.#incoming = larger;
  }

  #onBytes(count: number): boolean {
    this.#filled += count;
    let at = 0;
    while (this.#filled - at >= 4) {
      const size = this.#incoming.readInt32BE(at);
      if (size < 4 || size > 512 * 1024 * 1024) {
        this.#onLoss(new Error(`an answer of ${size} bytes`));
        return false;
      }
      const end = at + 4 + size;
      if (end > this.#filled) {
        if (4 + size > this.#incoming.length) this.#grow(4 + size + 64 * 1024);
        break;
      }
      const waiting = this.#waiting.shift();
      if (waiting === undefined) {
        this.#onLoss(new Error('an answer that nobody asked for'));
        return false;
      }
      waiting.onAnswer(this.#incoming.subarray(at + 4, end));
      at = end;
    }
    if (at > 0) {
      this.#incoming.copyWithin(0, at, this.#filled);
      this.#filled -= at;
    }
    return true;
  }

  #onLoss(error: Error): void {
    if (this.#loss !== null) return;
    this.#loss = error;
    this.#socket.destroy();
    for (const waiting of this.#waiting.splice(0)) waiting.onLoss(error);
    this.onClose(error);
  }
}
