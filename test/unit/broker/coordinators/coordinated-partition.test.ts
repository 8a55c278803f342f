import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { CoordinatedPartition } from '../../../../src/broker/coordinators/coordinated-partition.ts';
import type { CoordinatorShard, Step } from '../../../../src/coordinator/coordinator-shard.ts';
import { silentLogger } from '../../../../src/env/logger.ts';
import { leaderEpoch } from '../../../../src/model/brands.ts';
import { BrokerError } from '../../../../src/model/fault.ts';
import type { PartitionRecord } from '../../../../src/model/metadata-schema.ts';
import { attachOf, type FollowerEnd, ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { b1, b2 } from '../../replication/partition-fixture.ts';

/** Every request is a read, and answered with itself. */
const echo: CoordinatorShard<string, never, string> = {
  handle: (request, requestId): readonly Step<never, string>[] => [
    { key: 'a', records: [], answers: [{ requestId, answer: request }], isRead: true },
  ],
  replay: () => undefined,
  onLoaded: () => undefined,
  onStalled: () => undefined,
  onTick: () => [],
  onTopicsChanged: () => [],
  close: () => undefined,
};

async function coordinating(record: Partial<PartitionRecord>): Promise<{
  under: ManagerUnderTest;
  partition: CoordinatedPartition<string, never, string>;
  follower: FollowerEnd;
  /** What was answered or refused so far. */
  told: string[];
  ask(request: string): void;
}> {
  const under = await ManagerUnderTest.start([record]);
  const follower = under.followerStream(b2);
  follower.say(attachOf(1));
  const { time } = under;
  const partition = new CoordinatedPartition<string, never, string>(
    { commitTimeoutMs: 5_000 },
    {
      replica: under.replica(),
      timers: time,
      logger: silentLogger,
      now: () => ({ monotonicMs: time.monotonicMs(), wallMs: 0 }),
      newShard: () => echo,
      encode: () => assert.fail('nothing is written'),
      decode: () => null,
      onServingChanged: () => undefined,
    },
  );
  const told: string[] = [];
  const ask = (request: string): void => {
    partition
      .ask(request, () => () => undefined)
      .then(
        (answer) => told.push(answer),
        (error: unknown) => told.push(error instanceof BrokerError ? error.fault.code : String(error)),
      );
  };
  return { under, partition, follower, told, ask };
}

describe('a read of a coordinator', () => {
  test('is answered once its followers have confirmed that it leads', async () => {
    const { under, follower, told, ask } = await coordinating({ isr: [b1, b2] });
    ask('one');
    ask('two');
    await under.time.advance(0);
    assert.deepEqual(told, []);
    follower.say({ kind: 'pong' });
    await under.until(() => told.length > 0);
    assert.deepEqual(told, ['one']);
    follower.say({ kind: 'pong' });
    await under.until(() => told.length > 1);
    assert.deepEqual(told, ['one', 'two']);
  });
  test('is answered at once where nobody else can lead', async () => {
    const { under, follower, told, ask } = await coordinating({ isr: [b1], minIsr: 1, replicas: [b1] });
    ask('one');
    await under.until(() => told.length > 0);
    assert.deepEqual(told, ['one']);
    assert.equal(follower.of('ping').length, 0);
  });
  test('is refused when it turns out to be another’s', async () => {
    const { under, follower, told, ask } = await coordinating({ isr: [b1, b2] });
    ask('one');
    follower.say({ kind: 'detach', attachId: 1 }, { kind: 'pong' });
    await under.time.advance(0);
    assert.deepEqual(told, []);
    under.writeRecord({ leader: b2, leaderEpoch: leaderEpoch(6) });
    await under.until(() => told.length > 0);
    assert.deepEqual(told, ['NOT_COORDINATOR']);
  });
  test('is refused once nobody has answered this broker for the isolation time', async () => {
    const { under, partition, told, ask } = await coordinating({ isr: [b1, b2] });
    under.controllerContactMs = under.time.monotonicMs();
    ask('one');
    await under.time.advance(1_900);
    partition.onTick();
    await under.time.advance(0);
    assert.deepEqual(told, []);
    await under.time.advance(100);
    partition.onTick();
    await under.until(() => told.length > 0);
    assert.deepEqual(told, ['NOT_COORDINATOR']);
  });
  test('is refused when it has waited as long as a commit may', async () => {
    const { under, partition, told, ask } = await coordinating({ isr: [b1, b2] });
    ask('one');
    await under.time.advance(5_000);
    partition.onTick();
    await under.until(() => told.length > 0);
    assert.deepEqual(told, ['COORDINATOR_NOT_AVAILABLE']);
    partition.close();
  });
});
