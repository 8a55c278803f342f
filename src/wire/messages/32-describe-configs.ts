/**
 * DescribeConfigs (KIP-133).
 * v1 synonyms (KIP-226) · v3 types and documentation (KIP-569) · v4 flexible.
 */
import { api } from '../api.ts';
import { array, bool, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeConfigsApi = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: '1-4',
  flexible: '4+',
  request: {
    resources: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configurationKeys: array('0+', 'string', { nullable: '0+' }),
    }),
    includeSynonyms: bool('1+'),
    includeDocumentation: bool('3+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configs: array('0+', {
        name: string('0+'),
        value: string('0+', { nullable: '0+' }),
        readOnly: bool('0+'),
        configSource: int8('1+', { default: -1 }),
        isSensitive: bool('0+'),
        synonyms: array('1+', {
          name: string('1+'),
          value: string('1+', { nullable: '0+' }),
          source: int8('1+'),
        }),
        configType: int8('3+'),
        documentation: string('3+', { nullable: '0+' }),
      }),
    }),
  },
});

export type DescribeConfigsRequest = Infer<typeof describeConfigsApi.request>;
export type DescribeConfigsRequestInput = Input<typeof describeConfigsApi.request>;
export type DescribeConfigsResponse = Infer<typeof describeConfigsApi.response>;
export type DescribeConfigsResponseInput = Input<typeof describeConfigsApi.response>;
