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

/** What counts as in sync, what may lead, and who restarted lossy, while one lot of records is judged. */
interface Judges {
  readonly isInSync: (id: BrokerId) => boolean;
  readonly canLead: (id: BrokerId) => boolean;
  readonly lossy: ReadonlySet<BrokerId>;
}

/**
 * §2.1.3: leaderless partitions first, internal topics before others, then members of the ISR.
 *
 *   0 nobody alive leads, internal | 1 nobody alive leads | 2 led, internal | 3 led
 */
const urgencies = [0, 1, 2, 3] as const;
type Urgency = (typeof urgencies)[number];

export class PartitionKeeper {
  readonly #context: ControllerContext;
  /** Partitions to look at, by urgency; each in one of them. */
  readonly #marked = urgencies.map(() => new Map<string, TopicPartition>());
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
    const { view } = this.#context;
    const key = partitionKey(topicId, partition);
    for (const marked of this.#marked) marked.delete(key);
    const record = view.partition(topicId, partition)?.record;
    if (!record) return;
    const urgency = this.#urgencyOf(topicId, record, (id) => view.isActive(id));
    this.#marked[urgency]?.set(key, { topicId, partition });
  }

  #urgencyOf(topicId: TopicId, record: PartitionRecord, isInSync: (id: BrokerId) => boolean): Urgency {
    const isInternal = this.#context.view.topic(topicId)?.record.isInternal ?? false;
    const isLed = record.leader >= 0 && isInSync(record.leader);
    return isLed ? (isInternal ? 2 : 3) : isInternal ? 0 : 1;
  }

  /** Every partition that a change of this broker's state may concern; of all brokers where it is null. */
  markAllOf(id: BrokerId | null): void {
    for (const { topicId, partition, record } of this.#context.view.partitions())
      if (id === null || record.replicas.includes(id)) this.mark(topicId, partition);
  }

  get isQuiet(): boolean {
    return this.#marked.every((marked) => marked.size === 0);
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
    const judges: Judges = {
      isInSync: (other) => (other === id ? next.state === 'active' : view.isActive(other)),
      canLead: (other) => (other === id ? next.state === 'active' : this.#context.canLead(other)),
      lossy: this.#lossyNow(),
    };
    const batch = new PartitionBatch();
    batch.compare({ key: keys.broker(id), modRevision: seen.modRevision });
    this.#fill(batch, this.#byUrgency(id, judges.isInSync), judges, id);
    this.#context.transact(
      batch.compares,
      [{ kind: 'put', key: keys.broker(id), value: encodeValue(next) }, ...batch.mutations],
      (done) => {
        this.markAllOf(id);
        onDone(done);
      },
    );
  }

  /** Partitions with a replica on this broker that may be written now, the most urgent first. */
  *#byUrgency(id: BrokerId, isInSync: (id: BrokerId) => boolean): Iterable<TopicPartition> {
    const { view } = this.#context;
    const found = urgencies.map((): TopicPartition[] => []);
    for (const { topicId, partition, record } of view.partitions())
      if (record.replicas.includes(id)) found[this.#urgencyOf(topicId, record, isInSync)]?.push({ topicId, partition });
    for (const partitions of found) yield* partitions;
  }

  #fill(batch: PartitionBatch, candidates: Iterable<TopicPartition>, judges: Judges, writtenBroker: BrokerId): void {
    const { view } = this.#context;
    for (const at of candidates) {
      if (view.isTaken(keys.partition(at.topicId, at.partition))) continue;
      const seen = view.partition(at.topicId, at.partition);
      const next = seen && this.#repaired(at, seen.record, judges);
      if (next && !batch.add(view, at, seen, next, writtenBroker)) return;
    }
  }

  /** Writes what the marked partitions need, the most urgent first, as far as there is room. */
  pump(): void {
    if (this.isQuiet || !this.#context.hasRoom()) return;
    const { view, canLead } = this.#context;
    const judges: Judges = { isInSync: (id) => view.isActive(id), canLead, lossy: this.#lossyNow() };
    let batch = new PartitionBatch();
    for (const marked of this.#marked)
      for (const [key, at] of marked) {
        if (view.isTaken(keys.partition(at.topicId, at.partition))) continue;
        const seen = view.partition(at.topicId, at.partition);
        const next = seen && this.#repaired(at, seen.record, judges);
        if (next && !batch.add(view, at, seen, next)) {
          this.#write(batch);
          if (!this.#context.hasRoom()) return;
          batch = new PartitionBatch();
          batch.add(view, at, seen, next);
        }
        marked.delete(key);
      }
    if (batch.partitions.length > 0) this.#write(batch);
  }

  #write(batch: PartitionBatch): void {
    this.#context.transact(batch.compares, batch.mutations, () => {
      for (const { topicId, partition } of batch.partitions) this.mark(topicId, partition);
    });
  }

  /** What the record should be (§2.4), or null where it is that already. */
  #repaired(at: TopicPartition, record: PartitionRecord, { isInSync, canLead, lossy }: Judges): PartitionRecord | null {
    const next = changePartition(record, { isr: record.isr.filter(isInSync), lossy }, canLead);
    if (next.leader < 0 && next.isr.length === 0) this.#onNobodyLeft(at, next);
    return next === record ? null : next;
  }
}
