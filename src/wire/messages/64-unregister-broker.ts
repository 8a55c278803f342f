/** UnregisterBroker (KIP-631). */
import { api } from '../api.ts';
import { int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const unregisterBrokerApi = api({
  key: 64,
  name: 'UnregisterBroker',
  versions: '0',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
});

export type UnregisterBrokerRequest = Infer<typeof unregisterBrokerApi.request>;
export type UnregisterBrokerRequestInput = Input<typeof unregisterBrokerApi.request>;
export type UnregisterBrokerResponse = Infer<typeof unregisterBrokerApi.response>;
export type UnregisterBrokerResponseInput = Input<typeof unregisterBrokerApi.response>;
