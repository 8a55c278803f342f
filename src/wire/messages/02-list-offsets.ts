/**
 * ListOffsets: the offset at a timestamp, or at one of the special ones (-1 latest, -2 earliest, …).
 * v2 isolation level (KIP-98) · v4 leader epoch (KIP-320) · v7 max timestamp (KIP-734) · v8 earliest local (KIP-405) ·
 * v9 latest tiered (KIP-1005) · v10 timeout (KIP-1075) · v11 earliest pending upload (KIP-1023).
 */
import { api } from '../api.ts';
import { array, int8, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const listOffsetsApi = api({
  key: 2,
  name: 'ListOffsets',
  versions: '1-11',
  flexible: '6+',
  request: {
    replicaId: int32('0+'),
    isolationLevel: int8('2+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        currentLeaderEpoch: int32('4+', { default: -1 }),
        timestamp: int64('0+'),
      }),
    }),
    timeoutMs: int32('10+'),
  },
  response: {
    throttleTimeMs: int32('2+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        timestamp: int64('1+', { default: -1n }),
        offset: int64('1+', { default: -1n }),
        leaderEpoch: int32('4+', { default: -1 }),
      }),
    }),
  },
});

export type ListOffsetsRequest = Infer<typeof listOffsetsApi.request>;
export type ListOffsetsRequestInput = Input<typeof listOffsetsApi.request>;
export type ListOffsetsResponse = Infer<typeof listOffsetsApi.response>;
export type ListOffsetsResponseInput = Input<typeof listOffsetsApi.response>;
