/**
 * How do LZ4 frames, the form that Kafka's record batches use, turn into bytes and back?
 *
 *     magic 04 22 4D 18 · FLG · BD · [content size, 8] · [dictionary id, 4] · header checksum, 1
 *     blocks: uint32 LE (top bit: stored as it is) · bytes · [checksum, 4]      … ended by a zero length
 *     [content checksum, 4]
 *
 * (github.com/lz4/lz4 `doc/lz4_Frame_format.md`; Kafka: `Lz4BlockOutputStream.java`, `Lz4BlockInputStream.java`.)
 *
 * Reading is done here and not by a library, since none we have stops at a limit: 255 bytes out for one byte in makes
 * a bomb of any small batch. Checksums inside the frame are not verified: the batch's CRC-32C covers all of it.
 * Written frames have independent blocks, because Kafka's Java reader refuses the others; the pure JavaScript path
 * writes its own frame around lz4js' blocks for that reason.
 */
import { createRequire } from 'node:module';
import { assert } from '../model/assert.ts';
import type { BlockFormat } from './block-format.ts';
import { DecompressionError, UnpackedTooLargeError } from './decompression-error.ts';

const magic = 0x184d2204;
const blockBytesByCode: Readonly<Record<number, number>> = { 4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22 };

/** How far back a match may point. */
const windowBytes = 1 << 16;
/** Of what is unpacked in one step. */
const pieceBytes = 256 << 10;
/** Nor is one step more blocks, which may hold one byte each, or none. */
const pieceBlocks = 1024;

/** The bytes in a frame, at most `maxBytes` of them. Throws DecompressionError. */
export function decompressLz4Frame(source: Buffer, maxBytes: number): Buffer {
  const pieces = [...lz4Pieces(source, maxBytes)];
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

/**
 * The same in pieces, each of which takes a millisecond or two; one without bytes where many blocks had none. Throws
 * DecompressionError where the block in question is reached.
 */
export function* lz4Pieces(source: Buffer, maxBytes: number): Generator<Buffer, void, undefined> {
  const frame = readFrameHeader(source);
  const trailerBytes = 4 + frame.contentChecksumBytes;
  // Blocks stand one after another in it, so that those that point back find the others in front of themselves.
  let target = Buffer.alloc(0);
  let to = 0;
  let given = 0;
  let unpacked = 0;
  let blocks = 0;
  let at = frame.headerBytes;
  for (;;) {
    if (at + 4 > source.length) throw new DecompressionError('the lz4 frame is cut short');
    const word = source.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const length = word & 0x7fffffff;
    if (length > frame.blockBytes || at + length > source.length)
      throw new DecompressionError('an lz4 block is longer than it can be');
    const isStored = word >>> 31 === 1;
    const block = source.subarray(at, at + length);
    at += length + frame.blockChecksumBytes;
    const mostBytes = isStored ? length : Math.min(frame.blockBytes, length * mostBytesOut);
    const room = Math.min(mostBytes, maxBytes - unpacked);
    if (room > target.length - to) {
      if (to > given) yield target.subarray(given, to);
      const window = target.subarray(frame.areBlocksLinked ? Math.max(0, to - windowBytes) : to, to);
      // Twice the room: however little of it a block takes, as much is written as is needed now before the next copy.
      const restBytes = room + Math.max(0, source.length - at - trailerBytes) * mostBytesOut;
      const newBytes = Math.min(2 * Math.max(room, pieceBytes), maxBytes - unpacked, restBytes);
      target = Buffer.allocUnsafe(window.length + newBytes);
      to = given = window.copy(target);
    }
    const start = to;
    const place = { from: frame.areBlocksLinked ? 0 : start, to: start, limit: start + room };
    for (to of isStored ? copyStored(block, target, place) : decompressBlock(block, target, place)) {
      if (to < 0) {
        if (room < mostBytes) throw new UnpackedTooLargeError(maxBytes);
        throw new DecompressionError('an lz4 block unpacks to more bytes than a block has');
      }
      if (to - given < pieceBytes) continue;
      yield target.subarray(given, to);
      given = to;
      blocks = 0;
    }
    unpacked += to - start;
    if (++blocks < pieceBlocks) continue;
    yield target.subarray(given, to);
    given = to;
    blocks = 0;
  }
  if (at + frame.contentChecksumBytes > source.length) throw new DecompressionError('the lz4 frame is cut short');
  if (to > given) yield target.subarray(given, to);
}

interface FrameHeader {
  readonly headerBytes: number;
  readonly blockBytes: number;
  readonly blockChecksumBytes: number;
  readonly contentChecksumBytes: number;
  readonly areBlocksLinked: boolean;
}

function readFrameHeader(source: Buffer): FrameHeader {
  if (source.length < 7 || source.readUInt32LE(0) !== magic) throw new DecompressionError('not an lz4 frame');
  const flags = source.readUInt8(4);
  if (flags >> 6 !== 1) throw new DecompressionError(`lz4 frame version ${flags >> 6}`);
  const blockBytes = blockBytesByCode[(source.readUInt8(5) >> 4) & 7];
  if (blockBytes === undefined) throw new DecompressionError('lz4 block size out of range');
  return {
    headerBytes: 7 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0),
    blockBytes,
    blockChecksumBytes: flags & 0x10 ? 4 : 0,
    contentChecksumBytes: flags & 0x04 ? 4 : 0,
    areBlocksLinked: (flags & 0x20) === 0,
  };
}

/** Where in the target a block is written. */
interface Place {
  /** The first byte a match may point to. */
  readonly from: number;
  readonly to: number;
  readonly limit: number;
}

/** As `decompressBlock`. */
function* copyStored(block: Buffer, target: Buffer, { to, limit }: Place): Generator<number, void, undefined> {
  yield to + block.length > limit ? -1 : to + block.copy(target, to);
}

/** A byte of a block stands for at most as many: it makes a match longer. */
const mostBytesOut = 255;

/**
 * One block of [token · literals · match offset · match length]…; gives the position after what it wrote, again and again
 * and at last where all of it is written, or -1 where the limit is too near for it.
 */
function* decompressBlock(source: Buffer, target: Buffer, place: Place): Generator<number, void, undefined> {
  const { from, limit } = place;
  let { to } = place;
  const end = source.length;
  let at = 0;
  let given = to;
  while (at < end) {
    if (to - given >= pieceBytes) {
      yield to;
      given = to;
    }
    const token = source[at++] as number;
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= end) throw new DecompressionError('an lz4 block ends inside a length');
        more = source[at++] as number;
        literals += more;
      }
    }
    if (at + literals > end) throw new DecompressionError('an lz4 block ends inside its literals');
    if (to + literals > limit) return yield -1;
    if (literals > 32) {
      source.copy(target, to, at, at + literals);
      to += literals;
      at += literals;
    } else {
      const stop = at + literals;
      while (at < stop) target[to++] = source[at++] as number;
    }
    if (at === end) break; // the last sequence has literals only
    if (at + 2 > end) throw new DecompressionError('an lz4 block ends inside a match');
    const distance = (source[at] as number) | ((source[at + 1] as number) << 8);
    at += 2;
    if (distance === 0 || distance > to - from) throw new DecompressionError('an lz4 match points before the data');
    let match = (token & 15) + 4;
    if ((token & 15) === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= end) throw new DecompressionError('an lz4 block ends inside a length');
        more = source[at++] as number;
        match += more;
      }
    }
    if (to + match > limit) return yield -1;
    const stop = to + match;
    // A match may run into what it writes itself: byte by byte is what the format means, or all that is there again and again.
    if (match > 32) {
      const first = to - distance;
      while (to < stop) {
        const copied = Math.min(stop - to, to - first);
        target.copyWithin(to, first, first + copied);
        to += copied;
      }
    } else {
      while (to < stop) {
        target[to] = target[to - distance] as number;
        to++;
      }
    }
  }
  yield to;
}

type CompressFrame = (bytes: Buffer) => Buffer;

interface Lz4Js {
  makeBuffer(size: number): Uint8Array;
  compressBound(length: number): number;
  /** Bytes written to `target`, 0 when the block cannot be made smaller. */
  compressBlock(source: Uint8Array, target: Uint8Array, at: number, length: number, table: Uint32Array): number;
}

// FLG 0x60: version 1, independent blocks, no checksums. BD 0x40: 64 KiB. 0x82 is xxHash32 of the two, its second byte.
const writtenHeader = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const writtenBlockBytes = 1 << 16;
const endMark = Buffer.alloc(4);

/** Exported for the test that runs it beside the native one. */
export function compressLz4FrameInJavaScript(bytes: Buffer): Buffer {
  const lz4 = createRequire(import.meta.url)('lz4js') as Lz4Js;
  const table = new Uint32Array(1 << 16);
  const scratch = Buffer.allocUnsafe(lz4.compressBound(writtenBlockBytes));
  const parts: Buffer[] = [writtenHeader];
  for (let at = 0; at < bytes.length; at += writtenBlockBytes) {
    const block = bytes.subarray(at, at + writtenBlockBytes);
    table.fill(0);
    const length = lz4.compressBlock(block, scratch, 0, block.length, table);
    const isSmaller = length > 0 && length < block.length;
    const word = Buffer.allocUnsafe(4);
    word.writeUInt32LE(isSmaller ? length : (block.length | 0x80000000) >>> 0);
    parts.push(word, isSmaller ? Buffer.from(scratch.subarray(0, length)) : block);
  }
  parts.push(endMark);
  return Buffer.concat(parts);
}

function nativeCompressFrame(): CompressFrame | null {
  try {
    const module = createRequire(import.meta.url)('lz4-napi') as { compressFrameSync(bytes: Buffer): Buffer };
    const probe = module.compressFrameSync(Buffer.from('cordwood'));
    assert(probe.subarray(0, writtenHeader.length).equals(writtenHeader), 'lz4-napi writes independent blocks');
    return (bytes) => module.compressFrameSync(bytes);
  } catch {
    return null;
  }
}

/** One frame of independent blocks. */
export const compressLz4Frame: CompressFrame = nativeCompressFrame() ?? compressLz4FrameInJavaScript;

/** The same, put together from blocks that are packed one by one. */
export const lz4BlockFormat: BlockFormat = {
  blockBytes: writtenBlockBytes,
  start: writtenHeader,
  block: (bytes) => compressLz4Frame(bytes).subarray(writtenHeader.length, -endMark.length),
  end: endMark,
};
