/** IncrementalAlterConfigs: set, delete, append or subtract single configs (KIP-339). */
import { api } from '../api.ts';
import { array, bool, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const incrementalAlterConfigsApi = api({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: '0-1',
  flexible: '1+',
  request: {
    resources: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configs: array('0+', {
        name: string('0+'),
        configOperation: int8('0+'),
        value: string('0+', { nullable: '0+' }),
      }),
    }),
    validateOnly: bool('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    responses: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      resourceType: int8('0+'),
      resourceName: string('0+'),
    }),
  },
});

export type IncrementalAlterConfigsRequest = Infer<typeof incrementalAlterConfigsApi.request>;
export type IncrementalAlterConfigsRequestInput = Input<typeof incrementalAlterConfigsApi.request>;
export type IncrementalAlterConfigsResponse = Infer<typeof incrementalAlterConfigsApi.response>;
export type IncrementalAlterConfigsResponseInput = Input<typeof incrementalAlterConfigsApi.response>;
