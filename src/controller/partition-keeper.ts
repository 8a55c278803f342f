/**
 * Keeps partition records in step with broker records: takes fenced and draining brokers out of leader seats and ISRs,
 * elects where nobody leads. Level-triggered: whatever changed marks partitions, and `pump` writes what their records
 * should be, as far as no transaction over them is under way. A controller that takes over marks all (§2.1.3).
 *
 *   one step when broker 1 dies              etcd
 *   ┌──────────────────────────────────┐
 *   │ brokers/1 fenced + 100 partitions │ ──► one transaction: atomic, so the fence is not later than they (I6)
 *   └──────────────────────────────────┘
 *   then 100 more each, several at once, after the first is committed
 */
import { type BrokerId, noRevision, type TopicId } from '../model/brands.ts';
import { type BrokerRecord, encodeValue, keys, type PartitionRecord } from '../model/metadata-schema.ts';
import { partitionKey, type TopicPartition } from '../model/topic-partition.ts';
import type { TxnDone } from './control-view.ts';
import { type ControllerContext, PartitionBatch } from './controller-context.ts';
import { changePartition } from './partition-change.ts';

interface Repair {
  readonly at: TopicPartition;
  readonly next: PartitionRecord;
  readonly rank: number;
}

export class PartitionKeeper {
  readonly #context: ControllerContext;
  readonly #marked = new Map<string, TopicPartition>();
  /**
   * Brokers that register after a lossy stop, by the incarnation that does: no ELR may name them when their new epoch
   * is given (§2.2.4, I22). Over once the record names that incarnation, however this controller came to know of it.
   */
  readonly #lossy = new Map<BrokerId, string>();
  /** Called for a partition that has neither leader nor anybody to elect (§2.10). */
  readonly #onNobodyLeft: (at: TopicPartition, record: PartitionRecord) => void;

  constructor(context: ControllerContext, onNobodyLeft: (at: TopicPartition, record: PartitionRecord) => void) {
    this.#context = context;
    this.#onNobodyLeft = onNobodyLeft;
  }

  mark(topicId: TopicId, partition: number): void {
    this.#marked.set(partitionKey(topicId, partition), { topicId, partition });
  }

  /** Every partition that a change of this broker's state may concern; of all brokers where it is null. */
  markAllOf(id: BrokerId | null): void {
    for (const { topicId, partition, record } of this.#context.view.partitions())
      if (id === null || record.replicas.includes(id)) this.mark(topicId, partition);
  }

  get isQuiet(): boolean {
    return this.#marked.size === 0;
  }

  /** Its unflushed records may be gone: it is dropped from every ELR. */
  becomeLossy(id: BrokerId, incarnation: string): void {
    this.#lossy.set(id, incarnation);
  }

  #lossyNow(): ReadonlySet<BrokerId> {
    for (const [id, incarnation] of this.#lossy)
      if (this.#context.view.broker(id)?.record.incarnation === incarnation) this.#lossy.delete(id);
    return new Set(this.#lossy.keys());
  }

  /** Whether any record still names this fenced broker where a new start of it must not be found (I5). */
  isStillNamed(id: BrokerId): boolean {
    // A topic created just before the fence may not be in the image yet; what comes later compares the fenced record.
    const fencedAt = this.#context.view.broker(id)?.modRevision ?? noRevision;
    if (this.#context.view.image.revision < fencedAt) return true;
    let isNamed = false;
    const isLossy = this.#lossyNow().has(id);
    for (const { topicId, partition, record } of this.#context.view.partitions()) {
      const named = record.isr.includes(id) || record.leader === id || (isLossy && record.elr.includes(id));
      if (!named) continue;
      this.mark(topicId, partition);
      isNamed = true;
    }
    return isNamed;
  }

  /**
   * Writes a broker's new state together with what it means for its partitions, as many as fit; the others follow
   * when it is committed. The caller has seen that the broker's key is free.
   */
  changeBroker(id: BrokerId, next: BrokerRecord, onDone: (done: TxnDone) => void): void {
    const { view } = this.#context;
    const seen = view.broker(id);
    if (!seen) return;
    const canLead = (other: BrokerId): boolean =>
      other === id ? next.state === 'active' : this.#context.canLead(other);
    const isInSync = (other: BrokerId): boolean => (other === id ? next.state === 'active' : view.isActive(other));
    const repairs: Repair[] = [];
    for (const { topicId, partition, record } of view.partitions()) {
      if (!record.replicas.includes(id) || view.isTaken(keys.partition(topicId, partition))) continue;
      const repair = this.#repairOf({ topicId, partition }, record, isInSync, canLead);
      if (repair) repairs.push(repair);
    }
    const batch = new PartitionBatch();
    batch.compare({ key: keys.broker(id), modRevision: seen.modRevision });
    for (const repair of inOrder(repairs)) if (!this.#addTo(batch, repair, id)) break;
    this.#context.transact(
      batch.compares,
      [{ kind: 'put', key: keys.broker(id), value: encodeValue(next) }, ...batch.mutations],
      (done) => {
        this.markAllOf(id);
        onDone(done);
      },
    );
  }

  /** Writes what the marked partitions need, leaderless and internal ones first. */
  pump(): void {
    const { view } = this.#context;
    if (this.#marked.size === 0) return;
    const repairs: Repair[] = [];
    for (const [key, at] of [...this.#marked]) {
      if (view.isTaken(keys.partition(at.topicId, at.partition))) continue;
      const seen = view.partition(at.topicId, at.partition);
      const repair = seen && this.#repairOf(at, seen.record, (id) => view.isActive(id), this.#context.canLead);
      if (repair) repairs.push(repair);
      else this.#marked.delete(key);
    }
    const left = inOrder(repairs);
    while (left.length > 0 && this.#context.hasRoom()) {
      const batch = new PartitionBatch();
      for (let repair = left[0]; repair && this.#addTo(batch, repair, null); repair = left[0]) {
        left.shift();
        this.#marked.delete(partitionKey(repair.at.topicId, repair.at.partition));
      }
      this.#context.transact(batch.compares, batch.mutations, () => {
        for (const { topicId, partition } of batch.partitions) this.mark(topicId, partition);
      });
    }
  }

  #addTo(batch: PartitionBatch, { at, next }: Repair, writtenBroker: BrokerId | null): boolean {
    const seen = this.#context.view.partition(at.topicId, at.partition);
    return seen !== undefined && batch.add(this.#context.view, at, seen, next, writtenBroker);
  }

  /** What the record should be (§2.4), or null where it is that already. */
  #repairOf(
    at: TopicPartition,
    record: PartitionRecord,
    isInSync: (id: BrokerId) => boolean,
    canLead: (id: BrokerId) => boolean,
  ): Repair | null {
    const isr = record.isr.filter(isInSync);
    const next = changePartition(record, { isr, lossy: this.#lossyNow() }, canLead);
    if (next.leader < 0 && next.isr.length === 0) this.#onNobodyLeft(at, next);
    if (next === record) return null;
    const isInternal = this.#context.view.topic(at.topicId)?.record.isInternal ?? false;
    // §2.1.3: partitions without a leader first, internal topics before others; then members of the ISR.
    const rank = (next.leader === record.leader ? 2 : 0) + (isInternal ? 0 : 1);
    return { at, next, rank };
  }
}

const inOrder = (repairs: readonly Repair[]): Repair[] => [...repairs].sort((a, b) => a.rank - b.rank);
