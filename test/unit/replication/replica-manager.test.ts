import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { brokerEpoch, leaderEpoch } from '../../../src/model/brands.ts';
import { batchOf } from '../../support/log-harness.ts';
import { attachOf, type FollowerEnd, ManagerUnderTest } from './manager-fixture.ts';
import { b1, b2 } from './partition-fixture.ts';

const epoch6 = { leaderEpoch: leaderEpoch(6) };
const attachIdsOf = (follower: FollowerEnd): number[] => follower.of('attached').map(({ attachId }) => attachId);

describe('an attach request of a leader epoch that is not known yet', () => {
  test('waits for it, and is answered then', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1, { leaderEpoch: 6 }));
    assert.equal(follower.sent.length, 1, 'the answer to its hello');
    under.writeRecord({ leader: b1, ...epoch6 });
    await under.until(() => attachIdsOf(follower).length > 0);
    assert.deepEqual(attachIdsOf(follower), [1]);
  });
  test('is refused once it is known that another leads', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1, { leaderEpoch: 6 }));
    under.writeRecord({ leader: b2, ...epoch6 });
    await under.until(() => follower.of('reject').length === 1);
  });
  test('is not answered by what happens to other partitions', async () => {
    const under = await ManagerUnderTest.start([{}, {}]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1, { leaderEpoch: 6 }), attachOf(2, { leaderEpoch: 6, partition: 1 }));
    under.writeRecord({ leader: b1, ...epoch6 }, 1);
    await under.until(() => attachIdsOf(follower).length > 0);
    await under.time.advance(100);
    assert.deepEqual(attachIdsOf(follower), [2]);
  });
  test('is forgotten when the follower takes it back', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1, { leaderEpoch: 6 }), { kind: 'detach', attachId: 1 });
    under.writeRecord({ leader: b1, ...epoch6 });
    await under.until(() => under.replica().isLeader && under.replica().record?.leaderEpoch === 6);
    await under.time.advance(100);
    assert.deepEqual(attachIdsOf(follower), []);
  });
  test('makes way for a newer one of the same stream', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1, { leaderEpoch: 6 }), attachOf(2, { leaderEpoch: 6 }), { kind: 'detach', attachId: 1 });
    under.writeRecord({ leader: b1, ...epoch6 });
    await under.until(() => attachIdsOf(follower).length > 0);
    assert.deepEqual(attachIdsOf(follower), [2]);
  });
  test('is forgotten with its stream', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const follower = under.followerStream(b2);
    follower.say(attachOf(1, { leaderEpoch: 6 }));
    follower.handler?.onClosed();
    under.writeRecord({ leader: b1, ...epoch6 });
    await under.until(() => under.replica().isLeader && under.replica().record?.leaderEpoch === 6);
    assert.deepEqual(attachIdsOf(follower), []);
  });
});

describe('a broker that registers anew while it is becoming leader', () => {
  test('does not become leader of the epoch before', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const replica = under.replica();
    const { promise, resolve } = Promise.withResolvers<void>();
    under.disk.delay = () => promise;
    under.writeRecord({ leader: b1, ...epoch6 });
    await under.time.advance(0);
    under.register(brokerEpoch(201));
    resolve();
    await under.until(() => replica.isSettled);
    assert.equal(replica.isLeader, false);
    under.manager.onRegistered(brokerEpoch(201));
    await under.until(() => replica.isLeader);
  });
});

describe('the credit of a stream', () => {
  const partitions = 5;
  /** Reads of a follower, held up at the disk: the tail is not kept in memory here. */
  async function withReadsHeldUp(credit: number) {
    const under = await ManagerUnderTest.start(Array.from({ length: partitions }, () => ({ isr: [b1], minIsr: 1 })));
    for (let partition = 0; partition < partitions; partition++)
      await under.replica(partition).produce(batchOf(['x'.repeat(1_000)]), 1, 1_000);
    let reads = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    under.disk.delay = () => {
      reads++;
      return promise;
    };
    const follower = under.followerStream(b2, credit);
    for (let partition = 0; partition < partitions; partition++) follower.say(attachOf(partition + 1, { partition }));
    await under.time.advance(0);
    return { under, follower, readsBegun: () => reads, goOn: resolve };
  }
  test('bounds the reads that are begun, not only what they give', async () => {
    const { readsBegun } = await withReadsHeldUp(2 * 4096);
    assert.equal(readsBegun(), 2);
  });
  test('gets back what a read did not use', async () => {
    const { under, follower, goOn } = await withReadsHeldUp(2 * 4096);
    goOn();
    await under.until(() => follower.of('data').length === partitions);
  });
  test('gets back what was read for a partition that is attached no more', async () => {
    const { under, follower, goOn } = await withReadsHeldUp(4096);
    follower.say({ kind: 'detach', attachId: 1 });
    goOn();
    await under.until(() => follower.of('data').length === partitions - 1);
  });
});
