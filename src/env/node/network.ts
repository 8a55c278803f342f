/** How are bytes sent over TCP, on this machine? */
import net from 'node:net';
import {
  type Address,
  AddressError,
  type Connection,
  type ConnectionHandlers,
  formatAddress,
  type Listener,
  type ListenOptions,
  type Network,
} from '../network.ts';

class NodeConnection implements Connection {
  readonly remote: Address;
  readonly local: Address;
  readonly #socket: net.Socket;
  #error: Error | null = null;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    // Read once: a closed socket has forgotten them, and that is when logs want them.
    this.remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    this.local = { host: socket.localAddress ?? '', port: socket.localPort ?? 0 };
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  attach(handlers: ConnectionHandlers): void {
    const socket = this.#socket;
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => handlers.onClose(this.#error));
    socket.on('drain', () => handlers.onDrain?.());
    socket.on('end', () => handlers.onEnd?.());
    socket.on('data', (chunk: Buffer) => handlers.onData(chunk));
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded || chunks.length === 0) {
      onSent?.();
      return true;
    }
    // Corked, the chunks leave in one writev instead of one system call and, without Nagle, one packet each.
    socket.cork();
    const last = chunks.length - 1;
    for (let i = 0; i <= last; i += 1) {
      const chunk = chunks[i] as Uint8Array;
      // Node calls back once, with an error if the socket is destroyed first.
      if (i === last && onSent) socket.write(chunk, () => onSent());
      else socket.write(chunk);
    }
    socket.uncork();
    // Not what `socket.write` said: it answers before the system had its chance to take everything.
    return socket.writableLength < socket.writableHighWaterMark;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

function listen(
  options: ListenOptions,
  onConnection: (connection: Connection) => ConnectionHandlers,
  onAcceptError: (error: Error) => void,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ noDelay: true, keepAlive: true, highWaterMark: options.highWaterMarkBytes });
    server.on('connection', (socket) => {
      const connection = new NodeConnection(socket);
      connection.attach(onConnection(connection));
    });
    server.once('error', (error: NodeJS.ErrnoException) => reject(new AddressError(error.code ?? 'UNKNOWN', options)));
    // A backlog for the moment when every client of a dead broker comes at once.
    server.listen({ port: options.port, backlog: 1024, ...(options.host === '' ? {} : { host: options.host }) }, () => {
      server.removeAllListeners('error');
      server.on('error', onAcceptError);
      const { port } = server.address() as net.AddressInfo;
      resolve({
        address: { host: options.host, port },
        close: () => new Promise((done) => server.close(() => done())),
      });
    });
  });
}

function connect(
  options: ListenOptions & { readonly timeoutMs: number },
  handlers: (connection: Connection) => ConnectionHandlers,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const { host, port, timeoutMs, highWaterMarkBytes } = options;
    // Node passes this on to the stream below; its types forget to say so.
    const streamOptions: net.SocketConstructorOpts & { highWaterMark: number } = { highWaterMark: highWaterMarkBytes };
    const socket = new net.Socket(streamOptions);
    const onTimeout = (): void => {
      socket.destroy(new Error(`no connection to ${formatAddress(options)} within ${timeoutMs} ms`));
    };
    socket.setTimeout(timeoutMs, onTimeout);
    socket.once('error', reject);
    socket.connect({ host, port }, () => {
      socket.setNoDelay(true);
      socket.setKeepAlive(true);
      socket.setTimeout(0);
      socket.removeListener('timeout', onTimeout);
      socket.removeListener('error', reject);
      const connection = new NodeConnection(socket);
      connection.attach(handlers(connection));
      resolve(connection);
    });
  });
}

export const nodeNetwork: Network = { listen, connect };
