/** ShareGroupHeartbeat (KIP-932). */
import { api } from '../api.ts';
import { array, int16, int32, string, struct, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const shareGroupHeartbeatApi = api({
  key: 76,
  name: 'ShareGroupHeartbeat',
  versions: '1',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    memberId: string('0+'),
    memberEpoch: int32('0+'),
    rackId: string('0+', { nullable: '0+', default: null }),
    subscribedTopicNames: array('0+', 'string', { nullable: '0+', default: null }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    memberId: string('0+', { nullable: '0+', default: null }),
    memberEpoch: int32('0+'),
    heartbeatIntervalMs: int32('0+'),
    assignment: struct(
      '0+',
      {
        topicPartitions: array('0+', {
          topicId: uuid('0+'),
          partitions: array('0+', 'int32'),
        }),
      },
      { nullable: '0+', default: null },
    ),
  },
});

export type ShareGroupHeartbeatRequest = Infer<typeof shareGroupHeartbeatApi.request>;
export type ShareGroupHeartbeatRequestInput = Input<typeof shareGroupHeartbeatApi.request>;
export type ShareGroupHeartbeatResponse = Infer<typeof shareGroupHeartbeatApi.response>;
export type ShareGroupHeartbeatResponseInput = Input<typeof shareGroupHeartbeatApi.response>;
