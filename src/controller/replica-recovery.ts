/**
 * Partitions whose ISR and ELR are both empty or gone (`replication-invariants` §2.10): who has the most?
 *
 *   who is back                   | allowed by                                | candidates
 *   all of lastKnownElr           | always (`balanced`: loses nothing by §0)  | lastKnownElr
 *   some replicas                 | unclean.leader.election.enable, operator  | all ACTIVE replicas
 *   otherwise                     | –                                         | wait
 *
 * Each candidate is asked for (lastEpoch, log end offset); the largest pair leads. A clean choice is never passed over
 * (I21): the record is looked at again when the answers are in.
 */
import type { BrokerId } from '../model/brands.ts';
import { keys, type PartitionRecord } from '../model/metadata-schema.ts';
import { partitionKey, type TopicPartition } from '../model/topic-partition.ts';
import type { ReplicaState } from './control-messages.ts';
import { type ControllerContext, PartitionBatch } from './controller-context.ts';
import { changePartition } from './partition-change.ts';

type Outcome = 'elected' | 'notPossible' | 'notNeeded';

interface Recovery {
  readonly at: TopicPartition;
  readonly isUnclean: boolean;
  readonly partitionEpoch: number;
  readonly sinceMs: number;
  readonly waiting: Set<BrokerId>;
  readonly answers: Map<BrokerId, ReplicaState>;
  isWriting: boolean;
}

/** A replica that is not there holds nothing. */
const nothing = { lastEpoch: -1, logEndOffset: 0 } as ReplicaState;

export class ReplicaRecovery {
  readonly #context: ControllerContext;
  readonly #wanted = new Map<string, TopicPartition>();
  /** Lost, and nobody to ask yet. */
  readonly #waiting = new Map<string, TopicPartition>();
  readonly #recoveries = new Map<string, Recovery>();
  /** Partitions an operator gave up waiting for, with whom to tell. */
  readonly #ordered = new Map<string, { at: TopicPartition; tell: ((outcome: Outcome) => void)[] }>();
  readonly #requests = new Map<number, { brokerId: BrokerId; keys: readonly string[] }>();
  #nextRequestId = 1;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  want(at: TopicPartition): void {
    this.#wanted.set(partitionKey(at.topicId, at.partition), at);
  }

  /** ElectLeaders, unclean: the operator's word. */
  order(at: TopicPartition, tell: (outcome: Outcome) => void): void {
    const key = partitionKey(at.topicId, at.partition);
    const order = this.#ordered.get(key) ?? { at, tell: [] };
    order.tell.push(tell);
    this.#ordered.set(key, order);
    this.want(at);
  }

  answered(requestId: number, brokerId: BrokerId, states: readonly (ReplicaState | null)[]): void {
    const request = this.#requests.get(requestId);
    if (request?.brokerId !== brokerId) return;
    this.#requests.delete(requestId);
    for (const [index, key] of request.keys.entries()) {
      const recovery = this.#recoveries.get(key);
      if (!recovery?.waiting.delete(brokerId)) continue;
      recovery.answers.set(brokerId, states[index] ?? nothing);
    }
  }

  /** Once in a while: who is back, and what the configuration allows, may have changed. */
  lookAgain(): void {
    for (const [key, at] of this.#waiting) this.#wanted.set(key, at);
    this.#waiting.clear();
  }

  pump(): void {
    this.#begin();
    for (const [key, recovery] of [...this.#recoveries]) this.#advance(key, recovery);
    for (const [id, request] of [...this.#requests])
      if (!request.keys.some((key) => this.#recoveries.get(key)?.waiting.has(request.brokerId)))
        this.#requests.delete(id);
  }

  #begin(): void {
    const asks = new Map<BrokerId, TopicPartition[]>();
    for (const [key, at] of [...this.#wanted]) {
      if (this.#recoveries.has(key)) continue;
      this.#wanted.delete(key);
      const record = this.#lostRecord(at);
      const plan = record && this.#candidates(at, record);
      if (record && !plan) this.#waiting.set(key, at);
      if (!record || !plan) {
        this.#tell(key, record ? 'notPossible' : 'notNeeded');
        continue;
      }
      this.#recoveries.set(key, {
        at,
        isUnclean: plan.isUnclean,
        partitionEpoch: record.partitionEpoch,
        sinceMs: this.#context.nowMs,
        waiting: new Set(plan.ids),
        answers: new Map(),
        isWriting: false,
      });
      for (const id of plan.ids) asks.set(id, [...(asks.get(id) ?? []), at]);
    }
    for (const [brokerId, partitions] of asks) this.#ask(brokerId, partitions);
  }

  #ask(brokerId: BrokerId, partitions: readonly TopicPartition[]): void {
    const streamId = this.#context.liveness.streamOf(brokerId);
    if (streamId === null) return;
    const requestId = this.#nextRequestId++;
    this.#requests.set(requestId, { brokerId, keys: partitions.map((at) => partitionKey(at.topicId, at.partition)) });
    this.#context.send(streamId, { kind: 'askReplicaStates', requestId, partitions });
  }

  /** The record, if nobody leads and nobody can be elected by §2.4. */
  #lostRecord(at: TopicPartition): PartitionRecord | null {
    const record = this.#context.view.partition(at.topicId, at.partition)?.record;
    if (!record || record.leader >= 0 || record.isr.length > 0) return null;
    return record.elr.some((id) => this.#context.canLead(id)) ? null : record;
  }

  #candidates(at: TopicPartition, record: PartitionRecord): { ids: BrokerId[]; isUnclean: boolean } | null {
    const isBack = (id: BrokerId): boolean =>
      this.#context.canLead(id) && this.#context.liveness.isHeard(id, this.#context.nowMs);
    const known = record.lastKnownElr;
    if (record.elr.length === 0 && known.length > 0 && known.every(isBack))
      return { ids: [...known], isUnclean: false };
    if (!this.#isUncleanAllowed(at)) return null;
    const ids = record.replicas.filter(isBack);
    return ids.length > 0 ? { ids, isUnclean: true } : null;
  }

  #isUncleanAllowed(at: TopicPartition): boolean {
    if (this.#ordered.has(partitionKey(at.topicId, at.partition))) return true;
    const { view, options } = this.#context;
    const name = view.topic(at.topicId)?.record.name ?? '';
    const own = view.image.config('topic', name)['unclean.leader.election.enable'];
    return own === undefined ? options.uncleanLeaderElection : own === 'true';
  }

  #advance(key: string, recovery: Recovery): void {
    if (recovery.isWriting) return;
    const { nowMs, options } = this.#context;
    const record = this.#lostRecord(recovery.at);
    if (record?.partitionEpoch !== recovery.partitionEpoch)
      return this.#end(key, record ? null : 'notNeeded', recovery);
    for (const id of recovery.waiting)
      if (!this.#context.canLead(id) || nowMs - recovery.sinceMs > options.requestTimeoutMs)
        return this.#end(key, null, recovery);
    if (recovery.waiting.size === 0) this.#elect(key, recovery, record);
  }

  #elect(key: string, recovery: Recovery, record: PartitionRecord): void {
    const { view, canLead } = this.#context;
    const { at, answers, isUnclean } = recovery;
    if (view.isTaken(keys.partition(at.topicId, at.partition))) return;
    const able = record.replicas.filter((id) => answers.has(id) && canLead(id));
    const stateOf = (id: BrokerId): ReplicaState => answers.get(id) ?? nothing;
    const [best] = able.sort(
      (a, b) => stateOf(b).lastEpoch - stateOf(a).lastEpoch || stateOf(b).logEndOffset - stateOf(a).logEndOffset,
    );
    const seen = view.partition(at.topicId, at.partition);
    if (best === undefined || !seen || able.length < answers.size) return this.#end(key, null, recovery);
    const next = changePartition(record, { leader: { kind: 'chosen', brokerId: best, isUnclean } }, canLead);
    const batch = new PartitionBatch();
    batch.add(view, at, seen, next);
    recovery.isWriting = true;
    this.#context.log(
      'warn',
      {
        topic: view.topic(at.topicId)?.record.name,
        partition: at.partition,
        leader: best,
        leaderEpoch: next.leaderEpoch,
        isUnclean,
        found: Object.fromEntries(answers),
      },
      isUnclean
        ? 'an unclean election: committed records may be lost'
        : 'all who may hold the end are back: elected the longest',
    );
    this.#context.transact(batch.compares, batch.mutations, ({ isDone }) =>
      this.#end(key, isDone ? 'elected' : null, recovery),
    );
  }

  /** `null`: it did not come to an end; try again as long as the partition is lost. */
  #end(key: string, outcome: Outcome | null, { at }: Recovery): void {
    this.#recoveries.delete(key);
    if (outcome) this.#tell(key, outcome);
    else this.want(at);
  }

  #tell(key: string, outcome: Outcome): void {
    const order = this.#ordered.get(key);
    this.#ordered.delete(key);
    for (const tell of order?.tell ?? []) tell(outcome);
  }
}
