/** DescribeUserScramCredentials (KIP-554). */
import { api } from '../api.ts';
import { array, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const describeUserScramCredentialsApi = api({
  key: 50,
  name: 'DescribeUserScramCredentials',
  versions: '0',
  flexible: '0+',
  request: {
    users: array(
      '0+',
      {
        name: string('0+'),
      },
      { nullable: '0+' },
    ),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    results: array('0+', {
      user: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      credentialInfos: array('0+', {
        mechanism: int8('0+'),
        iterations: int32('0+'),
      }),
    }),
  },
});

export type DescribeUserScramCredentialsRequest = Infer<typeof describeUserScramCredentialsApi.request>;
export type DescribeUserScramCredentialsRequestInput = Input<typeof describeUserScramCredentialsApi.request>;
export type DescribeUserScramCredentialsResponse = Infer<typeof describeUserScramCredentialsApi.response>;
export type DescribeUserScramCredentialsResponseInput = Input<typeof describeUserScramCredentialsApi.response>;
