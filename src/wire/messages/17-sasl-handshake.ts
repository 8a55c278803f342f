/**
 * SaslHandshake: the client names a mechanism.
 * v0 raw tokens follow, each with an int32 size and no header · v1 tokens come in SaslAuthenticate (KIP-152).
 */
import { api } from '../api.ts';
import { array, int16, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const saslHandshakeApi = api({
  key: 17,
  name: 'SaslHandshake',
  versions: '0-1',
  flexible: 'none',
  request: {
    mechanism: string('0+'),
  },
  response: {
    errorCode: int16('0+'),
    mechanisms: array('0+', 'string'),
  },
});

export type SaslHandshakeRequest = Infer<typeof saslHandshakeApi.request>;
export type SaslHandshakeRequestInput = Input<typeof saslHandshakeApi.request>;
export type SaslHandshakeResponse = Infer<typeof saslHandshakeApi.response>;
export type SaslHandshakeResponseInput = Input<typeof saslHandshakeApi.response>;
