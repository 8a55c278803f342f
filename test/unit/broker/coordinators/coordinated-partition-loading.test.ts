import assert from 'node:assert/strict';
import { setImmediate as turnOfThePool } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { CoordinatedPartition } from '../../../../src/broker/coordinators/coordinated-partition.ts';
import type { CoordinatorShard } from '../../../../src/coordinator/coordinator-shard.ts';
import type { Timers } from '../../../../src/env/clock.ts';
import { silentLogger } from '../../../../src/env/logger.ts';
import { leaderEpoch, type Offset, offset, offsetZero } from '../../../../src/model/brands.ts';
import { encodeBatch, withPackedRecords } from '../../../../src/records/record-batch.ts';
import type { Replica } from '../../../../src/replication/replica.ts';
import { ManualTime } from '../../../support/manual-time.ts';

const epoch = leaderEpoch(1);

/** A leader's log of these batches, of which one is read at a time; and a coordinator that loads it. */
class Loading {
  readonly time = new ManualTime();
  readonly replayed: string[] = [];
  /** Records replayed between two timers. */
  mostInOneTurn = 0;
  isServing = false;
  readonly batches: Buffer[];
  #inThisTurn = 0;

  constructor(batches: readonly { count: number; baseOffset: number; batch: Buffer }[]) {
    this.batches = batches.map(({ batch }) => batch);
    const last = batches.at(-1);
    assert(last !== undefined);
    const endOffset = offset(last.baseOffset + last.count);
    const replica = {
      topic: '__consumer_offsets',
      partition: 0,
      leadership: { leaderEpoch: epoch, leaderEpochStartOffset: endOffset },
      logStartOffset: offsetZero,
      highWatermark: endOffset,
      onProgress: () => () => undefined,
      onLeadershipConfirmed: () => () => undefined,
      readForLoading: async (from: Offset) => {
        const index = batches.findIndex(({ baseOffset, count }) => from < baseOffset + count);
        const { baseOffset, count } = batches[index] ?? assert.fail(`nothing at ${from}`);
        return { chunks: [this.batches[index]], byteLength: 0, nextOffset: offset(baseOffset + count) };
      },
    } as unknown as Replica;
    const shard: CoordinatorShard<never, string, never> = {
      handle: () => [],
      replay: (record) => {
        this.replayed.push(record);
        this.mostInOneTurn = Math.max(this.mostInOneTurn, ++this.#inThisTurn);
      },
      onLoaded: () => undefined,
      onStalled: () => undefined,
      onTick: () => [],
      onTopicsChanged: () => [],
      close: () => undefined,
    };
    const timers: Timers = {
      setTimer: (delayMs, callback) =>
        this.time.setTimer(delayMs, () => {
          this.#inThisTurn = 0;
          callback();
        }),
      setRepeatingTimer: () => assert.fail('no timer repeats itself'),
    };
    const partition: CoordinatedPartition<never, string, never> = new CoordinatedPartition(
      { commitTimeoutMs: 5_000 },
      {
        replica,
        timers,
        logger: silentLogger,
        now: () => ({ monotonicMs: this.time.monotonicMs(), wallMs: 0 }),
        newShard: () => shard,
        encode: () => assert.fail('nothing is written'),
        decode: (key, value) => `${key}=${value}`,
        onServingChanged: () => {
          this.isServing = partition.isServing;
        },
      },
    );
  }

  async turn(byMs = 0): Promise<void> {
    await this.time.advance(byMs);
    await turnOfThePool();
  }
}

const batchOf = (baseOffset: number, count: number, codec: 'none' | 'zstd' | 'lz4') => ({
  baseOffset,
  count,
  batch: encodeBatch({
    records: Array.from({ length: count }, (_, index) => ({
      key: Buffer.from(`k${baseOffset + index}`),
      value: Buffer.from('v'),
      timestampMs: 5,
    })),
    baseOffset: offset(baseOffset),
    codec,
  }),
});
const all = (count: number): string[] => Array.from({ length: count }, (_, index) => `k${index}=v`);

describe('a coordinator that loads its log', () => {
  test.each(['none', 'zstd', 'lz4'] as const)(
    'replays all of it in order, few records in a turn of the event loop (%s)',
    async (codec) => {
      const loading = new Loading([batchOf(0, 9_000, codec), batchOf(9_000, 3, 'none'), batchOf(9_003, 12_000, codec)]);
      while (!loading.isServing) await loading.turn();
      assert.deepEqual(loading.replayed, all(21_003));
      assert.ok(loading.mostInOneTurn <= 2_000, `${loading.mostInOneTurn} in one turn`);
    },
  );

  test('goes on behind what it has replayed when the rest can be read again', async () => {
    const { batch, ...rest } = batchOf(0, 5_000, 'none');
    // The last record has lost its end.
    const loading = new Loading([{ ...rest, batch: withPackedRecords(batch, batch.subarray(61, -1), 'none') }]);
    while (loading.replayed.length < 4_000) await loading.turn();
    for (let turn = 0; turn < 20; turn++) await loading.turn();
    assert.equal(loading.replayed.length, 4_000);
    assert.equal(loading.isServing, false);
    loading.batches[0] = batch;
    while (!loading.isServing) await loading.turn(100);
    assert.deepEqual(loading.replayed, all(5_000));
  });
});
