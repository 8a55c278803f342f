/** Chance as an argument, so that a seed replays a run. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `length` random bytes; unguessable in production. */
  bytes(length: number): Buffer;
}
