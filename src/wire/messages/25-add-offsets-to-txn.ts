/**
 * AddOffsetsToTxn: a group's offsets partition joins a transaction (KIP-98).
 * v2 PRODUCER_FENCED (KIP-588) · v4 TRANSACTION_ABORTABLE (KIP-890).
 */
import { api } from '../api.ts';
import { int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const addOffsetsToTxnApi = api({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: '0-4',
  flexible: '3+',
  request: {
    transactionalId: string('0+'),
    producerId: int64('0+'),
    producerEpoch: int16('0+'),
    groupId: string('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
  },
});

export type AddOffsetsToTxnRequest = Infer<typeof addOffsetsToTxnApi.request>;
export type AddOffsetsToTxnRequestInput = Input<typeof addOffsetsToTxnApi.request>;
export type AddOffsetsToTxnResponse = Infer<typeof addOffsetsToTxnApi.response>;
export type AddOffsetsToTxnResponseInput = Input<typeof addOffsetsToTxnApi.response>;
