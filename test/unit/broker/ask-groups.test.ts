import assert from 'node:assert/strict';
import { test } from 'vitest';
import { askGroups } from '../../../src/broker/ask-groups.ts';
import { ManualTime } from '../../support/manual-time.ts';

const keys = Array.from({ length: 1200 }, (_, index) => index);

test('few keys are asked for at once', async () => {
  assert.deepEqual(await askGroups(new ManualTime(), [3, 1, 2], async (key) => key * 2), [6, 2, 4]);
});

test('between slices of many keys the event loop turns, whoever is still waited for', async () => {
  const time = new ManualTime();
  const first = Promise.withResolvers<number>();
  let asked = 0;
  const answered = askGroups(time, keys, async (key) => {
    asked++;
    return key === 0 ? first.promise : key;
  });
  assert.equal(asked, 500);
  await time.advance(0);
  assert.equal(asked, 1200);
  first.resolve(7);
  assert.deepEqual(await answered, [7, ...keys.slice(1)]);
});

test('it fails with whoever fails, once all are asked for', async () => {
  const time = new ManualTime();
  const answered = askGroups(time, keys, async (key) => {
    if (key === 1) throw new Error('no');
    return key;
  });
  await Promise.all([assert.rejects(answered, /no/), time.advance(0)]);
});

test('what does not fit into one answer is to be asked for again, the first never', async () => {
  const rows: Record<string, number> = { huge: 500_000, half: 60_000, small: 10 };
  const ask = (groups: string[]): Promise<string[]> =>
    askGroups(new ManualTime(), groups, async (group) => group, {
      rowsOf: (group) => rows[group] ?? 0,
      comeAgain: (group) => `${group} again`,
    });
  assert.deepEqual(await ask(['huge']), ['huge']);
  assert.deepEqual(await ask(['huge', 'small']), ['huge', 'small again']);
  assert.deepEqual(await ask(['half', 'half', 'small']), ['half', 'half again', 'small']);
  assert.deepEqual(await ask(['small', 'huge', 'half']), ['small', 'huge again', 'half']);
});
