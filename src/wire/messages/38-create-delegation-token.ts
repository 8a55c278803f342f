/**
 * CreateDelegationToken (KIP-48).
 * v3 owner other than the requester (KIP-373).
 */
import { api } from '../api.ts';
import { array, bytes, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const createDelegationTokenApi = api({
  key: 38,
  name: 'CreateDelegationToken',
  versions: '1-3',
  flexible: '2+',
  request: {
    ownerPrincipalType: string('3+', { nullable: '3+' }),
    ownerPrincipalName: string('3+', { nullable: '3+' }),
    renewers: array('0+', {
      principalType: string('0+'),
      principalName: string('0+'),
    }),
    maxLifetimeMs: int64('0+'),
  },
  response: {
    errorCode: int16('0+'),
    principalType: string('0+'),
    principalName: string('0+'),
    tokenRequesterPrincipalType: string('3+'),
    tokenRequesterPrincipalName: string('3+'),
    issueTimestampMs: int64('0+'),
    expiryTimestampMs: int64('0+'),
    maxTimestampMs: int64('0+'),
    tokenId: string('0+'),
    hmac: bytes('0+'),
    throttleTimeMs: int32('0+'),
  },
});

export type CreateDelegationTokenRequest = Infer<typeof createDelegationTokenApi.request>;
export type CreateDelegationTokenRequestInput = Input<typeof createDelegationTokenApi.request>;
export type CreateDelegationTokenResponse = Infer<typeof createDelegationTokenApi.response>;
export type CreateDelegationTokenResponseInput = Input<typeof createDelegationTokenApi.response>;
