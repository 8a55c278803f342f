/** A packed form that is made of blocks which know nothing of one another. */
export interface BlockFormat {
  /** Of what is to be packed, in each block but the last; 0 for whatever comes. */
  readonly blockBytes: number;
  readonly start: Buffer;
  /** What stands for `bytes`; nothing that is used after they are others'. */
  block(bytes: Buffer): Buffer;
  readonly end: Buffer;
}
