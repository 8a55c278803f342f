/**
 * What does a cluster say of a group: its state, who holds what, what is committed? Asks the coordinator, whoever it is
 * by now, through the APIs of both protocols; throws while there is none, so that it is used inside `until`.
 */
import { offsetFetchApi } from '../../src/wire/messages/09-offset-fetch.ts';
import { findCoordinatorApi } from '../../src/wire/messages/10-find-coordinator.ts';
import { describeGroupsApi } from '../../src/wire/messages/15-describe-groups.ts';
import { consumerGroupDescribeApi } from '../../src/wire/messages/69-consumer-group-describe.ts';
import { consumerProtocolAssignment, decodeConsumerProtocol } from '../../src/wire/records/consumer-protocol.ts';
import { WireClient } from './wire-client.ts';

export interface DescribedMember {
  readonly memberId: string;
  readonly clientId: string;
  /** `topic:partition`, sorted. */
  readonly places: readonly string[];
}

export interface DescribedGroup {
  readonly state: string;
  readonly protocol: 'classic' | 'consumer';
  readonly members: readonly DescribedMember[];
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const groupIdNotFound = 69;
const stateStable = 'Stable';

const placesOf = (topics: readonly { topic: string; partitions: readonly number[] }[]): string[] =>
  topics.flatMap(({ topic, partitions }) => partitions.map((partition) => `${topic}:${partition}`)).sort();

export class GroupAdmin {
  readonly #addresses: () => readonly Address[];
  readonly #clients = new Map<string, Promise<WireClient>>();

  /** `addresses` of the brokers to ask, as they are by now. */
  constructor(addresses: () => readonly Address[]) {
    this.#addresses = addresses;
  }

  async coordinatorOf(group: string): Promise<{ id: number; host: string; port: number }> {
    let last: unknown = new Error('no broker known');
    for (const address of this.#addresses())
      try {
        const client = await this.#clientOf(address);
        const { coordinators } = await client.ask(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: [group] });
        const [found] = coordinators;
        if (found?.errorCode === 0) return { id: found.nodeId, host: found.host, port: found.port };
        last = new Error(`FindCoordinator ${group}: error ${found?.errorCode}`);
      } catch (error) {
        last = error;
      }
    throw last;
  }

  async describe(group: string): Promise<DescribedGroup> {
    const client = await this.#clientOf(await this.coordinatorOf(group));
    const [found] = (await client.ask(consumerGroupDescribeApi, 1, { groupIds: [group] })).groups;
    if (found?.errorCode === 0)
      return {
        state: found.groupState,
        protocol: 'consumer',
        members: found.members.map(({ memberId, clientId, assignment }) => ({
          memberId,
          clientId,
          places: placesOf(
            assignment.topicPartitions.map(({ topicName, partitions }) => ({ topic: topicName, partitions })),
          ),
        })),
      };
    if (found?.errorCode !== groupIdNotFound)
      throw new Error(`ConsumerGroupDescribe ${group}: error ${found?.errorCode}`);
    const [classic] = (await client.ask(describeGroupsApi, 5, { groups: [group] })).groups;
    if (classic?.errorCode !== 0) throw new Error(`DescribeGroups ${group}: error ${classic?.errorCode}`);
    return {
      state: classic.groupState,
      protocol: 'classic',
      members: classic.members.map(({ memberId, clientId, memberAssignment }) => {
        const { length } = memberAssignment;
        const assigned =
          length === 0
            ? []
            : decodeConsumerProtocol(consumerProtocolAssignment, memberAssignment).value.assignedPartitions;
        return { memberId, clientId, places: placesOf(assigned) };
      }),
    };
  }

  /** Who holds what, by client id; throws unless the group is stable. */
  async assignment(group: string): Promise<Map<string, readonly string[]>> {
    const { state, members } = await this.describe(group);
    if (state !== stateStable) throw new Error(`${group} is ${state}`);
    return new Map(members.map(({ clientId, places }) => [clientId, places]));
  }

  /** Committed offset by `topic:partition`, of all partitions that have one. */
  async committed(group: string): Promise<Map<string, number>> {
    const client = await this.#clientOf(await this.coordinatorOf(group));
    const [answer] = (await client.ask(offsetFetchApi, 9, { groups: [{ groupId: group, topics: null }] })).groups;
    if (answer?.errorCode !== 0) throw new Error(`OffsetFetch ${group}: error ${answer?.errorCode}`);
    return new Map(
      answer.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, committedOffset }) => [`${name}:${partitionIndex}`, Number(committedOffset)]),
      ),
    );
  }

  close(): void {
    for (const opening of this.#clients.values())
      opening.then(
        (client) => client.close(),
        () => {},
      );
    this.#clients.clear();
  }

  async #clientOf(address: Address): Promise<WireClient> {
    const key = `${address.host}:${address.port}`;
    const known = await this.#clients.get(key)?.catch(() => null);
    if (known && !known.isClosed) return known;
    const opening = WireClient.open(address);
    this.#clients.set(key, opening);
    return await opening;
  }
}
