/**
 * Moves leadership back to preferred replicas (auto.leader.rebalance.enable; Kafka: `maybeBalancePartitionLeaders`).
 * Not while brokers come and go: every move costs clients a metadata round, and a broker that flaps would cost it
 * again and again. A few at a time, and only from brokers out of balance by more than
 * leader.imbalance.per.broker.percentage.
 */
import type { BrokerId } from '../model/brands.ts';
import { keys, type PartitionRecord } from '../model/metadata-schema.ts';
import type { TopicPartition } from '../model/topic-partition.ts';
import { type ControllerContext, PartitionBatch } from './controller-context.ts';
import { changePartition } from './partition-change.ts';

interface Move {
  readonly at: TopicPartition;
  readonly next: PartitionRecord;
}

/** The next lot of a large imbalance. */
const pauseBetweenLotsMs = 1000;

export class LeaderBalance {
  readonly #context: ControllerContext;
  #lastBrokerChangeMs: number;
  #nextCheckMs: number;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#lastBrokerChangeMs = context.nowMs;
    this.#nextCheckMs = context.nowMs + context.options.leaderImbalanceCheckIntervalMs;
  }

  onBrokerChanged(nowMs: number): void {
    this.#lastBrokerChangeMs = nowMs;
  }

  onTicked(): void {
    const { nowMs, options } = this.#context;
    if (!options.autoLeaderRebalance || nowMs < this.#nextCheckMs) return;
    if (nowMs - this.#lastBrokerChangeMs < options.leaderRebalanceQuietMs || !this.#context.hasRoom()) return;
    const moves = this.#findMoves();
    const isMoreLeft = moves.length > options.leaderRebalanceBatch;
    this.#nextCheckMs = nowMs + (isMoreLeft ? pauseBetweenLotsMs : options.leaderImbalanceCheckIntervalMs);
    this.#move(moves.slice(0, options.leaderRebalanceBatch));
  }

  #findMoves(): Move[] {
    const preferredBy = new Map<BrokerId, { total: number; moves: Move[] }>();
    const { view, canLead, options } = this.#context;
    for (const { topicId, partition, record } of view.partitions()) {
      const [preferred] = record.replicas;
      if (preferred === undefined) continue;
      const owned = preferredBy.get(preferred) ?? { total: 0, moves: [] };
      preferredBy.set(preferred, owned);
      owned.total++;
      if (record.leader === preferred || view.isTaken(keys.partition(topicId, partition))) continue;
      const next = changePartition(record, { leader: { kind: 'preferred' } }, canLead);
      if (next.leader === preferred) owned.moves.push({ at: { topicId, partition }, next });
    }
    return [...preferredBy.values()].flatMap(({ total, moves }) =>
      moves.length * 100 > total * options.leaderImbalancePerBrokerPercentage ? moves : [],
    );
  }

  #move(moves: readonly Move[]): void {
    const batch = new PartitionBatch();
    const { view } = this.#context;
    for (const { at, next } of moves) {
      const seen = view.partition(at.topicId, at.partition);
      if (!seen || !batch.add(view, at, seen, next)) break;
    }
    const count = batch.partitions.length;
    if (count === 0) return;
    this.#context.log('info', { partitions: count }, 'leadership goes back to preferred replicas');
    this.#context.transact(batch.compares, batch.mutations, () => {});
  }
}
