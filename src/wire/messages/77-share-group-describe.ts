/** ShareGroupDescribe (KIP-932). */
import { api } from '../api.ts';
import { array, bool, int16, int32, string, struct, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const shareGroupDescribeApi = api({
  key: 77,
  name: 'ShareGroupDescribe',
  versions: '1',
  flexible: '0+',
  request: {
    groupIds: array('0+', 'string'),
    includeAuthorizedOperations: bool('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    groups: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+', default: null }),
      groupId: string('0+'),
      groupState: string('0+'),
      groupEpoch: int32('0+'),
      assignmentEpoch: int32('0+'),
      assignorName: string('0+'),
      members: array('0+', {
        memberId: string('0+'),
        rackId: string('0+', { nullable: '0+', default: null }),
        memberEpoch: int32('0+'),
        clientId: string('0+'),
        clientHost: string('0+'),
        subscribedTopicNames: array('0+', 'string'),
        assignment: struct('0+', {
          topicPartitions: array('0+', {
            topicId: uuid('0+'),
            topicName: string('0+'),
            partitions: array('0+', 'int32'),
          }),
        }),
      }),
      authorizedOperations: int32('0+', { default: -2147483648 }),
    }),
  },
});

export type ShareGroupDescribeRequest = Infer<typeof shareGroupDescribeApi.request>;
export type ShareGroupDescribeRequestInput = Input<typeof shareGroupDescribeApi.request>;
export type ShareGroupDescribeResponse = Infer<typeof shareGroupDescribeApi.response>;
export type ShareGroupDescribeResponseInput = Input<typeof shareGroupDescribeApi.response>;
