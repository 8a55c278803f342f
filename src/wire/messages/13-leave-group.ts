/**
 * LeaveGroup: members leave a classic group.
 * v3 several members, static ones by instance id (KIP-345) · v5 reason (KIP-800).
 */
import { api } from '../api.ts';
import { array, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const leaveGroupApi = api({
  key: 13,
  name: 'LeaveGroup',
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string('0+'),
    memberId: string('0-2'),
    members: array('3+', {
      memberId: string('3+'),
      groupInstanceId: string('3+', { nullable: '3+', default: null }),
      reason: string('5+', { nullable: '5+', default: null }),
    }),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16('0+'),
    members: array('3+', {
      memberId: string('3+'),
      groupInstanceId: string('3+', { nullable: '3+' }),
      errorCode: int16('3+'),
    }),
  },
});

export type LeaveGroupRequest = Infer<typeof leaveGroupApi.request>;
export type LeaveGroupRequestInput = Input<typeof leaveGroupApi.request>;
export type LeaveGroupResponse = Infer<typeof leaveGroupApi.response>;
export type LeaveGroupResponseInput = Input<typeof leaveGroupApi.response>;
