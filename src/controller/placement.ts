/**
 * Which brokers hold the replicas of new partitions. What Kafka's `StripedReplicaPlacer` aims at (replicas of one
 * partition in different racks, leaders and replicas even over brokers, fenced brokers last) is reached by counting
 * instead of by striping from a random start: 9 partitions on 3 brokers give exactly 3 leaders each, topics of one
 * partition spread as well, and partitions added later continue where the others ended. No chance is involved.
 */
import { assert, present } from '../model/assert.ts';
import type { BrokerId } from '../model/brands.ts';

export interface PlacementBroker {
  readonly id: BrokerId;
  readonly rack: string | null;
  /** Only an ACTIVE broker starts in sync; others get a replica when there are not enough of those. */
  readonly isActive: boolean;
}

/** How many replicas, and how many of them preferred leaders, each broker has already. */
export class PlacementLoad {
  readonly #leaders = new Map<BrokerId, number>();
  readonly #replicas = new Map<BrokerId, number>();

  add(replicas: readonly BrokerId[]): void {
    const [leader] = replicas;
    if (leader !== undefined) count(this.#leaders, leader);
    for (const id of replicas) count(this.#replicas, id);
  }

  leadersOf(id: BrokerId): number {
    return this.#leaders.get(id) ?? 0;
  }

  replicasOf(id: BrokerId): number {
    return this.#replicas.get(id) ?? 0;
  }
}

/** Why partitions with so many replicas cannot be placed, or null (Kafka: INVALID_REPLICATION_FACTOR). */
export function replicationFactorProblem(
  brokers: readonly PlacementBroker[],
  replicationFactor: number,
): string | null {
  if (replicationFactor < 1) return `the replication factor must be at least 1, or -1 for the default`;
  if (replicationFactor > brokers.length)
    return `replication factor ${replicationFactor} is more than the ${brokers.length} broker(s) that are registered`;
  if (!brokers.some((broker) => broker.isActive)) return 'all brokers are fenced';
  return null;
}

/**
 * Why a chosen assignment cannot be, or null (Kafka: `validateManualPartitionAssignment`, INVALID_REPLICA_ASSIGNMENT).
 * `replicationFactor`: what the topic's other partitions have; null where these are the first.
 */
export function assignmentProblem(
  assignment: readonly (readonly BrokerId[])[],
  brokers: readonly PlacementBroker[],
  replicationFactor: number | null,
): string | null {
  const known = new Map(brokers.map((broker) => [broker.id, broker]));
  const expected = replicationFactor ?? assignment[0]?.length ?? 0;
  for (const replicas of assignment) {
    if (replicas.length === 0) return 'a partition has an empty replica list';
    if (new Set(replicas).size !== replicas.length) return `broker ids repeat in ${replicas.join(',')}`;
    const missing = replicas.find((id) => !known.has(id));
    if (missing !== undefined) return `broker ${missing} is not registered`;
    if (replicas.length !== expected)
      return `${replicas.join(',')} has ${replicas.length} replicas where other partitions have ${expected}`;
    if (!replicas.some((id) => known.get(id)?.isActive))
      return `all brokers of ${replicas.join(',')} are fenced or shutting down`;
  }
  return null;
}

/**
 * Replicas of `partitions` new partitions, the preferred leader first, and adds them to `load`. `existing` are the
 * partitions the topic has. `replicationFactorProblem` must have said null.
 */
export function placeReplicas(
  brokers: readonly PlacementBroker[],
  partitions: number,
  replicationFactor: number,
  existing: readonly (readonly BrokerId[])[],
  load: PlacementLoad,
): BrokerId[][] {
  assert(replicationFactorProblem(brokers, replicationFactor) === null, 'placement without enough brokers');
  const circle = new Circle(brokers);
  const topic = new TopicLoad(existing);
  const placed: BrokerId[][] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const replicas = placeOne(circle, replicationFactor, topic, load);
    topic.add(replicas);
    load.add(replicas);
    placed.push(replicas);
  }
  return placed;
}

function placeOne(circle: Circle, replicationFactor: number, topic: TopicLoad, load: PlacementLoad): BrokerId[] {
  const leader = least(circle.brokers, (broker) => [
    broker.isActive ? 0 : 1,
    topic.own.leadersOf(broker.id),
    load.leadersOf(broker.id),
    circle.distance(topic.lastLeader, broker.id),
  ]);
  const chosen = [leader];
  while (chosen.length < replicationFactor) {
    const left = circle.brokers.filter((broker) => !chosen.includes(broker));
    chosen.push(
      least(left, (broker) => [
        // An inactive broker is taken only when the active ones are used up, even where that doubles a rack.
        broker.isActive ? 0 : 1,
        broker.rack === null ? 0 : chosen.filter((other) => other.rack === broker.rack).length,
        topic.own.replicasOf(broker.id),
        // Who stands second inherits when the leader dies: let each leader's partitions have different heirs.
        chosen.length === 1 ? topic.heirsOf(leader.id, broker.id) : 0,
        load.replicasOf(broker.id),
        circle.distance(leader.id, broker.id),
      ]),
    );
  }
  return chosen.map((broker) => broker.id);
}

/** What one topic has on each broker. */
class TopicLoad {
  readonly own = new PlacementLoad();
  lastLeader: BrokerId | null = null;
  readonly #heirs = new Map<string, number>();

  constructor(existing: readonly (readonly BrokerId[])[]) {
    for (const replicas of existing) this.add(replicas);
  }

  add(replicas: readonly BrokerId[]): void {
    const [leader, heir] = replicas;
    this.own.add(replicas);
    this.lastLeader = leader ?? this.lastLeader;
    if (leader !== undefined && heir !== undefined) count(this.#heirs, `${leader}>${heir}`);
  }

  heirsOf(leader: BrokerId, heir: BrokerId): number {
    return this.#heirs.get(`${leader}>${heir}`) ?? 0;
  }
}

/** The brokers in the order of their ids; the first follows the last. */
class Circle {
  readonly brokers: readonly PlacementBroker[];
  readonly #positions: ReadonlyMap<BrokerId, number>;

  constructor(brokers: readonly PlacementBroker[]) {
    this.brokers = [...brokers].sort((a, b) => a.id - b.id);
    this.#positions = new Map(this.brokers.map(({ id }, position) => [id, position]));
  }

  /** Steps from one broker on to another, so that equals take turns. */
  distance(from: BrokerId | null, to: BrokerId): number {
    const start = (from === null ? undefined : this.#positions.get(from)) ?? -1;
    const end = this.#positions.get(to) ?? -1;
    return (end - start - 1 + this.brokers.length) % this.brokers.length;
  }
}

/** The first of those with the smallest cost, compared number by number. */
function least(
  brokers: readonly PlacementBroker[],
  cost: (broker: PlacementBroker) => readonly number[],
): PlacementBroker {
  let best = present(brokers[0], 'a broker to place a replica on');
  let bestCost = cost(best);
  for (const broker of brokers.slice(1)) {
    const itsCost = cost(broker);
    const differs = itsCost.findIndex((number, index) => number !== bestCost[index]);
    if (differs >= 0 && (itsCost[differs] ?? 0) < (bestCost[differs] ?? 0)) [best, bestCost] = [broker, itsCost];
  }
  return best;
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
