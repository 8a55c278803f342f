/**
 * TxnOffsetCommit: a group's positions as part of a transaction (KIP-98).
 * v2 leader epoch (KIP-320) · v3 member and generation (KIP-447) · v4 TRANSACTION_ABORTABLE, v5 implicit AddOffsetsToTxn (KIP-890).
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const txnOffsetCommitApi = api({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: '0-5',
  flexible: '3+',
  request: {
    transactionalId: string('0+'),
    groupId: string('0+'),
    producerId: int64('0+'),
    producerEpoch: int16('0+'),
    generationId: int32('3+', { default: -1 }),
    memberId: string('3+'),
    groupInstanceId: string('3+', { nullable: '3+', default: null }),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        committedOffset: int64('0+'),
        committedLeaderEpoch: int32('2+', { default: -1 }),
        committedMetadata: string('0+', { nullable: '0+' }),
      }),
    }),
  },
  response: {
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

export type TxnOffsetCommitRequest = Infer<typeof txnOffsetCommitApi.request>;
export type TxnOffsetCommitRequestInput = Input<typeof txnOffsetCommitApi.request>;
export type TxnOffsetCommitResponse = Infer<typeof txnOffsetCommitApi.response>;
export type TxnOffsetCommitResponseInput = Input<typeof txnOffsetCommitApi.response>;
