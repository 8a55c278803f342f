/**
 * ApiVersions 0–4: what this broker serves. KIP-511 (3: software name; an unknown version is answered in version 0 with
 * error 35, see `connection.ts`), KIP-584 (3: features).
 */
import type { ApiVersionsResponseInput } from '../../wire/messages/18-api-versions.ts';
import { apiVersionsApi } from '../../wire/messages/18-api-versions.ts';
import { errorCodeOf } from '../kafka-errors.ts';
import { type ServedApi, serve } from '../services.ts';

const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;

/** `served` is asked at each call: the table of APIs holds this one too. */
export const apiVersions = (served: () => Iterable<ServedApi>): ServedApi =>
  serve(apiVersionsApi, (_services, request, { version }) => {
    if (
      version >= 3 &&
      !(softwareName.test(request.clientSoftwareName) && softwareName.test(request.clientSoftwareVersion))
    )
      return { errorCode: errorCodeOf({ code: 'INVALID_REQUEST', reason: '' }), apiKeys: [] };
    return {
      errorCode: 0,
      apiKeys: advertised(served()),
      // Older Java clients refuse a minimum of 0 (KAFKA-17492).
      supportedFeatures: features.filter(({ minVersion }) => version >= 4 || minVersion > 0),
      finalizedFeaturesEpoch: 0n,
      finalizedFeatures: features.map(({ name, maxVersion }) => ({
        name,
        maxVersionLevel: maxVersion,
        minVersionLevel: maxVersion,
      })),
    };
  });

/** What tools print; clients look at the API keys. 1: groups of the new protocol (KIP-848). */
const features = [{ name: 'group.version', minVersion: 0, maxVersion: 1 }];

const advertised = (served: Iterable<ServedApi>) =>
  [...served].map(({ api, advertisedMinVersion, maxVersion }) => ({
    apiKey: api.key,
    minVersion: advertisedMinVersion,
    maxVersion,
  }));

/** The answer to a version that is not served, in version 0: the one entry a client needs to try again. */
export const unsupportedApiVersions = (self: ServedApi): ApiVersionsResponseInput => ({
  errorCode: errorCodeOf({ code: 'UNSUPPORTED_VERSION', reason: '' }),
  apiKeys: advertised([self]),
});
