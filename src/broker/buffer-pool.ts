/**
 * Large buffers that are used again. A new megabyte costs more than reading into it: the system clears its pages one
 * fault at a time, and the collector, which only sees how much is outside the heap, runs for each few of them.
 *
 *     take(300 KiB) ──► 520 KiB, free or new ──► lent ──► give: free again, on top, so that few are kept busy
 *                       └ the bound is reached, and nothing free makes room: null, the caller allocates
 */
import { assert } from '../model/assert.ts';

/** Of a process: ten consumers that are a few megabytes each behind the cache. What more of them need is collected. */
export const bufferPoolBytes = 32 << 20;
/** Sizes are this times a power of two, up to the largest read there is, */
const smallestBufferBytes = 64 << 10;
const largestBufferBytes = 8 << 20;
/** and this much more: clients ask for powers of two, and what a read skips before its first batch comes on top. */
const spareBytes = 8 << 10;
/** Up to here the collector is cheaper than the care. */
const collectedBytes = 32 << 10;
const sizeOf = (sizeClass: number): number => (smallestBufferBytes << sizeClass) + spareBytes;
const sizeClassOf = (bytes: number): number => Math.max(0, 32 - Math.clz32(bytes - spareBytes - 1) - 16);
const sizeClasses = sizeClassOf(largestBufferBytes) + 1;

export class BufferPool {
  readonly #maxBytes: number;
  #bytes = 0;
  /** By size class; each class has twice the bytes of the one before. */
  readonly #free: readonly Buffer[][] = Array.from({ length: sizeClasses }, () => []);
  readonly #lent = new Set<Buffer>();

  /** `maxBytes`: of all its buffers, free and lent. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Memory of all its buffers, free and lent. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many buffers are lent. */
  get lent(): number {
    return this.#lent.size;
  }

  /** A buffer of at least `bytes` bytes and at most about twice as many, or null: too small, too large, or no room. */
  take(bytes: number): Buffer | null {
    if (bytes <= collectedBytes || bytes > largestBufferBytes + spareBytes) return null;
    const sizeClass = sizeClassOf(bytes);
    const buffer = this.#free[sizeClass]?.pop() ?? this.#make(sizeOf(sizeClass));
    if (buffer !== null) this.#lent.add(buffer);
    return buffer;
  }

  #make(bytes: number): Buffer | null {
    for (let sizeClass = sizeClasses - 1; sizeClass >= 0 && this.#bytes + bytes > this.#maxBytes; ) {
      // What other reads needed and nobody uses now gives way.
      if (this.#free[sizeClass]?.pop() === undefined) sizeClass--;
      else this.#bytes -= sizeOf(sizeClass);
    }
    if (this.#bytes + bytes > this.#maxBytes) return null;
    this.#bytes += bytes;
    return Buffer.allocUnsafeSlow(bytes);
  }

  /** Takes back what `take` gave, once: a buffer in two hands would send one client the bytes of another. */
  give(buffer: Buffer): void {
    assert(this.#lent.delete(buffer), 'a buffer is given back once, by who has it');
    this.#free[sizeClassOf(buffer.length)]?.push(buffer);
  }
}
