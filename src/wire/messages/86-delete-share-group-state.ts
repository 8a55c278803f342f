/** DeleteShareGroupState (KIP-932). */
import { api } from '../api.ts';
import { array, int16, int32, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const deleteShareGroupStateApi = api({
  key: 86,
  name: 'DeleteShareGroupState',
  versions: '0',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
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

export type DeleteShareGroupStateRequest = Infer<typeof deleteShareGroupStateApi.request>;
export type DeleteShareGroupStateRequestInput = Input<typeof deleteShareGroupStateApi.request>;
export type DeleteShareGroupStateResponse = Infer<typeof deleteShareGroupStateApi.response>;
export type DeleteShareGroupStateResponseInput = Input<typeof deleteShareGroupStateApi.response>;
