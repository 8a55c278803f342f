/** RemoveRaftVoter (KIP-853). */
import { api } from '../api.ts';
import { int16, int32, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const removeRaftVoterApi = api({
  key: 81,
  name: 'RemoveRaftVoter',
  versions: '0',
  flexible: '0+',
  request: {
    clusterId: string('0+', { nullable: '0+' }),
    voterId: int32('0+'),
    voterDirectoryId: uuid('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
});

export type RemoveRaftVoterRequest = Infer<typeof removeRaftVoterApi.request>;
export type RemoveRaftVoterRequestInput = Input<typeof removeRaftVoterApi.request>;
export type RemoveRaftVoterResponse = Infer<typeof removeRaftVoterApi.response>;
export type RemoveRaftVoterResponseInput = Input<typeof removeRaftVoterApi.response>;
