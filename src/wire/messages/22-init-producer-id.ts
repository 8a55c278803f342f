/**
 * InitProducerId: a producer id and epoch (KIP-98).
 * v3 producer id and epoch in the request (KIP-360) · v4 PRODUCER_FENCED (KIP-588) · v5 TRANSACTION_ABORTABLE (KIP-890) ·
 * v6 two-phase commit (KIP-939), unstable in Kafka and not advertised.
 */
import { api } from '../api.ts';
import { bool, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const initProducerIdApi = api({
  key: 22,
  name: 'InitProducerId',
  versions: '0-5',
  described: '0-6',
  flexible: '2+',
  request: {
    transactionalId: string('0+', { nullable: '0+' }),
    transactionTimeoutMs: int32('0+'),
    producerId: int64('3+', { default: -1n }),
    producerEpoch: int16('3+', { default: -1 }),
    enable2Pc: bool('6+'),
    keepPreparedTxn: bool('6+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    producerId: int64('0+', { default: -1n }),
    producerEpoch: int16('0+'),
    ongoingTxnProducerId: int64('6+', { default: -1n }),
    ongoingTxnProducerEpoch: int16('6+', { default: -1 }),
  },
});

export type InitProducerIdRequest = Infer<typeof initProducerIdApi.request>;
export type InitProducerIdRequestInput = Input<typeof initProducerIdApi.request>;
export type InitProducerIdResponse = Infer<typeof initProducerIdApi.response>;
export type InitProducerIdResponseInput = Input<typeof initProducerIdApi.response>;
