/**
 * OffsetForLeaderEpoch: where an epoch ended (KIP-101).
 * v2 current leader epoch (KIP-320) · v3 replica id (KIP-392) · v4 flexible.
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const offsetForLeaderEpochApi = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: '2-4',
  flexible: '4+',
  request: {
    replicaId: int32('3+', { default: -2 }),
    topics: array('0+', {
      topic: string('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
        currentLeaderEpoch: int32('2+', { default: -1 }),
        leaderEpoch: int32('0+'),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('2+'),
    topics: array('0+', {
      topic: string('0+'),
      partitions: array('0+', {
        errorCode: int16('0+'),
        partition: int32('0+'),
        leaderEpoch: int32('1+', { default: -1 }),
        endOffset: int64('0+', { default: -1n }),
      }),
    }),
  },
});

export type OffsetForLeaderEpochRequest = Infer<typeof offsetForLeaderEpochApi.request>;
export type OffsetForLeaderEpochRequestInput = Input<typeof offsetForLeaderEpochApi.request>;
export type OffsetForLeaderEpochResponse = Infer<typeof offsetForLeaderEpochApi.response>;
export type OffsetForLeaderEpochResponseInput = Input<typeof offsetForLeaderEpochApi.response>;
