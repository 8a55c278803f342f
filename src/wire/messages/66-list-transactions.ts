/**
 * ListTransactions (KIP-664).
 * v1 by duration (KIP-994) · v2 by pattern of transactional ids (KIP-1152).
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const listTransactionsApi = api({
  key: 66,
  name: 'ListTransactions',
  versions: '0-2',
  flexible: '0+',
  request: {
    stateFilters: array('0+', 'string'),
    producerIdFilters: array('0+', 'int64'),
    durationFilter: int64('1+', { default: -1n }),
    transactionalIdPattern: string('2+', { nullable: '2+', default: null }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    unknownStateFilters: array('0+', 'string'),
    transactionStates: array('0+', {
      transactionalId: string('0+'),
      producerId: int64('0+'),
      transactionState: string('0+'),
    }),
  },
});

export type ListTransactionsRequest = Infer<typeof listTransactionsApi.request>;
export type ListTransactionsRequestInput = Input<typeof listTransactionsApi.request>;
export type ListTransactionsResponse = Infer<typeof listTransactionsApi.response>;
export type ListTransactionsResponseInput = Input<typeof listTransactionsApi.response>;
