/** Is anything being written to or cut off a log? Whoever changes the role of a replica waits until nothing is (§2.5). */
export class AppendsUnderWay {
  #count = 0;
  #onEnded: (() => void)[] = [];

  /** Counts an append or truncation of the log from its start to its end; gives back the same result. */
  async track<Result>(work: Promise<Result>): Promise<Result> {
    this.#count++;
    try {
      return await work;
    } finally {
      this.#count--;
      if (this.#count === 0) for (const resolve of this.#onEnded.splice(0)) resolve();
    }
  }

  /** Resolves once nothing is under way; never rejects. */
  ended(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEnded.push(resolve));
  }
}
