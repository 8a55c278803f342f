/**
 * How are records packed that never lie in memory all at once? Piece by piece, with a limit to what comes out: the codec
 * that is wanted may pack much worse than the one they came in.
 */
import { createGzip, createZstdCompress, type Gzip, type ZstdCompress } from 'node:zlib';
import { assert } from '../model/assert.ts';
import type { BlockFormat } from './block-format.ts';
import { type Codec, gzipOptions, zstdOptions } from './compression.ts';
import { lz4BlockFormat } from './lz4-frame.ts';
import { snappyBlockFormat } from './snappy-blocks.ts';

export class PackedTooLargeError extends Error {
  override name = 'PackedTooLargeError';
}

export interface Packer {
  /** The bytes are the caller's again when it resolves. Rejects with PackedTooLargeError. */
  write(bytes: Buffer): Promise<void>;
  /** All of it. Rejects with PackedTooLargeError. Nothing is called after it. */
  finish(): Promise<Buffer>;
  /** Nobody wants the result any more. */
  discard(): void;
}

const plainFormat: BlockFormat = {
  blockBytes: 0,
  start: Buffer.alloc(0),
  block: (bytes) => Buffer.from(bytes),
  end: Buffer.alloc(0),
};

/** At each codec's own level. At most `maxBytes` come out. */
export function packerOf(codec: Codec, maxBytes: number): Packer {
  switch (codec) {
    case 'none':
      return new BlockPacker(plainFormat, maxBytes);
    case 'gzip':
      return new ZlibPacker(createGzip(gzipOptions({})), maxBytes);
    case 'snappy':
      return new BlockPacker(snappyBlockFormat, maxBytes);
    case 'lz4':
      return new BlockPacker(lz4BlockFormat, maxBytes);
    case 'zstd':
      return new ZlibPacker(createZstdCompress(zstdOptions({})), maxBytes);
  }
}

/** What has come out so far. */
class PackedBytes {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#maxBytes) this.#parts = [];
    else this.#parts.push(part);
  }

  /** Throws PackedTooLargeError. */
  check(): void {
    if (this.#length > this.#maxBytes)
      throw new PackedTooLargeError(`the records are more than ${this.#maxBytes} bytes when they are packed anew`);
  }

  all(): Buffer {
    this.check();
    return Buffer.concat(this.#parts, this.#length);
  }
}

class BlockPacker implements Packer {
  readonly #format: BlockFormat;
  readonly #packed: PackedBytes;
  /** The block that is not full yet. */
  readonly #block: Buffer;
  #filled = 0;

  constructor(format: BlockFormat, maxBytes: number) {
    this.#format = format;
    this.#packed = new PackedBytes(maxBytes);
    this.#block = Buffer.allocUnsafe(format.blockBytes);
    this.#packed.add(format.start);
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#block.length === 0) this.#packed.add(this.#format.block(bytes));
    else
      for (let at = 0; at < bytes.length; ) {
        const copied = bytes.copy(this.#block, this.#filled, at);
        this.#filled += copied;
        at += copied;
        if (this.#filled === this.#block.length) this.#pack();
      }
    this.#packed.check();
  }

  #pack(): void {
    this.#packed.add(this.#format.block(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }

  async finish(): Promise<Buffer> {
    if (this.#filled > 0) this.#pack();
    this.#packed.add(this.#format.end);
    return this.#packed.all();
  }

  discard(): void {}
}

/** On Node's thread pool. */
class ZlibPacker implements Packer {
  readonly #stream: Gzip | ZstdCompress;
  readonly #packed: PackedBytes;
  readonly #ended: Promise<void>;

  constructor(stream: Gzip | ZstdCompress, maxBytes: number) {
    this.#stream = stream;
    this.#packed = new PackedBytes(maxBytes);
    stream.on('data', (part: Buffer) => this.#packed.add(part));
    this.#ended = new Promise((resolve, reject) => {
      stream.on('end', resolve);
      stream.on('error', reject);
    });
    this.#ended.catch(() => {}); // whoever writes is told as well
  }

  async write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    this.#packed.check();
  }

  async finish(): Promise<Buffer> {
    assert(!this.#stream.destroyed, 'a packer that was discarded packs nothing');
    this.#stream.end();
    await this.#ended;
    return this.#packed.all();
  }

  discard(): void {
    this.#stream.destroy();
  }
}
