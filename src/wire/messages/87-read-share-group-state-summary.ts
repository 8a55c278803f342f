/**
 * ReadShareGroupStateSummary (KIP-932).
 * v1 delivery complete count (KIP-1226).
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const readShareGroupStateSummaryApi = api({
  key: 87,
  name: 'ReadShareGroupStateSummary',
  versions: '0-1',
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
        leaderEpoch: int32('0+'),
        startOffset: int64('0+'),
        deliveryCompleteCount: int32('1+', { default: -1 }),
      }),
    }),
  },
});

export type ReadShareGroupStateSummaryRequest = Infer<typeof readShareGroupStateSummaryApi.request>;
export type ReadShareGroupStateSummaryRequestInput = Input<typeof readShareGroupStateSummaryApi.request>;
export type ReadShareGroupStateSummaryResponse = Infer<typeof readShareGroupStateSummaryApi.response>;
export type ReadShareGroupStateSummaryResponseInput = Input<typeof readShareGroupStateSummaryApi.response>;
