/**
 * In which order do bytes reach the files of one log? In that of the queue, one write at a time (I26).
 *
 * What is queued while a write is under way goes into the next one together, so writes are as large as the load asks
 * for. Between the batches stand tasks: what must happen after the batches before them and before those behind.
 *
 * The first write or task that fails is the last: the owner is told, and stops the queue.
 */
import type { DiskFile } from '../env/disk.ts';
import { assert } from '../model/assert.ts';
import type { Offset } from '../model/brands.ts';
import type { BrokerError } from '../model/fault.ts';
import type { Segment } from './segment.ts';
import { appendChunk } from './tail-cache.ts';

/** Who waits for a batch or a task. */
export interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/** Batches that lie next to one another in a segment. */
export interface BatchRun {
  readonly segment: Segment;
  readonly position: number;
  readonly chunks: readonly Buffer[];
  readonly byteLength: number;
  readonly recordCount: number;
  readonly nextOffset: Offset;
  /** Told by the owner, once the run is written or what else the answer depends on is done. */
  readonly waiter: Waiter | null;
}

interface Task {
  run(): Promise<void>;
  readonly waiter: Waiter;
}

export interface WriteQueueOwner {
  /** The file to write a run to; made, if it is a segment's first. */
  fileFor(run: BatchRun): Promise<DiskFile>;
  /** One write is done; the runs lie in the file, in order. */
  onWritten(runs: readonly BatchRun[]): void;
  /** Must call `stop`. */
  onFailed(error: unknown): void;
}

/** Bytes in one write; more of what is queued waits for the next. */
const largestWriteBytes = 8 << 20;

const isTask = (item: BatchRun | Task): item is Task => 'run' in item;

export class WriteQueue {
  readonly #owner: WriteQueueOwner;
  #items: (BatchRun | Task)[] = [];
  #isWriting = false;
  #writing: Promise<void> = Promise.resolve();
  #stopped: BrokerError | null = null;

  constructor(owner: WriteQueueOwner) {
    this.#owner = owner;
  }

  push(run: BatchRun): void {
    assert(this.#stopped === null, 'nothing is queued after the end');
    this.#items.push(run);
    this.#start();
  }

  /** Runs `work` when all that is queued now is done; nothing is written meanwhile. */
  runTask(work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== null) {
        reject(this.#stopped);
        return;
      }
      this.#items.push({ run: work, waiter: { resolve, reject } });
      this.#start();
    });
  }

  /** Nothing more is written; all that wait are refused. */
  stop(fault: BrokerError): void {
    this.#stopped ??= fault;
    const items = this.#items;
    this.#items = [];
    for (const { waiter } of items) waiter?.reject(fault);
  }

  /** Settles when no write is under way; never rejects. */
  atRest(): Promise<void> {
    return this.#writing;
  }

  #start(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    // Not at once: what else this turn of the event loop appends goes into the same write.
    this.#writing = Promise.resolve().then(() => this.#work());
  }

  async #work(): Promise<void> {
    try {
      for (let [first] = this.#items; first !== undefined && this.#stopped === null; [first] = this.#items) {
        if (isTask(first)) {
          await first.run();
          this.#items.shift();
          first.waiter.resolve();
        } else await this.#write(first);
      }
    } catch (error) {
      this.#owner.onFailed(error);
    } finally {
      this.#isWriting = false;
    }
  }

  /** One write of what is queued for one segment. It stays queued until it is written, for `stop` to find. */
  async #write(first: BatchRun): Promise<void> {
    const chunks: Buffer[] = [];
    let byteLength = 0;
    let count = 0;
    for (const item of this.#items) {
      if (isTask(item) || item.segment !== first.segment) break;
      if (count > 0 && byteLength + item.byteLength > largestWriteBytes) break;
      for (const chunk of item.chunks) appendChunk(chunks, chunk);
      byteLength += item.byteLength;
      count++;
    }
    const { segment, position } = first;
    assert(position === segment.writtenBytes, 'writes follow one another without a gap');
    const file = await this.#owner.fileFor(first);
    try {
      await file.write(chunks, position);
    } catch (error) {
      // Part of it may be there. What was written before stays whole if the rest can be cut off (I27).
      await file.truncate(position).catch(() => {});
      throw error;
    }
    if (this.#stopped !== null) return;
    segment.onWritten(byteLength);
    this.#owner.onWritten(this.#items.splice(0, count) as BatchRun[]);
  }
}
