/**
 * How is the records part of a batch packed and unpacked?
 *
 * Codec numbers are bits 0-2 of a batch's attributes. Unpacking always has a limit in bytes: what a client sends may
 * be a bomb. Both directions are synchronous, since they run only where records must be looked at (compacted topics,
 * a topic with its own compression.type, the console), never on the plain produce or fetch path.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BrokerError } from '../model/fault.ts';
import { DecompressionError } from './decompression-error.ts';
import { compressLz4Frame, decompressLz4Frame } from './lz4-frame.ts';
import { compressSnappy, decompressSnappy } from './snappy-blocks.ts';

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
      return gzipSync(bytes, levels.gzip === undefined ? {} : { level: levels.gzip });
    case 'snappy':
      return compressSnappy(bytes);
    case 'lz4':
      return compressLz4Frame(bytes);
    case 'zstd':
      return zstdCompressSync(
        bytes,
        levels.zstd === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: levels.zstd } },
      );
  }
}

/** At most `maxBytes` bytes come out. Throws DecompressionError for more, and for bytes that are not in this codec. */
export function decompress(codec: Codec, bytes: Buffer, maxBytes: number): Buffer {
  switch (codec) {
    case 'none':
      if (bytes.length > maxBytes) throw new DecompressionError('the batch holds more bytes than allowed');
      return bytes;
    case 'gzip':
      return withZlibErrors(() => gunzipSync(bytes, { maxOutputLength: Math.max(maxBytes, 1) }));
    case 'snappy':
      return decompressSnappy(bytes, maxBytes);
    case 'lz4':
      return decompressLz4Frame(bytes, maxBytes);
    case 'zstd':
      return withZlibErrors(() => zstdDecompressSync(bytes, { maxOutputLength: Math.max(maxBytes, 1) }));
  }
}

function withZlibErrors(unpack: () => Buffer): Buffer {
  try {
    return unpack();
  } catch (error) {
    throw new DecompressionError((error as Error).message);
  }
}
