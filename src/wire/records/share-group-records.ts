/** Share groups (KIP-932), as `__consumer_offsets` keeps them. */
import { array, int8, int32, int64, string, uuid } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const shareGroupMemberMetadataRecord = coordinatorRecord({
  type: 10,
  name: 'SHARE_GROUP_MEMBER_METADATA',
  key: {
    groupId: string('0+'),
    memberId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    rackId: string('0+', { nullable: '0+' }),
    clientId: string('0+'),
    clientHost: string('0+'),
    subscribedTopicNames: array('0+', 'string'),
  },
});

export type ShareGroupMemberMetadataKey = Infer<typeof shareGroupMemberMetadataRecord.key>;
export type ShareGroupMemberMetadataValue = Infer<typeof shareGroupMemberMetadataRecord.value>;

export const shareGroupMetadataRecord = coordinatorRecord({
  type: 11,
  name: 'SHARE_GROUP_METADATA',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    epoch: int32('0+'),
    metadataHash: int64('0+'),
  },
});

export type ShareGroupMetadataKey = Infer<typeof shareGroupMetadataRecord.key>;
export type ShareGroupMetadataValue = Infer<typeof shareGroupMetadataRecord.value>;

export const shareGroupTargetAssignmentMetadataRecord = coordinatorRecord({
  type: 12,
  name: 'SHARE_GROUP_TARGET_ASSIGNMENT_METADATA',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    assignmentEpoch: int32('0+'),
    assignmentTimestamp: int64('0+', { tag: 0 }),
  },
});

export type ShareGroupTargetAssignmentMetadataKey = Infer<typeof shareGroupTargetAssignmentMetadataRecord.key>;
export type ShareGroupTargetAssignmentMetadataValue = Infer<typeof shareGroupTargetAssignmentMetadataRecord.value>;

export const shareGroupTargetAssignmentMemberRecord = coordinatorRecord({
  type: 13,
  name: 'SHARE_GROUP_TARGET_ASSIGNMENT_MEMBER',
  key: {
    groupId: string('0+'),
    memberId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    topicPartitions: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', 'int32'),
    }),
  },
});

export type ShareGroupTargetAssignmentMemberKey = Infer<typeof shareGroupTargetAssignmentMemberRecord.key>;
export type ShareGroupTargetAssignmentMemberValue = Infer<typeof shareGroupTargetAssignmentMemberRecord.value>;

export const shareGroupCurrentMemberAssignmentRecord = coordinatorRecord({
  type: 14,
  name: 'SHARE_GROUP_CURRENT_MEMBER_ASSIGNMENT',
  key: {
    groupId: string('0+'),
    memberId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    memberEpoch: int32('0+'),
    previousMemberEpoch: int32('0+'),
    state: int8('0+'),
    assignedPartitions: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', 'int32'),
    }),
  },
});

export type ShareGroupCurrentMemberAssignmentKey = Infer<typeof shareGroupCurrentMemberAssignmentRecord.key>;
export type ShareGroupCurrentMemberAssignmentValue = Infer<typeof shareGroupCurrentMemberAssignmentRecord.value>;

export const shareGroupStatePartitionMetadataRecord = coordinatorRecord({
  type: 15,
  name: 'SHARE_GROUP_STATE_PARTITION_METADATA',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    initializingTopics: array('0+', {
      topicId: uuid('0+'),
      topicName: string('0+'),
      partitions: array('0+', 'int32'),
    }),
    initializedTopics: array('0+', {
      topicId: uuid('0+'),
      topicName: string('0+'),
      partitions: array('0+', 'int32'),
    }),
    deletingTopics: array('0+', {
      topicId: uuid('0+'),
      topicName: string('0+'),
    }),
  },
});

export type ShareGroupStatePartitionMetadataKey = Infer<typeof shareGroupStatePartitionMetadataRecord.key>;
export type ShareGroupStatePartitionMetadataValue = Infer<typeof shareGroupStatePartitionMetadataRecord.value>;
