/**
 * Which batches must be looked into before they get their offset, and how does that hold up nobody? Those of a compacted
 * topic, for their keys, and those of a topic with a codec of its own that came in another.
 *
 *     small, and the turn has time    at once, without a promise
 *     small otherwise                 in a turn to come, in the order they came
 *     large, or packed and unknown    one after the other, piece by piece; the event loop turns between pieces
 *
 * One large one at a time over all logs of a broker: so the memory, the time and the share of the thread pool that it
 * takes are bounded, however many clients send what unpacks to very much. The order within a partition is the caller's
 * affair.
 */
import type { Clock, Timers } from '../env/clock.ts';
import { TurnBudget } from '../env/turn-budget.ts';
import { BrokerError } from '../model/fault.ts';
import * as header from '../records/batch-header.ts';
import { type Codec, codecOf, compress } from '../records/compression.ts';
import { PackedTooLargeError, packerOf } from '../records/packer.ts';
import { withPackedRecords } from '../records/record-batch.ts';
import { checkRecords, RecordCheck, refusalOf, unpackLimit } from '../records/record-check.ts';
import { recordPieces, recordsAtOnce } from '../records/record-pieces.ts';

export interface Inspection {
  /** Whether each record must have a key. */
  readonly checksKeys: boolean;
  /** What the records are to be packed in. */
  readonly codec: Codec;
  /** `max.message.bytes` */
  readonly maxMessageBytes: number;
}

/** Of one turn, for each of the two kinds; the step that goes beyond it takes some ten milliseconds at most. */
const budgetMs = 10;
/** What is packed at once: the slowest codec takes some milliseconds for it. */
const smallToPackBytes = 64 << 10;

/** Work that is done one after the other. */
class Lane {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  get isEmpty(): boolean {
    return this.#waiting === 0;
  }

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#waiting++;
    const done = this.#last.then(work);
    this.#last = done.catch(() => {}).then(() => this.#waiting--);
    return done;
  }
}

export class BatchInspector {
  /** Large batches have their own part of a turn: small ones, which are the most, do not wait for them. */
  readonly #forSmall: TurnBudget;
  /** Other long work of the logs takes its turns with them. */
  readonly turnsOfLarge: TurnBudget;
  readonly #small = new Lane();
  readonly #large = new Lane();

  constructor(modules: { readonly clock: Clock; readonly timers: Timers }) {
    this.#forSmall = new TurnBudget({ budgetMs }, modules);
    this.turnsOfLarge = new TurnBudget({ budgetMs }, modules);
  }

  /**
   * The batch as it is to be appended: itself, or another one in the wanted codec. It is valid as far as its header and
   * its CRC tell. Throws or rejects with INVALID_RECORD, and with MESSAGE_TOO_LARGE where the records are too many when
   * unpacked, or the batch is too large in the other codec: a client may be able to make smaller ones of it.
   */
  inspect(batch: Buffer, inspection: Inspection): Buffer | Promise<Buffer> {
    const inPieces = (): Promise<Buffer> => this.#large.run(() => this.#inPieces(batch, inspection));
    const inspected = this.#inSmallStep(() => atOnce(batch, inspection));
    return inspected instanceof Promise ? inspected.then((done) => done ?? inPieces()) : (inspected ?? inPieces());
  }

  /** At once where the turn has time, else in one to come. */
  #inSmallStep<Result>(step: () => Result): Result | Promise<Result> {
    if (this.#small.isEmpty && this.#forSmall.hasTime) return step();
    return this.#small.run(async () => {
      while (!this.#forSmall.hasTime) await this.#forSmall.nextTurn();
      return step();
    });
  }

  /**
   * Gives `look` the records of one batch of a log, in the same turns: all of a small one, of a large one a piece at a time,
   * until it finds something; null where it does not. Rejects with CORRUPT_MESSAGE, and with MESSAGE_TOO_LARGE where they
   * are too many when unpacked.
   */
  async search<Found>(
    batch: Buffer,
    maxMessageBytes: number,
    look: (records: Buffer) => Found | null,
  ): Promise<Found | null> {
    const searched = await this.#inSmallStep(() => {
      const records = recordsAtOnce(batch);
      return records === null ? null : { found: look(records) };
    });
    if (searched !== null) return searched.found;
    return this.#large.run(async () => {
      for await (const records of recordPieces(batch, unpackLimit(maxMessageBytes))) {
        await this.#turn();
        const found = look(records);
        if (found !== null) return found;
      }
      return null;
    });
  }

  async #turn(): Promise<void> {
    if (!this.turnsOfLarge.hasTime) await this.turnsOfLarge.nextTurn();
  }

  async #inPieces(batch: Buffer, { checksKeys, codec, maxMessageBytes }: Inspection): Promise<Buffer> {
    const check = checksKeys ? new RecordCheck(batch) : null;
    const packer = isIn(codec, batch) ? null : packerOf(codec, maxMessageBytes - header.batchHeaderBytes);
    try {
      // What is not packed again can be no larger than a batch.
      const mostBytes = packer !== null && codec === 'none' ? maxMessageBytes : unpackLimit(maxMessageBytes);
      for await (const records of recordPieces(batch, mostBytes)) {
        await this.#turn();
        check?.enter(records);
        while (check?.look()) await this.#turn();
        // One record may be all there is.
        for (let at = 0; packer !== null && at < records.length; at += smallToPackBytes) {
          await this.#turn();
          await packer.write(records.subarray(at, at + smallToPackBytes));
        }
      }
      check?.finish();
      return packer === null ? batch : withPackedRecords(batch, await packer.finish(), codec);
    } catch (error) {
      throw packedRefusalOf(error);
    } finally {
      packer?.discard();
    }
  }
}

const isIn = (codec: Codec, batch: Buffer): boolean => codecOf(header.codecNumberOf(batch)) === codec;

/** Null where it might take more than some milliseconds. */
function atOnce(batch: Buffer, { checksKeys, codec }: Inspection): Buffer | null {
  try {
    const records = recordsAtOnce(batch);
    if (records === null || (!isIn(codec, batch) && records.length > smallToPackBytes)) return null;
    if (checksKeys) checkRecords(batch, records);
    return isIn(codec, batch) ? batch : withPackedRecords(batch, compress(codec, records), codec);
  } catch (error) {
    throw refusalOf(error);
  }
}

function packedRefusalOf(error: unknown): unknown {
  if (error instanceof PackedTooLargeError)
    return new BrokerError({ code: 'MESSAGE_TOO_LARGE', reason: error.message });
  return refusalOf(error);
}
