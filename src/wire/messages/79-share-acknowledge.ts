/**
 * ShareAcknowledge (KIP-932).
 * v2 renewal of acquisition locks (KIP-1222).
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string, struct, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const shareAcknowledgeApi = api({
  key: 79,
  name: 'ShareAcknowledge',
  versions: '1-2',
  flexible: '0+',
  request: {
    groupId: string('0+', { nullable: '0+', default: null }),
    memberId: string('0+', { nullable: '0+' }),
    shareSessionEpoch: int32('0+'),
    isRenewAck: bool('2+'),
    topics: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        acknowledgementBatches: array('0+', {
          firstOffset: int64('0+'),
          lastOffset: int64('0+'),
          acknowledgeTypes: array('0+', 'int8'),
        }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    acquisitionLockTimeoutMs: int32('2+'),
    responses: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+', default: null }),
        currentLeader: struct('0+', {
          leaderId: int32('0+'),
          leaderEpoch: int32('0+'),
        }),
      }),
    }),
    nodeEndpoints: array('0+', {
      nodeId: int32('0+'),
      host: string('0+'),
      port: int32('0+'),
      rack: string('0+', { nullable: '0+', default: null }),
    }),
  },
});

export type ShareAcknowledgeRequest = Infer<typeof shareAcknowledgeApi.request>;
export type ShareAcknowledgeRequestInput = Input<typeof shareAcknowledgeApi.request>;
export type ShareAcknowledgeResponse = Infer<typeof shareAcknowledgeApi.response>;
export type ShareAcknowledgeResponseInput = Input<typeof shareAcknowledgeApi.response>;
