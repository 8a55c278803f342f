/**
 * When is a revision of an etcd watch complete, and where does a cut watch go on? Bytes of the stream in, whole
 * revisions out (I1).
 *
 *     response 1   r5 r5 r6   fragment      → r5           r6 may have more to come
 *     response 2   r6 r7                    → r6, r7       the end of a response that is no fragment ends a revision
 *     cut                                   → watch again from r8, whatever revision the headers named
 */
import type { WatchEvents } from '../../controller/metadata-store.ts';
import { assert, present } from '../../model/assert.ts';
import { type Revision, revision } from '../../model/brands.ts';
import type { WatchResponse } from './etcd-api.ts';

interface OpenRevision {
  readonly revision: Revision;
  readonly changes: { key: string; value: string | null; modRevision: Revision }[];
}

export class WatchAssembler {
  readonly #keyOverheadBytes: number;
  #delivered: Revision;
  #open: OpenRevision | null = null;

  /** `keyOverheadBytes`: what the keys of the store begin with and the caller's do not. */
  constructor(after: Revision, keyOverheadBytes: number) {
    this.#delivered = after;
    this.#keyOverheadBytes = keyOverheadBytes;
  }

  /** Everything up to here has been handed out whole; a new stream starts at the next one. */
  get delivered(): Revision {
    return this.#delivered;
  }

  add({ events, fragment }: Pick<WatchResponse, 'events' | 'fragment'>): WatchEvents[] {
    const complete: WatchEvents[] = [];
    for (const { type: isDelete, kv } of events) {
      const { key, value, modRevision } = present(kv, 'an event has a key');
      const at = revision(modRevision);
      // A server that repeats itself: what was handed out once is not handed out again.
      if (at <= this.#delivered) continue;
      if (this.#open && this.#open.revision !== at) this.#finish(complete);
      assert(at > this.#delivered, `etcd sent revision ${at} after ${this.#delivered}`);
      this.#open ??= { revision: at, changes: [] };
      this.#open.changes.push({
        key: key.toString('utf8', this.#keyOverheadBytes),
        value: isDelete ? null : value.toString('utf8'),
        modRevision: at,
      });
    }
    if (!fragment) this.#finish(complete);
    return complete;
  }

  /** The stream has ended: a revision of which only a part has come will come again in full. */
  cut(): void {
    this.#open = null;
  }

  #finish(into: WatchEvents[]): void {
    if (!this.#open) return;
    into.push(this.#open);
    this.#delivered = this.#open.revision;
    this.#open = null;
  }
}
