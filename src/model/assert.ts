/** Broken assumptions are bugs: they end the process, in production too, before they can spoil data. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The end of a switch over a union: a new member without a case does not compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** A value that cannot be missing here; `why` says what makes that so. */
export function present<Value>(value: Value | null | undefined, why: string): Value {
  if (value === null || value === undefined) throw new AssertionError(`missing: ${why}`);
  return value;
}
