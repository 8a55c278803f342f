/** Positions committed by groups, as `__consumer_offsets` keeps them. Type 0 is the form of Kafka 0.8, still found in old logs. */
import { int32, int64, string, uuid } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const legacyOffsetCommitRecord = coordinatorRecord({
  type: 0,
  name: 'LEGACY_OFFSET_COMMIT',
  key: {
    group: string('0+'),
    topic: string('0+'),
    partition: int32('0+'),
  },
  versions: '0',
  flexible: 'none',
  value: {
    offset: int64('0+'),
    metadata: string('0+'),
    commitTimestamp: int64('0+'),
  },
});

export type LegacyOffsetCommitKey = Infer<typeof legacyOffsetCommitRecord.key>;
export type LegacyOffsetCommitValue = Infer<typeof legacyOffsetCommitRecord.value>;

export const offsetCommitRecord = coordinatorRecord({
  type: 1,
  name: 'OFFSET_COMMIT',
  key: {
    group: string('0+'),
    topic: string('0+'),
    partition: int32('0+'),
  },
  versions: '0-4',
  flexible: '4+',
  value: {
    offset: int64('0+'),
    leaderEpoch: int32('3+', { default: -1 }),
    metadata: string('0+'),
    commitTimestamp: int64('0+'),
    expireTimestamp: int64('1', { default: -1n }),
    topicId: uuid('4+', { tag: 0 }),
  },
});

export type OffsetCommitKey = Infer<typeof offsetCommitRecord.key>;
export type OffsetCommitValue = Infer<typeof offsetCommitRecord.value>;
