/**
 * TCP as an argument: what a listener and a raw client need of a network and no more. `env/node/network.ts` is the real
 * one. Handlers are given once, when a connection appears, so that no byte can arrive before somebody listens.
 */
export interface Address {
  /** A name or an IP address; empty, when listening, for every interface. */
  readonly host: string;
  /** 0, when listening, for any free port. */
  readonly port: number;
}

export interface ConnectionHandlers {
  /** Bytes in the order sent. The buffer is the receiver's to keep. */
  onData(chunk: Buffer): void;
  /** After a `write` that returned false: all that was queued has left. */
  onDrain?(): void;
  /** The peer will send no more. The connection closes by itself once what is queued has left. */
  onEnd?(): void;
  /** Last of all, once; `error` says why when the connection broke, and is null when it was closed. */
  onClose(error: Error | null): void;
}

export interface Connection {
  readonly remote: Address;
  readonly local: Address;
  /** Bytes handed to `write` that the system has not taken yet. */
  readonly queuedBytes: number;
  /**
   * Queues all chunks, in order, as one gathered write. False when more than the high mark is queued: stop until
   * `onDrain`. The chunks must stay as they are until `onSent`, which is called exactly once, sent or lost.
   */
  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean;
  /** Stops `onData`, and with it, by TCP, the sender. */
  pause(): void;
  resume(): void;
  /** Closes after all that is queued has left. */
  end(): void;
  /** Closes at once and drops what is queued. */
  destroy(): void;
}

export interface Listener {
  /** Where it really listens: with the port that the system chose for 0. */
  readonly address: Address;
  /** Accepts no more at once; fulfilled when the last accepted connection is closed, which is the caller's to do. */
  close(): Promise<void>;
}

export interface ListenOptions extends Address {
  /** The high mark of `write`, in bytes. */
  readonly highWaterMarkBytes: number;
}

export interface Network {
  /** Rejects with `AddressError` when the address cannot be had. */
  listen(
    options: ListenOptions,
    onConnection: (connection: Connection) => ConnectionHandlers,
    onAcceptError: (error: Error) => void,
  ): Promise<Listener>;
  /** Rejects when there is no connection within `timeoutMs`. */
  connect(
    options: ListenOptions & { readonly timeoutMs: number },
    handlers: (connection: Connection) => ConnectionHandlers,
  ): Promise<Connection>;
}

/** An address that cannot be listened on, in words for people. `code` is the system's: EADDRINUSE, EACCES, … */
export class AddressError extends Error {
  override name = 'AddressError';
  readonly code: string;
  readonly address: Address;
  constructor(code: string, address: Address) {
    super(`cannot listen on ${formatAddress(address)}: ${reasons[code] ?? code}`);
    this.code = code;
    this.address = address;
  }
}

const reasons: Record<string, string> = {
  EADDRINUSE: 'the port is in use by another process',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'not permitted (ports below 1024 need privileges)',
  ENOTFOUND: 'the host name is unknown',
};

/** `host:port`, an IPv6 host in brackets. */
export const formatAddress = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The inverse of `formatAddress`; an empty host is every interface. Throws a RangeError that names what is wrong. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new RangeError(`not host:port: ${text}`);
  return { host: match[1] ?? match[2] ?? '', port };
}
