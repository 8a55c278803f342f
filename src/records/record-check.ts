/**
 * May these records go into a compacted topic? Each needs a key (`LogValidator.validateKey`), and each must be what
 * compaction can read later: a batch it cannot would keep the whole log from being cleaned.
 *
 * What is wrong is refused with INVALID_RECORD, as Kafka does. The CRC was right, so it was made like this: a code that
 * clients try again, such as CORRUPT_MESSAGE, would cost everybody the same work until the delivery timeout. Of records
 * without a key the first hundred are named, where Kafka names all: a batch of a few kilobytes can hold millions.
 */
import { BrokerError } from '../model/fault.ts';
import { RecordWalk } from './record-walk.ts';

const mostErrors = 100;
const recordsOrHeadersAtOnce = 1 << 16;

export class RecordCheck {
  readonly #walk: RecordWalk;
  readonly #errors: { index: number; reason: string }[] = [];
  #index = 0;

  constructor(batch: Buffer) {
    this.#walk = new RecordWalk(batch);
  }

  /** The next records of the batch, whole ones. */
  enter(records: Buffer): void {
    this.#walk.enter(records);
  }

  /** Looks at some of those that were entered, for a few milliseconds; false when all have been. Throws INVALID_RECORD. */
  look(): boolean {
    const walk = this.#walk;
    try {
      for (let left = recordsOrHeadersAtOnce; left > 0; left--) {
        if (!walk.hasHeadersLeft) {
          if (!walk.next()) return false;
          if (!walk.hasKey) this.#noteKeyless();
          this.#index++;
        }
        left -= walk.checkHeaders(left);
      }
      return true;
    } catch (error) {
      throw refusalOf(error);
    }
  }

  #noteKeyless(): void {
    const reason = 'Compacted topic cannot accept message without key in topic partition';
    this.#errors.push({ index: this.#index, reason });
    if (this.#errors.length === mostErrors) this.#refuse();
  }

  #refuse(): never {
    throw new BrokerError({
      code: 'INVALID_RECORD',
      reason: 'One or more records have been rejected due to missing keys',
      recordErrors: this.#errors,
    });
  }

  /** There are no more. Throws INVALID_RECORD. */
  finish(): void {
    try {
      this.#walk.finish();
    } catch (error) {
      throw refusalOf(error);
    }
    if (this.#errors.length > 0) this.#refuse();
  }
}

/** All records of a batch, unpacked. Throws INVALID_RECORD. */
export function checkRecords(batch: Buffer, records: Buffer): void {
  const check = new RecordCheck(batch);
  check.enter(records);
  while (check.look());
  check.finish();
}

/** What a leader answers where records cannot be read. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof BrokerError) || error.fault.code !== 'CORRUPT_MESSAGE') return error;
  return new BrokerError({ code: 'INVALID_RECORD', reason: error.fault.reason });
}

/** How much larger than `max.message.bytes` the records of a batch may be, unpacked: enough for any honest text. */
const unpackFactor = 20;

/** Bytes that the records of one batch may unpack to, where they must be looked at. */
export const unpackLimit = (maxMessageBytes: number): number =>
  Math.min(Math.max(maxMessageBytes * unpackFactor, 64 << 20), 0x3fffffff);
