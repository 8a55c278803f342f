/**
 * Keeps a broker's cluster image: one full read, then every revision in order (I1). Where the store has forgotten
 * revisions that were still needed, everything is read again and the difference is applied as one change.
 */
import type { Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { type Revision, revision } from '../model/brands.ts';
import { ClusterImage, type StoredEntry } from '../model/cluster-image.ts';
import type { MetadataEntry } from '../model/metadata-schema.ts';
import type { MetadataStore, Watch } from './metadata-store.ts';

export interface ImageFollowerModules {
  readonly store: MetadataStore;
  readonly timers: Timers;
  readonly logger: Logger;
}

const rereadDelayMs = 200;

export class ImageFollower {
  readonly image: ClusterImage;
  readonly #modules: ImageFollowerModules;
  /** Every key of the image with the revision that last wrote it: what a full read is compared with. */
  readonly #known = new Map<string, Revision>();
  readonly #listeners = new Set<(entries: readonly MetadataEntry[]) => void>();
  #watch: Watch | null = null;
  #isConnected = true;
  #isClosed = false;

  private constructor(modules: ImageFollowerModules, image: ClusterImage, entries: readonly StoredEntry[]) {
    this.#modules = modules;
    this.image = image;
    for (const { key, modRevision } of entries) this.#known.set(key, modRevision);
  }

  /** Reads everything and begins to follow. Throws StoreUnavailable, MetadataFormatError. */
  static async open(modules: ImageFollowerModules): Promise<ImageFollower> {
    const { revision: at, entries } = await modules.store.read('');
    const follower = new ImageFollower(modules, ClusterImage.from(entries, at), entries);
    follower.#follow();
    return follower;
  }

  /** false: the store is away; what the image says may be old. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** `listener` runs after each applied revision with what changed, until the returned function is called. */
  onChange(listener: (entries: readonly MetadataEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves when the image holds `wanted`: true at once if it does, false after `timeLimitMs` without it. Whoever was
   * told a revision by the controller (I3) waits here before it shows what was done.
   */
  waitForRevision(wanted: Revision, timeLimitMs: number): Promise<boolean> {
    if (this.image.revision >= wanted) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (isThere: boolean): void => {
        timer.cancel();
        stop();
        resolve(isThere);
      };
      const timer = this.#modules.timers.setTimer(timeLimitMs, () => end(false));
      const stop = this.onChange(() => {
        if (this.image.revision >= wanted) end(true);
      });
    });
  }

  #follow(): void {
    if (this.#isClosed) return;
    this.#watch = this.#modules.store.watch('', this.image.revision, {
      onEvents: ({ revision: at, changes }) => this.#apply(at, changes),
      onCompacted: () => void this.#readAgain(),
      onState: (isConnected) => {
        if (isConnected !== this.#isConnected)
          this.#modules.logger.warn(
            { isConnected },
            isConnected ? 'the metadata store is back' : 'the metadata store is away',
          );
        this.#isConnected = isConnected;
      },
    });
  }

  #apply(at: Revision, changes: readonly StoredEntry[]): void {
    if (this.#isClosed) return;
    for (const { key, value, modRevision } of changes) {
      if (value === null) this.#known.delete(key);
      else this.#known.set(key, modRevision);
    }
    const entries = this.image.apply(at, changes);
    for (const listener of [...this.#listeners]) listener(entries);
  }

  async #readAgain(): Promise<void> {
    this.#watch?.close();
    this.#watch = null;
    try {
      const { revision: at, entries } = await this.#modules.store.read('');
      if (this.#isClosed) return;
      const present = new Set(entries.map((entry) => entry.key));
      const gone = [...this.#known.keys()].filter((key) => !present.has(key));
      const changes: StoredEntry[] = [
        ...gone.map((key) => ({ key, value: null, modRevision: at })),
        ...entries.filter(({ key, modRevision }) => this.#known.get(key) !== modRevision),
      ];
      if (at > this.image.revision) this.#apply(revision(at), changes);
      this.#follow();
    } catch (error) {
      this.#modules.logger.warn({ err: error }, 'the metadata could not be read again');
      this.#modules.timers.setTimer(rereadDelayMs, () => {
        if (!this.#isClosed) void this.#readAgain();
      });
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#watch?.close();
    this.#listeners.clear();
  }
}
