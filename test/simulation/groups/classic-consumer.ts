/**
 * A consumer of the classic protocol: it joins, the leader shares out the partitions, it syncs, reads on from what was
 * committed, commits, now and then late. When it has to join again it gives everything up, or, cooperative, only what it
 * finds in another's hands afterwards.
 */
import type { ConsumerAssignment } from '../../../src/coordinator/group-modules.ts';
import { isRefused, type JoinGroupAnswer, type SyncGroupRequest } from '../../../src/coordinator/group-requests.ts';
import type { Fault } from '../../../src/model/fault.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import { GroupConnection } from './group-connection.ts';
import type { GroupMember, GroupPlan } from './group-plan.ts';
import { plainConsumerProtocol } from './plain-consumer-protocol.ts';
import { ReadPositions, type Snapshot } from './read-positions.ts';
import { type Shares, sharedCooperatively, sharedEagerly } from './shared-partitions.ts';
import type { SimulatedGroups } from './simulated-groups.ts';
import { workTopic } from './work-topic.ts';

export class ClassicConsumer implements GroupMember {
  readonly process: SimulatedProcess;
  readonly name: string;
  readonly instanceId: string | null;
  readonly groupId: string;
  readonly #groups: SimulatedGroups;
  readonly #plan: GroupPlan;
  readonly #connection: GroupConnection;
  readonly #positions: ReadPositions;
  #memberId = '';
  #generation = -1;
  #isStable = false;
  /** Partitions that it was told last. */
  #told: ReadonlySet<number> = new Set();
  #toldIn = -1;
  /** As leader: how many partitions it, or who led before under its instance id, shared out; -1 where it leads nobody. */
  #sharedOut = -1;
  /** Counts the times it began to join: what was begun before is over then. */
  #joins = 0;
  #committedMs = -1;
  #isLeaving = false;

  constructor(groups: SimulatedGroups, plan: GroupPlan, name: string, instanceId: string | null) {
    this.#groups = groups;
    this.#plan = plan;
    this.name = name;
    this.groupId = plan.groupId;
    this.instanceId = instanceId;
    this.process = groups.newClient();
    this.#connection = new GroupConnection(groups, this.process, name, plan.groupId);
    this.#positions = new ReadPositions(groups, plan.groupId);
    this.#join();
    this.#pollLater();
  }

  get memberId(): string {
    return this.#memberId;
  }
  /** From when it was told until it joins again. */
  holds(partition: number): boolean {
    return !this.process.isDead && this.#told.has(partition);
  }
  get #protocol(): string {
    return this.#plan.isCooperative ? 'cooperative-sticky' : 'range';
  }
  get stableIn(): number | null {
    return this.#isStable ? this.#generation : null;
  }
  get partitions(): readonly number[] {
    return this.#positions.partitions;
  }
  get committedMs(): number {
    return this.#committedMs;
  }

  leave(): void {
    this.process.run(() => {
      this.#loseEverything();
      this.#isLeaving = true;
      const members = [{ memberId: this.#memberId, instanceId: this.instanceId, reason: null }];
      this.#connection.ask({ kind: 'leaveGroup', groupId: this.#plan.groupId, members }, 1_000, () =>
        this.process.die(),
      );
    });
  }

  #loseEverything(): void {
    this.#isStable = false;
    this.#joins++;
    this.#told = new Set();
    this.#positions.clear();
  }

  /** Before it joins: an eager consumer gives up what it reads. */
  #prepareToJoin(): void {
    if (!this.#plan.isCooperative) return this.#loseEverything();
    this.#isStable = false;
    this.#joins++;
  }

  #joinSoon(): void {
    this.#prepareToJoin();
    const joins = this.#joins;
    this.process.after(this.#groups.world.random.between(20, 120), () => {
      if (joins === this.#joins) this.#join();
    });
  }

  #join(): void {
    if (this.#isLeaving) return;
    this.#prepareToJoin();
    const joins = this.#joins;
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#plan;
    const metadata = plainConsumerProtocol.encodeSubscription({
      version: 1,
      topics: [workTopic],
      userData: null,
      ownedPartitions: this.#told.size === 0 ? [] : [{ topic: workTopic, partitions: [...this.#told] }],
      generation: this.#toldIn,
      rackId: null,
    });
    this.#connection.ask(
      {
        kind: 'joinGroup',
        groupId,
        clientId: this.name,
        clientHost: '/client',
        memberId: this.#memberId,
        instanceId: this.instanceId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        protocolType: 'consumer',
        protocols: [{ name: this.#protocol, metadata }],
        reason: null,
        knowsMemberIdRequired: true,
        knowsSkipAssignment: true,
      },
      rebalanceTimeoutMs + this.#groups.initialRebalanceDelayMs + 500,
      (answer) => {
        if (joins !== this.#joins) return;
        if (answer === null) this.#joinSoon();
        else if (!isRefused(answer)) this.#onJoined(answer);
        else if (answer.fault.code === 'MEMBER_ID_REQUIRED') {
          this.#memberId = answer.fault.memberId;
          this.#join();
        } else this.#joinAfter(answer.fault);
      },
    );
  }

  #joinAfter(fault: Fault): void {
    if (fault.code === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
    if (fault.code === 'UNKNOWN_MEMBER_ID' || fault.code === 'ILLEGAL_GENERATION') this.#loseEverything();
    if (fault.code === 'FENCED_INSTANCE_ID') this.#onReplaced();
    else this.#joinSoon();
  }

  /** Another consumer has its instance id now. */
  #onReplaced(): void {
    this.#loseEverything();
    this.process.die();
    this.#groups.onReplaced(this);
  }

  #onJoined(answer: JoinGroupAnswer): void {
    this.#memberId = answer.memberId;
    this.#generation = answer.generation;
    const isLeader = answer.leader === answer.memberId;
    const sharesOut = isLeader && !answer.skipAssignment;
    const shares = sharesOut ? this.#sharesOf(answer.members) : null;
    const ofFormer = this.#groups.sharedOut.get(this.#generationName) ?? 0;
    this.#sharedOut = isLeader ? (shares ? [...shares.values()].flat().length : ofFormer) : -1;
    this.#sync(shares ? assignmentsOf(shares) : []);
  }

  get #generationName(): string {
    return `${this.groupId} ${this.#groups.committed.group(this.groupId).deletions} ${this.#generation}`;
  }

  #sharesOf(members: JoinGroupAnswer['members']): Shares {
    const { world, workPartitions } = this.#groups;
    const sharing = members.map(({ memberId, metadata }) => {
      const subscription = plainConsumerProtocol.decodeSubscription(metadata);
      const owned = subscription?.ownedPartitions.flatMap(({ partitions }) => partitions) ?? [];
      return { memberId, owned, generation: subscription?.generation ?? -1 };
    });
    return this.#plan.isCooperative
      ? sharedCooperatively(sharing, workPartitions)
      : sharedEagerly(sharing, workPartitions, world.random.below(members.length));
  }

  #sync(assignments: SyncGroupRequest['assignments']): void {
    const joins = this.#joins;
    const { groupId, rebalanceTimeoutMs } = this.#plan;
    this.#connection.ask(
      {
        kind: 'syncGroup',
        groupId,
        generation: this.#generation,
        memberId: this.#memberId,
        instanceId: this.instanceId,
        protocolType: 'consumer',
        protocol: this.#protocol,
        assignments,
      },
      rebalanceTimeoutMs + 500,
      (answer) => {
        if (joins !== this.#joins) return;
        if (answer === null) {
          // It may have been done: ask again, or begin anew.
          if (this.#groups.world.random.chance(0.5)) this.#sync(assignments);
          else this.#joinSoon();
        } else if (isRefused(answer)) this.#joinAfter(answer.fault);
        else {
          if (assignments.length > 0) this.#groups.sharedOut.set(this.#generationName, this.#sharedOut);
          this.#onAssigned(plainConsumerProtocol.decodeAssignment(answer.assignment)?.assignedPartitions ?? []);
        }
      },
    );
  }

  #onAssigned(assigned: ConsumerAssignment['assignedPartitions']): void {
    const before = this.#told;
    this.#told = new Set(assigned.flatMap(({ partitions }) => partitions));
    this.#toldIn = this.#generation;
    this.#groups.world.onPartitionsHeld(this, [...this.#told]);
    const revoked = [...before].filter((partition) => !this.#told.has(partition));
    for (const partition of revoked) this.#positions.delete(partition);
    // What it gives up is another's once everybody has joined again.
    if (revoked.length > 0) return this.#join();
    const added = [...this.#told].filter((partition) => !this.#positions.has(partition));
    if (added.length > 0) this.#fetchOffsets([{ topic: workTopic, partitions: added }]);
    else this.#onSettled();
  }

  #onSettled(): void {
    this.#isStable = true;
    this.#heartbeatLater();
  }

  #fetchOffsets(assigned: ConsumerAssignment['assignedPartitions']): void {
    const joins = this.#joins;
    const { groupId } = this.#plan;
    this.#connection.ask(
      { kind: 'offsetFetch', groupId, memberId: null, memberEpoch: -1, topics: assigned, requireStable: true },
      500,
      (answer) => {
        if (joins !== this.#joins) return;
        if (answer === null || isRefused(answer)) {
          const delayMs = this.#groups.world.random.between(20, 100);
          this.process.after(delayMs, () => joins === this.#joins && this.#fetchOffsets(assigned));
          return;
        }
        for (const { partitions } of answer.topics)
          for (const { partition, offset } of partitions) this.#positions.begin(partition, offset);
        this.#onSettled();
      },
    );
    // Heartbeats begin afterwards: a fetch that takes too long costs the membership.
  }

  #heartbeatLater(): void {
    const joins = this.#joins;
    const { groupId, heartbeatIntervalMs } = this.#plan;
    this.process.after(heartbeatIntervalMs, () => {
      if (joins !== this.#joins) return;
      const generation = this.#generation;
      const request = { kind: 'heartbeat', groupId, generation, memberId: this.#memberId } as const;
      this.#connection.ask({ ...request, instanceId: this.instanceId }, 500, (answer) => {
        if (joins !== this.#joins) return;
        if (answer !== null && isRefused(answer) && this.#mustJoin(answer.fault)) return;
        this.#heartbeatLater();
      });
    });
  }

  /** Whether it does, or is on its way to it. */
  #mustJoin(fault: Fault): boolean {
    switch (fault.code) {
      case 'REBALANCE_IN_PROGRESS':
        // What was read is committed before the partitions are given up: in the old generation, which may be too late.
        if (this.#groups.world.random.chance(0.5)) this.#commit(this.#snapshot());
        this.#join();
        return true;
      case 'UNKNOWN_MEMBER_ID':
      case 'ILLEGAL_GENERATION':
      case 'FENCED_INSTANCE_ID':
        this.#joinAfter(fault);
        return true;
      default:
        return false;
    }
  }

  #pollLater(): void {
    this.process.after(this.#plan.pollMs * this.#groups.world.random.between(0.5, 1.5), () => {
      // The leader alone looks for partitions that nobody reads, new ones or ones that a member has given up, who may have
      // started anew since and know nothing of it; the others are told to join again.
      if (this.#isStable && this.#sharedOut >= 0 && this.#sharedOut < this.#groups.workPartitions) this.#join();
      if (this.#positions.partitions.length > 0) {
        const { random } = this.#groups.world;
        this.#positions.poll();
        const snapshot = this.#snapshot();
        // A slow application: by then it may be of an old generation, and must be refused.
        if (random.chance(this.#plan.lateCommits))
          this.process.after(random.between(0, 2 * this.#plan.sessionTimeoutMs), () => this.#commit(snapshot));
        else if (random.chance(0.6)) this.#commit(snapshot);
      }
      this.#pollLater();
    });
  }

  #snapshot(): Snapshot {
    const { instanceId } = this;
    return this.#positions.snapshot({
      // While it joins it knows a newer one, and not yet what it reads in that.
      generationOrMemberEpoch: this.#toldIn,
      memberId: this.#memberId,
      instanceId,
    });
  }

  /** What is of an old generation is for the coordinator to refuse; of the present one it leaves out what it gave up. */
  #commit(snapshot: Snapshot): void {
    const isOld = snapshot.generationOrMemberEpoch !== this.#toldIn;
    const positions = [...snapshot.positions].filter(([partition]) => isOld || this.#positions.has(partition));
    const request = this.#positions.commitOf({ ...snapshot, positions: new Map(positions) });
    if (request === null) return;
    const joins = this.#joins;
    this.#connection.ask(request, 1_000, (answer) => {
      if (answer === null) return;
      if (!isRefused(answer)) this.#committedMs = this.#groups.world.scheduler.nowMs;
      else if (joins === this.#joins && this.#isStable && snapshot.generationOrMemberEpoch === this.#toldIn)
        this.#mustJoin(answer.fault);
    });
  }
}

const assignmentsOf = (shares: Shares): SyncGroupRequest['assignments'] =>
  Array.from(shares, ([memberId, partitions]) => {
    const assignedPartitions = [{ topic: workTopic, partitions }];
    const assignment = plainConsumerProtocol.encodeAssignment({ version: 1, assignedPartitions, userData: null });
    return { memberId, assignment };
  });
