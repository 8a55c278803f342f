/** DeleteRecords: moves log start offsets forward (KIP-107). */
import { api } from '../api.ts';
import { array, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const deleteRecordsApi = api({
  key: 21,
  name: 'DeleteRecords',
  versions: '0-2',
  flexible: '2+',
  request: {
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        offset: int64('0+'),
      }),
    }),
    timeoutMs: int32('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        lowWatermark: int64('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
});

export type DeleteRecordsRequest = Infer<typeof deleteRecordsApi.request>;
export type DeleteRecordsRequestInput = Input<typeof deleteRecordsApi.request>;
export type DeleteRecordsResponse = Infer<typeof deleteRecordsApi.response>;
export type DeleteRecordsResponseInput = Input<typeof deleteRecordsApi.response>;
