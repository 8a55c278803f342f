/**
 * A consumer of the new protocol (KIP-848): heartbeats carry what it owns, answers what it should; it gives back first, when
 * it is done with it, and takes up afterwards. Fenced, it drops everything at once and joins again.
 */
import type { TopicPartitions } from '../../../src/coordinator/group-records.ts';
import { type ConsumerGroupHeartbeatAnswer, isRefused } from '../../../src/coordinator/group-requests.ts';
import type { Fault, FaultCode } from '../../../src/model/fault.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import { GroupConnection } from './group-connection.ts';
import type { GroupMember, GroupPlan } from './group-plan.ts';
import { ReadPositions, type Snapshot } from './read-positions.ts';
import type { SimulatedGroups } from './simulated-groups.ts';
import { workTopic, workTopicId } from './work-topic.ts';

/** Fenced, or forgotten together with its group. */
const isOut: ReadonlySet<FaultCode> = new Set(['FENCED_MEMBER_EPOCH', 'UNKNOWN_MEMBER_ID', 'GROUP_ID_NOT_FOUND']);

export class AsyncConsumer implements GroupMember {
  readonly process: SimulatedProcess;
  readonly name: string;
  readonly instanceId: string | null;
  readonly groupId: string;
  /** Made by the client itself, and kept as long as it runs. */
  readonly memberId: string;
  readonly #groups: SimulatedGroups;
  readonly #plan: GroupPlan;
  readonly #connection: GroupConnection;
  readonly #positions: ReadPositions;
  #memberEpoch = 0;
  /** What it was told last to read; null while it has been told nothing. */
  #target: ReadonlySet<number> | null = null;
  #isReconciling = false;
  /** Counts the times that it lost everything: what was begun before is over then. */
  #lives = 0;
  /** What the coordinator knows it to own; null where that has to be said again. */
  #toldOwned: string | null = null;
  #isAsking = false;
  #isAskedForMore = false;
  committedMs = -1;

  constructor(groups: SimulatedGroups, plan: GroupPlan, name: string, instanceId: string | null) {
    this.#groups = groups;
    this.#plan = plan;
    this.groupId = plan.groupId;
    this.name = name;
    this.memberId = `id-of-${name}`;
    this.instanceId = instanceId;
    this.process = groups.newClient();
    this.#connection = new GroupConnection(groups, this.process, name, plan.groupId);
    this.#positions = new ReadPositions(groups, plan.groupId);
    this.#heartbeat();
    this.#pollLater();
  }

  get stableIn(): number | null {
    const target = this.#target;
    const isSettled =
      target !== null &&
      !this.#isReconciling &&
      target.size === this.#positions.partitions.length &&
      this.#toldOwned === this.#owned().join();
    return isSettled ? this.#memberEpoch : null;
  }
  get partitions(): readonly number[] {
    return this.#positions.partitions;
  }
  /** What nobody else may have: what it was told and has not given back. */
  holds(partition: number): boolean {
    return !this.process.isDead && (this.#positions.has(partition) || this.#target?.has(partition) === true);
  }

  leave(): void {
    this.process.run(() => {
      this.#loseEverything();
      // A static member that will be back keeps its place meanwhile.
      const memberEpoch = this.instanceId !== null && this.#groups.world.random.chance(0.5) ? -2 : -1;
      this.#connection.ask({ ...this.#request(), memberEpoch, topicPartitions: [] }, 1_000, () => this.process.die());
    });
  }

  #loseEverything(): void {
    this.#lives++;
    this.#target = null;
    this.#toldOwned = null;
    this.#isReconciling = false;
    this.#memberEpoch = 0;
    this.#positions.clear();
  }

  // ---------------------------------------------------------------------------------------------- heartbeats

  /**
   * What it has not given back and what it is about to take up: left out while it still asks where to begin, a partition
   * would be handed on, and this member would not know when the answer that says so is lost.
   */
  #owned(): number[] {
    return [...new Set([...this.#positions.partitions, ...(this.#target ?? [])])].sort((a, b) => a - b);
  }

  #request() {
    return {
      kind: 'consumerGroupHeartbeat',
      groupId: this.groupId,
      clientId: this.name,
      clientHost: '/client',
      memberId: this.memberId,
      instanceId: this.instanceId,
      rackId: null,
      rebalanceTimeoutMs: -1,
      subscribedTopicNames: null,
      subscribedTopicRegex: null,
      serverAssignor: null,
      makesOwnMemberId: true,
    } as const;
  }

  /** One at a time: what changes meanwhile goes with the next. */
  #heartbeat(): void {
    if (this.#isAsking) {
      this.#isAskedForMore = true;
      return;
    }
    this.#isAsking = true;
    this.#isAskedForMore = false;
    const lives = this.#lives;
    const partitions = this.#owned();
    const owned = partitions.join();
    const topicPartitions: TopicPartitions[] = partitions.length === 0 ? [] : [{ topicId: workTopicId, partitions }];
    const isFull = this.#memberEpoch === 0 || this.#toldOwned === null;
    const { rebalanceTimeoutMs } = this.#plan;
    const request = {
      ...this.#request(),
      memberEpoch: this.#memberEpoch,
      topicPartitions: isFull || owned !== this.#toldOwned ? topicPartitions : null,
      ...(isFull ? { rebalanceTimeoutMs, subscribedTopicNames: [workTopic] } : {}),
    };
    this.#connection.ask(request, 500, (answer) => {
      this.#isAsking = false;
      if (lives !== this.#lives) return this.#heartbeat();
      if (answer === null || isRefused(answer)) {
        this.#toldOwned = null;
        return this.#onRefused(answer?.fault ?? null);
      }
      this.#toldOwned = owned;
      this.#onTold(answer);
    });
  }

  #onRefused(fault: Fault | null): void {
    const { random } = this.#groups.world;
    if (fault !== null && isOut.has(fault.code)) this.#loseEverything();
    if (fault?.code === 'FENCED_INSTANCE_ID') {
      this.#loseEverything();
      this.process.die();
      this.#groups.onReplaced(this);
      return;
    }
    this.process.after(random.between(20, 120), () => this.#heartbeat());
  }

  #onTold({ memberEpoch, heartbeatIntervalMs, assignment }: ConsumerGroupHeartbeatAnswer): void {
    this.#memberEpoch = memberEpoch;
    if (assignment !== null) {
      this.#target = new Set(assignment.find(({ topicId }) => topicId === workTopicId)?.partitions ?? []);
      this.#groups.world.onPartitionsHeld(this, [...this.#target]);
    }
    this.#reconcile();
    if (this.#isAskedForMore) return this.#heartbeat();
    const lives = this.#lives;
    this.process.after(heartbeatIntervalMs, () => lives === this.#lives && !this.#isAsking && this.#heartbeat());
  }

  // ---------------------------------------------------------------------------------------------- reconciliation

  #reconcile(): void {
    const target = this.#target;
    if (this.#isReconciling || target === null) return;
    const revoked = this.#positions.partitions.filter((partition) => !target.has(partition));
    const added = [...target].filter((partition) => !this.#positions.has(partition));
    if (revoked.length > 0) this.#giveBack(revoked);
    else if (added.length > 0) this.#takeUp(added);
  }

  /** What was read is committed first, as a rule; an application may take its time over that, and even too much of it. */
  #giveBack(revoked: readonly number[]): void {
    const { random } = this.#groups.world;
    this.#isReconciling = true;
    const lives = this.#lives;
    if (random.chance(0.7)) this.#commit(this.#snapshot());
    const delayMs = random.chance(0.1) ? 1.5 * this.#plan.rebalanceTimeoutMs : 50;
    this.process.after(random.next() * delayMs, () => {
      if (lives !== this.#lives) return;
      for (const partition of revoked) this.#positions.delete(partition);
      this.#onReconciled();
    });
  }

  #takeUp(added: readonly number[]): void {
    this.#isReconciling = true;
    const lives = this.#lives;
    const { groupId, memberId } = this;
    const topics = [{ topic: workTopic, partitions: added }];
    const memberEpoch = this.#memberEpoch;
    this.#connection.ask(
      { kind: 'offsetFetch', groupId, memberId, memberEpoch, topics, requireStable: true },
      500,
      (answer) => {
        if (lives !== this.#lives) return;
        if (answer !== null && !isRefused(answer))
          // Meanwhile it may have been told otherwise.
          for (const { partitions } of answer.topics)
            for (const { partition, offset } of partitions)
              if (this.#target?.has(partition)) this.#positions.begin(partition, offset);
        const isDone = answer !== null && !isRefused(answer);
        this.process.after(isDone ? 0 : 50, () => lives === this.#lives && this.#onReconciled());
      },
    );
  }

  #onReconciled(): void {
    this.#isReconciling = false;
    this.#reconcile();
    if (this.#owned().join() !== this.#toldOwned) this.#heartbeat();
  }

  // ---------------------------------------------------------------------------------------------- reading

  #pollLater(): void {
    this.process.after(this.#plan.pollMs * this.#groups.world.random.between(0.5, 1.5), () => {
      if (this.#memberEpoch > 0) {
        const { random } = this.#groups.world;
        this.#positions.poll();
        const snapshot = this.#snapshot();
        if (random.chance(this.#plan.lateCommits))
          this.process.after(random.between(0, 2 * this.#plan.sessionTimeoutMs), () => this.#commit(snapshot));
        else if (random.chance(0.6)) this.#commit(snapshot);
      }
      this.#pollLater();
    });
  }

  #snapshot(): Snapshot {
    const { memberId, instanceId } = this;
    return this.#positions.snapshot({ generationOrMemberEpoch: this.#memberEpoch, memberId, instanceId });
  }

  /**
   * An old epoch is for the coordinator to refuse. What was given back in the present one is for the member to leave out: it
   * can give back several times before its epoch rises.
   */
  #commit(snapshot: Snapshot): void {
    const isOld = snapshot.generationOrMemberEpoch !== this.#memberEpoch;
    const positions = [...snapshot.positions].filter(([partition]) => isOld || this.#positions.has(partition));
    const request = this.#positions.commitOf({ ...snapshot, positions: new Map(positions) });
    if (request === null) return;
    this.#connection.ask(request, 1_000, (answer) => {
      if (answer !== null && !isRefused(answer)) this.committedMs = this.#groups.world.scheduler.nowMs;
    });
  }
}
