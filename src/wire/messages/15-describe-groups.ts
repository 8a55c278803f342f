/**
 * DescribeGroups: state and members of classic groups.
 * v3 authorized operations (KIP-430) · v4 static members (KIP-345) · v6 GROUP_ID_NOT_FOUND and error message (KIP-1043).
 */
import { api } from '../api.ts';
import { array, bool, bytes, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeGroupsApi = api({
  key: 15,
  name: 'DescribeGroups',
  versions: '0-6',
  flexible: '5+',
  request: {
    groups: array('0+', 'string'),
    includeAuthorizedOperations: bool('3+'),
  },
  response: {
    throttleTimeMs: int32('1+'),
    groups: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('6+', { nullable: '6+', default: null }),
      groupId: string('0+'),
      groupState: string('0+'),
      protocolType: string('0+'),
      protocolData: string('0+'),
      members: array('0+', {
        memberId: string('0+'),
        groupInstanceId: string('4+', { nullable: '4+', default: null }),
        clientId: string('0+'),
        clientHost: string('0+'),
        memberMetadata: bytes('0+'),
        memberAssignment: bytes('0+'),
      }),
      authorizedOperations: int32('3+', { default: -2147483648 }),
    }),
  },
});

export type DescribeGroupsRequest = Infer<typeof describeGroupsApi.request>;
export type DescribeGroupsRequestInput = Input<typeof describeGroupsApi.request>;
export type DescribeGroupsResponse = Infer<typeof describeGroupsApi.response>;
export type DescribeGroupsResponseInput = Input<typeof describeGroupsApi.response>;
