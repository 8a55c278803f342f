/**
 * What goes wrong between values and bytes. `WireError`: the bytes of another are malformed; close that connection.
 * `EncodeError`: a value of ours does not fit the field it was given for; a bug, or an answer that echoes too much.
 */

/** Both name the field they were met in: `topics.partitions.fetchOffset: 8 bytes needed, 3 left at byte 41`. */
abstract class CodecError extends Error {
  readonly reason: string;
  #path = '';

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }

  /** Adds the field or message that holds the place named so far. */
  within(name: string): this {
    this.#path = this.#path === '' ? name : `${name}.${this.#path}`;
    this.message = `${this.#path}: ${this.reason}`;
    return this;
  }
}

/** Bytes that are no Kafka message: cut short, lengths that cannot be, trailing bytes, a frame beyond the limit. */
export class WireError extends CodecError {
  override name = 'WireError';
}

/** A value that the wire cannot carry: an integer out of range, null where the version has no null, a string over 32,767 bytes. */
export class EncodeError extends CodecError {
  override name = 'EncodeError';
}

/** Names the field of an error on its way up; errors of other kinds pass unchanged. */
export function inField(name: string, error: unknown): unknown {
  return error instanceof CodecError ? error.within(name) : error;
}
