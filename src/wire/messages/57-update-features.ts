/**
 * UpdateFeatures (KIP-584).
 * v1 validate only and upgrade types (KIP-778) · v2 one error for all (KIP-1022).
 */
import { api } from '../api.ts';
import { array, bool, int8, int16, int32, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const updateFeaturesApi = api({
  key: 57,
  name: 'UpdateFeatures',
  versions: '0-2',
  flexible: '0+',
  request: {
    timeoutMs: int32('0+', { default: 60000 }),
    featureUpdates: array('0+', {
      feature: string('0+'),
      maxVersionLevel: int16('0+'),
      allowDowngrade: bool('0'),
      upgradeType: int8('1+', { default: 1 }),
    }),
    validateOnly: bool('1+'),
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    results: array('0-1', {
      feature: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
});

export type UpdateFeaturesRequest = Infer<typeof updateFeaturesApi.request>;
export type UpdateFeaturesRequestInput = Input<typeof updateFeaturesApi.request>;
export type UpdateFeaturesResponse = Infer<typeof updateFeaturesApi.response>;
export type UpdateFeaturesResponseInput = Input<typeof updateFeaturesApi.response>;
