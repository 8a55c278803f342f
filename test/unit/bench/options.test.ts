import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { byteCount, count, processIds, someOf } from '../../bench/options.ts';

describe('an argument is read', () => {
  test('as a count', () => assert.equal(count('12'), 12));
  test('as bytes, in powers of 1024', () =>
    assert.deepEqual(['4096', '64k', '1.5M', '2G'].map(byteCount), [4096, 65_536, 1_572_864, 2_147_483_648]));
  test('as process ids', () => assert.deepEqual(processIds('4711,4712'), [4711, 4712]));
  test('as some of the names that are known', () => assert.deepEqual(someOf(['a', 'b', 'c'])('c,a'), ['c', 'a']));
});

describe('an argument is refused that is', () => {
  for (const [title, read] of [
    ['a negative count', () => count('-1')],
    ['no number', () => count('many')],
    ['a size with an unknown unit', () => byteCount('4T')],
    ['no process id', () => processIds('4711,0')],
    ['a name that is not known', () => someOf(['a', 'b'])('a,d')],
  ] as const)
    test(title, () => assert.throws(read, { code: 'commander.invalidArgument' }));
});
