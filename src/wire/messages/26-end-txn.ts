/**
 * EndTxn: commit or abort (KIP-98).
 * v2 PRODUCER_FENCED (KIP-588) · v4 TRANSACTION_ABORTABLE · v5 the next producer id and epoch (KIP-890).
 */
import { api } from '../api.ts';
import { bool, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const endTxnApi = api({
  key: 26,
  name: 'EndTxn',
  versions: '0-5',
  flexible: '3+',
  request: {
    transactionalId: string('0+'),
    producerId: int64('0+'),
    producerEpoch: int16('0+'),
    committed: bool('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    producerId: int64('5+', { default: -1n }),
    producerEpoch: int16('5+', { default: -1 }),
  },
});

export type EndTxnRequest = Infer<typeof endTxnApi.request>;
export type EndTxnRequestInput = Input<typeof endTxnApi.request>;
export type EndTxnResponse = Infer<typeof endTxnApi.response>;
export type EndTxnResponseInput = Input<typeof endTxnApi.response>;
