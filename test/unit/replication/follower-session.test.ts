import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { leaderEpoch } from '../../../src/model/brands.ts';
import { type LeaderEnd, ManagerUnderTest } from './manager-fixture.ts';
import { b2, b3 } from './partition-fixture.ts';

async function following(): Promise<{ under: ManagerUnderTest; leader: LeaderEnd }> {
  const under = await ManagerUnderTest.start([{ leader: b2 }]);
  return { under, leader: under.leaderStream() };
}

/** Notes when each is settled. */
function noted(waiting: readonly Promise<void>[]): number[] {
  const settled: number[] = [];
  for (const [index, promise] of waiting.entries()) void promise.then(() => settled.push(index));
  return settled;
}

describe('whether a leader lives', () => {
  test('is known when it has answered what it was asked since', async () => {
    const { under, leader } = await following();
    const first = under.manager.heardFrom(b2);
    await under.time.advance(0);
    const later = [under.manager.heardFrom(b2), under.manager.heardFrom(b2)];
    const settled = noted([first, ...later]);
    assert.equal(leader.of('ping').length, 1);
    leader.say({ kind: 'pong' });
    await under.time.advance(0);
    assert.deepEqual(settled, [0], 'the answer to an older question proves nothing');
    assert.equal(leader.of('ping').length, 2);
    leader.say({ kind: 'pong' });
    await under.time.advance(0);
    assert.deepEqual(settled, [0, 1, 2]);
    assert.equal(leader.of('ping').length, 2);
  });
  test('is known to be doubtful when the stream breaks', async () => {
    const { under, leader } = await following();
    const settled = noted([under.manager.heardFrom(b2), under.manager.heardFrom(b2)]);
    leader.handler?.onClosed();
    await under.time.advance(0);
    assert.deepEqual(settled, [0, 1]);
    assert.equal(under.manager.isStreamBroken(b2), true);
  });
  test('is not asked of who is not followed, nor over a stream that is not open', async () => {
    const under = await ManagerUnderTest.start([{ leader: b2 }]);
    const settled = noted([under.manager.heardFrom(b2), under.manager.heardFrom(b3)]);
    await under.time.advance(0);
    assert.deepEqual(settled, [0, 1]);
  });
});

test('a follower that asks whether the leader lives is answered', async () => {
  const under = await ManagerUnderTest.start([{}]);
  const follower = under.followerStream(b2);
  follower.say({ kind: 'ping' });
  assert.equal(follower.of('pong').length, 1);
});

test('a leader that asks whether it is followed is answered after what was given up (I19)', async () => {
  const { under, leader } = await following();
  await under.until(() => leader.of('attach').length === 1);
  leader.say({ kind: 'ping' });
  await under.until(() => leader.of('pong').length === 1);
  under.writeRecord({ leader: b3, leaderEpoch: leaderEpoch(6) });
  await under.until(() => leader.of('detach').length === 1);
  leader.say({ kind: 'ping' });
  await under.until(() => leader.of('pong').length === 2);
  const kinds = leader.sent.map(({ kind }) => kind).filter((kind) => kind === 'detach' || kind === 'pong');
  assert.deepEqual(kinds, ['pong', 'detach', 'pong']);
});
