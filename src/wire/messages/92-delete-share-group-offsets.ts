/** DeleteShareGroupOffsets (KIP-932). */
import { api } from '../api.ts';
import { array, int16, int32, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const deleteShareGroupOffsetsApi = api({
  key: 92,
  name: 'DeleteShareGroupOffsets',
  versions: '0',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      topicName: string('0+'),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    responses: array('0+', {
      topicName: string('0+'),
      topicId: uuid('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+', default: null }),
    }),
  },
});

export type DeleteShareGroupOffsetsRequest = Infer<typeof deleteShareGroupOffsetsApi.request>;
export type DeleteShareGroupOffsetsRequestInput = Input<typeof deleteShareGroupOffsetsApi.request>;
export type DeleteShareGroupOffsetsResponse = Infer<typeof deleteShareGroupOffsetsApi.response>;
export type DeleteShareGroupOffsetsResponseInput = Input<typeof deleteShareGroupOffsetsApi.response>;
