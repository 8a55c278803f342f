import assert from 'node:assert/strict';
import { test } from 'vitest';
import { parseResetOffset, parseStartOffset } from '../../../../src/cli/consume/start-offset.ts';

const cases = [
  ['earliest', { kind: 'earliest' }],
  ['latest', { kind: 'latest' }],
  ['0', { kind: 'offset', offset: 0n }],
  ['123', { kind: 'offset', offset: 123n }],
  ['-5', { kind: 'fromEnd', records: 5n }],
  ['@1700000000000', { kind: 'timestamp', ms: 1_700_000_000_000n }],
] as const;

for (const [text, expected] of cases)
  test(`--offset ${text} is understood`, () => assert.deepEqual(parseStartOffset(text), expected));

for (const text of ['', 'begining', '1.5', '--1', '@', '@now'])
  test(`--offset "${text}" is refused as wrong usage`, () => {
    assert.throws(() => parseStartOffset(text), { name: 'CliError', code: 2 });
  });

test('where a group begins is one end of the log or the other, and no place between', () => {
  assert.equal(parseResetOffset('earliest'), 'earliest');
  assert.equal(parseResetOffset('end'), 'latest');
  for (const text of ['7', '-7', '@7', 'middle'])
    assert.throws(() => parseResetOffset(text), { name: 'CliError', code: 2 });
});
