/** AlterConfigs: replaces all dynamic configs of a resource (KIP-133); IncrementalAlterConfigs took its place. */
import { api } from '../api.ts';
import { array, bool, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterConfigsApi = api({
  key: 33,
  name: 'AlterConfigs',
  versions: '0-2',
  flexible: '2+',
  request: {
    resources: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configs: array('0+', {
        name: string('0+'),
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

export type AlterConfigsRequest = Infer<typeof alterConfigsApi.request>;
export type AlterConfigsRequestInput = Input<typeof alterConfigsApi.request>;
export type AlterConfigsResponse = Infer<typeof alterConfigsApi.response>;
export type AlterConfigsResponseInput = Input<typeof alterConfigsApi.response>;
