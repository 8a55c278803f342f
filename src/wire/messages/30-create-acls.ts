/**
 * CreateAcls (KIP-140).
 * v1 pattern types (KIP-290) · v2 flexible · v3 user resources (KIP-373).
 */
import { api } from '../api.ts';
import { array, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const createAclsApi = api({
  key: 30,
  name: 'CreateAcls',
  versions: '1-3',
  flexible: '2+',
  request: {
    creations: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      resourcePatternType: int8('1+', { default: 3 }),
      principal: string('0+'),
      host: string('0+'),
      operation: int8('0+'),
      permissionType: int8('0+'),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
});

export type CreateAclsRequest = Infer<typeof createAclsApi.request>;
export type CreateAclsRequestInput = Input<typeof createAclsApi.request>;
export type CreateAclsResponse = Infer<typeof createAclsApi.response>;
export type CreateAclsResponseInput = Input<typeof createAclsApi.response>;
