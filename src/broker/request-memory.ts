/**
 * How many bytes of requests this broker holds at once, over all clients (I41). Above the high mark no connection is
 * read any further, so TCP holds the senders back; below the low mark all go on.
 */
export class RequestMemory {
  readonly #highBytes: number;
  readonly #lowBytes: number;
  #usedBytes = 0;
  #isFull = false;
  readonly #listeners = new Set<(isFull: boolean) => void>();

  /** `limitBytes`: `queued.max.request.bytes`. */
  constructor(limitBytes: number) {
    this.#highBytes = limitBytes;
    this.#lowBytes = Math.floor(limitBytes / 2);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }
  get isFull(): boolean {
    return this.#isFull;
  }

  take(bytes: number): void {
    this.#usedBytes += bytes;
    if (!this.#isFull && this.#usedBytes > this.#highBytes) this.#change(true);
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#isFull && this.#usedBytes <= this.#lowBytes) this.#change(false);
  }

  #change(isFull: boolean): void {
    this.#isFull = isFull;
    for (const listener of this.#listeners) listener(isFull);
  }

  /** `listener` runs at each change until the returned function is called. */
  onChange(listener: (isFull: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
