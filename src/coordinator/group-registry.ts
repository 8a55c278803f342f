/**
 * Which groups are there? Those with a record, an offset, or somebody who joins; what `replay` does to them.
 *
 *     nothing ──somebody joins──► classic ◄──── tombstones of the other's records, ────► consumer
 *        ▲  ──an offset────────►    │           the first of its own                       │
 *        └── no record, no offset, ─┘◄───────── tombstones, but offsets are left ──────────┘
 *            nobody
 *
 * A group that offsets alone keep is a classic group without protocol type ("simple"). Records may come in any order that
 * compaction leaves: those of the group that was there last are the last.
 */
import { ClassicGroup } from './classic/classic-group.ts';
import { ConsumerGroup } from './consumer/consumer-group.ts';
import type { Now } from './coordinator-shard.ts';
import type { GroupStep } from './group.ts';
import type { GroupModules } from './group-modules.ts';
import type { ClassicGroupValue, ConsumerGroupRecord, GroupRecord, OffsetCommitValue } from './group-records.ts';
import { CommittedOffsets } from './offsets/committed-offsets.ts';

export type AnyGroup = ClassicGroup | ConsumerGroup;

export class GroupRegistry {
  readonly #modules: GroupModules;
  readonly #groups = new Map<string, AnyGroup>();
  readonly offsets = new CommittedOffsets();
  /** Is there once the records of the step that made it are replayed. */
  #arriving: AnyGroup | null = null;
  #isServing = false;
  /** Came into the place of a group of the other protocol by their records, and may have members that nobody attends to. */
  readonly #moved = new Set<string>();

  constructor(modules: GroupModules) {
    this.#modules = modules;
  }

  get all(): ReadonlyMap<string, AnyGroup> {
    return this.#groups;
  }

  get(groupId: string): AnyGroup | undefined {
    return this.#groups.get(groupId);
  }

  /** Without a record: it is forgotten when nobody joins it. */
  addClassic(groupId: string): ClassicGroup {
    const group = new ClassicGroup(groupId, this.#modules);
    this.#groups.set(groupId, group);
    return group;
  }

  newClassic(groupId: string): ClassicGroup {
    return new ClassicGroup(groupId, this.#modules);
  }

  newConsumer(groupId: string): ConsumerGroup {
    return new ConsumerGroup(groupId, this.#modules);
  }

  /** It takes the place of whatever has its id when the records of this step are replayed. */
  arrive(group: AnyGroup): void {
    this.#arriving = group;
  }

  /** Before each event: what was to arrive with the last one was refused, and whoever waits in it comes again. */
  onEvent(now: Now): GroupStep | null {
    const refused = this.#arriving;
    this.#arriving = null;
    if (refused === null) return null;
    const step = refused.type === 'classic' ? refused.disband(now) : null;
    refused.close();
    return step;
  }

  onLoaded(): void {
    this.#isServing = true;
  }

  takeMoved(): AnyGroup[] {
    const groups: AnyGroup[] = [];
    for (const groupId of this.#moved) {
      const group = this.#groups.get(groupId);
      if (group !== undefined && !group.isEmpty()) groups.push(group);
    }
    this.#moved.clear();
    return groups;
  }

  maybeForget(groupId: string): void {
    const group = this.#groups.get(groupId);
    if (group?.type === 'classic' && group.isNothing && !this.offsets.has(groupId)) this.#groups.delete(groupId);
  }

  replay(record: GroupRecord): void {
    switch (record.kind) {
      case 'offsetCommit':
        this.#replayOffset(record.groupId, record.topic, record.partition, record.value);
        break;
      case 'classicGroup':
        this.#replayClassicGroup(record.groupId, record.value);
        break;
      default:
        this.#replayConsumerGroup(record);
    }
  }

  #replayOffset(groupId: string, topic: string, partition: number, value: OffsetCommitValue | null): void {
    this.offsets.replay(groupId, topic, partition, value);
    if (value === null) this.maybeForget(groupId);
    else if (!this.#groups.has(groupId)) this.addClassic(groupId);
  }

  #replayClassicGroup(groupId: string, value: ClassicGroupValue | null): void {
    const known = this.#groups.get(groupId);
    if (value === null) {
      if (known?.type === 'classic') this.#remove(known);
      return;
    }
    if (known?.type === 'classic') {
      known.replay(value);
      return;
    }
    known?.close();
    this.addClassic(groupId).replay(value);
    if (this.#isServing) this.#moved.add(groupId);
  }

  #replayConsumerGroup(record: ConsumerGroupRecord): void {
    const { groupId, value } = record;
    const known = this.#groups.get(groupId);
    if (known?.type === 'consumer') {
      known.replay(record);
      // The last of a group's tombstones.
      if (value === null && record.kind === 'consumerGroupMetadata') this.#remove(known);
      return;
    }
    // What is left of a group that is gone.
    if (value === null) return;
    known?.close();
    const group = this.#takeArriving(groupId) ?? this.newConsumer(groupId);
    this.#groups.set(groupId, group);
    if (this.#isServing) this.#moved.add(groupId);
    if (group.type === 'consumer') group.replay(record);
  }

  #remove(group: AnyGroup): void {
    const { groupId } = group;
    group.close();
    const next = this.#takeArriving(groupId);
    if (next !== null) {
      this.#groups.set(groupId, next);
      if (next.type === 'consumer') this.#moved.add(groupId);
    } else if (this.offsets.has(groupId)) {
      this.addClassic(groupId);
      // The record that gives it members may be the next one.
      if (group.type === 'consumer' && this.#isServing) this.#moved.add(groupId);
    } else this.#groups.delete(groupId);
  }

  #takeArriving(groupId: string): AnyGroup | null {
    const group = this.#arriving;
    if (group === null || group.groupId !== groupId) return null;
    this.#arriving = null;
    return group;
  }
}
