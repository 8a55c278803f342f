/**
 * What the controller knows to be in the store: its image, the writes it has committed that the watch has not shown
 * yet, and which keys it must not decide about because a transaction over them is under way.
 *
 *   transact ─┬─ succeeded ──► `ahead` until the image has that revision; keys free at once
 *             └─ failed, not done, unknown ──► keys stay taken until a proof (a guarded write sent after the answer)
 *                is committed and the image has its revision: by then it shows what became of the transaction (§3).
 *                A lost transaction that arrives later still changes nothing: it compares revisions that are gone
 *                as soon as anything else was decided about its keys.
 */
import { assert } from '../model/assert.ts';
import { type BrokerId, type Revision, revision, type TopicId } from '../model/brands.ts';
import type { ClusterImage, Versioned } from '../model/cluster-image.ts';
import {
  type BrokerRecord,
  decodeEntry,
  encodeValue,
  keys,
  type MetadataEntry,
  type PartitionRecord,
  type TopicRecord,
} from '../model/metadata-schema.ts';
import type { StoreOutcome } from './controller-events.ts';
import type { Compare, MetadataTxn, Mutation } from './metadata-store.ts';

/** Written at this revision · nothing is known to have been written: look again and decide anew. */
export type TxnDone = { readonly isDone: true; readonly revision: Revision } | { readonly isDone: false };

interface OpenTxn {
  readonly mutations: readonly Mutation[];
  readonly onDone: (done: TxnDone) => void;
}

/** A transaction without a good answer, and the proof that will show what became of it. */
interface UnclearTxn extends OpenTxn {
  /** It is clear once the image has this revision; null until a proof sent after its answer is committed. */
  clearAt: Revision | null;
}

interface Proof {
  readonly id: number;
  readonly covers: readonly UnclearTxn[];
  readonly provesTerm: boolean;
}

export class ControlView {
  readonly image: ClusterImage;
  readonly controllerEpoch: Revision;
  readonly #ahead = new Map<string, { entry: MetadataEntry; modRevision: Revision }>();
  readonly #open = new Map<number, OpenTxn>();
  readonly #unclear: UnclearTxn[] = [];
  readonly #taken = new Set<string>();
  #proof: Proof | null = null;
  #mustProveTerm = false;
  #nextId = 1;
  /** The newest revision this controller is known to have written. */
  lastCommitted: Revision = revision(0);

  constructor(image: ClusterImage, controllerEpoch: Revision) {
    this.image = image;
    this.controllerEpoch = controllerEpoch;
  }

  /** A transaction under T1 (I2). `onDone` is called once, when the keys it writes are free again. */
  begin(
    compares: readonly Compare[],
    mutations: readonly Mutation[],
    onDone: OpenTxn['onDone'],
  ): [number, MetadataTxn] {
    for (const { key } of mutations) {
      assert(!this.#taken.has(key), `two decisions about ${key} at once`);
      this.#taken.add(key);
    }
    const id = this.#nextId++;
    this.#open.set(id, { mutations, onDone });
    return [id, { compares: [this.#guard(), ...compares], mutations }];
  }

  /** True where the answer says that this controller's term is over. */
  settle(id: number, outcome: StoreOutcome): { isDeposed: boolean } {
    if (this.#proof?.id === id) return this.#settleProof(this.#proof, outcome);
    const txn = this.#open.get(id);
    if (!txn) return { isDeposed: false };
    this.#open.delete(id);
    if (outcome.kind === 'succeeded') {
      this.lastCommitted = revision(Math.max(this.lastCommitted, outcome.revision));
      for (const mutation of txn.mutations) this.#foresee(mutation, outcome.revision);
      this.#finish(txn, { isDone: true, revision: outcome.revision });
    } else if (outcome.kind === 'failed' && this.image.revision >= outcome.revision) {
      this.#finish(txn, { isDone: false });
    } else {
      this.#unclear.push({ ...txn, clearAt: null });
    }
    return { isDeposed: false };
  }

  /** The image has moved on: forget what it shows by now, and free keys whose fate it shows. */
  observe(): void {
    for (const [key, { modRevision }] of this.#ahead) if (this.image.revision >= modRevision) this.#ahead.delete(key);
    for (const txn of [...this.#unclear]) {
      if (txn.clearAt === null || this.image.revision < txn.clearAt) continue;
      this.#unclear.splice(this.#unclear.indexOf(txn), 1);
      this.#finish(txn, { isDone: false });
    }
  }

  /** After a stall or a lease left without answer nothing is decided until a guarded write has succeeded (§2.1.5). */
  mustProveTerm(): void {
    this.#mustProveTerm = true;
    // One that is under way may have been answered before the stall.
    if (this.#proof) this.#proof = { ...this.#proof, provesTerm: false };
  }

  get isTermProved(): boolean {
    return !this.#mustProveTerm;
  }

  /** The guarded write that is due, if one is; at most one is under way. */
  beginProof(): [number, MetadataTxn] | null {
    const covers = this.#unclear.filter((txn) => txn.clearAt === null);
    if (this.#proof || (covers.length === 0 && !this.#mustProveTerm)) return null;
    const id = this.#nextId++;
    this.#proof = { id, covers, provesTerm: true };
    const value = encodeValue({ controllerEpoch: this.controllerEpoch, proof: id });
    return [id, { compares: [this.#guard()], mutations: [{ kind: 'put', key: keys.controllerProof, value }] }];
  }

  #settleProof(proof: Proof, outcome: StoreOutcome): { isDeposed: boolean } {
    this.#proof = null;
    // Its one compare is the guard: a failure says that somebody else is the controller.
    if (outcome.kind === 'failed') return { isDeposed: true };
    if (outcome.kind === 'succeeded') {
      if (proof.provesTerm) this.#mustProveTerm = false;
      for (const txn of proof.covers) txn.clearAt = outcome.revision;
      this.observe();
    }
    return { isDeposed: false };
  }

  #guard(): Compare {
    return { key: keys.controller, modRevision: this.controllerEpoch };
  }

  #finish(txn: OpenTxn, done: TxnDone): void {
    for (const { key } of txn.mutations) this.#taken.delete(key);
    txn.onDone(done);
  }

  #foresee(mutation: Mutation, modRevision: Revision): void {
    if (this.image.revision >= modRevision) return;
    const entry = decodeEntry(mutation.key, mutation.kind === 'put' ? mutation.value : null);
    this.#ahead.set(mutation.key, { entry, modRevision });
  }

  /** Transactions without an answer, or whose answer does not say what happened. */
  get openTxns(): number {
    return this.#open.size + this.#unclear.length;
  }

  /** A transaction that writes this key is under way: decide about it later. */
  isTaken(key: string): boolean {
    return this.#taken.has(key);
  }

  broker(id: BrokerId): Versioned<BrokerRecord> | undefined {
    const ahead = this.#ahead.get(keys.broker(id));
    if (ahead?.entry.kind !== 'broker') return this.image.brokers.get(id);
    return ahead.entry.value ? { record: ahead.entry.value, modRevision: ahead.modRevision } : undefined;
  }

  /** Registered brokers in the order of their ids. */
  brokers(): { readonly id: BrokerId; readonly record: BrokerRecord; readonly modRevision: Revision }[] {
    const ids = new Set(this.image.brokers.keys());
    for (const { entry } of this.#ahead.values()) if (entry.kind === 'broker') ids.add(entry.id);
    return [...ids]
      .sort((a, b) => a - b)
      .flatMap((id) => {
        const broker = this.broker(id);
        return broker ? [{ id, ...broker }] : [];
      });
  }

  isActive(id: BrokerId): boolean {
    return this.broker(id)?.record.state === 'active';
  }

  topic(id: TopicId): Versioned<TopicRecord> | undefined {
    const ahead = this.#ahead.get(keys.topic(id));
    if (ahead?.entry.kind !== 'topic') return this.image.topics.get(id);
    return ahead.entry.value ? { record: ahead.entry.value, modRevision: ahead.modRevision } : undefined;
  }

  topicIdByName(name: string): Versioned<TopicId> | undefined {
    const ahead = this.#ahead.get(keys.name(name));
    if (ahead?.entry.kind !== 'name') return this.image.topicIds.get(name);
    return ahead.entry.value ? { record: ahead.entry.value, modRevision: ahead.modRevision } : undefined;
  }

  /** Names of topics created so recently that the image has not shown them. */
  *namesAhead(): Iterable<string> {
    for (const { entry } of this.#ahead.values()) if (entry.kind === 'name' && entry.value) yield entry.name;
  }

  /** A partition of a topic that exists. */
  partition(topicId: TopicId, partition: number): Versioned<PartitionRecord> | undefined {
    if (!this.topic(topicId)) return undefined;
    const ahead = this.#ahead.get(keys.partition(topicId, partition));
    if (ahead?.entry.kind !== 'partition') return this.image.partition(topicId, partition);
    return ahead.entry.value ? { record: ahead.entry.value, modRevision: ahead.modRevision } : undefined;
  }

  /**
   * Every partition of the topics in the image, newest knowledge, in a fixed order. Those of topics that are only
   * ahead are looked at when the image shows them.
   */
  *partitions(): Iterable<{ topicId: TopicId; partition: number; record: PartitionRecord }> {
    for (const topic of this.image.topics.values())
      for (let partition = 0; partition < topic.partitions.length; partition++) {
        const found = this.#ahead.size === 0 ? topic.partitions[partition] : this.partition(topic.id, partition);
        if (found) yield { topicId: topic.id, partition, record: found.record };
      }
  }

  nextBrokerEpoch(): Versioned<number> {
    const ahead = this.#ahead.get(keys.nextBrokerEpoch);
    if (ahead?.entry.kind === 'nextBrokerEpoch' && ahead.entry.value !== null)
      return { record: ahead.entry.value, modRevision: ahead.modRevision };
    return this.image.nextBrokerEpoch ?? { record: 1, modRevision: revision(0) };
  }
}
