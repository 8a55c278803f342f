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
import { DecompressionError } from './decompression-error.ts';

interface SnappyBlocks {
  compress(bytes: Buffer): Buffer;
  uncompress(block: Buffer): Buffer;
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
    uncompress(bytes: Uint8Array): Uint8Array;
  };
  return {
    compress: (bytes) => asBuffer(module.compress(bytes)),
    uncompress: (block) => asBuffer(module.uncompress(block)),
  };
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
  if (!source.subarray(0, 8).equals(xerialMagic)) return decompressBlock(source, maxBytes, with_);
  const parts: Buffer[] = [];
  let total = 0;
  let at = xerialHeader.length;
  if (source.length < at) throw new DecompressionError('the snappy stream is cut short');
  while (at < source.length) {
    if (at + 4 > source.length) throw new DecompressionError('the snappy stream is cut short');
    const length = source.readInt32BE(at);
    at += 4;
    if (length < 0 || at + length > source.length) throw new DecompressionError('a snappy block is cut short');
    const part = decompressBlock(source.subarray(at, at + length), maxBytes - total, with_);
    parts.push(part);
    total += part.length;
    at += length;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, total);
}

function decompressBlock(block: Buffer, maxBytes: number, with_: SnappyBlocks): Buffer {
  const length = unpackedLength(block);
  if (length > maxBytes) throw new DecompressionError('the batch unpacks to more bytes than allowed');
  try {
    const bytes = with_.uncompress(block);
    if (bytes.length !== length) throw new DecompressionError('a snappy block has another length than it says');
    return bytes;
  } catch (error) {
    throw error instanceof DecompressionError ? error : new DecompressionError(`snappy: ${(error as Error).message}`);
  }
}

/** The varint at the start of a block. A copy yields at most 64 bytes for 2, so greater claims are lies. */
function unpackedLength(block: Buffer): number {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) throw new DecompressionError('a snappy block is cut short');
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      if (value > block.length * 64) throw new DecompressionError('a snappy block claims more than it can hold');
      return value;
    }
  }
  throw new DecompressionError('a snappy block begins with a length that is none');
}

/** A xerial stream of `bytes`. */
export function compressSnappy(bytes: Buffer, with_: SnappyBlocks = blocks): Buffer {
  const parts: Buffer[] = [xerialHeader];
  for (let at = 0; at < bytes.length; at += writtenBlockBytes) {
    const block = with_.compress(bytes.subarray(at, at + writtenBlockBytes));
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}
