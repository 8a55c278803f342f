/**
 * All partitions of which this broker has a replica: opens their logs as metadata says, gives each its role, and
 * carries streams, ISR proposals, ticks and checkpoints to and from them.
 */
import type { Clock, Timer, Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import {
  type BrokerEpoch,
  type BrokerId,
  type LeaderEpoch,
  noBroker,
  noBrokerEpoch,
  type Offset,
  type PartitionEpoch,
  type TopicId,
} from '../model/brands.ts';
import type { ClusterImage, TopicImage } from '../model/cluster-image.ts';
import { BrokerError, type Fault } from '../model/fault.ts';
import type { Endpoint, MetadataEntry } from '../model/metadata-schema.ts';
import { partitionKey } from '../model/topic-partition.ts';
import { EarlyAttaches } from './early-attaches.ts';
import { FollowerSession } from './follower-session.ts';
import type { IsrAnswer, IsrProposal } from './leader-role.ts';
import { type AttachMessage, LeaderSession, type LeaderSessionHost } from './leader-session.ts';
import type { ControllerContact, IsrMember } from './leader-state.ts';
import { Replica, type ReplicaHost, type ReplicaOptions } from './replica.ts';
import type { ReplicationAcceptor, ReplicationClient } from './replication-channel.ts';

/** The logs of this broker's data directory. */
export interface ReplicaLogs {
  /** Opens the partition's log, or makes it where there is none. A directory of another topic id is set aside (I24). */
  open(topic: string, topicId: TopicId, partition: number, replicationFactor: number): Promise<PartitionLog>;
  /** The partition is no longer this broker's: out of the way at once, off the disk after a while. */
  remove(log: PartitionLog): Promise<void>;
  /** As persisted, with the leader epoch it was learned under (I15). */
  highWatermarkOf(
    topicId: TopicId,
    partition: number,
  ): { readonly highWatermark: Offset; readonly leaderEpoch: LeaderEpoch };
  checkpointHighWatermarks(
    all: readonly { readonly log: PartitionLog; readonly highWatermark: Offset; readonly leaderEpoch: LeaderEpoch }[],
  ): Promise<void>;
  /** The topic's configuration has changed. */
  configure(log: PartitionLog, topic: string, replicationFactor: number): void;
}

export interface PartitionIsrProposal {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: PartitionEpoch;
  readonly isr: readonly IsrMember[];
}

/** The controller, as a leader asks it to change an ISR; one answer per proposal, or a rejection where none came at all. */
export interface IsrChanger {
  alterPartition(proposals: readonly PartitionIsrProposal[]): Promise<readonly { readonly kind: IsrAnswer }[]>;
}

export interface ReplicaManagerOptions extends ReplicaOptions {
  readonly clusterId: string;
  readonly tickMs: number;
  /** A tick that comes later than this says that the process was not running. */
  readonly stallMs: number;
  readonly checkpointMs: number;
  readonly creditBytes: number;
  readonly readBytes: number;
  readonly queuedLimitBytes: number;
  readonly highWatermarkDelayMs: number;
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
}

export interface ReplicaManagerModules {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly logs: ReplicaLogs;
  /** null in a process that is its whole cluster: nobody to copy from. */
  readonly client: ReplicationClient | null;
  readonly isrChanger: IsrChanger;
  controllerContact(): ControllerContact;
  /** A stream to a leader that may have been broken is up (`isStreamBroken`). */
  onStreamOpened(): void;
  /** A log failed for good: this broker must give its partitions away. */
  onLogFailed(error: unknown): void;
  /** A partition has a replica here now, whatever its role, or has none any more: its coordinator follows it. */
  onReplicaOpened?(replica: Replica): void;
  onReplicaRemoved?(replica: Replica): void;
}

export class ReplicaManager implements ReplicaHost, LeaderSessionHost {
  readonly #options: ReplicaManagerOptions;
  readonly #modules: ReplicaManagerModules;
  readonly #replicas = new Map<string, Replica>();
  readonly #opening = new Map<string, Promise<void>>();
  /** Partitions whose log was found damaged, with where. */
  readonly #damaged = new Map<string, Fault>();
  readonly #leaderSessions = new Map<number, LeaderSession>();
  readonly #followerSessions = new Map<BrokerId, FollowerSession>();
  readonly #earlyAttaches = new EarlyAttaches();
  #proposals: { readonly replica: Replica; readonly proposal: IsrProposal }[] = [];
  #image: ClusterImage;
  /** -1 until the controller has registered this start of the broker. */
  #brokerEpoch: BrokerEpoch = noBrokerEpoch;
  #hasRoles = false;
  #isStopped = false;
  #lastStreamId = 0;
  #lastAttachId = 0;
  #lastTickMs: number;
  readonly #timersRunning: Timer[] = [];
  #isCheckpointDue = false;
  #checkpointing: Promise<void> = Promise.resolve();

  constructor(options: ReplicaManagerOptions, modules: ReplicaManagerModules, image: ClusterImage) {
    this.#options = options;
    this.#modules = modules;
    this.#image = image;
    this.#lastTickMs = modules.clock.monotonicMs();
  }

  get localId(): BrokerId {
    return this.#options.leader.localId;
  }
  get clusterId(): string {
    return this.#options.clusterId;
  }
  get timers(): Timers {
    return this.#modules.timers;
  }
  get logger(): Logger {
    return this.#modules.logger;
  }
  get brokers(): ReplicaHost['brokers'] {
    return this;
  }

  get(topicId: TopicId, partition: number): Replica | undefined {
    return this.#replicas.get(partitionKey(topicId, partition));
  }

  /**
   * The same for a request of a client: one that has just been given to this broker is waited for while its log is
   * opened, because metadata names it already.
   */
  find(topicId: TopicId, partition: number): Replica | undefined | Promise<Replica | undefined> {
    const opening = this.#opening.get(partitionKey(topicId, partition));
    return this.get(topicId, partition) ?? opening?.then(() => this.get(topicId, partition));
  }

  /** A log lacks what it once held: this start must not count as complete for anything (§2.2, lossy). */
  get hasDamagedLogs(): boolean {
    return this.#damaged.size > 0;
  }

  /** Why a partition of this broker is out of service; null where it is not. */
  damageOf(topicId: TopicId, partition: number): Fault | null {
    return this.#damaged.get(partitionKey(topicId, partition)) ?? null;
  }

  replicas(): IterableIterator<Replica> {
    return this.#replicas.values();
  }

  // ------------------------------------------------------------------------------------------------- start and stop

  /** Opens the logs of all partitions that metadata gives this broker; roles come once it is registered. */
  async start(): Promise<void> {
    for (const topic of this.#image.topics.values()) this.#openAll(topic);
    const { timers } = this.#modules;
    this.#timersRunning.push(
      timers.setRepeatingTimer(this.#options.tickMs, () => this.#onTick()),
      timers.setRepeatingTimer(this.#options.checkpointMs, () => void this.#checkpoint()),
    );
    await Promise.all(this.#opening.values());
  }

  /** The controller has registered this start. Roles begin once the image shows it. */
  onRegistered(brokerEpoch: BrokerEpoch): void {
    this.#brokerEpoch = brokerEpoch;
    this.#maybeTakeRoles();
  }

  #maybeTakeRoles(): void {
    const shown = this.brokerEpochOf(this.localId);
    const isCurrent = this.#brokerEpoch !== noBrokerEpoch && shown === this.#brokerEpoch;
    if (isCurrent === this.#hasRoles) return;
    this.#hasRoles = isCurrent;
    for (const replica of this.#replicas.values()) {
      const record = this.#image.partition(replica.topicId, replica.partition)?.record;
      if (isCurrent && record) replica.applyRecord(record);
      else replica.resign();
    }
  }

  /** Every replica is open and in the role that metadata gives it, followers caught up (§2.2.5). */
  get isCaughtUp(): boolean {
    if (!this.#hasRoles || this.#opening.size > 0) return false;
    let areSettled = true;
    for (const replica of this.#replicas.values()) areSettled = replica.isSettled && areSettled;
    return areSettled;
  }

  /** Ends every role and stream, and writes the checkpoints. The logs stay open: their owner closes them. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#end();
    this.#isCheckpointDue = true;
    await this.#checkpoint();
    for (const replica of this.#replicas.values()) replica.close();
  }

  /** As a crash would: nothing more is written or said. */
  abandon(): void {
    this.#end();
    for (const replica of this.#replicas.values()) replica.close();
  }

  #end(): void {
    this.#isStopped = true;
    for (const timer of this.#timersRunning) timer.cancel();
    for (const replica of this.#replicas.values()) replica.resign();
    for (const session of this.#followerSessions.values()) session.close();
    for (const session of [...this.#leaderSessions.values()]) session.close();
  }

  // ------------------------------------------------------------------------------------------------- metadata

  /** Changes of one revision, already in `image`. */
  onMetadata(image: ClusterImage, entries: readonly MetadataEntry[]): void {
    if (this.#isStopped) return;
    this.#image = image;
    let areBrokersChanged = false;
    for (const entry of entries) {
      if (entry.kind === 'topic') this.#onTopic(entry.id);
      else if (entry.kind === 'partition') this.#onPartition(entry.topicId, entry.partition);
      else if (entry.kind === 'broker') areBrokersChanged = true;
      else if (entry.kind === 'config' && entry.configKind === 'topic') this.#onTopicConfig(entry.name);
    }
    if (areBrokersChanged) this.#onBrokers();
  }

  #onTopic(topicId: TopicId): void {
    const topic = this.#image.topics.get(topicId);
    if (topic) return this.#openAll(topic);
    for (const replica of [...this.#replicas.values()]) if (replica.topicId === topicId) this.#remove(replica);
  }

  #openAll(topic: TopicImage): void {
    for (let partition = 0; partition < topic.partitions.length; partition++) this.#onPartition(topic.id, partition);
  }

  #onPartition(topicId: TopicId, partition: number): void {
    const topic = this.#image.topics.get(topicId);
    if (!topic) return;
    const record = topic.partitions[partition]?.record;
    const isMine = record?.replicas.includes(this.localId) ?? false;
    const replica = this.get(topicId, partition);
    if (replica) {
      if (!isMine || !record) this.#remove(replica);
      else if (this.#hasRoles) replica.applyRecord(record);
      this.#retryAttaches(topicId, partition);
    } else if (isMine && record) this.#open(topic, partition, record.replicas.length);
  }

  #open(topic: TopicImage, partition: number, replicationFactor: number): void {
    const key = partitionKey(topic.id, partition);
    if (this.#opening.has(key) || this.#damaged.has(key)) return;
    const opening = this.#modules.logs
      .open(topic.record.name, topic.id, partition, replicationFactor)
      .then((log) => this.#onOpened(topic, log))
      .catch((error: unknown) => this.#onOpenFailed(topic.record.name, partition, key, error))
      .finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
  }

  /** A damaged log stays as it is, and this partition out of service here; any other failure is the directory's. */
  #onOpenFailed(topic: string, partition: number, key: string, error: unknown): void {
    if (this.#isStopped) return; // the directory is closed
    this.logger.error({ err: error, topic, partition }, 'the log of a partition cannot be opened');
    if (error instanceof BrokerError && error.fault.code === 'SEGMENT_CORRUPT') this.#damaged.set(key, error.fault);
    else this.#modules.onLogFailed(error);
  }

  #onOpened(topic: TopicImage, log: PartitionLog): void {
    const known = this.#modules.logs.highWatermarkOf(log.topicId, log.partition);
    const replica = new Replica(
      this.#options,
      { log, topic: topic.record.name, host: this },
      { highWatermark: known.highWatermark, highWatermarkEpoch: known.leaderEpoch },
    );
    if (this.#isStopped) return replica.close();
    this.#replicas.set(partitionKey(log.topicId, log.partition), replica);
    this.#modules.onReplicaOpened?.(replica);
    // Metadata may have moved on while the log was opened.
    const record = this.#image.partition(log.topicId, log.partition)?.record;
    if (!record?.replicas.includes(this.localId)) this.#remove(replica);
    else if (this.#hasRoles) replica.applyRecord(record);
    this.#retryAttaches(log.topicId, log.partition);
  }

  #remove(replica: Replica): void {
    this.#replicas.delete(partitionKey(replica.topicId, replica.partition));
    this.#modules.onReplicaRemoved?.(replica);
    replica.close();
    this.#modules.logs.remove(replica.log).catch((error: unknown) => {
      this.logger.error(
        { err: error, topic: replica.topic, partition: replica.partition },
        'a removed log is still there',
      );
    });
  }

  #onTopicConfig(name: string): void {
    for (const replica of this.#replicas.values())
      if (replica.topic === name) this.#modules.logs.configure(replica.log, name, replica.record?.replicas.length ?? 1);
  }

  #onBrokers(): void {
    this.#maybeTakeRoles();
    for (const session of [...this.#leaderSessions.values()]) session.onMetadataChanged();
    for (const session of this.#followerSessions.values()) session.onMetadataChanged();
    for (const replica of this.#replicas.values()) replica.onBrokersChanged();
  }

  brokerEpochOf(id: BrokerId): BrokerEpoch {
    return this.#image.brokers.get(id)?.record.brokerEpoch ?? noBrokerEpoch;
  }

  isActive(id: BrokerId): boolean {
    return this.#image.isActive(id);
  }

  // ------------------------------------------------------------------------------------------------- streams

  readonly accept: ReplicationAcceptor = (stream) => {
    const { readBytes, queuedLimitBytes, highWatermarkDelayMs, leader } = this.#options;
    const streamId = ++this.#lastStreamId;
    const session = new LeaderSession(
      {
        streamId,
        readBytes,
        queuedLimitBytes,
        highWatermarkDelayMs,
        pingIntervalMs: leader.isolationTimeMs / 4,
      },
      { host: this, stream, timers: this.timers, logger: this.logger },
    );
    if (this.#isStopped) session.close();
    else this.#leaderSessions.set(streamId, session);
    return session;
  };

  leaderSession(streamId: number): LeaderSession | undefined {
    return this.#leaderSessions.get(streamId);
  }

  onSessionClosed({ streamId }: LeaderSession): void {
    this.#leaderSessions.delete(streamId);
    this.#earlyAttaches.dropStream(streamId);
    if (this.#isStopped) return;
    for (const replica of this.#replicas.values()) replica.onLeaderStreamClosed(streamId);
  }

  /** An attach for a leader epoch this broker has yet to learn of waits for metadata instead of being refused. */
  onAttach(session: LeaderSession, message: AttachMessage): void {
    this.#earlyAttaches.dropOlder(session, message);
    const replica = this.get(message.topicId, message.partition);
    if (!replica?.onAttach(session, message)) this.#earlyAttaches.add({ session, message });
  }

  onDetached(session: LeaderSession, attachId: number): void {
    this.#earlyAttaches.drop(session.streamId, attachId);
  }

  /** A replica here has another role or knows a newer record. */
  #retryAttaches(topicId: TopicId, partition: number): void {
    for (const { session, message } of this.#earlyAttaches.take(partitionKey(topicId, partition)))
      this.onAttach(session, message);
  }

  followerSession(leader: BrokerId): FollowerSession {
    const known = this.#followerSessions.get(leader);
    if (known) return known;
    const { clusterId, creditBytes, firstRetryMs, maxRetryMs } = this.#options;
    const { client } = this.#modules;
    if (!client) throw new Error('this process is its whole cluster and cannot follow another broker');
    const session = new FollowerSession(
      { clusterId, localId: this.localId, leader, creditBytes, firstRetryMs, maxRetryMs },
      {
        client,
        timers: this.timers,
        logger: this.logger,
        endpointOf: (id): Endpoint | null => this.#image.brokers.get(id)?.record.peer ?? null,
        localEpoch: () => this.#brokerEpoch,
        onOpened: () => this.#modules.onStreamOpened(),
      },
    );
    this.#followerSessions.set(leader, session);
    return session;
  }

  /** Partitions here follow that broker, and the stream to it is broken: an election may be under way. */
  isStreamBroken(leader: BrokerId): boolean {
    return this.#followerSessions.get(leader)?.isBroken ?? false;
  }

  /** Resolves when that broker has answered what it is asked now, where partitions here follow it (`heard`). */
  heardFrom(leader: BrokerId): Promise<void> {
    return this.#followerSessions.get(leader)?.heard() ?? Promise.resolve();
  }

  nextAttachId(): number {
    return ++this.#lastAttachId;
  }

  // ------------------------------------------------------------------------------------------------- what replicas tell

  monotonicMs(): number {
    return this.#modules.clock.monotonicMs();
  }

  controllerContact(): ControllerContact {
    return this.#modules.controllerContact();
  }

  /** Proposals of one turn go to the controller as one request. */
  proposeIsr(replica: Replica, proposal: IsrProposal): void {
    if (this.#proposals.length === 0) queueMicrotask(() => void this.#sendProposals());
    this.#proposals.push({ replica, proposal });
  }

  async #sendProposals(): Promise<void> {
    const sent = this.#proposals;
    this.#proposals = [];
    let answers: readonly { readonly kind: IsrAnswer }[];
    try {
      answers = await this.#modules.isrChanger.alterPartition(
        sent.map(({ replica: { topicId, partition }, proposal: { leaderEpoch, partitionEpoch, isr } }) => ({
          topicId,
          partition,
          leaderEpoch,
          partitionEpoch,
          isr,
        })),
      );
    } catch (error) {
      this.logger.debug({ err: error }, 'an ISR proposal was not answered');
      answers = [];
    }
    for (const [index, { replica, proposal }] of sent.entries())
      replica.onIsrAnswered(proposal.leaderEpoch, proposal.proposalId, answers[index]?.kind ?? 'lost');
  }

  onRoleChanged(replica: Replica): void {
    this.#retryAttaches(replica.topicId, replica.partition);
    this.logger.debug(
      {
        topic: replica.topic,
        partition: replica.partition,
        leader: replica.record?.leader ?? noBroker,
        isLeader: replica.isLeader,
      },
      'replica role',
    );
  }

  onHighWatermark(): void {
    this.#isCheckpointDue = true;
  }

  onFailed(replica: Replica, error: unknown): void {
    this.logger.error({ err: error, topic: replica.topic, partition: replica.partition }, 'partition out of service');
    this.#modules.onLogFailed(error);
  }

  #onTick(): void {
    const nowMs = this.monotonicMs();
    const isStalled = nowMs - this.#lastTickMs > this.#options.tickMs + this.#options.stallMs;
    this.#lastTickMs = nowMs;
    for (const replica of this.#replicas.values()) {
      if (isStalled) replica.onStalled(nowMs);
      replica.onTick(nowMs);
    }
    for (const session of this.#leaderSessions.values()) session.onTick(nowMs);
  }

  #checkpoint(): Promise<void> {
    if (!this.#isCheckpointDue) return this.#checkpointing;
    this.#isCheckpointDue = false;
    const all = [...this.#replicas.values()].map(({ log, highWatermark, highWatermarkEpoch }) => ({
      log,
      highWatermark,
      leaderEpoch: highWatermarkEpoch,
    }));
    this.#checkpointing = this.#checkpointing
      .then(() => this.#modules.logs.checkpointHighWatermarks(all))
      .catch((error: unknown) => this.logger.error({ err: error }, 'high watermarks were not checkpointed'));
    return this.#checkpointing;
  }
}
