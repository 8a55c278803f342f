/**
 * AddPartitionsToTxn: partitions join a transaction (KIP-98).
 * v3 one transaction, from a client · v4 several, between brokers, with verify only (KIP-890) · v5 TRANSACTION_ABORTABLE.
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const addPartitionsToTxnApi = api({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: '0-5',
  flexible: '3+',
  request: {
    transactions: array('4+', {
      transactionalId: string('4+'),
      producerId: int64('4+'),
      producerEpoch: int16('4+'),
      verifyOnly: bool('4+'),
      topics: array('4+', {
        name: string('0+'),
        partitions: array('0+', 'int32'),
      }),
    }),
    v3AndBelowTransactionalId: string('0-3'),
    v3AndBelowProducerId: int64('0-3'),
    v3AndBelowProducerEpoch: int16('0-3'),
    v3AndBelowTopics: array('0-3', {
      name: string('0+'),
      partitions: array('0+', 'int32'),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('4+'),
    resultsByTransaction: array('4+', {
      transactionalId: string('4+'),
      topicResults: array('4+', {
        name: string('0+'),
        resultsByPartition: array('0+', {
          partitionIndex: int32('0+'),
          partitionErrorCode: int16('0+'),
        }),
      }),
    }),
    resultsByTopicV3AndBelow: array('0-3', {
      name: string('0+'),
      resultsByPartition: array('0+', {
        partitionIndex: int32('0+'),
        partitionErrorCode: int16('0+'),
      }),
    }),
  },
});

export type AddPartitionsToTxnRequest = Infer<typeof addPartitionsToTxnApi.request>;
export type AddPartitionsToTxnRequestInput = Input<typeof addPartitionsToTxnApi.request>;
export type AddPartitionsToTxnResponse = Infer<typeof addPartitionsToTxnApi.response>;
export type AddPartitionsToTxnResponseInput = Input<typeof addPartitionsToTxnApi.response>;
