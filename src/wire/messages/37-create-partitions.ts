/**
 * CreatePartitions (KIP-195).
 * v3 throttling (KIP-599).
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const createPartitionsApi = api({
  key: 37,
  name: 'CreatePartitions',
  versions: '0-3',
  flexible: '2+',
  request: {
    topics: array('0+', {
      name: string('0+'),
      count: int32('0+'),
      assignments: array(
        '0+',
        {
          brokerIds: array('0+', 'int32'),
        },
        { nullable: '0+' },
      ),
    }),
    timeoutMs: int32('0+'),
    validateOnly: bool('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      name: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+', default: null }),
    }),
  },
});

export type CreatePartitionsRequest = Infer<typeof createPartitionsApi.request>;
export type CreatePartitionsRequestInput = Input<typeof createPartitionsApi.request>;
export type CreatePartitionsResponse = Infer<typeof createPartitionsApi.response>;
export type CreatePartitionsResponseInput = Input<typeof createPartitionsApi.response>;
