/**
 * The groups this broker coordinates: one CoordinatedPartition for each replica of `__consumer_offsets` here, which
 * serves while that replica leads. Routes each request to the partition of its group, and knows who serves the others.
 *
 *     FindCoordinator ──► coordinatorOf(group)     makes the topic on first use, waits for its leader
 *     group APIs      ──► ask(request)             here or NOT_COORDINATOR
 */

import type { Now } from '../../coordinator/coordinator-shard.ts';
import { DeadlineQueue } from '../../coordinator/deadline-queue.ts';
import { GroupMemory, ShardMemory } from '../../coordinator/group-memory.ts';
import type { GroupOptions } from '../../coordinator/group-options.ts';
import type { GroupRecord } from '../../coordinator/group-records.ts';
import type {
  AnswerTo,
  GroupAnswer,
  GroupRequest,
  ListedGroup,
  ListGroupsAnswer,
  ListGroupsRequest,
  Refused,
} from '../../coordinator/group-requests.ts';
import { isRefused } from '../../coordinator/group-requests.ts';
import { GroupShard } from '../../coordinator/group-shard.ts';
import type { Clock, Timer, Timers } from '../../env/clock.ts';
import type { Logger } from '../../env/logger.ts';
import type { Random } from '../../env/random.ts';
import { type BrokerId, noBroker, type TopicId } from '../../model/brands.ts';
import type { ClusterImage } from '../../model/cluster-image.ts';
import { BrokerError, type Fault } from '../../model/fault.ts';
import type { MetadataEntry } from '../../model/metadata-schema.ts';
import type { Replica } from '../../replication/replica.ts';
import { MetadataWatch } from '../metadata-watch.ts';
import { consumerProtocolBytes } from './consumer-protocol-bytes.ts';
import { CoordinatedPartition } from './coordinated-partition.ts';
import { FairTurns } from './fair-turns.ts';
import { decodeGroupRecord, encodeGroupRecord } from './group-record-codec.ts';
import { groupTopic, partitionForKey } from './internal-topics.ts';

export interface GroupCoordinatorsOptions {
  readonly localId: BrokerId;
  readonly groups: GroupOptions;
  /** `offsets.commit.timeout.ms` */
  readonly commitTimeoutMs: number;
}

export interface GroupCoordinatorsModules {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  image(): ClusterImage;
  /** The stream to that leader has broken: an election may be under way. */
  isStreamBroken(leader: BrokerId): boolean;
}

type GroupPartition = CoordinatedPartition<GroupRequest, GroupRecord, GroupAnswer>;
const loading: Refused = { fault: { code: 'COORDINATOR_LOAD_IN_PROGRESS' } };
const notHere: Refused = { fault: { code: 'NOT_COORDINATOR' } };
type OnDisconnect = (callback: () => void) => () => void;

/**
 * How long a request waits for this broker to become the coordinator that the client was told it is: clients that are
 * refused wait for a second and ask everybody anew.
 */
const servingHoldMs = 1000;
/** How often sessions and rebalances are looked at. */
const tickMs = 50;
/** How often it is told that there is no room for who joins. */
const memoryWarningMs = 60_000;
/** A tick that comes so much too late (§2.3). */
const stallMs = 500;
/** Of one turn of the event loop, with what else it did (I42); the step that goes beyond it ends. */
const turnBudgetMs = 10;

export class GroupCoordinators {
  readonly #options: GroupCoordinatorsOptions;
  readonly #modules: GroupCoordinatorsModules;
  /** By partition of the topic. */
  readonly #partitions = new Map<number, GroupPartition>();
  /** What metadata last showed, to tell what a revision changed. */
  readonly #topics = new Map<TopicId, { readonly name: string; readonly partitions: number }>();
  /** Of topics, not told to the groups yet. */
  #coming: { readonly changed: string[]; readonly deleted: string[] } | null = null;
  readonly #ticking: Timer;
  readonly #turns: FairTurns;
  #lastTickMs: number;
  #isLooking = false;
  /** Of all groups here, as far as it is in no log. */
  readonly #memory: GroupMemory;
  #memoryWarnedMs: number | null = null;
  /** Of who serves what: requests wait for a partition to be served here. */
  readonly #changes: MetadataWatch;
  #isClosed = false;

  constructor(options: GroupCoordinatorsOptions, modules: GroupCoordinatorsModules) {
    this.#options = options;
    this.#modules = modules;
    for (const { id, record } of modules.image().topics.values()) this.#topics.set(id, record);
    this.#memory = new GroupMemory(options.groups.unwrittenMaxBytes, () => this.#warnOfMemory());
    this.#changes = new MetadataWatch(modules);
    this.#turns = new FairTurns({ budgetMs: turnBudgetMs }, modules);
    this.#lastTickMs = modules.clock.monotonicMs();
    this.#ticking = modules.timers.setRepeatingTimer(tickMs, () => this.#onTick());
  }

  /** Timers run before sockets are read: a process that stood still would end sessions whose heartbeats it has yet to read. */
  #onTick(): void {
    const nowMs = this.#modules.clock.monotonicMs();
    const lateMs = nowMs - this.#lastTickMs - tickMs;
    this.#lastTickMs = nowMs;
    if (lateMs > stallMs) for (const partition of this.#partitions.values()) partition.onStalled(lateMs);
    void this.#lookAtDeadlines();
  }

  /** In the line, too: a heartbeat that came before is counted before. */
  async #lookAtDeadlines(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    await this.#turns.whenFree();
    this.#isLooking = false;
    for (const partition of this.#partitions.values()) partition.onTick();
  }

  onReplicaOpened(replica: Replica): void {
    if (replica.topic !== groupTopic) return;
    this.#partitions.get(replica.partition)?.close();
    this.#partitions.set(replica.partition, this.#coordinated(replica));
    this.#changes.notify();
  }

  onReplicaRemoved(replica: Replica): void {
    if (this.#partitions.get(replica.partition)?.replica !== replica) return;
    this.#partitions.get(replica.partition)?.close();
    this.#partitions.delete(replica.partition);
  }

  #coordinated(replica: Replica): GroupPartition {
    const { timers, logger, random } = this.#modules;
    return new CoordinatedPartition(
      { commitTimeoutMs: this.#options.commitTimeoutMs },
      {
        replica,
        timers,
        logger,
        now: () => this.#now(),
        newShard: () =>
          new GroupShard({
            options: this.#options.groups,
            image: () => this.#modules.image(),
            newUuid: () => uuidFrom(random.bytes(16)),
            consumerProtocol: consumerProtocolBytes,
            deadlines: new DeadlineQueue(),
            memory: new ShardMemory(this.#memory),
            maxBatchBytes: () => replica.log.config.maxMessageBytes,
          }),
        encode: encodeGroupRecord,
        decode: decodeGroupRecord,
        onServingChanged: () => this.#changes.notify(),
      },
    );
  }

  #warnOfMemory(): void {
    const nowMs = this.#modules.clock.monotonicMs();
    if (this.#memoryWarnedMs !== null && nowMs - this.#memoryWarnedMs < memoryWarningMs) return;
    this.#memoryWarnedMs = nowMs;
    const facts = { usedBytes: this.#memory.usedBytes, limitBytes: this.#options.groups.unwrittenMaxBytes };
    this.#modules.logger.warn(
      facts,
      'members that join groups are sent away: too much is kept of groups that is not written',
    );
  }

  #now(): Now {
    return { monotonicMs: this.#modules.clock.monotonicMs(), wallMs: this.#modules.clock.wallMs() };
  }

  /** Changes of one revision, already in the image. */
  onMetadata(entries: readonly MetadataEntry[]): void {
    this.#changes.notify();
    for (const entry of entries) {
      if (entry.kind !== 'topic') continue;
      const before = this.#topics.get(entry.id);
      const after = this.#modules.image().topics.get(entry.id)?.record;
      if (after) {
        this.#topics.set(entry.id, after);
        if (before?.partitions !== after.partitions) this.#comingChange().changed.push(after.name);
      } else if (before) {
        this.#topics.delete(entry.id);
        this.#comingChange().deleted.push(before.name);
      }
    }
  }

  /** Every group is told, once for all that a turn brings: a thousand new topics are as many revisions. */
  #comingChange(): { readonly changed: string[]; readonly deleted: string[] } {
    if (this.#coming !== null) return this.#coming;
    const change = { changed: [], deleted: [] };
    this.#coming = change;
    this.#modules.timers.setTimer(0, () => {
      this.#coming = null;
      for (const partition of this.#partitions.values()) partition.onTopicsChanged(change);
    });
    return change;
  }

  /** The partition of `__consumer_offsets` that holds the group; null while the topic is not there. */
  partitionOf(groupId: string): number | null {
    const topic = this.#modules.image().topicByName(groupTopic);
    return topic ? partitionForKey(groupId, topic.record.partitions) : null;
  }

  /** Never rejects: what the coordinator, or there not being one here, refuses is an answer too. */
  async ask<Request extends Exclude<GroupRequest, ListGroupsRequest>>(
    request: Request,
    onDisconnect: OnDisconnect,
  ): Promise<AnswerTo<Request>> {
    const at = this.partitionOf(request.groupId);
    let isGone = false;
    const stopWatching = onDisconnect(() => {
      isGone = true;
    });
    const partition = at === null ? undefined : await this.#servingOne(at);
    // Clients come again to a coordinator that loads, and look for another one when it is none.
    const isLoading = at !== null && !partition?.isServing && this.leaderOf(at) === this.#options.localId;
    if (isLoading || !partition) {
      stopWatching();
      return isLoading ? loading : notHere;
    }
    await this.#turns.whenFree();
    stopWatching();
    // Whoever left while it was held must not become a member that the others wait for.
    if (isGone) return notHere;
    const answer = await this.#askOne(partition, request, onDisconnect);
    // One event may have answered a thousand: each is encoded and sent.
    await this.#turns.whenFree();
    return answer as AnswerTo<Request>;
  }

  /** The broker that leads a partition of the topic, as far as this one knows. */
  leaderOf(at: number): BrokerId {
    return this.#modules.image().topicByName(groupTopic)?.partitions[at]?.record.leader ?? noBroker;
  }

  #maySoonServe(at: number): boolean {
    const leader = this.leaderOf(at);
    return leader === noBroker || leader === this.#options.localId || this.#modules.isStreamBroken(leader);
  }

  /** The partition, once it serves or it is clear that it will not soon. */
  async #servingOne(at: number): Promise<GroupPartition | undefined> {
    const isSettled = (): boolean =>
      this.#isClosed || (this.#partitions.get(at)?.isServing ?? false) || !this.#maySoonServe(at);
    await this.#changes.until(isSettled, servingHoldMs);
    return this.#partitions.get(at);
  }

  async #askOne(partition: GroupPartition, request: GroupRequest, onDisconnect: OnDisconnect): Promise<GroupAnswer> {
    try {
      return await partition.ask(request, onDisconnect);
    } catch (error) {
      if (error instanceof BrokerError) return { fault: error.fault };
      throw error;
    }
  }

  /** The groups of every partition that this broker coordinates, and whether one of them is still being loaded. */
  async list(
    request: ListGroupsRequest,
    onDisconnect: OnDisconnect,
  ): Promise<{ readonly groups: readonly ListedGroup[]; readonly fault: Fault | null }> {
    const answers = await Promise.all(
      [...this.#partitions.keys()].map(async (at) => {
        const partition = await this.#servingOne(at);
        return partition ? this.#askOne(partition, request, onDisconnect) : notHere;
      }),
    );
    const groups: ListedGroup[] = [];
    let fault: Fault | null = null;
    for (const answer of answers) {
      if (!isRefused(answer)) groups.push(...(answer as ListGroupsAnswer).groups);
      // What another broker coordinates it lists itself.
      else if (answer.fault.code !== 'NOT_COORDINATOR') fault = answer.fault;
    }
    return { groups, fault };
  }

  close(): void {
    this.#isClosed = true;
    this.#ticking.cancel();
    this.#changes.notify();
    for (const partition of this.#partitions.values()) partition.close();
    this.#partitions.clear();
  }
}

/** 16 random bytes as a version 4 UUID. */
function uuidFrom(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
