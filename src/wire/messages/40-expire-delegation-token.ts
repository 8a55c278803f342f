/** ExpireDelegationToken (KIP-48). */
import { api } from '../api.ts';
import { bytes, int16, int32, int64 } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const expireDelegationTokenApi = api({
  key: 40,
  name: 'ExpireDelegationToken',
  versions: '1-2',
  flexible: '2+',
  request: {
    hmac: bytes('0+'),
    expiryTimePeriodMs: int64('0+'),
  },
  response: {
    errorCode: int16('0+'),
    expiryTimestampMs: int64('0+'),
    throttleTimeMs: int32('0+'),
  },
});

export type ExpireDelegationTokenRequest = Infer<typeof expireDelegationTokenApi.request>;
export type ExpireDelegationTokenRequestInput = Input<typeof expireDelegationTokenApi.request>;
export type ExpireDelegationTokenResponse = Infer<typeof expireDelegationTokenApi.response>;
export type ExpireDelegationTokenResponseInput = Input<typeof expireDelegationTokenApi.response>;
