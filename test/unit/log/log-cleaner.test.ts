import { describe, expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../../src/env/logger.ts';
import { LogDirectory } from '../../../src/log/log-directory.ts';
import type { LogConfig, PartitionLog } from '../../../src/log/partition-log.ts';
import { type BrokerEpoch, type BrokerId, type Offset, revision, topicId } from '../../../src/model/brands.ts';
import { type BatchToWrite, encodeBatch } from '../../../src/records/record-batch.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import { recordsIn } from '../../support/compacted-history.ts';
import { at, epoch, idempotent, usualConfig } from '../../support/log-harness.ts';
import { ManualTime } from '../../support/manual-time.ts';
import { diskError, MemoryDisk } from '../../support/memory-disk.ts';

const path = '/data';
const backoffMs = 15_000;
const compacted = { ...usualConfig, segmentBytes: 600, cleanupPolicy: { compact: true, delete: false } };
const otherId = topicId('BBBBBBBBBBBBBBBBBBBBBQ');
const checkpointPath = '/data/cleaner-offset-checkpoint';

class World {
  readonly disk = new MemoryDisk();
  readonly time = new ManualTime();
  readonly warnings: string[] = [];
  /** By topic; the log's end where there is none. */
  readonly highWatermarks = new Map<string, number>();
  mapBytes = 1 << 20;

  async joined(): Promise<LogDirectory> {
    const { disk, time } = this;
    const logger: Logger = { ...silentLogger, warn: (_, message) => this.warnings.push(message) };
    const modules = { disk, clock: time, timers: time, random: new SeededRandom(1), logger };
    const directory = await LogDirectory.open({ path, tailCacheBytes: 0 }, modules);
    await directory.join('cluster-a', 1 as BrokerId, revision(5));
    await directory.noteRegistered();
    directory.startCleaning(
      { backoffMs, mapBytes: this.mapBytes },
      ({ topic, logEndOffset }) => (this.highWatermarks.get(topic) ?? logEndOffset) as Offset,
    );
    return directory;
  }

  /** A look at all logs, and the rounds that come of it. */
  async look(): Promise<void> {
    await this.time.advance(backoffMs);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 300; turn++) await this.time.advance(1);
  }

  checkpoint(): string {
    return this.disk.paths().includes(checkpointPath) ? this.disk.contentOf(checkpointPath).toString() : '';
  }
}

const idOf = (topic: string) => topicId(topic.padEnd(21, 'A').concat('Q'));

const offsetsOf = async (log: PartitionLog): Promise<number[]> => (await recordsIn(log)).map(({ offset }) => offset);

const openTopic = (directory: LogDirectory, topic: string, config: LogConfig = compacted, id = idOf(topic)) =>
  directory.openLog({ topic, topicId: id, partition: 0, config });

async function put(log: PartitionLog, key: string, value: string | null, options: Partial<BatchToWrite> = {}) {
  const record = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestampMs: 1_000 };
  await log.appendAsLeader(encodeBatch({ records: [record], ...options }), epoch(1), { origin: 'coordinator' });
}

/** `count` records over three keys, synced; about six of them fill a segment. */
async function fill(log: PartitionLog, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await put(log, `k${index % 3}`, `value ${index}`);
  await log.flush();
}

describe('a look at the logs', () => {
  test('cleans those that are dirty enough, below the high watermark and the active segment', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    world.highWatermarks.set('orders', 20);
    await world.look();
    const cleanable = log.cleanableSegments(at(20)).endOffset;
    expect(cleanable).toBeGreaterThan(12);
    const offsets = await offsetsOf(log);
    expect(offsets.filter((offset) => offset < cleanable)).toEqual([cleanable - 3, cleanable - 2, cleanable - 1]);
    expect(offsets.filter((offset) => offset >= cleanable)).toHaveLength(40 - cleanable);
    expect(world.checkpoint()).toBe(`0\n1\norders 0 ${cleanable}\n`);
    await directory.close(3 as BrokerEpoch);
    expect(world.disk.openFiles).toBe(0);
  });

  test('leaves a log alone that is not compacted, not dirty enough, or whose high watermark nobody knows', async () => {
    const world = new World();
    const directory = await world.joined();
    const kept = await openTopic(directory, 'kept', { ...compacted, cleanupPolicy: { compact: false, delete: true } });
    const clean = await openTopic(directory, 'clean');
    const unknown = await openTopic(directory, 'unknown');
    world.highWatermarks.set('unknown', 0);
    for (const log of [kept, unknown]) await fill(log, 40);
    await fill(clean, 40);
    await world.look();
    const before = await offsetsOf(clean);
    await fill(clean, 7);
    clean.updateConfig({ ...compacted, minCleanableDirtyRatio: 1 });
    await world.look();
    expect(await offsetsOf(kept)).toHaveLength(40);
    expect(await offsetsOf(unknown)).toHaveLength(40);
    expect(await offsetsOf(clean)).toHaveLength(before.length + 7);
  });

  test('cleans the dirtiest first, one at a time, until none is left', async () => {
    const world = new World();
    const directory = await world.joined();
    const old = await openTopic(directory, 'old');
    await fill(old, 40);
    await world.look();
    await fill(old, 40);
    await fill(await openTopic(directory, 'fresh'), 40);
    const cleaned: string[] = [];
    world.disk.fault = (operation, file) => {
      const topic = /\/(\w+)-0\/\d+\.log\.cleaned$/.exec(file)?.[1];
      if (operation === 'rename' && topic !== undefined && cleaned.at(-1) !== topic) cleaned.push(topic);
      return null;
    };
    await world.look();
    expect(cleaned).toEqual(['fresh', 'old']);
  });

  test('goes on where the memory for keys had run out, until all is clean', async () => {
    const world = new World();
    world.mapBytes = 24 * 8;
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders', { ...compacted, minCleanableDirtyRatio: 0.01 });
    for (let index = 0; index < 60; index++) await put(log, `k${index % 20}`, `value ${index}`);
    await log.flush();
    await world.look();
    const { endOffset } = log.cleanableSegments(log.logEndOffset);
    expect(world.checkpoint()).toBe(`0\n1\norders 0 ${endOffset}\n`);
    const offsets = (await offsetsOf(log)).filter((offset) => offset < endOffset);
    expect(offsets).toEqual(Array.from({ length: 20 }, (_, index) => endOffset - 20 + index));
  });
});

describe('the first dirty offset', () => {
  test('is lower on the disk before a byte is cut', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    await world.look();
    let seen = '';
    world.disk.fault = (operation, file) => {
      if (operation !== 'truncate' && operation !== 'remove') return null;
      if (file.endsWith('.log') && seen === '') seen = world.checkpoint();
      return null;
    };
    await log.truncateTo(at(10));
    expect(Number(/orders 0 (\d+)/.exec(seen)?.[1])).toBeLessThanOrEqual(10);
    await put(log, 'k0', 'after the cut');
    await fill(log, 40);
    world.disk.fault = () => null;
    await world.look();
    const cleanable = log.cleanableSegments(log.logEndOffset).endOffset;
    const keys = (await recordsIn(log)).filter(({ offset }) => offset < cleanable).map(({ key }) => key);
    expect(keys.sort()).toEqual(['k0', 'k1', 'k2']);
  });

  test('that cannot be lowered leaves no file of the log open', async () => {
    const world = new World();
    const first = await world.joined();
    await fill(await openTopic(first, 'orders'), 10);
    await first.close(3 as BrokerEpoch);
    await world.disk.replaceFile(checkpointPath, '0\n1\norders 0 1000\n');
    const second = await world.joined();
    world.disk.fault = (operation, file) =>
      operation === 'write' && file === checkpointPath ? diskError('EIO') : null;
    await expect(openTopic(second, 'orders')).rejects.toThrow('EIO');
    expect(world.disk.openFiles).toBe(0);
  });

  test('is known again after a restart', async () => {
    const world = new World();
    const first = await world.joined();
    await fill(await openTopic(first, 'orders'), 40);
    await world.look();
    const before = world.checkpoint();
    await first.close(3 as BrokerEpoch);
    const second = await world.joined();
    await openTopic(second, 'orders');
    const operations = world.disk.operations.length;
    await world.look();
    expect(world.disk.operations.slice(operations).filter(({ path: of }) => of.endsWith('.cleaned'))).toEqual([]);
    expect(world.checkpoint()).toBe(before);
  });

  test('is not taken over by another topic of the same name', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    await world.look();
    await directory.removeLog(log);
    expect(world.checkpoint()).toBe('0\n0\n');
    const again = await openTopic(directory, 'orders', compacted, otherId);
    await fill(again, 20);
    await world.look();
    expect((await offsetsOf(again)).length).toBeLessThan(12);
  });
});

describe('a round', () => {
  /** Halts the round at its first read of a segment until it is let go. */
  async function halted(world: World): Promise<() => void> {
    const gate = Promise.withResolvers<void>();
    let isReached = false;
    world.disk.delay = () => {
      isReached = true;
      return gate.promise;
    };
    await world.time.advance(backoffMs);
    expect(isReached).toBe(true);
    world.disk.delay = () => Promise.resolve();
    return gate.resolve;
  }

  test('is over before the directory of a removed log is another one’s', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    const letGo = await halted(world);
    const removed = directory.removeLog(log);
    const reopened = openTopic(directory, 'orders', compacted, otherId);
    await world.settle();
    expect(world.disk.paths().some((file) => file.includes('-delete'))).toBe(false);
    letGo();
    await removed;
    const again = await reopened;
    await world.settle();
    expect(again.logEndOffset).toBe(0);
    expect(world.disk.paths().filter((file) => file.startsWith('/data/orders-0/'))).toEqual([
      '/data/orders-0/partition.metadata',
    ]);
  });

  test('ends when the directory is closed, and what it had written is gone at the next start', async () => {
    const world = new World();
    const directory = await world.joined();
    await fill(await openTopic(directory, 'orders'), 40);
    const letGo = await halted(world);
    const closed = directory.close(3 as BrokerEpoch);
    letGo();
    await closed;
    expect(world.disk.openFiles).toBe(0);
    const again = await openTopic(await world.joined(), 'orders');
    expect(await offsetsOf(again)).toHaveLength(40);
    expect(world.disk.paths().filter((file) => file.includes('.cleaned'))).toEqual([]);
  });

  test('is given up when the log is cut meanwhile, and done again', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    const letGo = await halted(world);
    const cut = log.truncateTo(at(30));
    letGo();
    await cut;
    await world.settle();
    expect(log.logEndOffset).toBe(30);
    expect(await offsetsOf(log)).toHaveLength(30);
    await world.look();
    expect((await offsetsOf(log)).length).toBeLessThan(15);
  });

  test('on a full disk gives back what it took, and is tried again at the next look', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    world.disk.fault = (operation, file) =>
      operation === 'write' && file.endsWith('.cleaned') ? diskError('ENOSPC') : null;
    await world.look();
    expect(world.warnings).toContain('a log was not compacted; it will be tried again');
    expect(world.disk.paths().filter((file) => file.includes('.cleaned'))).toEqual([]);
    expect(log.hasFailed).toBe(false);
    world.disk.fault = () => null;
    await world.look();
    expect((await offsetsOf(log)).length).toBeLessThan(15);
  });

  test.each([
    ['its records', 70],
    ['its base offset, which no CRC covers', 79],
  ])('never writes a batch anew that is damaged in %s: the log stays, and others are cleaned', async (_, position) => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    const other = await openTopic(directory, 'payments');
    await fill(log, 40);
    await fill(other, 40);
    const file = '/data/orders-0/00000000000000000000.log';
    world.disk.corrupt(file, (content) => content.fill(9, position, position + 2));
    const damaged = Buffer.from(world.disk.contentOf(file));
    await world.look();
    await world.look();
    expect(world.disk.contentOf(file)).toEqual(damaged);
    expect(log.hasFailed).toBe(false);
    expect((await offsetsOf(other)).length).toBeLessThan(15);
  });

  test('goes up to the first segment with transactional records, and says so once', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await openTopic(directory, 'orders');
    await fill(log, 40);
    const before = log.cleanableSegments(log.logEndOffset).endOffset;
    await put(log, 'k0', 'maybe', { ...idempotent(9, 0), isTransactional: true });
    await fill(log, 40);
    await world.look();
    await world.look();
    expect(world.warnings).toEqual(['a log cannot be compacted from this segment on']);
    const offsets = await offsetsOf(log);
    expect(offsets.filter((offset) => offset >= before)).toHaveLength(81 - before);
    expect(offsets.filter((offset) => offset < before)).toHaveLength(3);
  });
});

describe('a compacted log in a directory under random use', () => {
  test.each(Array.from({ length: 12 }, (_, index) => index + 1))(
    'gives each key its last value, whenever the process was killed (seed %i)',
    async (seed) => {
      const random = new SeededRandom(seed);
      const world = new World();
      await world.disk.makeDirectory('/proc/sys/kernel/random');
      await world.disk.replaceFile('/proc/sys/kernel/random/boot_id', 'one and the same\n');
      const config = { ...compacted, minCleanableDirtyRatio: 0.1 };
      let model: { offset: number; key: string; value: string }[] = [];
      let directory = await world.joined();
      let log = await openTopic(directory, 'orders', config);
      let committed = 0;
      world.highWatermarks.set('orders', committed);

      const append = async (): Promise<void> => {
        const [key, value, offset] = [`k${random.below(5)}`, `v${random.next()}`, log.logEndOffset];
        await put(log, key, value);
        model.push({ offset, key, value });
      };
      const cut = async (): Promise<void> => {
        const end = committed + random.below(log.logEndOffset - committed + 1);
        await log.truncateTo(at(end));
        model = model.filter(({ offset }) => offset < end);
      };
      /** From some operation on the disk does nothing any more; what it was doing then is lost. */
      const killed = async (): Promise<void> => {
        let left = random.below(60);
        world.disk.fault = () => (left-- > 0 ? null : diskError('EIO'));
        await world.look();
        if (random.chance(0.3)) await cut().catch(() => {});
        await directory.abandon();
        world.disk.fault = () => null;
      };
      const restarted = async (): Promise<void> => {
        if (random.chance(0.3)) await directory.close(3 as BrokerEpoch);
        else await killed();
        directory = await world.joined();
        log = await openTopic(directory, 'orders', config);
        // A cut that was under way may have been carried out, or not.
        model = model.filter(({ offset }) => offset < log.logEndOffset);
      };
      const check = async (): Promise<void> => {
        const records = await recordsIn(log);
        const last = new Map(model.map(({ key, value }) => [key, value]));
        expect(new Map(records.map(({ key, value }) => [key, value]))).toEqual(last);
        const firstDirty = Number(/orders 0 (\d+)/.exec(world.checkpoint())?.[1] ?? 0);
        expect(firstDirty).toBeLessThanOrEqual(log.logEndOffset);
        const clean = records.filter(({ offset }) => offset < firstDirty).map(({ key }) => key);
        expect(new Set(clean).size, `below ${firstDirty}`).toBe(clean.length);
      };

      for (let step = 0; step < 150; step++) {
        const chance = random.below(30);
        if (chance < 24) await append();
        else if (chance < 26) {
          await log.flush();
          committed += random.below(log.logEndOffset - committed + 1);
          world.highWatermarks.set('orders', committed);
        } else if (chance < 28) await world.look();
        else if (chance < 29) await cut();
        else await restarted();
        if (chance >= 26) await check();
      }
      await world.look();
      await check();
      await directory.close(3 as BrokerEpoch);
      expect(world.disk.openFiles).toBe(0);
    },
  );
});
