/**
 * Vote: KRaft voters elect a leader (KIP-595).
 * v1 directory ids (KIP-853) · v2 pre-vote (KIP-996). Cordwood's controller is elected in its metadata store and serves none of the KRaft APIs.
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string, uint16, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const voteApi = api({
  key: 52,
  name: 'Vote',
  versions: '0-2',
  flexible: '0+',
  request: {
    clusterId: string('0+', { nullable: '0+', default: null }),
    voterId: int32('1+', { default: -1 }),
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        replicaEpoch: int32('0+'),
        replicaId: int32('0+'),
        replicaDirectoryId: uuid('1+'),
        voterDirectoryId: uuid('1+'),
        lastOffsetEpoch: int32('0+'),
        lastOffset: int64('0+'),
        preVote: bool('2+'),
      }),
    }),
  },
  response: {
    errorCode: int16('0+'),
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('0+'),
        voteGranted: bool('0+'),
      }),
    }),
    nodeEndpoints: array(
      '1+',
      {
        nodeId: int32('1+'),
        host: string('1+'),
        port: uint16('1+'),
      },
      { tag: 0 },
    ),
  },
});

export type VoteRequest = Infer<typeof voteApi.request>;
export type VoteRequestInput = Input<typeof voteApi.request>;
export type VoteResponse = Infer<typeof voteApi.response>;
export type VoteResponseInput = Input<typeof voteApi.response>;
