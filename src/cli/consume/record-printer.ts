/** How do records reach standard output, no more of them than were asked for, and how do we know that they did? */
import type { ShownRecord } from './record-format.ts';

export class RecordPrinter {
  readonly #show: (record: ShownRecord) => Buffer;
  readonly #limit: number;
  readonly #onEnough: () => void;
  #shown = 0;

  /** `limit`: how many records at most; `onEnough` is called when they are out, or when nobody reads them any more. */
  constructor(show: (record: ShownRecord) => Buffer, limit: number | undefined, onEnough: () => void) {
    this.#show = show;
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
    this.#onEnough = onEnough;
  }

  /** Fulfilled with how many were written. Waits for a slow reader of our output instead of gathering records in memory. */
  async print(records: readonly ShownRecord[]): Promise<number> {
    const some = records.slice(0, Math.max(0, this.#limit - this.#shown));
    if (some.length === 0) return 0;
    this.#shown += some.length;
    const isWritten = await this.#write(Buffer.concat(some.map((record) => this.#show(record))));
    if (!isWritten || this.#shown >= this.#limit) this.#onEnough();
    return isWritten ? some.length : 0;
  }

  #write(bytes: Buffer): Promise<boolean> {
    return new Promise((resolve) => process.stdout.write(bytes, (error) => resolve(error == null)));
  }
}
