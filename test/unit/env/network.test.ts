import assert from 'node:assert/strict';
import { test } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/env/network.ts';

const addresses = [
  ['127.0.0.1:9092', '127.0.0.1', 9092],
  ['broker-1.local:0', 'broker-1.local', 0],
  ['[::1]:9092', '::1', 9092],
  [':9092', '', 9092],
] as const;

for (const [text, host, port] of addresses)
  test(`${text} is read and written back`, () => {
    assert.deepEqual(parseAddress(text), { host, port });
    assert.equal(formatAddress({ host, port }), text);
  });

for (const text of ['', 'localhost', 'localhost:', '::1:9092', 'a:70000', 'a:-1', 'a:b'])
  test(`"${text}" is no address`, () => assert.throws(() => parseAddress(text), RangeError));
