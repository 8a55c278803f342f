import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import type { HttpRequest } from '../../../../src/env/http.ts';
import type { Listener } from '../../../../src/env/network.ts';
import { nodeHttpServers } from '../../../../src/env/node/http.ts';

let listener: Listener | undefined;
afterEach(() => listener?.close());

const serve = async (handle: Parameters<typeof nodeHttpServers.listen>[1]): Promise<string> => {
  listener = await nodeHttpServers.listen({ host: '127.0.0.1', port: 0 }, handle);
  return `http://127.0.0.1:${listener.address.port}`;
};

test('a request is handed over without its query and answered as JSON', async () => {
  const seen: HttpRequest[] = [];
  const url = await serve((request) => {
    seen.push(request);
    return { status: 503, body: { isReady: false } };
  });
  const answer = await fetch(`${url}/a%20b?c=d`, { method: 'POST', headers: { origin: 'http://evil.example' } });
  assert.equal(answer.status, 503);
  assert.deepEqual(await answer.json(), { isReady: false });
  assert.deepEqual(seen, [{ method: 'POST', path: '/a b', isFromWebPage: true }]);
});

test('a handler that throws is answered 500 with its reason', async () => {
  const url = await serve(() => {
    throw new Error('no such broker');
  });
  const answer = await fetch(url);
  assert.equal(answer.status, 500);
  assert.deepEqual(await answer.json(), { error: 'no such broker' });
});

test('a malformed path is answered 400', async () => {
  const url = await serve(() => assert.fail());
  assert.equal((await fetch(`${url}/%zz`)).status, 400);
});

test('a port in use is named', async () => {
  await serve(() => ({ status: 200, body: null }));
  const port = listener?.address.port ?? 0;
  await assert.rejects(
    nodeHttpServers.listen({ host: '127.0.0.1', port }, () => assert.fail()),
    {
      message: `cannot listen on 127.0.0.1:${port}: the port is in use by another process`,
    },
  );
});
