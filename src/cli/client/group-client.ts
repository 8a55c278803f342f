/**
 * How do the commands talk about consumer groups? Each group has a coordinator; requests go there, and again after a
 * moment while it is elsewhere or still reading what it coordinates.
 */
import * as kafka from '@platformatic/kafka';
import type { Clock, Timers } from '../../env/clock.ts';
import { formatAddress } from '../../env/network.ts';
import { pause } from '../../env/pause.ts';
import { CliError } from '../exit-code.ts';
import { type BrokerNode, errorName, type KafkaClient, reasonOf } from './kafka-client.ts';
import { type NamedPartition, perTopic } from './named-partition.ts';

export interface ListedGroup {
  readonly group: string;
  /** How its members agree: `classic`, `consumer` (KIP-848), or another one of newer brokers. */
  readonly type: string;
  /** `consumer`; what else shares the classic protocol names itself otherwise (`connect`). Empty without members ever. */
  readonly protocolType: string;
  readonly state: string;
  readonly coordinator: number;
}

export interface AssignedTopic {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface GroupMember {
  readonly memberId: string;
  /** group.instance.id of a static member. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly host: string;
  readonly assignment: readonly AssignedTopic[];
}

export interface DescribedGroup {
  readonly group: string;
  readonly type: 'classic' | 'consumer';
  readonly protocolType: string;
  readonly state: string;
  /** What divides the partitions; empty while nobody has agreed on it. */
  readonly assignor: string;
  /** The group epoch of KIP-848; the answer about a classic group does not have its generation. */
  readonly groupEpoch: number | null;
  readonly coordinator: { readonly id: number; readonly address: string };
  readonly members: readonly GroupMember[];
}

export interface CommittedOffset extends NamedPartition {
  readonly committedOffset: bigint;
}

/** Who commits: a member in its generation, or nobody, which only a group without members takes. */
export interface Committer {
  readonly memberId: string;
  readonly generationId: number;
}
export const noMember: Committer = { memberId: '', generationId: -1 };

export interface PartitionOutcome extends NamedPartition {
  readonly errorCode: number;
}

/** Kafka's errors that the commands tell apart. */
export const groupError = {
  unknownTopicOrPartition: 3,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  subscribedToTopic: 86,
} as const;

const groupKey = 0;
const unsupportedVersion = 35;
/** The coordinator is loading, not there, elsewhere; an offset waits for the end of a transaction. */
const passing: ReadonlySet<number> = new Set([14, 15, 16, 88]);
const retryMs = 100;
/** A cluster that was just started has coordinators only once the topic of the offsets is there. */
const patienceMs = 20_000;

export interface GroupModules {
  readonly client: Pick<KafkaClient, 'metadata' | 'request' | 'requestAny' | 'learnNode'>;
  readonly clock: Clock;
  readonly timers: Timers;
}

export class GroupClient {
  readonly #client: GroupModules['client'];
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #coordinators = new Map<string, BrokerNode>();

  constructor({ client, clock, timers }: GroupModules) {
    this.#client = client;
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Of every broker, by name. Brokers that did not answer are in `silent`, with the reason. */
  async listGroups(): Promise<{ groups: readonly ListedGroup[]; silent: readonly string[] }> {
    const { brokers } = await this.#client.metadata([]);
    const silent: string[] = [];
    const lists = brokers.map(async ({ nodeId }) => {
      try {
        const { groups } = await this.#persist(
          `broker ${nodeId}`,
          () => this.#client.request(nodeId, kafka.listGroupsV5.api, [], []),
          ({ errorCode }) => [errorCode],
        );
        return groups.map(({ groupId, groupType, protocolType, groupState }) => ({
          group: groupId,
          type: groupType,
          protocolType,
          state: groupState,
          coordinator: nodeId,
        }));
      } catch (error) {
        silent.push((error as Error).message);
        return [];
      }
    });
    const groups = (await Promise.all(lists)).flat();
    // While a coordinator moves two brokers may name the same group.
    const unique = new Map(groups.map((one) => [one.group, one]));
    return { groups: [...unique.values()].sort((a, b) => (a.group < b.group ? -1 : 1)), silent };
  }

  /** Null where there is no such group. */
  async describe(group: string): Promise<DescribedGroup | null> {
    return (await this.#describeConsumer(group)) ?? (await this.#describeClassic(group));
  }

  /** KIP-848. A classic group is answered GROUP_ID_NOT_FOUND here, just as one that is not there. */
  async #describeConsumer(group: string): Promise<DescribedGroup | null> {
    const [coordinator, answer] = await this.#askCoordinator(
      group,
      (nodeId) => this.#client.request(nodeId, kafka.consumerGroupDescribeV0.api, [group], false),
      ({ groups }) => groups.map(({ errorCode }) => errorCode),
    );
    const found = answer.groups[0];
    if (found === undefined || found.errorCode === groupError.groupIdNotFound) return null;
    // Brokers whose coordinator knows the classic protocol only.
    if (found.errorCode === unsupportedVersion) return null;
    if (found.errorCode !== 0) throw new CliError(`group ${group}: ${errorName(found.errorCode)}`);
    return {
      group,
      type: 'consumer',
      protocolType: 'consumer',
      state: found.groupState,
      assignor: found.assignorName,
      groupEpoch: found.groupEpoch,
      coordinator,
      members: found.members.map((member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId ?? null,
        clientId: member.clientId,
        host: shownHost(member.clientHost),
        assignment: member.assignment.topicPartitions.map(({ topicName, partitions }) => ({
          topic: topicName,
          partitions,
        })),
      })),
    };
  }

  async #describeClassic(group: string): Promise<DescribedGroup | null> {
    const [coordinator, answer] = await this.#askCoordinator(
      group,
      (nodeId) => this.#client.request(nodeId, kafka.describeGroupsV5.api, [group], false),
      ({ groups }) => groups.map(({ errorCode }) => errorCode),
    );
    const found = answer.groups[0];
    // Up to version 5 a group that is not there is a dead one.
    if (found === undefined || found.groupState === 'Dead' || found.errorCode === groupError.groupIdNotFound)
      return null;
    if (found.errorCode !== 0) throw new CliError(`group ${group}: ${errorName(found.errorCode)}`);
    return {
      group,
      type: 'classic',
      protocolType: found.protocolType,
      state: found.groupState,
      assignor: found.protocolData,
      groupEpoch: null,
      coordinator,
      members: found.members.map((member) => ({
        memberId: member.memberId,
        instanceId: member.groupInstanceId ?? null,
        clientId: member.clientId,
        host: shownHost(member.clientHost),
        // Only consumers describe their assignment in a way that is known here.
        assignment: found.protocolType === 'consumer' ? decodedAssignment(member.memberAssignment) : [],
      })),
    };
  }

  /** Every offset that the group has, or those of some partitions; partitions without one are left out. */
  async committedOffsets(
    group: string,
    options: { partitions?: readonly NamedPartition[]; requireStable: boolean } = { requireStable: false },
  ): Promise<CommittedOffset[]> {
    const topics =
      options.partitions === undefined
        ? null
        : perTopic(options.partitions, ({ partition }) => partition).map(({ name, partitions }) => ({
            name,
            partitionIndexes: partitions,
          }));
    const request = [{ groupId: group, memberId: null, memberEpoch: -1, topics }];
    const [, answer] = await this.#askCoordinator(
      group,
      (nodeId) => this.#client.request(nodeId, kafka.offsetFetchV9.api, request, options.requireStable),
      ({ groups }) =>
        groups.flatMap((one) => [
          one.errorCode,
          ...one.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
        ]),
    );
    const found = answer.groups[0];
    if (found === undefined || found.errorCode === groupError.groupIdNotFound) return [];
    if (found.errorCode !== 0) throw new CliError(`group ${group}: ${errorName(found.errorCode)}`);
    return found.topics.flatMap(({ name: topic, partitions }) =>
      partitions
        .filter(({ errorCode, committedOffset }) => errorCode === 0 && committedOffset >= 0n)
        .map(({ partitionIndex, committedOffset }) => ({ topic, partition: partitionIndex, committedOffset })),
    );
  }

  async commit(group: string, offsets: readonly CommittedOffset[], by: Committer): Promise<PartitionOutcome[]> {
    const topics = perTopic(offsets, ({ partition, committedOffset }) => ({
      partitionIndex: partition,
      committedOffset,
      committedLeaderEpoch: -1,
      committedMetadata: '',
    }));
    const [, answer] = await this.#askCoordinator(
      group,
      (nodeId) =>
        this.#client.request(nodeId, kafka.offsetCommitV9.api, group, by.generationId, by.memberId, null, topics),
      ({ topics: answers }) => answers.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
    );
    return outcomesOf(answer.topics);
  }

  /** The error of the group's deletion, 0 for none. */
  async delete(group: string): Promise<number> {
    const [, answer] = await this.#askCoordinator(
      group,
      (nodeId) => this.#client.request(nodeId, kafka.deleteGroupsV2.api, [group]),
      ({ results }) => results.map(({ errorCode }) => errorCode),
    );
    return answer.results[0]?.errorCode ?? -1;
  }

  /** Throws what is wrong with the group as a whole. */
  async deleteOffsets(group: string, partitions: readonly NamedPartition[]): Promise<PartitionOutcome[]> {
    const topics = perTopic(partitions, ({ partition }) => ({ partitionIndex: partition }));
    const [, answer] = await this.#askCoordinator(
      group,
      (nodeId) => this.#client.request(nodeId, kafka.offsetDeleteV0.api, group, topics),
      ({ errorCode }) => [errorCode],
    );
    if (answer.errorCode === groupError.groupIdNotFound) throw new CliError(noSuchGroup(group));
    if (answer.errorCode !== 0) throw new CliError(`group ${group}: ${errorName(answer.errorCode)}`);
    return outcomesOf(answer.topics);
  }

  /** The coordinator that answered, and what. */
  async #askCoordinator<Answer>(
    group: string,
    ask: (nodeId: number) => Promise<Answer>,
    errorsOf: (answer: Answer) => readonly number[],
  ): Promise<[{ id: number; address: string }, Answer]> {
    let node: BrokerNode = { nodeId: -1, host: '', port: 0, rack: null };
    const answer = await this.#persist(
      `group ${group}`,
      async () => {
        node = await this.#coordinatorOf(group);
        return ask(node.nodeId);
      },
      errorsOf,
      () => this.#coordinators.delete(group),
    );
    return [{ id: node.nodeId, address: formatAddress(node) }, answer];
  }

  async #coordinatorOf(group: string): Promise<BrokerNode> {
    const known = this.#coordinators.get(group);
    if (known !== undefined) return known;
    const { coordinators } = await this.#client.requestAny(kafka.findCoordinatorV6.api, groupKey, [group]);
    const found = coordinators[0];
    if (found === undefined) throw new Error('no coordinator is known');
    if (found.errorCode !== 0) {
      if (passing.has(found.errorCode)) throw new Error(errorName(found.errorCode));
      throw new CliError(`group ${group}: ${errorName(found.errorCode)}`);
    }
    const node = { nodeId: found.nodeId, host: found.host, port: found.port, rack: null };
    this.#client.learnNode(node);
    this.#coordinators.set(group, node);
    return node;
  }

  /** Until an answer is free of passing errors; what the cluster refuses for good comes back as it is. */
  async #persist<Answer>(
    what: string,
    ask: () => Promise<Answer>,
    errorsOf: (answer: Answer) => readonly number[],
    onFailed: () => void = () => {},
  ): Promise<Answer> {
    const giveUpMs = this.#clock.monotonicMs() + patienceMs;
    for (;;) {
      let reason: string;
      try {
        const answer = await ask();
        const error = errorsOf(answer).find((code) => passing.has(code));
        if (error === undefined) return answer;
        reason = errorName(error);
      } catch (error) {
        if (error instanceof CliError) throw error;
        reason = reasonOf(error);
      }
      onFailed();
      if (this.#clock.monotonicMs() > giveUpMs) throw new CliError(`${what}: ${reason}`);
      await pause(this.#timers, retryMs);
    }
  }
}

export const noSuchGroup = (group: string): string =>
  `there is no group ${group} (cordwood group list shows which there are)`;

/** Java writes addresses with a slash before them. */
const shownHost = (host: string): string => host.replace(/^\//, '');

/** A member that writes its assignment in a way of its own is shown without one. */
function decodedAssignment(bytes: Buffer): readonly AssignedTopic[] {
  try {
    return kafka.decodeConsumerProtocolAssignment(bytes).assignedPartitions;
  } catch {
    return [];
  }
}

const outcomesOf = (
  topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
  }[],
): PartitionOutcome[] =>
  topics.flatMap(({ name: topic, partitions }) =>
    partitions.map(({ partitionIndex, errorCode }) => ({ topic, partition: partitionIndex, errorCode })),
  );
