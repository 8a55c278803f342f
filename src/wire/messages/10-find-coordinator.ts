/**
 * FindCoordinator: which broker coordinates a group (type 0), a transactional id (1) or a share group's partition (2).
 * v1 key type (KIP-98) · v4 several keys (KIP-699) · v5 TRANSACTION_ABORTABLE (KIP-890) · v6 share groups (KIP-932).
 */
import { api } from '../api.ts';
import { array, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const findCoordinatorApi = api({
  key: 10,
  name: 'FindCoordinator',
  versions: '0-6',
  flexible: '3+',
  request: {
    key: string('0-3'),
    keyType: int8('1+'),
    coordinatorKeys: array('4+', 'string'),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16('0-3'),
    errorMessage: string('1-3', { nullable: '1-3' }),
    nodeId: int32('0-3'),
    host: string('0-3'),
    port: int32('0-3'),
    coordinators: array('4+', {
      key: string('4+'),
      nodeId: int32('4+'),
      host: string('4+'),
      port: int32('4+'),
      errorCode: int16('4+'),
      errorMessage: string('4+', { nullable: '4+' }),
    }),
  },
});

export type FindCoordinatorRequest = Infer<typeof findCoordinatorApi.request>;
export type FindCoordinatorRequestInput = Input<typeof findCoordinatorApi.request>;
export type FindCoordinatorResponse = Infer<typeof findCoordinatorApi.response>;
export type FindCoordinatorResponseInput = Input<typeof findCoordinatorApi.response>;
