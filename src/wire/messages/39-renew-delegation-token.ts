/** RenewDelegationToken (KIP-48). */
import { api } from '../api.ts';
import { bytes, int16, int32, int64 } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const renewDelegationTokenApi = api({
  key: 39,
  name: 'RenewDelegationToken',
  versions: '1-2',
  flexible: '2+',
  request: {
    hmac: bytes('0+'),
    renewPeriodMs: int64('0+'),
  },
  response: {
    errorCode: int16('0+'),
    expiryTimestampMs: int64('0+'),
    throttleTimeMs: int32('0+'),
  },
});

export type RenewDelegationTokenRequest = Infer<typeof renewDelegationTokenApi.request>;
export type RenewDelegationTokenRequestInput = Input<typeof renewDelegationTokenApi.request>;
export type RenewDelegationTokenResponse = Infer<typeof renewDelegationTokenApi.response>;
export type RenewDelegationTokenResponseInput = Input<typeof renewDelegationTokenApi.response>;
