/**
 * In which order do batches reach a partition's log, some of which take long to be prepared? In that in which they came:
 * an idempotent producer sends the next batch before the last one is answered, and one that overtook another would be out
 * of sequence.
 */

export interface ProduceSteps<Outcome> {
  /** Gives the batch to append. */
  readonly prepare: () => Buffer | Promise<Buffer>;
  /** Resolves when this broker leads, rejects where it does not and will not soon. */
  readonly leading: () => unknown;
  /** Queues the batch before it returns. */
  readonly append: (batch: Buffer) => Promise<Outcome>;
}

export class ProduceTurns {
  #underWay = 0;
  #last: Promise<void> = Promise.resolve();
  #lastNumber = 0;
  /** Up to this number batches are refused: one before them was, for want of a leader. */
  #refused: { readonly upTo: number; readonly error: unknown } = { upTo: 0, error: null };

  /** Nobody has to wait for anybody. */
  get isEmpty(): boolean {
    return this.#underWay === 0;
  }

  /** The outcome of `append`, which is called when all that came before have been appended or refused. */
  run<Outcome>({ prepare, leading, append }: ProduceSteps<Outcome>): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const number = ++this.#lastNumber;
    this.#underWay++;
    this.#last = this.#last.then(async () => {
      try {
        const batch = await prepare();
        await this.#unlessRefused(number, leading);
        resolve(append(batch));
      } catch (error) {
        reject(error);
      } finally {
        this.#underWay--;
      }
    });
    return promise;
  }

  /** One that was let in behind a refused one would look like its producer's first. */
  async #unlessRefused(number: number, leading: () => unknown): Promise<void> {
    if (number <= this.#refused.upTo) throw this.#refused.error;
    try {
      await leading();
    } catch (error) {
      this.#refused = { upTo: this.#lastNumber, error };
      throw error;
    }
  }
}
