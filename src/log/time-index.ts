/**
 * From which offset on can records be as late as a timestamp? The `.timeindex` file, as Kafka's (`TimeIndex.java`):
 *
 *     12 bytes a row:  int64 largest timestamp so far · int32 last offset of the batch that had it, less the base offset
 *
 * Written together with a row of the offset index, only if the timestamp is greater than the last row's, plus one final
 * row when the segment rolls or closes. No record before a row's offset is later than the row's timestamp.
 */
import type { Disk } from '../env/disk.ts';
import type { Offset } from '../model/brands.ts';
import { readInt64, writeInt64 } from '../records/batch-header.ts';
import { IndexRows } from './index-rows.ts';

export interface TimeIndexRow {
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
  readonly offset: Offset;
}

const rowBytes = 12;

export class TimeIndex {
  readonly #baseOffset: Offset;
  readonly #rows: IndexRows;

  constructor(path: string, baseOffset: Offset) {
    this.#baseOffset = baseOffset;
    this.#rows = new IndexRows(path, rowBytes);
  }

  get count(): number {
    return this.#rows.count;
  }

  /** Does nothing unless the timestamp is greater than the last row's. */
  maybeAppend(timestampMs: number, offset: Offset): void {
    const last = this.last();
    if (timestampMs < 0 || (last !== null && timestampMs <= last.timestampMs)) return;
    const at = this.#rows.grow();
    writeInt64(this.#rows.bytes, timestampMs, at);
    this.#rows.bytes.writeInt32BE(offset - this.#baseOffset, at + 8);
  }

  row(index: number): TimeIndexRow | null {
    if (index < 0 || index >= this.#rows.count) return null;
    const bytes = this.#rows.bytes;
    return {
      timestampMs: readInt64(bytes, index * rowBytes),
      offset: (this.#baseOffset + bytes.readInt32BE(index * rowBytes + 8)) as Offset,
    };
  }

  last(): TimeIndexRow | null {
    return this.row(this.#rows.count - 1);
  }

  /** The last row below `timestampMs`: no record up to its offset is as late. null: start at the segment's first. */
  lookupBelow(timestampMs: number): TimeIndexRow | null {
    let low = 0;
    let high = this.#rows.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (readInt64(this.#rows.bytes, middle * rowBytes) < timestampMs) low = middle + 1;
      else high = middle;
    }
    return this.row(low - 1);
  }

  /** Drops rows at or after `offset`. */
  truncateTo(offset: Offset): void {
    let count = this.#rows.count;
    while (count > 0 && (this.row(count - 1)?.offset ?? 0) >= offset) count--;
    this.#rows.truncate(count);
  }

  clear(): void {
    this.#rows.truncate(0);
  }

  /** As `OffsetIndex.load`; offsets must stay below `nextOffset`, and offsets and timestamps rise strictly. */
  async load(disk: Disk, nextOffset: Offset | null): Promise<boolean> {
    if (!(await this.#rows.load(disk))) return false;
    let before: TimeIndexRow | null = null;
    for (let index = 0; index < this.#rows.count; index++) {
      const row = this.row(index) as TimeIndexRow;
      if (index > 0 && row.timestampMs === 0 && row.offset === this.#baseOffset) {
        this.#rows.truncate(index);
        break;
      }
      const isRising = before === null || (row.timestampMs > before.timestampMs && row.offset > before.offset);
      if (!isRising || row.timestampMs < 0 || row.offset < this.#baseOffset || row.offset >= (nextOffset ?? Infinity)) {
        this.#rows.truncate(0);
        return false;
      }
      before = row;
    }
    return true;
  }

  onRenamed(path: string): void {
    this.#rows.onRenamed(path);
  }
  persist(disk: Disk): Promise<void> {
    return this.#rows.persist(disk);
  }
  sync(): Promise<void> {
    return this.#rows.sync();
  }
  close(): Promise<void> {
    return this.#rows.close();
  }
}
