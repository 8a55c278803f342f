/** ElectLeaders: preferred (KIP-183) or, from v1, unclean election (KIP-460). */
import { api } from '../api.ts';
import { array, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const electLeadersApi = api({
  key: 43,
  name: 'ElectLeaders',
  versions: '0-2',
  flexible: '2+',
  request: {
    electionType: int8('1+'),
    topicPartitions: array(
      '0+',
      {
        topic: string('0+'),
        partitions: array('0+', 'int32'),
      },
      { nullable: '0+' },
    ),
    timeoutMs: int32('0+', { default: 60000 }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('1+'),
    replicaElectionResults: array('0+', {
      topic: string('0+'),
      partitionResult: array('0+', {
        partitionId: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    }),
  },
});

export type ElectLeadersRequest = Infer<typeof electLeadersApi.request>;
export type ElectLeadersRequestInput = Input<typeof electLeadersApi.request>;
export type ElectLeadersResponse = Infer<typeof electLeadersApi.response>;
export type ElectLeadersResponseInput = Input<typeof electLeadersApi.response>;
