/** What is a Kafka API? A key, the versions Kafka 4.2 serves, and the descriptions of its request and response. */
import type { Fields } from './field.ts';
import { type Message, message } from './message.ts';
import { inRange, parseVersionRange, type VersionRange } from './version-range.ts';

export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly key: number;
  /** Kafka's name: `Fetch`. */
  readonly name: string;
  /** What a Kafka 4.2 broker serves; the descriptions may know more versions than these. */
  readonly versions: VersionRange;
  readonly request: Message<Request>;
  readonly response: Message<Response>;
}

export interface ApiDescription<Request extends Fields, Response extends Fields> {
  readonly key: number;
  readonly name: string;
  /** What a Kafka 4.2 broker serves. */
  readonly versions: string;
  /** Versions described, where they are more than are served: unstable ones, and those of the next release. */
  readonly described?: string;
  readonly flexible: string;
  readonly request: Request;
  readonly response: Response;
}

export function api<Request extends Fields, Response extends Fields>(
  description: ApiDescription<Request, Response>,
): Api<Request, Response> {
  const { key, name, flexible } = description;
  const range = { versions: description.described ?? description.versions, flexible };
  return {
    key,
    name,
    versions: parseVersionRange(description.versions),
    request: message(`${name}Request`, range, description.request),
    response: message(`${name}Response`, range, description.response),
  };
}

const apiVersionsKey = 18;

/** Request headers: v2 (with tags) in flexible versions, v1 otherwise; v0 had no client id (ControlledShutdown v0 only). */
export function requestHeaderVersion(of: Api, version: number): 1 | 2 {
  return inRange(of.request.flexible, version) ? 2 : 1;
}

/**
 * Response headers: v1 (with tags) in flexible versions, v0 otherwise. ApiVersions answers with v0 always, because a
 * client that asked for too high a version must be able to read the answer (KIP-511).
 */
export function responseHeaderVersion(of: Api, version: number): 0 | 1 {
  return of.key !== apiVersionsKey && inRange(of.response.flexible, version) ? 1 : 0;
}
