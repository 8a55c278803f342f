import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { listOffsets } from '../../../../src/broker/api/02-list-offsets.ts';
import { leaderEpoch } from '../../../../src/model/brands.ts';
import { listOffsetsApi } from '../../../../src/wire/messages/02-list-offsets.ts';
import { batchOf } from '../../../support/log-harness.ts';
import { ackOf, attachOf, ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { b1, b2 } from '../../replication/partition-fixture.ts';
import { ServicesUnderTest } from '../services-fixture.ts';

const latest = -1n;
const earliest = -2n;
const maxTimestamp = -3n;

async function list(under: ManagerUnderTest, timestamp: bigint): Promise<[errorCode: number, offset: bigint]> {
  const { topics } = await new ServicesUnderTest(under).ask(listOffsets, listOffsetsApi, 10, {
    replicaId: -1,
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, timestamp, currentLeaderEpoch: -1 }] }],
  });
  const found = topics[0]?.partitions[0];
  assert.ok(found, 'the answer has the partition');
  return [found.errorCode, found.offset];
}

/** One record at each time; of them the first `committed` are. */
async function withRecordsAt(times: readonly number[], committed: number): Promise<ManagerUnderTest> {
  const under = await ManagerUnderTest.start([{ isr: [b1, b2], minIsr: 1 }]);
  const follower = under.followerStream(b2);
  follower.say(attachOf(1));
  for (const timestampMs of times) await under.replica().produce(batchOf(['x'], { timestampMs }), 1, 1_000);
  follower.say(ackOf(1, committed));
  assert.equal(under.replica().highWatermark, committed);
  return under;
}

describe('a record that is not committed', () => {
  test('is told to nobody', async () => {
    const under = await withRecordsAt([1_000, 2_000, 3_000], 2);
    assert.deepEqual(await list(under, 2_000n), [0, 1n]);
    assert.deepEqual(await list(under, 2_001n), [0, -1n]);
    assert.deepEqual(await list(under, maxTimestamp), [0, -1n]);
    assert.deepEqual(await list(under, latest), [0, 2n]);
  });
});

describe('a leader that has yet to learn what was committed before its epoch', () => {
  async function newLeader(): Promise<ManagerUnderTest> {
    const under = await withRecordsAt([1_000, 2_000, 3_000], 2);
    under.writeRecord({ leaderEpoch: leaderEpoch(6) });
    await under.until(() => under.replica().isLeader && under.replica().leadingNow().leaderEpoch === 6);
    return under;
  }
  test('answers OFFSET_NOT_AVAILABLE for what it may learn', async () => {
    const under = await newLeader();
    for (const timestamp of [latest, maxTimestamp, 2_001n]) assert.deepEqual(await list(under, timestamp), [78, -1n]);
  });
  test('answers what it knows as committed, and what no record is late enough for', async () => {
    const under = await newLeader();
    assert.deepEqual(await list(under, 1_500n), [0, 1n]);
    assert.deepEqual(await list(under, earliest), [0, 0n]);
    assert.deepEqual(await list(under, 3_001n), [0, -1n]);
  });
  test('answers all of it once its followers hold it', async () => {
    const under = await newLeader();
    const follower = under.followerStream(b2);
    follower.say(attachOf(2, { leaderEpoch: 6, logEndOffset: 3, lastEpoch: 5 }));
    assert.deepEqual(await list(under, 2_001n), [0, 2n]);
    assert.deepEqual(await list(under, latest), [0, 3n]);
  });
});
