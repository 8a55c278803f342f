/**
 * DescribeCluster (KIP-700).
 * v1 brokers or controllers (KIP-919) · v2 fenced brokers (KIP-1073).
 */
import { api } from '../api.ts';
import { array, bool, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeClusterApi = api({
  key: 60,
  name: 'DescribeCluster',
  versions: '0-2',
  flexible: '0+',
  request: {
    includeClusterAuthorizedOperations: bool('0+'),
    endpointType: int8('1+', { default: 1 }),
    includeFencedBrokers: bool('2+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    endpointType: int8('1+', { default: 1 }),
    clusterId: string('0+'),
    controllerId: int32('0+', { default: -1 }),
    brokers: array('0+', {
      brokerId: int32('0+'),
      host: string('0+'),
      port: int32('0+'),
      rack: string('0+', { nullable: '0+', default: null }),
      isFenced: bool('2+'),
    }),
    clusterAuthorizedOperations: int32('0+', { default: -2147483648 }),
  },
});

export type DescribeClusterRequest = Infer<typeof describeClusterApi.request>;
export type DescribeClusterRequestInput = Input<typeof describeClusterApi.request>;
export type DescribeClusterResponse = Infer<typeof describeClusterApi.response>;
export type DescribeClusterResponseInput = Input<typeof describeClusterApi.response>;
