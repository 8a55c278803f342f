/** Time in the simulated world: tasks in the order of their time, then of their scheduling. Nothing waits for real. */
import { present } from '../../src/model/assert.ts';

interface Scheduled {
  readonly atMs: number;
  readonly sequence: number;
  readonly task: () => void;
}

const isBefore = (a: Scheduled, b: Scheduled): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);

export class Scheduler {
  nowMs = 0;
  /** Tasks run so far. */
  steps = 0;
  /** A binary heap, earliest first. */
  readonly #heap: Scheduled[] = [];
  #sequence = 0;

  after(delayMs: number, task: () => void): void {
    this.at(this.nowMs + delayMs, task);
  }

  at(atMs: number, task: () => void): void {
    const heap = this.#heap;
    const added = { atMs: Math.max(atMs, this.nowMs), sequence: this.#sequence++, task };
    let index = heap.length;
    heap.push(added);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = present(heap[parentIndex], 'a parent is in the heap');
      if (!isBefore(added, parent)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = added;
  }

  /** Runs the next task; false when there is none, or none before `endMs`. */
  step(endMs: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > endMs) return false;
    this.#removeFirst();
    this.nowMs = first.atMs;
    this.steps++;
    first.task();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let childIndex = index * 2 + 1;
      let child = heap[childIndex];
      if (child === undefined) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childIndex++;
      }
      if (!isBefore(child, last)) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
  }
}
