/** What API handlers are given, over the replicas of broker 1. Requests and answers pass through their bytes. */
import assert from 'node:assert/strict';
import { AnswerMemory } from '../../../src/broker/answer-memory.ts';
import { BufferPool } from '../../../src/broker/buffer-pool.ts';
import { GroupCoordinators } from '../../../src/broker/coordinators/group-coordinators.ts';
import { FetchSessions } from '../../../src/broker/fetch-sessions.ts';
import { MetadataWatch } from '../../../src/broker/metadata-watch.ts';
import type { BrokerServices, ServedApi } from '../../../src/broker/services.ts';
import type { AdminCommand } from '../../../src/controller/control-messages.ts';
import { defaultGroupOptions } from '../../../src/coordinator/group-options.ts';
import { silentLogger } from '../../../src/env/logger.ts';
import { loadBrokerConfig } from '../../../src/model/config/broker-config.ts';
import type { Api } from '../../../src/wire/api.ts';
import type { Decoded, Fields, Given } from '../../../src/wire/field.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/wire/request-response.ts';
import { ordersId } from '../../support/log-harness.ts';
import { clusterId, type ManagerUnderTest } from '../replication/manager-fixture.ts';
import { b1 } from '../replication/partition-fixture.ts';

const sizeBytes = 4;

export class ServicesUnderTest {
  readonly services: BrokerServices;
  /** What the controller was asked for; it does everything. */
  readonly commands: AdminCommand[] = [];

  constructor({ manager, image, time }: ManagerUnderTest) {
    const random = { next: () => 0.5, bytes: (length: number) => Buffer.alloc(length, 1) };
    this.services = {
      localId: b1,
      clusterId,
      config: loadBrokerConfig({}),
      replicas: manager,
      metadata: new MetadataWatch({ timers: time }),
      answerMemory: new AnswerMemory(1 << 28, new BufferPool(1 << 25)),
      fetchSessions: new FetchSessions({ slots: 10 }, { random }),
      groups: new GroupCoordinators(
        { localId: b1, groups: defaultGroupOptions, commitTimeoutMs: 5000 },
        { clock: time, timers: time, random, logger: silentLogger, image: () => image, isStreamBroken: () => false },
      ),
      clock: time,
      timers: time,
      logger: silentLogger,
      image: () => image,
      admin: async (command) => {
        this.commands.push(command);
        const done = { fault: null, topicId: ordersId, partitions: 1, replicationFactor: 1 };
        const items = 'topics' in command ? command.topics.length : 0;
        return { kind: 'done', revision: image.revision, results: Array.from({ length: items }, () => done) };
      },
      waitForRevision: async () => true,
      nextProducerId: () => assert.fail('nobody asks for producer ids'),
    };
  }

  async ask<Request extends Fields, Response extends Fields>(
    served: ServedApi,
    api: Api<Request, Response>,
    version: number,
    body: Given<Request>,
  ): Promise<Decoded<Response>> {
    const header = { correlationId: 1, clientId: null };
    const frame = Buffer.concat(encodeRequest(api, version, header, body).chunks).subarray(sizeBytes);
    const request = decodeRequest(api, version, frame, decodeRequestHeader(frame).bodyPosition ?? 0);
    const onGone: (() => void)[] = [];
    const context = {
      version,
      clientId: null,
      clientHost: '/127.0.0.1',
      listener: 'PLAINTEXT',
      onDisconnect: () => () => undefined,
      onAnswerGone: (callback: () => void) => onGone.push(callback),
    };
    const answer = await served.handle(this.services, request, context);
    assert.ok(typeof answer === 'object', 'there is an answer');
    const { chunks } = encodeResponse(api, version, 1, answer as Given<Response>);
    const bytes = Buffer.concat(chunks);
    for (const callback of onGone) callback();
    return decodeResponse(api, version, bytes.subarray(sizeBytes)).body;
  }
}
