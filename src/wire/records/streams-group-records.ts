/** Streams groups (KIP-1071), as `__consumer_offsets` keeps them. */
import { array, int8, int16, int32, int64, string, struct, uint16 } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const streamsGroupMetadataRecord = coordinatorRecord({
  type: 17,
  name: 'STREAMS_GROUP_METADATA',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    epoch: int32('0+'),
    metadataHash: int64('0+'),
    validatedTopologyEpoch: int32('0+', { tag: 0, default: -1 }),
    lastAssignmentConfigs: array(
      '0+',
      {
        key: string('0+'),
        value: string('0+'),
      },
      { nullable: '0+', tag: 1, default: null },
    ),
    storedDescriptionTopologyEpoch: int32('0+', { tag: 2, default: -1 }),
    failedDescriptionTopologyEpoch: int32('0+', { tag: 3, default: -1 }),
  },
});

export type StreamsGroupMetadataKey = Infer<typeof streamsGroupMetadataRecord.key>;
export type StreamsGroupMetadataValue = Infer<typeof streamsGroupMetadataRecord.value>;

export const streamsGroupMemberMetadataRecord = coordinatorRecord({
  type: 19,
  name: 'STREAMS_GROUP_MEMBER_METADATA',
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
    rebalanceTimeoutMs: int32('0+', { default: -1 }),
    topologyEpoch: int32('0+'),
    processId: string('0+'),
    userEndpoint: struct(
      '0+',
      {
        host: string('0+'),
        port: uint16('0+'),
      },
      { nullable: '0+', default: null },
    ),
    clientTags: array('0+', {
      key: string('0+'),
      value: string('0+'),
    }),
  },
});

export type StreamsGroupMemberMetadataKey = Infer<typeof streamsGroupMemberMetadataRecord.key>;
export type StreamsGroupMemberMetadataValue = Infer<typeof streamsGroupMemberMetadataRecord.value>;

export const streamsGroupTargetAssignmentMetadataRecord = coordinatorRecord({
  type: 20,
  name: 'STREAMS_GROUP_TARGET_ASSIGNMENT_METADATA',
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

export type StreamsGroupTargetAssignmentMetadataKey = Infer<typeof streamsGroupTargetAssignmentMetadataRecord.key>;
export type StreamsGroupTargetAssignmentMetadataValue = Infer<typeof streamsGroupTargetAssignmentMetadataRecord.value>;

export const streamsGroupTargetAssignmentMemberRecord = coordinatorRecord({
  type: 21,
  name: 'STREAMS_GROUP_TARGET_ASSIGNMENT_MEMBER',
  key: {
    groupId: string('0+'),
    memberId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    activeTasks: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
    }),
    standbyTasks: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
    }),
    warmupTasks: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
    }),
  },
});

export type StreamsGroupTargetAssignmentMemberKey = Infer<typeof streamsGroupTargetAssignmentMemberRecord.key>;
export type StreamsGroupTargetAssignmentMemberValue = Infer<typeof streamsGroupTargetAssignmentMemberRecord.value>;

export const streamsGroupCurrentMemberAssignmentRecord = coordinatorRecord({
  type: 22,
  name: 'STREAMS_GROUP_CURRENT_MEMBER_ASSIGNMENT',
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
    activeTasks: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
    standbyTasks: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
    warmupTasks: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
    activeTasksPendingRevocation: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
    standbyTasksPendingRevocation: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
    warmupTasksPendingRevocation: array('0+', {
      subtopologyId: string('0+'),
      partitions: array('0+', 'int32'),
      assignmentEpochs: array('0+', 'int32', { nullable: '0+', tag: 0, default: null }),
    }),
  },
});

export type StreamsGroupCurrentMemberAssignmentKey = Infer<typeof streamsGroupCurrentMemberAssignmentRecord.key>;
export type StreamsGroupCurrentMemberAssignmentValue = Infer<typeof streamsGroupCurrentMemberAssignmentRecord.value>;

export const streamsGroupTopologyRecord = coordinatorRecord({
  type: 23,
  name: 'STREAMS_GROUP_TOPOLOGY',
  key: {
    groupId: string('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    epoch: int32('0+'),
    subtopologies: array('0+', {
      subtopologyId: string('0+'),
      sourceTopics: array('0+', 'string'),
      sourceTopicRegex: array('0+', 'string'),
      stateChangelogTopics: array('0+', {
        name: string('0+'),
        partitions: int32('0+'),
        replicationFactor: int16('0+'),
        topicConfigs: array('0+', {
          key: string('0+'),
          value: string('0+'),
        }),
      }),
      repartitionSinkTopics: array('0+', 'string'),
      repartitionSourceTopics: array('0+', {
        name: string('0+'),
        partitions: int32('0+'),
        replicationFactor: int16('0+'),
        topicConfigs: array('0+', {
          key: string('0+'),
          value: string('0+'),
        }),
      }),
      copartitionGroups: array('0+', {
        sourceTopics: array('0+', 'int16'),
        sourceTopicRegex: array('0+', 'int16'),
        repartitionSourceTopics: array('0+', 'int16'),
      }),
    }),
  },
});

export type StreamsGroupTopologyKey = Infer<typeof streamsGroupTopologyRecord.key>;
export type StreamsGroupTopologyValue = Infer<typeof streamsGroupTopologyRecord.value>;
