/**
 * One client's connection: bytes in, frames, requests, answers out in the order of the requests (Java and franz-go
 * rely on it).
 *
 *   reading stops while   the process holds too many request bytes · this client has too many requests open ·
 *                         it does not read what was sent to it
 *   a request begins      when all before it are answered and the client reads its answers; a Produce already when all
 *                         before it are Produce, so that a pipelining client does not pay a round of replication for
 *                         each batch
 *
 * Anything malformed, and an API or version that is not served, ends the connection with one log line.
 */

import type { Clock } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Connection, ConnectionHandlers } from '../env/network.ts';
import type { Fields } from '../wire/field.ts';
import { FrameReader, shortestRequestBytes } from '../wire/frame-reader.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse, type RequestHeader } from '../wire/request-response.ts';
import { unsupportedApiVersions } from './api/18-api-versions.ts';
import type { RequestMemory } from './request-memory.ts';
import {
  type Answer,
  type BrokerServices,
  closeConnection,
  noAnswer,
  type RequestContext,
  type ServedApi,
} from './services.ts';

/** A request between its arrival and its answer. */
interface OpenRequest {
  readonly header: RequestHeader;
  readonly served: ServedApi;
  readonly frame: Buffer;
  /** Of the frame, while it counts: until there is an answer, also where nobody waits for one any more. */
  countedBytes: number;
  state: 'waiting' | 'running' | 'done';
  /** Once done: what to send, nothing for acks=0. */
  chunks: readonly Buffer[] | null;
  /** To run when the answer has left or never will, but not while the handler runs. */
  readonly onGone: (() => void)[];
}

function letGo(request: OpenRequest): void {
  for (const callback of request.onGone.splice(0)) callback();
}

export interface ClientConnectionOptions {
  readonly listener: string;
  /** `socket.request.max.bytes` */
  readonly requestMaxBytes: number;
  /** Requests of one client that may be open at once. */
  readonly openRequestsLimit: number;
}

export interface ClientConnectionModules {
  /** What is served, by API key. */
  readonly apis: ReadonlyMap<number, ServedApi>;
  readonly services: BrokerServices;
  readonly memory: RequestMemory;
  readonly clock: Clock;
  readonly logger: Logger;
  onClosed(connection: ClientConnection): void;
}

const apiVersionsKey = 18;
/**
 * Array elements of one request. A message is decoded in one turn of the event loop, at up to a third of a microsecond an
 * element, and answered in another: more would hold up everybody for longer than 50 ms (I42). Kafka has no such limit.
 */
const requestElementsLimit = 120_000;

export class ClientConnection implements ConnectionHandlers {
  readonly #options: ClientConnectionOptions;
  readonly #modules: ClientConnectionModules;
  readonly #socket: Connection;
  readonly #frames: FrameReader;
  /** In the order they came; the first is answered first. */
  readonly #open: OpenRequest[] = [];
  readonly #disconnectListeners = new Set<() => void>();
  readonly #stopMemory: () => void;
  #isReading = true;
  #isSlow = false;
  #isClosed = false;
  #lastRequestMs: number;

  constructor(options: ClientConnectionOptions, modules: ClientConnectionModules, socket: Connection) {
    this.#options = options;
    this.#modules = modules;
    this.#socket = socket;
    this.#frames = new FrameReader({ maxBytes: options.requestMaxBytes, minBytes: shortestRequestBytes });
    this.#lastRequestMs = modules.clock.monotonicMs();
    this.#stopMemory = modules.memory.onChange(() => this.#regulate());
  }

  /** No request is open and none has come since. */
  isIdleSince(timeMs: number): boolean {
    return this.#lastRequestMs < timeMs && (this.#open.length === 0 || this.#isSlow);
  }

  onData(chunk: Buffer): void {
    if (this.#isClosed) return;
    let frames: Buffer[];
    try {
      frames = this.#frames.push(chunk);
    } catch (error) {
      return this.fail(error, 'a client sent what is no request');
    }
    for (const frame of frames) {
      if (this.#isClosed) return;
      this.#onFrame(frame);
    }
    this.#regulate();
  }

  #onFrame(frame: Buffer): void {
    this.#lastRequestMs = this.#modules.clock.monotonicMs();
    let header: RequestHeader;
    try {
      header = decodeRequestHeader(frame);
    } catch (error) {
      return this.fail(error, 'a client sent a malformed request header');
    }
    const served = this.#modules.apis.get(header.apiKey);
    const isServed = served && header.apiVersion >= served.minVersion && header.apiVersion <= served.maxVersion;
    if (!served || (!isServed && header.apiKey !== apiVersionsKey)) {
      const { apiKey, apiVersion } = header;
      return this.fail(null, `a client asked for api ${apiKey} version ${apiVersion}, which is not served`);
    }
    this.#modules.memory.take(frame.length);
    this.#open.push({ header, served, frame, countedBytes: frame.length, state: 'waiting', chunks: null, onGone: [] });
    this.#beginRequests();
  }

  /** See the rule above: pipelined requests run together, all others alone, and none for a client that does not read. */
  #beginRequests(): void {
    for (const request of this.#open) {
      if (this.#isClosed || this.#isSlow) return;
      if (request.state === 'waiting') {
        if (!request.served.isPipelined && request !== this.#open[0]) return;
        this.#begin(request);
      }
      if (!request.served.isPipelined && request.state !== 'done') return;
    }
  }

  #begin(request: OpenRequest): void {
    request.state = 'running';
    const { header, served, frame } = request;
    if (header.apiVersion > served.maxVersion || header.apiVersion < served.minVersion)
      return this.#finish(
        request,
        encodeResponse(served.api, 0, header.correlationId, unsupportedApiVersions(served)).chunks,
      );
    let answer: Promise<Answer<Fields>> | Answer<Fields>;
    try {
      const body = decodeRequest(served.api, header.apiVersion, frame, header.bodyPosition ?? 0, {
        maxElements: requestElementsLimit,
      });
      answer = served.handle(this.#modules.services, body, this.#contextOf(request));
    } catch (error) {
      this.#drop(request);
      return this.fail(error, `a client sent a malformed ${served.api.name} request of version ${header.apiVersion}`);
    }
    if (answer instanceof Promise)
      answer.then(
        (done) => this.#onAnswer(request, done),
        (error: unknown) => {
          this.#drop(request);
          this.fail(error, `a ${served.api.name} request failed`);
        },
      );
    else this.#onAnswer(request, answer);
  }

  #contextOf({ header, onGone }: OpenRequest): RequestContext {
    return {
      version: header.apiVersion,
      clientId: header.clientId,
      clientHost: `/${this.#socket.remote.host.replace(/^::ffff:(?=\d+\.)/, '')}`,
      listener: this.#options.listener,
      onDisconnect: (callback) => this.#onDisconnect(callback),
      onAnswerGone: (callback) => onGone.push(callback),
    };
  }

  #onDisconnect(callback: () => void): () => void {
    this.#disconnectListeners.add(callback);
    // A handler that was held may ask when all is over: it would wait for somebody who is gone.
    if (this.#isClosed) queueMicrotask(() => this.#disconnectListeners.delete(callback) && callback());
    return () => this.#disconnectListeners.delete(callback);
  }

  #onAnswer(request: OpenRequest, answer: Answer<Fields>): void {
    const { header, served } = request;
    if (answer === closeConnection) {
      this.#drop(request);
      return this.fail(null, `a ${served.api.name} request has no answer but the end of its connection`);
    }
    if (answer === noAnswer) return this.#finish(request, []);
    let chunks: readonly Buffer[];
    try {
      chunks = encodeResponse(served.api, header.apiVersion, header.correlationId, answer).chunks;
    } catch (error) {
      this.#drop(request);
      return this.fail(error, `an answer to ${served.api.name} cannot be written`);
    }
    this.#finish(request, chunks);
  }

  #finish(request: OpenRequest, chunks: readonly Buffer[]): void {
    if (request.state === 'done') return this.#drop(request); // the connection closed meanwhile
    request.state = 'done';
    request.chunks = chunks;
    this.#uncount(request);
    if (this.#isClosed) return;
    this.#sendAnswers();
    this.#beginRequests();
    this.#regulate();
  }

  /** It will have no answer. */
  #drop(request: OpenRequest): void {
    this.#uncount(request);
    letGo(request);
  }

  #uncount(request: OpenRequest): void {
    this.#modules.memory.give(request.countedBytes);
    request.countedBytes = 0;
  }

  #sendAnswers(): void {
    const ready: Buffer[] = [];
    const leaving: OpenRequest[] = [];
    while (this.#open[0]?.state === 'done') {
      const request = this.#open.shift();
      if (request?.chunks) for (const chunk of request.chunks) ready.push(chunk);
      if (request && request.onGone.length > 0) leaving.push(request);
    }
    const onSent = (): void => {
      for (const request of leaving) letGo(request);
    };
    if (ready.length === 0) return onSent();
    if (!this.#socket.write(ready, leaving.length > 0 ? onSent : undefined)) this.#isSlow = true;
  }

  onDrain(): void {
    this.#isSlow = false;
    this.#lastRequestMs = this.#modules.clock.monotonicMs();
    this.#beginRequests();
    this.#regulate();
  }

  /** A frame that has begun is read to its end even when memory is short: nobody else's end depends on it. */
  #regulate(): void {
    if (this.#isClosed) return;
    const isFull = this.#modules.memory.isFull && this.#frames.heldBytes === 0;
    const mayRead = !isFull && !this.#isSlow && this.#open.length < this.#options.openRequestsLimit;
    if (mayRead === this.#isReading) return;
    this.#isReading = mayRead;
    if (mayRead) this.#socket.resume();
    else this.#socket.pause();
  }

  onClose(error: Error | null): void {
    if (error)
      this.#modules.logger.debug({ err: error, client: this.#socket.remote.host }, 'a client connection broke');
    this.#end();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopMemory();
    for (const request of this.#open.splice(0)) {
      // One that runs lets go when it ends: until then it may still read into the memory of its answer.
      if (request.state === 'done') {
        letGo(request);
        continue;
      }
      if (request.state === 'waiting') this.#uncount(request);
      request.state = 'done';
    }
    for (const callback of [...this.#disconnectListeners]) callback();
    this.#disconnectListeners.clear();
    this.#modules.onClosed(this);
  }

  /** Ends the connection at once, with the one line that says why. */
  fail(error: unknown, message: string): void {
    if (this.#isClosed) return;
    const { host, port } = this.#socket.remote;
    const reason = error instanceof Error ? error.message : undefined;
    this.#modules.logger.warn({ client: `${host}:${port}`, reason }, message);
    this.close();
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }
}
