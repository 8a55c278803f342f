/** OffsetDelete: a group's positions of some partitions (KIP-496). Never flexible. */
import { api } from '../api.ts';
import { array, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const offsetDeleteApi = api({
  key: 47,
  name: 'OffsetDelete',
  versions: '0',
  flexible: 'none',
  request: {
    groupId: string('0+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
      }),
    }),
  },
  response: {
    errorCode: int16('0+'),
    throttleTimeMs: int32('0+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
      }),
    }),
  },
});

export type OffsetDeleteRequest = Infer<typeof offsetDeleteApi.request>;
export type OffsetDeleteRequestInput = Input<typeof offsetDeleteApi.request>;
export type OffsetDeleteResponse = Infer<typeof offsetDeleteApi.response>;
export type OffsetDeleteResponseInput = Input<typeof offsetDeleteApi.response>;
