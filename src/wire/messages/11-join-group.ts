/**
 * JoinGroup: a member enters a classic group, or a rebalance of it.
 * v1 rebalance timeout (KIP-62) · v4 MEMBER_ID_REQUIRED (KIP-394) · v5 static members (KIP-345) · v7 protocol type (KIP-559) ·
 * v8 reason (KIP-800) · v9 skip assignment (KIP-814).
 */
import { api } from '../api.ts';
import { array, bool, bytes, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const joinGroupApi = api({
  key: 11,
  name: 'JoinGroup',
  versions: '0-9',
  flexible: '6+',
  request: {
    groupId: string('0+'),
    sessionTimeoutMs: int32('0+'),
    rebalanceTimeoutMs: int32('1+', { default: -1 }),
    memberId: string('0+'),
    groupInstanceId: string('5+', { nullable: '5+', default: null }),
    protocolType: string('0+'),
    protocols: array('0+', {
      name: string('0+'),
      metadata: bytes('0+'),
    }),
    reason: string('8+', { nullable: '8+', default: null }),
  },
  response: {
    throttleTimeMs: int32('2+'),
    errorCode: int16('0+'),
    generationId: int32('0+', { default: -1 }),
    protocolType: string('7+', { nullable: '7+', default: null }),
    protocolName: string('0+', { nullable: '7+' }),
    leader: string('0+'),
    skipAssignment: bool('9+'),
    memberId: string('0+'),
    members: array('0+', {
      memberId: string('0+'),
      groupInstanceId: string('5+', { nullable: '5+', default: null }),
      metadata: bytes('0+'),
    }),
  },
});

export type JoinGroupRequest = Infer<typeof joinGroupApi.request>;
export type JoinGroupRequestInput = Input<typeof joinGroupApi.request>;
export type JoinGroupResponse = Infer<typeof joinGroupApi.response>;
export type JoinGroupResponseInput = Input<typeof joinGroupApi.response>;
