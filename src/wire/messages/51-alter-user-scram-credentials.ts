/** AlterUserScramCredentials (KIP-554). */
import { api } from '../api.ts';
import { array, bytes, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const alterUserScramCredentialsApi = api({
  key: 51,
  name: 'AlterUserScramCredentials',
  versions: '0',
  flexible: '0+',
  request: {
    deletions: array('0+', {
      name: string('0+'),
      mechanism: int8('0+'),
    }),
    upsertions: array('0+', {
      name: string('0+'),
      mechanism: int8('0+'),
      iterations: int32('0+'),
      salt: bytes('0+'),
      saltedPassword: bytes('0+'),
    }),
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      user: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
});

export type AlterUserScramCredentialsRequest = Infer<typeof alterUserScramCredentialsApi.request>;
export type AlterUserScramCredentialsRequestInput = Input<typeof alterUserScramCredentialsApi.request>;
export type AlterUserScramCredentialsResponse = Infer<typeof alterUserScramCredentialsApi.response>;
export type AlterUserScramCredentialsResponseInput = Input<typeof alterUserScramCredentialsApi.response>;
