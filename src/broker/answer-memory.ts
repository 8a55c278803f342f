/**
 * How much memory do answers to fetches hold, over all clients, and who may use it again when? A client that reads
 * slowly keeps its answer in memory, and many of them would keep any amount. So:
 *
 *   an answer may take    half of what is left of the bound, but always a little and always one batch: with the memory
 *                         full of slow clients' answers, the others get smaller ones, and nobody waits for anybody
 *   it is held            from before the read until the last byte has left or never will (`RequestContext.onAnswerGone`)
 *   what the disk gave    lies in buffers of a pool, which the next answer uses when this one is gone
 */
import type { ReadBuffers } from '../log/partition-log.ts';
import { assert } from '../model/assert.ts';
import type { BufferPool } from './buffer-pool.ts';

/** What one answer may take however little is left. */
const alwaysBytes = 64 << 10;

export class AnswerMemory {
  readonly #limitBytes: number;
  readonly #pool: BufferPool;
  #usedBytes = 0;

  /** `limitBytes`: `cordwood.answer.memory.bytes`. */
  constructor(limitBytes: number, pool: BufferPool) {
    this.#limitBytes = limitBytes;
    this.#pool = pool;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Below 0 when batches that had to be given went beyond the bound. */
  get leftBytes(): number {
    return this.#limitBytes - this.#usedBytes;
  }

  /** For one answer; the caller releases it. */
  lease(): AnswerLease {
    return new AnswerLease(this, this.#pool);
  }

  /** A lease holds so many bytes more, or fewer. */
  onHeld(bytes: number): void {
    this.#usedBytes += bytes;
  }
}

/** The memory of one answer. Whoever releases it must be sure that nobody reads or writes there any more. */
export class AnswerLease implements ReadBuffers {
  readonly #memory: AnswerMemory;
  readonly #pool: BufferPool;
  readonly #pooled: Buffer[] = [];
  #buffersBytes = 0;
  #heldBytes = 0;
  #isReleased = false;

  constructor(memory: AnswerMemory, pool: BufferPool) {
    this.#memory = memory;
    this.#pool = pool;
  }

  /** Bytes that this answer may still take. */
  get room(): number {
    return Math.max(0, alwaysBytes - this.#heldBytes, Math.floor(this.#memory.leftBytes / 2));
  }

  take(bytes: number): Buffer {
    assert(!this.#isReleased, 'nothing is read for an answer that is gone');
    const pooled = this.#pool.take(bytes);
    this.#buffersBytes += pooled?.length ?? bytes;
    this.holdAtLeast(this.#buffersBytes);
    if (pooled === null) return Buffer.allocUnsafeSlow(bytes);
    this.#pooled.push(pooled);
    return pooled.subarray(0, bytes);
  }

  /** The answer has so many bytes, wherever they lie: what is in the cache stays in memory for it as well. */
  holdAtLeast(bytes: number): void {
    if (bytes <= this.#heldBytes) return;
    this.#memory.onHeld(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }

  /** What was read so far is not answered: begin again. */
  reset(): void {
    assert(!this.#isReleased, 'a released answer does not begin again');
    this.#giveBack();
  }

  /** The end, once. */
  release(): void {
    assert(!this.#isReleased, 'an answer is released once');
    this.#isReleased = true;
    this.#giveBack();
  }

  #giveBack(): void {
    for (const buffer of this.#pooled.splice(0)) this.#pool.give(buffer);
    this.#memory.onHeld(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#buffersBytes = 0;
  }
}
