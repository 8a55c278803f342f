import { describe, expect, test } from 'vitest';
import { compactionRound } from '../../../src/log/compaction-round.ts';
import type { LogConfig, PartitionLog } from '../../../src/log/partition-log.ts';
import { encodeBatch } from '../../../src/records/record-batch.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import { CompactedHistory, deleteRetentionMs, recordsIn } from '../../support/compacted-history.ts';
import { filterBatch } from '../../support/filter-batch.ts';
import { at, epoch, everything, offsetsIn, openLog } from '../../support/log-harness.ts';
import { ManualTime, settled } from '../../support/manual-time.ts';
import { diskError, MemoryDisk } from '../../support/memory-disk.ts';

const mapBytes = 1 << 20;
/** A few keys: rounds end where the map is full. */
const smallMapBytes = 24 * 6;

async function randomSteps(history: CompactedHistory, steps: number, sizes: readonly number[]): Promise<void> {
  const { random } = history;
  for (let step = 0; step < steps; step++) {
    const chance = random.below(20);
    if (chance < 12) await history.append();
    else if (chance < 14) await history.commit();
    else if (chance < 16) {
      await history.clean(sizes[random.below(sizes.length)] ?? mapBytes);
      await history.check();
    } else if (chance < 17) await history.time.advance(random.below(2) * deleteRetentionMs);
    else if (chance < 18) await history.cut();
    else if (chance < 19) {
      await history.losePower();
      await history.check();
    } else {
      const { log } = history;
      await log.flush();
      if (random.below(2) === 0) {
        await log.close();
        await history.open('clean', log.recoveryPoint);
      } else {
        await log.release();
        await history.open('killed', log.recoveryPoint);
      }
      await history.check();
    }
  }
}

describe('a compacted log under random use', () => {
  test.each(Array.from({ length: 25 }, (_, index) => index + 1))(
    'gives each key its last value, and the same after a replay (seed %i)',
    async (seed) => {
      const history = new CompactedHistory(new SeededRandom(seed));
      await history.open();
      await randomSteps(history, 120, [mapBytes, mapBytes, smallMapBytes]);
      await history.check();
      await history.checkReplay();
      await history.checkReads();
      await history.checkTimes();
      await history.append(); // what an empty active segment has in front of it may be a gap
      await history.checkCopy();
      expect(history.disk.openFiles).toBeGreaterThan(0);
      await history.log.release();
      expect(history.disk.openFiles, 'files that nobody closes').toBe(0);
    },
  );
});

/** A log of many small segments, each full of `segmentKeys`, one per segment; and what compaction may have of it. */
async function segmentsOf(segmentKeys: readonly (readonly string[])[], config: Partial<LogConfig> = {}) {
  const { log, disk, time } = await openLog({
    config: { segmentBytes: 1000, cleanupPolicy: { compact: true, delete: false }, ...config },
  });
  for (const keys of segmentKeys) {
    const records = keys.map((key) => ({ key: Buffer.from(key), value: Buffer.alloc(200, 1), timestampMs: 5 }));
    const rest = Buffer.alloc(1000 - 80 - records.length * 220, 1);
    records.push({ key: Buffer.from('padding'), value: rest, timestampMs: 5 });
    await log.appendAsLeader(encodeBatch({ records }), epoch(1));
  }
  await log.flush();
  const clean = () =>
    compactionRound(
      log,
      { firstDirtyOffset: at(0), cleanable: log.cleanableSegments(log.logEndOffset), mapBytes },
      { disk, clock: time, pause: () => Promise.resolve(), isAborted: () => false },
    );
  return { log, disk, time, clean };
}

describe.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('a batch of very many records in %s', (codec) => {
  const [count, keys] = [30_000, 10_000];
  const timestampMs = 1_700_000_000_000;
  const keyOf = (index: number): string => `key ${index % keys}`;
  // Every third key's last record is a tombstone, so that the batch gets a horizon and its deltas are written anew.
  const textOf = (index: number, hasTombstones: boolean): string | null =>
    hasTombstones && index % 3 === 0 ? null : `v${index}`;

  async function cleaned(hasTombstones: boolean) {
    const records = Array.from({ length: count }, (_, index) => {
      const value = textOf(index, hasTombstones);
      return {
        key: Buffer.from(keyOf(index)),
        value: value === null ? null : Buffer.from(value),
        timestampMs: timestampMs + index,
      };
    });
    const batch = encodeBatch({ records, codec });
    const { log, disk, time } = await openLog({
      config: { segmentBytes: batch.length, cleanupPolicy: { compact: true, delete: false } },
    });
    await log.appendAsLeader(batch, epoch(1));
    await log.appendAsLeader(encodeBatch({ records: records.slice(0, 1) }), epoch(1));
    await log.flush();
    let pauses = 0;
    const pause = async (): Promise<void> => {
      pauses++;
    };
    const cleanable = log.cleanableSegments(log.logEndOffset);
    const options = { firstDirtyOffset: at(0), cleanable, mapBytes };
    await compactionRound(log, options, { disk, clock: time, pause, isAborted: () => false });
    return { records: (await recordsIn(log)).filter(({ offset }) => offset < count), pauses };
  }

  test.each([false, true])(
    'loses what is overwritten, and lets others have turns (tombstones: %s)',
    async (hasTombstones) => {
      const { records, pauses } = await cleaned(hasTombstones);
      expect(records).toEqual(
        Array.from({ length: keys }, (_, rest) => {
          const index = count - keys + rest;
          const value = textOf(index, hasTombstones);
          return { offset: index, key: keyOf(index), value, timestampMs: timestampMs + index };
        }),
      );
      // Each record is looked at twice, and 4,096 of them are a turn's.
      expect(pauses).toBeGreaterThanOrEqual(Math.floor(count / 4096) * 2);
    },
  );
});

test('a batch that unpacks to more than may be looked at ends what is compacted, and what is before it is', async () => {
  const { log, disk, time } = await openLog({ config: { segmentBytes: 68_000 } });
  const put = (key: string, value: Buffer, codec: 'none' | 'zstd' = 'none') =>
    log.appendAsLeader(encodeBatch({ records: [{ key: Buffer.from(key), value, timestampMs: 5 }], codec }), epoch(1));
  for (let index = 0; index < 4; index++) await put('a', Buffer.alloc(33_500, index));
  await put('bomb', Buffer.alloc(66 << 20), 'zstd');
  for (let index = 0; index < 4; index++) await put('c', Buffer.alloc(33_500, index));
  await log.flush();
  log.updateConfig({ ...log.config, cleanupPolicy: { compact: true, delete: false } });
  const cleanable = log.cleanableSegments(log.logEndOffset);
  const { blocked, firstDirtyOffset, isComplete } = await compactionRound(
    log,
    { firstDirtyOffset: at(0), cleanable, mapBytes },
    { disk, clock: time, pause: () => Promise.resolve(), isAborted: () => false },
  );
  expect({ isComplete, firstDirtyOffset, blocked: blocked?.baseOffset }).toEqual({
    isComplete: true,
    firstDirtyOffset: 4,
    blocked: 4,
  });
  expect(blocked?.reason).toContain('unpacked');
  // Of the first only the header is left: it begins the leader epoch.
  expect(offsetsIn(await everything(log)).slice(0, 3)).toEqual([0, 3, 4]);
});

test('a segment is not closed while it is synced for the one after it to begin', async () => {
  const { log, disk, clean } = await segmentsOf([['a'], ['b'], ['c', 'c']]);
  const gate = Promise.withResolvers<void>();
  let isGated = false;
  const halt = (): Promise<void> => {
    isGated = true;
    disk.delay = () => Promise.resolve();
    return gate.promise;
  };
  disk.fault = (operation, path) => {
    if (operation === 'write' && path.endsWith('7.snapshot')) disk.delay = halt; // what comes next is the sync
    return null;
  };
  const records = [{ key: Buffer.from('a'), value: Buffer.alloc(900), timestampMs: 5 }];
  const appended = log.appendAsLeader(encodeBatch({ records }), epoch(1));
  await settled();
  expect(isGated).toBe(true);
  await log.flush(); // by which the segment is finished, and may be replaced
  expect((await clean()).firstDirtyOffset).toBe(7);
  gate.resolve();
  await appended;
  expect(log.hasFailed).toBe(false);
  await log.close();
  expect(disk.openFiles).toBe(0);
});

test('others have a turn after a few thousand records, however small those are', async () => {
  const { log, disk, time } = await openLog({
    config: { segmentBytes: 20_000, cleanupPolicy: { compact: true, delete: false } },
  });
  const records = Array.from({ length: 1000 }, (_, key) => ({
    key: Buffer.from(`${key}`),
    value: null,
    timestampMs: 5,
  }));
  for (let batch = 0; batch < 13; batch++) await log.appendAsLeader(encodeBatch({ records }), epoch(1));
  await log.flush();
  let pauses = 0;
  const pause = (): Promise<void> => {
    pauses++;
    return Promise.resolve();
  };
  const cleanable = log.cleanableSegments(log.logEndOffset);
  expect(cleanable.endOffset).toBe(12_000);
  const modules = { disk, clock: time, pause, isAborted: () => false };
  await compactionRound(log, { firstDirtyOffset: at(0), cleanable, mapBytes }, modules);
  expect(pauses).toBeGreaterThanOrEqual(4); // 12,000 records, each looked at twice
});

const logFiles = (disk: MemoryDisk): string[] => disk.paths().filter((path) => path.endsWith('.log'));

test('neighbours that fit into one segment become one, and none is larger than segment.bytes', async () => {
  const { log, disk, clean } = await segmentsOf([['a'], ['b'], ['c'], ['d'], ['e'], ['a'], ['a']]);
  expect(logFiles(disk)).toHaveLength(7);
  await clean();
  await clean();
  const sizes = logFiles(disk).map((path) => disk.contentOf(path).length);
  expect(sizes.slice(0, -1).every((bytes) => bytes <= 1000)).toBe(true);
  expect(sizes.length).toBeLessThan(5);
  expect(offsetsIn(await everything(log))).toEqual([0, 2, 4, 6, 8, 10, 12]); // 0 is where the epoch begins
});

test.each([Number('9223372036854775807'), Number.MAX_SAFE_INTEGER, 1e16])(
  'tombstones whose time is never over (delete.retention.ms %d) stay, with the time they had',
  async (retentionMs) => {
    const { log, time, clean } = await segmentsOf([], { deleteRetentionMs: retentionMs });
    const timestampMs = time.wallMs() - 1;
    for (const key of ['a', 'b', 'b', 'c']) {
      const record = { key: Buffer.from(key), value: null, timestampMs };
      await log.appendAsLeader(encodeBatch({ records: [record, { ...record, value: Buffer.alloc(900) }] }), epoch(1));
      await log.appendAsLeader(encodeBatch({ records: [record] }), epoch(1));
    }
    await log.flush();
    for (let round = 0; round < 2; round++) {
      expect((await clean()).isComplete).toBe(true);
      const found = await recordsIn(log);
      expect(found.filter(({ value }) => value === null).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
      expect(found.every((record) => record.timestampMs === timestampMs)).toBe(true);
      await time.advance(86_400_000);
    }
  },
);

test('a reader of a segment that is replaced reads on, and misses nothing', async () => {
  const { log, disk, clean } = await segmentsOf([['a'], ['b'], ['c'], ['a'], ['b'], ['d']]);
  const limits = { maxBytes: 1, endOffset: log.logEndOffset, minOneBatch: true };
  for (const from of [0, 1, 2, 5, 7]) await log.read(at(from), limits);
  const gate = Promise.withResolvers<void>();
  disk.delay = () => gate.promise;
  const reads = [0, 2, 4, 6].map((from) => log.read(at(from), limits));
  const searched = log.offsetForTimestamp(5);
  disk.delay = () => Promise.resolve();
  await clean();
  gate.resolve();
  const bases: number[] = [];
  for (const read of await Promise.all(reads)) bases.push(read.baseOffset ?? -1);
  // Each is the next batch of the log as it was or as it is.
  expect(bases[0]).toBeOneOf([0, 4]);
  expect(bases[1]).toBeOneOf([2, 4]);
  expect(bases.slice(2)).toEqual([4, 6]);
  expect((await searched)?.offset).toBeOneOf([0, 4]);
  await log.close();
  expect(disk.openFiles).toBe(0);
});

test('a log that is cut where a segment begins ends there, though the one before ends in a gap', async () => {
  const { log, disk, time, clean } = await segmentsOf([['a'], ['b'], ['c'], ['a'], ['b'], ['c'], ['c']]);
  await clean();
  expect(offsetsIn(await everything(log))).toEqual([0, 6, 8, 10, 12]); // 0 is where the epoch begins
  const timeIndex = '/data/orders-0/00000000000000000006.timeindex';
  expect(disk.contentOf(timeIndex)).toHaveLength(12);
  await log.truncateTo(at(6));
  expect(log.logEndOffset).toBe(6);
  expect(disk.contentOf(timeIndex), 'rows of what was cut').toHaveLength(0);
  await log.close();
  const { log: again } = await openLog({ config: log.config, disk, time, recoveryPoint: 6 });
  expect(again.logEndOffset).toBe(6);
  // Whoever reads up to the end comes there, though no batch does.
  const read = await again.read(at(2), { maxBytes: 1000, endOffset: at(6), minOneBatch: true });
  expect(read).toEqual({ chunks: [], byteLength: 0, nextOffset: 6 });
});

describe('a round that is cut short', () => {
  /** A segment for each batch, as a follower has them that was away while the leader cleaned; three fit into one. */
  async function copied(disk: MemoryDisk, batches: readonly Buffer[]): Promise<PartitionLog> {
    const config = { cleanupPolicy: { compact: true, delete: false } };
    const { log } = await openLog({ disk, config: { ...config, segmentBytes: 1 } });
    for (const batch of batches) await log.appendAsFollower(batch, epoch(1));
    await log.close();
    return (await openLog({ disk, config: { ...config, segmentBytes: 300 } })).log;
  }

  test('by a kill never brings back what a tombstone has taken whose time is over', async () => {
    const time = new ManualTime();
    const batch = (baseOffset: number, key: string, value: string | null): Buffer => {
      const record = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestampMs: 5 };
      const whole = encodeBatch({ records: [record], baseOffset: at(baseOffset), partitionLeaderEpoch: epoch(1) });
      if (value !== null) return whole;
      const horizon = { newHorizonMs: time.wallMs() - 1, keepsHeader: false, retains: () => true };
      return filterBatch(whole, horizon) as Buffer;
    };
    const batches = [
      batch(0, 'a', 'stays'),
      batch(1, 'b', 'deleted'),
      batch(2, 'b', null),
      batch(3, 'c', 'does not fit '.repeat(20)),
      batch(4, 'd', 'is in the active segment'),
    ];
    const round = (log: PartitionLog, disk: MemoryDisk) =>
      compactionRound(
        log,
        { firstDirtyOffset: at(0), cleanable: log.cleanableSegments(at(4)), mapBytes },
        { disk, clock: time, pause: () => Promise.resolve(), isAborted: () => false },
      );
    let isWhole = false;
    for (let operation = 1; !isWhole; operation++) {
      const disk = new MemoryDisk();
      const log = await copied(disk, batches);
      breakAt(disk, operation, 'none');
      isWhole = await round(log, disk).then(
        ({ isComplete }) => isComplete,
        () => false,
      );
      await log.release();
      disk.fault = () => null;
      const { log: again } = await openLog({ disk, config: log.config, lastStop: 'killed' });
      const keys = async (): Promise<string[]> =>
        (await recordsIn(again)).filter(({ value }) => value !== null).map(({ key }) => key);
      // While the value is there the tombstone is, too: the next round takes it again.
      if ((await keys()).includes('b')) await round(again, disk);
      expect(await keys(), `after operation ${operation}`).toEqual(['a', 'c', 'd']);
      await again.release();
    }
  });

  /** A history with something to clean, and the operations on the disk that its round takes. */
  async function prepared(seed: number): Promise<CompactedHistory> {
    const history = new CompactedHistory(new SeededRandom(seed));
    await history.open();
    for (let step = 0; step < 30; step++) await history.append();
    await history.log.flush();
    history.highWatermark = history.log.logEndOffset;
    await history.clean(mapBytes);
    await history.time.advance(2 * deleteRetentionMs);
    for (let step = 0; step < 15; step++) await history.append();
    await history.log.flush();
    history.highWatermark = history.log.logEndOffset;
    return history;
  }

  /** Breaks the disk at its operation number `at` from now on; whatever comes later does not happen either. */
  function breakAt(disk: MemoryDisk, at: number, how: 'half' | 'none'): void {
    let count = 0;
    disk.fault = (operation) => {
      count++;
      if (count < at) return null;
      return count === at && how === 'half' && operation === 'write' ? 'half' : diskError('EIO');
    };
  }

  test.each([
    ['a kill', 1],
    ['a loss of power', 2],
    ['a loss of power', 3],
    ['a loss of power', 4],
  ] as const)(
    'by %s at any operation on the disk leaves a log that gives each key its last value (seed %i)',
    async (how, seed) => {
      const past = await prepared(seed);
      const { recoveryPoint } = past.log;
      const whole = past.fork();
      await whole.open('killed', recoveryPoint);
      const before = whole.disk.operations.length;
      await whole.clean(mapBytes);
      const operations = whole.disk.operations.length - before;
      expect(operations).toBeGreaterThan(30);
      for (let at = 1; at <= operations; at++) {
        const history = past.fork();
        await history.open('killed', recoveryPoint);
        breakAt(history.disk, at, at % 2 === 0 ? 'half' : 'none');
        await history.clean(mapBytes).catch(() => {});
        await history.log.release();
        history.disk.fault = () => null;
        if (how === 'a loss of power') history.disk.losePower(() => history.random.chance(0.5));
        await history.open(how === 'a kill' ? 'killed' : 'lossy', recoveryPoint);
        const names = history.disk.paths().filter((path) => /\.(cleaned|swap|tmp)$/.test(path));
        expect(names, `after operation ${at}`).toEqual([]);
        await history.check();
        await history.checkReplay();
        await history.clean(mapBytes);
        await history.check();
        await history.checkReads();
        await history.log.release();
      }
    },
  );
});
