/**
 * What is written of a group of the new protocol (KIP-848): three epochs, the members, what each shall have and what each
 * has. `replay` is its only writer.
 *
 *     group epoch       rises with every change of members, subscriptions or topics
 *     target epoch      the group epoch that the target assignment was computed for
 *     member epoch      the target epoch that the member has been brought to (`current-assignment.ts`)
 *
 * Records come in any order that compaction leaves: the newest of each key, those of different keys in the order they
 * were written. Who owns a partition is therefore whoever was last told so, until that member is told otherwise.
 */
import { unreachable } from '../../model/assert.ts';
import type { TopicId } from '../../model/brands.ts';
import type { ConsumerGroupRecord, ConsumerMemberValue, CurrentAssignmentValue } from '../group-records.ts';
import { type Assignment, assignmentOf, emptyAssignment, topicPartitionsOf } from './assignment.ts';
import { type CurrentAssignment, initialAssignment } from './current-assignment.ts';
import { SubscribedTopics } from './subscribed-topics.ts';
import { SubscriptionCounts } from './subscription-counts.ts';

export interface ResolvedRegex {
  readonly topics: ReadonlySet<string>;
  /** The revision of the metadata it was evaluated on. */
  readonly version: number;
  readonly timestampMs: number;
}

export class ConsumerGroupState {
  /** 0 until the first member has joined. */
  groupEpoch = 0;
  /** Of the topics that were subscribed to at that epoch (`metadata-hash.ts`). */
  metadataHash = 0n;
  targetEpoch = 0;
  readonly members = new Map<string, ConsumerMemberValue>();
  /** Member ids by instance id. */
  readonly staticMembers = new Map<string, string>();
  readonly subscriptions = new SubscriptionCounts();
  /** Nothing that is written, but what was last found out for it. */
  readonly topics = new SubscribedTopics();
  /** By pattern. */
  readonly regexes = new Map<string, ResolvedRegex>();
  readonly #targets = new Map<string, Assignment>();
  readonly #currents = new Map<string, CurrentAssignment>();
  /** By topic and partition: the member that was told to have it and has not given it up. */
  readonly #owners = new Map<TopicId, Map<number, string>>();

  targetOf(memberId: string): Assignment {
    return this.#targets.get(memberId) ?? emptyAssignment;
  }

  currentOf(memberId: string): CurrentAssignment {
    return this.#currents.get(memberId) ?? initialAssignment;
  }

  ownerOf(topicId: TopicId, partition: number): string | null {
    return this.#owners.get(topicId)?.get(partition) ?? null;
  }

  replay(record: ConsumerGroupRecord): void {
    switch (record.kind) {
      case 'consumerGroupMetadata':
        this.groupEpoch = record.value?.epoch ?? 0;
        this.metadataHash = record.value?.metadataHash ?? 0n;
        break;
      case 'consumerGroupMember':
        this.#replayMember(record.memberId, record.value);
        break;
      case 'consumerGroupTargetAssignmentMetadata':
        this.targetEpoch = record.value?.assignmentEpoch ?? 0;
        break;
      case 'consumerGroupTargetAssignmentMember':
        if (record.value === null) this.#targets.delete(record.memberId);
        else this.#targets.set(record.memberId, assignmentOf(record.value.topicPartitions));
        break;
      case 'consumerGroupCurrentAssignment':
        this.#replayCurrent(record.memberId, record.value);
        break;
      case 'consumerGroupRegularExpression':
        if (record.value === null) this.regexes.delete(record.regularExpression);
        else
          this.regexes.set(record.regularExpression, {
            topics: new Set(record.value.topics),
            version: record.value.version,
            timestampMs: record.value.timestampMs,
          });
        break;
      default:
        unreachable(record);
    }
  }

  #replayMember(memberId: string, value: ConsumerMemberValue | null): void {
    const before = this.members.get(memberId);
    if (before !== undefined) {
      this.subscriptions.remove(before);
      if (before.instanceId !== null && this.staticMembers.get(before.instanceId) === memberId)
        this.staticMembers.delete(before.instanceId);
    }
    if (value === null) {
      this.members.delete(memberId);
      return;
    }
    this.members.set(memberId, this.subscriptions.add(value));
    if (value.instanceId !== null) this.staticMembers.set(value.instanceId, memberId);
  }

  #replayCurrent(memberId: string, value: CurrentAssignmentValue | null): void {
    const before = this.#currents.get(memberId);
    if (before !== undefined) {
      this.#disown(memberId, before.assigned);
      this.#disown(memberId, before.pendingRevocation);
    }
    if (value === null) {
      this.#currents.delete(memberId);
      return;
    }
    const current: CurrentAssignment = {
      memberEpoch: value.memberEpoch,
      previousMemberEpoch: value.previousMemberEpoch,
      state: value.state,
      assigned: assignmentOf(value.assignedPartitions),
      pendingRevocation: assignmentOf(value.partitionsPendingRevocation),
    };
    this.#currents.set(memberId, current);
    this.#own(memberId, current.assigned);
    this.#own(memberId, current.pendingRevocation);
  }

  #own(memberId: string, assignment: Assignment): void {
    for (const [topicId, partitions] of assignment) {
      let owners = this.#owners.get(topicId);
      if (owners === undefined) {
        owners = new Map();
        this.#owners.set(topicId, owners);
      }
      for (const partition of partitions) owners.set(partition, memberId);
    }
  }

  /** Only what is still its own: compaction may have left out the record by which it gave something up. */
  #disown(memberId: string, assignment: Assignment): void {
    for (const [topicId, partitions] of assignment) {
      const owners = this.#owners.get(topicId);
      if (owners === undefined) continue;
      for (const partition of partitions) if (owners.get(partition) === memberId) owners.delete(partition);
      if (owners.size === 0) this.#owners.delete(topicId);
    }
  }
}

/** A member's current assignment as it is written. */
export const currentAssignmentValue = (current: CurrentAssignment): CurrentAssignmentValue => ({
  memberEpoch: current.memberEpoch,
  previousMemberEpoch: current.previousMemberEpoch,
  state: current.state,
  assignedPartitions: topicPartitionsOf(current.assigned),
  partitionsPendingRevocation: topicPartitionsOf(current.pendingRevocation),
});
