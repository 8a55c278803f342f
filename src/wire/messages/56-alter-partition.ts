/**
 * AlterPartition: a leader asks the controller for another ISR (KIP-497).
 * v2 topic ids (KIP-841) · v3 ISR with broker epochs (KIP-903).
 */
import { api } from '../api.ts';
import { array, int8, int16, int32, int64, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterPartitionApi = api({
  key: 56,
  name: 'AlterPartition',
  versions: '2-3',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    brokerEpoch: int64('0+', { default: -1n }),
    topics: array('0+', {
      topicId: uuid('2+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        leaderEpoch: int32('0+'),
        newIsr: array('0-2', 'int32'),
        newIsrWithEpochs: array('3+', {
          brokerId: int32('3+'),
          brokerEpoch: int64('3+', { default: -1n }),
        }),
        leaderRecoveryState: int8('1+'),
        partitionEpoch: int32('0+'),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    topics: array('0+', {
      topicId: uuid('2+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('0+'),
        isr: array('0+', 'int32'),
        leaderRecoveryState: int8('1+'),
        partitionEpoch: int32('0+'),
      }),
    }),
  },
});

export type AlterPartitionRequest = Infer<typeof alterPartitionApi.request>;
export type AlterPartitionRequestInput = Input<typeof alterPartitionApi.request>;
export type AlterPartitionResponse = Infer<typeof alterPartitionApi.response>;
export type AlterPartitionResponseInput = Input<typeof alterPartitionApi.response>;
