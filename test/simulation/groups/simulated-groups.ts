/**
 * The consumer groups of a world: their topic, what their coordinators are made with, their members, what befalls these,
 * and what is known to be committed. What they read is not there: positions are numbers, and the topic is metadata alone.
 */

import { DeadlineQueue } from '../../../src/coordinator/deadline-queue.ts';
import { GroupMemory, ShardMemory } from '../../../src/coordinator/group-memory.ts';
import { defaultGroupOptions, type GroupOptions } from '../../../src/coordinator/group-options.ts';
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import { GroupShard } from '../../../src/coordinator/group-shard.ts';
import { noBroker, revision, type TopicId } from '../../../src/model/brands.ts';
import type { ClusterImage } from '../../../src/model/cluster-image.ts';
import { partitionKey } from '../../../src/model/topic-partition.ts';
import type { BrokerProcess } from '../broker-process.ts';
import { SimulatedProcess } from '../simulated-process.ts';
import type { World } from '../world.ts';
import { AsyncConsumer } from './async-consumer.ts';
import { ClassicConsumer } from './classic-consumer.ts';
import { CommittedGroups } from './committed-groups.ts';
import type { GroupMember, GroupPlan } from './group-plan.ts';
import { plainConsumerProtocol } from './plain-consumer-protocol.ts';
import { assertEqualToReplay } from './replay-comparison.ts';
import type { SimulatedCoordinator, SimulatedShard } from './simulated-coordinator.ts';
import { StandaloneAdmin, StandaloneCommitter, StandaloneReader } from './standalone-client.ts';
import { entriesOfWork, imageOfWork, workTopic } from './work-topic.ts';

const offsetsTopic = '__consumer_offsets';

/** A place in a group that some member fills, one after another. */
interface Seat {
  readonly plan: GroupPlan;
  readonly number: number;
  member: GroupMember | null;
  /** Paused, crashed or gone: no more strikes until it is over. */
  isStruck: boolean;
}
type Strike = 'pause' | 'crash' | 'leave' | 'replace' | 'growTopic';

export class SimulatedGroups {
  readonly world: World;
  readonly committed = new CommittedGroups();
  readonly plans: readonly GroupPlan[];
  /** By group and generation: how many partitions its leader shared out. */
  readonly sharedOut = new Map<string, number>();
  /** Groups that somebody has tried to delete, or offsets of them. */
  readonly deletedByHand = new Set<string>();
  /** They only become more. */
  workPartitions: number;
  readonly commitTimeoutMs: number;
  readonly initialRebalanceDelayMs: number;
  readonly offsetsRetentionMs: number;
  /** How long some reads take of a coordinator that loads. */
  readonly slowLoadMs: number;
  /** Share of messages between clients and coordinators that take long. */
  readonly slowMessages: number;
  /** Answers that were no refusals. */
  answers = 0;
  readonly #options: GroupOptions;
  readonly #image: ClusterImage;
  readonly #partitions: number;
  readonly #minIsr: number;
  readonly #seats: Seat[] = [];
  /** All that there ever were. */
  readonly members: GroupMember[] = [];
  readonly #committers: StandaloneCommitter[] = [];
  readonly #strikes: readonly Strike[];
  readonly #strikeEveryMs: number;
  #lastMember = 0;
  #lastCommit = 0;
  #healedMs: number | null = null;
  readonly #clients: SimulatedProcess[] = [];
  isStopped = false;

  constructor(world: World, minIsr: number) {
    this.world = world;
    this.#minIsr = minIsr;
    const { random } = world;
    this.#partitions = random.pick([1, 1, 2]);
    this.workPartitions = random.pick([1, 3, 4]);
    this.commitTimeoutMs = random.pick([300, 2_000, 5_000]);
    this.initialRebalanceDelayMs = random.pick([0, 0, 300]);
    this.offsetsRetentionMs = random.pick([800, 3_000, 3_600_000]);
    this.slowLoadMs = random.pick([10, 100, 1_000]);
    this.slowMessages = random.pick([0, 0.02, 0.1]);
    this.#options = {
      ...defaultGroupOptions,
      minSessionTimeoutMs: 10,
      initialRebalanceDelayMs: this.initialRebalanceDelayMs,
      offsetsRetentionMs: this.offsetsRetentionMs,
      offsetsRetentionCheckIntervalMs: 400,
      consumerSessionTimeoutMs: random.pick([600, 1_500]),
      consumerHeartbeatIntervalMs: random.pick([100, 300]),
    };
    this.#image = imageOfWork(this.workPartitions);
    this.plans = Array.from({ length: random.pick([1, 1, 2]) }, (_, i) => this.#drawPlan(i));
    const share = random.between(0.3, 1);
    this.#strikes = (['pause', 'crash', 'leave', 'replace', 'growTopic'] as const).filter(() => random.chance(share));
    this.#strikeEveryMs = random.pick([200, 700, 2_000]);
    world.scheduler.after(500, () => this.#createTopic());
    for (const plan of this.plans)
      for (let number = 0; number < plan.members; number++) {
        const seat = { plan, number, member: null, isStruck: false };
        this.#seats.push(seat);
        world.scheduler.after(random.between(800, 2_500), () => this.#seatMember(seat));
      }
    const groupIds = this.plans.map(({ groupId }) => groupId);
    if (random.chance(0.5)) {
      this.#committers.push(new StandaloneCommitter(this, 'alone'));
      groupIds.push('alone');
    }
    for (let i = 0; i < 2; i++) new StandaloneReader(this, `reader ${i}`, groupIds);
    if (random.chance(0.25)) new StandaloneAdmin(this, groupIds);
    this.#strikeLater();
  }

  #drawPlan(number: number): GroupPlan {
    const { random } = this.world;
    const sessionTimeoutMs = random.pick([300, 1_000, 2_000]);
    return {
      groupId: `group-${number}`,
      protocol: random.pick(['classic', 'consumer', 'both']),
      members: random.pick([1, 2, 2, 3]),
      isCooperative: random.chance(0.4),
      isStatic: random.chance(0.3),
      sessionTimeoutMs,
      // Long enough to learn of a rebalance by a heartbeat, and to come.
      rebalanceTimeoutMs: sessionTimeoutMs * random.pick([0.7, 1, 2]) + 300,
      heartbeatIntervalMs: sessionTimeoutMs / 3,
      pollMs: random.pick([40, 100, 250]),
      lateCommits: random.pick([0, 0.1, 0.4]),
    };
  }

  // ---------------------------------------------------------------------------------------------- the topic of groups

  /** Placement needs enough active brokers: ask again until it is there. */
  #createTopic(): void {
    const { world } = this;
    if (this.#topicId() !== null) return;
    const broker = world.random.pick(world.brokers).running;
    const topic = {
      name: offsetsTopic,
      partitions: this.#partitions,
      replicationFactor: Math.min(3, world.brokers.length),
      assignment: null,
      configs: { 'min.insync.replicas': String(Math.min(this.#minIsr, world.brokers.length)) },
      isInternal: true,
    };
    broker?.process.run(() => broker.admin({ kind: 'createTopics', topics: [topic], validateOnly: false }));
    world.scheduler.after(600, () => this.#createTopic());
  }

  #topicId(): TopicId | null {
    return this.world.audit.topicByName(offsetsTopic)?.id ?? null;
  }

  /** The partition that a group's coordinator leads; null while there is none yet. */
  partitionOf(groupId: string): string | null {
    const id = this.#topicId();
    return id && partitionKey(id, groupId.charCodeAt(groupId.length - 1) % this.#partitions);
  }

  newShard(host: BrokerProcess | null): SimulatedShard {
    const { random } = this.world;
    return new GroupShard({
      options: this.#options,
      image: () => this.#image,
      newUuid: () => (host ? random.bytes(4).toString('hex') : ''),
      consumerProtocol: plainConsumerProtocol,
      deadlines: new DeadlineQueue(),
      memory: new ShardMemory(new GroupMemory(this.#options.unwrittenMaxBytes)),
      maxBatchBytes: () => 1_000_000,
    });
  }

  // ---------------------------------------------------------------------------------------------- what is committed

  /** Where a client runs; it is no broker, and nobody is cut off from it. */
  newClient(): SimulatedProcess {
    const client = new SimulatedProcess(noBroker, this.world.scheduler);
    this.#clients.push(client);
    return client;
  }

  nextCommitName(): string {
    return `commit ${++this.#lastCommit}`;
  }

  onCommitted(batch: readonly GroupRecord[]): void {
    for (const record of batch) {
      this.world.onGroupRecordCommitted(record);
      this.committed.apply(record);
    }
  }

  /** Now and then, where nothing waits to be committed: a log that is read again must give the same groups. */
  maybeCompareWithReplay(coordinator: SimulatedCoordinator, chance = 0.02): void {
    if (!this.world.random.chance(chance) || !coordinator.replica.isAllCommitted) return;
    const groupIds = [...this.committed.groups.keys()];
    const replayed = this.newShard(null);
    const { log } = coordinator.replica;
    for (const { batch } of log.slice(log.startOffset, log.endOffset))
      for (const record of batch ?? []) replayed.replay(record);
    assertEqualToReplay(coordinator, replayed, groupIds);
  }

  compareAllWithReplay(): void {
    for (const { running } of this.world.brokers)
      for (const coordinator of running?.coordinators.values() ?? [])
        if (coordinator.isServing) this.maybeCompareWithReplay(coordinator, 1);
  }

  // ---------------------------------------------------------------------------------------------- members

  #seatMember(seat: Seat): void {
    const { plan, number } = seat;
    const name = `${plan.groupId}-member-${++this.#lastMember}`;
    const instanceId = plan.isStatic ? `${plan.groupId}-seat-${number}` : null;
    const isClassic = plan.protocol === 'classic' || (plan.protocol === 'both' && this.world.random.chance(0.5));
    seat.member = new (isClassic ? ClassicConsumer : AsyncConsumer)(this, plan, name, instanceId);
    this.members.push(seat.member);
    seat.isStruck = false;
  }

  /** A member has been fenced by another one with its instance id: it is for its place that somebody comes again. */
  onReplaced(member: GroupMember): void {
    const seat = this.#seats.find((one) => one.member === member);
    if (seat === undefined || seat.isStruck) return;
    seat.isStruck = true;
    this.world.scheduler.after(this.world.random.between(50, 500), () => this.#seatMember(seat));
  }

  #strikeLater(): void {
    const { world } = this;
    world.scheduler.after(2_000 + world.random.next() * 2 * this.#strikeEveryMs, () => {
      if (world.isHealing) return;
      this.#strikeNow();
    });
  }

  #strikeNow(): void {
    const { world } = this;
    if (world.isHealing || this.#strikes.length === 0) return;
    const seat = world.random.pick(this.#seats);
    if (!seat.isStruck && seat.member !== null) this.#strike(world.random.pick(this.#strikes), seat, seat.member);
    world.scheduler.after(world.random.next() * 2 * this.#strikeEveryMs, () => this.#strikeNow());
  }

  #strike(strike: Strike, seat: Seat, member: GroupMember): void {
    const { random, scheduler, trace } = this.world;
    const { sessionTimeoutMs } = seat.plan;
    const forMs = random.pick([0.2, 1, 3]) * random.between(0.3, 1) * sessionTimeoutMs;
    trace.note('member', [], () => `${strike} ${member.name}`);
    seat.isStruck = true;
    switch (strike) {
      case 'pause':
        member.process.pause();
        scheduler.after(forMs, () => {
          member.process.resume();
          if (member.process.isDead) this.#seatMember(seat);
          else seat.isStruck = false;
        });
        break;
      case 'crash':
        member.process.die();
        scheduler.after(forMs, () => this.#seatMember(seat));
        break;
      case 'leave':
        member.leave();
        scheduler.after(1_000 + forMs, () => {
          member.process.die();
          this.#seatMember(seat);
        });
        break;
      case 'growTopic':
        seat.isStruck = false;
        this.#growTopic();
        break;
      case 'replace': {
        // The one before is not dead but stands still, and goes on later beside its successor.
        member.process.pause();
        this.#seatMember(seat);
        scheduler.after(forMs, () => member.process.resume());
        scheduler.after(forMs + 2 * sessionTimeoutMs, () => member.process.die());
        break;
      }
    }
  }

  /** Coordinators hear of it one by one; one that loads meanwhile must find it out by itself. */
  #growTopic(): void {
    const { random, scheduler, brokers } = this.world;
    if (this.workPartitions >= 6) return;
    this.workPartitions++;
    const at = revision(this.#image.revision + 1);
    this.#image.apply(at, entriesOfWork(this.workPartitions, at));
    for (const { id } of brokers)
      scheduler.after(random.next() * 100, () => {
        const running = this.world.processOf(id);
        for (const coordinator of running?.coordinators.values() ?? [])
          running?.process.run(() => coordinator.onTopicsChanged({ changed: [workTopic], deleted: [] }));
      });
  }

  // ---------------------------------------------------------------------------------------------- after healing

  heal(): void {
    this.#healedMs = this.world.scheduler.nowMs;
  }

  /** The clients are gone, all at once; their coordinators are not told. */
  stop(): void {
    this.isStopped = true;
    for (const client of this.#clients) client.die();
  }

  /** What is not as it should be with all members alive and nothing in their way; null when all is. */
  unsettled(): string | null {
    if (this.isStopped) return null;
    if (this.#topicId() === null) return 'there is no topic for the groups';
    for (const plan of this.plans) {
      const problem = this.#unsettledIn(plan);
      if (problem !== null) return `${plan.groupId} ${problem}`;
    }
    const late = this.#committers.find(({ committedMs }) => committedMs <= (this.#healedMs ?? 0));
    return late ? `nobody could commit for the group ${late.groupId}` : null;
  }

  #unsettledIn({ groupId }: GroupPlan): string | null {
    const generations = new Set<number>();
    const owners = new Map<number, string>();
    for (const { plan, member, isStruck } of this.#seats) {
      if (plan.groupId !== groupId) continue;
      if (member === null || isStruck) return 'has a member that is away';
      if (member.stableIn === null) return `has no place for ${member.name}`;
      generations.add(member.stableIn);
      for (const partition of member.partitions) {
        if (owners.has(partition)) return `gives ${partition} to ${owners.get(partition)} and to ${member.name}`;
        owners.set(partition, member.name);
      }
      if (member.partitions.length > 0 && member.committedMs <= (this.#healedMs ?? 0))
        return `takes no commit of ${member.name}`;
    }
    if (generations.size > 1) return `is in generations ${[...generations]}`;
    return owners.size === this.workPartitions ? null : `reads ${[...owners.keys()]} of ${this.workPartitions}`;
  }
}
