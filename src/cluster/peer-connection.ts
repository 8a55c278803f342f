/**
 * What does the socket under a gRPC connection tell that gRPC does not? Who closed it: grpc-js reports "Connection
 * dropped" both for a peer whose kernel sent FIN or RST (evidence that its process ended, §2.3 E1) and for its own
 * keepalive time limit (no evidence at all). And whether anything arrives: silence is counted in ticks, not in time, so
 * that a pause of this process, after which timers run before sockets are read, is not mistaken for the peer's.
 */
import type { CloseCause } from '../controller/control-channel.ts';
import type { RawSocket } from '../env/socket-listener.ts';

const resetCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNREFUSED']);

/** True for an error by which the peer's kernel says that nobody is there. */
export const isReset = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && resetCodes.has(String(error.code));

export class PeerConnection {
  readonly remote: string;
  readonly #socket: RawSocket;
  #isClosedByPeer = false;
  #bytesAtLastTick = 0;
  #silentTicks = 0;

  constructor(socket: RawSocket) {
    this.#socket = socket;
    this.remote = remoteOf(socket);
    socket.on('end', () => {
      this.#isClosedByPeer = true;
    });
    socket.on('error', (error) => {
      if (isReset(error)) this.#isClosedByPeer = true;
    });
  }

  /** Why it ended, once it has. */
  get cause(): CloseCause {
    return this.#isClosedByPeer ? 'peerClosed' : 'lost';
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** To be called at a steady beat. Returns for how many beats in a row nothing has arrived. */
  tick(): number {
    const bytes = this.#socket.bytesRead;
    this.#silentTicks = bytes === this.#bytesAtLastTick ? this.#silentTicks + 1 : 0;
    this.#bytesAtLastTick = bytes;
    return this.#silentTicks;
  }

  /** Closes at once and drops what is queued. */
  destroy(): void {
    this.#socket.destroy();
  }
}

/** As grpc-js names the peer of a call. */
export const remoteOf = (socket: RawSocket): string => `${socket.remoteAddress}:${socket.remotePort}`;
