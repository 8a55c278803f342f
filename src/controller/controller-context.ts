/** What the parts of the controller core share: what is known, what time it is, and how to ask for something. */
import type { BrokerId, Revision } from '../model/brands.ts';
import type { Versioned } from '../model/cluster-image.ts';
import { encodeValue, keys, type PartitionRecord } from '../model/metadata-schema.ts';
import type { TopicPartition } from '../model/topic-partition.ts';
import type { BrokerLiveness } from './broker-liveness.ts';
import type { ControllerMessage } from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';
import type { ControlView, TxnDone } from './control-view.ts';
import type { Compare, Mutation } from './metadata-store.ts';

export interface ControllerContext {
  readonly options: ControlOptions;
  readonly view: ControlView;
  readonly liveness: BrokerLiveness;
  /** Monotonic milliseconds of the event that is being handled. */
  readonly nowMs: number;
  /** Milliseconds since 1970, as last told. */
  readonly wallMs: number;
  /** A transaction under T1. `onDone` is called once, when the keys may be decided about again. */
  transact(compares: readonly Compare[], mutations: readonly Mutation[], onDone: (done: TxnDone) => void): void;
  /** False while enough transactions are under way; what is urgent does not ask. */
  hasRoom(): boolean;
  send(streamId: number, message: ControllerMessage): void;
  log(level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string): void;
  /** ACTIVE, and no evidence of its death waits to be written. */
  canLead(id: BrokerId): boolean;
}

/** Partitions of one transaction (T4). Other compares must fit below the store's 128 as well. */
export const partitionsPerTxn = 100;
const mostCompares = 120;

/** Record changes that are written together, with what they compare (T4). */
export class PartitionBatch {
  readonly #compares = new Map<string, Revision>();
  readonly #mutations: Mutation[] = [];
  readonly partitions: TopicPartition[] = [];

  /** False where it is full. `writtenBroker`: its record is put by the same transaction, which compares it anyway. */
  add(
    view: ControlView,
    at: TopicPartition,
    seen: Versioned<PartitionRecord>,
    next: PartitionRecord,
    writtenBroker: BrokerId | null = null,
  ): boolean {
    const isElected = next.leader !== seen.record.leader && next.leader >= 0 && next.leader !== writtenBroker;
    const leader = isElected ? view.broker(next.leader) : undefined;
    if (this.partitions.length >= partitionsPerTxn || this.#compares.size + 2 > mostCompares) return false;
    const key = keys.partition(at.topicId, at.partition);
    this.#compares.set(key, seen.modRevision);
    if (leader) this.#compares.set(keys.broker(next.leader), leader.modRevision);
    this.#mutations.push({ kind: 'put', key, value: encodeValue(next) });
    this.partitions.push(at);
    return true;
  }

  /** Also hold that a key is as it was seen. */
  compare(...compares: readonly Compare[]): void {
    for (const { key, modRevision } of compares) this.#compares.set(key, modRevision);
  }

  get compares(): Compare[] {
    return [...this.#compares].map(([key, modRevision]) => ({ key, modRevision }));
  }

  get mutations(): readonly Mutation[] {
    return this.#mutations;
  }
}
