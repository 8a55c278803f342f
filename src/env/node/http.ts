/** How is HTTP served, on this machine? */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpAnswer, HttpServers } from '../http.ts';
import { AddressError } from '../network.ts';

/** Nothing that is served here takes a body; a client that sends one is not listened to for long. */
const longestRequestMs = 10_000;

function send(response: http.ServerResponse, { status, body }: HttpAnswer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

function pathOf(target: string): string | null {
  try {
    return decodeURIComponent(target.split('?', 1)[0] ?? '/');
  } catch {
    return null;
  }
}

export const nodeHttpServers: HttpServers = {
  listen(address, handle) {
    return new Promise((resolve, reject) => {
      const server = http.createServer({ requestTimeout: longestRequestMs, headersTimeout: longestRequestMs });
      server.on('request', (request, response) => {
        request.resume();
        const path = pathOf(request.url ?? '/');
        if (path === null) {
          send(response, { status: 400, body: { error: 'the path is not valid percent-encoding' } });
          return;
        }
        // Inside `then`, so that a throw and a rejection end in the same answer.
        Promise.resolve()
          .then(() =>
            handle({ method: request.method ?? 'GET', path, isFromWebPage: request.headers.origin !== undefined }),
          )
          .then(
            (answer) => send(response, answer),
            (error: Error) => send(response, { status: 500, body: { error: error.message } }),
          );
      });
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new AddressError(error.code ?? 'UNKNOWN', address)),
      );
      server.listen({ port: address.port, ...(address.host === '' ? {} : { host: address.host }) }, () => {
        server.removeAllListeners('error');
        // Accepting can fail for want of file descriptors; health is then not answered, which is the right answer.
        server.on('error', () => {});
        resolve({
          address: { host: address.host, port: (server.address() as AddressInfo).port },
          close: () =>
            new Promise((done) => {
              server.close(() => done());
              server.closeAllConnections();
            }),
        });
      });
    });
  },
};
