import assert from 'node:assert/strict';
import { test } from 'vitest';
import { FairTurns } from '../../../../src/broker/coordinators/fair-turns.ts';
import { ManualTime } from '../../../support/manual-time.ts';

/** Each piece takes as long as it is said to; `done` tells the order and when. */
function world(budgetMs: number) {
  const time = new ManualTime();
  let extraMs = 0;
  const clock = { wallMs: () => time.wallMs(), monotonicMs: () => time.monotonicMs() + extraMs };
  const turns = new FairTurns({ budgetMs }, { clock, timers: time });
  const done: string[] = [];
  const spend = (takesMs: number): void => {
    extraMs += takesMs;
  };
  const work = async (name: string, takesMs: number): Promise<void> => {
    await turns.whenFree();
    spend(takesMs);
    done.push(name);
  };
  return { time, done, work, spend };
}

test('what fits into a turn is let through in it', async () => {
  const { time, done, work } = world(20);
  await Promise.all([work('a', 5), work('b', 5)]);
  assert.deepEqual(done, ['a', 'b']);
  assert.equal(time.monotonicMs(), new ManualTime().monotonicMs(), 'no timer had to fire');
});

test('what does not waits, in its order, and nobody overtakes it', async () => {
  const { time, done, work } = world(20);
  const results: Promise<void>[] = [];
  time.setTimer(0, () => {
    done.push('somebody else');
    results.push(work('late', 1));
  });
  results.push(...['a', 'b', 'c', 'd', 'e'].map((name) => work(name, 15)));
  await time.advance(1);
  assert.deepEqual(done, ['a', 'b', 'somebody else', 'c', 'd', 'e', 'late'], 'a piece that has begun ends');
  await Promise.all(results);
});

test('what others did in the turn counts', async () => {
  const { time, done, work, spend } = world(20);
  await work('a', 1);
  spend(30);
  const later = work('b', 1);
  await Promise.resolve();
  assert.deepEqual(done, ['a']);
  await time.advance(1);
  await later;
  assert.deepEqual(done, ['a', 'b']);
});

test('a new turn begins with a budget of its own', async () => {
  const { time, done, work } = world(20);
  await work('a', 30);
  await time.advance(1);
  await work('b', 1);
  assert.deepEqual(done, ['a', 'b']);
});
