/**
 * Membership by the wire alone, of either protocol: it joins, tells what it owns and in which generation, and keeps
 * itself alive. What a member may still do is asked of `owned` each time; it changes when the coordinator says so.
 */
import { randomUUID } from 'node:crypto';
import { errorCodes } from '../../../src/wire/error-codes.ts';
import { metadataApi } from '../../../src/wire/messages/03-metadata.ts';
import { joinGroupApi } from '../../../src/wire/messages/11-join-group.ts';
import { heartbeatApi } from '../../../src/wire/messages/12-heartbeat.ts';
import { leaveGroupApi } from '../../../src/wire/messages/13-leave-group.ts';
import { syncGroupApi } from '../../../src/wire/messages/14-sync-group.ts';
import { consumerGroupHeartbeatApi } from '../../../src/wire/messages/68-consumer-group-heartbeat.ts';
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  decodeConsumerProtocol,
  encodeConsumerProtocol,
} from '../../../src/wire/records/consumer-protocol.ts';
import type { CoordinatorClient } from './coordinator-client.ts';
import type { Place } from './report.ts';

const rebalanceTimeoutMs = 60_000;

export interface Owned {
  readonly memberId: string;
  /** Generation, or member epoch. */
  readonly generation: number;
  readonly places: readonly Place[];
}

export interface Membership {
  /** What is owned now; null while joining. */
  readonly owned: Owned | null;
  /** Until `leave`. Calls back whenever what is owned has changed; in generation -1 it is nothing. */
  run(onOwned: (owned: Owned) => void): Promise<void>;
  leave(): Promise<void>;
}

export interface MembershipOptions {
  readonly group: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
}

const keysOf = (places: readonly Place[]): string =>
  places
    .map(({ topic, partition }) => `${topic}:${partition}`)
    .sort()
    .join();

/** A wait that `leave` ends. */
class Pause {
  #end: () => void = () => {};
  isOver = false;

  async for(ms: number): Promise<void> {
    if (this.isOver) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  end(): void {
    this.isOver = true;
    this.#end();
  }
}

export class ClassicMembership implements Membership {
  readonly #options: MembershipOptions;
  readonly #coordinator: CoordinatorClient;
  readonly #partitionsOf: (topic: string) => Promise<number>;
  readonly #pause = new Pause();
  #memberId = '';
  owned: Owned | null = null;

  constructor(
    options: MembershipOptions,
    coordinator: CoordinatorClient,
    partitionsOf: (topic: string) => Promise<number>,
  ) {
    this.#options = options;
    this.#coordinator = coordinator;
    this.#partitionsOf = partitionsOf;
  }

  async run(onOwned: (owned: Owned) => void): Promise<void> {
    while (!this.#pause.isOver) {
      this.owned = await this.#join();
      if (this.owned !== null) {
        onOwned(this.owned);
        await this.#beat(this.owned.generation);
        onOwned({ ...this.owned, generation: -1, places: [] });
      }
      this.owned = null;
    }
  }

  async leave(): Promise<void> {
    this.#pause.end();
    const { group } = this.#options;
    const members = [{ memberId: this.#memberId }];
    await this.#coordinator.ask(leaveGroupApi, 5, { groupId: group, members }, ({ errorCode }) => errorCode);
  }

  /** Null when it has to be tried again. */
  async #join(): Promise<Owned | null> {
    const { group: groupId, topics, sessionTimeoutMs } = this.#options;
    const metadata = encodeConsumerProtocol(consumerProtocolSubscription, 3, { topics: [...topics] });
    const joined = await this.#coordinator.ask(
      joinGroupApi,
      9,
      {
        ...{ groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId: this.#memberId },
        protocolType: 'consumer',
        protocols: [{ name: 'dealt', metadata }],
      },
      ({ errorCode }) => errorCode,
    );
    if (joined.errorCode === errorCodes.UNKNOWN_MEMBER_ID) this.#memberId = '';
    else if (joined.memberId !== '') this.#memberId = joined.memberId;
    if (joined.errorCode !== errorCodes.NONE) return null;
    const { generationId, leader, members } = joined;
    const assignments = leader === this.#memberId ? await this.#deal(members.map(({ memberId }) => memberId)) : [];
    const synced = await this.#coordinator.ask(
      syncGroupApi,
      5,
      {
        ...{ groupId, generationId, memberId: this.#memberId, assignments },
        ...{ protocolType: 'consumer', protocolName: 'dealt' },
      },
      ({ errorCode }) => errorCode,
    );
    if (synced.errorCode === errorCodes.UNKNOWN_MEMBER_ID) this.#memberId = '';
    if (synced.errorCode !== errorCodes.NONE) return null;
    const { assignedPartitions } = decodeConsumerProtocol(consumerProtocolAssignment, synced.assignment).value;
    const places = assignedPartitions.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    );
    return { memberId: this.#memberId, generation: generationId, places };
  }

  /** Partitions in turn, as cards are dealt. */
  async #deal(memberIds: readonly string[]): Promise<{ memberId: string; assignment: Buffer }[]> {
    const hands = memberIds.toSorted().map((memberId) => ({ memberId, places: [] as Place[] }));
    let turn = 0;
    for (const topic of this.#options.topics)
      for (let partition = 0, count = await this.#partitionsOf(topic); partition < count; partition++)
        hands[turn++ % hands.length]?.places.push({ topic, partition });
    return hands.map(({ memberId, places }) => {
      const assignedPartitions = [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, all]) => ({
        topic,
        partitions: all.map(({ partition }) => partition),
      }));
      return { memberId, assignment: encodeConsumerProtocol(consumerProtocolAssignment, 0, { assignedPartitions }) };
    });
  }

  /** Until the group is to be joined again. */
  async #beat(generationId: number): Promise<void> {
    const { group: groupId, sessionTimeoutMs } = this.#options;
    for (;;) {
      await this.#pause.for(sessionTimeoutMs / 10);
      if (this.#pause.isOver) return;
      const body = { groupId, generationId, memberId: this.#memberId };
      const { errorCode } = await this.#coordinator.ask(heartbeatApi, 4, body, (answer) => answer.errorCode);
      if (errorCode === errorCodes.UNKNOWN_MEMBER_ID) this.#memberId = '';
      if (errorCode !== errorCodes.NONE) return;
    }
  }
}

export class NewMembership implements Membership {
  readonly #options: MembershipOptions;
  readonly #coordinator: CoordinatorClient;
  readonly #pause = new Pause();
  readonly #memberId = randomUUID();
  readonly #names = new Map<string, string>();
  #memberEpoch = 0;
  owned: Owned | null = null;

  constructor(options: MembershipOptions, coordinator: CoordinatorClient) {
    this.#options = options;
    this.#coordinator = coordinator;
  }

  async run(onOwned: (owned: Owned) => void): Promise<void> {
    const { group: groupId, topics } = this.#options;
    let holding: { topicId: string; partitions: readonly number[] }[] = [];
    while (!this.#pause.isOver) {
      const answer = await this.#coordinator.ask(
        consumerGroupHeartbeatApi,
        1,
        {
          ...{ groupId, memberId: this.#memberId, memberEpoch: this.#memberEpoch, rebalanceTimeoutMs },
          subscribedTopicNames: [...topics],
          topicPartitions: holding,
        },
        ({ errorCode }) => errorCode,
      );
      if (answer.errorCode !== errorCodes.NONE) {
        this.#memberEpoch = 0;
        this.owned = null;
        holding = [];
        onOwned({ memberId: this.#memberId, generation: -1, places: [] });
        continue;
      }
      this.#memberEpoch = answer.memberEpoch;
      const before = this.owned;
      // A whole request is answered with the assignment whether it is new or not; a short one may miss a lost answer.
      if (answer.assignment !== null)
        holding = answer.assignment.topicPartitions.map(({ topicId, partitions }) => ({ topicId, partitions }));
      const places: Place[] = [];
      for (const { topicId, partitions } of holding) {
        const topic = await this.#nameOf(topicId);
        for (const partition of partitions) places.push({ topic, partition });
      }
      this.owned = { memberId: this.#memberId, generation: answer.memberEpoch, places };
      const isNew = before === null || keysOf(before.places) !== keysOf(places);
      if (isNew) onOwned(this.owned);
      // A changed assignment is acknowledged at once: what was given up is then free for its next owner.
      else await this.#pause.for(answer.heartbeatIntervalMs);
    }
  }

  async leave(): Promise<void> {
    this.#pause.end();
    const body = { groupId: this.#options.group, memberId: this.#memberId, memberEpoch: -1 };
    await this.#coordinator.ask(consumerGroupHeartbeatApi, 1, body, ({ errorCode }) => errorCode);
  }

  async #nameOf(topicId: string): Promise<string> {
    const known = this.#names.get(topicId);
    if (known !== undefined) return known;
    const asked = this.#options.topics.map((name) => ({ name }));
    const { topics } = await this.#coordinator.ask(metadataApi, 12, { topics: asked }, () => 0);
    for (const topic of topics) if (topic.name !== null) this.#names.set(topic.topicId, topic.name);
    return this.#names.get(topicId) ?? topicId;
  }
}
