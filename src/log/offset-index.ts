/**
 * Near which position of a segment does an offset lie? The `.index` file, as Kafka's (`OffsetIndex.java`):
 *
 *     8 bytes a row:  int32 last offset of a batch, less the segment's base offset · int32 position of that batch
 *
 * A row is due when a batch is appended and more than `index.interval.bytes` were written since the last one, so a
 * segment's first batch never has one. Offsets and positions strictly rise. After a crash the file may lack rows, or,
 * when the kernel stopped, hold rubbish: see `recovery.ts`.
 */
import type { Disk } from '../env/disk.ts';
import type { Offset } from '../model/brands.ts';
import { IndexRows } from './index-rows.ts';

export interface OffsetIndexRow {
  /** Last offset of the batch. */
  readonly offset: Offset;
  /** Where the batch begins. */
  readonly position: number;
}

const rowBytes = 8;

export class OffsetIndex {
  readonly #baseOffset: Offset;
  readonly #rows: IndexRows;

  constructor(path: string, baseOffset: Offset) {
    this.#baseOffset = baseOffset;
    this.#rows = new IndexRows(path, rowBytes);
  }

  get count(): number {
    return this.#rows.count;
  }

  append(lastOffset: Offset, position: number): void {
    const at = this.#rows.grow();
    this.#rows.bytes.writeInt32BE(lastOffset - this.#baseOffset, at);
    this.#rows.bytes.writeInt32BE(position, at + 4);
  }

  row(index: number): OffsetIndexRow | null {
    if (index < 0 || index >= this.#rows.count) return null;
    const bytes = this.#rows.bytes;
    return {
      offset: (this.#baseOffset + bytes.readInt32BE(index * rowBytes)) as Offset,
      position: bytes.readInt32BE(index * rowBytes + 4),
    };
  }

  last(): OffsetIndexRow | null {
    return this.row(this.#rows.count - 1);
  }

  /** The last row whose batch ends at or before `offset`, or null: start at position 0. */
  lookup(offset: Offset): OffsetIndexRow | null {
    return this.row(this.#firstAbove(offset) - 1);
  }

  /** Drops rows of batches that end at or after `offset`. */
  truncateTo(offset: Offset): void {
    this.#rows.truncate(this.#firstAbove((offset - 1) as Offset));
  }

  clear(): void {
    this.#rows.truncate(0);
  }

  #firstAbove(offset: Offset): number {
    const wanted = offset - this.#baseOffset;
    const bytes = this.#rows.bytes;
    let low = 0;
    let high = this.#rows.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bytes.readInt32BE(middle * rowBytes) <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Reads the file; rows stop at the first that is all zero after row 0 (Kafka preallocates). False, and no rows, where
   * it is missing, has half a row, does not rise strictly, or points beyond `segmentBytes`.
   */
  async load(disk: Disk, segmentBytes: number): Promise<boolean> {
    if (!(await this.#rows.load(disk))) return false;
    const bytes = this.#rows.bytes;
    let lastOffset = -1;
    let lastPosition = 0;
    for (let index = 0; index < this.#rows.count; index++) {
      const relative = bytes.readInt32BE(index * rowBytes);
      const position = bytes.readInt32BE(index * rowBytes + 4);
      if (relative === 0 && position === 0 && index > 0) {
        this.#rows.truncate(index);
        break;
      }
      if (relative <= lastOffset || position <= lastPosition || position >= segmentBytes) {
        this.#rows.truncate(0);
        return false;
      }
      lastOffset = relative;
      lastPosition = position;
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
