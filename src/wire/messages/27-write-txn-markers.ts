/**
 * WriteTxnMarkers: the coordinator of a transaction tells leaders to write markers (KIP-98).
 * v2 transaction version (KIP-1228).
 */
import { api } from '../api.ts';
import { array, bool, int8, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const writeTxnMarkersApi = api({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: '1-2',
  flexible: '1+',
  request: {
    markers: array('0+', {
      producerId: int64('0+'),
      producerEpoch: int16('0+'),
      transactionResult: bool('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitionIndexes: array('0+', 'int32'),
      }),
      coordinatorEpoch: int32('0+'),
      transactionVersion: int8('2+'),
    }),
  },
  response: {
    markers: array('0+', {
      producerId: int64('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
        }),
      }),
    }),
  },
});

export type WriteTxnMarkersRequest = Infer<typeof writeTxnMarkersApi.request>;
export type WriteTxnMarkersRequestInput = Input<typeof writeTxnMarkersApi.request>;
export type WriteTxnMarkersResponse = Infer<typeof writeTxnMarkersApi.response>;
export type WriteTxnMarkersResponseInput = Input<typeof writeTxnMarkersApi.response>;
