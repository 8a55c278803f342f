import assert from 'node:assert/strict';
import { test } from 'vitest';
import { NetworkDialer } from '../../../src/cluster/dialer.ts';
import type { Network } from '../../../src/env/network.ts';
import { nodeNetwork } from '../../../src/env/node/network.ts';
import { PeerPair } from './peer-pair.ts';

const dialer = new NetworkDialer(nodeNetwork);

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

const failing = (error: Error): Network => ({ ...nodeNetwork, connect: () => Promise.reject(error) });
const coded = (code: string): Error => Object.assign(new Error(code), { code });

for (const [error, outcome] of [
  [coded('ENOTFOUND'), 'noSuchName'],
  [coded('EAI_AGAIN'), 'silent'],
  [coded('EHOSTUNREACH'), 'silent'],
  [coded('ETIMEDOUT'), 'silent'],
  [coded('ECONNRESET'), 'accepted'],
  [new Error('no connection within 300 ms'), 'silent'],
] as const)
  test(`"${error.message}" means ${outcome}`, async () => {
    assert.equal(await new NetworkDialer(failing(error)).dial({ name: '', host: 'h', port: 1 }, 300), outcome);
  });
