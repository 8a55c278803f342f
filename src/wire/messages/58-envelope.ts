/** Envelope: a request forwarded by a broker on behalf of a client (KIP-590). */
import { api } from '../api.ts';
import { bytes, int16 } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const envelopeApi = api({
  key: 58,
  name: 'Envelope',
  versions: '0',
  flexible: '0+',
  request: {
    requestData: bytes('0+'),
    requestPrincipal: bytes('0+', { nullable: '0+' }),
    clientHostAddress: bytes('0+'),
  },
  response: {
    responseData: bytes('0+', { nullable: '0+', default: null }),
    errorCode: int16('0+'),
  },
});

export type EnvelopeRequest = Infer<typeof envelopeApi.request>;
export type EnvelopeRequestInput = Input<typeof envelopeApi.request>;
export type EnvelopeResponse = Infer<typeof envelopeApi.response>;
export type EnvelopeResponseInput = Input<typeof envelopeApi.response>;
