import assert from 'node:assert/strict';
import { test } from 'vitest';
import { answerControl, type ControlledCluster } from '../../../src/cli/dev-control.ts';

function cluster(): ControlledCluster & { calls: string[] } {
  const running = new Map([
    [1, true],
    [2, false],
  ]);
  const calls: string[] = [];
  const change = (name: string, isRunning: boolean) => async (id: number) => {
    calls.push(`${name} ${id}`);
    running.set(id, isRunning);
  };
  return {
    calls,
    brokers: () => [...running].map(([id, isRunning]) => ({ id, address: `localhost:${9091 + id}`, isRunning })),
    stopBroker: change('stop', false),
    killBroker: change('kill', false),
    startBroker: change('start', true),
  };
}

const ask = (method: string, path: string, isFromWebPage = false) => ({ method, path, isFromWebPage });

const cases = [
  ['POST', '/dev/brokers/1/stop', 200, ['stop 1']],
  ['POST', '/dev/brokers/1/kill', 200, ['kill 1']],
  ['POST', '/dev/brokers/2/start', 200, ['start 2']],
  ['POST', '/dev/brokers/1/start', 409, []],
  ['POST', '/dev/brokers/2/kill', 409, []],
  ['POST', '/dev/brokers/3/kill', 404, []],
  ['GET', '/dev/brokers/1/kill', 405, []],
  ['POST', '/dev/brokers/1/burn', 404, []],
  ['GET', '/healthz', 200, []],
  ['GET', '/readyz', 503, []],
] as const;

for (const [method, path, status, calls] of cases)
  test(`${method} ${path} is answered ${status}`, async () => {
    const controlled = cluster();
    assert.equal((await answerControl(controlled, ask(method, path))).status, status);
    assert.deepEqual(controlled.calls, calls);
  });

test('a web page cannot kill a broker', async () => {
  const controlled = cluster();
  assert.equal((await answerControl(controlled, ask('POST', '/dev/brokers/1/kill', true))).status, 403);
  assert.deepEqual(controlled.calls, []);
});

test('it is ready once every broker runs', async () => {
  const controlled = cluster();
  await controlled.startBroker(2);
  assert.equal((await answerControl(controlled, ask('GET', '/readyz'))).status, 200);
});
