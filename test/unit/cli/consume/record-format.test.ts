import assert from 'node:assert/strict';
import { test } from 'vitest';
import { compileFormat, jsonOf } from '../../../../src/cli/consume/record-format.ts';

const record = {
  topic: 'orders',
  partition: 2,
  offset: 41,
  timestamp: 1_700_000_000_000,
  key: Buffer.from('k'),
  value: Buffer.from([0xff, 0x00]),
  headers: [[Buffer.from('h'), Buffer.from('v')]] as const,
};

const cases = [
  ['%v\\n', Buffer.from([0xff, 0x00, 0x0a])],
  ['%s', Buffer.from([0xff, 0x00])],
  ['%t/%p/%o %T', Buffer.from('orders/2/41 1700000000000')],
  ['%k\\t%h', Buffer.from('k\th=v')],
  ['100%% \\\\ é\\0', Buffer.from('100% \\ é\0')],
] as const;

for (const [format, expected] of cases)
  test(`${format} prints what it says, bytes as they are`, () => {
    assert.deepEqual(compileFormat(format)(record), expected);
  });

test('an absent key or value prints as nothing', () => {
  assert.equal(String(compileFormat('[%k|%v]')({ ...record, key: null, value: null })), '[|]');
});

for (const format of ['%q', '%', '\\x', 'a\\'])
  test(`"${format}" is refused as wrong usage`, () => {
    assert.throws(() => compileFormat(format), { name: 'CliError', code: 2 });
  });

test('JSON tells text, bytes and nothing apart', () => {
  const shown = JSON.parse(String(jsonOf({ ...record, key: null })));
  assert.equal(shown.key, null);
  assert.deepEqual(shown.value, { base64: '/wA=' });
  assert.deepEqual(shown.headers, [['h', 'v']]);
  assert.equal(shown.offset, 41);
});
