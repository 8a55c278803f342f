/**
 * Where does a line end? Cuts a stream of bytes at newlines without decoding or copying them; only a line that spans two
 * chunks is put together. A carriage return stays: it is part of the value, as in kcat.
 */
const newline = 10;

export class LineSplitter {
  #rest: Buffer[] = [];

  /** The lines that `chunk` completes, without their newlines, as views of it. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const line = chunk.subarray(start, end);
      lines.push(this.#rest.length === 0 ? line : this.#join(line));
      start = end + 1;
    }
    if (start < chunk.length) this.#rest.push(chunk.subarray(start));
    return lines;
  }

  /** The last line, if the input did not end in a newline. */
  end(): Buffer[] {
    return this.#rest.length === 0 ? [] : [this.#join(Buffer.alloc(0))];
  }

  #join(last: Buffer): Buffer {
    return Buffer.concat([...this.#rest.splice(0), last]);
  }
}
