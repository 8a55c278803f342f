/** What a read of the log may give, and where its bytes go. */
import type { Offset } from '../model/brands.ts';

/** Memory that the reader of the log gives out and takes back itself; what it holds is the caller's to know. */
export interface ReadBuffers {
  /** `bytes` of memory with any content. It stays the log's until the read has ended, whether or not it is used. */
  take(bytes: number): Buffer;
}

export interface ReadLimits {
  readonly maxBytes: number;
  /** Exclusive; batches that end beyond it are left out. */
  readonly endOffset: Offset;
  /** The first batch is given even if it is larger than `maxBytes`. */
  readonly minOneBatch: boolean;
  /** For bytes that come from the disk; without it they are the garbage collector's. */
  readonly buffers?: ReadBuffers;
}

/** Memory that nobody gives back. */
export const plainBuffers: ReadBuffers = { take: (bytes) => Buffer.allocUnsafeSlow(bytes) };
