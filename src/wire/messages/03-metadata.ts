/**
 * Metadata: brokers, controller, topics and where their partitions are led.
 * v1 null topics mean all · v5 offline replicas (KIP-112) · v7 leader epochs (KIP-320) · v8 authorized operations (KIP-430) ·
 * v10 topic ids, v12 asking by them (KIP-516) · v13 top-level error (KIP-1102).
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const metadataApi = api({
  key: 3,
  name: 'Metadata',
  versions: '0-13',
  flexible: '9+',
  request: {
    topics: array(
      '0+',
      {
        topicId: uuid('10+'),
        name: string('0+', { nullable: '10+' }),
      },
      { nullable: '1+' },
    ),
    allowAutoTopicCreation: bool('4+', { default: true }),
    includeClusterAuthorizedOperations: bool('8-10'),
    includeTopicAuthorizedOperations: bool('8+'),
  },
  response: {
    throttleTimeMs: int32('3+'),
    brokers: array('0+', {
      nodeId: int32('0+'),
      host: string('0+'),
      port: int32('0+'),
      rack: string('1+', { nullable: '1+', default: null }),
    }),
    clusterId: string('2+', { nullable: '2+', default: null }),
    controllerId: int32('1+', { default: -1 }),
    topics: array('0+', {
      errorCode: int16('0+'),
      name: string('0+', { nullable: '12+' }),
      topicId: uuid('10+'),
      isInternal: bool('1+'),
      partitions: array('0+', {
        errorCode: int16('0+'),
        partitionIndex: int32('0+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('7+', { default: -1 }),
        replicaNodes: array('0+', 'int32'),
        isrNodes: array('0+', 'int32'),
        offlineReplicas: array('5+', 'int32'),
      }),
      topicAuthorizedOperations: int32('8+', { default: -2147483648 }),
    }),
    clusterAuthorizedOperations: int32('8-10', { default: -2147483648 }),
    errorCode: int16('13+'),
  },
});

export type MetadataRequest = Infer<typeof metadataApi.request>;
export type MetadataRequestInput = Input<typeof metadataApi.request>;
export type MetadataResponse = Infer<typeof metadataApi.response>;
export type MetadataResponseInput = Input<typeof metadataApi.response>;
