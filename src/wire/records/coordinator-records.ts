/** Which record types does each topic of the coordinators hold? By the int16 that opens a key. */

import {
  consumerGroupCurrentMemberAssignmentRecord,
  consumerGroupMemberMetadataRecord,
  consumerGroupMetadataRecord,
  consumerGroupPartitionMetadataRecord,
  consumerGroupRegularExpressionRecord,
  consumerGroupTargetAssignmentMemberRecord,
  consumerGroupTargetAssignmentMetadataRecord,
} from './consumer-group-records.ts';
import type { CoordinatorRecord } from './coordinator-record.ts';
import { groupMetadataRecord } from './group-metadata-records.ts';
import { legacyOffsetCommitRecord, offsetCommitRecord } from './offset-commit-records.ts';
import {
  shareGroupCurrentMemberAssignmentRecord,
  shareGroupMemberMetadataRecord,
  shareGroupMetadataRecord,
  shareGroupStatePartitionMetadataRecord,
  shareGroupTargetAssignmentMemberRecord,
  shareGroupTargetAssignmentMetadataRecord,
} from './share-group-records.ts';
import { shareSnapshotRecord, shareUpdateRecord } from './share-state-records.ts';
import {
  streamsGroupCurrentMemberAssignmentRecord,
  streamsGroupMemberMetadataRecord,
  streamsGroupMetadataRecord,
  streamsGroupTargetAssignmentMemberRecord,
  streamsGroupTargetAssignmentMetadataRecord,
  streamsGroupTopologyRecord,
} from './streams-group-records.ts';
import { transactionLogRecord } from './transaction-log-records.ts';

const byType = (...records: readonly CoordinatorRecord[]): ReadonlyMap<number, CoordinatorRecord> =>
  new Map(records.map((record) => [record.type, record]));

/** `__consumer_offsets` */
export const groupCoordinatorRecords = byType(
  legacyOffsetCommitRecord,
  offsetCommitRecord,
  groupMetadataRecord,
  consumerGroupMetadataRecord,
  consumerGroupPartitionMetadataRecord,
  consumerGroupMemberMetadataRecord,
  consumerGroupTargetAssignmentMetadataRecord,
  consumerGroupTargetAssignmentMemberRecord,
  consumerGroupCurrentMemberAssignmentRecord,
  consumerGroupRegularExpressionRecord,
  shareGroupMemberMetadataRecord,
  shareGroupMetadataRecord,
  shareGroupTargetAssignmentMetadataRecord,
  shareGroupTargetAssignmentMemberRecord,
  shareGroupCurrentMemberAssignmentRecord,
  shareGroupStatePartitionMetadataRecord,
  streamsGroupMetadataRecord,
  streamsGroupMemberMetadataRecord,
  streamsGroupTargetAssignmentMetadataRecord,
  streamsGroupTargetAssignmentMemberRecord,
  streamsGroupCurrentMemberAssignmentRecord,
  streamsGroupTopologyRecord,
);

/** `__transaction_state` */
export const transactionCoordinatorRecords = byType(transactionLogRecord);

/** `__share_group_state` */
export const shareCoordinatorRecords = byType(shareSnapshotRecord, shareUpdateRecord);
