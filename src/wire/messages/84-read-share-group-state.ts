/** ReadShareGroupState (KIP-932). */
import { api } from '../api.ts';
import { array, int8, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const readShareGroupStateApi = api({
  key: 84,
  name: 'ReadShareGroupState',
  versions: '0',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
        leaderEpoch: int32('0+'),
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
        stateEpoch: int32('0+'),
        startOffset: int64('0+'),
        stateBatches: array('0+', {
          firstOffset: int64('0+'),
          lastOffset: int64('0+'),
          deliveryState: int8('0+'),
          deliveryCount: int16('0+'),
        }),
      }),
    }),
  },
});

export type ReadShareGroupStateRequest = Infer<typeof readShareGroupStateApi.request>;
export type ReadShareGroupStateRequestInput = Input<typeof readShareGroupStateApi.request>;
export type ReadShareGroupStateResponse = Infer<typeof readShareGroupStateApi.response>;
export type ReadShareGroupStateResponseInput = Input<typeof readShareGroupStateApi.response>;
