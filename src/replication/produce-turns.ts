/**
 * In which order do batches reach a partition's log, some of which take long to be prepared? In that in which they came:
 * an idempotent producer sends the next batch before the last one is answered, and one that overtook another would be out
 * of sequence.
 */

export interface ProduceSteps<Outcome> {
  /**
   * Throws, or rejects, where the partition takes nothing now, whatever the batch is: those that wait behind it are refused
   * as well. A promise where that is not known yet; when it has resolved this is asked again. Asked before the batch is
   * prepared, which may be much work for nothing, and before it is appended.
   */
  readonly admit: () => Promise<unknown> | undefined;
  /** Gives the batch to append. */
  readonly prepare: () => Buffer | Promise<Buffer>;
  /** Queues the batch before it returns; called in the same moment as it was admitted in. */
  readonly append: (batch: Buffer) => Promise<Outcome>;
}

export class ProduceTurns {
  #underWay = 0;
  #last: Promise<void> = Promise.resolve();
  #lastNumber = 0;
  /** Up to this number batches are refused: one before them was not admitted. */
  #refused: { readonly upTo: number; readonly error: unknown } = { upTo: 0, error: null };

  /** Nobody has to wait for anybody. */
  get isEmpty(): boolean {
    return this.#underWay === 0;
  }

  /** The outcome of `append`, which is called when all that came before have been appended or refused. */
  run<Outcome>({ admit, prepare, append }: ProduceSteps<Outcome>): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const number = ++this.#lastNumber;
    this.#underWay++;
    this.#last = this.#last.then(async () => {
      try {
        if (number <= this.#refused.upTo) throw this.#refused.error;
        const batch = await this.#onceAdmitted(admit, prepare);
        await this.#onceAdmitted(admit, () => resolve(append(batch)));
      } catch (error) {
        reject(error);
      } finally {
        this.#underWay--;
      }
    });
    return promise;
  }

  async #onceAdmitted<Result>(
    admit: ProduceSteps<unknown>['admit'],
    work: () => Result | Promise<Result>,
  ): Promise<Result> {
    try {
      for (let known = admit(); known !== undefined; known = admit()) await known;
    } catch (error) {
      // One that was let in behind a refused one would look like its producer's first.
      this.#refused = { upTo: this.#lastNumber, error };
      throw error;
    }
    return work();
  }
}
