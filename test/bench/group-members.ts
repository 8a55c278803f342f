/**
 * Members of large groups, as cheap as they can be: no fetching, no threads, only what the group protocols ask of a
 * client. Many of them share this process, each with a connection of its own to the coordinator, as real ones have.
 */
import { findCoordinatorApi } from '../../src/wire/messages/10-find-coordinator.ts';
import { joinGroupApi } from '../../src/wire/messages/11-join-group.ts';
import { heartbeatApi } from '../../src/wire/messages/12-heartbeat.ts';
import { syncGroupApi } from '../../src/wire/messages/14-sync-group.ts';
import { consumerGroupHeartbeatApi } from '../../src/wire/messages/68-consumer-group-heartbeat.ts';
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  encodeConsumerProtocol,
} from '../../src/wire/records/consumer-protocol.ts';
import { sleepMs } from '../support/raw-cluster.ts';
import { WireClient } from '../support/wire-client.ts';

/** Long enough that nothing but what is measured happens to a group. */
const sessionTimeoutMs = 300_000;
const memberIdRequired = 79;
const rebalanceInProgress = 27;
const none = 0;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The coordinators of some groups, in their order; waits until each has one. */
export async function coordinatorsOf(broker: Address, groups: readonly string[]): Promise<Address[]> {
  const client = await WireClient.open(broker);
  try {
    const found = new Map<string, Address>();
    for (let left = [...groups]; left.length > 0; ) {
      const asked = left.slice(0, 500);
      const { coordinators } = await client.ask(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: asked });
      for (const { key, errorCode, host, port } of coordinators) if (errorCode === none) found.set(key, { host, port });
      const before = left.length;
      left = left.filter((group) => !found.has(group));
      // The topic of the groups is made by the first question.
      if (left.length === before) await sleepMs(50);
    }
    return groups.map((group) => found.get(group) ?? broker);
  } finally {
    client.close();
  }
}

export class ClassicMember {
  readonly group: string;
  readonly #client: WireClient;
  readonly #metadata: Buffer;
  memberId = '';
  generation = -1;
  /** The generation in which it has its assignment; null while it has none. */
  syncedGeneration: number | null = null;

  constructor(group: string, client: WireClient, topic: string) {
    this.group = group;
    this.#client = client;
    this.#metadata = encodeConsumerProtocol(consumerProtocolSubscription, 3, { topics: [topic] });
  }

  /** The member ids of the group, where this member has to assign; null for followers. */
  async join(): Promise<string[] | null> {
    this.syncedGeneration = null;
    const ask = () =>
      this.#client.ask(joinGroupApi, 9, {
        ...{ groupId: this.group, sessionTimeoutMs, rebalanceTimeoutMs: sessionTimeoutMs, memberId: this.memberId },
        protocolType: 'consumer',
        protocols: [{ name: 'dealt', metadata: this.#metadata }],
      });
    let joined = await ask();
    if (joined.errorCode === memberIdRequired) {
      this.memberId = joined.memberId;
      joined = await ask();
    }
    if (joined.errorCode !== none) throw new Error(`JoinGroup ${this.group}: error ${joined.errorCode}`);
    this.generation = joined.generationId;
    return joined.leader === this.memberId ? joined.members.map(({ memberId }) => memberId) : null;
  }

  /** False when the group is being joined again already. */
  async sync(assignments: readonly { memberId: string; assignment: Buffer }[]): Promise<boolean> {
    const { errorCode } = await this.#client.ask(syncGroupApi, 5, {
      ...{ groupId: this.group, generationId: this.generation, memberId: this.memberId },
      ...{ protocolType: 'consumer', protocolName: 'dealt', assignments: [...assignments] },
    });
    if (errorCode !== none && errorCode !== rebalanceInProgress)
      throw new Error(`SyncGroup ${this.group}: error ${errorCode}`);
    if (errorCode === none) this.syncedGeneration = this.generation;
    return errorCode === none;
  }

  /** False when the group is to be joined again. */
  async heartbeat(): Promise<boolean> {
    const { group: groupId, generation: generationId, memberId } = this;
    const { errorCode } = await this.#client.ask(heartbeatApi, 4, { groupId, generationId, memberId });
    if (errorCode !== none && errorCode !== rebalanceInProgress)
      throw new Error(`Heartbeat ${this.group}: error ${errorCode}`);
    return errorCode === none;
  }

  close(): void {
    this.#client.close();
  }
}

/** `partitions` of `topic` in turn to each of the members. */
export function deal(
  memberIds: readonly string[],
  topic: string,
  partitions: number,
): { memberId: string; assignment: Buffer }[] {
  return memberIds.map((memberId, index) => {
    const own: number[] = [];
    for (let partition = index; partition < partitions; partition += memberIds.length) own.push(partition);
    const assignedPartitions = own.length === 0 ? [] : [{ topic, partitions: own }];
    return { memberId, assignment: encodeConsumerProtocol(consumerProtocolAssignment, 0, { assignedPartitions }) };
  });
}

export class ConsumerMember {
  readonly #group: string;
  readonly #client: WireClient;
  readonly #topic: string;
  readonly #memberId: string;
  epoch = 0;
  owned: readonly { topicId: string; partitions: readonly number[] }[] = [];
  #isToAcknowledge = true;

  constructor(group: string, client: WireClient, topic: string, memberId: string) {
    this.#group = group;
    this.#client = client;
    this.#topic = topic;
    this.#memberId = memberId;
  }

  get partitions(): number {
    return this.owned.reduce((sum, { partitions }) => sum + partitions.length, 0);
  }

  async heartbeat(): Promise<void> {
    const isJoining = this.epoch === 0;
    const { errorCode, memberEpoch, assignment } = await this.#client.ask(consumerGroupHeartbeatApi, 1, {
      ...{ groupId: this.#group, memberId: this.#memberId, memberEpoch: this.epoch },
      rebalanceTimeoutMs: isJoining ? sessionTimeoutMs : -1,
      subscribedTopicNames: isJoining ? [this.#topic] : null,
      topicPartitions: this.#isToAcknowledge ? [...this.owned] : null,
    });
    if (errorCode !== none) throw new Error(`ConsumerGroupHeartbeat ${this.#group}: error ${errorCode}`);
    this.epoch = memberEpoch;
    this.#isToAcknowledge = assignment !== null;
    if (assignment !== null) this.owned = assignment.topicPartitions;
  }

  async leave(): Promise<void> {
    const body = { groupId: this.#group, memberId: this.#memberId, memberEpoch: -1 };
    const { errorCode } = await this.#client.ask(consumerGroupHeartbeatApi, 1, body);
    if (errorCode !== none) throw new Error(`leaving ${this.#group}: error ${errorCode}`);
    this.epoch = 0;
    this.owned = [];
    this.#isToAcknowledge = true;
  }

  close(): void {
    this.#client.close();
  }
}
