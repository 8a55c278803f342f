/** Delivery state of share partitions (KIP-932), as `__share_group_state` keeps it: snapshots and the updates since. */
import { array, int8, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const shareSnapshotRecord = coordinatorRecord({
  type: 0,
  name: 'SHARE_SNAPSHOT',
  key: {
    groupId: string('0+'),
    topicId: uuid('0+'),
    partition: int32('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    snapshotEpoch: int32('0+'),
    stateEpoch: int32('0+'),
    leaderEpoch: int32('0+'),
    startOffset: int64('0+'),
    deliveryCompleteCount: int32('0+', { tag: 0, default: -1 }),
    createTimestamp: int64('0+'),
    writeTimestamp: int64('0+'),
    stateBatches: array('0+', {
      firstOffset: int64('0+'),
      lastOffset: int64('0+'),
      deliveryState: int8('0+'),
      deliveryCount: int16('0+'),
    }),
  },
});

export type ShareSnapshotKey = Infer<typeof shareSnapshotRecord.key>;
export type ShareSnapshotValue = Infer<typeof shareSnapshotRecord.value>;

export const shareUpdateRecord = coordinatorRecord({
  type: 1,
  name: 'SHARE_UPDATE',
  key: {
    groupId: string('0+'),
    topicId: uuid('0+'),
    partition: int32('0+'),
  },
  versions: '0',
  flexible: '0+',
  value: {
    snapshotEpoch: int32('0+'),
    leaderEpoch: int32('0+'),
    startOffset: int64('0+'),
    deliveryCompleteCount: int32('0+', { tag: 0, default: -1 }),
    stateBatches: array('0+', {
      firstOffset: int64('0+'),
      lastOffset: int64('0+'),
      deliveryState: int8('0+'),
      deliveryCount: int16('0+'),
    }),
  },
});

export type ShareUpdateKey = Infer<typeof shareUpdateRecord.key>;
export type ShareUpdateValue = Infer<typeof shareUpdateRecord.value>;
