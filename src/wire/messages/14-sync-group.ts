/**
 * SyncGroup: the leader's assignment goes in, each member's own comes out.
 * v3 static members (KIP-345) · v5 protocol type and name (KIP-559).
 */
import { api } from '../api.ts';
import { array, bytes, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const syncGroupApi = api({
  key: 14,
  name: 'SyncGroup',
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string('0+'),
    generationId: int32('0+'),
    memberId: string('0+'),
    groupInstanceId: string('3+', { nullable: '3+', default: null }),
    protocolType: string('5+', { nullable: '5+', default: null }),
    protocolName: string('5+', { nullable: '5+', default: null }),
    assignments: array('0+', {
      memberId: string('0+'),
      assignment: bytes('0+'),
    }),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16('0+'),
    protocolType: string('5+', { nullable: '5+', default: null }),
    protocolName: string('5+', { nullable: '5+', default: null }),
    assignment: bytes('0+'),
  },
});

export type SyncGroupRequest = Infer<typeof syncGroupApi.request>;
export type SyncGroupRequestInput = Input<typeof syncGroupApi.request>;
export type SyncGroupResponse = Infer<typeof syncGroupApi.response>;
export type SyncGroupResponseInput = Input<typeof syncGroupApi.response>;
