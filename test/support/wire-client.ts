/**
 * A client of one broker that can send every version of every API, and bytes that are none: messages by the
 * descriptions of `src/wire`, which the golden bytes of Kafka hold to account. Answers must come in the order of the
 * requests, each with its correlation id; anything else breaks the client.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Api } from '../../src/wire/api.ts';
import type { Decoded, Fields, Given } from '../../src/wire/field.ts';
import { decodeResponse, encodeRequest } from '../../src/wire/request-response.ts';

const answerTimeoutMs = 20_000;

interface Waiting {
  readonly correlationId: number;
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class WireClient {
  readonly socket: Socket;
  /** Fulfilled when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #waiting: Waiting[] = [];
  #bytes: Buffer[] = [];
  #held = 0;
  readonly #clientId: string;
  #correlationId = 0;
  #isClosed = false;

  private constructor(socket: Socket, clientId: string) {
    this.socket = socket;
    this.#clientId = clientId;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        for (const { reject } of this.#waiting.splice(0)) reject(new Error('the broker closed the connection'));
        resolve();
      });
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
  }

  static async open({ host, port }: { host: string; port: number }, clientId = 'wire-client'): Promise<WireClient> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    return new WireClient(socket, clientId);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The answer, read to its last byte; rejects when the connection closes instead. */
  async ask<Request extends Fields, Response extends Fields>(
    api: Api<Request, Response>,
    version: number,
    body: Given<Request> = {},
  ): Promise<Decoded<Response>> {
    const frame = await this.askBytes(this.encode(api, version, body));
    return decodeResponse(api, version, frame, { allowTrailingBytes: false }).body;
  }

  /** A whole request with the next correlation id. */
  encode<Request extends Fields>(api: Api<Request>, version: number, body: Given<Request> = {}): Buffer {
    const correlationId = ++this.#correlationId;
    const { chunks } = encodeRequest(api, version, { correlationId, clientId: this.#clientId }, body);
    return Buffer.concat(chunks);
  }

  /** Sends a frame, size included, and gives the answer's frame without its size. */
  askBytes(frame: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new Error('the connection is closed'));
      const timer = setTimeout(() => reject(new Error(`no answer in ${answerTimeoutMs} ms`)), answerTimeoutMs);
      const settle =
        <Value>(finish: (value: Value) => void) =>
        (value: Value): void => {
          clearTimeout(timer);
          finish(value);
        };
      this.#waiting.push({ correlationId: frame.readInt32BE(8), resolve: settle(resolve), reject: settle(reject) });
      this.socket.write(frame);
    });
  }

  /** Sends and expects no answer (acks=0); one that comes all the same ends the connection. */
  tell<Request extends Fields>(api: Api<Request>, version: number, body: Given<Request>): void {
    this.socket.write(this.encode(api, version, body));
  }

  close(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#bytes.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      if (this.#held < 4) return;
      const all = this.#bytes.length === 1 ? (this.#bytes[0] ?? chunk) : Buffer.concat(this.#bytes);
      this.#bytes = [all];
      const end = 4 + all.readInt32BE(0);
      if (all.length < end) return;
      this.#bytes = [all.subarray(end)];
      this.#held = all.length - end;
      const frame = all.subarray(4, end);
      const waiting = this.#waiting.shift();
      if (waiting?.correlationId === frame.readInt32BE(0)) waiting.resolve(frame);
      else {
        waiting?.reject(new Error(`answer ${frame.readInt32BE(0)} to request ${waiting.correlationId}`));
        this.socket.destroy(new Error('an answer that nobody asked for'));
      }
    }
  }
}
