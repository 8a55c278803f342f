/** BeginQuorumEpoch: a KRaft leader tells voters of its epoch (KIP-595). */
import { api } from '../api.ts';
import { array, int16, int32, string, uint16, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const beginQuorumEpochApi = api({
  key: 53,
  name: 'BeginQuorumEpoch',
  versions: '0-1',
  flexible: '1+',
  request: {
    clusterId: string('0+', { nullable: '0+', default: null }),
    voterId: int32('1+', { default: -1 }),
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        voterDirectoryId: uuid('1+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('0+'),
      }),
    }),
    leaderEndpoints: array('1+', {
      name: string('1+'),
      host: string('1+'),
      port: uint16('1+'),
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

export type BeginQuorumEpochRequest = Infer<typeof beginQuorumEpochApi.request>;
export type BeginQuorumEpochRequestInput = Input<typeof beginQuorumEpochApi.request>;
export type BeginQuorumEpochResponse = Infer<typeof beginQuorumEpochApi.response>;
export type BeginQuorumEpochResponseInput = Input<typeof beginQuorumEpochApi.response>;
