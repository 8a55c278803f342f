/** DeleteGroups (KIP-229). */
import { api } from '../api.ts';
import { array, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const deleteGroupsApi = api({
  key: 42,
  name: 'DeleteGroups',
  versions: '0-2',
  flexible: '2+',
  request: {
    groupsNames: array('0+', 'string'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      groupId: string('0+'),
      errorCode: int16('0+'),
    }),
  },
});

export type DeleteGroupsRequest = Infer<typeof deleteGroupsApi.request>;
export type DeleteGroupsRequestInput = Input<typeof deleteGroupsApi.request>;
export type DeleteGroupsResponse = Infer<typeof deleteGroupsApi.response>;
export type DeleteGroupsResponseInput = Input<typeof deleteGroupsApi.response>;
