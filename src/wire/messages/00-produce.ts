/**
 * Produce: record batches for partitions this broker leads.
 * v3 transactional id (KIP-98) · v5 log start offset (KIP-107) · v7 zstd (KIP-110) · v8 record errors (KIP-467) ·
 * v10 current leader and its endpoint (KIP-951) · v11 TRANSACTION_ABORTABLE and v12 implicit AddPartitionsToTxn (KIP-890) ·
 * v13 topic ids (KIP-516). With acks 0 there is no response at all.
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, records, string, struct, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const produceApi = api({
  key: 0,
  name: 'Produce',
  versions: '3-13',
  flexible: '9+',
  request: {
    transactionalId: string('3+', { nullable: '3+', default: null }),
    acks: int16('0+'),
    timeoutMs: int32('0+'),
    topicData: array('0+', {
      name: string('0-12'),
      topicId: uuid('13+'),
      partitionData: array('0+', {
        index: int32('0+'),
        records: records('0+', { nullable: '0+' }),
      }),
    }),
  },
  response: {
    responses: array('0+', {
      name: string('0-12'),
      topicId: uuid('13+'),
      partitionResponses: array('0+', {
        index: int32('0+'),
        errorCode: int16('0+'),
        baseOffset: int64('0+'),
        logAppendTimeMs: int64('2+', { default: -1n }),
        logStartOffset: int64('5+', { default: -1n }),
        recordErrors: array('8+', {
          batchIndex: int32('8+'),
          batchIndexErrorMessage: string('8+', { nullable: '8+', default: null }),
        }),
        errorMessage: string('8+', { nullable: '8+', default: null }),
        currentLeader: struct(
          '10+',
          {
            leaderId: int32('10+', { default: -1 }),
            leaderEpoch: int32('10+', { default: -1 }),
          },
          { tag: 0 },
        ),
      }),
    }),
    throttleTimeMs: int32('1+'),
    nodeEndpoints: array(
      '10+',
      {
        nodeId: int32('10+'),
        host: string('10+'),
        port: int32('10+'),
        rack: string('10+', { nullable: '10+', default: null }),
      },
      { tag: 0 },
    ),
  },
});

export type ProduceRequest = Infer<typeof produceApi.request>;
export type ProduceRequestInput = Input<typeof produceApi.request>;
export type ProduceResponse = Infer<typeof produceApi.response>;
export type ProduceResponseInput = Input<typeof produceApi.response>;
