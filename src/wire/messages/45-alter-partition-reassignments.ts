/**
 * AlterPartitionReassignments (KIP-455).
 * v1 whether the replication factor may change (KIP-860).
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterPartitionReassignmentsApi = api({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: '0-1',
  flexible: '0+',
  request: {
    timeoutMs: int32('0+', { default: 60000 }),
    allowReplicationFactorChange: bool('1+', { default: true }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        replicas: array('0+', 'int32', { nullable: '0+', default: null }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    allowReplicationFactorChange: bool('1+', { default: true }),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    responses: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    }),
  },
});

export type AlterPartitionReassignmentsRequest = Infer<typeof alterPartitionReassignmentsApi.request>;
export type AlterPartitionReassignmentsRequestInput = Input<typeof alterPartitionReassignmentsApi.request>;
export type AlterPartitionReassignmentsResponse = Infer<typeof alterPartitionReassignmentsApi.response>;
export type AlterPartitionReassignmentsResponseInput = Input<typeof alterPartitionReassignmentsApi.response>;
