/**
 * How does snappy in record batches turn into bytes and back?
 *
 * Kafka writes snappy-java's ("xerial") stream and not a bare block:
 *
 *     82 'SNAPPY' 00 · int32 version · int32 lowest compatible version · { int32 length · snappy block }…
 *
 * Some clients send one bare block instead; Kafka's own clients read both, and so do we. A snappy block begins with
 * its unpacked length, so the limit is checked before anything is allocated.
 */
import { createRequire } from 'node:module';
import type { BlockFormat } from './block-format.ts';
import { DecompressionError, UnpackedTooLargeError } from './decompression-error.ts';

interface SnappyBlocks {
  compress(bytes: Buffer): Buffer;
  /** Null: `blockPieces` does it. */
  readonly uncompress: ((block: Buffer) => Buffer) | null;
}

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeader = Buffer.concat([xerialMagic, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])]);
/** snappy-java's default block size; its reader takes others too. */
const writtenBlockBytes = 32 * 1024;

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Exported for the test that runs both. */
export function snappyInJavaScript(): SnappyBlocks {
  const module = createRequire(import.meta.url)('snappyjs') as {
    compress(bytes: Uint8Array): Uint8Array;
  };
  return { compress: (bytes) => asBuffer(module.compress(bytes)), uncompress: null };
}

function nativeSnappy(): SnappyBlocks | null {
  try {
    const module = createRequire(import.meta.url)('snappy') as {
      compressSync(bytes: Buffer): Buffer;
      uncompressSync(bytes: Buffer, options: { asBuffer: true }): Buffer;
    };
    return {
      compress: (bytes) => module.compressSync(bytes),
      uncompress: (block) => module.uncompressSync(block, { asBuffer: true }),
    };
  } catch {
    return null;
  }
}

const blocks = nativeSnappy() ?? snappyInJavaScript();

/** The bytes in `source`, at most `maxBytes` of them. Throws DecompressionError. */
export function decompressSnappy(source: Buffer, maxBytes: number, with_: SnappyBlocks = blocks): Buffer {
  const pieces = [...snappyPieces(source, maxBytes, with_)];
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

/**
 * The same piece by piece, each of which takes less than a millisecond; one without bytes where many blocks had none.
 * Throws DecompressionError where the block in question is reached.
 */
export function* snappyPieces(
  source: Buffer,
  maxBytes: number,
  with_: SnappyBlocks = blocks,
): Generator<Buffer, void, undefined> {
  if (!source.subarray(0, 8).equals(xerialMagic)) {
    yield* blockPieces(source, maxBytes, maxBytes, with_);
    return;
  }
  let left = maxBytes;
  let at = xerialHeader.length;
  let blocksSincePiece = 0;
  if (source.length < at) throw new DecompressionError('the snappy stream is cut short');
  while (at < source.length) {
    if (at + 4 > source.length) throw new DecompressionError('the snappy stream is cut short');
    const length = source.readInt32BE(at);
    at += 4;
    if (length < 0 || at + length > source.length) throw new DecompressionError('a snappy block is cut short');
    blocksSincePiece++;
    for (const piece of blockPieces(source.subarray(at, at + length), left, maxBytes, with_)) {
      if (piece.length === 0 && blocksSincePiece < pieceBlocks) continue;
      left -= piece.length;
      blocksSincePiece = 0;
      yield piece;
    }
    at += length;
  }
}

/** What is unpacked in one step. */
const pieceBytes = 256 << 10;
/** Nor is one step more blocks, which may hold nothing. */
const pieceBlocks = 1024;

function* blockPieces(block: Buffer, leftBytes: number, maxBytes: number, with_: SnappyBlocks): Generator<Buffer> {
  const { length, at } = unpackedLength(block);
  if (length > leftBytes) throw new UnpackedTooLargeError(maxBytes);
  if (with_.uncompress === null || length === 0 || length > pieceBytes) yield* unpackInSteps(block, at, length);
  else yield unpackNatively(block, length, with_.uncompress);
}

function unpackNatively(block: Buffer, length: number, uncompress: (block: Buffer) => Buffer): Buffer {
  let bytes: Buffer;
  try {
    bytes = uncompress(block);
  } catch (error) {
    throw new DecompressionError(`snappy: ${(error as Error).message}`);
  }
  if (bytes.length !== length) throw new DecompressionError('a snappy block has another length than it says');
  return bytes;
}

/**
 * The elements of a block, from `at` on (github.com/google/snappy `format_description.txt`): the low two bits of a tag say
 * whether bytes follow, or where in what is unpacked already they are, told in 1, 2 or 4 bytes.
 */
function* unpackInSteps(block: Buffer, at: number, length: number): Generator<Buffer> {
  const target = Buffer.allocUnsafe(length);
  let to = 0;
  let given = 0;
  while (at < block.length) {
    const tag = block[at++] as number;
    const kind = tag & 3;
    let count = (tag >> 2) + 1;
    const numberBytes = kind === 0 ? Math.max(0, count - 60) : kind === 3 ? 4 : kind;
    if (at + numberBytes > block.length) throw new DecompressionError('a snappy block is cut short');
    let number = 0;
    for (let index = 0; index < numberBytes; index++) number += (block[at++] as number) * 2 ** (8 * index);
    if (kind === 0) {
      if (numberBytes > 0) count = number + 1;
      if (at + count > block.length || to + count > length)
        throw new DecompressionError('a snappy block has another length than it says');
      if (count > 32) block.copy(target, to, at, at + count);
      else for (let index = 0; index < count; index++) target[to + index] = block[at + index] as number;
      at += count;
      to += count;
    } else {
      if (kind === 1) {
        count = ((tag >> 2) & 7) + 4;
        number += (tag >> 5) << 8;
      }
      if (number === 0 || number > to) throw new DecompressionError('a snappy copy points before the data');
      if (to + count > length) throw new DecompressionError('a snappy block has another length than it says');
      // It may run into what it writes itself: byte by byte is what the format means.
      for (const stop = to + count; to < stop; to++) target[to] = target[to - number] as number;
    }
    if (to - given >= pieceBytes) {
      yield target.subarray(given, to);
      given = to;
    }
  }
  if (to !== length) throw new DecompressionError('a snappy block has another length than it says');
  if (to > given || length === 0) yield target.subarray(given);
}

/** The varint at the start of a block, and where it ends. A copy yields at most 64 bytes for 2: greater claims are lies. */
function unpackedLength(block: Buffer): { readonly length: number; readonly at: number } {
  let length = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) throw new DecompressionError('a snappy block is cut short');
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      if (length > block.length * 64) throw new DecompressionError('a snappy block claims more than it can hold');
      return { length, at: index + 1 };
    }
  }
  throw new DecompressionError('a snappy block begins with a length that is none');
}

/** A xerial stream of `bytes`. */
export function compressSnappy(bytes: Buffer, with_: SnappyBlocks = blocks): Buffer {
  const parts: Buffer[] = [xerialHeader];
  for (let at = 0; at < bytes.length; at += writtenBlockBytes)
    parts.push(writtenBlock(bytes.subarray(at, at + writtenBlockBytes), with_));
  return Buffer.concat(parts);
}

function writtenBlock(bytes: Buffer, with_: SnappyBlocks): Buffer {
  const block = with_.compress(bytes);
  const length = Buffer.allocUnsafe(4);
  length.writeInt32BE(block.length);
  return Buffer.concat([length, block]);
}

/** The same, put together from blocks that are packed one by one. */
export const snappyBlockFormat: BlockFormat = {
  blockBytes: writtenBlockBytes,
  start: xerialHeader,
  block: (bytes) => writtenBlock(bytes, blocks),
  end: Buffer.alloc(0),
};
