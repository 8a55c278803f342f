/** What happened in a run: always a hash of it, to compare two runs; on demand the lines, to read one. */
export class Trace {
  readonly lines: string[] | null;
  readonly #nowMs: () => number;
  #hash = 0x811c9dc5;

  constructor(nowMs: () => number, keepsLines: boolean) {
    this.#nowMs = nowMs;
    this.lines = keepsLines ? [] : null;
  }

  /** `details` is only called when lines are kept; the numbers go into the hash. */
  note(what: string, numbers: readonly number[], details?: () => string): void {
    this.#mix(this.#nowMs() * 1024);
    this.#mix(what.length * 131 + what.charCodeAt(0) * 7 + what.charCodeAt(what.length - 1));
    for (const number of numbers) this.#mix(number);
    if (this.lines === null) return;
    const time = this.#nowMs().toFixed(2).padStart(10);
    this.lines.push(`${time} ${what.padEnd(16)} ${numbers.join(' ')}${details ? ` ${details()}` : ''}`);
  }

  /** FNV-1a over 32-bit words. */
  #mix(number: number): void {
    this.#hash = Math.imul(this.#hash ^ (number | 0), 0x01000193);
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }
}
