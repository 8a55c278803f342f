/**
 * How much may clients make the groups of one broker keep that no log holds? Who joins a classic group is known before
 * anything is written of it: an id is given out, and what the member says is kept for as long as it wished its session to
 * be, also when its connection is gone. Whoever opens many connections, or makes up many groups, could fill the heap.
 *
 *                 all of it                        half of it
 *     ├───────────────────────────────────┬───────────────────────┤
 *      groups that a log knows of           groups nobody has written of may have no more than this
 *
 * So members of groups that have been there can join again while others make groups up. Whoever finds no room is told
 * COORDINATOR_NOT_AVAILABLE, and comes again: what generations have come of, and what has ended, is given back.
 */
export class GroupMemory {
  readonly #limitBytes: number;
  readonly #onRefused: () => void;
  #usedBytes = 0;

  /** `onRefused` runs each time that somebody finds no room. */
  constructor(limitBytes: number, onRefused: () => void = () => {}) {
    this.#limitBytes = limitBytes;
    this.#onRefused = onRefused;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  hasRoom(bytes: number, isWritten: boolean): boolean {
    const limitBytes = isWritten ? this.#limitBytes : this.#limitBytes / 2;
    if (this.#usedBytes + bytes <= limitBytes) return true;
    this.#onRefused();
    return false;
  }

  /** Whether there was room or not; less than nothing where something is given back. */
  take(bytes: number): void {
    this.#usedBytes += bytes;
  }
}

/** What the groups of one shard keep, which is given back when the shard is no more. */
export class ShardMemory {
  readonly #all: GroupMemory;
  #usedBytes = 0;
  #isClosed = false;

  constructor(all: GroupMemory) {
    this.#all = all;
  }

  hasRoom(bytes: number, isWritten: boolean): boolean {
    return this.#all.hasRoom(bytes, isWritten);
  }

  take(bytes: number): void {
    if (this.#isClosed) return;
    this.#usedBytes += bytes;
    this.#all.take(bytes);
  }

  close(): void {
    this.take(-this.#usedBytes);
    this.#isClosed = true;
  }
}
