/** AlterClientQuotas (KIP-546). */
import { api } from '../api.ts';
import { array, bool, float64, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterClientQuotasApi = api({
  key: 49,
  name: 'AlterClientQuotas',
  versions: '0-1',
  flexible: '1+',
  request: {
    entries: array('0+', {
      entity: array('0+', {
        entityType: string('0+'),
        entityName: string('0+', { nullable: '0+' }),
      }),
      ops: array('0+', {
        key: string('0+'),
        value: float64('0+'),
        remove: bool('0+'),
      }),
    }),
    validateOnly: bool('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    entries: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      entity: array('0+', {
        entityType: string('0+'),
        entityName: string('0+', { nullable: '0+' }),
      }),
    }),
  },
});

export type AlterClientQuotasRequest = Infer<typeof alterClientQuotasApi.request>;
export type AlterClientQuotasRequestInput = Input<typeof alterClientQuotasApi.request>;
export type AlterClientQuotasResponse = Infer<typeof alterClientQuotasApi.response>;
export type AlterClientQuotasResponseInput = Input<typeof alterClientQuotasApi.response>;
