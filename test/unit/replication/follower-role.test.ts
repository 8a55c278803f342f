import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { leaderEpoch, type Offset, offset } from '../../../src/model/brands.ts';
import { encodeBatch } from '../../../src/records/record-batch.ts';
import type { LeaderMessage } from '../../../src/replication/replication-messages.ts';
import { batchOf } from '../../support/log-harness.ts';
import { attachRetryMs, type LeaderEnd, ManagerUnderTest } from './manager-fixture.ts';
import { b2 } from './partition-fixture.ts';

const batchAt = (base: number, values: readonly string[], epoch = 5): Buffer =>
  batchOf(values, { baseOffset: offset(base), partitionLeaderEpoch: leaderEpoch(epoch) });
const keyedAt = (base: number, key: string): Buffer =>
  encodeBatch({
    records: [{ key: Buffer.from(key), value: Buffer.from('v'), timestampMs: 1_700_000_000_000 }],
    baseOffset: offset(base),
    partitionLeaderEpoch: leaderEpoch(5),
  });

function damaged(batch: Buffer): Buffer {
  batch.writeUInt8(batch.readUInt8(batch.length - 1) ^ 1, batch.length - 1);
  return batch;
}

const dataOf = (attachId: number, base: number, ...batches: readonly Buffer[]): LeaderMessage => ({
  kind: 'data',
  attachId,
  baseOffset: offset(base),
  highWatermark: offset(0),
  logStartOffset: offset(0),
  batches,
});

/** A replica that follows broker 2 and has attached. */
async function following(
  changes: Parameters<typeof ManagerUnderTest.start>[1] = {},
): Promise<{ under: ManagerUnderTest; leader: LeaderEnd; attachId: number }> {
  const under = await ManagerUnderTest.start([{ leader: b2 }], changes);
  const leader = under.leaderStream();
  return { under, leader, attachId: await accept(under, leader, 1) };
}

/** Accepts the attach request that came as the `count`th. */
async function accept(under: ManagerUnderTest, leader: LeaderEnd, count: number): Promise<number> {
  await under.until(() => leader.of('attach').length === count);
  const { attachId } = leader.of('attach')[count - 1] as { attachId: number };
  const zero = offset(0);
  leader.say({ kind: 'attached', attachId, leaderEpochStartOffset: zero, highWatermark: zero, logStartOffset: zero });
  return attachId;
}

const acked = (leader: LeaderEnd): Offset | undefined => leader.of('ack').at(-1)?.logEndOffset;

describe('a follower whose log refuses a batch', () => {
  test('goes on behind the batches in front of it, which its log took', async () => {
    const { under, leader, attachId } = await following();
    leader.say(dataOf(attachId, 0, batchAt(0, ['a', 'b']), damaged(batchAt(2, ['c']))));
    await under.until(() => under.replica().logEndOffset === 2);
    await under.time.advance(100 + attachRetryMs);
    const again = await accept(under, leader, 2);
    assert.equal(leader.of('attach')[1]?.logEndOffset, 2);
    assert.equal(leader.of('attach')[1]?.lastEpoch, 5);
    leader.say(dataOf(again, 2, batchAt(2, ['c'])));
    await under.until(() => acked(leader) === 3);
  });
  test('takes nothing behind it, though a compacted log may have gaps', async () => {
    const cleanupPolicy = { compact: true, delete: false };
    const { under, leader, attachId } = await following({ logConfig: { cleanupPolicy } });
    leader.say(dataOf(attachId, 0, keyedAt(0, 'a'), damaged(keyedAt(1, 'b')), keyedAt(2, 'c')));
    leader.say(dataOf(attachId, 3, keyedAt(3, 'd')));
    await under.time.advance(100 + attachRetryMs);
    await under.until(() => leader.of('attach').length === 2);
    assert.equal(leader.of('attach')[1]?.logEndOffset, 1);
  });
  test('gives its bytes back as credit', async () => {
    const { under, leader, attachId } = await following();
    const large = 'x'.repeat(200_000);
    leader.say(dataOf(attachId, 0, damaged(batchAt(0, [large]))));
    await under.until(() => leader.of('credit').length === 2);
    assert.ok((leader.of('credit')[1]?.bytes ?? 0) > large.length);
  });
});

test('a replica in quarantine keeps its files: nothing of them may be compacted', async () => {
  const { under, leader, attachId } = await following();
  leader.say({ ...dataOf(attachId, 0, batchAt(0, ['a', 'b'])), highWatermark: offset(2) } as LeaderMessage);
  await under.until(() => under.replica().highWatermark === 2);
  assert.equal(under.replica().cleanableEndOffset, 2);
  under.writeRecord({ leaderEpoch: leaderEpoch(6) });
  await under.until(() => leader.of('attach').length === 2);
  const { attachId: again } = leader.of('attach')[1] as { attachId: number };
  leader.say({ kind: 'diverging', attachId: again, epoch: leaderEpoch(5), endOffset: offset(1) });
  assert.match(under.replica().offlineReason ?? '', /asks to cut to 1/);
  assert.equal(under.replica().cleanableEndOffset, null);
});
