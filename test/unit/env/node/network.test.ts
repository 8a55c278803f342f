import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, test } from 'vitest';
import type { Connection, ConnectionHandlers, Listener } from '../../../../src/env/network.ts';
import { AddressError } from '../../../../src/env/network.ts';
import { nodeNetwork } from '../../../../src/env/node/network.ts';

const anyPort = { host: '127.0.0.1', port: 0, highWaterMarkBytes: 1024 };
const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function listen(onConnection: (connection: Connection) => ConnectionHandlers): Promise<Listener> {
  const open = new Set<Connection>();
  const listener = await nodeNetwork.listen(
    anyPort,
    (connection) => {
      open.add(connection);
      return onConnection(connection);
    },
    (error) => assert.fail(error),
  );
  cleanUps.push(async () => {
    for (const connection of open) connection.destroy();
    await listener.close();
  });
  return listener;
}

async function client(listener: Listener): Promise<net.Socket> {
  const socket = net.connect(listener.address.port, '127.0.0.1');
  cleanUps.push(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return socket;
}

test('chunks of one write arrive together and in order', async () => {
  const listener = await listen((connection) => ({
    onData: (chunk) => connection.write([Buffer.from('<'), chunk, Buffer.from('>')]),
    onClose() {},
  }));
  const socket = await client(listener);
  socket.write('abc');
  const [answer] = await once(socket, 'data');
  assert.equal(String(answer), '<abc>');
});

test('a write past the high mark says so, and onDrain follows once the peer reads', async () => {
  const { promise: drained, resolve: onDrain } = Promise.withResolvers<void>();
  const accepted = Promise.withResolvers<Connection>();
  const listener = await listen((connection) => {
    accepted.resolve(connection);
    return { onData() {}, onDrain, onClose() {} };
  });
  const socket = await client(listener);
  socket.pause();
  const connection = await accepted.promise;
  while (connection.write([Buffer.alloc(1024 * 1024)]));
  assert.ok(connection.queuedBytes > 1024);
  socket.resume();
  await drained;
  assert.equal(connection.queuedBytes, 0);
});

test('onSent is called once for a write that was sent and once for one that was lost', async () => {
  const accepted = Promise.withResolvers<Connection>();
  const closed = Promise.withResolvers<Error | null>();
  const listener = await listen((connection) => {
    accepted.resolve(connection);
    return { onData() {}, onClose: closed.resolve };
  });
  const socket = await client(listener);
  socket.pause();
  const connection = await accepted.promise;
  let calls = 0;
  const sent = Promise.withResolvers<void>();
  connection.write([Buffer.from('small')], sent.resolve);
  await sent.promise;
  const count = (): void => {
    calls += 1;
  };
  while (connection.write([Buffer.alloc(1024 * 1024)], count));
  const afterFilling = calls;
  connection.write([Buffer.alloc(1024)], count);
  connection.destroy();
  connection.write([Buffer.alloc(1024)], count);
  assert.equal(await closed.promise, null);
  assert.ok(calls >= afterFilling + 2, `${calls} calls`);
});

test('pause holds the sender back until resume', async () => {
  const accepted = Promise.withResolvers<Connection>();
  const received = Promise.withResolvers<string>();
  let isPaused = true;
  const listener = await listen((connection) => {
    connection.pause();
    accepted.resolve(connection);
    return {
      onData(chunk) {
        assert.equal(isPaused, false);
        received.resolve(String(chunk));
      },
      onClose() {},
    };
  });
  const socket = await client(listener);
  await new Promise((done) => socket.write('later', done));
  isPaused = false;
  (await accepted.promise).resume();
  assert.equal(await received.promise, 'later');
});

test('a port in use is named with host and port', async () => {
  const listener = await listen(() => ({ onData() {}, onClose() {} }));
  const { port } = listener.address;
  await assert.rejects(
    nodeNetwork.listen(
      { ...anyPort, port },
      () => assert.fail(),
      () => {},
    ),
    (error) => {
      assert.ok(error instanceof AddressError);
      assert.equal(error.code, 'EADDRINUSE');
      assert.equal(error.message, `cannot listen on 127.0.0.1:${port}: the port is in use by another process`);
      return true;
    },
  );
});

test('connect talks to listen, both see the close, and a refused one rejects', async () => {
  const served = Promise.withResolvers<Error | null>();
  const listener = await listen((connection) => ({
    onData(chunk) {
      connection.write([chunk]);
      connection.end();
    },
    onClose: served.resolve,
  }));
  const parts: string[] = [];
  const gone = Promise.withResolvers<Error | null>();
  const target = { ...anyPort, port: listener.address.port, timeoutMs: 5000 };
  const connection = await nodeNetwork.connect(target, () => ({
    onData: (chunk) => parts.push(String(chunk)),
    onClose: gone.resolve,
  }));
  connection.write([Buffer.from('ping')]);
  assert.equal(await gone.promise, null);
  assert.equal(await served.promise, null);
  assert.deepEqual(parts, ['ping']);
  await listener.close();
  await assert.rejects(
    nodeNetwork.connect(target, () => assert.fail()),
    { code: 'ECONNREFUSED' },
  );
});
