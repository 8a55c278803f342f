/** Where Kafka clients connect: one listening socket per configured listener, and the connections that came in. */
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Address, Connection, ConnectionHandlers, Listener, Network } from '../env/network.ts';
import { apiTable } from './api-table.ts';
import { ClientConnection } from './client-connection.ts';
import type { RequestMemory } from './request-memory.ts';
import type { BrokerServices } from './services.ts';

export interface ClientListenerOptions {
  readonly name: string;
  readonly address: Address;
  readonly requestMaxBytes: number;
  readonly connectionsLimit: number;
  /** `connections.max.idle.ms` */
  readonly maxIdleMs: number;
}

const openRequestsLimit = 100;
/** How long who connects to a broker that is still starting is held. */
const startHoldMs = 1000;
/** Bytes of answers that may wait for a client that reads slowly before it is asked for nothing more. */
const highWaterMarkBytes = 1024 * 1024;
const idleCheckMs = 5000;

/** A client that came before there was anybody to serve it; it is not read from until then. */
class EarlyConnection implements ConnectionHandlers {
  readonly socket: Connection;
  readonly #onClosed: (closed: EarlyConnection) => void;
  readonly #timer: Timer;
  #served: ClientConnection | null = null;

  constructor(socket: Connection, timers: Timers, onClosed: (closed: EarlyConnection) => void) {
    this.socket = socket;
    this.#onClosed = onClosed;
    socket.pause();
    this.#timer = timers.setTimer(startHoldMs, () => this.close());
  }

  serve(connection: ClientConnection): void {
    this.#timer.cancel();
    this.#served = connection;
    this.socket.resume();
  }

  onData(chunk: Buffer): void {
    this.#served?.onData(chunk);
  }
  onDrain(): void {
    this.#served?.onDrain();
  }
  onClose(error: Error | null): void {
    this.#timer.cancel();
    if (this.#served) this.#served.onClose(error);
    else this.#onClosed(this);
  }

  close(): void {
    this.#timer.cancel();
    this.socket.destroy();
    this.#onClosed(this);
  }
}

export class ClientListener {
  readonly #options: ClientListenerOptions;
  readonly #modules: { network: Network; memory: RequestMemory; clock: Clock; timers: Timers; logger: Logger };
  readonly #connections = new Set<ClientConnection>();
  readonly #early = new Set<EarlyConnection>();
  #listener: Listener | null = null;
  #idleCheck: Timer | null = null;

  constructor(
    options: ClientListenerOptions,
    modules: { network: Network; memory: RequestMemory; clock: Clock; timers: Timers; logger: Logger },
  ) {
    this.#options = options;
    this.#modules = modules;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Takes the port; who connects is held until `services` is there, for a while. Rejects with an AddressError. */
  async open(services: Promise<BrokerServices>): Promise<Address> {
    const { network, timers, logger } = this.#modules;
    let known: BrokerServices | null = null;
    services.then(
      (ready) => {
        known = ready;
        for (const early of this.#early) early.serve(this.#serve(early.socket, ready));
        this.#early.clear();
      },
      () => undefined,
    );
    this.#listener = await network.listen(
      { ...this.#options.address, highWaterMarkBytes },
      (socket) => {
        if (this.#connections.size + this.#early.size >= this.#options.connectionsLimit) {
          socket.destroy();
          return { onData: () => undefined, onClose: () => undefined };
        }
        if (known) return this.#serve(socket, known);
        const early = new EarlyConnection(socket, timers, (closed) => this.#early.delete(closed));
        this.#early.add(early);
        return early;
      },
      (error) => logger.warn({ err: error, listener: this.#options.name }, 'a client could not be accepted'),
    );
    this.#idleCheck = timers.setRepeatingTimer(idleCheckMs, () => this.#closeIdle());
    return this.#listener.address;
  }

  #serve(socket: Connection, services: BrokerServices): ClientConnection {
    const { memory, clock, logger } = this.#modules;
    const connection = new ClientConnection(
      { listener: this.#options.name, requestMaxBytes: this.#options.requestMaxBytes, openRequestsLimit },
      { apis: apiTable, services, memory, clock, logger, onClosed: (closed) => this.#connections.delete(closed) },
      socket,
    );
    this.#connections.add(connection);
    return connection;
  }

  #closeIdle(): void {
    const oldestMs = this.#modules.clock.monotonicMs() - this.#options.maxIdleMs;
    for (const connection of [...this.#connections]) if (connection.isIdleSince(oldestMs)) connection.close();
  }

  /** Accepts nobody any more and ends all connections. */
  async close(): Promise<void> {
    this.#idleCheck?.cancel();
    const closing = this.#listener?.close();
    for (const connection of [...this.#early, ...this.#connections]) connection.close();
    await closing;
  }
}
