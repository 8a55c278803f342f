import { describe, expect, test } from 'vitest';
import { BrokerError, type FaultCode } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import { hasValidCrc, recordsOf, withPackedRecords, writeCrc } from '../../../src/records/record-batch.ts';
import {
  at,
  batchOf,
  epoch,
  everything,
  idempotent,
  offsetsIn,
  openLog,
  ordersDirectory,
  stateOf,
} from '../../support/log-harness.ts';
import { settled } from '../../support/manual-time.ts';
import { diskError } from '../../support/memory-disk.ts';

const firstLog = `${ordersDirectory}/00000000000000000000.log`;

async function faultOf(run: () => unknown): Promise<FaultCode | null> {
  try {
    await run();
    return null;
  } catch (error) {
    if (error instanceof BrokerError) return error.fault.code;
    throw error;
  }
}

describe('a leader', () => {
  test('gives offsets in the order of appends, at once, and resolves when they are written', async () => {
    const { log } = await openLog();
    const first = log.appendAsLeader(batchOf(['a', 'b']), epoch(0));
    const second = log.appendAsLeader(batchOf(['c']), epoch(0));
    expect(log.logEndOffset).toBe(0);
    expect(await first).toEqual({ baseOffset: 0, lastOffset: 1, logAppendTimeMs: -1, duplicate: false });
    expect(await second).toMatchObject({ baseOffset: 2, lastOffset: 2 });
    expect(log.logEndOffset).toBe(3);
    const bytes = await everything(log);
    expect(offsetsIn(bytes)).toEqual([0, 2]);
    expect([...header.batchesOf(bytes)].every(hasValidCrc)).toBe(true);
    expect([...header.batchesOf(bytes)].map((one) => header.partitionLeaderEpochOf(one))).toEqual([0, 0]);
  });

  test('makes one write of what one turn of the event loop appends', async () => {
    const { log, disk } = await openLog();
    await log.startLeaderEpoch(epoch(0));
    const appends = Array.from({ length: 20 }, (_, index) => log.appendAsLeader(batchOf([`${index}`]), epoch(0)));
    await Promise.all(appends);
    expect(disk.operations.filter(({ operation, path }) => operation === 'write' && path === firstLog)).toHaveLength(1);
  });

  test('never has two writes under way on one file', async () => {
    const { log, disk } = await openLog();
    disk.delay = settled;
    const appends: Promise<unknown>[] = [];
    for (let index = 0; index < 200; index++) {
      appends.push(log.appendAsLeader(batchOf([`value ${index}`]), epoch(0)));
      if (index % 3 === 0) await Promise.resolve();
    }
    await Promise.all(appends);
    expect(disk.mostWritesAtOnce).toBe(1);
    expect(offsetsIn(await everything(log))).toEqual(Array.from({ length: 200 }, (_, index) => index));
  });

  test('reports each completed write, in order, with the new log end', async () => {
    const { log } = await openLog();
    const ends: number[] = [];
    log.onAppended = (end) => ends.push(end);
    await log.appendAsLeader(batchOf(['a', 'b']), epoch(0));
    await log.appendAsLeader(batchOf(['c']), epoch(0));
    expect(ends).toEqual([2, 3]);
  });

  test('stamps batches with its time under LogAppendTime', async () => {
    const { log, time } = await openLog({ config: { messageTimestampType: 'LogAppendTime' } });
    const result = await log.appendAsLeader(batchOf(['a'], { timestampMs: 5 }), epoch(0));
    expect(result.logAppendTimeMs).toBe(time.wallMs());
    const [batch] = header.batchesOf(await everything(log));
    expect(batch && hasValidCrc(batch) && header.maxTimestampOf(batch)).toBe(time.wallMs());
  });

  test('packs batches again where the topic has a codec of its own', async () => {
    const { log } = await openLog({ config: { compressionType: 'zstd' } });
    await log.appendAsLeader(batchOf(['a', 'b'], { codec: 'gzip' }), epoch(0));
    const [batch] = header.batchesOf(await everything(log));
    expect(batch && header.codecNumberOf(batch)).toBe(4);
    expect(batch && [...recordsOf(batch, 1000)].map(({ value }) => value?.toString())).toEqual(['a', 'b']);
  });

  test('refuses a batch that is too large in the codec of the topic, as Kafka does', async () => {
    const { log } = await openLog({ config: { compressionType: 'uncompressed', maxMessageBytes: 500 } });
    const batch = batchOf(['a '.repeat(1000)], { codec: 'gzip' });
    expect(batch.length).toBeLessThan(200);
    expect(await faultOf(() => log.appendAsLeader(batch, epoch(0)))).toBe('MESSAGE_TOO_LARGE');
    expect((await log.appendAsLeader(batchOf(['a'], { codec: 'gzip' }), epoch(0))).baseOffset).toBe(0);
  });

  test('looks into no batch of a topic that is not compacted and has no codec of its own', async () => {
    const { log } = await openLog();
    const rubbish = withPackedRecords(batchOf(['a']), Buffer.from('no records'), 'zstd');
    expect(log.prepareAsLeader(rubbish)).toBe(rubbish);
    expect((await log.appendAsLeader(rubbish, epoch(0))).baseOffset).toBe(0);
  });

  test('refuses records without keys, and rubbish, where the topic is compacted', async () => {
    const { log } = await openLog({ config: { cleanupPolicy: { compact: true, delete: false } } });
    const rubbish = withPackedRecords(batchOf(['a']), Buffer.from('no records'), 'zstd');
    for (const batch of [batchOf(['a']), batchOf(['a'], { codec: 'lz4' }), rubbish])
      expect(await faultOf(() => log.appendAsLeader(batch, epoch(0)))).toBe('INVALID_RECORD');
    expect(log.logEndOffset).toBe(0);
  });

  test('refuses a bad batch at once and is as it was', async () => {
    const { log } = await openLog();
    const bad = batchOf(['a']);
    bad[64] = 9;
    expect(() => log.appendAsLeader(bad, epoch(0))).toThrow('CORRUPT_MESSAGE');
    expect((await log.appendAsLeader(batchOf(['a']), epoch(0))).baseOffset).toBe(0);
  });
});

describe('an idempotent producer', () => {
  test('is given the first answer again for each of its last five batches', async () => {
    const { log } = await openLog();
    for (let sequence = 0; sequence < 7; sequence++)
      await log.appendAsLeader(batchOf(['x'], idempotent(1, sequence)), epoch(0));
    for (let sequence = 2; sequence < 7; sequence++)
      expect(await log.appendAsLeader(batchOf(['x'], idempotent(1, sequence)), epoch(0))).toEqual({
        baseOffset: sequence,
        lastOffset: sequence,
        logAppendTimeMs: -1,
        duplicate: true,
      });
    expect(() => log.appendAsLeader(batchOf(['x'], idempotent(1, 1)), epoch(0))).toThrow(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
    );
    expect(log.logEndOffset).toBe(7);
  });

  test('waits with a repeat until the original is written', async () => {
    const { log } = await openLog();
    const first = log.appendAsLeader(batchOf(['x'], idempotent(1, 0)), epoch(0));
    const again = log.appendAsLeader(batchOf(['x'], idempotent(1, 0)), epoch(0));
    let isWritten = false;
    void first.then(() => {
      isWritten = true;
    });
    expect((await again).duplicate).toBe(true);
    expect(isWritten).toBe(true);
    expect(log.logEndOffset).toBe(1);
  });

  // state | what comes | the answer
  test.each([
    ['a gap', idempotent(1, 5), 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
    ['the next one', idempotent(1, 2), null],
    ['a new epoch from 0', idempotent(1, 0, 4), null],
    ['a new epoch from elsewhere', idempotent(1, 3, 4), 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
    ['an unknown producer anywhere', idempotent(2, 77), null],
  ])('with %s is answered rightly', async (_, options, expected) => {
    const { log } = await openLog();
    await log.appendAsLeader(batchOf(['a', 'b'], idempotent(1, 0)), epoch(0));
    expect(await faultOf(() => log.appendAsLeader(batchOf(['c'], options), epoch(0)))).toBe(expected);
  });

  test('with an older epoch is refused', async () => {
    const { log } = await openLog();
    await log.appendAsLeader(batchOf(['a'], idempotent(1, 0, 3)), epoch(0));
    expect(await faultOf(() => log.appendAsLeader(batchOf(['b'], idempotent(1, 1, 2)), epoch(0)))).toBe(
      'INVALID_PRODUCER_EPOCH',
    );
  });

  test('wraps its sequence from 2147483647 to 0', async () => {
    const { log } = await openLog();
    await log.appendAsLeader(batchOf(['a', 'b'], idempotent(1, 2147483646)), epoch(0));
    expect((await log.appendAsLeader(batchOf(['c'], idempotent(1, 0)), epoch(0))).duplicate).toBe(false);
  });

  test('is forgotten after producer.id.expiration.ms', async () => {
    const { log, time } = await openLog({ config: { producerIdExpirationMs: 60_000 } });
    await log.appendAsLeader(batchOf(['a'], { ...idempotent(1, 0), timestampMs: time.wallMs() }), epoch(0));
    await time.advance(60_000);
    expect(await faultOf(() => log.appendAsLeader(batchOf(['b'], idempotent(1, 9)), epoch(0)))).toBe(null);
  });

  test('is known with all five batches after a clean stop, and after a kill', async () => {
    for (const stop of ['clean', 'killed'] as const) {
      const { log, disk, time } = await openLog();
      for (let sequence = 0; sequence < 9; sequence++)
        await log.appendAsLeader(batchOf(['x'], idempotent(1, sequence)), epoch(0));
      if (stop === 'clean') await log.close();
      else log.abandon();
      const again = await openLog({ disk, time, lastStop: stop, recoveryPoint: stop === 'clean' ? 9 : 0 });
      for (let sequence = 4; sequence < 9; sequence++)
        expect((await again.log.appendAsLeader(batchOf(['x'], idempotent(1, sequence)), epoch(0))).baseOffset).toBe(
          sequence,
        );
    }
  });
});

describe('a follower', () => {
  const leaderBytes = async (): Promise<Buffer> => {
    const { log } = await openLog();
    await log.appendAsLeader(batchOf(['a', 'b'], idempotent(3, 0)), epoch(2));
    await log.appendAsLeader(batchOf(['c']), epoch(2));
    await log.appendAsLeader(batchOf(['d']), epoch(5));
    return everything(log);
  };

  test('holds the same bytes, epochs and producers as its leader', async () => {
    const bytes = await leaderBytes();
    const { log } = await openLog();
    await log.appendAsFollower(Buffer.from(bytes), epoch(5));
    expect((await everything(log)).equals(bytes)).toBe(true);
    expect(log.epochs.entries).toEqual([
      { epoch: 2, startOffset: 0 },
      { epoch: 5, startOffset: 3 },
    ]);
    expect(log.lastEpoch()).toBe(5);
    expect(log.producers.entryOf(3 as never)?.batches).toHaveLength(1);
  });

  test.each([
    ['that do not begin at its end', (bytes: Buffer) => bytes.subarray(header.batchBytesOf(bytes)), 5],
    ['with a flipped bit', (bytes: Buffer) => bytes.fill(7, 80, 81), 5],
    ['cut short', (bytes: Buffer) => bytes.subarray(0, -1), 5],
    ['of an epoch above the session', (bytes: Buffer) => bytes, 4],
  ])('refuses batches %s and takes none of them', async (_, change, maxEpoch) => {
    const { log } = await openLog();
    expect(await faultOf(async () => log.appendAsFollower(change(await leaderBytes()), epoch(maxEpoch)))).toBe(
      'CORRUPT_MESSAGE',
    );
    expect(log.logEndOffset).toBe(0);
    await log.appendAsFollower(await leaderBytes(), epoch(5));
    expect(log.logEndOffset).toBe(4);
  });

  test('has an epoch on disk before the first batch of it', async () => {
    const bytes = await leaderBytes();
    const { log, disk } = await openLog();
    await log.appendAsFollower(bytes, epoch(5));
    const order = disk.operations
      .filter(({ operation }) => operation === 'write')
      .map(({ path }) => path.split('/').at(-1));
    expect(order.slice(1)).toEqual([
      'leader-epoch-checkpoint',
      '00000000000000000000.log',
      'leader-epoch-checkpoint',
      '00000000000000000000.log',
    ]);
  });
});

describe('reading', () => {
  const filled = async (tailBytes: number) => {
    const opened = await openLog({ config: { segmentBytes: 3000, indexIntervalBytes: 300 }, tailBytes });
    for (let index = 0; index < 60; index++)
      await opened.log.appendAsLeader(batchOf([`value ${index}`.repeat(9), 'x']), epoch(0));
    return opened;
  };

  test.each([0, 4_000, 1 << 20])('gives the same from disk and from memory (%i bytes of cache)', async (tailBytes) => {
    const { log } = await filled(tailBytes);
    expect(offsetsIn(await everything(log, 700))).toEqual(Array.from({ length: 60 }, (_, index) => index * 2));
    for (let from = 0; from < 120; from++) {
      const read = await log.read(at(from), { maxBytes: 500, endOffset: at(120), minOneBatch: true });
      expect(read.baseOffset).toBe(from - (from % 2));
      expect(read.byteLength).toBeLessThanOrEqual(500);
      expect(Buffer.concat(read.chunks).length).toBe(read.byteLength);
      expect(offsetsIn(Buffer.concat(read.chunks)).at(-1)).toBe(read.nextOffset - 2);
    }
  });

  test.each([0, 1 << 20])('keeps to its limits (%i bytes of cache)', async (tailBytes) => {
    const { log } = await filled(tailBytes);
    const read = (from: number, maxBytes: number, endOffset: number, minOneBatch: boolean) =>
      log.read(at(from), { maxBytes, endOffset: at(endOffset), minOneBatch });
    expect(await read(10, 1, 120, false)).toMatchObject({ byteLength: 0, nextOffset: 10 });
    expect(await read(10, 1, 120, true)).toMatchObject({ baseOffset: 10, nextOffset: 12 });
    expect(await read(10, 1 << 20, 13, true)).toMatchObject({ baseOffset: 10, nextOffset: 12 });
    expect(await read(10, 1 << 20, 10, true)).toMatchObject({ byteLength: 0 });
    expect(await read(120, 1 << 20, 999, true)).toMatchObject({ byteLength: 0, nextOffset: 120 });
    expect(await faultOf(() => read(121, 10, 999, true))).toBe('OFFSET_OUT_OF_RANGE');
  });

  test('from memory does not wait', async () => {
    const { log } = await filled(1 << 20);
    expect(log.read(at(100), { maxBytes: 999, endOffset: at(120), minOneBatch: true })).not.toBeInstanceOf(Promise);
  });

  test.each([1, 300, 1 << 20])(
    'puts what comes from the disk where it is told (%i bytes at most)',
    async (maxBytes) => {
      const { log } = await filled(0);
      const given = new Set<ArrayBufferLike>();
      const buffers = {
        take: (bytes: number) => {
          const buffer = Buffer.alloc(bytes, 0xdb);
          given.add(buffer.buffer);
          return buffer;
        },
      };
      const chunks: Buffer[] = [];
      for (let next = at(0); next < log.logEndOffset; ) {
        const read = await log.read(next, { maxBytes, endOffset: log.logEndOffset, minOneBatch: true, buffers });
        expect(read.chunks.every(({ buffer }) => given.has(buffer))).toBe(true);
        chunks.push(...read.chunks);
        next = read.nextOffset;
      }
      expect(Buffer.concat(chunks).equals(await everything(log))).toBe(true);
    },
  );

  test('takes no buffers for what is in memory', async () => {
    const { log } = await filled(1 << 20);
    const buffers = { take: () => expect.fail('a buffer was taken') };
    const read = await log.read(at(0), { maxBytes: 1 << 20, endOffset: at(120), minOneBatch: true, buffers });
    expect(read.nextOffset).toBe(120);
  });

  test('finds the first record as late as a timestamp, and the latest of all', async () => {
    const { log } = await openLog({ config: { segmentBytes: 2000, indexIntervalBytes: 200 } });
    const times = Array.from({ length: 50 }, (_, index) => 1_699_000_000_000 + ((index * 37) % 50) * 1000);
    for (const [index, timestampMs] of times.entries())
      await log.appendAsLeader(
        batchOf([`value ${index}`.repeat(5)], { timestampMs, codec: index % 2 ? 'gzip' : 'none' }),
        epoch(0),
      );
    for (const wanted of [0, ...times, 1_699_000_020_500]) {
      const expected = times.findIndex((timestampMs) => timestampMs >= wanted);
      expect((await log.offsetForTimestamp(wanted))?.offset).toBe(expected);
    }
    expect(await log.offsetForTimestamp(1_699_000_050_000)).toBe(null);
    const latest = Math.max(...times);
    expect(await log.maxTimestampOffset()).toEqual({
      offset: times.indexOf(latest),
      timestampMs: latest,
      leaderEpoch: 0,
    });
  });
});

describe('a search by time', () => {
  const search = async (batches: readonly Buffer[], wantedMs: number): Promise<number | undefined> => {
    const { log } = await openLog();
    for (const batch of batches) await log.appendAsLeader(Buffer.from(batch), epoch(0));
    return (await log.offsetForTimestamp(wantedMs))?.offset;
  };
  const timestampMs = 1_700_000_000_000;
  const claiming = (maxTimestampMs: number): Buffer => {
    const batch = batchOf(['a'], { timestampMs });
    header.writeInt64(batch, maxTimestampMs, 35);
    writeCrc(batch);
    return batch;
  };

  test('goes on past batches that claim later times than their records have', async () => {
    const liars = Array.from({ length: 5 }, () => claiming(timestampMs + 1000));
    expect(await search([...liars, batchOf(['b'], { timestampMs: timestampMs + 500 })], timestampMs + 1)).toBe(5);
    expect(await search(liars, timestampMs + 1)).toBe(undefined);
  });

  test('gives the first offset of a batch that nobody can read', async () => {
    const rubbish = withPackedRecords(batchOf(['a', 'b'], { timestampMs }), Buffer.from('no records'), 'gzip');
    const before = batchOf(['c'], { timestampMs: timestampMs - 5 });
    expect(await search([before, rubbish], timestampMs)).toBe(1);
  });
});

describe('segments', () => {
  test('roll before they would be larger than segment.bytes', async () => {
    const { log, disk } = await openLog({ config: { segmentBytes: 1000 } });
    for (let index = 0; index < 30; index++) await log.appendAsLeader(batchOf(['x'.repeat(100)]), epoch(0));
    const files = disk.paths().filter((path) => path.endsWith('.log'));
    expect(files.length).toBeGreaterThan(4);
    for (const path of files) expect(disk.contentOf(path).length).toBeLessThanOrEqual(1000);
    expect(offsetsIn(await everything(log))).toHaveLength(30);
  });

  test('roll when their first record is older than segment.ms', async () => {
    const { log, disk } = await openLog({ config: { segmentMs: 1000 } });
    for (const timestampMs of [1_000, 1_500, 2_000, 2_001, 2_500])
      await log.appendAsLeader(batchOf(['x'], { timestampMs }), epoch(0));
    expect(disk.paths().filter((path) => path.endsWith('.log'))).toEqual([
      firstLog,
      `${ordersDirectory}/00000000000000000003.log`,
    ]);
  });

  test('leave a producer snapshot named by the offset after them', async () => {
    const { log, disk } = await openLog({ config: { segmentBytes: 300 } });
    for (let sequence = 0; sequence < 4; sequence++)
      await log.appendAsLeader(batchOf(['x'.repeat(100)], idempotent(1, sequence)), epoch(0));
    expect(disk.paths().some((path) => path.endsWith('00000000000000000001.snapshot'))).toBe(true);
  });
});

describe('flushing', () => {
  const syncs = (disk: { operations: readonly { operation: string; path: string }[] }): number =>
    disk.operations.filter(({ operation, path }) => operation === 'sync' && path === firstLog).length;

  test('in the background happens a second after the first append', async () => {
    const { log, disk, time } = await openLog();
    await log.appendAsLeader(batchOf(['a']), epoch(0));
    await time.advance(999);
    expect(log.recoveryPoint).toBe(0);
    await time.advance(1);
    await log.flush();
    expect(log.recoveryPoint).toBe(1);
    expect(syncs(disk)).toBe(1);
  });

  test('by group commit is one sync for all that wait', async () => {
    const { log, disk } = await openLog({ config: { flushPolicy: 'group-commit' } });
    disk.delay = settled;
    await Promise.all(Array.from({ length: 30 }, (_, index) => log.appendAsLeader(batchOf([`${index}`]), epoch(0))));
    expect(log.recoveryPoint).toBe(30);
    expect(syncs(disk)).toBeLessThanOrEqual(2);
  });

  test('comes before the answer once flush.messages records wait for it', async () => {
    const { log } = await openLog({ config: { flushMessages: 3 } });
    await log.appendAsLeader(batchOf(['a', 'b']), epoch(0));
    expect(log.recoveryPoint).toBe(0);
    await log.appendAsLeader(batchOf(['c']), epoch(0));
    expect(log.recoveryPoint).toBe(3);
  });

  test('leaves nothing that a power cut takes away', async () => {
    const { log, disk, time } = await openLog({ config: { segmentBytes: 500 } });
    for (let index = 0; index < 20; index++) await log.appendAsLeader(batchOf([`value ${index}`]), epoch(1));
    await log.flush();
    const before = await stateOf(log);
    log.abandon();
    await settled();
    disk.losePower(() => false);
    const again = await openLog({ disk, time, config: { segmentBytes: 500 }, lastStop: 'lossy', recoveryPoint: 20 });
    expect(await stateOf(again.log)).toEqual(before);
  });
});

describe('a disk that fails', () => {
  test.each([
    ['write', 'ENOSPC'],
    ['write', 'EIO'],
    ['sync', 'EIO'],
  ] as const)('on %s with %s fails the log for good, and all that waits', async (operation, code) => {
    const { log, disk } = await openLog({ config: { flushPolicy: 'group-commit' } });
    await log.appendAsLeader(batchOf(['a']), epoch(0));
    const failures: unknown[] = [];
    log.onFailed = (error) => failures.push(error);
    disk.fault = (asked, path) => (asked === operation && path === firstLog ? diskError(code) : null);
    const waiting = [log.appendAsLeader(batchOf(['b']), epoch(0)), log.appendAsLeader(batchOf(['c']), epoch(0))];
    for (const one of waiting) expect(await faultOf(() => one)).toBe('STORAGE');
    disk.fault = () => null;
    expect(failures).toHaveLength(1);
    expect(log.hasFailed).toBe(true);
    expect(await faultOf(() => log.appendAsLeader(batchOf(['d']), epoch(0)))).toBe('STORAGE');
    expect(await faultOf(() => log.read(at(0), { maxBytes: 99, endOffset: at(1), minOneBatch: true }))).toBe('STORAGE');
    expect(await faultOf(() => log.flush())).toBe('STORAGE');
  });

  test('never retries a failed sync', async () => {
    const { log, disk, time } = await openLog();
    await log.appendAsLeader(batchOf(['a']), epoch(0));
    disk.fault = (asked) => (asked === 'sync' ? diskError('EIO') : null);
    await time.advance(10_000);
    expect(disk.operations.filter(({ operation, path }) => operation === 'sync' && path === firstLog)).toHaveLength(1);
    expect(log.hasFailed).toBe(true);
  });

  test('that takes half of a write is cut back to whole batches', async () => {
    const { log, disk, time } = await openLog();
    await log.appendAsLeader(batchOf(['a']), epoch(0));
    disk.fault = (asked, path) => (asked === 'write' && path === firstLog ? 'half' : null);
    expect(await faultOf(() => log.appendAsLeader(batchOf(['b']), epoch(0)))).toBe('STORAGE');
    disk.fault = () => null;
    expect([...header.batchesOf(disk.contentOf(firstLog))]).toHaveLength(1);
    log.abandon();
    const again = await openLog({ disk, time, lastStop: 'killed' });
    expect(again.log.logEndOffset).toBe(1);
  });

  test('that runs full at any byte loses nothing that was answered', async () => {
    for (let free = 0; free < 700; free += 23) {
      const { log, disk, time } = await openLog();
      await log.startLeaderEpoch(epoch(0));
      disk.capacityBytes = disk.paths().reduce((sum, path) => sum + disk.contentOf(path).length, free);
      let answered = 0;
      for (let index = 0; index < 10; index++)
        if ((await faultOf(() => log.appendAsLeader(batchOf(['some value']), epoch(0)))) === null) answered++;
      expect(answered).toBeLessThan(10);
      log.abandon();
      disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      const again = await openLog({ disk, time, lastStop: 'killed' });
      expect(again.log.logEndOffset).toBeGreaterThanOrEqual(answered);
    }
  });
});

describe('epochs', () => {
  test('of a leader that writes nothing are kept, and dropped when another epoch begins there', async () => {
    const { log } = await openLog();
    await log.startLeaderEpoch(epoch(1));
    await log.appendAsLeader(batchOf(['a']), epoch(1));
    await log.startLeaderEpoch(epoch(4));
    expect(log.epochs.latest()).toEqual({ epoch: 4, startOffset: 1 });
    expect(log.lastEpoch()).toBe(1);
    log.dropEpochsFrom(at(1));
    expect(log.epochs.latest()).toEqual({ epoch: 1, startOffset: 0 });
  });

  test('are on disk when becoming leader is done', async () => {
    const { log, disk, time } = await openLog();
    await log.startLeaderEpoch(epoch(7));
    await log.appendAsLeader(batchOf(['a']), epoch(7));
    await log.startLeaderEpoch(epoch(9));
    await log.flush();
    log.abandon();
    await settled();
    disk.losePower(() => false);
    const again = await openLog({ disk, time, lastStop: 'lossy', recoveryPoint: 1 });
    expect(again.log.epochs.entries).toEqual([
      { epoch: 7, startOffset: 0 },
      { epoch: 9, startOffset: 1 },
    ]);
  });
});

describe('cutting', () => {
  test('drops whole batches beyond an offset, and the log goes on from there', async () => {
    for (const end of [0, 1, 2, 3, 7, 20, 39, 40]) {
      const { log } = await openLog({ config: { segmentBytes: 600, indexIntervalBytes: 100 }, tailBytes: 1 << 20 });
      for (let index = 0; index < 20; index++)
        await log.appendAsLeader(batchOf(['value', `${index}`]), epoch(index >> 2));
      await log.truncateTo(at(end));
      const kept = end - (end % 2);
      expect(log.logEndOffset).toBe(kept);
      expect(log.epochs.entries.every(({ startOffset }) => startOffset < kept)).toBe(true);
      expect((await log.appendAsLeader(batchOf(['new']), epoch(9))).baseOffset).toBe(kept);
      expect(offsetsIn(await everything(log))).toHaveLength(kept / 2 + 1);
    }
  });

  test('takes producers back to what the rest of the log says', async () => {
    const { log } = await openLog({ config: { segmentBytes: 400 } });
    for (let sequence = 0; sequence < 12; sequence++)
      await log.appendAsLeader(batchOf(['value'], idempotent(1, sequence)), epoch(0));
    await log.truncateTo(at(7));
    expect(log.producers.entryOf(1 as never)?.batches.map(({ lastSequence }) => lastSequence)).toEqual([2, 3, 4, 5, 6]);
    expect((await log.appendAsLeader(batchOf(['again'], idempotent(1, 7)), epoch(0))).duplicate).toBe(false);
  });

  test('everything starts anew at an offset, and is so after a power cut', async () => {
    const { log, disk, time } = await openLog();
    await log.appendAsLeader(batchOf(['a', 'b'], idempotent(1, 0)), epoch(0));
    await log.truncateFullyAndStartAt(at(500));
    expect([log.logStartOffset, log.logEndOffset, log.lastEpoch(), log.producers.size]).toEqual([500, 500, -1, 0]);
    log.abandon();
    await settled();
    disk.losePower(() => false);
    const again = await openLog({ disk, time, lastStop: 'lossy' });
    expect([again.log.logStartOffset, again.log.logEndOffset]).toEqual([500, 500]);
    expect((await again.log.appendAsLeader(batchOf(['c']), epoch(3))).baseOffset).toBe(500);
  });

  test('of a new log makes durable what is left, and whose it is', async () => {
    const { log, disk, time } = await openLog();
    for (const value of ['a', 'b', 'c']) await log.appendAsLeader(batchOf([value]), epoch(0));
    await log.truncateTo(at(2));
    expect(log.recoveryPoint).toBe(2);
    await log.release();
    disk.losePower(() => false);
    const { log: again } = await openLog({ disk, time, lastStop: 'lossy', recoveryPoint: 2 });
    expect(offsetsIn(await everything(again))).toEqual([0, 1]);
    await again.release();
  });

  test('lowers the recovery point on disk first', async () => {
    const { log, disk } = await openLog();
    await log.appendAsLeader(batchOf(['a']), epoch(0));
    await log.appendAsLeader(batchOf(['b']), epoch(0));
    await log.flush();
    const seen: number[] = [];
    log.onRecoveryPointLowered = async () => {
      seen.push(log.recoveryPoint, header.batchBytesOf(disk.contentOf(firstLog)) * 2 - disk.contentOf(firstLog).length);
    };
    await log.truncateTo(at(1));
    expect(seen).toEqual([1, 0]);
  });
});

test('a segment that is full and synced keeps no file open but its records', async () => {
  const { log, disk } = await openLog({ config: { segmentBytes: 200, indexIntervalBytes: 1 } });
  for (let index = 0; index < 40; index++) await log.appendAsLeader(batchOf(['a', 'b']), epoch(1));
  await log.flush();
  const segments = disk.paths().filter((path) => path.endsWith('.log')).length;
  expect(segments).toBeGreaterThan(10);
  expect(disk.openFiles).toBe(segments + 2);
  // Indexes are written again when the log is cut back into such a segment, and when that is full once more.
  await log.truncateTo(at(5));
  for (let index = 0; index < 4; index++) await log.appendAsLeader(batchOf(['c', 'd']), epoch(1));
  await log.flush();
  const before = await stateOf(log);
  await log.close();
  expect(disk.openFiles).toBe(0);
  const { log: again } = await openLog({ disk, config: log.config, recoveryPoint: log.recoveryPoint });
  expect(await stateOf(again)).toEqual(before);
  await again.release();
});

test('a read that may give nothing asks no disk', async () => {
  const { log } = await openLog();
  await log.appendAsLeader(batchOf(['a']), epoch(0));
  const limits = { maxBytes: 0, endOffset: log.logEndOffset, minOneBatch: false };
  expect(log.read(at(0), limits)).toEqual({ chunks: [], byteLength: 0, nextOffset: 0 });
  await log.close();
});
