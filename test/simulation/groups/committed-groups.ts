/**
 * What the committed records of the topic of groups say, taken down apart from any coordinator: the truth that the
 * invariants hold the coordinators' answers against.
 */
import type {
  ClassicGroupValue,
  ConsumerMemberValue,
  CurrentAssignmentValue,
  GroupRecord,
  OffsetCommitValue,
} from '../../../src/coordinator/group-records.ts';

export const offsetKey = (groupId: string, topic: string, partition: number): string =>
  `${groupId} ${topic} ${partition}`;

export class CommittedGroup {
  /** Null while the group is not of the classic protocol, or is gone. */
  classic: ClassicGroupValue | null = null;
  readonly consumerMembers = new Map<string, ConsumerMemberValue>();
  readonly currentAssignments = new Map<string, CurrentAssignmentValue>();
  consumerGroupEpoch = -1;
  /** How often it has been deleted: then generations begin anew. */
  deletions = 0;

  get hasMembers(): boolean {
    return this.consumerMembers.size > 0 || (this.classic?.members.length ?? 0) > 0;
  }
}

export class CommittedGroups {
  readonly groups = new Map<string, CommittedGroup>();
  readonly offsets = new Map<string, OffsetCommitValue>();
  /** The metadata of all offsets that were ever committed; clients make each one unique. */
  readonly commitNames = new Set<string>();
  /** `member id, member epoch` of all current assignments that were ever committed. */
  readonly memberEpochs = new Set<string>();

  group(groupId: string): CommittedGroup {
    let group = this.groups.get(groupId);
    if (group === undefined) {
      group = new CommittedGroup();
      this.groups.set(groupId, group);
    }
    return group;
  }

  apply(record: GroupRecord): void {
    const group = this.group(record.groupId);
    switch (record.kind) {
      case 'offsetCommit': {
        const key = offsetKey(record.groupId, record.topic, record.partition);
        if (record.value === null) this.offsets.delete(key);
        else {
          this.offsets.set(key, record.value);
          this.commitNames.add(record.value.metadata);
        }
        break;
      }
      case 'classicGroup':
        group.classic = record.value;
        if (record.value === null) group.deletions++;
        break;
      case 'consumerGroupMetadata':
        group.consumerGroupEpoch = record.value?.epoch ?? -1;
        if (record.value === null) group.deletions++;
        break;
      case 'consumerGroupMember':
        if (record.value === null) group.consumerMembers.delete(record.memberId);
        else group.consumerMembers.set(record.memberId, record.value);
        break;
      case 'consumerGroupCurrentAssignment':
        if (record.value === null) group.currentAssignments.delete(record.memberId);
        else {
          group.currentAssignments.set(record.memberId, record.value);
          this.memberEpochs.add(memberEpochName(record.memberId, record.value.memberEpoch));
        }
        break;
      default:
        break; // Target assignments and expressions: an answer tells them only by way of what is above.
    }
  }
}

export const memberEpochName = (memberId: string, memberEpoch: number): string => `${memberId} ${memberEpoch}`;
