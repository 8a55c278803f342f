/**
 * SaslAuthenticate: one token of a SASL exchange (KIP-152).
 * v1 session lifetime (KIP-368).
 */
import { api } from '../api.ts';
import { bytes, int16, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const saslAuthenticateApi = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: '0-2',
  flexible: '2+',
  request: {
    authBytes: bytes('0+'),
  },
  response: {
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    authBytes: bytes('0+'),
    sessionLifetimeMs: int64('1+'),
  },
});

export type SaslAuthenticateRequest = Infer<typeof saslAuthenticateApi.request>;
export type SaslAuthenticateRequestInput = Input<typeof saslAuthenticateApi.request>;
export type SaslAuthenticateResponse = Infer<typeof saslAuthenticateApi.response>;
export type SaslAuthenticateResponseInput = Input<typeof saslAuthenticateApi.response>;
