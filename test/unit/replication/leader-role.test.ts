import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { batchOf } from '../../support/log-harness.ts';
import { ackOf, attachOf, type FollowerEnd, ManagerUnderTest } from './manager-fixture.ts';
import { b1, b2 } from './partition-fixture.ts';

/** Attachments for which the follower was sent records. */
const servedOf = (follower: FollowerEnd): number[] =>
  follower.of('data').flatMap(({ attachId, batches }) => (batches.length > 0 ? [attachId] : []));

async function leading(): Promise<{ under: ManagerUnderTest; follower: FollowerEnd; produce(): Promise<unknown> }> {
  const under = await ManagerUnderTest.start([{ isr: [b1, b2], minIsr: 1 }]);
  const follower = under.followerStream(b2);
  return { under, follower, produce: () => under.replica().produce(batchOf(['a']), 1, 1_000) };
}

describe('a follower that attaches again', () => {
  test('is not cut off by the late end of its older request', async () => {
    const { under, follower, produce } = await leading();
    follower.say(attachOf(1), attachOf(2), { kind: 'detach', attachId: 1 });
    await produce();
    await under.until(() => servedOf(follower).length > 0);
    assert.deepEqual(servedOf(follower), [2]);
    follower.say(ackOf(2, 1));
    assert.equal(under.replica().highWatermark, 1);
  });
  test('is sent nothing more for its older request', async () => {
    const { under, follower, produce } = await leading();
    follower.say(attachOf(1));
    await produce();
    await under.until(() => servedOf(follower).length === 1);
    follower.say(attachOf(2));
    await under.until(() => servedOf(follower).length === 2);
    await produce();
    await under.until(() => servedOf(follower).length === 3);
    await under.time.advance(100);
    assert.deepEqual(servedOf(follower), [1, 2, 2]);
  });
});
