/**
 * ListGroups: the groups this broker coordinates.
 * v4 states (KIP-518) · v5 types (KIP-848).
 */
import { api } from '../api.ts';
import { array, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const listGroupsApi = api({
  key: 16,
  name: 'ListGroups',
  versions: '0-5',
  flexible: '3+',
  request: {
    statesFilter: array('4+', 'string'),
    typesFilter: array('5+', 'string'),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16('0+'),
    groups: array('0+', {
      groupId: string('0+'),
      protocolType: string('0+'),
      groupState: string('4+'),
      groupType: string('5+'),
    }),
  },
});

export type ListGroupsRequest = Infer<typeof listGroupsApi.request>;
export type ListGroupsRequestInput = Input<typeof listGroupsApi.request>;
export type ListGroupsResponse = Infer<typeof listGroupsApi.response>;
export type ListGroupsResponseInput = Input<typeof listGroupsApi.response>;
