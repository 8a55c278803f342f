/** AllocateProducerIds: a broker takes a block of producer ids (KIP-730). */
import { api } from '../api.ts';
import { int16, int32, int64 } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const allocateProducerIdsApi = api({
  key: 67,
  name: 'AllocateProducerIds',
  versions: '0',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    brokerEpoch: int64('0+', { default: -1n }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    producerIdStart: int64('0+'),
    producerIdLen: int32('0+'),
  },
});

export type AllocateProducerIdsRequest = Infer<typeof allocateProducerIdsApi.request>;
export type AllocateProducerIdsRequestInput = Input<typeof allocateProducerIdsApi.request>;
export type AllocateProducerIdsResponse = Infer<typeof allocateProducerIdsApi.response>;
export type AllocateProducerIdsResponseInput = Input<typeof allocateProducerIdsApi.response>;
