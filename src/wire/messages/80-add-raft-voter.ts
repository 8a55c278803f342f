/**
 * AddRaftVoter (KIP-853).
 * v1 acknowledged when committed (KIP-1186).
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, string, uint16, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const addRaftVoterApi = api({
  key: 80,
  name: 'AddRaftVoter',
  versions: '0-1',
  flexible: '0+',
  request: {
    clusterId: string('0+', { nullable: '0+' }),
    timeoutMs: int32('0+'),
    voterId: int32('0+'),
    voterDirectoryId: uuid('0+'),
    listeners: array('0+', {
      name: string('0+'),
      host: string('0+'),
      port: uint16('0+'),
    }),
    ackWhenCommitted: bool('1+', { default: true }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
});

export type AddRaftVoterRequest = Infer<typeof addRaftVoterApi.request>;
export type AddRaftVoterRequestInput = Input<typeof addRaftVoterApi.request>;
export type AddRaftVoterResponse = Infer<typeof addRaftVoterApi.response>;
export type AddRaftVoterResponseInput = Input<typeof addRaftVoterApi.response>;
