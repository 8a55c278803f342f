import assert from 'node:assert/strict';
import { test } from 'vitest';
import { NetworkDialer } from '../../../src/cluster/dialer.ts';
import type { Network } from '../../../src/env/network.ts';
import { nodeClock } from '../../../src/env/node/clock.ts';
import { nodeNetwork } from '../../../src/env/node/network.ts';
import { nodeTimers } from '../../../src/env/node/timers.ts';
import { PeerPair } from './peer-pair.ts';

const dialerOn = (network: Network): NetworkDialer =>
  new NetworkDialer({ network, clock: nodeClock, timers: nodeTimers });
const dialer = dialerOn(nodeNetwork);
const somewhere = { name: '', host: 'h', port: 1 };

test('a port where a broker listens accepts, and the broker does not mind', async () => {
  const pair = await new PeerPair().start();
  assert.equal(await dialer.dial(pair.endpoint, 1_000), 'accepted');
  await pair.server.close();
  assert.deepEqual(pair.warnings, []);
});

test('a port where nobody listens refuses', async () => {
  const pair = await new PeerPair().start();
  await pair.server.close();
  assert.equal(await dialer.dial(pair.endpoint, 1_000), 'refused');
});

test('a host that does not exist has no such name', async () => {
  // A machine without a name server cannot tell, and says so.
  const outcome = await dialer.dial({ name: '', host: 'no-such-host.invalid', port: 9192 }, 2_000);
  assert.ok(outcome === 'noSuchName' || outcome === 'silent');
});

const coded = (code: string): Error => Object.assign(new Error(code), { code });
const failing = (error: Error): Network => ({ ...nodeNetwork, connect: () => Promise.reject(error) });

for (const [error, outcome] of [
  [coded('ENOTFOUND'), 'noSuchName'],
  [coded('EAI_AGAIN'), 'silent'],
  [coded('EHOSTUNREACH'), 'silent'],
  [coded('ETIMEDOUT'), 'silent'],
  [new Error('no connection within 300 ms'), 'silent'],
] as const)
  test(`"${error.message}" means ${outcome}`, async () => {
    assert.equal(await dialerOn(failing(error)).dial(somewhere, 300), outcome);
  });

/** A host whose dials go as told, one after the other, the last for ever; 'closed' is accepted and closed at once. */
function scripted(...script: readonly ('closed' | Error)[]): Network {
  let dials = 0;
  return {
    ...nodeNetwork,
    connect(_options, handlers) {
      const step = script[Math.min(dials++, script.length - 1)];
      if (step !== 'closed') return Promise.reject(step);
      const connection = { destroy() {} } as Awaited<ReturnType<Network['connect']>>;
      const { onClose } = handlers(connection);
      queueMicrotask(() => onClose(null));
      return Promise.resolve(connection);
    },
  };
}

test('a connection that the other end closes at once is no answer: a process is just dying there', async () => {
  assert.equal(
    await dialerOn(scripted('closed', coded('ECONNRESET'), coded('ECONNREFUSED'))).dial(somewhere, 60_000),
    'refused',
  );
});

test('connections that are closed for the whole time limit are closed by somebody', async () => {
  assert.equal(await dialerOn(scripted('closed')).dial(somewhere, 30), 'accepted');
});
