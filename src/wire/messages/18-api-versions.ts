/**
 * ApiVersions: which APIs and versions a broker serves; the response header is v0 in all versions (KIP-511).
 * v3 client software name and version (KIP-511), features as tags (KIP-584) · v4 features whose minimum is 0 (KAFKA-17011).
 */
import { api } from '../api.ts';
import { array, bool, int16, int32, int64, string } from '../field.ts';
import type { Infer, Input } from '../message.ts';

export const apiVersionsApi = api({
  key: 18,
  name: 'ApiVersions',
  versions: '0-4',
  flexible: '3+',
  request: {
    clientSoftwareName: string('3+'),
    clientSoftwareVersion: string('3+'),
  },
  response: {
    errorCode: int16('0+'),
    apiKeys: array('0+', {
      apiKey: int16('0+'),
      minVersion: int16('0+'),
      maxVersion: int16('0+'),
    }),
    throttleTimeMs: int32('1+'),
    supportedFeatures: array(
      '3+',
      {
        name: string('3+'),
        minVersion: int16('3+'),
        maxVersion: int16('3+'),
      },
      { tag: 0 },
    ),
    finalizedFeaturesEpoch: int64('3+', { tag: 1, default: -1n }),
    finalizedFeatures: array(
      '3+',
      {
        name: string('3+'),
        maxVersionLevel: int16('3+'),
        minVersionLevel: int16('3+'),
      },
      { tag: 2 },
    ),
    zkMigrationReady: bool('3+', { tag: 3 }),
  },
});

export type ApiVersionsRequest = Infer<typeof apiVersionsApi.request>;
export type ApiVersionsRequestInput = Input<typeof apiVersionsApi.request>;
export type ApiVersionsResponse = Infer<typeof apiVersionsApi.response>;
export type ApiVersionsResponseInput = Input<typeof apiVersionsApi.response>;
