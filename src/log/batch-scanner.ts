/**
 * Which batches does a stretch of a `.log` file hold, one after another? Used where a log is opened, searched or has its
 * derived files made again; never on the produce or fetch path.
 */
import type { DiskFile } from '../env/disk.ts';
import type { Offset } from '../model/brands.ts';
import * as header from '../records/batch-header.ts';
import { hasValidCrc } from '../records/record-batch.ts';

/** What a visitor answers: nothing to go on, 'stop', or why this batch is bad. */
export type Visit = (batch: Buffer, position: number) => undefined | 'stop' | { readonly bad: string };

export interface ScanEnd {
  /** Where the first batch begins that was not accepted; the end of the stretch if all were. */
  readonly position: number;
  /** null when the stretch ended or the visitor stopped. */
  readonly bad: string | null;
}

/** Read at a time; what it holds is visited in one turn of the event loop, which can be thousands of batches. */
const pieceBytes = 256 << 10;

/**
 * Gives `visit` each whole batch from `from` on, as a view that is good until it returns. A batch that makes no sense or
 * reaches beyond `end` ends the scan with the reason.
 */
export async function scanBatches(file: DiskFile, from: number, end: number, visit: Visit): Promise<ScanEnd> {
  let piece = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(end - from, 0)));
  let position = from;
  while (position < end) {
    const length = await file.read(piece, 0, Math.min(piece.length, end - position), position);
    const bytes = piece.subarray(0, length);
    let at = 0;
    while (at < length) {
      const problem = framingProblem(bytes, at, end - position - at);
      if (problem !== null) return { position: position + at, bad: problem };
      if (length - at < header.batchLengthOverhead) break;
      const batchBytes = header.batchBytesOf(bytes, at);
      if (at + batchBytes > length) break;
      const answer = visit(bytes.subarray(at, at + batchBytes), position + at);
      if (answer === 'stop') return { position: position + at, bad: null };
      if (answer !== undefined) return { position: position + at, bad: answer.bad };
      at += batchBytes;
    }
    position += at;
    if (at === 0) {
      if (length < Math.min(piece.length, end - position)) return { position, bad: 'the file ends inside a batch' };
      // One batch is larger than the piece; its length has been checked against the end of the stretch.
      piece = Buffer.allocUnsafe(header.batchBytesOf(bytes, 0));
    }
  }
  return { position, bad: null };
}

/** Why no batch can begin at `at`, as far as the bytes at hand say; `left` is what the stretch has from there on. */
function framingProblem(bytes: Buffer, at: number, left: number): string | null {
  if (left < header.batchHeaderBytes) return `${left} bytes are too few for a batch`;
  if (bytes.length - at < header.batchHeaderBytes) return null;
  const batchBytes = header.batchBytesOf(bytes, at);
  if (batchBytes < header.batchHeaderBytes) return `a batch claims ${batchBytes} bytes`;
  if (batchBytes > left) return `a batch claims ${batchBytes} bytes, ${left} are left`;
  if (header.magicOf(bytes, at) !== header.currentMagic) return `a batch has magic ${header.magicOf(bytes, at)}`;
  return null;
}

/**
 * Whether a whole batch with a right CRC begins anywhere in (`after`, `end`), with an offset of at least `fromOffset`:
 * what tells damage in the middle from a torn tail (I29). Looks at every position.
 */
export async function findsGoodBatch(file: DiskFile, after: number, end: number, fromOffset: Offset): Promise<boolean> {
  const window = Buffer.allocUnsafe(Math.min(pieceBytes, Math.max(0, end - after)));
  const overlap = header.batchHeaderBytes;
  for (let start = after; start < end; start += Math.max(1, window.length - overlap)) {
    const length = await file.read(window, 0, Math.min(window.length, end - start), start);
    for (let at = 0; at + header.batchHeaderBytes <= length; at++) {
      if (window[at + 16] !== header.currentMagic) continue;
      const batchBytes = header.batchBytesOf(window, at);
      if (batchBytes < header.batchHeaderBytes || start + at + batchBytes > end) continue;
      const base = header.baseOffsetOf(window, at);
      if (!(base >= fromOffset && base < fromOffset + 0x7fffffff) || header.recordCountOf(window, at) < 0) continue;
      const batch = Buffer.allocUnsafe(batchBytes);
      if ((await file.read(batch, 0, batchBytes, start + at)) === batchBytes && hasValidCrc(batch)) return true;
    }
    if (length < window.length) break;
  }
  return false;
}
