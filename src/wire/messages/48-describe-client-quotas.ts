/** DescribeClientQuotas (KIP-546). */
import { api } from '../api.ts';
import { array, bool, float64, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeClientQuotasApi = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: '0-1',
  flexible: '1+',
  request: {
    components: array('0+', {
      entityType: string('0+'),
      matchType: int8('0+'),
      match: string('0+', { nullable: '0+' }),
    }),
    strict: bool('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    entries: array(
      '0+',
      {
        entity: array('0+', {
          entityType: string('0+'),
          entityName: string('0+', { nullable: '0+' }),
        }),
        values: array('0+', {
          key: string('0+'),
          value: float64('0+'),
        }),
      },
      { nullable: '0+' },
    ),
  },
});

export type DescribeClientQuotasRequest = Infer<typeof describeClientQuotasApi.request>;
export type DescribeClientQuotasRequestInput = Input<typeof describeClientQuotasApi.request>;
export type DescribeClientQuotasResponse = Infer<typeof describeClientQuotasApi.response>;
export type DescribeClientQuotasResponseInput = Input<typeof describeClientQuotasApi.response>;
