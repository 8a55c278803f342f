/**
 * Changes of groups as the bytes of `__consumer_offsets`: Kafka's own keys and values, so that its tools, and whoever
 * else reads that topic, can read ours. Values are written in the versions that Kafka 4 writes; all are read.
 */
import type {
  ClassicGroupValue,
  GroupRecord,
  MemberState,
  OffsetCommitValue,
  TopicPartitions,
} from '../../coordinator/group-records.ts';
import { memberStates } from '../../coordinator/group-records.ts';
import { type TopicId, topicId } from '../../model/brands.ts';
import type { RecordToWrite } from '../../records/record-batch.ts';
import {
  consumerGroupCurrentMemberAssignmentRecord,
  consumerGroupMemberMetadataRecord,
  consumerGroupMetadataRecord,
  consumerGroupRegularExpressionRecord,
  consumerGroupTargetAssignmentMemberRecord,
  consumerGroupTargetAssignmentMetadataRecord,
} from '../../wire/records/consumer-group-records.ts';
import {
  decodeRecordKey,
  decodeRecordValue,
  encodeRecordKey,
  encodeRecordValue,
  leadingInt16,
} from '../../wire/records/coordinator-record.ts';
import { groupMetadataRecord } from '../../wire/records/group-metadata-records.ts';
import { offsetCommitRecord } from '../../wire/records/offset-commit-records.ts';
import { zeroUuid } from '../cluster-view.ts';

/** With an expiry of its own (OffsetCommit 2–4) a position needs version 1, the only one that has the field. */
const offsetVersionWithExpiry = 1;
const offsetVersion = 4;
const classicGroupVersion = 3;
const consumerGroupVersion = 0;

export function encodeGroupRecord(record: GroupRecord, timestampMs: number): RecordToWrite {
  const { key, value } = encoded(record);
  return { key, value, timestampMs };
}

function encoded(record: GroupRecord): { key: Buffer; value: Buffer | null } {
  const { groupId } = record;
  switch (record.kind) {
    case 'offsetCommit': {
      const { topic, partition, value } = record;
      return {
        key: encodeRecordKey(offsetCommitRecord, { group: groupId, topic, partition }),
        value: value && encodeOffset(value),
      };
    }
    case 'classicGroup':
      return {
        key: encodeRecordKey(groupMetadataRecord, { group: groupId }),
        value: record.value && encodeClassicGroup(record.value),
      };
    case 'consumerGroupMetadata':
      return {
        key: encodeRecordKey(consumerGroupMetadataRecord, { groupId }),
        value: record.value && encodeRecordValue(consumerGroupMetadataRecord, consumerGroupVersion, record.value),
      };
    case 'consumerGroupMember':
      return {
        key: encodeRecordKey(consumerGroupMemberMetadataRecord, { groupId, memberId: record.memberId }),
        value: record.value && encodeRecordValue(consumerGroupMemberMetadataRecord, consumerGroupVersion, record.value),
      };
    case 'consumerGroupTargetAssignmentMetadata':
      return {
        key: encodeRecordKey(consumerGroupTargetAssignmentMetadataRecord, { groupId }),
        value:
          record.value &&
          encodeRecordValue(consumerGroupTargetAssignmentMetadataRecord, consumerGroupVersion, {
            assignmentEpoch: record.value.assignmentEpoch,
            assignmentTimestamp: BigInt(record.value.assignmentTimestampMs),
          }),
      };
    case 'consumerGroupTargetAssignmentMember':
      return {
        key: encodeRecordKey(consumerGroupTargetAssignmentMemberRecord, { groupId, memberId: record.memberId }),
        value:
          record.value &&
          encodeRecordValue(consumerGroupTargetAssignmentMemberRecord, consumerGroupVersion, record.value),
      };
    case 'consumerGroupCurrentAssignment':
      return {
        key: encodeRecordKey(consumerGroupCurrentMemberAssignmentRecord, { groupId, memberId: record.memberId }),
        value:
          record.value &&
          encodeRecordValue(consumerGroupCurrentMemberAssignmentRecord, consumerGroupVersion, record.value),
      };
    case 'consumerGroupRegularExpression':
      return {
        key: encodeRecordKey(consumerGroupRegularExpressionRecord, {
          groupId,
          regularExpression: record.regularExpression,
        }),
        value:
          record.value &&
          encodeRecordValue(consumerGroupRegularExpressionRecord, consumerGroupVersion, {
            topics: record.value.topics,
            version: BigInt(record.value.version),
            timestamp: BigInt(record.value.timestampMs),
          }),
      };
  }
}

function encodeOffset(value: OffsetCommitValue): Buffer {
  const { offset, leaderEpoch, metadata, commitTimestampMs, expireTimestampMs } = value;
  return encodeRecordValue(offsetCommitRecord, expireTimestampMs === null ? offsetVersion : offsetVersionWithExpiry, {
    offset: BigInt(offset),
    leaderEpoch,
    metadata,
    commitTimestamp: BigInt(commitTimestampMs),
    ...(expireTimestampMs !== null && { expireTimestamp: BigInt(expireTimestampMs) }),
    topicId: value.topicId ?? zeroUuid,
  });
}

function encodeClassicGroup(value: ClassicGroupValue): Buffer {
  return encodeRecordValue(groupMetadataRecord, classicGroupVersion, {
    protocolType: value.protocolType,
    generation: value.generation,
    protocol: value.protocol,
    leader: value.leader,
    currentStateTimestamp: BigInt(value.currentStateTimestampMs),
    members: value.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: member.subscription,
      assignment: member.assignment,
    })),
  });
}

/**
 * The change a record of the topic stands for; null for a type that is not of groups here (share and streams groups, what
 * a later version may write). @throws WireError when the bytes are not such a record.
 */
export function decodeGroupRecord(key: Buffer, value: Buffer | null): GroupRecord | null {
  switch (leadingInt16(key)) {
    case 0: // Written by Kafka before 0.9, key and value as today's.
    case offsetCommitRecord.type: {
      const { group, topic, partition } = decodeRecordKey(offsetCommitRecord, asOffsetKey(key));
      return { kind: 'offsetCommit', groupId: group, topic, partition, value: value && decodeOffset(value) };
    }
    case groupMetadataRecord.type: {
      const { group } = decodeRecordKey(groupMetadataRecord, key);
      return { kind: 'classicGroup', groupId: group, value: value && decodeClassicGroup(value) };
    }
    case consumerGroupMetadataRecord.type: {
      const { groupId } = decodeRecordKey(consumerGroupMetadataRecord, key);
      return {
        kind: 'consumerGroupMetadata',
        groupId,
        value: value && decodeRecordValue(consumerGroupMetadataRecord, value),
      };
    }
    case consumerGroupMemberMetadataRecord.type: {
      const { groupId, memberId } = decodeRecordKey(consumerGroupMemberMetadataRecord, key);
      return { kind: 'consumerGroupMember', groupId, memberId, value: value && decodeMember(value) };
    }
    case consumerGroupTargetAssignmentMetadataRecord.type: {
      const { groupId } = decodeRecordKey(consumerGroupTargetAssignmentMetadataRecord, key);
      const decoded = value && decodeRecordValue(consumerGroupTargetAssignmentMetadataRecord, value);
      return {
        kind: 'consumerGroupTargetAssignmentMetadata',
        groupId,
        value: decoded && {
          assignmentEpoch: decoded.assignmentEpoch,
          assignmentTimestampMs: Number(decoded.assignmentTimestamp),
        },
      };
    }
    case consumerGroupTargetAssignmentMemberRecord.type: {
      const { groupId, memberId } = decodeRecordKey(consumerGroupTargetAssignmentMemberRecord, key);
      const decoded = value && decodeRecordValue(consumerGroupTargetAssignmentMemberRecord, value);
      return {
        kind: 'consumerGroupTargetAssignmentMember',
        groupId,
        memberId,
        value: decoded && { topicPartitions: topicPartitions(decoded.topicPartitions) },
      };
    }
    case consumerGroupCurrentMemberAssignmentRecord.type: {
      const { groupId, memberId } = decodeRecordKey(consumerGroupCurrentMemberAssignmentRecord, key);
      const decoded = value && decodeRecordValue(consumerGroupCurrentMemberAssignmentRecord, value);
      return {
        kind: 'consumerGroupCurrentAssignment',
        groupId,
        memberId,
        value: decoded && {
          memberEpoch: decoded.memberEpoch,
          previousMemberEpoch: decoded.previousMemberEpoch,
          state: memberState(decoded.state),
          assignedPartitions: topicPartitions(decoded.assignedPartitions),
          partitionsPendingRevocation: topicPartitions(decoded.partitionsPendingRevocation),
        },
      };
    }
    case consumerGroupRegularExpressionRecord.type: {
      const { groupId, regularExpression } = decodeRecordKey(consumerGroupRegularExpressionRecord, key);
      const decoded = value && decodeRecordValue(consumerGroupRegularExpressionRecord, value);
      return {
        kind: 'consumerGroupRegularExpression',
        groupId,
        regularExpression,
        value: decoded && {
          topics: decoded.topics,
          version: Number(decoded.version),
          timestampMs: Number(decoded.timestamp),
        },
      };
    }
    default:
      return null;
  }
}

function asOffsetKey(key: Buffer): Buffer {
  if (leadingInt16(key) === offsetCommitRecord.type) return key;
  const same = Buffer.from(key);
  same.writeInt16BE(offsetCommitRecord.type, 0);
  return same;
}

const noExpiry = -1n;

function decodeOffset(bytes: Buffer): OffsetCommitValue {
  const value = decodeRecordValue(offsetCommitRecord, bytes);
  return {
    offset: Number(value.offset),
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    commitTimestampMs: Number(value.commitTimestamp),
    expireTimestampMs: value.expireTimestamp === noExpiry ? null : Number(value.expireTimestamp),
    topicId: value.topicId === zeroUuid ? null : topicId(value.topicId),
  };
}

function decodeClassicGroup(bytes: Buffer): ClassicGroupValue {
  const value = decodeRecordValue(groupMetadataRecord, bytes);
  return {
    protocolType: value.protocolType,
    generation: value.generation,
    protocol: value.protocol,
    leader: value.leader,
    currentStateTimestampMs: Number(value.currentStateTimestamp),
    members: value.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      // Copies: a view would keep the whole block that was read of the log.
      subscription: Buffer.from(member.subscription),
      assignment: Buffer.from(member.assignment),
    })),
  };
}

function decodeMember(bytes: Buffer) {
  const { classicMemberMetadata, ...value } = decodeRecordValue(consumerGroupMemberMetadataRecord, bytes);
  return {
    ...value,
    classicMemberMetadata: classicMemberMetadata && {
      sessionTimeoutMs: classicMemberMetadata.sessionTimeoutMs,
      supportedProtocols: classicMemberMetadata.supportedProtocols.map(({ name, metadata }) => ({
        name,
        metadata: Buffer.from(metadata),
      })),
    },
  };
}

const topicPartitions = (
  list: readonly { readonly topicId: string; readonly partitions: readonly number[] }[],
): TopicPartitions[] =>
  list.map(({ topicId: id, partitions }) => ({ topicId: id as TopicId, partitions: [...partitions] }));

const memberState = (state: number): MemberState =>
  state === memberStates.stable ||
  state === memberStates.unrevokedPartitions ||
  state === memberStates.unreleasedPartitions
    ? state
    : memberStates.unknown;
