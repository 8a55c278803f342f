/**
 * OffsetCommit: a group's positions.
 * v6 leader epoch (KIP-320) · v7 static members (KIP-345) · v9 KIP-848 groups, GROUP_ID_NOT_FOUND · v10 topic ids (KIP-848).
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const offsetCommitApi = api({
  key: 8,
  name: 'OffsetCommit',
  versions: '2-10',
  flexible: '8+',
  request: {
    groupId: string('0+'),
    generationIdOrMemberEpoch: int32('1+', { default: -1 }),
    memberId: string('1+'),
    groupInstanceId: string('7+', { nullable: '7+', default: null }),
    retentionTimeMs: int64('2-4', { default: -1n }),
    topics: array('0+', {
      name: string('0-9'),
      topicId: uuid('10+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        committedOffset: int64('0+'),
        committedLeaderEpoch: int32('6+', { default: -1 }),
        committedMetadata: string('0+', { nullable: '0+' }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('3+'),
    topics: array('0+', {
      name: string('0-9'),
      topicId: uuid('10+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
});

export type OffsetCommitRequest = Infer<typeof offsetCommitApi.request>;
export type OffsetCommitRequestInput = Input<typeof offsetCommitApi.request>;
export type OffsetCommitResponse = Infer<typeof offsetCommitApi.response>;
export type OffsetCommitResponseInput = Input<typeof offsetCommitApi.response>;
