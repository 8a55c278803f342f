/** What API handlers may use of the broker. Handlers translate wire to domain and back; they decide nothing. */

import type { AdminAnswer, AdminCommand } from '../controller/control-messages.ts';
import type { Clock, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { BrokerId, ProducerId, Revision } from '../model/brands.ts';
import type { ClusterImage } from '../model/cluster-image.ts';
import type { BrokerConfig } from '../model/config/broker-config.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import type { Api } from '../wire/api.ts';
import type { Decoded, Fields, Given } from '../wire/field.ts';
import type { AnswerMemory } from './answer-memory.ts';
import type { GroupCoordinators } from './coordinators/group-coordinators.ts';
import type { FetchSessions } from './fetch-sessions.ts';
import type { MetadataWatch } from './metadata-watch.ts';

export interface BrokerServices {
  readonly localId: BrokerId;
  readonly clusterId: string;
  readonly config: BrokerConfig;
  readonly replicas: ReplicaManager;
  readonly metadata: MetadataWatch;
  readonly fetchSessions: FetchSessions;
  readonly answerMemory: AnswerMemory;
  readonly groups: GroupCoordinators;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** The newest applied metadata; ask again after each await. */
  image(): ClusterImage;
  /** Carried out by the controller, wherever it is. Never rejects: no answer in time is a refusal. */
  admin(command: AdminCommand, timeoutMs: number): Promise<AdminAnswer>;
  /** Whether this broker's image reached the revision in time. */
  waitForRevision(revision: Revision, timeoutMs: number): Promise<boolean>;
  nextProducerId(): Promise<ProducerId>;
}

export interface RequestContext {
  readonly version: number;
  readonly clientId: string | null;
  /** Where it connects from, as Kafka shows it: `/127.0.0.1`. */
  readonly clientHost: string;
  /** The listener's name: answers name the brokers' endpoints on the same one. */
  readonly listener: string;
  /** Runs when the client's connection closes before the answer is given, or soon where it has; returns how to take that back. */
  onDisconnect(callback: () => void): () => void;
  /**
   * Runs once, when the handler has ended and the last byte of its answer has left or never will: memory that the answer
   * lies in can be used again.
   */
  onAnswerGone(callback: () => void): void;
}

/** noAnswer: acks=0 · closeConnection: an error that has no answer. */
export const noAnswer = Symbol('no answer');
export const closeConnection = Symbol('close connection');
export type Answer<Response extends Fields> = Given<Response> | typeof noAnswer | typeof closeConnection;

/** One Kafka API as this broker serves it. */
export interface ServedApi {
  readonly api: Api;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** What ApiVersions says where it differs from what is served (KAFKA-18659). */
  readonly advertisedMinVersion: number;
  /** May begin before earlier requests of the connection are answered; answers leave in order all the same. */
  readonly isPipelined: boolean;
  handle(services: BrokerServices, request: unknown, context: RequestContext): Promise<Answer<Fields>> | Answer<Fields>;
}

interface ServeOptions {
  readonly isPipelined?: boolean;
  readonly advertisedMinVersion?: number;
}

/** Ties a handler to the description of its API; the whole range of the description is served. */
export function serve<Request extends Fields, Response extends Fields>(
  api: Api<Request, Response>,
  handle: (
    services: BrokerServices,
    request: Decoded<Request>,
    context: RequestContext,
  ) => Promise<Answer<Response>> | Answer<Response>,
  options: ServeOptions = {},
): ServedApi {
  const { lowest, highest } = api.versions;
  return {
    api: api as unknown as Api,
    minVersion: lowest,
    maxVersion: highest,
    advertisedMinVersion: options.advertisedMinVersion ?? lowest,
    isPipelined: options.isPipelined ?? false,
    handle: handle as unknown as ServedApi['handle'],
  };
}
