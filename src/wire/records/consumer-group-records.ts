/** Groups of the new protocol (KIP-848), as `__consumer_offsets` keeps them: group, members, target and current assignment, each in records of its own. */
import { array, bytes, int8, int32, int64, string, struct, uuid } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const consumerGroupMetadataRecord = coordinatorRecord({
  type: 3,
  name: 'CONSUMER_GROUP_METADATA',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    epoch: int32('0+'),
    metadataHash: int64('0+', { tag: 0 }),
  },
});

export type ConsumerGroupMetadataKey = Infer<typeof consumerGroupMetadataRecord.key>;
export type ConsumerGroupMetadataValue = Infer<typeof consumerGroupMetadataRecord.value>;

export const consumerGroupPartitionMetadataRecord = coordinatorRecord({
  type: 4,
  name: 'CONSUMER_GROUP_PARTITION_METADATA',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    topics: array('0+', {
      topicId: uuid('0+'),
      topicName: string('0+'),
      numPartitions: int32('0+'),
      partitionMetadata: array('0+', {
        partition: int32('0+'),
        racks: array('0+', 'string'),
      }),
    }),
  },
});

export type ConsumerGroupPartitionMetadataKey = Infer<typeof consumerGroupPartitionMetadataRecord.key>;
export type ConsumerGroupPartitionMetadataValue = Infer<typeof consumerGroupPartitionMetadataRecord.value>;

export const consumerGroupMemberMetadataRecord = coordinatorRecord({
  type: 5,
  name: 'CONSUMER_GROUP_MEMBER_METADATA',
  key: {
    groupId: string('0+'),
    memberId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    instanceId: string('0+', { nullable: '0+' }),
    rackId: string('0+', { nullable: '0+' }),
    clientId: string('0+'),
    clientHost: string('0+'),
    subscribedTopicNames: array('0+', 'string'),
    subscribedTopicRegex: string('0+', { nullable: '0+' }),
    rebalanceTimeoutMs: int32('0+', { default: -1 }),
    serverAssignor: string('0+', { nullable: '0+' }),
    classicMemberMetadata: struct(
      '0+',
      {
        sessionTimeoutMs: int32('0+'),
        supportedProtocols: array('0+', {
          name: string('0+'),
          metadata: bytes('0+'),
        }),
      },
      { nullable: '0+', tag: 0, default: null },
    ),
  },
});

export type ConsumerGroupMemberMetadataKey = Infer<typeof consumerGroupMemberMetadataRecord.key>;
export type ConsumerGroupMemberMetadataValue = Infer<typeof consumerGroupMemberMetadataRecord.value>;

export const consumerGroupTargetAssignmentMetadataRecord = coordinatorRecord({
  type: 6,
  name: 'CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA',
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

export type ConsumerGroupTargetAssignmentMetadataKey = Infer<typeof consumerGroupTargetAssignmentMetadataRecord.key>;
export type ConsumerGroupTargetAssignmentMetadataValue = Infer<
  typeof consumerGroupTargetAssignmentMetadataRecord.value
>;

export const consumerGroupTargetAssignmentMemberRecord = coordinatorRecord({
  type: 7,
  name: 'CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER',
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

export type ConsumerGroupTargetAssignmentMemberKey = Infer<typeof consumerGroupTargetAssignmentMemberRecord.key>;
export type ConsumerGroupTargetAssignmentMemberValue = Infer<typeof consumerGroupTargetAssignmentMemberRecord.value>;

export const consumerGroupCurrentMemberAssignmentRecord = coordinatorRecord({
  type: 8,
  name: 'CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT',
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
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
    partitionsPendingRevocation: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
  },
});

export type ConsumerGroupCurrentMemberAssignmentKey = Infer<typeof consumerGroupCurrentMemberAssignmentRecord.key>;
export type ConsumerGroupCurrentMemberAssignmentValue = Infer<typeof consumerGroupCurrentMemberAssignmentRecord.value>;

export const consumerGroupRegularExpressionRecord = coordinatorRecord({
  type: 16,
  name: 'CONSUMER_GROUP_REGULAR_EXPRESSION',
  key: {
    groupId: string('0+'),
    regularExpression: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    topics: array('0+', 'string'),
    version: int64('0+'),
    timestamp: int64('0+'),
  },
});

export type ConsumerGroupRegularExpressionKey = Infer<typeof consumerGroupRegularExpressionRecord.key>;
export type ConsumerGroupRegularExpressionValue = Infer<typeof consumerGroupRegularExpressionRecord.value>;
