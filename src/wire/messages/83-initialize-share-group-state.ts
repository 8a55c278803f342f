/** InitializeShareGroupState (KIP-932). */
import { api } from '../api.ts';
import { array, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const initializeShareGroupStateApi = api({
  key: 83,
  name: 'InitializeShareGroupState',
  versions: '0',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
        stateEpoch: int32('0+'),
        startOffset: int64('0+'),
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

export type InitializeShareGroupStateRequest = Infer<typeof initializeShareGroupStateApi.request>;
export type InitializeShareGroupStateRequestInput = Input<typeof initializeShareGroupStateApi.request>;
export type InitializeShareGroupStateResponse = Infer<typeof initializeShareGroupStateApi.response>;
export type InitializeShareGroupStateResponseInput = Input<typeof initializeShareGroupStateApi.response>;
