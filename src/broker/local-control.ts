/**
 * The control stream of a broker to itself: the controller's own broker talks to it without a network, and a process
 * that is its whole cluster never loads gRPC. Messages arrive in order, in a later turn, as over a wire.
 */
import type {
  ControlClient,
  ControlPeer,
  ControlServerHandler,
  ControlStream,
  ControlStreamHandler,
  Dialer,
} from '../controller/control-channel.ts';
import type { BrokerMessage, ControllerMessage, DialOutcome } from '../controller/control-messages.ts';
import type { Endpoint } from '../model/metadata-schema.ts';

/** Far from the numbers that the gRPC server gives its streams. */
const firstLocalStreamId = 1_000_000_000;

export class LocalControl implements ControlClient {
  readonly #server: ControlServerHandler;
  readonly #open = new Set<() => void>();
  #nextStreamId = firstLocalStreamId;

  constructor(server: ControlServerHandler) {
    this.#server = server;
  }

  connect(_controller: Endpoint, handler: ControlStreamHandler): ControlStream {
    let isOpen = true;
    const later = (deliver: () => void): void => queueMicrotask(() => isOpen && deliver());
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#open.delete(close);
      queueMicrotask(() => {
        this.#server.onClosed(peer, 'peerClosed');
        handler.onClosed('peerClosed');
      });
    };
    const peer: ControlPeer = {
      streamId: this.#nextStreamId++,
      send: (message: ControllerMessage) => later(() => handler.onMessage(message)),
      close,
    };
    this.#open.add(close);
    later(() => this.#server.onOpened(peer));
    return { send: (message: BrokerMessage) => later(() => this.#server.onMessage(peer, message)), close };
  }
}

/** Goes through the process for the broker's own endpoint and over the network for any other. */
export class RoutedControl implements ControlClient {
  readonly #local: LocalControl;
  readonly #remote: ControlClient;
  readonly #self: () => Endpoint;

  constructor(local: LocalControl, remote: ControlClient, self: () => Endpoint) {
    this.#local = local;
    this.#remote = remote;
    this.#self = self;
  }

  connect(controller: Endpoint, handler: ControlStreamHandler): ControlStream {
    const { host, port } = this.#self();
    const isOwn = controller.host === host && controller.port === port;
    return (isOwn ? this.#local : this.#remote).connect(controller, handler);
  }
}

/** For a process that is its whole cluster: there is nobody else to dial. */
export const nobodyToDial: Dialer = { dial: (): Promise<DialOutcome> => Promise.resolve('refused') };
