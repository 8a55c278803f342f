/**
 * Producer ids for idempotent producers. Each broker takes blocks of a counter in the metadata store and hands them
 * out one by one; the next block is fetched when half of one is gone, so that the store being away does not stop
 * producers at once (§2.11). Id 0 is never given: some clients read it as none.
 */
import { type MetadataStore, StoreUnavailable } from '../controller/metadata-store.ts';
import { type ProducerId, producerId, revision } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import { decodeEntry, encodeValue, keys } from '../model/metadata-schema.ts';

const blockSize = 1000;
const attempts = 20;

interface Block {
  next: number;
  readonly end: number;
}

export class ProducerIds {
  readonly #store: MetadataStore;
  #block: Block = { next: 0, end: 0 };
  #spare: Block | null = null;
  #fetching: Promise<Block> | null = null;

  constructor(modules: { store: MetadataStore }) {
    this.#store = modules.store;
  }

  /** Throws COORDINATOR_NOT_AVAILABLE, which clients retry, while no block can be had. */
  async next(): Promise<ProducerId> {
    while (this.#block.next === this.#block.end) {
      this.#block = this.#spare ?? (await this.#fetch());
      this.#spare = null;
    }
    const id = producerId(this.#block.next++);
    if (this.#spare === null && this.#block.end - this.#block.next < blockSize / 2)
      this.#fetch().then(
        (block) => {
          this.#spare ??= block;
        },
        () => undefined, // Asked again when the block is used up.
      );
    return id;
  }

  /** One request for a block at a time, whoever waits for it. */
  #fetch(): Promise<Block> {
    this.#fetching ??= this.#takeBlock().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  /** T9: the counter is moved on only if it is what was read; a lost answer costs a block and no more. */
  async #takeBlock(): Promise<Block> {
    try {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const { entries } = await this.#store.read(keys.nextProducerId);
        const [entry] = entries;
        const known = entry ? decodeEntry(entry.key, entry.value) : null;
        const start = known?.kind === 'nextProducerId' ? (known.value ?? 1) : 1;
        const { succeeded } = await this.#store.transact({
          compares: [{ key: keys.nextProducerId, modRevision: entry?.modRevision ?? revision(0) }],
          mutations: [{ kind: 'put', key: keys.nextProducerId, value: encodeValue(start + blockSize) }],
        });
        if (succeeded) return { next: start, end: start + blockSize };
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
    throw new BrokerError({ code: 'COORDINATOR_NOT_AVAILABLE' });
  }
}
