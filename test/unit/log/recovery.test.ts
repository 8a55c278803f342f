/** Logs that are opened again after every kind of stop, damage and loss; and a model that says what must be there. */
import { describe, expect, test } from 'vitest';
import { ForeignDirectoryError, type LogConfig, type PartitionLog } from '../../../src/log/partition-log.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import {
  at,
  batchOf,
  epoch,
  everything,
  idempotent,
  openLog,
  ordersDirectory,
  stateOf,
} from '../../support/log-harness.ts';
import { settled } from '../../support/manual-time.ts';
import type { MemoryDisk } from '../../support/memory-disk.ts';

/** Chance that repeats itself (mulberry32). */
function chance(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const small: Partial<LogConfig> = { segmentBytes: 1500, indexIntervalBytes: 200 };
const path = (name: string): string => `${ordersDirectory}/${name}`;
const logFiles = (disk: MemoryDisk): string[] => disk.paths().filter((one) => one.endsWith('.log'));

async function filledLog(count = 30) {
  const opened = await openLog({ config: small });
  const { log } = opened;
  const sequences = new Map<number, number>();
  for (let index = 0; index < count; index++) {
    const values = Array.from({ length: 1 + (index % 3) }, (_, which) => `value ${index} ${which}`.repeat(3));
    const producer = index % 4;
    const sequence = sequences.get(producer) ?? 0;
    sequences.set(producer, sequence + values.length);
    if (index % 10 === 0) await log.startLeaderEpoch(epoch(1 + index / 10));
    const options = {
      ...(producer === 0 ? {} : idempotent(producer, sequence)),
      timestampMs: 1_699_999_000_000 + ((index * 7) % 11) * 1000,
    };
    await log.appendAsLeader(batchOf(values, options), epoch(1 + Math.floor(index / 10)));
  }
  return opened;
}

async function openedOrFault(options: Parameters<typeof openLog>[0]): Promise<PartitionLog | BrokerError> {
  try {
    return (await openLog(options)).log;
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
}

describe('derived files', () => {
  const kinds = ['.index', '.timeindex', '.snapshot', '.producers', 'leader-epoch-checkpoint'];
  const subsets = Array.from({ length: 1 << kinds.length }, (_, bits) =>
    kinds.filter((_, index) => bits & (1 << index)),
  );

  test.each(['clean', 'killed'] as const)('can all be deleted, in any combination, after a %s stop', async (stop) => {
    const { log, disk, time } = await filledLog();
    const expected = await stateOf(log);
    const end = log.logEndOffset;
    if (stop === 'clean') await log.close();
    else {
      await log.flush();
      log.abandon();
      await settled();
    }
    for (const subset of subsets) {
      const copy = disk.clone();
      for (const file of copy.paths()) if (subset.some((kind) => file.endsWith(kind))) await copy.remove(file);
      const again = await openLog({ disk: copy, time, config: small, lastStop: stop, recoveryPoint: end });
      expect(await stateOf(again.log), `without ${subset.join(', ')}`).toEqual(expected);
      again.log.abandon();
    }
  });

  test('that are damaged are made again', async () => {
    const { log, disk, time } = await filledLog();
    const expected = await stateOf(log);
    const end = log.logEndOffset;
    await log.close();
    for (const file of disk.paths().filter((one) => kinds.some((kind) => one.endsWith(kind))))
      for (const change of [
        (content: Buffer) => content.subarray(0, content.length - 1),
        () => Buffer.alloc(0),
        (content: Buffer) => Buffer.alloc(content.length),
        (content: Buffer) => Buffer.concat([content, Buffer.from('rubbish')]),
      ]) {
        const copy = disk.clone();
        copy.corrupt(file, change);
        const again = await openLog({ disk: copy, time, config: small, lastStop: 'clean', recoveryPoint: end });
        expect(await stateOf(again.log), file).toEqual(expected);
        again.log.abandon();
      }
  });
});

describe('a torn tail', () => {
  test('is cut at every byte of the last segment, and whole batches stay', async () => {
    const { log, disk, time } = await filledLog();
    const bytes = await everything(log);
    log.abandon();
    await settled();
    const last = logFiles(disk).at(-1) ?? '';
    const lastBytes = disk.contentOf(last).length;
    const before = bytes.length - lastBytes;
    for (let length = 0; length <= lastBytes; length++)
      for (const lastStop of ['killed', 'lossy'] as const) {
        const copy = disk.clone();
        copy.corrupt(last, (content) => content.subarray(0, length));
        const again = await openLog({ disk: copy, time, config: small, lastStop });
        let whole = before;
        for (const batch of header.batchesOf(bytes.subarray(before))) {
          if (whole + batch.length > before + length) break;
          whole += batch.length;
        }
        expect((await everything(again.log)).equals(bytes.subarray(0, whole)), `${lastStop} ${length}`).toBe(true);
        expect(copy.contentOf(last).length).toBe(whole - before);
        again.log.abandon();
      }
  });

  test('before the recovery point is no tail but damage', async () => {
    const { log, disk, time } = await filledLog();
    const end = log.logEndOffset;
    await log.flush();
    log.abandon();
    await settled();
    const last = logFiles(disk).at(-1) ?? '';
    disk.corrupt(last, (content) => content.subarray(0, -1));
    for (const lastStop of ['clean', 'killed', 'lossy'] as const) {
      const opened = await openedOrFault({ disk: disk.clone(), time, config: small, lastStop, recoveryPoint: end });
      expect(opened instanceof BrokerError && opened.fault.code).toBe('SEGMENT_CORRUPT');
    }
  });
});

describe('a flipped bit', () => {
  test('anywhere in the last two segments is never served: it is cut at the tail, or the log stays closed', async () => {
    const { log, disk, time } = await filledLog();
    const bytes = await everything(log);
    const end = log.logEndOffset;
    log.abandon();
    await settled();
    const files = logFiles(disk);
    const lastBatchAt = bytes.length - ([...header.batchesOf(bytes)].at(-1)?.length ?? 0);
    const outcomes = { cut: 0, closed: 0 };
    let start = bytes.length;
    for (const file of files.slice(-2).reverse()) {
      const length = disk.contentOf(file).length;
      start -= length;
      for (let position = 0; position < length; position++) {
        const copy = disk.clone();
        copy.corrupt(file, (content) => {
          content[position] = (content[position] ?? 0) ^ (1 << (position % 8));
          return content;
        });
        const opened = await openedOrFault({ disk: copy, time, config: small, lastStop: 'killed' });
        const isInLastBatch = start + position >= lastBatchAt;
        if (opened instanceof BrokerError) {
          expect(opened.fault).toMatchObject({ code: 'SEGMENT_CORRUPT', file });
          expect(isInLastBatch, `${file} ${position}`).toBe(false);
          outcomes.closed++;
        } else {
          expect(isInLastBatch, `${file} ${position}`).toBe(true);
          expect((await everything(opened)).equals(bytes.subarray(0, lastBatchAt))).toBe(true);
          opened.abandon();
          outcomes.cut++;
        }
        const flushed = await openedOrFault({
          disk: copy.clone(),
          time,
          config: small,
          lastStop: 'killed',
          recoveryPoint: end,
        });
        if (isInLastBatch && flushed instanceof BrokerError) expect(flushed.fault.code).toBe('SEGMENT_CORRUPT');
      }
    }
    expect(outcomes.cut).toBeGreaterThan(50);
    expect(outcomes.closed).toBeGreaterThan(500);
  });

  test('past the recovery point of a lossy stop cuts there, whatever comes after', async () => {
    const { log, disk, time } = await filledLog();
    const bytes = await everything(log);
    log.abandon();
    await settled();
    const [first] = logFiles(disk);
    disk.corrupt(first ?? '', (content) => {
      content[100] = (content[100] ?? 0) ^ 1;
      return content;
    });
    const again = await openLog({ disk, time, config: small, lastStop: 'lossy' });
    const kept = await everything(again.log);
    expect(kept.length).toBeLessThan(bytes.length);
    expect(kept.equals(bytes.subarray(0, kept.length))).toBe(true);
    expect((await again.log.appendAsLeader(batchOf(['next']), epoch(9))).baseOffset).toBe(again.log.logEndOffset - 1);
  });
});

test('what recovery read stays through a power cut right after it', async () => {
  const { log, disk, time } = await filledLog();
  log.abandon();
  await settled();
  const again = await openLog({ disk, time, config: small, lastStop: 'killed' });
  const expected = await stateOf(again.log);
  again.log.abandon();
  await settled();
  disk.losePower(() => false);
  const end = again.log.logEndOffset;
  const third = await openLog({ disk, time, config: small, lastStop: 'lossy', recoveryPoint: end });
  expect(await stateOf(third.log)).toEqual(expected);
});

test('opening after a clean stop reads no more than the tail of the last segment', async () => {
  const { log, disk, time } = await filledLog(200);
  await log.close();
  const files = logFiles(disk);
  for (const file of files.slice(0, -1)) disk.corrupt(file, (content) => Buffer.alloc(content.length));
  const again = await openLog({ disk, time, config: small, lastStop: 'clean', recoveryPoint: log.logEndOffset });
  expect(again.log.logEndOffset).toBe(log.logEndOffset);
});

test('a new log is made with few operations, and its files only when they hold something', async () => {
  const { log, disk } = await openLog();
  expect(disk.paths()).toEqual([path('partition.metadata')]);
  expect(disk.operations.length).toBeLessThanOrEqual(3);
  await log.close();
  expect(disk.paths()).toEqual([path('partition.metadata')]);
  expect(disk.openFiles).toBe(0);
});

test('a directory of another topic id is not touched', async () => {
  const { log, disk, time } = await openLog();
  await log.appendAsLeader(batchOf(['a']), epoch(0));
  await log.close();
  disk.corrupt(path('partition.metadata'), () => Buffer.from('version: 0\ntopic_id: BBBBBBBBBBBBBBBBBBBBBQ'));
  await expect(openLog({ disk, time })).rejects.toThrow('belongs to topic id BBBBBBBBBBBBBBBBBBBBBQ');
});

describe('random histories', () => {
  /** What was appended, batch by batch; the log must be a prefix of it, and no shorter than what was promised. */
  interface Model {
    batches: { bytes: Buffer; next: number }[];
    promised: number;
  }

  const bytesOf = (model: Model, count: number): Buffer =>
    Buffer.concat(model.batches.slice(0, count).map(({ bytes }) => bytes));

  test.each(Array.from({ length: 60 }, (_, index) => index + 1))(
    'of appends, cuts and crashes agree with the model (seed %i)',
    async (seed) => {
      const random = chance(seed);
      const config: Partial<LogConfig> = {
        ...small,
        flushPolicy: random(2) === 0 ? 'background' : 'group-commit',
        segmentBytes: 600 + random(2000),
      };
      let { log, disk, time } = await openLog({ config, tailBytes: random(3) * 4000 });
      disk.delay = async () => {
        for (let turns = random(3); turns > 0; turns--) await Promise.resolve();
      };
      let savedRecoveryPoint = 0;
      const watch = (opened: PartitionLog): void => {
        opened.onRecoveryPointLowered = async () => {
          savedRecoveryPoint = Math.min(savedRecoveryPoint, opened.recoveryPoint);
        };
      };
      watch(log);
      const pending = new Set<Promise<void>>();
      const model: Model = { batches: [], promised: 0 };
      const sequences = new Map<number, number>();
      let leaderEpoch = 0;
      for (let step = 0; step < 120; step++) {
        const what = random(100);
        if (what < 70) {
          const producer = random(4);
          const values = Array.from({ length: 1 + random(4) }, (_, index) => `${step}:${index}`.repeat(1 + random(20)));
          const sequence = sequences.get(producer) ?? 0;
          const batch = batchOf(values, producer === 0 ? {} : idempotent(producer, sequence));
          const appended = log.appendAsLeader(batch, epoch(leaderEpoch));
          sequences.set(producer, sequence + values.length);
          const next = (model.batches.at(-1)?.next ?? 0) + values.length;
          model.batches.push({ bytes: Buffer.from(batch), next });
          const isSynced = config.flushPolicy === 'group-commit';
          if (random(3) === 0) {
            await appended;
            if (isSynced) model.promised = next;
          } else {
            const settledAppend: Promise<void> = appended.then(
              () => void pending.delete(settledAppend),
              () => void pending.delete(settledAppend),
            );
            pending.add(settledAppend);
          }
        } else if (what < 76) {
          await log.flush();
          savedRecoveryPoint = log.recoveryPoint;
          model.promised = Math.max(model.promised, log.recoveryPoint);
        } else if (what < 80) {
          leaderEpoch++;
          await log.startLeaderEpoch(epoch(leaderEpoch));
        } else if (what < 86) {
          const count = random(model.batches.length + 1);
          const end = model.batches[count - 1]?.next ?? 0;
          await log.truncateTo(at(end));
          model.batches.length = count;
          model.promised = Math.min(model.promised, end);
          // What a producer sent after the cut is gone, and so is what the log knew of it.
          for (const producer of [1, 2, 3])
            sequences.set(producer, (log.producers.entryOf(producer as never)?.batches.at(-1)?.lastSequence ?? -1) + 1);
          leaderEpoch = Math.max(leaderEpoch, log.epochs.latest()?.epoch ?? 0);
        } else if (what < 94) {
          const stop = (['clean', 'killed', 'lossy'] as const)[random(3)] ?? 'clean';
          let recoveryPoint = savedRecoveryPoint;
          if (stop === 'clean') {
            await log.close();
            recoveryPoint = log.recoveryPoint;
            model.promised = model.batches.at(-1)?.next ?? 0;
          } else {
            const written = log.logEndOffset;
            log.abandon();
            await settled();
            await settled();
            if (stop === 'lossy') disk.losePower(() => random(2) === 0);
            else model.promised = Math.max(model.promised, written);
          }
          const options = { disk, time, config, lastStop: stop, recoveryPoint, tailBytes: random(3) * 4000 };
          try {
            ({ log } = await openLog(options));
          } catch (error) {
            // Nothing was ever synced, not even whose directory it is: it is set aside, and no promise is broken.
            if (!(error instanceof ForeignDirectoryError)) throw error;
            expect([stop, model.promised]).toEqual(['lossy', 0]);
            await disk.removeDirectory(ordersDirectory);
            await disk.syncDirectory(ordersDirectory);
            ({ log } = await openLog(options));
          }
          watch(log);
          savedRecoveryPoint = log.recoveryPoint;
          expect(log.logEndOffset).toBeGreaterThanOrEqual(model.promised);
          const count = model.batches.findLastIndex(({ next }) => next <= log.logEndOffset) + 1;
          expect(model.batches[count - 1]?.next ?? 0).toBe(log.logEndOffset);
          model.batches.length = count;
          model.promised = log.logEndOffset;
          for (const producer of [1, 2, 3])
            sequences.set(producer, (log.producers.entryOf(producer as never)?.batches.at(-1)?.lastSequence ?? -1) + 1);
          leaderEpoch = Math.max(leaderEpoch, log.epochs.latest()?.epoch ?? 0);
        } else await time.advance(random(1500));
        if (step % 10 === 0) {
          const written = log.logEndOffset;
          const count = model.batches.findLastIndex(({ next }) => next <= written) + 1;
          const bytes = await everythingUpTo(log, written);
          expect(bytes.equals(bytesOf(model, count)), `step ${step}`).toBe(true);
        }
      }
      await log.flush();
      await log.flush();
      while (pending.size > 0) await Promise.all(pending);
      const expected = await stateOf(log);
      expect(disk.mostWritesAtOnce).toBeLessThanOrEqual(1);
      // A replica that copies the bytes has the same epochs and producers.
      const copy = await openLog({ config });
      const bytes = await everything(log);
      if (bytes.length > 0) await copy.log.appendAsFollower(bytes, epoch(999));
      const { epochs: _own, ...rest } = expected as { epochs: unknown };
      const { epochs: _copied, ...copied } = (await stateOf(copy.log)) as { epochs: unknown };
      expect(copied).toEqual(rest);
      await log.close();
      const again = await openLog({ disk, time, config, lastStop: 'clean', recoveryPoint: log.logEndOffset });
      expect(await stateOf(again.log)).toEqual(expected);
    },
  );
});

async function everythingUpTo(log: PartitionLog, end: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let next = log.logStartOffset; next < end; ) {
    const read = await log.read(next, { maxBytes: 2000, endOffset: at(end), minOneBatch: true });
    chunks.push(...read.chunks);
    if (read.nextOffset <= next) throw new Error(`reading stands still at ${next}`);
    next = read.nextOffset;
  }
  return Buffer.concat(chunks);
}
