/**
 * Kafka's own kafka-dump-log reads a partition directory of ours without complaint. Needs `KAFKA_DUMP_LOG`: a command that
 * runs `DumpLogSegments` with the arguments that follow; skipped without it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/env/logger.ts';
import { nodeDisk } from '../../../src/env/node/disk.ts';
import { compactionRound } from '../../../src/log/compaction-round.ts';
import { type LogConfig, PartitionLog } from '../../../src/log/partition-log.ts';
import { offset } from '../../../src/model/brands.ts';
import { encodeBatch } from '../../../src/records/record-batch.ts';
import { batchOf, epoch, idempotent, ordersId, usualConfig } from '../../support/log-harness.ts';
import { ManualTime } from '../../support/manual-time.ts';

const command = process.env.KAFKA_DUMP_LOG?.split(' ') ?? [];

const dump = (...args: string[]): string => {
  const [program = '', ...before] = command;
  return execFileSync(program, [...before, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
};

describe.skipIf(command.length === 0)('kafka-dump-log', () => {
  let root: string;
  let directory: string;

  const files = (suffix: string): string[] =>
    readdirSync(directory)
      .filter((name) => name.endsWith(suffix))
      .map((name) => join(directory, name));

  async function open(
    lastStop: 'clean' | 'killed',
    recoveryPoint = 0,
    config: Partial<LogConfig> = {},
  ): Promise<PartitionLog> {
    const time = new ManualTime();
    return PartitionLog.open(
      {
        directory,
        topic: 'orders',
        partition: 0,
        topicId: ordersId,
        config: { ...usualConfig, segmentBytes: 50_000, indexIntervalBytes: 1000, ...config },
        recoveryPoint: offset(recoveryPoint),
        lastStop,
      },
      { disk: nodeDisk, clock: time, timers: time, logger: silentLogger },
    );
  }

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'cordwood-dump-'));
    directory = join(root, 'orders-0');
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
    let log = await open('clean');
    const append = async (from: number, to: number): Promise<void> => {
      for (let index = from; index < to; index++) {
        const values = Array.from({ length: 1 + (index % 5) }, (_, which) => `value ${index} ${which} `.repeat(20));
        const codec = codecs[index % 5] ?? 'none';
        const timestampMs = 1_700_000_000_000 + ((index * 37) % 100) * 1000;
        const producer = index % 5 === 1 ? idempotent(77 + from, ((index - from - 1) / 5) * 2) : {};
        await log.appendAsLeader(
          batchOf(values, { codec, timestampMs, ...producer }),
          epoch(1 + Math.floor(index / 400)),
        );
      }
    };
    await append(0, 900);
    await log.truncateTo(offset(2000));
    await log.close();
    log = await open('clean', log.logEndOffset);
    await append(1500, 1520);
    await log.release(); // as a kill: recovery makes the indexes again
    log = await open('killed');
    await log.close();
  }, 60_000);
  afterAll(() => rmSync(root, { recursive: true }));

  test('finds every batch valid and every record where it should be', () => {
    expect(files('.log').length).toBeGreaterThan(2);
    for (const file of files('.log')) {
      const text = dump('--deep-iteration', '--files', file);
      expect(text).toContain('isvalid: true');
      expect(text).not.toContain('isvalid: false');
      expect(text.split('Non-consecutive').length - 1).toBe(0);
    }
  });

  test('finds the indexes in agreement with the log, and the snapshots readable', () => {
    for (const suffix of ['.index', '.timeindex', '.snapshot'])
      for (const file of files(suffix)) {
        const text = dump('--files', file);
        expect(text, file).not.toMatch(/mismatch|Found|error|exception|out of order|not in/i);
        expect(text.split('\n').length, file).toBeGreaterThan(suffix === '.snapshot' ? 1 : 2);
      }
  });

  test('reads compacted segments: headers without records, delete horizons, records taken out in every codec', async () => {
    directory = join(root, 'compacted-0');
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
    const log = await open('clean', 0, { cleanupPolicy: { compact: true, delete: false } });
    for (let index = 0; index < 3000; index++) {
      const records = Array.from({ length: 1 + (index % 4) }, (_, which) => ({
        key: Buffer.from(`key ${(index * 7 + which * 13) % 400}`),
        value: (index + which) % 5 === 0 ? null : Buffer.from(`value ${index} `.repeat(20)),
        timestampMs: 1_700_000_000_000 + ((index * 37) % 100) * 1000 + which,
      }));
      const producer = index % 40 === 0 ? idempotent(index, 0) : {};
      const batch = encodeBatch({ records, codec: codecs[index % 5] ?? 'none', ...producer });
      await log.appendAsLeader(batch, epoch(1 + Math.floor(index / 400)));
    }
    await log.flush();
    const time = new ManualTime();
    const clean = (firstDirtyOffset: number) =>
      compactionRound(
        log,
        {
          firstDirtyOffset: offset(firstDirtyOffset),
          cleanable: log.cleanableSegments(log.logEndOffset),
          mapBytes: 24 * 300,
        },
        { disk: nodeDisk, clock: time, pause: () => Promise.resolve(), isAborted: () => false },
      );
    const sizeBefore = log.sizeBytes;
    let rounds = 0;
    for (let [from, to] = [-1, 0]; to > from; rounds++) [from, to] = [to, (await clean(to)).firstDirtyOffset];
    expect(rounds).toBeGreaterThan(2);
    expect(log.sizeBytes).toBeLessThan(sizeBefore / 2);
    await log.close();

    const text = dump('--deep-iteration', '--files', files('.log').join(','));
    expect(text).not.toContain('isvalid: false');
    expect(text).toMatch(/deleteHorizonMs: OptionalLong\[\d+\]/);
    expect(text).toMatch(/count: 0 /);
    for (const codec of codecs) expect(text).toContain(`compresscodec: ${codec}`);
    const indexes = [...files('.index'), ...files('.timeindex')];
    expect(dump('--files', indexes.join(','))).not.toMatch(/mismatch|Found|error|exception|out of order|not in/i);
  });
});
