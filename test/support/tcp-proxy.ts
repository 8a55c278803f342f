/** A way between a client and a server on this machine that a test can cut, and keep cut. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly port: number;
  #isHeld = false;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (client) => {
      if (this.#isHeld) {
        client.destroy();
        return;
      }
      const target = connect(targetPort, '127.0.0.1');
      for (const [from, to] of [
        [client, target],
        [target, client],
      ] as const) {
        this.#sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return new TcpProxy(server, address !== null && typeof address === 'object' ? address.port : 0, targetPort);
  }

  /** Ends all connections; new ones go through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cut, and every new connection is closed until `release`. */
  hold(): void {
    this.#isHeld = true;
    this.cut();
  }

  release(): void {
    this.#isHeld = false;
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }
}
