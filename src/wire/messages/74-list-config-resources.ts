/** ListConfigResources; v0 was ListClientMetricsResources (KIP-714, KIP-1142). */
import { api } from '../api.ts';
import { array, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const listConfigResourcesApi = api({
  key: 74,
  name: 'ListConfigResources',
  versions: '0-1',
  flexible: '0+',
  request: {
    resourceTypes: array('1+', 'int8'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    configResources: array('0+', {
      resourceName: string('0+'),
      resourceType: int8('1+', { default: 16 }),
    }),
  },
});

export type ListConfigResourcesRequest = Infer<typeof listConfigResourcesApi.request>;
export type ListConfigResourcesRequestInput = Input<typeof listConfigResourcesApi.request>;
export type ListConfigResourcesResponse = Infer<typeof listConfigResourcesApi.response>;
export type ListConfigResourcesResponseInput = Input<typeof listConfigResourcesApi.response>;
