import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/env/logger.ts';
import type { Random } from '../../../src/env/random.ts';
import { LogDirectory, LogDirectoryError } from '../../../src/log/log-directory.ts';
import { type BrokerEpoch, type BrokerId, offset, revision, type TopicId, topicId } from '../../../src/model/brands.ts';
import { batchOf, epoch, everything, offsetsIn, ordersId, usualConfig } from '../../support/log-harness.ts';
import { ManualTime, settled } from '../../support/manual-time.ts';
import { diskError, MemoryDisk } from '../../support/memory-disk.ts';

const path = '/data';
const broker = 1 as BrokerId;
const brokerEpoch = 12 as BrokerEpoch;
const otherId = topicId('BBBBBBBBBBBBBBBBBBBBBQ');

function countingRandom(): Random {
  let count = 0;
  return { next: () => 0.5, bytes: (length) => Buffer.alloc(length, ++count) };
}

class World {
  readonly disk = new MemoryDisk();
  readonly time = new ManualTime();
  readonly random = countingRandom();

  async boot(id: string): Promise<void> {
    await this.disk.makeDirectory('/proc/sys/kernel/random');
    await this.disk.replaceFile('/proc/sys/kernel/random/boot_id', `${id}\n`);
  }

  open(): Promise<LogDirectory> {
    const { disk, time, random } = this;
    return LogDirectory.open({ path }, { disk, clock: time, timers: time, random, logger: silentLogger });
  }

  async joined(): Promise<LogDirectory> {
    const directory = await this.open();
    await directory.join('cluster-a', broker, revision(5));
    await directory.noteRegistered();
    return directory;
  }
}

const opened = (directory: LogDirectory, id: TopicId = ordersId) =>
  directory.openLog({ topic: 'orders', topicId: id, partition: 0, config: usualConfig });

async function problemOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
    return 'none';
  } catch (error) {
    if (error instanceof LogDirectoryError) return error.problem;
    throw error;
  }
}

describe('the last stop', () => {
  test('of a new directory is lossy: whatever was there is gone', async () => {
    const world = new World();
    await world.boot('a');
    expect((await world.open()).lastStop).toBe('lossy');
  });

  // how it ended | boot id after | what it was
  test.each([
    ['close', 'a', 'clean', 12],
    ['close', 'b', 'clean', 12],
    ['kill', 'a', 'killed', -1],
    ['kill', 'b', 'lossy', -1],
    ['kill', '', 'lossy', -1],
  ] as const)('by %s, found under boot id %s, was %s', async (how, bootId, expected, previousEpoch) => {
    const world = new World();
    await world.boot('a');
    const first = await world.joined();
    if (how === 'close') await first.close(brokerEpoch);
    else await first.abandon();
    await world.boot(bootId);
    const second = await world.open();
    expect([second.lastStop, second.previousBrokerEpoch, second.directoryId]).toEqual([
      expected,
      previousEpoch,
      first.directoryId,
    ]);
  });

  test.each(['kill', 'close'] as const)(
    'stays lossy through a start that ends by %s before the controller has registered it',
    async (how) => {
      const world = new World();
      await world.boot('a');
      await (await world.joined()).abandon();
      await world.boot('b');
      const unregistered = await world.open();
      await unregistered.join('cluster-a', broker, revision(5));
      if (how === 'close') await unregistered.close(brokerEpoch);
      else await unregistered.abandon();
      expect((await world.open()).lastStop).toBe('lossy');
    },
  );

  test('is not clean twice: the mark goes when the next run joins', async () => {
    const world = new World();
    await world.boot('a');
    await (await world.joined()).close(brokerEpoch);
    await (await world.joined()).abandon();
    expect((await world.open()).lastStop).toBe('killed');
  });

  test('is not clean after a write has failed', async () => {
    const world = new World();
    await world.boot('a');
    const directory = await world.joined();
    const log = await opened(directory);
    world.disk.fault = (operation, file) => (operation === 'write' && file.endsWith('.log') ? diskError('EIO') : null);
    await log.appendAsLeader(batchOf(['a']), epoch(0)).catch(() => {});
    world.disk.fault = () => null;
    await directory.close(brokerEpoch);
    expect((await world.open()).lastStop).toBe('killed');
  });
});

describe('a clean stop of a run', () => {
  async function killedOnce(world: World): Promise<void> {
    await world.boot('a');
    const first = await world.joined();
    const log = await opened(first);
    for (const value of ['a', 'b', 'c']) await log.appendAsLeader(batchOf([value]), epoch(0));
    await log.flush();
    await first.checkpointRecoveryPoints();
    await first.abandon();
  }

  test('that had not come to look at its logs leaves them as the stop before did', async () => {
    const world = new World();
    await killedOnce(world);
    const second = await world.open();
    await second.join('cluster-a', broker, revision(5));
    await second.close(brokerEpoch);
    const third = await world.joined();
    expect(third.lastStop).toBe('killed');
    await opened(third);
    await third.close(brokerEpoch);
    expect((await world.open()).lastStop).toBe('clean');
  });

  test('that found a log damaged does not make it a good one', async () => {
    const world = new World();
    await killedOnce(world);
    world.disk.corrupt('/data/orders-0/00000000000000000000.log', (content) => content.fill(9, 136, 137));
    const second = await world.joined();
    expect(second.lastStop).toBe('killed');
    await expect(opened(second)).rejects.toThrow('SEGMENT_CORRUPT');
    await second.close(brokerEpoch);
    const third = await world.joined();
    await expect(opened(third)).rejects.toThrow('SEGMENT_CORRUPT');
  });
});

describe('a start is refused, and nothing is written,', () => {
  const refused = async (join: (directory: LogDirectory) => Promise<void>): Promise<string> => {
    const world = new World();
    const first = await world.joined();
    first.noteRevision(revision(40));
    await first.close(brokerEpoch);
    const before = world.disk.paths().map((file) => [file, world.disk.contentOf(file).toString()]);
    const second = await world.open();
    const problem = await problemOf(join(second));
    await second.abandon();
    expect(world.disk.paths().map((file) => [file, world.disk.contentOf(file).toString()])).toEqual(before);
    return problem;
  };

  test('on files of another cluster', async () => {
    expect(await refused((directory) => directory.join('cluster-b', broker, revision(50)))).toBe('FOREIGN');
  });
  test('on files of another broker', async () => {
    expect(await refused((directory) => directory.join('cluster-a', 2 as BrokerId, revision(50)))).toBe('FOREIGN');
  });
  test('against a store that has lost revisions', async () => {
    expect(await refused((directory) => directory.join('cluster-a', broker, revision(39)))).toBe('STORE_BEHIND');
  });
  test('while another process holds the directory', async () => {
    const world = new World();
    await world.open();
    expect(await problemOf(world.open())).toBe('LOCKED');
  });
  test('on damaged meta.properties', async () => {
    const world = new World();
    await (await world.joined()).close(brokerEpoch);
    world.disk.corrupt('/data/meta.properties', () => Buffer.from('version=1\n'));
    expect(await problemOf(world.open())).toBe('DAMAGED');
  });
});

test('the revision of the store is saved within a second, and held against the next start', async () => {
  const world = new World();
  const first = await world.joined();
  first.noteRevision(revision(77));
  await world.time.advance(1_000);
  await first.abandon();
  const second = await world.open();
  expect(await problemOf(second.join('cluster-a', broker, revision(76)))).toBe('STORE_BEHIND');
  expect(await problemOf(second.join('cluster-a', broker, revision(77)))).toBe('none');
});

test('a log is found again with its records, recovery point and start', async () => {
  const world = new World();
  const first = await world.joined();
  const log = await opened(first);
  for (const value of ['a', 'b', 'c']) await log.appendAsLeader(batchOf([value]), epoch(0));
  log.raiseLogStart(offset(1));
  await first.close(brokerEpoch);
  expect(world.disk.contentOf('/data/recovery-point-offset-checkpoint').toString()).toBe('0\n1\norders 0 3\n');
  expect(world.disk.contentOf('/data/log-start-offset-checkpoint').toString()).toBe('0\n1\norders 0 1\n');
  expect(world.disk.contentOf('/data/.kafka_cleanshutdown').toString()).toBe('{"version":0,"brokerEpoch":12}');
  const again = await opened(await world.joined());
  expect([again.logStartOffset, again.logEndOffset, again.recoveryPoint]).toEqual([1, 3, 3]);
  expect(offsetsIn(await everything(again))).toEqual([1, 2]);
});

test('high watermarks are saved with their epochs, and never exceed a log', async () => {
  const world = new World();
  const first = await world.joined();
  const log = await opened(first);
  await log.appendAsLeader(batchOf(['a', 'b']), epoch(3));
  await first.checkpointHighWatermarks([{ log, highWatermark: offset(2), leaderEpoch: epoch(3) }]);
  expect(world.disk.contentOf('/data/replication-offset-checkpoint').toString()).toBe('0\n1\norders 0 2\n');
  await first.close(brokerEpoch);
  const second = await world.joined();
  const again = await opened(second);
  expect(second.highWatermarkOf(ordersId, 0)).toEqual({ highWatermark: 2, leaderEpoch: 3 });
  await again.truncateTo(offset(0));
  expect(second.highWatermarkOf(ordersId, 0).highWatermark).toBe(0);
  await second.abandon();
  // Damaged, it is as good as absent; Kafka's own still tells the offset.
  world.disk.corrupt('/data/high-watermark-epoch', (content) => content.fill(0x31, 5, 6));
  const third = await world.open();
  expect(third.highWatermarkOf(ordersId, 0).leaderEpoch).toBe(-1);
});

describe('directories of other topics', () => {
  test('are set aside, and the new topic begins empty', async () => {
    const world = new World();
    const first = await world.joined();
    const old = await opened(first);
    await old.appendAsLeader(batchOf(['old']), epoch(0));
    await first.close(brokerEpoch);
    const second = await world.joined();
    const fresh = await opened(second, otherId);
    expect(fresh.logEndOffset).toBe(0);
    expect((await world.disk.list(path)).filter((name) => name.endsWith('-stray'))).toHaveLength(1);
    expect(world.disk.paths().some((file) => file.includes('-stray/') && file.endsWith('.log'))).toBe(true);
  });

  test('that are removed go out of the way at once and off the disk after a minute', async () => {
    const world = new World();
    const directory = await world.joined();
    const log = await opened(directory);
    await log.appendAsLeader(batchOf(['a']), epoch(0));
    await directory.removeLog(log);
    expect(world.disk.paths().some((file) => file.startsWith('/data/orders-0/'))).toBe(false);
    const again = await opened(directory, otherId);
    expect(again.logEndOffset).toBe(0);
    expect((await world.disk.list(path)).some((name) => name.endsWith('-delete'))).toBe(true);
    await world.time.advance(60_000);
    await settled();
    expect((await world.disk.list(path)).some((name) => name.endsWith('-delete'))).toBe(false);
  });

  test('leave nothing to the next topic of their name, however soon the broker is killed after', async () => {
    const world = new World();
    await world.boot('a');
    const first = await world.joined();
    const log = await opened(first);
    for (const value of ['a', 'b', 'c']) await log.appendAsLeader(batchOf([value]), epoch(0));
    await log.flush();
    log.raiseLogStart(offset(2));
    await first.checkpointRecoveryPoints();
    await first.removeLog(log);
    const fresh = await opened(first, otherId);
    await fresh.appendAsLeader(batchOf(['x']), epoch(0));
    await first.abandon();
    const again = await opened(await world.joined(), otherId);
    expect(offsetsIn(await everything(again))).toEqual([0]);
  });

  test('whose removal a stop cut short are removed by the next run', async () => {
    const world = new World();
    const directory = await world.joined();
    await directory.removeLog(await opened(directory));
    await directory.abandon();
    await world.joined();
    await world.time.advance(1);
    await settled();
    expect((await world.disk.list(path)).some((name) => name.endsWith('-delete'))).toBe(false);
  });
});

test('a cut has its lower recovery point on disk before a byte is gone', async () => {
  const world = new World();
  const directory = await world.joined();
  const log = await opened(directory);
  for (const value of ['a', 'b', 'c']) await log.appendAsLeader(batchOf([value]), epoch(0));
  await log.flush();
  await directory.checkpointRecoveryPoints();
  let seen = '';
  world.disk.fault = (operation, file) => {
    if (operation === 'truncate' && file.endsWith('.log'))
      seen = world.disk.contentOf('/data/recovery-point-offset-checkpoint').toString();
    return null;
  };
  await log.truncateTo(offset(1));
  expect(seen).toBe('0\n1\norders 0 1\n');
});

test('a damaged log stays closed and its files as they are, while others open', async () => {
  const world = new World();
  await world.boot('a');
  const first = await world.joined();
  const log = await opened(first);
  for (const value of ['a', 'b', 'c']) await log.appendAsLeader(batchOf([value]), epoch(0));
  await log.flush();
  await first.checkpointRecoveryPoints();
  await first.abandon();
  world.disk.corrupt('/data/orders-0/00000000000000000000.log', (content) => content.fill(9, 80, 90));
  const before = world.disk.contentOf('/data/orders-0/00000000000000000000.log').toString('hex');
  const second = await world.joined();
  await expect(opened(second)).rejects.toThrow('SEGMENT_CORRUPT');
  expect(world.disk.contentOf('/data/orders-0/00000000000000000000.log').toString('hex')).toBe(before);
  const other = await second.openLog({ topic: 'payments', topicId: otherId, partition: 0, config: usualConfig });
  expect(other.logEndOffset).toBe(0);
});

test('thousands of logs are opened a few at a time, and closing leaves no file open', async () => {
  const world = new World();
  const directory = await world.joined();
  const logs = await Promise.all(
    Array.from({ length: 300 }, (_, partition) =>
      directory.openLog({ topic: 'orders', topicId: ordersId, partition, config: usualConfig }),
    ),
  );
  await Promise.all(logs.map((log) => log.appendAsLeader(batchOf(['a']), epoch(0))));
  await directory.close(brokerEpoch);
  expect(world.disk.openFiles).toBe(0);
});

test('a log that is being opened when all ends is closed, and only then may another have the directory', async () => {
  const world = new World();
  const directory = await world.joined();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.disk.delay = () => promise;
  const opening = problemOf(opened(directory));
  const abandoning = directory.abandon();
  expect(await problemOf(world.open())).toBe('LOCKED');
  resolve();
  expect(await opening).toBe('FAILED');
  await abandoning;
  expect(world.disk.openFiles).toBe(0);
  await (await world.open()).abandon();
});

test('a log that is being opened while all are closed is closed before the mark of a clean stop is written', async () => {
  const world = new World();
  const directory = await world.joined();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.disk.fault = (_, file) => {
    if (file.endsWith('partition.metadata'))
      world.disk.delay = () => {
        world.disk.delay = () => Promise.resolve();
        return promise;
      };
    return null;
  };
  const opening = opened(directory);
  await settled();
  const closing = directory.close(brokerEpoch);
  const tooLate = problemOf(opened(directory, otherId));
  for (let turn = 0; turn < 20; turn++) await settled();
  expect(world.disk.paths().some((file) => file.endsWith('cleanshutdown'))).toBe(false);
  resolve();
  const log = await opening;
  await closing;
  expect(await tooLate).toBe('FAILED');
  expect(() => log.read(offset(0), { maxBytes: 1, endOffset: offset(0), minOneBatch: true })).toThrow('closed');
  expect(world.disk.openFiles).toBe(0);
  expect((await world.open()).lastStop).toBe('clean');
});
