/**
 * How does an index file grow, shrink and come back? Rows of one width, in memory as the file holds them; rows that the
 * file lacks are written when the log is flushed or closed. An index is derived from its `.log` (I30): one that is
 * missing or fails its check is made again, so nothing here is synced on its own.
 */
import type { Disk, DiskFile } from '../env/disk.ts';
import { assert } from '../model/assert.ts';

export class IndexRows {
  #path: string;
  readonly #rowBytes: number;
  #rows: Buffer = Buffer.alloc(0);
  #count = 0;
  /** Rows that the file holds as they are in memory. */
  #writtenCount = 0;
  /** Rows that the file may hold, be they right or not. */
  #fileCount = 0;
  #file: DiskFile | null = null;

  constructor(path: string, rowBytes: number) {
    this.#path = path;
    this.#rowBytes = rowBytes;
  }

  /** The file has been renamed. */
  onRenamed(path: string): void {
    this.#path = path;
  }

  get count(): number {
    return this.#count;
  }

  /** The rows, to read fields from; `row * rowBytes` is where a row begins. */
  get bytes(): Buffer {
    return this.#rows;
  }

  /** Room for one more row; the caller writes all of it at the position given back. */
  grow(): number {
    const at = this.#count * this.#rowBytes;
    if (at + this.#rowBytes > this.#rows.length) {
      const larger = Buffer.allocUnsafe(Math.max(16 * this.#rowBytes, this.#rows.length * 2));
      this.#rows.copy(larger, 0, 0, at);
      this.#rows = larger;
    }
    this.#count++;
    return at;
  }

  truncate(count: number): void {
    assert(count <= this.#count, 'an index is cut to fewer rows than it has');
    this.#count = count;
    this.#writtenCount = Math.min(this.#writtenCount, count);
  }

  /** Takes the file's rows; false (and no rows) where it is missing or not a whole number of rows. */
  async load(disk: Disk): Promise<boolean> {
    let bytes: Buffer;
    try {
      bytes = await disk.readFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    this.#fileCount = Math.ceil(bytes.length / this.#rowBytes);
    if (bytes.length % this.#rowBytes !== 0) {
      this.#fileCount++;
      return false;
    }
    this.#rows = bytes;
    this.#count = this.#fileCount;
    this.#writtenCount = this.#count;
    return true;
  }

  /** Brings the file up to the rows in memory. Not to be called twice at once. */
  async persist(disk: Disk): Promise<void> {
    const { count } = { count: this.#count };
    if (this.#file !== null && count === this.#writtenCount && this.#fileCount === count) return;
    this.#file ??= await disk.open(this.#path, 'open-or-create');
    if (this.#fileCount > this.#writtenCount) {
      await this.#file.truncate(this.#writtenCount * this.#rowBytes);
      this.#fileCount = this.#writtenCount;
    }
    if (count === this.#writtenCount) return;
    const from = this.#writtenCount * this.#rowBytes;
    // Rows never change once they are there, and a cut waits for us, so the view stays what it is during the write.
    await this.#file.write([this.#rows.subarray(from, count * this.#rowBytes)], from);
    this.#writtenCount = count;
    this.#fileCount = count;
  }

  async sync(): Promise<void> {
    await this.#file?.sync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}
