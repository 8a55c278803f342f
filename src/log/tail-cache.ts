/**
 * What are the newest bytes of each partition, without asking the disk? One cache a process, bounded in bytes over all
 * partitions; the oldest bytes go first, whosever they are. Followers and consumers that keep up are served from here.
 *
 * A batch arrives as a view of the request it came in, and a view keeps all of that request in memory. So:
 *   - what is appended at once and is most of its memory is kept as it is;
 *   - others are copied, side by side, into slabs of the partition. The copy is also what is written to the file, so
 *     that the request can go at once and many small batches become one piece of a write and one piece of an answer.
 * What is counted against the bound is the memory that is kept alive, not the bytes that are asked for.
 */
import { assert } from '../model/assert.ts';
import type { Offset } from '../model/brands.ts';

interface Entry {
  readonly baseOffset: Offset;
  readonly nextOffset: Offset;
  readonly bytes: Buffer;
}

/** Memory that a partition keeps alive. */
interface Piece {
  readonly tail: PartitionTail;
  readonly memory: ArrayBufferLike;
  readonly bytes: number;
}

const smallestSlabBytes = 4 * 1024;
const largestSlabBytes = 64 * 1024;
/** Entries in front that were given up, before the array is moved up. */
const compactAfter = 1024;

export class TailCache {
  readonly #maxBytes: number;
  #bytes = 0;
  /** In the order it was taken; a partition gives up its own in the same order. */
  #pieces: (Piece | undefined)[] = [];
  #firstPiece = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** A quarter of the bound: what is larger does not go in, so that nothing ever pushes itself out. */
  get largestPieceBytes(): number {
    return this.#maxBytes >> 2;
  }

  /** Memory kept alive, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  tailOf(): PartitionTail {
    return new PartitionTail(this);
  }

  /** `tail` holds on to `memory` from now on. */
  take(tail: PartitionTail, memory: ArrayBufferLike): void {
    const bytes = memory.byteLength;
    this.#pieces.push({ tail, memory, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes) this.#giveUpOldest();
  }

  #giveUpOldest(): void {
    const oldest = this.#pieces[this.#firstPiece];
    assert(oldest !== undefined, 'bytes in the cache belong to a piece');
    // The slot lets go of the memory now, not when the array is moved up: a thousand large batches are a gigabyte.
    this.#pieces[this.#firstPiece++] = undefined;
    this.#bytes -= oldest.bytes;
    oldest.tail.giveUp(oldest.memory);
    if (this.#firstPiece >= compactAfter && this.#firstPiece * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#firstPiece);
      this.#firstPiece = 0;
    }
  }

  /** The partition is closed or was cut: none of its memory is kept any longer. */
  forget(tail: PartitionTail): void {
    const kept: Piece[] = [];
    let bytes = 0;
    for (let index = this.#firstPiece; index < this.#pieces.length; index++) {
      const piece = this.#pieces[index];
      if (piece === undefined || piece.tail === tail) continue;
      kept.push(piece);
      bytes += piece.bytes;
    }
    this.#pieces = kept;
    this.#firstPiece = 0;
    this.#bytes = bytes;
  }
}

export class PartitionTail {
  readonly #cache: TailCache;
  #entries: (Entry | undefined)[] = [];
  #first = 0;
  #slab: Buffer | null = null;
  /** The memory taken last, if it is still here. */
  #newest: ArrayBufferLike | null = null;
  #slabUsed = 0;
  #slabBytes = smallestSlabBytes / 2;

  constructor(cache: TailCache) {
    this.#cache = cache;
  }

  /**
   * Keeps the batch and gives the bytes to write for it: `batch` itself, or its copy. `arrivedBytes` is how much of the
   * memory behind it is being appended along with it.
   */
  add(batch: Buffer, baseOffset: Offset, nextOffset: Offset, arrivedBytes: number): Buffer {
    const isKept = arrivedBytes * 2 > batch.buffer.byteLength;
    if ((isKept ? batch.buffer.byteLength : batch.length) > this.#cache.largestPieceBytes) {
      this.clear(); // what is kept must have no hole
      return batch;
    }
    if (isKept && this.#newest !== batch.buffer) {
      this.#slab = null; // what it takes from here on would be younger than this batch, and go before it
      this.#take(batch.buffer);
    }
    const bytes = isKept ? batch : this.#copyToSlab(batch);
    this.#entries.push({ baseOffset, nextOffset, bytes });
    return bytes;
  }

  #take(memory: ArrayBufferLike): void {
    this.#newest = memory;
    this.#cache.take(this, memory);
  }

  #copyToSlab(batch: Buffer): Buffer {
    let slab = this.#slab;
    if (slab === null || this.#slabUsed + batch.length > slab.length) {
      // Slabs double from small ones, so that a partition with little traffic keeps little.
      this.#slabBytes = Math.min(this.#slabBytes * 2, largestSlabBytes, this.#cache.largestPieceBytes);
      slab = Buffer.allocUnsafeSlow(Math.max(batch.length, this.#slabBytes));
      this.#take(slab.buffer);
      this.#slab = slab;
      this.#slabUsed = 0;
    }
    batch.copy(slab, this.#slabUsed);
    const view = slab.subarray(this.#slabUsed, this.#slabUsed + batch.length);
    this.#slabUsed += batch.length;
    return view;
  }

  /** The cache needs the room: everything in `memory`, which is this partition's oldest. */
  giveUp(memory: ArrayBufferLike): void {
    while (this.#entries[this.#first]?.bytes.buffer === memory) this.#entries[this.#first++] = undefined;
    if (this.#slab?.buffer === memory) this.#slab = null;
    if (this.#newest === memory) this.#newest = null;
    if (this.#first >= compactAfter && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** The log was cut or closed: what is here may no longer be what the file holds. */
  clear(): void {
    this.#entries = [];
    this.#first = 0;
    this.#slab = null;
    this.#newest = null;
    this.#cache.forget(this);
  }

  /**
   * Whole batches from the one that holds `from`, of which all end at or before `endOffset`: at most `maxBytes`, but at
   * least one if `minOneBatch`. null when `from` is not here.
   */
  read(
    from: Offset,
    maxBytes: number,
    endOffset: Offset,
    minOneBatch: boolean,
  ): { chunks: Buffer[]; byteLength: number; baseOffset: Offset | null; nextOffset: Offset } | null {
    const entries = this.#entries;
    const oldest = entries[this.#first];
    if (oldest === undefined || from < oldest.baseOffset) return null;
    let low = this.#first;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((entries[middle] as Entry).nextOffset <= from) low = middle + 1;
      else high = middle;
    }
    const chunks: Buffer[] = [];
    let byteLength = 0;
    let nextOffset = from;
    const baseOffset = entries[low]?.baseOffset ?? null;
    for (let index = low; index < entries.length; index++) {
      const entry = entries[index] as Entry;
      if (entry.nextOffset > endOffset) break;
      if (byteLength + entry.bytes.length > maxBytes && !(minOneBatch && index === low)) break;
      appendChunk(chunks, entry.bytes);
      byteLength += entry.bytes.length;
      nextOffset = entry.nextOffset;
    }
    return { chunks, byteLength, baseOffset: byteLength === 0 ? null : baseOffset, nextOffset };
  }
}

/** Adds `bytes` to a list of chunks, as part of the last one where it follows it in memory. */
export function appendChunk(chunks: Buffer[], bytes: Buffer): void {
  const last = chunks.at(-1);
  if (last !== undefined && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset)
    chunks[chunks.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length);
  else chunks.push(bytes);
}
