import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'vitest';
import { PeerConnection } from '../../../src/cluster/peer-connection.ts';

class FakeSocket extends PassThrough {
  readonly remoteAddress = '10.0.0.1';
  readonly remotePort = 5_000;
  bytesRead = 0;
}

const closed = (socket: FakeSocket): Promise<unknown> => new Promise((resolve) => socket.on('close', resolve));
const coded = (code: string): Error => Object.assign(new Error(code), { code });

test('a FIN is the peer closing', async () => {
  const socket = new FakeSocket();
  const connection = new PeerConnection(socket);
  socket.resume();
  socket.end();
  await closed(socket);
  assert.equal(connection.cause, 'peerClosed');
});

for (const [code, cause] of [
  ['ECONNRESET', 'peerClosed'],
  ['EPIPE', 'peerClosed'],
  ['ETIMEDOUT', 'lost'],
  ['EHOSTUNREACH', 'lost'],
] as const)
  test(`${code} means ${cause}`, async () => {
    const socket = new FakeSocket();
    const connection = new PeerConnection(socket);
    socket.destroy(coded(code));
    await closed(socket);
    assert.equal(connection.cause, cause);
  });

test('what this end closes is not the peer closing', async () => {
  const socket = new FakeSocket();
  const connection = new PeerConnection(socket);
  connection.destroy();
  await closed(socket);
  assert.equal(connection.cause, 'lost');
});

test('silence is counted in beats without a byte and starts again with the first byte', () => {
  const socket = new FakeSocket();
  const connection = new PeerConnection(socket);
  socket.bytesRead = 1;
  assert.deepEqual([connection.tick(), connection.tick(), connection.tick()], [0, 1, 2]);
  socket.bytesRead = 2;
  assert.deepEqual([connection.tick(), connection.tick()], [0, 1]);
});
