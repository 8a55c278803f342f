/** Where Kafka clients connect: one listening socket per configured listener, and the connections that came in. */
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Address, Listener, Network } from '../env/network.ts';
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
/** Bytes of answers that may wait for a client that reads slowly before it is asked for nothing more. */
const highWaterMarkBytes = 1024 * 1024;
const idleCheckMs = 5000;

export class ClientListener {
  readonly #options: ClientListenerOptions;
  readonly #modules: { network: Network; memory: RequestMemory; clock: Clock; timers: Timers; logger: Logger };
  readonly #connections = new Set<ClientConnection>();
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

  /** Takes the port; who connects is served once `services` is there. Rejects with an AddressError. */
  async open(services: Promise<BrokerServices>): Promise<Address> {
    const { network, memory, clock, timers, logger } = this.#modules;
    let known: BrokerServices | null = null;
    services.then(
      (ready) => {
        known = ready;
      },
      () => undefined,
    );
    this.#listener = await network.listen(
      { ...this.#options.address, highWaterMarkBytes },
      (socket) => {
        if (!known || this.#connections.size >= this.#options.connectionsLimit) {
          socket.destroy();
          return { onData: () => undefined, onClose: () => undefined };
        }
        const connection = new ClientConnection(
          { listener: this.#options.name, requestMaxBytes: this.#options.requestMaxBytes, openRequestsLimit },
          {
            apis: apiTable,
            services: known,
            memory,
            clock,
            logger,
            onClosed: (closed) => this.#connections.delete(closed),
          },
          socket,
        );
        this.#connections.add(connection);
        return connection;
      },
      (error) => logger.warn({ err: error, listener: this.#options.name }, 'a client could not be accepted'),
    );
    this.#idleCheck = timers.setRepeatingTimer(idleCheckMs, () => this.#closeIdle());
    return this.#listener.address;
  }

  #closeIdle(): void {
    const oldestMs = this.#modules.clock.monotonicMs() - this.#options.maxIdleMs;
    for (const connection of [...this.#connections]) if (connection.isIdleSince(oldestMs)) connection.close();
  }

  /** Accepts nobody any more and ends all connections. */
  async close(): Promise<void> {
    this.#idleCheck?.cancel();
    const closing = this.#listener?.close();
    for (const connection of [...this.#connections]) connection.close();
    await closing;
  }
}
