/**
 * DescribeQuorum: voters, observers and their lag (KIP-595).
 * v1 timestamps (KIP-836) · v2 directories and endpoints (KIP-853).
 */
import { api } from '../api.ts';
import { array, int16, int32, int64, string, uint16, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeQuorumApi = api({
  key: 55,
  name: 'DescribeQuorum',
  versions: '0-2',
  flexible: '0+',
  request: {
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
      }),
    }),
  },
  response: {
    errorCode: int16('0+'),
    errorMessage: string('2+', { nullable: '2+' }),
    topics: array('0+', {
      topicName: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('2+', { nullable: '2+' }),
        leaderId: int32('0+'),
        leaderEpoch: int32('0+'),
        highWatermark: int64('0+'),
        currentVoters: array('0+', {
          replicaId: int32('0+'),
          replicaDirectoryId: uuid('2+'),
          logEndOffset: int64('0+'),
          lastFetchTimestamp: int64('1+', { default: -1n }),
          lastCaughtUpTimestamp: int64('1+', { default: -1n }),
        }),
        observers: array('0+', {
          replicaId: int32('0+'),
          replicaDirectoryId: uuid('2+'),
          logEndOffset: int64('0+'),
          lastFetchTimestamp: int64('1+', { default: -1n }),
          lastCaughtUpTimestamp: int64('1+', { default: -1n }),
        }),
      }),
    }),
    nodes: array('2+', {
      nodeId: int32('2+'),
      listeners: array('2+', {
        name: string('2+'),
        host: string('2+'),
        port: uint16('2+'),
      }),
    }),
  },
});

export type DescribeQuorumRequest = Infer<typeof describeQuorumApi.request>;
export type DescribeQuorumRequestInput = Input<typeof describeQuorumApi.request>;
export type DescribeQuorumResponse = Infer<typeof describeQuorumApi.response>;
export type DescribeQuorumResponseInput = Input<typeof describeQuorumApi.response>;
