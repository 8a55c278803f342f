/**
 * TCP for a library that brings its own protocol engine and wants the system's socket itself (HTTP/2 under gRPC reads
 * and writes below JavaScript). Everything else uses `Network`, which hides the socket.
 */
import type { Duplex } from 'node:stream';
import type { Address, Listener } from './network.ts';

/** A connected TCP socket. */
export interface RawSocket extends Duplex {
  /** Undefined once it is closed. */
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  /** Also counts what a library reads below JavaScript. */
  readonly bytesRead: number;
}

export interface SocketListener {
  /** Rejects with `AddressError` when the address cannot be had. `Listener.close` waits for the last socket to close. */
  listen(
    address: Address,
    onSocket: (socket: RawSocket) => void,
    onAcceptError: (error: Error) => void,
  ): Promise<Listener>;
}
