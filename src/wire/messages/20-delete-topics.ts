/**
 * DeleteTopics.
 * v5 error message (KIP-599) · v6 by topic id (KIP-516).
 */
import { api } from '../api.ts';
import { array, int16, int32, string, uuid } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const deleteTopicsApi = api({
  key: 20,
  name: 'DeleteTopics',
  versions: '1-6',
  flexible: '4+',
  request: {
    topics: array('6+', {
      name: string('6+', { nullable: '6+', default: null }),
      topicId: uuid('6+'),
    }),
    topicNames: array('0-5', 'string'),
    timeoutMs: int32('0+'),
  },
  response: {
    throttleTimeMs: int32('1+'),
    responses: array('0+', {
      name: string('0+', { nullable: '6+' }),
      topicId: uuid('6+'),
      errorCode: int16('0+'),
      errorMessage: string('5+', { nullable: '5+', default: null }),
    }),
  },
});

export type DeleteTopicsRequest = Infer<typeof deleteTopicsApi.request>;
export type DeleteTopicsRequestInput = Input<typeof deleteTopicsApi.request>;
export type DeleteTopicsResponse = Infer<typeof deleteTopicsApi.response>;
export type DeleteTopicsResponseInput = Input<typeof deleteTopicsApi.response>;
