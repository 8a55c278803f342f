/**
 * How does this program come to be a member of a group, stay one, and leave? The Consumer of @platformatic/kafka joins,
 * syncs, heartbeats and joins again; it is not asked to read or to commit. Its stream would hand over records of
 * partitions that were taken away meanwhile, and its commit joins again by itself and then commits what is not ours.
 */
import * as kafka from '@platformatic/kafka';
import { nodeClock } from '../../env/node/clock.ts';
import { nodeTimers } from '../../env/node/timers.ts';
import { pause } from '../../env/pause.ts';
import type { AssignedTopic, Committer } from '../client/group-client.ts';
import { reasonOf } from '../client/kafka-client.ts';
import { CliError } from '../exit-code.ts';
import { assignByRange } from './range-assignor.ts';

export interface MembershipOptions {
  readonly bootstrap: string;
  readonly group: string;
  readonly topics: readonly string[];
}

export interface MembershipHandlers {
  /** Before the group is joined again: nothing is assigned any more, and the last chance to commit; joining waits for it. */
  onRevoked(): Promise<void>;
  onAssigned(assignment: readonly AssignedTopic[]): void;
  /** The group cannot be joined, or not again. */
  onFailed(error: CliError): void;
}

const sessionTimeout = 30_000;
const rebalanceTimeout = 60_000;
/** More often than Kafka's 3 s: a rebalance is noticed by a heartbeat, and somebody is watching. */
const heartbeatInterval = 1000;
const retryMs = 200;
const joinPatienceMs = 30_000;
const leavePatienceMs = 5000;

/** What no second try mends. */
const finalErrors: Readonly<Record<string, string>> = {
  INCONSISTENT_GROUP_PROTOCOL:
    'its members divide partitions in a way that is not known here (range and roundrobin are)',
  INVALID_GROUP_ID: 'that is not a name for a group',
  INVALID_SESSION_TIMEOUT: `the cluster does not allow a session timeout of ${sessionTimeout} ms`,
  GROUP_MAX_SIZE_REACHED: 'it has as many members as it may',
  GROUP_AUTHORIZATION_FAILED: 'the cluster does not allow it',
};

export class GroupMembership {
  readonly #options: MembershipOptions;
  readonly #consumer: kafka.Consumer;
  #isLeaving = false;

  constructor(options: MembershipOptions, handlers: MembershipHandlers) {
    this.#options = options;
    this.#consumer = new kafka.Consumer({
      clientId: 'cordwood-cli',
      bootstrapBrokers: options.bootstrap.split(',').map((address) => address.trim()),
      groupId: options.group,
      sessionTimeout,
      rebalanceTimeout,
      heartbeatInterval,
      // JoinGroup is answered when everybody has joined.
      requestTimeout: rebalanceTimeout + 10_000,
      retries: 5,
      retryDelay: retryMs,
      // Both names lead to the same division below, so that groups of most clients' defaults can be joined.
      protocols: [
        { name: 'range', version: 1 },
        { name: 'roundrobin', version: 1 },
      ],
      partitionAssigner: (_self, members, _topics, metadata) => assignmentsFor(members, metadata),
      // Asked for before each JoinGroup, which waits for the answer.
      protocolsMetadata: async () => {
        if (!this.#isLeaving) await handlers.onRevoked();
        return Buffer.alloc(0);
      },
    });
    this.#consumer.topics.trackAll(...options.topics);
    this.#consumer.on('consumer:group:join', ({ assignments }) => handlers.onAssigned(assignments ?? []));
    // A heartbeat found that the group is to be joined again, and that failed: nobody else would try once more.
    this.#consumer.on('error', () => void this.join().catch((error) => handlers.onFailed(error)));
  }

  /** In which generation; null while the group does not know us. */
  get committer(): Committer | null {
    const { memberId, generationId } = this.#consumer;
    return memberId === null ? null : { memberId, generationId };
  }

  async join(): Promise<void> {
    const giveUpMs = nodeClock.monotonicMs() + joinPatienceMs;
    while (!this.#isLeaving) {
      try {
        await this.#consumer.joinGroup({});
        return;
      } catch (error) {
        const final = Object.entries(finalErrors).find(
          ([id]) => kafka.findErrorBy(error as Error, 'apiId', id) !== null,
        );
        const reason = final?.[1] ?? reasonOf(error);
        if (final !== undefined || nodeClock.monotonicMs() > giveUpMs)
          throw new CliError(`cannot join group ${this.#options.group}: ${reason}`);
        await pause(nodeTimers, retryMs);
      }
    }
  }

  /** Whether the group knows that we are gone; otherwise it finds out when the session times out. */
  async leave(): Promise<boolean> {
    this.#isLeaving = true;
    const leaving = new Promise<boolean>((resolve) =>
      this.#consumer.leaveGroup(false, (error) => resolve(error === null)),
    );
    const hasLeft = await Promise.race([leaving, pause(nodeTimers, leavePatienceMs).then(() => false)]);
    await Promise.race([this.#consumer.close(true).catch(() => {}), pause(nodeTimers, leavePatienceMs)]);
    return hasLeft;
  }
}

function assignmentsFor(
  members: Map<string, kafka.ExtendedGroupProtocolSubscription>,
  metadata: kafka.ClusterMetadata,
): kafka.GroupPartitionsAssignments[] {
  const divided = assignByRange(
    new Map([...members].map(([memberId, { topics }]) => [memberId, topics ?? []])),
    new Map([...metadata.topics].map(([topic, { partitionsCount }]) => [topic, partitionsCount])),
  );
  return [...divided].map(([memberId, topics]) => ({
    memberId,
    assignments: new Map(topics.map(({ topic, partitions }) => [topic, { topic, partitions: [...partitions] }])),
  }));
}
