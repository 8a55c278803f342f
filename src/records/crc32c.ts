/**
 * What is the CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of these bytes?
 *
 * `@node-rs/crc32` uses the processor's own instruction. It is an optional dependency: where it has no build, tables
 * do the work, eight bytes a step ("slicing by 8"). The choice is made once, when this file is loaded.
 */
import { createRequire } from 'node:module';

type Checksum = (bytes: Uint8Array) => number;

/** Eight tables of 256 in one array: entry `slice * 256 + byte` moves `byte` on by `slice` more zero bytes. */
const table = makeTable();

function makeTable(): Int32Array {
  const entries = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    entries[byte] = crc;
  }
  const entry = (index: number): number => entries[index] ?? 0;
  for (let index = 256; index < entries.length; index++) {
    const before = entry(index - 256);
    entries[index] = (before >>> 8) ^ entry(before & 0xff);
  }
  return entries;
}

/** The same in JavaScript alone; exported for the test that compares the two. */
export const crc32cInJavaScript: Checksum = (bytes) => {
  const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length;
  let crc = -1;
  let at = 0;
  // The indexes are masked to a byte within a slice, so no entry is missing.
  for (; at + 8 <= length; at += 8) {
    const low = crc ^ input.getInt32(at, true);
    const high = input.getInt32(at + 4, true);
    crc =
      (table[1792 + (low & 0xff)] as number) ^
      (table[1536 + ((low >>> 8) & 0xff)] as number) ^
      (table[1280 + ((low >>> 16) & 0xff)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (high & 0xff)] as number) ^
      (table[512 + ((high >>> 8) & 0xff)] as number) ^
      (table[256 + ((high >>> 16) & 0xff)] as number) ^
      (table[high >>> 24] as number);
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ (table[(crc ^ input.getUint8(at)) & 0xff] as number);
  return (crc ^ -1) >>> 0;
};

function nativeChecksum(): Checksum | null {
  try {
    const module = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: (bytes: Uint8Array) => number };
    return (bytes) => module.crc32c(bytes);
  } catch {
    return null;
  }
}

const native = nativeChecksum();

/** CRC-32C of `bytes` as an unsigned 32-bit number. */
export const crc32c: Checksum = native ?? crc32cInJavaScript;
export const crc32cIsNative = native !== null;
