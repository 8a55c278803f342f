import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { leaderEpoch } from '../../../src/model/brands.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import { encodeBatch } from '../../../src/records/record-batch.ts';
import { batchOf } from '../../support/log-harness.ts';
import { settled } from '../../support/manual-time.ts';
import { diskError } from '../../support/memory-disk.ts';
import { ackOf, attachOf, ManagerUnderTest } from './manager-fixture.ts';
import { b1, b2 } from './partition-fixture.ts';

const keyed = (key: string): Buffer =>
  encodeBatch({ records: [{ key: Buffer.from(key), value: Buffer.from('v'), timestampMs: 1_700_000_000_000 }] });

const refusalOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
  } catch (error) {
    if (error instanceof BrokerError) return error.fault.code;
    throw error;
  }
  return 'none';
};

describe('the append of a coordinator', () => {
  test('has its offsets at once, and is committed by the whole ISR', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1, b2] }]);
    const replica = under.replica();
    const follower = under.followerStream(b2);
    follower.say(attachOf(1));
    const first = replica.appendAsCoordinator(keyed('a'));
    const second = replica.appendAsCoordinator(keyed('b'));
    assert.deepEqual([first.endOffset, second.endOffset], [1, 2]);
    await Promise.all([first.written, second.written]);
    assert.equal(replica.highWatermark, 0);
    follower.say(ackOf(1, second.endOffset));
    assert.equal(replica.highWatermark, 2);
  });
  test('is refused, with nothing changed, by a replica that does not lead', async () => {
    const under = await ManagerUnderTest.start([{ leader: b2 }]);
    assert.equal(await refusalOf(() => under.replica().appendAsCoordinator(keyed('a'))), 'NOT_LEADER');
  });
  test('is refused below min ISR', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1] }]);
    const replica = under.replica();
    assert.equal(await refusalOf(() => replica.appendAsCoordinator(keyed('a'))), 'NOT_ENOUGH_REPLICAS');
    under.writeRecord({ isr: [b1, b2] });
    assert.equal(replica.appendAsCoordinator(keyed('a')).endOffset, 1);
  });
  test('is refused by a leader that nobody answers', async () => {
    const under = await ManagerUnderTest.start([{}]);
    under.controllerContactMs = Number.NEGATIVE_INFINITY;
    assert.equal(await refusalOf(() => under.replica().appendAsCoordinator(keyed('a'))), 'NOT_LEADER');
  });
  test('is refused without a key where the topic is compacted', async () => {
    const cleanupPolicy = { compact: true, delete: false };
    const under = await ManagerUnderTest.start([{}], { logConfig: { cleanupPolicy } });
    const replica = under.replica();
    assert.equal(await refusalOf(() => replica.appendAsCoordinator(batchOf(['no key']))), 'INVALID_RECORD');
    assert.equal(replica.appendAsCoordinator(keyed('a')).endOffset, 1);
  });
  test('is refused later where the role ends before it is written', async () => {
    const under = await ManagerUnderTest.start([{}]);
    const { written } = under.replica().appendAsCoordinator(keyed('a'));
    under.writeRecord({ leader: b2, leaderEpoch: leaderEpoch(6) });
    assert.equal(await refusalOf(() => written), 'NOT_LEADER');
  });
  test('is refused later where the log fails', async () => {
    const under = await ManagerUnderTest.start([{}]);
    under.disk.fault = (operation) => (operation === 'write' ? diskError('EIO') : null);
    const { written } = under.replica().appendAsCoordinator(keyed('a'));
    assert.equal(await refusalOf(() => written), 'STORAGE');
    assert.equal(await refusalOf(() => under.replica().appendAsCoordinator(keyed('b'))), 'STORAGE');
    assert.equal(under.failures.length, 1);
  });
});

describe('a client’s batch that has to be looked into for long', () => {
  const cleanupPolicy = { compact: true, delete: false };
  const large = (): Buffer =>
    encodeBatch({
      records: Array.from({ length: 40_000 }, (_, index) => ({
        key: Buffer.from(`k${index}`),
        value: null,
        timestampMs: 1_700_000_000_000,
      })),
      codec: 'lz4',
    });

  test('is not looked into where it is refused whatever it holds', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1] }], { logConfig: { cleanupPolicy } });
    const replica = under.replica();
    const refusal = (acks: number): Promise<string> =>
      refusalOf(() => replica.produce(batchOf(['no key']), acks, 1000));
    assert.equal(await refusal(2), 'INVALID_REQUIRED_ACKS');
    assert.equal(await refusal(-1), 'NOT_ENOUGH_REPLICAS');
    assert.equal(await refusal(1), 'INVALID_RECORD');
    under.controllerContactMs = Number.NEGATIVE_INFINITY;
    assert.equal(await refusal(1), 'NOT_LEADER');
  });

  test('is refused where the ISR is too small when that is done, and so are those behind it', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1, b2] }], { logConfig: { cleanupPolicy } });
    const replica = under.replica();
    const first = refusalOf(() => replica.produce(large(), -1, 1000)).then((refusal) => {
      under.writeRecord({ isr: [b1, b2] });
      return refusal;
    });
    const second = refusalOf(() => replica.produce(keyed('b'), -1, 1000));
    // The first is admitted.
    await settled();
    under.writeRecord({ isr: [b1] });
    assert.deepEqual(await Promise.all([first, second]), ['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS']);
    assert.equal(replica.log.logEndOffset, 0);
  });

  test('keeps its place before those that came after it', async () => {
    const under = await ManagerUnderTest.start([{}], { logConfig: { cleanupPolicy } });
    const replica = under.replica();
    const outcomes = [large(), keyed('b'), large(), keyed('c')].map((batch) => replica.produce(batch, 1, 1000));
    assert.equal(replica.log.logEndOffset, 0);
    const offsets = (await Promise.all(outcomes)).map(({ baseOffset }) => baseOffset);
    assert.deepEqual(offsets, [0, 40_000, 40_001, 80_001]);
    const next = replica.produce(keyed('d'), 1, 1000);
    assert.equal((await next).baseOffset, 80_002);
  });

  test('is appended by whoever leads when that is done', async () => {
    const under = await ManagerUnderTest.start([{}], { logConfig: { cleanupPolicy } });
    const replica = under.replica();
    const outcomes = [large(), keyed('b')].map((batch) => replica.produce(batch, 1, 1000));
    under.writeRecord({ leaderEpoch: leaderEpoch(6) });
    assert.deepEqual(
      (await Promise.all(outcomes)).map(({ baseOffset }) => baseOffset),
      [0, 40_000],
    );
    assert.equal(replica.log.lastEpoch(), 6);
  });

  test('is refused where another broker leads when that is done, and so are those behind it', async () => {
    const under = await ManagerUnderTest.start([{}], { logConfig: { cleanupPolicy } });
    const replica = under.replica();
    const refusals: string[] = [];
    for (const batch of [large(), keyed('b')])
      void refusalOf(() => replica.produce(batch, 1, 1000)).then((refusal) => refusals.push(refusal));
    under.writeRecord({ leader: b2, leaderEpoch: leaderEpoch(6) });
    // Held for a while, since an election might be under way.
    while (refusals.length < 2) await under.time.advance(100);
    assert.deepEqual(refusals, ['NOT_LEADER', 'NOT_LEADER']);
    assert.equal(replica.log.logEndOffset, 0);
  });
});

describe('whether a replica leads still', () => {
  test('is told to those who listen, once it is confirmed', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1, b2] }]);
    const replica = under.replica();
    const follower = under.followerStream(b2);
    follower.say(attachOf(1));
    const told: number[] = [];
    replica.onLeadershipConfirmed(() => told.push(replica.confirmedQuestion));
    const question = replica.questionLeadership();
    assert.deepEqual(told, []);
    follower.say({ kind: 'pong' });
    assert.deepEqual(told, [question]);
  });
  test('is certain at once where no other can be elected', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1], minIsr: 1 }]);
    const question = under.replica().questionLeadership();
    assert.equal(under.replica().confirmedQuestion, question);
  });
  test('counts anew with each leader epoch', async () => {
    const under = await ManagerUnderTest.start([{ isr: [b1, b2] }]);
    const replica = under.replica();
    replica.questionLeadership();
    under.writeRecord({ leader: b2, leaderEpoch: leaderEpoch(6) });
    assert.equal(await refusalOf(() => replica.questionLeadership()), 'NOT_LEADER');
    assert.equal(replica.confirmedQuestion, 0);
    under.writeRecord({ leader: b1, leaderEpoch: leaderEpoch(7), isr: [b1, b2] });
    await under.until(() => replica.isLeader);
    assert.equal(replica.questionLeadership(), 1);
  });
});
