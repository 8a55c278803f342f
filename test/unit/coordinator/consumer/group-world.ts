/** One consumer group with the topics around it and a log behind it: steps are replayed, as the coordinator does it. */
import { ConsumerGroup } from '../../../../src/coordinator/consumer/consumer-group.ts';
import type { Now } from '../../../../src/coordinator/coordinator-shard.ts';
import { DeadlineQueue } from '../../../../src/coordinator/deadline-queue.ts';
import type { GroupStep } from '../../../../src/coordinator/group.ts';
import { GroupMemory, ShardMemory } from '../../../../src/coordinator/group-memory.ts';
import { type GroupModules, parseDeadlineKey } from '../../../../src/coordinator/group-modules.ts';
import { defaultGroupOptions, type GroupOptions } from '../../../../src/coordinator/group-options.ts';
import type { GroupRecord, TopicPartitions } from '../../../../src/coordinator/group-records.ts';
import {
  type ConsumerGroupDescribeAnswer,
  type ConsumerGroupHeartbeatAnswer,
  type ConsumerGroupHeartbeatRequest,
  isRefused,
} from '../../../../src/coordinator/group-requests.ts';
import { present } from '../../../../src/model/assert.ts';
import { revision, type TopicId, topicId } from '../../../../src/model/brands.ts';
import { ClusterImage } from '../../../../src/model/cluster-image.ts';
import type { Fault, FaultCode } from '../../../../src/model/fault.ts';

/** The topic id of a number, in ascending order with it. */
export const idOf = (number: number): TopicId => topicId(`topic-id-${String(number).padStart(13, '0')}`);

export class TopicWorld {
  readonly image: ClusterImage;
  /** Ids of topics that were deleted. */
  readonly gone: TopicId[] = [];
  #made = 0;

  constructor(image = new ClusterImage()) {
    this.image = image;
  }

  /** A new topic, or more partitions of one that is there. */
  set(name: string, partitions: number): TopicId {
    const known = this.image.topicIds.get(name)?.record;
    const id = known ?? idOf(++this.#made);
    this.image.revision = revision(this.image.revision + 1);
    const modRevision = this.image.revision;
    const record = { name, partitions, isInternal: false, createdAtMs: 0 };
    this.image.topics.set(id, { id, record, modRevision, partitions: [] });
    this.image.topicIds.set(name, { record: id, modRevision });
    return id;
  }

  delete(name: string): void {
    const id = present(this.image.topicIds.get(name), 'only topics that are there are deleted').record;
    this.image.revision = revision(this.image.revision + 1);
    this.image.topicIds.delete(name);
    this.image.topics.delete(id);
    this.gone.push(id);
  }

  idOf(name: string): TopicId {
    return present(this.image.topicIds.get(name), `there is a topic ${name}`).record;
  }
}

export type Heartbeat = Partial<ConsumerGroupHeartbeatRequest>;

export const heartbeatOf = (heartbeat: Heartbeat): ConsumerGroupHeartbeatRequest => ({
  kind: 'consumerGroupHeartbeat',
  groupId: 'group',
  memberId: 'm1',
  memberEpoch: 0,
  instanceId: null,
  rackId: null,
  rebalanceTimeoutMs: -1,
  subscribedTopicNames: null,
  subscribedTopicRegex: null,
  serverAssignor: null,
  topicPartitions: null,
  makesOwnMemberId: true,
  clientId: 'client',
  clientHost: '/127.0.0.1',
  ...heartbeat,
});

export class GroupWorld {
  readonly topics = new TopicWorld();
  readonly deadlines = new DeadlineQueue();
  readonly log: GroupRecord[] = [];
  maxBatchBytes = 1_000_000;
  readonly modules: GroupModules;
  group: ConsumerGroup;
  nowMs = 1000;
  /** The log takes nothing. */
  isRefusing = false;
  #requestIds = 0;
  #uuids = 0;

  constructor(options: Partial<GroupOptions> = {}) {
    this.modules = {
      options: { ...defaultGroupOptions, ...options },
      image: () => this.topics.image,
      newUuid: () => `uuid-${++this.#uuids}`,
      consumerProtocol: {
        decodeSubscription: () => null,
        encodeSubscription: () => Buffer.alloc(0),
        decodeAssignment: () => null,
        encodeAssignment: () => Buffer.alloc(0),
      },
      deadlines: this.deadlines,
      memory: new ShardMemory(new GroupMemory(defaultGroupOptions.unwrittenMaxBytes)),
      maxBatchBytes: () => this.maxBatchBytes,
    };
    this.group = new ConsumerGroup('group', this.modules);
  }

  get now(): Now {
    return { monotonicMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs };
  }

  /** Records of the step become durable, unless the log refuses; returns the answer, a refusal where there is one. */
  carryOut(step: GroupStep): object {
    if (step.records.length > 0 && this.isRefusing) return { fault: { code: 'NOT_COORDINATOR' } };
    for (const record of step.records) {
      this.log.push(record);
      if (record.kind !== 'offsetCommit' && record.kind !== 'classicGroup') this.group.replay(record);
    }
    return step.answers[0]?.answer ?? {};
  }

  ask(heartbeat: Heartbeat): object {
    return this.carryOut(this.group.heartbeat(heartbeatOf(heartbeat), ++this.#requestIds, this.now));
  }

  /** A heartbeat that is answered. */
  beat(heartbeat: Heartbeat): ConsumerGroupHeartbeatAnswer {
    const answer = this.ask(heartbeat);
    if (isRefused(answer)) throw new Error(`refused: ${JSON.stringify(answer.fault)}`);
    return answer as ConsumerGroupHeartbeatAnswer;
  }

  /** The code of a heartbeat that is refused. */
  refusal(heartbeat: Heartbeat): FaultCode | null {
    const answer = this.ask(heartbeat);
    return isRefused(answer) ? (answer.fault satisfies Fault).code : null;
  }

  join(memberId: string, topics: readonly string[], heartbeat: Heartbeat = {}): ConsumerGroupHeartbeatAnswer {
    return this.beat({
      memberId,
      memberEpoch: 0,
      rebalanceTimeoutMs: 30_000,
      subscribedTopicNames: topics,
      topicPartitions: [],
      ...heartbeat,
    });
  }

  describe(): ConsumerGroupDescribeAnswer {
    return this.carryOut(this.group.describe(++this.#requestIds)) as ConsumerGroupDescribeAnswer;
  }

  describedMember(memberId: string): ConsumerGroupDescribeAnswer['members'][number] {
    return present(
      this.describe().members.find((member) => member.memberId === memberId),
      `${memberId} is a member`,
    );
  }

  /** What the member was told to have, as it would report it. */
  partitionsOf(memberId: string): TopicPartitions[] {
    const { assignment } = this.describedMember(memberId);
    return assignment.map(({ topicId: id, partitions }) => ({ topicId: id, partitions }));
  }

  changeTopics(change: () => void, changed: readonly string[], deleted: readonly string[] = []): void {
    change();
    this.group.onTopicsChanged({ changed, deleted });
  }

  /** Time passes, and the deadlines that come with it. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + 100);
      for (let key = this.deadlines.takeDue(this.nowMs); key !== null; key = this.deadlines.takeDue(this.nowMs)) {
        const step = this.group.onDeadline(parseDeadlineKey(key), this.now);
        if (step !== null) this.carryOut(step);
      }
    }
  }

  /** Another coordinator loads what was written, or what compaction has left of it. */
  failOver(records: readonly GroupRecord[] = this.log): void {
    this.deadlines.clear();
    this.group = new ConsumerGroup('group', this.modules);
    for (const record of records)
      if (record.kind !== 'offsetCommit' && record.kind !== 'classicGroup') this.group.replay(record);
    this.group.onLoaded(this.now);
  }
}

/** The newest record of each key, in the order they were written; tombstones as well, or not. */
export function compacted(log: readonly GroupRecord[], keepsTombstones: boolean): GroupRecord[] {
  const newest = new Map<string, GroupRecord>();
  for (const record of log) {
    const { value: _, ...key } = record;
    const text = JSON.stringify(key);
    newest.delete(text);
    newest.set(text, record);
  }
  return [...newest.values()].filter(({ value }) => keepsTombstones || value !== null);
}

/** `topic: 0 1 2` for each topic, as people write it. */
export const shown = (
  topics: TopicWorld,
  partitions: readonly TopicPartitions[] | null,
): Record<string, readonly number[]> | null =>
  partitions === null
    ? null
    : Object.fromEntries(
        partitions.map(({ topicId: id, partitions: numbers }) => [
          topics.image.topics.get(id)?.record.name ?? id,
          numbers,
        ]),
      );
