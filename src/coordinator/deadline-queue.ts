/**
 * Which of many deadlines has come? A heap of (time, key) with one deadline per key; moving one leaves a stale entry
 * behind that is passed over when its time comes, so that a heartbeat, which moves one each time, costs a logarithm.
 */
import { present } from '../model/assert.ts';

interface Entry {
  readonly key: string;
  readonly atMs: number;
}

export class DeadlineQueue {
  readonly #heap: Entry[] = [];
  readonly #deadlines = new Map<string, number>();

  get size(): number {
    return this.#deadlines.size;
  }

  /** Milliseconds on the clock that `set` is given times of; null where there is no deadline. */
  deadlineOf(key: string): number | null {
    return this.#deadlines.get(key) ?? null;
  }

  set(key: string, atMs: number): void {
    this.#deadlines.set(key, atMs);
    this.#push({ key, atMs });
    // Keys that are moved often must not fill the heap with what is over.
    if (this.#heap.length > 64 && this.#heap.length > this.#deadlines.size * 4) this.#rebuild();
  }

  cancel(key: string): void {
    this.#deadlines.delete(key);
  }

  /** Everybody gets so much more time. */
  postpone(byMs: number): void {
    for (const [key, atMs] of this.#deadlines) this.#deadlines.set(key, atMs + byMs);
    this.#rebuild();
  }

  clear(): void {
    this.#deadlines.clear();
    this.#heap.length = 0;
  }

  /** Takes out and returns one key whose deadline is at or before `nowMs`, the earliest; null where none is. */
  takeDue(nowMs: number): string | null {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.#pop();
      if (this.#deadlines.get(first.key) !== first.atMs) continue;
      this.#deadlines.delete(first.key);
      return first.key;
    }
    return null;
  }

  #rebuild(): void {
    this.#heap.length = 0;
    for (const [key, atMs] of this.#deadlines) this.#push({ key, atMs });
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = present(heap[parent], 'a heap has no holes');
      if (above.atMs <= entry.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = present(heap.pop(), 'there was an entry to take');
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      let below = present(heap[child], 'a heap has no holes');
      if (right !== undefined && right.atMs < below.atMs) {
        child++;
        below = right;
      }
      if (below.atMs >= last.atMs) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
