/** Changes bytes as a seed says: the same seed, the same changes. */
import { present } from '../../../src/model/assert.ts';

/** Where lengths and counts turn over: bytes that decoders get wrong. */
const telling = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x0f, 0x10];

export class Mutator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer in [0, bound): mulberry32. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  pick<Item>(items: readonly Item[]): Item {
    return present(items[this.below(items.length)], 'the index is below the length');
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** One to four changes, each to one place. */
  mutate(original: Buffer): Buffer {
    let bytes: Buffer = Buffer.from(original);
    for (let left = 1 + this.below(4); left > 0; left--) bytes = this.#change(bytes);
    return bytes;
  }

  #change(bytes: Buffer): Buffer {
    const at = this.below(bytes.length + 1);
    const length = this.below(Math.min(16, bytes.length - at + 1));
    const before = bytes.subarray(0, at);
    switch (this.below(7)) {
      case 0:
        return before; // cut short
      case 1:
        return Buffer.concat([before, bytes.subarray(at + length)]); // cut out
      case 2:
        return Buffer.concat([before, bytes.subarray(at, at + length), bytes.subarray(at)]); // doubled
      case 3:
        return Buffer.concat([before, this.bytes(1 + this.below(8)), bytes.subarray(at)]); // put in
      case 4:
        if (at + 4 <= bytes.length) bytes.writeInt32BE(this.pick([-1, -2, 2 ** 31 - 1, -(2 ** 31), 65_536, 0]), at);
        return bytes;
      case 5:
        if (at < bytes.length) bytes[at] = this.pick(telling);
        return bytes;
      default:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << this.below(8));
        return bytes;
    }
  }
}
