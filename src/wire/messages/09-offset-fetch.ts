/**
 * OffsetFetch: a group's committed positions.
 * v2 all topics, group-level error · v5 leader epoch (KIP-320) · v7 require stable (KIP-447) · v8 several groups (KIP-709) ·
 * v9 member id and epoch (KIP-848) · v10 topic ids.
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const offsetFetchApi = api({
  key: 9,
  name: 'OffsetFetch',
  versions: '1-10',
  flexible: '6+',
  request: {
    groupId: string('0-7'),
    topics: array(
      '0-7',
      {
        name: string('0-7'),
        partitionIndexes: array('0-7', 'int32'),
      },
      { nullable: '2-7' },
    ),
    groups: array('8+', {
      groupId: string('8+'),
      memberId: string('9+', { nullable: '9+', default: null }),
      memberEpoch: int32('9+', { default: -1 }),
      topics: array(
        '8+',
        {
          name: string('8-9'),
          topicId: uuid('10+'),
          partitionIndexes: array('8+', 'int32'),
        },
        { nullable: '8+' },
      ),
    }),
    requireStable: bool('7+'),
  },
  response: {
    throttleTimeMs: int32('3+'),
    topics: array('0-7', {
      name: string('0-7'),
      partitions: array('0-7', {
        partitionIndex: int32('0-7'),
        committedOffset: int64('0-7'),
        committedLeaderEpoch: int32('5-7', { default: -1 }),
        metadata: string('0-7', { nullable: '0-7' }),
        errorCode: int16('0-7'),
      }),
    }),
    errorCode: int16('2-7'),
    groups: array('8+', {
      groupId: string('8+'),
      topics: array('8+', {
        name: string('8-9'),
        topicId: uuid('10+'),
        partitions: array('8+', {
          partitionIndex: int32('8+'),
          committedOffset: int64('8+'),
          committedLeaderEpoch: int32('8+', { default: -1 }),
          metadata: string('8+', { nullable: '8+' }),
          errorCode: int16('8+'),
        }),
      }),
      errorCode: int16('8+'),
    }),
  },
});

export type OffsetFetchRequest = Infer<typeof offsetFetchApi.request>;
export type OffsetFetchRequestInput = Input<typeof offsetFetchApi.request>;
export type OffsetFetchResponse = Infer<typeof offsetFetchApi.response>;
export type OffsetFetchResponseInput = Input<typeof offsetFetchApi.response>;
