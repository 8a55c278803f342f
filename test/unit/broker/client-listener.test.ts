/** Who connects to a broker that is starting, and to one that has started. */
import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { ClientListener } from '../../../src/broker/client-listener.ts';
import { RequestMemory } from '../../../src/broker/request-memory.ts';
import type { BrokerServices } from '../../../src/broker/services.ts';
import { silentLogger } from '../../../src/env/logger.ts';
import type { Address, Connection, ConnectionHandlers, Network } from '../../../src/env/network.ts';
import { apiVersionsApi } from '../../../src/wire/messages/18-api-versions.ts';
import { encodeRequest } from '../../../src/wire/request-response.ts';
import { ManualTime } from '../../support/manual-time.ts';
import { FakeSocket } from './fake-socket.ts';

const address: Address = { host: '127.0.0.1', port: 9092 };

/** A listener whose broker is starting, and clients to connect to it. */
async function starting({ connectionsLimit = 10 } = {}) {
  const time = new ManualTime();
  let accept: (connection: Connection) => ConnectionHandlers = () => assert.fail('nobody listens');
  const network: Network = {
    listen: async (_options, onConnection) => {
      accept = onConnection;
      return { address, close: async () => undefined };
    },
    connect: () => assert.fail('it connects to nobody'),
  };
  const listener = new ClientListener(
    { name: 'PLAINTEXT', address, requestMaxBytes: 10_000, connectionsLimit, maxIdleMs: 600_000 },
    { network, memory: new RequestMemory(1_000_000), clock: time, timers: time, logger: silentLogger },
  );
  const services = Promise.withResolvers<BrokerServices>();
  await listener.open(services.promise);
  const connect = () => {
    const socket = new FakeSocket();
    return { socket, handlers: accept(socket) };
  };
  const start = async (): Promise<void> => {
    services.resolve({} as BrokerServices);
    await time.advance(0);
  };
  return { time, listener, connect, start };
}

const request = Buffer.concat(encodeRequest(apiVersionsApi, 0, { correlationId: 7, clientId: null }, {}).chunks);

describe('who connects while the broker starts', () => {
  test('is not read from until there is somebody to serve, and is served then', async () => {
    const { time, connect, start } = await starting();
    const { socket, handlers } = connect();
    await time.advance(900);
    assert.deepEqual([socket.isPaused, socket.isDestroyed], [true, false]);
    await start();
    assert.equal(socket.isPaused, false);
    handlers.onData(request);
    await time.advance(10_000);
    assert.deepEqual(socket.answered(), [7]);
    assert.equal(socket.isDestroyed, false);
  });
  test('is sent away after a second: others may serve', async () => {
    const { time, connect } = await starting();
    const { socket } = connect();
    await time.advance(1000);
    assert.equal(socket.isDestroyed, true);
  });
  test('counts among the connections', async () => {
    const { connect } = await starting({ connectionsLimit: 1 });
    const [first, second] = [connect(), connect()];
    assert.deepEqual([first.socket.isDestroyed, second.socket.isDestroyed], [false, true]);
    first.handlers.onClose(null);
    assert.equal(connect().socket.isDestroyed, false);
  });
  test('is sent away when the start comes to nothing', async () => {
    const { listener, connect } = await starting();
    const { socket } = connect();
    await listener.close();
    assert.equal(socket.isDestroyed, true);
  });
});

test('who connects later is served at once', async () => {
  const { connect, start } = await starting();
  await start();
  const { socket, handlers } = connect();
  handlers.onData(request);
  assert.deepEqual(socket.answered(), [7]);
});
