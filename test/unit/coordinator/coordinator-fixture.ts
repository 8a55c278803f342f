/** A shard of groups behind the coordinator of its partition, over a log in memory that can refuse, and commit late. */
import assert from 'node:assert/strict';
import { DeadlineQueue } from '../../../src/coordinator/deadline-queue.ts';
import { GroupMemory, ShardMemory } from '../../../src/coordinator/group-memory.ts';
import type { ConsumerProtocol, ConsumerSubscription, GroupModules } from '../../../src/coordinator/group-modules.ts';
import { defaultGroupOptions, type GroupOptions } from '../../../src/coordinator/group-options.ts';
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import type {
  AnswerTo,
  DescribeGroupAnswer,
  GroupAnswer,
  GroupRequest,
  HeartbeatRequest,
  JoinGroupAnswer,
  JoinGroupRequest,
  LeaveGroupRequest,
  OffsetCommitRequest,
  SyncGroupRequest,
} from '../../../src/coordinator/group-requests.ts';
import { GroupShard } from '../../../src/coordinator/group-shard.ts';
import {
  PartitionCoordinator,
  type PartitionCoordinatorAction,
  type PartitionCoordinatorEvent,
} from '../../../src/coordinator/partition-coordinator.ts';
import { leaderEpoch, offset, offsetZero, type TopicId, topicId } from '../../../src/model/brands.ts';
import { ClusterImage } from '../../../src/model/cluster-image.ts';
import { BrokerError, type Fault, type FaultCode } from '../../../src/model/fault.ts';

/** Subscriptions and assignments as JSON: what groups ask of the bytes is only that they can be read. */
export const jsonProtocol: ConsumerProtocol = {
  decodeSubscription: (metadata) => parsed(metadata),
  encodeSubscription: (subscription) => Buffer.from(JSON.stringify(subscription)),
  decodeAssignment: (assignment) => parsed(assignment),
  encodeAssignment: (assignment) => Buffer.from(JSON.stringify(assignment)),
};

function parsed<Value>(bytes: Buffer): Value | null {
  try {
    return JSON.parse(bytes.toString()) as Value;
  } catch {
    return null;
  }
}

export const subscriptionTo = (...topics: string[]): Buffer => {
  const subscription: ConsumerSubscription = {
    version: 1,
    topics,
    userData: null,
    ownedPartitions: [],
    generation: -1,
    rackId: null,
  };
  return jsonProtocol.encodeSubscription(subscription);
};

export const ordersId = topicId('AAAAAAAAAAAAAAAAAAAAAA');
export const group = 'payments';

export class CoordinatorUnderTest {
  now = { monotonicMs: 1_000_000, wallMs: 1_700_000_000_000 };
  readonly options: GroupOptions;
  readonly image = new ClusterImage();
  log: GroupRecord[] = [];
  maxBatchBytes = 1_000_000;
  readonly memory: GroupMemory;
  /** Sizes of the batches that were appended. */
  batches: number[] = [];
  /** What the log refuses appends with. */
  refusal: Fault | null = null;
  /** How often it asked whether it leads still; that is confirmed at once. */
  questions = 0;
  /** Whether what is appended is committed at once. */
  isCommitting = true;
  /** Called with each answer as it leaves. */
  onAnswer: (requestId: number, answer: GroupAnswer) => void = () => {};
  shard: GroupShard;
  coordinator: PartitionCoordinator<GroupRequest, GroupRecord, GroupAnswer>;
  readonly #answers = new Map<number, GroupAnswer>();
  #committed = 0;
  #requests = 0;
  #uuids = 0;
  #elections = 0;

  constructor(options: Partial<GroupOptions> = {}) {
    this.setTopic('orders', ordersId);
    this.options = { ...defaultGroupOptions, initialRebalanceDelayMs: 0, ...options };
    this.memory = new GroupMemory(this.options.unwrittenMaxBytes);
    this.shard = new GroupShard(this.#modules());
    this.coordinator = this.#newCoordinator();
    this.elect();
  }

  #modules(): GroupModules {
    return {
      options: this.options,
      image: () => this.image,
      newUuid: () => `00000000-0000-4000-8000-${String(++this.#uuids).padStart(12, '0')}`,
      consumerProtocol: jsonProtocol,
      deadlines: new DeadlineQueue(),
      memory: new ShardMemory(this.memory),
      maxBatchBytes: () => this.maxBatchBytes,
    };
  }

  #newCoordinator(): PartitionCoordinator<GroupRequest, GroupRecord, GroupAnswer> {
    return new PartitionCoordinator(
      { commitTimeoutMs: 5000 },
      {
        log: {
          append: (records) => {
            if (this.refusal !== null) throw new BrokerError(this.refusal);
            this.log.push(...records);
            this.batches.push(records.length);
            return offset(this.log.length);
          },
          maySpeak: () => true,
          questionLeadership: () => {
            this.questions++;
            return 0;
          },
        },
        newShard: () => {
          this.shard = new GroupShard(this.#modules());
          return this.shard;
        },
      },
    );
  }

  /** A coordinator that loads what the log holds; all of it is committed. */
  elect(): void {
    this.#step({ kind: 'resigned' });
    this.#committed = this.log.length;
    const end = offset(this.log.length);
    this.#step({
      kind: 'elected',
      leaderEpoch: leaderEpoch(++this.#elections),
      logStartOffset: offsetZero,
      logEndOffset: end,
      highWatermark: end,
      now: this.now,
    });
  }

  /** Its leader is gone; the next one has what was committed, and what else reached it. */
  crash(logEndOffset = this.log.length): void {
    assert.ok(logEndOffset >= this.#committed, 'what is committed is kept');
    this.log.length = logEndOffset;
    this.elect();
  }

  get committedEndOffset(): number {
    return this.#committed;
  }

  get lastRequestId(): number {
    return this.#requests;
  }

  withdraw(requestId: number): void {
    this.#step({ kind: 'withdrawn', requestId });
  }

  /** A shard that has read the log from its start, and nothing else. */
  replayed(): GroupShard {
    const shard = new GroupShard(this.#modules());
    for (const record of this.log) shard.replay(record);
    return shard;
  }

  /** The request's id: its answer may have to be waited for. */
  send(request: GroupRequest): number {
    const requestId = ++this.#requests;
    this.#step({ kind: 'requested', requestId, request, now: this.now });
    return requestId;
  }

  /** Null while it waits. */
  answerTo(requestId: number): GroupAnswer | null {
    return this.#answers.get(requestId) ?? null;
  }

  ask<Request extends GroupRequest>(request: Request): AnswerTo<Request> {
    const requestId = this.send(request);
    const answer = this.#answers.get(requestId);
    assert.ok(answer !== undefined, `${request.kind} was not answered`);
    return answer as AnswerTo<Request>;
  }

  /** Ticks as often as a broker would, at least a hundred times. */
  advance(byMs: number): void {
    const untilMs = this.now.monotonicMs + byMs;
    const tickMs = Math.max(Math.min(100, byMs), byMs / 1000);
    while (this.now.monotonicMs < untilMs) {
      const ms = Math.min(tickMs, untilMs - this.now.monotonicMs);
      this.now = {
        monotonicMs: this.now.monotonicMs + ms,
        wallMs: this.now.wallMs + ms,
      };
      this.tick();
    }
  }

  /** The process stood still: time has passed, and nothing was read or ticked meanwhile. */
  stall(byMs: number): void {
    this.now = { monotonicMs: this.now.monotonicMs + byMs, wallMs: this.now.wallMs + byMs };
    this.#step({ kind: 'stalled', byMs });
  }

  tick(): void {
    this.#step({ kind: 'ticked', now: this.now });
  }

  commitAll(): void {
    this.#committed = this.log.length;
    this.#step({
      kind: 'highWatermarkMoved',
      highWatermark: offset(this.log.length),
      now: this.now,
    });
  }

  /** The name is that topic's from now on, whichever had it before. */
  setTopic(name: string, id: TopicId): void {
    const { image } = this;
    const modRevision = image.revision;
    const before = image.topicIds.get(name)?.record;
    if (before !== undefined) image.topics.delete(before);
    const record = { name, partitions: 100, isInternal: false, createdAtMs: 0 };
    image.topics.set(id, { id, record, modRevision, partitions: [] });
    image.topicIds.set(name, { record: id, modRevision });
  }

  dropTopic(name: string): void {
    const id = this.image.topicIds.get(name)?.record;
    assert.ok(id !== undefined, `there is a topic ${name}`);
    this.image.topics.delete(id);
    this.image.topicIds.delete(name);
  }

  /** The shard hears of it. */
  onTopicsDeleted(...deleted: string[]): void {
    this.#step({ kind: 'topicsChanged', change: { changed: [], deleted }, now: this.now });
  }

  #step(event: PartitionCoordinatorEvent<GroupRequest, GroupRecord>): void {
    this.#carryOut(this.coordinator.step(event));
    if (this.isCommitting && this.#committed < this.log.length) this.commitAll();
  }

  #carryOut(actions: readonly PartitionCoordinatorAction<GroupAnswer>[]): void {
    for (const action of actions) {
      if (action.kind === 'answer') this.#answered(action.requestId, action.answer);
      else if (action.kind === 'refuse') this.#answered(action.requestId, { fault: action.fault });
      else {
        const records = this.log.slice(action.offset, action.endOffset);
        const { leaderEpoch, endOffset: nextOffset } = action;
        const { now } = this;
        this.#step({ kind: 'recordsRead', leaderEpoch, records, nextOffset, now });
      }
    }
  }

  #answered(requestId: number, answer: GroupAnswer): void {
    assert.ok(!this.#answers.has(requestId), 'a request is answered once');
    this.#answers.set(requestId, answer);
    this.onAnswer(requestId, answer);
  }
}

// -- requests

export const joinOf = (changes: Partial<JoinGroupRequest> = {}): JoinGroupRequest => ({
  kind: 'joinGroup',
  groupId: group,
  memberId: '',
  instanceId: null,
  clientId: 'app',
  clientHost: '/10.0.0.1',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 30_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: subscriptionTo('orders') }],
  reason: null,
  knowsMemberIdRequired: false,
  knowsSkipAssignment: false,
  ...changes,
});

export const syncOf = (changes: Partial<SyncGroupRequest> = {}): SyncGroupRequest => ({
  kind: 'syncGroup',
  groupId: group,
  generation: 1,
  memberId: '',
  instanceId: null,
  protocolType: null,
  protocol: null,
  assignments: [],
  ...changes,
});

export const heartbeatOf = (changes: Partial<HeartbeatRequest> = {}): HeartbeatRequest => ({
  kind: 'heartbeat',
  groupId: group,
  generation: 1,
  memberId: '',
  instanceId: null,
  ...changes,
});

export const leaveOf = (...members: Partial<LeaveGroupRequest['members'][number]>[]): LeaveGroupRequest => ({
  kind: 'leaveGroup',
  groupId: group,
  members: members.map((member) => ({ memberId: '', instanceId: null, reason: null, ...member })),
});

export const commitOf = (
  changes: Partial<OffsetCommitRequest> & { readonly at?: number; readonly metadata?: string } = {},
): OffsetCommitRequest => {
  const { at = 7, metadata = '', ...rest } = changes;
  return {
    kind: 'offsetCommit',
    groupId: group,
    generationOrMemberEpoch: -1,
    memberId: '',
    instanceId: null,
    retentionTimeMs: null,
    knowsConsumerGroups: false,
    topics: [
      {
        topic: 'orders',
        topicId: ordersId,
        partitions: [{ partition: 0, offset: offset(at), leaderEpoch: leaderEpoch(3), metadata }],
      },
    ],
    ...rest,
  };
};

// -- answers

/** Its code, null where it is none. */
export const faultOf = (answer: GroupAnswer | null): FaultCode | null =>
  answer !== null && 'fault' in answer ? answer.fault.code : null;

export function joined(answer: GroupAnswer | null): JoinGroupAnswer {
  assert.ok(answer !== null && 'skipAssignment' in answer, `joined: ${JSON.stringify(answer)}`);
  return answer;
}

/** What DescribeGroups tells of it; null where there is no such classic group. */
export function described(under: CoordinatorUnderTest, groupId = group): DescribeGroupAnswer | null {
  const answer = under.ask({ kind: 'describeGroup', groupId });
  return 'fault' in answer ? null : answer;
}

export const stateOf = (under: CoordinatorUnderTest): string => described(under)?.state ?? 'Dead';

/** Offsets by partition of one topic, as OffsetFetch tells them. */
export function committed(under: CoordinatorUnderTest, groupId = group): Record<string, number> {
  const request = { kind: 'offsetFetch', groupId, memberId: null, memberEpoch: -1, topics: null } as const;
  const answer = under.ask({ ...request, requireStable: false });
  assert.ok('topics' in answer, 'fetched');
  return Object.fromEntries(
    answer.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => [`${topic}-${partition}`, offset]),
    ),
  );
}

/** Joins without an id; null while its JoinGroup waits. */
export interface Joining {
  readonly requestId: number;
  answer(): JoinGroupAnswer | null;
}

export function join(under: CoordinatorUnderTest, changes: Partial<JoinGroupRequest> = {}): Joining {
  const requestId = under.send(joinOf(changes));
  return {
    requestId,
    answer() {
      const answer = under.answerTo(requestId);
      return answer === null ? null : joined(answer);
    },
  };
}

export interface StableGroup {
  /** Leads. */
  readonly a: string;
  readonly b: string;
  readonly generation: number;
}

export const assignmentOf = (memberId: string): Buffer => Buffer.from(`partitions of ${memberId}`);

/** Two members that have joined generation 2; `a` leads and no one has synced. */
export function twoJoined(under: CoordinatorUnderTest, changes: Partial<JoinGroupRequest> = {}): StableGroup {
  const a = joined(under.ask(joinOf(changes))).memberId;
  const second = join(under, changes);
  const leader = joined(under.ask(joinOf({ ...changes, memberId: a })));
  const follower = second.answer();
  assert.ok(follower !== null, 'all have joined');
  assert.equal(leader.leader, a);
  return { a, b: follower.memberId, generation: leader.generation };
}

export function syncBoth(under: CoordinatorUnderTest, { a, b, generation }: StableGroup): void {
  const assignments = [a, b].map((memberId) => ({ memberId, assignment: assignmentOf(memberId) }));
  under.ask(syncOf({ memberId: a, generation, assignments }));
  under.ask(syncOf({ memberId: b, generation }));
}

export function twoStable(under: CoordinatorUnderTest, changes: Partial<JoinGroupRequest> = {}): StableGroup {
  const both = twoJoined(under, changes);
  syncBoth(under, both);
  assert.equal(stateOf(under), 'Stable');
  return both;
}
