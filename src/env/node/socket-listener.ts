/** How does a library that wants the socket itself get one, on this machine? */
import net from 'node:net';
import { AddressError } from '../network.ts';
import type { SocketListener } from '../socket-listener.ts';

export const nodeSocketListener: SocketListener = {
  listen: (address, onSocket, onAcceptError) =>
    new Promise((resolve, reject) => {
      const server = net.createServer({ noDelay: true }, onSocket);
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new AddressError(error.code ?? 'UNKNOWN', address)),
      );
      server.listen({ port: address.port, ...(address.host === '' ? {} : { host: address.host }) }, () => {
        server.removeAllListeners('error');
        server.on('error', onAcceptError);
        const { port } = server.address() as net.AddressInfo;
        resolve({
          address: { host: address.host, port },
          close: () => new Promise((done) => server.close(() => done())),
        });
      });
    }),
};
