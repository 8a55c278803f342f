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
  const work = (name: string, takesMs: number): Promise<string> =>
    turns.run(async () => {
      extraMs += takesMs;
      done.push(name);
      return name;
    });
  return { time, done, work };
}

test('what fits into a turn is done at once', async () => {
  const { done, work } = world(20);
  const results = [work('a', 5), work('b', 5)];
  assert.deepEqual(done, ['a', 'b']);
  assert.deepEqual(await Promise.all(results), ['a', 'b']);
});

test('what does not waits, in its order, and nobody overtakes it', async () => {
  const { time, done, work } = world(20);
  const results = ['a', 'b', 'c', 'd', 'e'].map((name) => work(name, 15));
  assert.deepEqual(done, ['a', 'b'], 'a piece that has begun ends');
  results.push(work('late', 1));
  time.setTimer(0, () => done.push('somebody else'));
  await time.advance(1);
  assert.deepEqual(done, ['a', 'b', 'c', 'd', 'somebody else', 'e', 'late']);
  assert.deepEqual(await Promise.all(results), ['a', 'b', 'c', 'd', 'e', 'late']);
});

test('a new turn begins with a budget of its own', async () => {
  const { time, done, work } = world(20);
  void work('a', 30);
  await time.advance(1);
  void work('b', 1);
  assert.deepEqual(done, ['a', 'b']);
});

test('work that fails is its own affair', async () => {
  const time = new ManualTime();
  const turns = new FairTurns({ budgetMs: 20 }, { clock: time, timers: time });
  await assert.rejects(
    turns.run(() => Promise.reject(new Error('refused'))),
    /refused/,
  );
  assert.equal(await turns.run(async () => 'next'), 'next');
});
