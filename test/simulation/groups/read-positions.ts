/**
 * How far a consumer has read what it was given, and what it has committed of that. Positions only grow, and none is
 * committed below one that was committed before: so whatever is told of a group's offsets never falls.
 */
import type { OffsetCommitRequest } from '../../../src/coordinator/group-requests.ts';
import { noLeaderEpoch, offset } from '../../../src/model/brands.ts';
import type { SimulatedGroups } from './simulated-groups.ts';
import { workTopic, workTopicId } from './work-topic.ts';

export interface Snapshot {
  readonly positions: ReadonlyMap<number, number>;
  readonly generationOrMemberEpoch: number;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** How often the group had been deleted. */
  readonly deletions: number;
}

export class ReadPositions {
  readonly #groups: SimulatedGroups;
  readonly #groupId: string;
  readonly #positions = new Map<number, number>();
  /** By partition: the highest position that was sent. */
  readonly #sent = new Map<number, number>();

  constructor(groups: SimulatedGroups, groupId: string) {
    this.#groups = groups;
    this.#groupId = groupId;
  }

  get partitions(): readonly number[] {
    return [...this.#positions.keys()];
  }
  has(partition: number): boolean {
    return this.#positions.has(partition);
  }
  clear(): void {
    this.#positions.clear();
  }
  delete(partition: number): void {
    this.#positions.delete(partition);
  }

  /** From what was committed, or from the start. */
  begin(partition: number, committed: number): void {
    this.#positions.set(partition, Math.max(committed, 0));
    this.#sent.set(partition, committed);
  }

  poll(): void {
    const { random } = this.#groups.world;
    for (const [partition, position] of this.#positions)
      if (random.chance(0.7)) this.#positions.set(partition, position + 1 + random.below(10));
  }

  snapshot(of: Omit<Snapshot, 'positions' | 'deletions'>): Snapshot {
    return { ...of, positions: new Map(this.#positions), deletions: this.#deletions };
  }

  get #deletions(): number {
    return this.#groups.committed.group(this.#groupId).deletions;
  }

  /** Null where there is nothing in it that was not sent before. */
  commitOf({ positions, deletions, ...who }: Snapshot): OffsetCommitRequest | null {
    const groupId = this.#groupId;
    // Generations and epochs begin anew with the next group of that name: nobody could tell an old one from a new one.
    if (deletions !== this.#deletions) return null;
    const partitions = [];
    for (const [partition, position] of positions) {
      if (position <= (this.#sent.get(partition) ?? -1)) continue;
      this.#sent.set(partition, position);
      partitions.push({
        partition,
        offset: offset(position),
        leaderEpoch: noLeaderEpoch,
        metadata: this.#groups.nextCommitName(),
      });
    }
    if (partitions.length === 0) return null;
    return {
      kind: 'offsetCommit',
      groupId,
      ...who,
      retentionTimeMs: null,
      knowsConsumerGroups: true,
      topics: [{ topic: workTopic, topicId: workTopicId, partitions }],
    };
  }
}
