/**
 * ConsumerGroupHeartbeat: the one API of the new group protocol (KIP-848).
 * v1 subscription by regular expression, the member makes its own id.
 */
import { api } from '../api.ts';
import { array, int16, int32, string, struct, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const consumerGroupHeartbeatApi = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: '0-1',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    memberId: string('0+'),
    memberEpoch: int32('0+'),
    instanceId: string('0+', { nullable: '0+', default: null }),
    rackId: string('0+', { nullable: '0+', default: null }),
    rebalanceTimeoutMs: int32('0+', { default: -1 }),
    subscribedTopicNames: array('0+', 'string', { nullable: '0+', default: null }),
    subscribedTopicRegex: string('1+', { nullable: '1+', default: null }),
    serverAssignor: string('0+', { nullable: '0+', default: null }),
    topicPartitions: array(
      '0+',
      {
        topicId: uuid('0+'),
        partitions: array('0+', 'int32'),
      },
      { nullable: '0+', default: null },
    ),
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

export type ConsumerGroupHeartbeatRequest = Infer<typeof consumerGroupHeartbeatApi.request>;
export type ConsumerGroupHeartbeatRequestInput = Input<typeof consumerGroupHeartbeatApi.request>;
export type ConsumerGroupHeartbeatResponse = Infer<typeof consumerGroupHeartbeatApi.response>;
export type ConsumerGroupHeartbeatResponseInput = Input<typeof consumerGroupHeartbeatApi.response>;
