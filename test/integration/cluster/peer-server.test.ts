import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, test } from 'vitest';
import { AddressError } from '../../../src/env/network.ts';
import { brokerEpoch, brokerId } from '../../../src/model/brands.ts';
import { closing, nextMessage, PeerPair } from './peer-pair.ts';

const pairs: PeerPair[] = [];
const start = (options = {}): Promise<PeerPair> => {
  const pair = new PeerPair(options);
  pairs.push(pair);
  return pair.start();
};
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.stop();
});

async function connected(pair: PeerPair): Promise<net.Socket> {
  const socket = net.connect(pair.endpoint.port, pair.endpoint.host);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Reads to the end, which is the server's doing. */
async function closedByServer(socket: net.Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
}

async function stillServes(pair: PeerPair): Promise<void> {
  const { stream } = pair.connectControl();
  const served = await pair.controls.take();
  stream.send({ kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(1) });
  assert.equal((await nextMessage(served.heard)).kind, 'goodbye');
}

test('a port in use is refused with its number and the reason', async () => {
  const pair = await start();
  const other = new PeerPair({ address: { host: '127.0.0.1', port: pair.endpoint.port } });
  await assert.rejects(other.server.listen(), (error) => {
    assert.ok(error instanceof AddressError);
    assert.equal(error.code, 'EADDRINUSE');
    assert.match(error.message, new RegExp(String(pair.endpoint.port)));
    return true;
  });
  await stillServes(pair);
});

test('close ends every stream and lets the port go', async () => {
  const pair = await start();
  const control = pair.connectControl();
  await pair.controls.take();
  const replication = pair.connectReplication();
  await pair.replications.take();
  await pair.server.close();
  assert.equal(await closing(control.heard), 'peerClosed');
  await closing(replication.heard);
  const next = new PeerPair({ address: { host: '127.0.0.1', port: pair.endpoint.port } });
  pairs.push(next);
  await next.start();
  await stillServes(next);
});

test('closing twice, or after everything was let go of, does nothing more', async () => {
  const pair = await start();
  pair.server.abandon();
  pair.server.abandon();
  await pair.server.close();
});

const hostile: readonly (readonly [string, Buffer])[] = [
  ['words of another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
  ['a Kafka request', Buffer.from('00000014001200030000000100046b61666b610000', 'hex')],
  ['random bytes', Buffer.alloc(4_096, 0xa5)],
  [
    'a preface and then noise',
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(1_000, 0xff)]),
  ],
];

for (const [title, bytes] of hostile)
  test(`${title} on the port: closed, one line in the log, others unharmed`, async () => {
    const pair = await start();
    const socket = await connected(pair);
    socket.write(bytes);
    await closedByServer(socket);
    await stillServes(pair);
    assert.deepEqual(pair.warnings, ['closed a connection that opened no stream of a broker']);
  });

test('a connection that says nothing is closed after a while', async () => {
  const pair = await start();
  await closedByServer(await connected(pair));
  await stillServes(pair);
});

test('connections beyond the limit are closed; those before them stay', async () => {
  const pair = await start({ connectionLimit: 1 });
  const { stream } = pair.connectControl();
  const served = await pair.controls.take();
  await closedByServer(await connected(pair));
  assert.deepEqual(pair.warnings, ['too many connections between brokers; this one is closed']);
  stream.send({ kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(1) });
  assert.equal((await nextMessage(served.heard)).kind, 'goodbye');
});
