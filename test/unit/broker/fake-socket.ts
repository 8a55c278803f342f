/** What a connection did to its socket, and a switch that makes the peer slow. */
import type { Connection } from '../../../src/env/network.ts';

export class FakeSocket implements Connection {
  readonly remote = { host: 'client', port: 1 };
  readonly local = { host: 'broker', port: 2 };
  readonly queuedBytes = 0;
  readonly written: Buffer[] = [];
  isPaused = false;
  isDestroyed = false;
  isSlow = false;
  /** To call for each write when the peer has taken it, or when it is lost. */
  readonly #onSent: (() => void)[] = [];
  write(chunks: readonly Uint8Array[], onSent?: () => void): boolean {
    for (const chunk of chunks) this.written.push(Buffer.from(chunk));
    if (onSent) this.#onSent.push(onSent);
    return !this.isSlow;
  }
  /** All that was written has left or, where the socket is destroyed, is lost. */
  taken(): void {
    for (const onSent of this.#onSent.splice(0)) onSent();
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  end(): void {
    this.isDestroyed = true;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
  /** Correlation ids of the answers written so far, in order. */
  answered(): number[] {
    const bytes = Buffer.concat(this.written);
    const ids: number[] = [];
    for (let at = 0; at < bytes.length; at += 4 + bytes.readInt32BE(at)) ids.push(bytes.readInt32BE(at + 4));
    return ids;
  }
}
