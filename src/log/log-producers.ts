/**
 * Which idempotent producers does a log know, and how far do its files tell of them? State runs with the batches that
 * have their offsets; `.snapshot` and `.producers` files are written where a segment begins and when the log is closed.
 */
import type { Clock } from '../env/clock.ts';
import type { Disk } from '../env/disk.ts';
import type { Logger } from '../env/logger.ts';
import type { TurnBudget } from '../env/turn-budget.ts';
import type { Offset } from '../model/brands.ts';
import type { LogConfig } from './log-config.ts';
import { listPartitionFiles } from './partition-files.ts';
import { producerFilesOf } from './producer-snapshot.ts';
import type { ProducerBatch, ProducerEntry, ProducerState } from './producer-state.ts';
import { noteInto, recoverProducers } from './recovery.ts';
import type { Segment } from './segment.ts';

interface Modules {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the long work of all logs. */
  readonly turns: TurnBudget;
}

export class LogProducers {
  readonly #directory: string;
  readonly #config: () => LogConfig;
  readonly #modules: Modules;
  #state: ProducerState;
  /** Offset of the newest files that are whole, -1 for none. */
  #savedAt: number;

  constructor(
    directory: string,
    recovered: { readonly producers: ProducerState; readonly producersSavedAt: number },
    config: () => LogConfig,
    modules: Modules,
  ) {
    this.#directory = directory;
    this.#state = recovered.producers;
    this.#savedAt = recovered.producersSavedAt;
    this.#config = config;
    this.#modules = modules;
  }

  get state(): ProducerState {
    return this.#state;
  }

  /** The batch that a client's batch repeats, or null when it may be appended. Throws as `ProducerState.check`. */
  check(batch: Buffer, nowMs: number): ProducerBatch | null {
    return this.#state.check(batch, nowMs, this.#config().producerIdExpirationMs);
  }

  /** The batch has its offset. */
  note(batch: Buffer, nowMs: number): void {
    noteInto(this.#state, batch, nowMs);
  }

  /** Takes down the state as it is now, before `at`; what it gives back writes the files. */
  snapshotAt(at: Offset): () => Promise<void> {
    const { clock, disk, turns } = this.#modules;
    const nowMs = clock.wallMs();
    const { producerIdExpirationMs } = this.#config();
    const state = this.#state;
    const isGone = (entry: ProducerEntry): boolean => state.expire(entry, nowMs, producerIdExpirationMs);
    const write = producerFilesOf(state.entries, this.#directory, at, isGone);
    return async () => {
      await write(disk, turns);
      this.#savedAt = at;
    };
  }

  /** What a quick start needs: the files of a log that ends at `end`, unless they are there. */
  async saveAtEnd(end: Offset): Promise<void> {
    if (this.#savedAt !== end && end > 0) await this.snapshotAt(end)();
  }

  /** The log was cut at `end`: state as of then, from the files and the batches that are left. */
  async rebuild(segments: readonly Segment[], end: Offset): Promise<void> {
    const { indexIntervalBytes, producerIdExpirationMs } = this.#config();
    const { disk, clock } = this.#modules;
    const { producers, savedAt } = await recoverProducers(
      segments,
      await listPartitionFiles(disk, this.#directory),
      end,
      { directory: this.#directory, indexIntervalBytes, producerIdExpirationMs, nowMs: clock.wallMs() },
      this.#modules,
    );
    this.#state = producers;
    this.#savedAt = savedAt;
  }
}
