/**
 * One `.log` file and its two indexes: where does a batch go, and where is it found again?
 *
 * What is known of a segment runs ahead of its file: `noteAppend` is called when a batch is given its offset, the bytes
 * follow in the same order, and `writtenBytes` says how far they are. Readers never look beyond that.
 */
import { join } from 'node:path';
import type { Disk, DiskFile } from '../env/disk.ts';
import { assert } from '../model/assert.ts';
import type { Offset } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { type ScanEnd, scanBatches, type Visit } from './batch-scanner.ts';
import { OffsetIndex, type OffsetIndexRow } from './offset-index.ts';
import { plainBuffers, type ReadBuffers, type ReadLimits } from './read-limits.ts';
import { TimeIndex } from './time-index.ts';

export interface SegmentLimits {
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly segmentIndexBytes: number;
}

/** Bytes of one segment, from a batch that holds an offset on. */
export interface SegmentRead {
  /** Whole batches, back to back; empty when none lies before the end that was asked for. */
  readonly bytes: Buffer;
  readonly baseOffset: Offset | null;
  readonly nextOffset: Offset;
  /** Where the batch after these begins. */
  readonly nextPosition: number;
}

export const segmentFileName = (baseOffset: Offset, suffix: string): string =>
  `${String(baseOffset).padStart(20, '0')}${suffix}`;

/** A segment that is being written to take the place of others has names of its own until it does. */
export type SegmentSuffix = '' | '.cleaned' | '.swap';

/** Beside the `.log`: all but the last is derived from it. */
export const sidecarSuffixes = ['.index', '.timeindex', '.txnindex'];

export const largestRelativeOffset = 0x7fffffff;
const noBytes = Buffer.alloc(0);

export class Segment {
  readonly baseOffset: Offset;
  #suffix: SegmentSuffix;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #offsets: OffsetIndex;
  readonly #times: TimeIndex;
  #hasIndexes = false;
  #loadingIndexes: Promise<void> | null = null;
  #file: DiskFile | null = null;
  #opening: Promise<DiskFile> | null = null;
  /** Reads, and syncs. */
  #usesUnderWay = 0;
  #isRetired = false;
  #sizeBytes = 0;
  #writtenBytes = 0;
  #nextOffset: Offset;
  #bytesSinceRow = 0;
  #maxTimestampMs = header.noTimestamp;
  #offsetOfMaxTimestamp: Offset;
  #firstTimestampMs: number | null = null;
  readonly #createdMs: number;

  constructor(directory: string, baseOffset: Offset, createdMs: number, disk: Disk, suffix: SegmentSuffix = '') {
    this.baseOffset = baseOffset;
    this.#suffix = suffix;
    this.#directory = directory;
    this.#disk = disk;
    this.#createdMs = createdMs;
    this.#nextOffset = baseOffset;
    this.#offsetOfMaxTimestamp = baseOffset;
    this.#offsets = new OffsetIndex(this.#pathOf('.index'), baseOffset);
    this.#times = new TimeIndex(this.#pathOf('.timeindex'), baseOffset);
  }

  get path(): string {
    return this.#pathOf('.log');
  }

  #pathOf(kind: '.log' | '.index' | '.timeindex'): string {
    return join(this.#directory, segmentFileName(this.baseOffset, `${kind}${this.#suffix}`));
  }

  /** Bytes given to it, written or about to be. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }
  /** Bytes in the file. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }
  /** First offset after its last batch. */
  get nextOffset(): Offset {
    return this.#nextOffset;
  }
  /** Milliseconds; the largest timestamp so far, -1 for none. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs;
  }

  // Files

  /** A new, empty segment: it has its files when they are first written. */
  becomeNew(): void {
    this.#hasIndexes = true;
  }

  /** The file as it is on disk, of which nothing is known yet. */
  async openExisting(): Promise<void> {
    const file = await this.#openFile('r+');
    this.#sizeBytes = await file.size();
    this.#writtenBytes = this.#sizeBytes;
  }

  async #openFile(mode: 'r+' | 'create' | 'open-or-create'): Promise<DiskFile> {
    if (this.#file !== null) return this.#file;
    this.#opening ??= this.#disk.open(this.path, mode);
    try {
      this.#file = await this.#opening;
    } finally {
      this.#opening = null;
    }
    return this.#file;
  }

  /** The file to write to; made if this is a new segment. True for `isNew` when a directory entry was added. */
  async fileForWriting(): Promise<{ readonly file: DiskFile; readonly isNew: boolean }> {
    if (this.#file !== null) return { file: this.#file, isNew: false };
    const isNew = this.#writtenBytes === 0;
    return { file: await this.#openFile(isNew ? 'open-or-create' : 'r+'), isNew };
  }

  onWritten(bytes: number): void {
    this.#writtenBytes += bytes;
    assert(this.#writtenBytes <= this.#sizeBytes, 'no more is written than was appended');
  }

  /** fdatasync of the bytes. */
  async sync(): Promise<void> {
    const file = this.#file;
    if (file !== null) await this.#keepingOpen(() => file.sync());
  }

  /** Brings the index files up to what was appended. */
  async persistIndexes(): Promise<void> {
    if (this.#hasIndexes && this.#sizeBytes > 0) await this.#writeIndexes();
  }

  async #writeIndexes(): Promise<void> {
    await this.#offsets.persist(this.#disk);
    await this.#times.persist(this.#disk);
  }

  /** The final row of the time index, index files written and synced: the segment takes no more. */
  async becomeInactive(): Promise<void> {
    if (!this.#hasIndexes) return;
    this.noteFinalTimestamp();
    await this.persistIndexes();
    for (const index of [this.#offsets, this.#times]) {
      await index.sync();
      await index.close();
    }
  }

  noteFinalTimestamp(): void {
    if (this.#hasIndexes && this.#sizeBytes > 0)
      this.#times.maybeAppend(this.#maxTimestampMs, this.#offsetOfMaxTimestamp);
  }

  /** Closes the files once no read or sync is under way; whoever has begun to read reads on. */
  async close(): Promise<void> {
    this.#isRetired = true;
    // Index files are found by name, and the name may soon be another segment's.
    await this.#loadingIndexes?.catch(() => {});
    await this.#offsets.close();
    await this.#times.close();
    if (this.#usesUnderWay === 0) await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async deleteFiles(): Promise<void> {
    await this.close();
    await this.#removeFiles();
  }

  /** Makes room for a segment that is about to be written: files of that name are of no use. */
  async removeOldFiles(): Promise<void> {
    await this.#removeFiles();
    this.becomeNew();
  }

  async #removeFiles(): Promise<void> {
    await this.#disk.remove(this.path);
    await this.#removeSidecars();
  }

  /** Closes the segment and leaves its `.log` for another file to be renamed over. */
  async retire(): Promise<void> {
    await this.close();
    await this.#removeSidecars();
  }

  async #removeSidecars(): Promise<void> {
    for (const sidecar of sidecarSuffixes)
      await this.#disk.remove(join(this.#directory, segmentFileName(this.baseOffset, `${sidecar}${this.#suffix}`)));
  }

  /** Gives the `.log` another name: `.cleaned` to `.swap` to none. */
  async renameLog(suffix: SegmentSuffix): Promise<void> {
    const before = this.path;
    this.#suffix = suffix;
    await this.#disk.rename(before, this.path);
  }

  /** Gives the indexes the names that go with the `.log`; one that was never written is made when it is needed. */
  async renameIndexes(from: SegmentSuffix): Promise<void> {
    for (const [kind, index] of [
      ['.index', this.#offsets],
      ['.timeindex', this.#times],
    ] as const) {
      const before = join(this.#directory, segmentFileName(this.baseOffset, `${kind}${from}`));
      index.onRenamed(this.#pathOf(kind));
      if (await this.#disk.exists(before)) await this.#disk.rename(before, this.#pathOf(kind));
    }
  }

  // Appending

  /** Whether the next batch must go to a new segment (`LogSegment.shouldRoll`). Timestamps are milliseconds. */
  shouldRoll(
    batch: { readonly bytes: number; readonly lastOffset: Offset; readonly maxTimestampMs: number },
    limits: SegmentLimits,
    nowMs: number,
  ): boolean {
    if (this.#sizeBytes === 0) return batch.lastOffset - this.baseOffset > largestRelativeOffset;
    if (this.#sizeBytes + batch.bytes > limits.segmentBytes) return true;
    const first = this.#firstTimestampMs;
    const waitedMs =
      first !== null && first !== header.noTimestamp && batch.maxTimestampMs !== header.noTimestamp
        ? batch.maxTimestampMs - first
        : nowMs - this.#createdMs;
    if (waitedMs > limits.segmentMs) return true;
    if (this.#offsets.count >= Math.floor(limits.segmentIndexBytes / 8)) return true;
    if (this.#times.count >= Math.floor(limits.segmentIndexBytes / 12) - 1) return true;
    return batch.lastOffset - this.baseOffset > largestRelativeOffset;
  }

  /** Takes note of a batch that has its offset; gives the position it is to be written at. */
  noteAppend(batch: Buffer, indexIntervalBytes: number): number {
    const position = this.#sizeBytes;
    const lastOffset = header.lastOffsetOf(batch);
    const maxTimestampMs = header.maxTimestampOf(batch);
    assert(header.baseOffsetOf(batch) >= this.#nextOffset, 'batches are appended in the order of their offsets');
    this.#firstTimestampMs ??= maxTimestampMs;
    // A header that compaction left has a time, but no record of that time.
    if (maxTimestampMs > this.#maxTimestampMs && header.recordCountOf(batch) > 0) {
      this.#maxTimestampMs = maxTimestampMs;
      this.#offsetOfMaxTimestamp = lastOffset;
    }
    if (this.#bytesSinceRow > indexIntervalBytes) {
      this.#offsets.append(lastOffset, position);
      this.#times.maybeAppend(this.#maxTimestampMs, this.#offsetOfMaxTimestamp);
      this.#bytesSinceRow = 0;
    }
    this.#bytesSinceRow += batch.length;
    this.#sizeBytes += batch.length;
    this.#nextOffset = (lastOffset + 1) as Offset;
    return position;
  }

  // Opening again, cutting

  /** Reads the index files; false where one is missing or does not agree with the log. */
  async loadIndexes(): Promise<boolean> {
    const isGood =
      (await this.#offsets.load(this.#disk, this.#sizeBytes)) &&
      (await this.#times.load(this.#disk, null)) &&
      (await this.#indexesAgreeWithLog());
    if (!isGood) this.#clearIndexes();
    this.#hasIndexes = true;
    return isGood;
  }

  /** Whether the last row of each index tells of a batch that is there. Rows before it rise, which `load` has checked. */
  async #indexesAgreeWithLog(): Promise<boolean> {
    const lastRow = this.#offsets.last();
    const lastTime = this.#times.last();
    if (lastTime === null) return lastRow === null;
    const from = this.#offsets.lookup(lastTime.offset)?.position ?? 0;
    let isTimeThere = false;
    const file = await this.#openFile('r+');
    await scanBatches(file, from, this.#writtenBytes, (batch) => {
      if (header.lastOffsetOf(batch) < lastTime.offset) return undefined;
      isTimeThere =
        header.lastOffsetOf(batch) === lastTime.offset && header.maxTimestampOf(batch) === lastTime.timestampMs;
      return 'stop';
    });
    if (!isTimeThere || lastRow === null) return isTimeThere;
    const head = Buffer.alloc(header.batchHeaderBytes);
    const length = await file.read(head, 0, head.length, lastRow.position);
    return length === head.length && header.lastOffsetOf(head) === lastRow.offset;
  }

  #clearIndexes(): void {
    this.#offsets.clear();
    this.#times.clear();
  }

  /** The last row of a batch that ends below `offset`, or null. */
  lastRowBelow(offset: Offset): OffsetIndexRow | null {
    return this.#offsets.lookup((offset - 1) as Offset);
  }

  /**
   * Learns what the file holds from the batch of `row` on (null: from its beginning) and makes index rows for what comes
   * after it. `check` says what is wrong with a batch. What lies beyond the first bad batch is not taken: the caller
   * cuts it off or gives up. Needs `loadIndexes`.
   */
  async scanFrom(row: OffsetIndexRow | null, indexIntervalBytes: number, check: Visit): Promise<ScanEnd> {
    const file = await this.#openFile('r+');
    const end = this.#writtenBytes;
    let from = 0;
    if (row === null) {
      this.#clearIndexes();
      this.#nextOffset = this.baseOffset;
      this.#bytesSinceRow = 0;
      this.#maxTimestampMs = header.noTimestamp;
      this.#offsetOfMaxTimestamp = this.baseOffset;
      this.#firstTimestampMs = null;
    } else {
      await this.#takeUpAt(row, file);
      from = row.position;
    }
    this.#sizeBytes = from;
    const scan = await scanBatches(file, from, end, (batch, position) => {
      const problem = check(batch, position);
      if (problem !== undefined) return problem;
      if (header.baseOffsetOf(batch) < this.#nextOffset) return { bad: 'an offset lies before the one in front of it' };
      if (row !== null && position === row.position && header.lastOffsetOf(batch) !== row.offset)
        return { bad: 'the offset index points at another batch' };
      this.noteAppend(batch, indexIntervalBytes);
      return undefined;
    });
    this.#writtenBytes = this.#sizeBytes;
    return scan;
  }

  /** As if all up to the batch of `row` had just been appended, but for that batch itself. */
  async #takeUpAt(row: OffsetIndexRow, file: DiskFile): Promise<void> {
    this.#offsets.truncateTo((row.offset + 1) as Offset);
    this.#times.truncateTo((row.offset + 1) as Offset);
    const last = this.#times.last();
    this.#maxTimestampMs = last?.timestampMs ?? header.noTimestamp;
    this.#offsetOfMaxTimestamp = last?.offset ?? this.baseOffset;
    this.#bytesSinceRow = 0;
    this.#nextOffset = this.baseOffset;
    const first = Buffer.alloc(header.batchHeaderBytes);
    if ((await file.read(first, 0, first.length, 0)) === first.length)
      this.#firstTimestampMs = header.maxTimestampOf(first);
  }

  /** Cuts the file where `scanFrom` stopped, or at a batch, and makes the cut durable. */
  async cutFileTo(position: number): Promise<void> {
    const file = await this.#openFile('r+');
    await file.truncate(position);
    await file.sync();
    this.#writtenBytes = position;
    assert(this.#sizeBytes === position, 'a segment is cut where its last batch ends');
  }

  /** Drops batches that end beyond `endOffset`, from the file and the indexes. Gives the first offset after the rest. */
  async truncateTo(endOffset: Offset, indexIntervalBytes: number): Promise<Offset> {
    await this.#ensureIndexes(indexIntervalBytes);
    const row = this.lastRowBelow(endOffset);
    const scan = await this.scanFrom(row, indexIntervalBytes, (batch) =>
      header.lastOffsetOf(batch) >= endOffset ? 'stop' : undefined,
    );
    if (scan.bad !== null) throw this.#corrupt(scan.position, scan.bad);
    await this.cutFileTo(scan.position);
    await this.#writeIndexes(); // also where no batch is left: old rows would look right beside new batches
    return this.#nextOffset;
  }

  // Reading

  /** Keeps the files open while `work` reads them. STORAGE where the segment is closed: it may have a successor. */
  async #reading<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#isRetired) throw new BrokerError({ code: 'STORAGE', reason: 'the segment is closed' });
    return this.#keepingOpen(work);
  }

  async #keepingOpen<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#usesUnderWay++;
    try {
      return await work();
    } finally {
      if (--this.#usesUnderWay === 0 && this.#isRetired) await this.#closeFile();
    }
  }

  async #ensureIndexes(indexIntervalBytes: number): Promise<void> {
    if (this.#hasIndexes) return;
    if (this.#isRetired) throw new BrokerError({ code: 'STORAGE', reason: 'the segment is closed' });
    this.#loadingIndexes ??= this.#loadOrRebuildIndexes(indexIntervalBytes).finally(() => {
      this.#loadingIndexes = null;
    });
    await this.#loadingIndexes;
  }

  async #loadOrRebuildIndexes(indexIntervalBytes: number): Promise<void> {
    const isGood = await this.loadIndexes();
    const last = this.#times.last();
    if (isGood && last !== null) {
      this.#maxTimestampMs = last.timestampMs;
      this.#offsetOfMaxTimestamp = last.offset;
    } else await this.#rebuildIndexes(indexIntervalBytes);
  }

  async #rebuildIndexes(indexIntervalBytes: number): Promise<void> {
    const { bad, position } = await this.scanFrom(null, indexIntervalBytes, () => undefined);
    if (bad !== null) throw this.#corrupt(position, bad);
    this.noteFinalTimestamp();
    await this.persistIndexes();
  }

  /** The largest timestamp of a segment that takes no more, and the last offset of the batch that has it. */
  async maxTimestamp(indexIntervalBytes: number): Promise<{ readonly timestampMs: number; readonly offset: Offset }> {
    await this.#ensureIndexes(indexIntervalBytes);
    return { timestampMs: this.#maxTimestampMs, offset: this.#offsetOfMaxTimestamp };
  }

  /** An offset such that no record before it is as late as `timestampMs`. */
  async offsetBelowTimestamp(timestampMs: number, indexIntervalBytes: number): Promise<Offset> {
    await this.#ensureIndexes(indexIntervalBytes);
    return this.#times.lookupBelow(timestampMs)?.offset ?? this.baseOffset;
  }

  /** A position at or before the batch that holds `offset`. */
  async positionBefore(offset: Offset, indexIntervalBytes: number): Promise<number> {
    await this.#ensureIndexes(indexIntervalBytes);
    return this.#offsets.lookup(offset)?.position ?? 0;
  }

  /**
   * Whole batches from the one that holds `from` on, all of which end at or before `endOffset`: at most `maxBytes`, but
   * at least one if `minOneBatch`. `knownPosition` is where that batch begins, if an earlier read has told.
   */
  read(
    from: Offset,
    limits: ReadLimits,
    knownPosition: number | null,
    indexIntervalBytes: number,
  ): Promise<SegmentRead> {
    return this.#reading(async () => {
      const start = knownPosition ?? (await this.positionBefore(from, indexIntervalBytes));
      const file = await this.#openFile('r+');
      // What is skipped before `from` comes on top, so that the answer can be as large as asked.
      const slack = knownPosition === null ? indexIntervalBytes + header.batchHeaderBytes : 0;
      const wanted = Math.max(limits.maxBytes, limits.minOneBatch ? header.batchHeaderBytes : 0) + slack;
      const buffer = (limits.buffers ?? plainBuffers).take(Math.min(wanted, this.#writtenBytes - start));
      const length = await file.read(buffer, 0, buffer.length, start);
      return this.#select(file, buffer.subarray(0, length), start, from, limits);
    });
  }

  async #select(file: DiskFile, bytes: Buffer, start: number, from: Offset, limits: ReadLimits): Promise<SegmentRead> {
    let at = 0;
    let first = -1;
    let baseOffset: Offset | null = null;
    let nextOffset = from;
    for (;;) {
      const left = bytes.length - at;
      if (left < header.batchHeaderBytes) {
        const isSkipping = first < 0 && start + at + header.batchHeaderBytes <= this.#writtenBytes;
        if (isSkipping && bytes.length > 0) return this.#readOn(file, start + at, from, limits);
        break;
      }
      const batchBytes = this.#checkedBatchBytes(bytes, at, start + at);
      const next = header.nextOffsetOf(bytes, at);
      if (next <= from) {
        if (batchBytes > left) return this.#readOn(file, start + at + batchBytes, from, limits);
        at += batchBytes;
        continue;
      }
      if (next > limits.endOffset) break;
      const total = first < 0 ? batchBytes : at + batchBytes - first;
      const isAllowed = total <= limits.maxBytes || (first < 0 && limits.minOneBatch);
      if (!isAllowed) break;
      if (batchBytes > left) {
        if (first >= 0) break;
        return this.#readOneBatch(file, start + at, batchBytes, limits.buffers ?? plainBuffers);
      }
      if (first < 0) {
        first = at;
        baseOffset = header.baseOffsetOf(bytes, at);
      }
      at += batchBytes;
      nextOffset = next;
    }
    if (first < 0) return { bytes: noBytes, baseOffset: null, nextOffset: from, nextPosition: start + at };
    return { bytes: bytes.subarray(first, at), baseOffset, nextOffset, nextPosition: start + at };
  }

  #checkedBatchBytes(bytes: Buffer, at: number, position: number): number {
    const batchBytes = header.batchBytesOf(bytes, at);
    if (batchBytes < header.batchHeaderBytes || position + batchBytes > this.#writtenBytes)
      throw this.#corrupt(position, `a batch claims ${batchBytes} bytes`);
    if (header.magicOf(bytes, at) !== header.currentMagic)
      throw this.#corrupt(position, `a batch has magic ${header.magicOf(bytes, at)}`);
    if (header.baseOffsetOf(bytes, at) < this.baseOffset) throw this.#corrupt(position, 'an offset below its segment');
    return batchBytes;
  }

  /** The wanted batch lies beyond what was read. */
  async #readOn(file: DiskFile, position: number, from: Offset, limits: ReadLimits): Promise<SegmentRead> {
    const left = this.#writtenBytes - position;
    if (left <= 0) return { bytes: noBytes, baseOffset: null, nextOffset: from, nextPosition: position };
    const bytes = Math.min(left, Math.max(limits.maxBytes, header.batchHeaderBytes));
    const buffer = (limits.buffers ?? plainBuffers).take(bytes);
    const length = await file.read(buffer, 0, buffer.length, position);
    if (length < buffer.length) throw this.#corrupt(position, 'the file is shorter than it was');
    return this.#select(file, buffer, position, from, limits);
  }

  async #readOneBatch(
    file: DiskFile,
    position: number,
    batchBytes: number,
    buffers: ReadBuffers,
  ): Promise<SegmentRead> {
    const bytes = buffers.take(batchBytes);
    if ((await file.read(bytes, 0, batchBytes, position)) < batchBytes)
      throw this.#corrupt(position, 'the file is shorter than it was');
    return {
      bytes,
      baseOffset: header.baseOffsetOf(bytes),
      nextOffset: header.nextOffsetOf(bytes),
      nextPosition: position + batchBytes,
    };
  }

  /** Each batch from `position` on, until the visitor stops. Framing that makes no sense throws SEGMENT_CORRUPT. */
  visitBatches(position: number, visit: Visit): Promise<void> {
    return this.#reading(async () => {
      const file = await this.#openFile('r+');
      const end = await scanBatches(file, position, this.#writtenBytes, visit);
      if (end.bad !== null) throw this.#corrupt(end.position, end.bad);
    });
  }

  /** For the question whether anything good comes after a bad batch. */
  async openFile(): Promise<DiskFile> {
    return this.#openFile('r+');
  }

  #corrupt(position: number, reason: string): BrokerError {
    return new BrokerError({ code: 'SEGMENT_CORRUPT', file: this.path, position, reason });
  }
}
