/**
 * Administration asked for through any broker (createTopics T6, deleteTopics T7, createPartitions, electLeaders).
 * Each item of a command is carried on until it is committed or refused; the answer follows when all are, and names
 * the newest revision that shows what was done (I3). An item whose transaction did not happen, or whose keys another
 * one is writing, is judged again from what is known then.
 */

import type { Random } from '../env/random.ts';
import { type BrokerId, type Revision, revision, type TopicId } from '../model/brands.ts';
import type { Fault } from '../model/fault.ts';
import { encodeValue, keys, type PartitionRecord } from '../model/metadata-schema.ts';
import type { TopicPartition } from '../model/topic-partition.ts';
import type { AdminAnswer, AdminCommand, AdminItemResult, NewTopic } from './control-messages.ts';
import type { TxnDone } from './control-view.ts';
import { type ControllerContext, PartitionBatch, partitionsPerTxn } from './controller-context.ts';
import type { Compare, Mutation } from './metadata-store.ts';
import { changePartition } from './partition-change.ts';
import type { PlacementLoad } from './placement.ts';
import type { ReplicaRecovery } from './replica-recovery.ts';
import { loadOf, planPartitions, planTopic, type TopicPlan } from './topic-plan.ts';

/** Items waiting at once; past it commands are refused, to be asked again. */
const mostOpenItems = 10_000;

interface Command {
  readonly streamId: number;
  readonly requestId: number;
  readonly results: (AdminItemResult | null)[];
  open: number;
  revision: Revision;
}

/** One thing to carry out. `attempt` is called while it is due; it makes the item wait by starting a transaction. */
interface Item {
  readonly command: Command;
  readonly index: number;
  readonly attempt: (item: Item) => void;
  isWaiting: boolean;
}

/** Of one creation, under way at a time. */
const txnsAtOnce = 8;

export class TopicAdmin {
  readonly #context: ControllerContext;
  readonly #recovery: ReplicaRecovery;
  readonly #random: Random;
  readonly #items = new Set<Item>();
  /** Topics whose partitions are being written before their name (§2.9): orphans that are not to be deleted. */
  readonly #creating = new Set<TopicId>();
  readonly #growing = new Set<TopicId>();
  #mustSweep = true;
  /** Counted once per pump that plans something. */
  #load: PlacementLoad | null = null;

  constructor(context: ControllerContext, recovery: ReplicaRecovery, random: Random) {
    this.#context = context;
    this.#recovery = recovery;
    this.#random = random;
  }

  onCommand(streamId: number, requestId: number, command: AdminCommand): void {
    const attempts = this.#attemptsOf(command);
    if (this.#items.size + attempts.length > mostOpenItems)
      return this.#send(streamId, requestId, { kind: 'refused', fault: { code: 'NOT_CONTROLLER' } });
    const results = attempts.map(() => null);
    const open: Command = { streamId, requestId, results, open: attempts.length, revision: revision(0) };
    for (const [index, attempt] of attempts.entries())
      this.#items.add({ command: open, index, attempt, isWaiting: false });
    if (attempts.length === 0) this.#answer(open);
  }

  /** Partition keys without a topic, or past its count, may be there: look for them. */
  mustSweep(): void {
    this.#mustSweep = true;
  }

  pump(): void {
    this.#load = null;
    for (const item of [...this.#items]) {
      if (!this.#context.hasRoom()) return;
      if (!item.isWaiting) item.attempt(item);
    }
    if (this.#mustSweep) this.#sweep();
  }

  /** The term is over: those who wait ask the next controller. What was under way may have been done. */
  refuseAll(): void {
    const open = new Set([...this.#items].map((item) => item.command));
    for (const { streamId, requestId } of open)
      this.#send(streamId, requestId, { kind: 'refused', fault: { code: 'NOT_CONTROLLER' } });
    this.#items.clear();
  }

  #attemptsOf(command: AdminCommand): ((item: Item) => void)[] {
    switch (command.kind) {
      case 'createTopics': {
        const names = command.topics.map((topic) => topic.name);
        return command.topics.map((topic) => {
          const isTwice = names.filter((name) => name === topic.name).length > 1;
          return (item) => {
            if (isTwice)
              return this.#refuse(item, { code: 'INVALID_REQUEST', reason: `topic ${topic.name} is named twice` });
            this.#createTopic(item, topic, command.validateOnly);
          };
        });
      }
      case 'deleteTopics':
        return command.topicIds.map((id) => (item) => this.#deleteTopic(item, id));
      case 'createPartitions':
        return command.topics.map(
          (topic) => (item) =>
            this.#createPartitions(item, topic.name, topic.total, topic.assignment, command.validateOnly),
        );
      case 'electLeaders':
        return this.#electionTargets(command).map((at) => (item) => {
          if (command.election === 'preferred') this.#electPreferred(item, at);
          else this.#electUnclean(item, at);
        });
    }
  }

  // ── createTopics ────────────────────────────────────────────────────────────────────────────────────────────────

  #createTopic(item: Item, wanted: NewTopic, isOnlyValidated: boolean): void {
    const { view, options, canLead, wallMs } = this.#context;
    if (view.isTaken(keys.name(wanted.name))) return;
    this.#load ??= loadOf(view);
    const planned = planTopic(view, wanted, options, canLead, this.#load, this.#random, wallMs);
    if (planned.fault) return this.#refuse(item, planned.fault);
    if (isOnlyValidated) return this.#finish(item, resultOf(planned.plan), null);
    item.isWaiting = true;
    this.#creating.add(planned.plan.id);
    const puts = planned.plan.partitions.map((record, partition) =>
      this.#newPartition(planned.plan.id, partition, record),
    );
    if (puts.length <= partitionsPerTxn) return this.#nameTopic(item, planned.plan, puts);
    this.#writeAll(puts, (isDone) => {
      if (isDone) this.#nameTopic(item, planned.plan, []);
      else this.#giveUpTopic(item, planned.plan);
    });
  }

  /** T6: the name and the topic key, and the partitions where they fit beside them. */
  #nameTopic(item: Item, plan: TopicPlan, partitions: readonly Mutation[]): void {
    const { view } = this.#context;
    const { id, record } = plan;
    const puts: Mutation[] = [
      { kind: 'put', key: keys.name(record.name), value: encodeValue(id) },
      { kind: 'put', key: keys.topic(id), value: encodeValue(record) },
    ];
    if (Object.keys(plan.configs).length > 0)
      puts.push({ kind: 'put', key: keys.config('topic', record.name), value: encodeValue(plan.configs) });
    // Somebody else's creation of the name may have come between: take the plan back.
    if (view.isTaken(keys.name(record.name)) || view.isTaken(keys.config('topic', record.name)))
      return this.#giveUpTopic(item, plan);
    const absent = [keys.name(record.name), keys.topic(id)].map((key) => ({ key, modRevision: revision(0) }));
    this.#context.transact([...absent, ...this.#inSyncCompares(plan.partitions)], [...puts, ...partitions], (done) => {
      if (!done.isDone) return this.#giveUpTopic(item, plan);
      this.#creating.delete(id);
      this.#context.log('info', { topic: record.name, topicId: id, partitions: record.partitions }, 'topic created');
      this.#finish(item, resultOf(plan), done.revision);
    });
  }

  /** Judged anew; what has been written of it is an orphan and is swept away. */
  #giveUpTopic(item: Item, plan: TopicPlan): void {
    const { view } = this.#context;
    this.#creating.delete(plan.id);
    // The answer was lost, not the transaction (§3: compare with what was intended).
    if (view.topicIdByName(plan.record.name)?.record === plan.id)
      return this.#finish(item, resultOf(plan), view.image.revision);
    this.#mustSweep = true;
    item.isWaiting = false;
  }

  /** Every broker that starts in sync is still what it was when the topic was planned (I6, I17). */
  #inSyncCompares(partitions: readonly PartitionRecord[]): Compare[] {
    const { view } = this.#context;
    const inSync = new Set(partitions.flatMap((record) => record.isr));
    if (inSync.size > 20) return [];
    return [...inSync].flatMap((id) => {
      const broker = view.broker(id);
      return broker ? [{ key: keys.broker(id), modRevision: broker.modRevision }] : [];
    });
  }

  #newPartition(id: TopicId, partition: number, record: PartitionRecord): Mutation {
    return { kind: 'put', key: keys.partition(id, partition), value: encodeValue(record) };
  }

  /** Puts of new keys, some transactions at a time: ten thousand keys at once would hold up all else the controller does. */
  #writeAll(puts: readonly Mutation[], onDone: (isDone: boolean) => void): void {
    let next = 0;
    let open = 0;
    let isDone = true;
    const writeNext = (): void => {
      const slice = puts.slice(next, next + partitionsPerTxn);
      next += slice.length;
      open++;
      this.#context.transact(
        slice.map(({ key }) => ({ key, modRevision: revision(0) })),
        slice,
        (done) => {
          open--;
          isDone &&= done.isDone;
          if (isDone && next < puts.length) writeNext();
          else if (open === 0) onDone(isDone);
        },
      );
    };
    while (isDone && open < txnsAtOnce && next < puts.length) writeNext();
  }

  // ── deleteTopics ────────────────────────────────────────────────────────────────────────────────────────────────

  /** T7: name and topic key go first, in one transaction; the partition keys are swept after them. */
  #deleteTopic(item: Item, id: TopicId): void {
    const { view } = this.#context;
    if (view.isTaken(keys.topic(id))) return;
    const topic = view.topic(id);
    if (!topic) return this.#refuse(item, { code: 'UNKNOWN_TOPIC_ID' });
    const { name, partitions } = topic.record;
    const named = view.topicIdByName(name);
    const toDelete = [keys.topic(id), keys.config('topic', name), ...(named?.record === id ? [keys.name(name)] : [])];
    if (toDelete.some((key) => view.isTaken(key))) return;
    const compares: Compare[] = [{ key: keys.topic(id), modRevision: topic.modRevision }];
    if (named?.record === id) compares.push({ key: keys.name(name), modRevision: named.modRevision });
    const replicationFactor = view.partition(id, 0)?.record.replicas.length ?? 0;
    item.isWaiting = true;
    this.#context.transact(
      compares,
      toDelete.map((key) => ({ kind: 'delete', key })),
      (done) => {
        if (!done.isDone && view.topic(id)) return this.#again(item);
        this.#mustSweep = true;
        this.#context.log('info', { topic: name, topicId: id }, 'topic deleted');
        const at = done.isDone ? done.revision : view.image.revision;
        this.#finish(item, { fault: null, topicId: id, partitions, replicationFactor }, at);
      },
    );
  }

  /**
   * Deletes partition keys that no topic owns: after a deletion, after a creation that was given up, and what a
   * controller before this one left (§2.9 reconciliation).
   */
  #sweep(): void {
    const { view } = this.#context;
    this.#mustSweep = false;
    const victims: Compare[] = [];
    const take = (id: TopicId, partition: number, modRevision: Revision): void => {
      const key = keys.partition(id, partition);
      if (view.isTaken(key)) this.#mustSweep = true;
      else victims.push({ key, modRevision });
    };
    for (const [id, partitions] of view.image.orphanedPartitions()) {
      if (this.#creating.has(id) || view.topic(id)) continue;
      for (const [partition, found] of partitions.entries()) if (found) take(id, partition, found.modRevision);
    }
    for (const { id, record, partitions } of view.image.topics.values()) {
      if (partitions.length <= record.partitions || this.#growing.has(id) || !view.topic(id)) continue;
      const count = view.topic(id)?.record.partitions ?? record.partitions;
      for (let partition = count; partition < partitions.length; partition++) {
        const found = partitions[partition];
        if (found) take(id, partition, found.modRevision);
      }
    }
    for (let from = 0; from < victims.length; from += partitionsPerTxn) {
      const slice = victims.slice(from, from + partitionsPerTxn);
      if (!this.#context.hasRoom()) {
        this.#mustSweep = true;
        return;
      }
      this.#context.transact(
        slice,
        slice.map(({ key }) => ({ kind: 'delete', key })),
        ({ isDone }) => {
          if (!isDone) this.#mustSweep = true;
        },
      );
    }
  }

  // ── createPartitions ────────────────────────────────────────────────────────────────────────────────────────────

  #createPartitions(
    item: Item,
    name: string,
    total: number,
    assignment: readonly (readonly BrokerId[])[] | null,
    isOnlyValidated: boolean,
  ): void {
    const { view, canLead } = this.#context;
    const id = view.topicIdByName(name)?.record;
    const topic = id && view.topic(id);
    if (!topic) return this.#refuse(item, { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
    if (view.isTaken(keys.topic(id)) || this.#growing.has(id)) return;
    this.#load ??= loadOf(view);
    const planned = planPartitions(view, id, total, assignment, canLead, this.#load);
    if (planned.fault) return this.#refuse(item, planned.fault);
    const replicationFactor = planned.plan[0]?.replicas.length ?? 0;
    const result: AdminItemResult = { fault: null, topicId: id, partitions: total, replicationFactor };
    if (isOnlyValidated) return this.#finish(item, result, null);
    const from = topic.record.partitions;
    const puts = planned.plan.map((record, index) => this.#newPartition(id, from + index, record));
    if (puts.some(({ key }, index) => view.isTaken(key) || view.image.partition(id, from + index))) {
      // Left over from a controller before this one: swept first.
      this.#mustSweep = true;
      return;
    }
    item.isWaiting = true;
    this.#growing.add(id);
    const grow = (beside: readonly Mutation[]): void => {
      const put: Mutation = {
        kind: 'put',
        key: keys.topic(id),
        value: encodeValue({ ...topic.record, partitions: total }),
      };
      const compares = [{ key: keys.topic(id), modRevision: topic.modRevision }, ...this.#inSyncCompares(planned.plan)];
      if (view.isTaken(keys.topic(id))) return end({ isDone: false });
      this.#context.transact(compares, [put, ...beside], end);
    };
    const end = (done: TxnDone): void => {
      this.#growing.delete(id);
      if (done.isDone) return this.#finish(item, result, done.revision);
      this.#mustSweep = true;
      if (view.topic(id)?.record.partitions === total) return this.#finish(item, result, view.image.revision);
      this.#again(item);
    };
    if (puts.length <= partitionsPerTxn) return grow(puts);
    this.#writeAll(puts, (isDone) => (isDone ? grow([]) : end({ isDone })));
  }

  // ── electLeaders ────────────────────────────────────────────────────────────────────────────────────────────────

  /** `null` stands for every partition that such an election would concern, in the image's order. */
  #electionTargets(command: Extract<AdminCommand, { kind: 'electLeaders' }>): readonly TopicPartition[] {
    if (command.partitions) return command.partitions;
    const targets: TopicPartition[] = [];
    for (const { topicId, partition, record } of this.#context.view.partitions())
      if (command.election === 'unclean' ? record.leader < 0 : record.leader !== record.replicas[0])
        targets.push({ topicId, partition });
    return targets;
  }

  #electPreferred(item: Item, at: TopicPartition): void {
    const { view, canLead } = this.#context;
    if (view.isTaken(keys.partition(at.topicId, at.partition))) return;
    const seen = view.partition(at.topicId, at.partition);
    if (!seen) return this.#refuse(item, { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
    const { record } = seen;
    if (record.leader === record.replicas[0]) return this.#refuse(item, { code: 'ELECTION_NOT_NEEDED' });
    const next = changePartition(record, { leader: { kind: 'preferred' } }, canLead);
    if (next.leader !== next.replicas[0]) return this.#refuse(item, { code: 'ELIGIBLE_LEADERS_NOT_AVAILABLE' });
    const batch = new PartitionBatch();
    batch.add(view, at, seen, next);
    item.isWaiting = true;
    this.#context.transact(batch.compares, batch.mutations, (done) => {
      if (done.isDone) this.#finish(item, this.#electionResult(at), done.revision);
      else this.#again(item);
    });
  }

  #electUnclean(item: Item, at: TopicPartition): void {
    const { view } = this.#context;
    if (view.isTaken(keys.partition(at.topicId, at.partition))) return;
    const record = view.partition(at.topicId, at.partition)?.record;
    if (!record) return this.#refuse(item, { code: 'UNKNOWN_TOPIC_OR_PARTITION' });
    if (record.leader >= 0) return this.#refuse(item, { code: 'ELECTION_NOT_NEEDED' });
    item.isWaiting = true;
    this.#recovery.order(at, (outcome) => {
      if (outcome === 'elected') this.#finish(item, this.#electionResult(at), view.lastCommitted);
      else if (outcome === 'notNeeded') this.#refuse(item, { code: 'ELECTION_NOT_NEEDED' });
      else this.#refuse(item, { code: 'ELIGIBLE_LEADERS_NOT_AVAILABLE' });
    });
  }

  #electionResult({ topicId, partition }: TopicPartition): AdminItemResult {
    const { view } = this.#context;
    const replicationFactor = view.partition(topicId, partition)?.record.replicas.length ?? 0;
    return { fault: null, topicId, partitions: view.topic(topicId)?.record.partitions ?? 0, replicationFactor };
  }

  // ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #again(item: Item): void {
    item.isWaiting = false;
  }

  #refuse(item: Item, fault: Fault): void {
    this.#finish(item, { fault }, null);
  }

  #finish(item: Item, result: AdminItemResult, at: Revision | null): void {
    const { command, index } = item;
    if (!this.#items.delete(item)) return;
    command.results[index] = result;
    if (at !== null && at > command.revision) command.revision = at;
    if (--command.open === 0) this.#answer(command);
  }

  #answer({ streamId, requestId, results, revision: at }: Command): void {
    const whole = results.flatMap((result) => (result ? [result] : []));
    this.#send(streamId, requestId, { kind: 'done', results: whole, revision: at });
  }

  #send(streamId: number, requestId: number, answer: AdminAnswer): void {
    this.#context.send(streamId, { kind: 'adminAnswer', requestId, answer });
  }
}

const resultOf = (plan: TopicPlan): AdminItemResult => ({
  fault: null,
  topicId: plan.id,
  partitions: plan.record.partitions,
  replicationFactor: plan.replicationFactor,
});
