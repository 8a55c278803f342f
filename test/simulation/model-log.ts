/**
 * One partition's log on one broker's disk, as far as replication can tell: records with their epochs, an epoch cache,
 * a flushed prefix, and a high watermark that is checkpointed now and then. It outlives the process; a loss of power
 * takes what was not flushed.
 */
import type { GroupRecord } from '../../src/coordinator/group-records.ts';
import { EpochCache } from '../../src/log/epoch-cache.ts';
import { assert } from '../../src/model/assert.ts';
import { type LeaderEpoch, noLeaderEpoch, type Offset, offset } from '../../src/model/brands.ts';

/** One record; `value` is unique in the run. */
export interface ModelRecord {
  readonly epoch: LeaderEpoch;
  readonly value: number;
  /** -1 for none. */
  readonly producerId: number;
  readonly sequence: number;
  /** In the topic of the group coordinators a record stands for a whole batch, which is there or not there as one. */
  readonly batch?: readonly GroupRecord[];
}

export class ModelLog {
  /** From #startOffset on. */
  #records: ModelRecord[] = [];
  #startOffset = 0;
  /** What a scan found in the first records; a longer log is scanned on from there. */
  #scannedEpochs: { epoch: LeaderEpoch; startOffset: Offset }[] = [];
  #scannedRecords = 0;
  readonly epochs: EpochCache;
  /** Everything before it survives a loss of power. */
  flushedOffset = 0;
  highWatermark: Offset = offset(0);
  highWatermarkEpoch: LeaderEpoch = noLeaderEpoch;
  #checkpoint: { highWatermark: Offset; leaderEpoch: LeaderEpoch } = {
    highWatermark: offset(0),
    leaderEpoch: noLeaderEpoch,
  };

  constructor(epochs: EpochCache = new EpochCache()) {
    this.epochs = epochs;
  }

  get startOffset(): Offset {
    return offset(this.#startOffset);
  }
  get endOffset(): Offset {
    return offset(this.#startOffset + this.#records.length);
  }
  get lastEpoch(): LeaderEpoch {
    return this.#records.at(-1)?.epoch ?? noLeaderEpoch;
  }

  at(recordOffset: number): ModelRecord | undefined {
    return this.#records[recordOffset - this.#startOffset];
  }
  slice(from: number, to: number): ModelRecord[] {
    assert(from >= this.#startOffset, 'nothing is read from before the log start');
    return this.#records.slice(from - this.#startOffset, to - this.#startOffset);
  }

  append(records: readonly ModelRecord[]): void {
    for (const record of records) {
      this.epochs.assign(record.epoch, this.endOffset);
      this.#records.push(record);
    }
  }

  truncateTo(end: Offset): void {
    assert(end >= this.#startOffset && end <= this.endOffset, 'a cut is within the log');
    this.#records.length = end - this.#startOffset;
    this.#scanAgain();
    this.epochs.truncateFromEnd(end);
    this.flushedOffset = Math.min(this.flushedOffset, end);
  }

  truncateFullyAndStartAt(start: Offset): void {
    this.#records = [];
    this.#scanAgain();
    this.#startOffset = start;
    this.epochs.clear();
    this.flushedOffset = start;
  }

  raiseStart(start: Offset): void {
    if (start <= this.#startOffset) return;
    this.#records.splice(0, start - this.#startOffset);
    this.#scanAgain();
    this.#startOffset = start;
    this.epochs.truncateFromStart(start);
    this.flushedOffset = Math.max(this.flushedOffset, start);
  }

  flush(): void {
    this.flushedOffset = this.endOffset;
    this.#checkpoint = { highWatermark: this.highWatermark, leaderEpoch: this.highWatermarkEpoch };
  }

  /** The process is gone; what it knew as committed falls back to the checkpoint. */
  onProcessGone(): void {
    this.highWatermark = this.#checkpoint.highWatermark;
    this.highWatermarkEpoch = this.#checkpoint.leaderEpoch;
  }

  /** Some of what was not flushed is gone. Returns whether anything was. */
  losePower(survivingOffset: number): void {
    if (survivingOffset < this.endOffset) this.truncateTo(offset(Math.max(survivingOffset, this.flushedOffset)));
    this.onProcessGone();
  }

  /** The producer's last records here, newest first; what a repeat is known by. */
  lastOf(producerId: number, count: number): { offset: Offset; record: ModelRecord }[] {
    const found: { offset: Offset; record: ModelRecord }[] = [];
    for (let i = this.#records.length - 1; i >= 0 && found.length < count; i--) {
      const record = this.#records[i];
      if (record?.producerId === producerId) found.push({ offset: offset(this.#startOffset + i), record });
    }
    return found;
  }

  /** Epochs and their starts as a scan of the records finds them (I16). */
  scanEpochs(): readonly { epoch: LeaderEpoch; startOffset: Offset }[] {
    for (; this.#scannedRecords < this.#records.length; this.#scannedRecords++) {
      const epoch = this.#records[this.#scannedRecords]?.epoch ?? noLeaderEpoch;
      if (this.#scannedEpochs.at(-1)?.epoch !== epoch)
        this.#scannedEpochs.push({ epoch, startOffset: offset(this.#startOffset + this.#scannedRecords) });
    }
    return this.#scannedEpochs;
  }

  #scanAgain(): void {
    this.#scannedRecords = 0;
    this.#scannedEpochs = [];
  }
}
