/**
 * Heartbeat: a member of a classic group is alive, and asks whether a rebalance is on.
 * v3 static members (KIP-345) · v4 flexible (KIP-482).
 */
import { api } from '../api.ts';
import { int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const heartbeatApi = api({
  key: 12,
  name: 'Heartbeat',
  versions: '0-4',
  flexible: '4+',
  request: {
    groupId: string('0+'),
    generationId: int32('0+'),
    memberId: string('0+'),
    groupInstanceId: string('3+', { nullable: '3+', default: null }),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16('0+'),
  },
});

export type HeartbeatRequest = Infer<typeof heartbeatApi.request>;
export type HeartbeatRequestInput = Input<typeof heartbeatApi.request>;
export type HeartbeatResponse = Infer<typeof heartbeatApi.response>;
export type HeartbeatResponseInput = Input<typeof heartbeatApi.response>;
