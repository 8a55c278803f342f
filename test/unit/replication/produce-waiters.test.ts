import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { offset } from '../../../src/model/brands.ts';
import { refusalBeforeAppend, waitsForCommit } from '../../../src/replication/acks.ts';
import { ProduceWaiters } from '../../../src/replication/produce-waiters.ts';
import { epoch5 } from './partition-fixture.ts';

describe('before an append', () => {
  // acks | ISR is large enough | refused with | waits for the high watermark
  for (const [acks, isEnough, refusal, waits] of [
    [0, true, undefined, false],
    [0, false, undefined, false],
    [1, true, undefined, false],
    [1, false, undefined, false],
    [-1, true, undefined, true],
    [-1, false, 'NOT_ENOUGH_REPLICAS', true],
    [2, true, 'INVALID_REQUIRED_ACKS', false],
    [-2, false, 'INVALID_REQUIRED_ACKS', false],
  ] as const)
    test(`acks ${acks} with ${isEnough ? 'enough' : 'too few'} in sync is ${refusal ?? 'taken'}`, () => {
      assert.equal(refusalBeforeAppend(acks, { canAcceptAcksAll: isEnough })?.code, refusal);
      assert.equal(waitsForCommit(acks), waits);
    });
});

describe('waiting writes', () => {
  const setUp = (limit = 100) => {
    const waiters = new ProduceWaiters(epoch5, limit);
    const done: [number, string][] = [];
    const add = (end: number, deadlineMs = 1_000, highWatermark = 0): void =>
      waiters.add(
        { endOffset: offset(end), deadlineMs, complete: (fault) => void done.push([end, fault?.code ?? 'ok']) },
        epoch5,
        offset(highWatermark),
      );
    return { waiters, done, add };
  };
  test('are answered in the order of their offsets once the high watermark passes them', () => {
    const { waiters, done, add } = setUp();
    for (const end of [3, 8, 5]) add(end);
    waiters.onHighWatermark(offset(5));
    assert.deepEqual(done, [
      [3, 'ok'],
      [5, 'ok'],
    ]);
    assert.equal(waiters.size, 1);
  });
  test('do not wait for what is committed already', () => {
    const { done, add } = setUp();
    add(3, 1_000, 3);
    assert.deepEqual(done, [[3, 'ok']]);
  });
  // ISR is large enough at the time limit | answer
  for (const [isEnough, code] of [
    [true, 'REQUEST_TIMED_OUT'],
    [false, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'],
  ] as const)
    test(`are told ${code} at their time limit with ${isEnough ? 'enough' : 'too few'} in sync`, () => {
      const { waiters, done, add } = setUp();
      add(3, 500);
      add(4, 300);
      assert.equal(waiters.nextDeadlineMs, 300);
      waiters.expire(300, { canAcceptAcksAll: isEnough });
      assert.deepEqual(done, [[4, code]]);
      waiters.onHighWatermark(offset(9));
      assert.deepEqual(done, [
        [4, code],
        [3, 'ok'],
      ]);
    });
  test('all fail when the leader epoch ends (I18)', () => {
    const { waiters, done, add } = setUp();
    add(3);
    add(4);
    waiters.failAll({ code: 'LEADER_NOT_AVAILABLE' });
    waiters.onHighWatermark(offset(9));
    assert.deepEqual(done, [
      [3, 'LEADER_NOT_AVAILABLE'],
      [4, 'LEADER_NOT_AVAILABLE'],
    ]);
  });
  test('are bounded in number', () => {
    const { done, add } = setUp(1);
    add(3);
    add(4);
    assert.deepEqual(done, [[4, 'REQUEST_TIMED_OUT']]);
  });
  test('keep their order through many completions', () => {
    const { waiters, done, add } = setUp(10_000);
    for (let end = 1; end <= 1_000; end++) {
      add(end);
      if (end % 3 === 0) waiters.onHighWatermark(offset(end - 1));
    }
    waiters.onHighWatermark(offset(1_000));
    assert.deepEqual(
      done.map(([end]) => end),
      Array.from({ length: 1_000 }, (_, i) => i + 1),
    );
  });
});
