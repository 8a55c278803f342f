/**
 * A compacted log under random use, beside a model that forgets nothing: whatever was appended, cut, cleaned or lost with
 * the power, what a reader of the log learns of each key is what the model says.
 */
import { compactionRound, type RoundResult } from '../../src/log/compaction-round.ts';
import type { LastStop, PartitionLog } from '../../src/log/partition-log.ts';
import { offset } from '../../src/model/brands.ts';
import * as header from '../../src/records/batch-header.ts';
import { encodeBatch, hasValidCrc, recordsOf } from '../../src/records/record-batch.ts';
import type { SeededRandom } from '../simulation/seeded-random.ts';
import { at, epoch, everything, idempotent, openLog, stateOf, usualConfig } from './log-harness.ts';
import { ManualTime } from './manual-time.ts';
import { MemoryDisk } from './memory-disk.ts';

export interface ModelRecord {
  readonly offset: number;
  readonly key: string;
  readonly value: string | null;
  readonly timestampMs: number;
}

export const deleteRetentionMs = 10_000;
const codecs = ['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const config = {
  ...usualConfig,
  segmentBytes: 900,
  indexIntervalBytes: 150,
  cleanupPolicy: { compact: true, delete: false },
  deleteRetentionMs,
};

const fail = (what: string): never => {
  throw new Error(what);
};

/** A log as recordsOf sees it. */
export async function recordsIn(log: PartitionLog): Promise<ModelRecord[]> {
  const records: ModelRecord[] = [];
  for (const batch of header.batchesOf(await everything(log))) {
    if (!hasValidCrc(batch)) fail(`the batch at ${header.baseOffsetOf(batch)} has a wrong CRC`);
    let latestMs = -1;
    for (const { offset: at, key, value, timestampMs } of recordsOf(batch, 1 << 20)) {
      records.push({ offset: at, key: String(key), value: value === null ? null : String(value), timestampMs });
      latestMs = Math.max(latestMs, timestampMs);
    }
    if (header.recordCountOf(batch) > 0 && latestMs !== header.maxTimestampOf(batch))
      fail(`the batch at ${header.baseOffsetOf(batch)} tells a maximum timestamp that none of its records has`);
  }
  return records;
}

/** What is left of each key: its last value, null where that is a tombstone or nothing. */
function lastValues(records: readonly ModelRecord[]): Map<string, string> {
  const last = new Map<string, string>();
  for (const { key, value } of records)
    if (value === null) last.delete(key);
    else last.set(key, value);
  return last;
}

const withoutBatchTimes = (state: object): string =>
  JSON.stringify(state, (name, value: unknown) =>
    name === 'producers' ? JSON.stringify(value).replace(/"(lastT|t)imestampMs":\d+/g, '') : value,
  );

export class CompactedHistory {
  readonly random: SeededRandom;
  readonly time: ManualTime;
  disk = new MemoryDisk();
  log!: PartitionLog;
  #records: ModelRecord[] = [];
  highWatermark = 0;
  firstDirty = 0;
  /** When a round may first have taken note of a tombstone, by offset. */
  readonly #cleanedMs = new Map<number, number>();
  readonly #sequences = new Map<number, number>();
  #leaderEpoch = 1;
  #isCutFree = true;

  constructor(random: SeededRandom, time = new ManualTime()) {
    this.random = random;
    this.time = time;
  }

  async open(lastStop: LastStop = 'clean', recoveryPoint = 0): Promise<void> {
    const { log } = await openLog({ config, disk: this.disk, time: this.time, lastStop, recoveryPoint });
    this.log = log;
    this.firstDirty = Math.min(this.firstDirty, log.logEndOffset);
  }

  /** The same on a disk of its own, to see what comes of another future; its log is not open yet. */
  fork(): CompactedHistory {
    const other = new CompactedHistory(this.random, this.time);
    other.disk = this.disk.clone();
    other.#records = this.#records;
    other.highWatermark = this.highWatermark;
    other.firstDirty = this.firstDirty;
    for (const [of, ms] of this.#cleanedMs) other.#cleanedMs.set(of, ms);
    return other;
  }

  async append(): Promise<void> {
    const count = 1 + this.random.below(4);
    const timestampMs = this.time.wallMs() - this.random.below(5_000);
    const producer = this.random.below(6);
    const records = Array.from({ length: count }, (_, index) => ({
      key: Buffer.from(`k${this.random.below(9)}`),
      value: this.random.below(4) === 0 ? null : Buffer.from(`v${this.log.logEndOffset + index} `.repeat(6)),
      timestampMs: timestampMs + this.random.below(50),
    }));
    const sequence = this.#sequences.get(producer) ?? 0;
    const batch = encodeBatch({
      records,
      codec: codecs[this.random.below(codecs.length)] ?? 'none',
      ...(producer < 3 && this.#isCutFree ? idempotent(producer, sequence) : {}),
    });
    if (this.random.below(12) === 0) this.#leaderEpoch++;
    const { baseOffset } = await this.log.appendAsLeader(batch, epoch(this.#leaderEpoch));
    this.#sequences.set(producer, sequence + count);
    for (const [index, { key, value, timestampMs: ms }] of records.entries())
      this.#records.push({
        offset: baseOffset + index,
        key: String(key),
        value: value === null ? null : String(value),
        timestampMs: ms,
      });
    await this.time.advance(this.random.below(600));
  }

  async commit(): Promise<void> {
    await this.log.flush();
    this.highWatermark += this.random.below(this.log.logEndOffset - this.highWatermark + 1);
  }

  /** One round; records as late as its start may be seen as cleaned even if it does not come to its end. */
  async clean(mapBytes: number): Promise<RoundResult | null> {
    const cleanable = this.log.cleanableSegments(at(this.highWatermark));
    if (cleanable.endOffset <= this.firstDirty) return null;
    for (const { offset: of, value } of this.#records)
      if (value === null && of < cleanable.endOffset && !this.#cleanedMs.has(of))
        this.#cleanedMs.set(of, this.time.wallMs());
    const result = await compactionRound(
      this.log,
      { firstDirtyOffset: at(this.firstDirty), cleanable, mapBytes },
      { disk: this.disk, clock: this.time, pause: () => Promise.resolve(), isAborted: () => false },
    );
    if (result.isComplete) this.firstDirty = result.firstDirtyOffset;
    return result;
  }

  /** Cuts at a batch at or after the high watermark; producers may go back, so there are none from here on. */
  async cut(): Promise<void> {
    const bases = [...header.batchesOf(await everything(this.log))].map((batch) => header.baseOffsetOf(batch));
    const end = bases.filter((base) => base >= this.highWatermark).at(-1 - this.random.below(3));
    if (end === undefined) return;
    await this.log.truncateTo(at(end));
    this.#isCutFree = false;
    this.#records = this.#records.filter((record) => record.offset < end);
    this.firstDirty = Math.min(this.firstDirty, end);
    if (this.log.logEndOffset !== end) fail(`cut to ${end}, the log ends at ${this.log.logEndOffset}`);
  }

  /** The power goes; what was synced is there again, and of the rest whatever chance has left. */
  async losePower(): Promise<void> {
    const { recoveryPoint } = this.log;
    if (recoveryPoint === 0) return; // even the directory may be gone
    await this.log.release();
    this.disk.losePower(() => this.random.chance(0.5));
    await this.open('lossy', recoveryPoint);
    const end = this.log.logEndOffset;
    if (end < recoveryPoint) fail(`the log ends at ${end}, synced was ${recoveryPoint}`);
    this.#isCutFree &&= end === (this.#records.at(-1)?.offset ?? -1) + 1;
    this.#records = this.#records.filter((record) => record.offset < end);
  }

  async check(): Promise<void> {
    const { log } = this;
    const found = await recordsIn(log);
    const byOffset = new Map(this.#records.map((record) => [record.offset, record]));
    let before = -1;
    for (const record of found) {
      if (record.offset <= before) fail(`offset ${record.offset} after ${before}`);
      before = record.offset;
      const known = byOffset.get(record.offset);
      if (JSON.stringify(known) !== JSON.stringify(record))
        fail(`${JSON.stringify(record)} was appended as ${JSON.stringify(known)}`);
    }
    const expected = lastValues(this.#records);
    const actual = lastValues(found);
    for (const key of new Set([...expected.keys(), ...actual.keys()]))
      if (expected.get(key) !== actual.get(key))
        fail(`${key} is ${actual.get(key)}, and should be ${expected.get(key)}`);
    this.#checkTombstones(found);
    this.#checkUnique(found);
  }

  /** The last record of a key stays, unless it is a tombstone whose time is over. */
  #checkTombstones(found: readonly ModelRecord[]): void {
    const there = new Set(found.map((record) => record.offset));
    const last = new Map(this.#records.map((record) => [record.key, record]));
    for (const record of last.values()) {
      if (there.has(record.offset)) continue;
      const cleanedMs = this.#cleanedMs.get(record.offset);
      if (record.value !== null || cleanedMs === undefined || this.time.wallMs() < cleanedMs + deleteRetentionMs)
        fail(`${JSON.stringify(record)} is gone too early`);
    }
  }

  #checkUnique(found: readonly ModelRecord[]): void {
    const seen = new Set<string>();
    for (const { key, offset: of } of found) {
      if (of >= this.firstDirty) break;
      if (seen.has(key)) fail(`${key} is there twice below the first dirty offset ${this.firstDirty}`);
      seen.add(key);
    }
  }

  /**
   * Opened again from the bytes alone, the log is the same: indexes, epochs, producers and all; but for the time of a
   * producer's batch that has lost its latest record.
   */
  async checkReplay(): Promise<void> {
    await this.log.flush();
    const here = withoutBatchTimes(await stateOf(this.log));
    const copy = this.disk.clone();
    for (const path of copy.paths())
      if (/\.(snapshot|producers|index|timeindex)$|leader-epoch-checkpoint$/.test(path)) await copy.remove(path);
    const { log } = await openLog({ config, disk: copy, time: this.time, lastStop: 'killed' });
    const there = withoutBatchTimes(await stateOf(log));
    await log.release();
    if (there !== here) fail(`replayed: ${there}\nhere:     ${here}`);
  }

  /** A follower that copies the log, gaps and all, has the same one; its files are made in its own order. */
  async checkCopy(): Promise<void> {
    const { log } = await openLog({ config: { ...config, segmentBytes: 700 } });
    for (const batch of header.batchesOf(await everything(this.log)))
      await log.appendAsFollower(Buffer.from(batch), this.log.lastEpoch());
    const here = withoutBatchTimes(await stateOf(this.log));
    const there = withoutBatchTimes(await stateOf(log));
    if (there !== here) fail(`copied: ${there}\nhere:   ${here}`);
    await log.release();
  }

  /** A search by time finds what a scan finds. */
  async checkTimes(): Promise<void> {
    const found = await recordsIn(this.log);
    const times = [...new Set(found.map(({ timestampMs }) => timestampMs))];
    for (const timestampMs of times.flatMap((ms) => [ms - 1, ms, ms + 1])) {
      const expected = found.find((record) => record.timestampMs >= timestampMs)?.offset;
      const actual = (await this.log.offsetForTimestamp(timestampMs))?.offset;
      if (actual !== expected) fail(`the first record since ${timestampMs} is at ${expected}, found was ${actual}`);
    }
  }

  /** From wherever a reader comes, it is given the next batch there is, and moves on. */
  async checkReads(): Promise<void> {
    const batches = [...header.batchesOf(await everything(this.log))];
    for (let from = 0; from < this.log.logEndOffset; from++) {
      const next = batches.find((batch) => header.nextOffsetOf(batch) > from);
      const read = await this.log.read(offset(from), {
        maxBytes: 1,
        endOffset: this.log.logEndOffset,
        minOneBatch: true,
      });
      const base = next === undefined ? undefined : header.baseOffsetOf(next);
      if (read.baseOffset !== base) fail(`reading from ${from} gives ${read.baseOffset}, and should give ${base}`);
    }
  }
}
