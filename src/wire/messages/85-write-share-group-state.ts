/**
 * WriteShareGroupState (KIP-932).
 * v1 delivery complete count (KIP-1226).
 */
import { api } from '../api.ts';
import { array, int8, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const writeShareGroupStateApi = api({
  key: 85,
  name: 'WriteShareGroupState',
  versions: '0-1',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
        stateEpoch: int32('0+'),
        leaderEpoch: int32('0+'),
        startOffset: int64('0+'),
        deliveryCompleteCount: int32('1+', { default: -1 }),
        stateBatches: array('0+', {
          firstOffset: int64('0+'),
          lastOffset: int64('0+'),
          deliveryState: int8('0+'),
          deliveryCount: int16('0+'),
        }),
      }),
    }),
  },
  response: {
    results: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+', default: null }),
      }),
    }),
  },
});

export type WriteShareGroupStateRequest = Infer<typeof writeShareGroupStateApi.request>;
export type WriteShareGroupStateRequestInput = Input<typeof writeShareGroupStateApi.request>;
export type WriteShareGroupStateResponse = Infer<typeof writeShareGroupStateApi.response>;
export type WriteShareGroupStateResponseInput = Input<typeof writeShareGroupStateApi.response>;
