/**
 * Where does the newest record of each key lie? What compaction asks of each record it looks at. (`SkimpyOffsetMap.java`)
 *
 * Not the keys are kept but 128 bits of their SHA-256, so that the memory is known beforehand: 24 bytes a slot, in two
 * flat arrays that the garbage collector has nothing to do with. Two keys with the same 128 bits would be one key: by
 * chance that does not happen, and on purpose it takes 2^64 hashes, where Kafka's MD5 takes a second.
 */
import { hash } from 'node:crypto';
import type { Offset } from '../model/brands.ts';

const hashWords = 4;
/** Of the hash and the offset. */
export const bytesPerSlot = 24;
/** Beyond this share of full slots searches become long (Kafka's `log.cleaner.io.buffer.load.factor`). */
const loadFactor = 0.9;
/** What new memory holds: offsets are kept one higher, so that nothing need be written before the first of them. */
const empty = 0;

export class OffsetMap {
  readonly #slots: number;
  readonly #capacity: number;
  readonly #hashes: Int32Array;
  /** One more than the offset, `empty` where there is no key. */
  readonly #offsets: Float64Array;
  #size = 0;

  /** Takes at most `maxBytes`, and no more than is needed for `expectedKeys`. */
  constructor(maxBytes: number, expectedKeys: number) {
    const most = Math.max(2, Math.floor(maxBytes / bytesPerSlot));
    this.#slots = Math.min(most, Math.ceil(expectedKeys / loadFactor) + 2);
    this.#capacity = Math.max(1, Math.floor(this.#slots * loadFactor));
    this.#hashes = new Int32Array(this.#slots * hashWords);
    this.#offsets = new Float64Array(this.#slots);
  }

  /** Keys in the map. */
  get size(): number {
    return this.#size;
  }

  /** False, and nothing is noted, where the key is new and there is no room for it. Offsets rise from call to call. */
  put(key: Buffer, offset: number): boolean {
    const slot = this.#slotOf(key);
    if (this.#offsets[slot] === empty) {
      if (this.#size >= this.#capacity) return false;
      this.#hashes.set(digest, slot * hashWords);
      this.#size++;
    }
    this.#offsets[slot] = offset + 1;
    return true;
  }

  /** The largest offset noted for the key, or null. */
  get(key: Buffer): Offset | null {
    const offset = this.#offsets[this.#slotOf(key)] as number;
    return offset === empty ? null : ((offset - 1) as Offset);
  }

  /** The slot that holds the key, or the empty one where it belongs. Leaves its hash in `digest`. */
  #slotOf(key: Buffer): number {
    // A string of one character a byte: Node makes it four times as fast as a Buffer.
    const bytes = hash('sha256', key, 'binary');
    const a = wordOf(bytes, 0);
    const b = wordOf(bytes, 4);
    const c = wordOf(bytes, 8);
    const d = wordOf(bytes, 12);
    digest[0] = a;
    digest[1] = b;
    digest[2] = c;
    digest[3] = d;
    let slot = (wordOf(bytes, 16) >>> 0) % this.#slots;
    while (this.#offsets[slot] !== empty) {
      const at = slot * hashWords;
      const known = this.#hashes;
      if (known[at] === a && known[at + 1] === b && known[at + 2] === c && known[at + 3] === d) break;
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
    }
    return slot;
  }
}

const wordOf = (bytes: string, at: number): number =>
  bytes.charCodeAt(at) |
  (bytes.charCodeAt(at + 1) << 8) |
  (bytes.charCodeAt(at + 2) << 16) |
  (bytes.charCodeAt(at + 3) << 24);

/** Of the key that was looked for last. */
const digest = new Int32Array(hashWords);
