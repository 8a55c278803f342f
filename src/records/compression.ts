/**
 * How is the records part of a batch packed and unpacked?
 *
 * Codec numbers are bits 0-2 of a batch's attributes. Unpacking always has a limit in bytes: what a client sends may
 * be a bomb. It runs only where records must be looked at (compacted topics, a topic with its own compression.type, the
 * console), never on the plain produce or fetch path: at once where it is known to be little, and else piece by piece, so
 * that whoever does it can let others have a turn; gzip and zstd, which are fast and know no such steps, on Node's thread
 * pool.
 */
import {
  constants,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  gzipSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import { BrokerError } from '../model/fault.ts';
import { DecompressionError, UnpackedTooLargeError } from './decompression-error.ts';
import { compressLz4Frame, decompressLz4Frame, lz4Pieces } from './lz4-frame.ts';
import { compressSnappy, decompressSnappy, snappyPieces } from './snappy-blocks.ts';

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

const codecsByNumber: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Throws UNSUPPORTED_COMPRESSION_TYPE for the numbers 5 to 7. */
export function codecOf(codecNumber: number): Codec {
  const codec = codecsByNumber[codecNumber];
  if (codec === undefined) throw new BrokerError({ code: 'UNSUPPORTED_COMPRESSION_TYPE' });
  return codec;
}

export const codecNumber = (codec: Codec): number => codecsByNumber.indexOf(codec);

/** Levels as in `compression.gzip.level` and `compression.zstd.level`; a codec's own default where none is given. */
export interface CompressionLevels {
  readonly gzip?: number;
  readonly zstd?: number;
}

export function compress(codec: Codec, bytes: Buffer, levels: CompressionLevels = {}): Buffer {
  switch (codec) {
    case 'none':
      return bytes;
    case 'gzip':
      return gzipSync(bytes, gzipOptions(levels));
    case 'snappy':
      return compressSnappy(bytes);
    case 'lz4':
      return compressLz4Frame(bytes);
    case 'zstd':
      return zstdCompressSync(bytes, zstdOptions(levels));
  }
}

export const gzipOptions = ({ gzip }: CompressionLevels): ZlibOptions => (gzip === undefined ? {} : { level: gzip });

export const zstdOptions = ({ zstd }: CompressionLevels): ZstdOptions =>
  zstd === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: zstd } };

/** At most `maxBytes` bytes come out. Throws DecompressionError for more, and for bytes that are not in this codec. */
export function decompress(codec: Codec, bytes: Buffer, maxBytes: number): Buffer {
  switch (codec) {
    case 'none':
      if (bytes.length > maxBytes) throw new UnpackedTooLargeError(maxBytes);
      return bytes;
    case 'gzip':
      return withZlibErrors(maxBytes, () => gunzipSync(bytes, { maxOutputLength: Math.max(maxBytes, 1) }));
    case 'snappy':
      return decompressSnappy(bytes, maxBytes);
    case 'lz4':
      return decompressLz4Frame(bytes, maxBytes);
    case 'zstd':
      return withZlibErrors(maxBytes, () => zstdDecompressSync(bytes, { maxOutputLength: Math.max(maxBytes, 1) }));
  }
}

function withZlibErrors(maxBytes: number, unpack: () => Buffer): Buffer {
  try {
    return unpack();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === 'ERR_BUFFER_TOO_LARGE' ? new UnpackedTooLargeError(maxBytes) : new DecompressionError(message);
  }
}

/** Of what the thread pool is asked for at a time. */
const chunkSize = 256 << 10;

/** The same in pieces of at most 5 MiB, some of which may be empty. Throws DecompressionError where it is reached. */
export function decompressInPieces(
  codec: Exclude<Codec, 'none'>,
  bytes: Buffer,
  maxBytes: number,
): Iterable<Buffer> | AsyncIterable<Buffer> {
  switch (codec) {
    case 'gzip':
      return zlibPieces(createGunzip({ chunkSize }), bytes, maxBytes);
    case 'snappy':
      return snappyPieces(bytes, maxBytes);
    case 'lz4':
      return lz4Pieces(bytes, maxBytes);
    case 'zstd':
      return zlibPieces(createZstdDecompress({ chunkSize }), bytes, maxBytes);
  }
}

async function* zlibPieces(
  stream: ReturnType<typeof createGunzip | typeof createZstdDecompress>,
  bytes: Buffer,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  stream.end(bytes);
  let left = maxBytes;
  try {
    // Who ends the loop before the stream does, destroys it.
    for await (const piece of stream as AsyncIterable<Buffer>) {
      left -= piece.length;
      if (left < 0) throw new UnpackedTooLargeError(maxBytes);
      yield piece;
    }
  } catch (error) {
    throw error instanceof DecompressionError ? error : new DecompressionError((error as Error).message);
  }
}
