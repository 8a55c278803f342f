/**
 * Random histories of groups behind the coordinator of their partition: members that come, go, crash and commit late, a log
 * that refuses, commits late and loses what was not committed with its leader. What must hold all the time:
 *
 * - the log alone makes the groups that are there (requests make records, and only `replay` changes durable state);
 * - an answer tells only what is committed;
 * - a fetched offset is never older than one that was acknowledged before it was asked for;
 * - in one generation there is one leader, and each member is told what one record of that generation says;
 * - every request is answered in the end, and groups without members come to rest.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import {
  type DescribeGroupAnswer,
  type GroupAnswer,
  type GroupRequest,
  isRefused,
  type JoinGroupAnswer,
  type OffsetCommitRequest,
} from '../../../src/coordinator/group-requests.ts';
import type { GroupShard } from '../../../src/coordinator/group-shard.ts';
import { leaderEpoch, offset } from '../../../src/model/brands.ts';
import type { Fault } from '../../../src/model/fault.ts';
import { SeededRandom } from '../../simulation/seeded-random.ts';
import {
  CoordinatorUnderTest,
  commitOf,
  heartbeatOf,
  joinOf,
  leaveOf,
  ordersId,
  subscriptionTo,
  syncOf,
} from './coordinator-fixture.ts';

const groups = ['payments', 'billing', 'both protocols'];
const partitions = 3;
const refusals: readonly Fault[] = [{ code: 'NOT_ENOUGH_REPLICAS' }, { code: 'MESSAGE_TOO_LARGE', reason: 'by far' }];

/** What one client remembers: whatever it was told last, right or wrong by now. */
interface Client {
  readonly groupId: string;
  readonly instanceId: string | null;
  memberId: string;
  generation: number;
  leads: boolean;
  others: string[];
  memberEpoch: number;
  /** What a sane client would do next. */
  next: 'join' | 'sync' | 'consume';
  inFlight: number | null;
}

interface Asked {
  readonly request: GroupRequest;
  readonly client: Client;
  /** By partition: what was acknowledged when it was asked for. */
  readonly acknowledged: ReadonlyMap<string, number>;
  readonly election: number;
}

class History {
  readonly under: CoordinatorUnderTest;
  readonly #random: SeededRandom;
  readonly #clients: Client[];
  readonly #asked = new Map<number, Asked>();
  readonly #acknowledged = new Map<string, number>();
  /** By election, group and generation. */
  readonly #leaders = new Map<string, string>();
  #lastOffset = 0;
  #election = 0;
  answers = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.under = new CoordinatorUnderTest({
      initialRebalanceDelayMs: this.#random.chance(0.5) ? 0 : 3000,
      maxSize: this.#random.chance(0.3) ? 4 : 100,
    });
    this.under.isCommitting = false;
    this.under.onAnswer = (requestId, answer) => this.#onAnswer(requestId, answer);
    this.#clients = groups.flatMap((groupId) =>
      Array.from({ length: 6 }, (_, at) => ({
        groupId,
        instanceId: at < 2 ? `instance-${at % 2}` : null,
        memberId: '',
        generation: -1,
        leads: false,
        others: [],
        memberEpoch: 0,
        next: 'join' as const,
        inFlight: null,
      })),
    );
  }

  step(): void {
    const random = this.#random;
    const { under } = this;
    const what = random.below(100);
    if (what < 70) this.#ask(random.pick(this.#clients));
    else if (what < 85) under.commitAll();
    else if (what < 95) under.advance(random.pick([1, 1, 100, 100, 100, 2000, 7000]));
    else if (what < 97) under.refusal = under.refusal === null ? random.pick(refusals) : null;
    else if (what === 97) this.#withdraw(random.pick(this.#clients));
    else if (random.chance(0.3)) this.#crash();
    this.#checkReplay();
  }

  /** Nobody asks any more, the log is well, and time passes. */
  settle(): void {
    const { under } = this;
    under.refusal = null;
    under.isCommitting = true;
    under.commitAll();
    under.advance(1_000_000);
    for (const [requestId, { request }] of this.#asked)
      assert.ok(under.answerTo(requestId) !== null, `${request.kind} ${requestId} was never answered`);
    for (const groupId of groups) {
      const state = describedBy(under.shard, groupId)?.state ?? 'Dead';
      assert.ok(state === 'Empty' || state === 'Dead', `${groupId} is ${state}`);
    }
    this.#checkReplay();
  }

  #crash(): void {
    const { under } = this;
    const kept = under.committedEndOffset + this.#random.below(under.log.length - under.committedEndOffset + 1);
    this.#election++;
    under.refusal = null;
    under.crash(kept);
    // What the new leader has is committed by it, before it serves.
    under.commitAll();
  }

  #withdraw(client: Client): void {
    if (client.inFlight === null) return;
    this.under.withdraw(client.inFlight);
    this.#asked.delete(client.inFlight);
    client.inFlight = null;
  }

  #ask(client: Client): void {
    // Its requests are in order: it waits for the answer to the last one, or gives it up.
    if (client.inFlight !== null && this.#random.chance(0.8)) return;
    this.#withdraw(client);
    const request = this.#requestOf(client);
    const requestId = this.under.lastRequestId + 1;
    const acknowledged = new Map(this.#acknowledged);
    this.#asked.set(requestId, { request, client, acknowledged, election: this.#election });
    client.inFlight = requestId;
    assert.equal(this.under.send(request), requestId);
  }

  #requestOf(client: Client): GroupRequest {
    const random = this.#random;
    const { groupId, instanceId, others } = client;
    // Now and then it is confused.
    const memberId = random.chance(0.05) ? 'nobody' : client.memberId;
    const generation = random.chance(0.05) ? client.generation + 1 : client.generation;
    const what = random.chance(0.8) ? this.#sane(client) : random.below(100);
    if (groupId === 'both protocols' && random.chance(0.3)) return this.#consumerHeartbeat(client);
    if (what < 35)
      return joinOf({
        groupId,
        instanceId,
        memberId: random.chance(0.1) ? '' : memberId,
        sessionTimeoutMs: random.pick([6000, 10_000]),
        rebalanceTimeoutMs: random.pick([0, 5000, 20_000, 20_000, 20_000, 20_000]),
        protocols: random
          .pick([['range'], ['range', 'sticky'], ['sticky', 'range']])
          .map((name) => ({ name, metadata: subscriptionTo(random.pick(['orders', 'refunds'])) })),
        knowsMemberIdRequired: random.chance(0.5),
        knowsSkipAssignment: random.chance(0.5),
      });
    if (what < 60) {
      const assignments = client.leads
        ? others.map((id) => ({ memberId: id, assignment: Buffer.from(`${id} ${random.below(1000)}`) }))
        : [];
      return syncOf({ groupId, memberId, instanceId, generation, assignments });
    }
    if (what < 70) return heartbeatOf({ groupId, memberId, instanceId, generation });
    if (what < 74) return { ...leaveOf({ memberId, instanceId }), groupId };
    if (what < 90) return this.#commit(client, memberId, generation);
    if (what < 93) return { kind: 'listGroups', states: new Set(), types: new Set() };
    return { kind: 'offsetFetch', groupId, memberId: null, memberEpoch: -1, topics: null, requireStable: false };
  }

  /** A number of `#requestOf`. */
  #sane({ next }: Client): number {
    if (next === 'join') return 0;
    if (next === 'sync') return 35;
    return 60 + this.#random.below(40);
  }

  #consumerHeartbeat({ groupId, memberId, memberEpoch }: Client): GroupRequest {
    const random = this.#random;
    return {
      kind: 'consumerGroupHeartbeat',
      groupId,
      memberId: memberId === '' ? `member-${random.below(3)}` : memberId,
      memberEpoch: random.chance(0.3) ? -1 : random.chance(0.5) ? 0 : memberEpoch,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: 10_000,
      subscribedTopicNames: ['orders'],
      subscribedTopicRegex: null,
      serverAssignor: null,
      topicPartitions: [],
      makesOwnMemberId: true,
      clientId: 'app',
      clientHost: '/10.0.0.1',
    };
  }

  #commit({ groupId, instanceId }: Client, memberId: string, generation: number): OffsetCommitRequest {
    const isAlone = this.#random.chance(0.2);
    const count = 1 + this.#random.below(partitions);
    return commitOf({
      groupId,
      memberId: isAlone ? '' : memberId,
      instanceId: isAlone ? null : instanceId,
      generationOrMemberEpoch: isAlone ? -1 : generation,
      knowsConsumerGroups: true,
      topics: [
        {
          topic: 'orders',
          topicId: ordersId,
          partitions: Array.from({ length: count }, (_, partition) => ({
            partition,
            offset: offset(++this.#lastOffset),
            leaderEpoch: leaderEpoch(0),
            metadata: '',
          })),
        },
      ],
    });
  }

  #onAnswer(requestId: number, answer: GroupAnswer): void {
    const asked = this.#asked.get(requestId);
    assert.ok(asked !== undefined, `${requestId} was withdrawn, and answered`);
    const { request, client } = asked;
    if (client.inFlight === requestId) client.inFlight = null;
    this.answers++;
    if (isRefused(answer)) {
      if (answer.fault.code !== 'COORDINATOR_NOT_AVAILABLE') client.next = 'join';
      if (answer.fault.code === 'MEMBER_ID_REQUIRED') client.memberId = answer.fault.memberId;
      else if (answer.fault.code === 'UNKNOWN_MEMBER_ID' || answer.fault.code === 'FENCED_INSTANCE_ID')
        client.memberId = '';
      return;
    }
    switch (request.kind) {
      case 'joinGroup':
        if ('skipAssignment' in answer) this.#onJoined(asked, answer);
        break;
      case 'syncGroup':
        client.next = 'consume';
        if ('assignment' in answer && Buffer.isBuffer(answer.assignment))
          this.#checkSynced(request.groupId, request.memberId, request.generation, answer.assignment);
        break;
      case 'leaveGroup':
        client.memberId = '';
        client.next = 'join';
        break;
      case 'offsetCommit':
        this.#onCommitted(request);
        break;
      case 'offsetFetch':
        if ('topics' in answer) this.#checkFetched(request.groupId, asked, answer);
        break;
      case 'consumerGroupHeartbeat':
        if ('memberEpoch' in answer) {
          client.memberId = answer.memberId;
          client.memberEpoch = answer.memberEpoch;
        }
        break;
      default:
        break;
    }
  }

  #onJoined({ client, election }: Asked, { memberId, generation, leader, members }: JoinGroupAnswer): void {
    const { groupId } = client;
    client.memberId = memberId;
    client.generation = generation;
    client.next = 'sync';
    client.leads = members.length > 0;
    client.others = members.map((member) => member.memberId);
    if (!client.leads) return;
    const key = `${election} ${groupId} ${generation}`;
    const known = this.#leaders.get(key);
    const isSuccessor =
      known !== undefined && known.split('-').slice(0, 2).join() === leader.split('-').slice(0, 2).join();
    assert.ok(known === undefined || known === leader || isSuccessor, `${key} is led by ${known} and ${leader}`);
    this.#leaders.set(key, leader);
  }

  #committed(): GroupRecord[] {
    return this.under.log.slice(0, this.under.committedEndOffset);
  }

  #checkSynced(groupId: string, memberId: string, generation: number, assignment: Buffer): void {
    const isWritten = this.#committed().some((record) => {
      if (!('groupId' in record) || record.groupId !== groupId) return false;
      if (record.kind === 'classicGroup' && record.value?.generation === generation)
        return record.value.members.some((one) => one.memberId === memberId && one.assignment.equals(assignment));
      // A member of a group of the new protocol by then: its assignment is told in other bytes than it is written in.
      return record.kind === 'consumerGroupCurrentAssignment' && record.memberId === memberId && record.value !== null;
    });
    assert.ok(
      isWritten,
      `${memberId} was told ${assignment} in generation ${generation}, and no committed record says so`,
    );
  }

  #onCommitted({ groupId, topics }: OffsetCommitRequest): void {
    for (const { topic, partitions: committed } of topics)
      for (const { partition, offset: at } of committed) {
        assert.ok(
          this.#isCommitted(groupId, topic, partition, at),
          `offset ${at} was acknowledged, and is not committed`,
        );
        const key = `${groupId} ${topic}-${partition}`;
        this.#acknowledged.set(key, Math.max(at, this.#acknowledged.get(key) ?? 0));
      }
  }

  #checkFetched(groupId: string, { acknowledged }: Asked, answer: GroupAnswer): void {
    assert.ok('topics' in answer);
    const told = new Map<string, number>();
    for (const { topic, partitions: fetched } of answer.topics)
      for (const one of fetched) {
        assert.ok('offset' in one);
        told.set(`${groupId} ${topic}-${one.partition}`, one.offset);
        assert.ok(
          this.#isCommitted(groupId, topic, one.partition, one.offset),
          `offset ${one.offset} is not committed`,
        );
      }
    for (const [key, at] of acknowledged)
      if (key.startsWith(`${groupId} `))
        assert.ok((told.get(key) ?? -1) >= at, `${key}: ${at} was acknowledged, and ${told.get(key)} fetched`);
  }

  #isCommitted(groupId: string, topic: string, partition: number, at: number): boolean {
    return this.#committed().some(
      (record) =>
        record.kind === 'offsetCommit' &&
        record.groupId === groupId &&
        record.topic === topic &&
        record.partition === partition &&
        record.value?.offset === at,
    );
  }

  /** One that comes after it counts its generations anew. */
  #onGroupGone(groupId: string): void {
    for (const key of this.#leaders.keys())
      if (key.startsWith(`${this.#election} ${groupId} `)) this.#leaders.delete(key);
  }

  /** What is written is the same whether it was lived through or read. */
  #checkReplay(): void {
    const { under } = this;
    if (!under.coordinator.isServing) return;
    // Looking into the shard is an event for it: whatever it has to say first goes to those who wait for it.
    under.onTopicsDeleted();
    const read = under.replayed();
    for (const groupId of groups) {
      assert.deepEqual(offsetsOf(under.shard, groupId), offsetsOf(read, groupId));
      const [lived, loaded] = [describedBy(under.shard, groupId), describedBy(read, groupId)];
      // A group at rest is all written, but for one that nobody has come to yet.
      if (lived?.state === 'Stable') assert.deepEqual(loaded, lived);
      else if (lived?.state === 'Empty') assert.deepEqual(loaded?.members ?? [], []);
      else if (lived === null) assert.equal(loaded, null);
      if (lived === null) this.#onGroupGone(groupId);
      assert.deepEqual(consumersOf(under.shard, groupId), consumersOf(read, groupId));
    }
  }
}

const nowhen = { monotonicMs: 0, wallMs: 0 };
function told(shard: GroupShard, request: GroupRequest): GroupAnswer | undefined {
  const [step] = shard.handle(request, -1, nowhen);
  return step?.answers[0]?.answer;
}

function describedBy(shard: GroupShard, groupId: string): DescribeGroupAnswer | null {
  const answer = told(shard, { kind: 'describeGroup', groupId });
  return answer !== undefined && 'state' in answer ? (answer as DescribeGroupAnswer) : null;
}

const consumersOf = (shard: GroupShard, groupId: string): GroupAnswer | undefined =>
  told(shard, { kind: 'consumerGroupDescribe', groupId });

const offsetsOf = (shard: GroupShard, groupId: string): GroupAnswer | undefined =>
  told(shard, { kind: 'offsetFetch', groupId, memberId: null, memberEpoch: -1, topics: null, requireStable: false });

describe('whatever happens', () => {
  for (let seed = 1; seed <= 12; seed++)
    test(`the log tells all, and nobody is told more (seed ${seed})`, () => {
      const history = new History(seed);
      for (let at = 0; at < 1500; at++) history.step();
      history.settle();
      assert.ok(history.answers > 300, 'something happened');
    });
});
