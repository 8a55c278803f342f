/** AlterShareGroupOffsets (KIP-932). */
import { api } from '../api.ts';
import { array, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterShareGroupOffsetsApi = api({
  key: 91,
  name: 'AlterShareGroupOffsets',
  versions: '0',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        startOffset: int64('0+'),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    responses: array('0+', {
      topicName: string('0+'),
      topicId: uuid('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+', default: null }),
      }),
    }),
  },
});

export type AlterShareGroupOffsetsRequest = Infer<typeof alterShareGroupOffsetsApi.request>;
export type AlterShareGroupOffsetsRequestInput = Input<typeof alterShareGroupOffsetsApi.request>;
export type AlterShareGroupOffsetsResponse = Infer<typeof alterShareGroupOffsetsApi.response>;
export type AlterShareGroupOffsetsResponseInput = Input<typeof alterShareGroupOffsetsApi.response>;
