import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { attachOf, type FollowerEnd, ManagerUnderTest } from './manager-fixture.ts';
import { b1, b2 } from './partition-fixture.ts';

/** A leader that no controller answers, with a follower that has nothing to copy. */
async function idle(): Promise<{ under: ManagerUnderTest; follower: FollowerEnd }> {
  const under = await ManagerUnderTest.start([{}, {}]);
  under.controllerContactMs = Number.NEGATIVE_INFINITY;
  const follower = under.followerStream(b2);
  return { under, follower };
}
const pings = (follower: FollowerEnd): number => follower.of('ping').length;

describe('a follower that there is nothing to send to (I19)', () => {
  test('is asked whether it is there, and that it is counts from when it was asked', async () => {
    const { under, follower } = await idle();
    follower.say(attachOf(1));
    await under.time.advance(100);
    assert.equal(pings(follower), 1);
    assert.equal(under.replica().mayActAsLeader(), false);
    await under.time.advance(1_800);
    assert.equal(pings(follower), 1, 'one question at a time');
    follower.say({ kind: 'pong' });
    assert.equal(under.replica().mayActAsLeader(), true);
    assert.equal(under.replica(1).mayActAsLeader(), false, 'it follows one partition only');
    await under.time.advance(100);
    assert.equal(pings(follower), 2);
    await under.time.advance(100);
    assert.equal(under.replica().mayActAsLeader(), false);
    follower.say({ kind: 'pong' });
    assert.equal(under.replica().mayActAsLeader(), true);
  });
  test('says nothing for what it has given up before', async () => {
    const { under, follower } = await idle();
    follower.say(attachOf(1), attachOf(2, { partition: 1 }));
    await under.time.advance(100);
    follower.say({ kind: 'detach', attachId: 1 }, { kind: 'pong' });
    assert.equal(under.replica().mayActAsLeader(), false);
    assert.equal(under.replica(1).mayActAsLeader(), true);
  });
  test('is not asked while it follows nothing, and is not heard unasked', async () => {
    const { under, follower } = await idle();
    await under.time.advance(1_000);
    assert.equal(pings(follower), 0);
    follower.say(attachOf(1), { kind: 'pong' });
    assert.equal(under.replica().mayActAsLeader(), false);
  });
});

describe('whether a follower follows still', () => {
  async function asked(): Promise<{ under: ManagerUnderTest; follower: FollowerEnd }> {
    const inSync = { isr: [b1, b2] };
    const under = await ManagerUnderTest.start([inSync, inSync]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1), attachOf(2, { partition: 1 }));
    return { under, follower };
  }

  test('is asked at once', async () => {
    const { under, follower } = await asked();
    under.replica().questionLeadership();
    assert.equal(pings(follower), 1);
    follower.say({ kind: 'pong' });
    assert.equal(under.replica().confirmedQuestion, 1);
  });
  test('is not told by the answer to a ping from before the question; the next follows it at once, for all', async () => {
    const { under, follower } = await asked();
    under.replica().questionLeadership();
    under.replica().questionLeadership();
    under.replica(1).questionLeadership();
    assert.equal(pings(follower), 1);
    follower.say({ kind: 'pong' });
    assert.deepEqual([under.replica().confirmedQuestion, under.replica(1).confirmedQuestion], [1, 0]);
    assert.equal(pings(follower), 2);
    follower.say({ kind: 'pong' });
    assert.deepEqual([under.replica().confirmedQuestion, under.replica(1).confirmedQuestion], [2, 1]);
    assert.equal(pings(follower), 2);
  });
  test('is not told by the answer to an idle ping that is under way', async () => {
    const { under, follower } = await asked();
    await under.time.advance(100);
    assert.equal(pings(follower), 1);
    under.replica().questionLeadership();
    follower.say({ kind: 'pong' });
    assert.equal(under.replica().confirmedQuestion, 0);
    follower.say({ kind: 'pong' });
    assert.equal(under.replica().confirmedQuestion, 1);
  });
  test('is answered no by what it has given up before', async () => {
    const { under, follower } = await asked();
    under.replica().questionLeadership();
    follower.say({ kind: 'detach', attachId: 1 }, { kind: 'pong' });
    assert.equal(under.replica().confirmedQuestion, 0);
    follower.say(attachOf(3));
    assert.equal(pings(follower), 2);
    follower.say({ kind: 'pong' });
    assert.equal(under.replica().confirmedQuestion, 1);
  });
  test('is asked anew when it has attached again over another stream', async () => {
    const { under, follower } = await asked();
    under.replica().questionLeadership();
    follower.handler?.onClosed();
    const again = under.followerStream(b2);
    again.say(attachOf(3));
    assert.equal(pings(again), 1);
    assert.equal(under.replica().confirmedQuestion, 0);
    again.say({ kind: 'pong' });
    assert.equal(under.replica().confirmedQuestion, 1);
  });
});
