/**
 * Random histories of a group of consumers of both protocols, which moves to and fro between them: they come, go, fall
 * silent and come back; the log refuses, coordinators fail over. Those of the classic protocol are eager: they give up all
 * they own before they join.
 */
import { describe, expect, test } from 'vitest';
import type { TopicPartitions } from '../../../../src/coordinator/group-records.ts';
import type { GroupAnswer, JoinGroupAnswer } from '../../../../src/coordinator/group-requests.ts';
import { SeededRandom } from '../../../simulation/seeded-random.ts';
import {
  CoordinatorUnderTest,
  group,
  heartbeatOf,
  joinOf,
  jsonProtocol,
  leaveOf,
  subscriptionTo,
  syncOf,
} from '../coordinator-fixture.ts';
import { heartbeatOf as newHeartbeatOf, TopicWorld } from './group-world.ts';

const partitionCount = 6;

interface Consumer {
  memberId: string;
  readonly owned: ReadonlySet<number>;
  isSilent: boolean;
  /** One step further in its protocol. */
  step(): void;
  leave(): void;
  /** All is lost to it, and it joins anew. */
  lose(): void;
}

const isFault = (answer: GroupAnswer, ...codes: string[]): boolean =>
  'fault' in answer && (codes.length === 0 || codes.includes(answer.fault.code));

class ClassicConsumer implements Consumer {
  readonly #under: CoordinatorUnderTest;
  memberId = '';
  isSilent = false;
  owned: ReadonlySet<number> = new Set();
  #generation = -1;
  #phase: 'idle' | 'joining' | 'syncing' | 'stable' = 'idle';
  #requestId = 0;

  constructor(under: CoordinatorUnderTest) {
    this.#under = under;
  }

  step(): void {
    if (this.#phase === 'idle') {
      const protocols = [{ name: 'range', metadata: subscriptionTo('orders') }];
      this.#requestId = this.#under.send(joinOf({ memberId: this.memberId, protocols, rebalanceTimeoutMs: 8000 }));
      this.#phase = 'joining';
    } else if (this.#phase === 'stable') this.#beat();
    else {
      const answer = this.#under.answerTo(this.#requestId);
      if (answer === null) return;
      if (isFault(answer)) this.#startOver(answer);
      else if (this.#phase === 'joining') this.#sync(answer as JoinGroupAnswer);
      else this.#take(answer as { assignment: Buffer });
    }
  }

  #beat(): void {
    const answer = this.#under.ask(heartbeatOf({ memberId: this.memberId, generation: this.#generation }));
    if (isFault(answer, 'REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID')) this.#startOver(answer);
  }

  #sync({ memberId, generation, leader, members }: JoinGroupAnswer): void {
    this.memberId = memberId;
    this.#generation = generation;
    const assignments = members.map((one, at) => ({
      memberId: one.memberId,
      assignment: jsonProtocol.encodeAssignment({
        version: 1,
        assignedPartitions: [{ topic: 'orders', partitions: this.#share(at, members.length) }],
        userData: null,
      }),
    }));
    this.#requestId = this.#under.send(
      syncOf({ memberId, generation, assignments: leader === memberId ? assignments : [] }),
    );
    this.#phase = 'syncing';
  }

  #share(at: number, members: number): number[] {
    return Array.from({ length: partitionCount }, (_, partition) => partition).filter(
      (partition) => partition % members === at,
    );
  }

  #take({ assignment }: { readonly assignment: Buffer }): void {
    const partitions = jsonProtocol.decodeAssignment(assignment)?.assignedPartitions[0]?.partitions ?? [];
    this.owned = new Set(partitions);
    this.#phase = 'stable';
  }

  #startOver(answer: GroupAnswer): void {
    this.owned = new Set();
    this.#phase = 'idle';
    if (isFault(answer, 'UNKNOWN_MEMBER_ID')) this.memberId = '';
  }

  leave(): void {
    if (this.memberId === '') return;
    const { memberId } = this;
    this.owned = new Set();
    this.#phase = 'idle';
    if (!isFault(this.#under.ask(leaveOf({ memberId })))) this.memberId = '';
  }

  lose(): void {
    this.memberId = '';
    this.owned = new Set();
    this.#phase = 'idle';
  }
}

class NewConsumer implements Consumer {
  readonly #under: CoordinatorUnderTest;
  readonly #topics: TopicWorld;
  readonly memberId: string;
  isSilent = false;
  owned: ReadonlySet<number> = new Set();
  #epoch = 0;

  constructor(under: CoordinatorUnderTest, topics: TopicWorld, memberId: string) {
    this.#under = under;
    this.#topics = topics;
    this.memberId = memberId;
  }

  step(): void {
    const topicId = this.#topics.idOf('orders');
    const owned: TopicPartitions[] = this.owned.size === 0 ? [] : [{ topicId, partitions: [...this.owned] }];
    const answer = this.#under.ask(
      newHeartbeatOf({
        groupId: group,
        memberId: this.memberId,
        memberEpoch: this.#epoch,
        topicPartitions: owned,
        ...(this.#epoch === 0 ? { rebalanceTimeoutMs: 8000, subscribedTopicNames: ['orders'] } : {}),
      }),
    );
    if ('memberEpoch' in answer) {
      this.#epoch = answer.memberEpoch;
      if (answer.assignment !== null) this.owned = new Set(answer.assignment[0]?.partitions ?? []);
    } else if (!isFault(answer, 'NOT_COORDINATOR')) this.lose();
  }

  leave(): void {
    const answer = this.#under.ask(newHeartbeatOf({ groupId: group, memberId: this.memberId, memberEpoch: -1 }));
    if (!isFault(answer)) this.lose();
  }

  lose(): void {
    this.#epoch = 0;
    this.owned = new Set();
  }
}

class MixedHistory {
  readonly under = new CoordinatorUnderTest();
  readonly #topics = new TopicWorld(this.under.image);
  readonly #random: SeededRandom;
  consumers: Consumer[] = [];
  /** Types the group has been of. */
  readonly types = new Set<string>();
  moves = 0;
  #names = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#topics.set('orders', partitionCount);
  }

  step(): void {
    const random = this.#random;
    this.under.refusal = random.chance(0.03)
      ? { code: 'NOT_LEADER', leaderId: 1 as never, leaderEpoch: 1 as never }
      : null;
    const dice = random.next();
    if (this.consumers.length < 2 || (dice < 0.03 && this.consumers.length < 6)) this.#add();
    const consumer = random.pick(this.consumers);
    if (dice < 0.8) {
      if (!consumer.isSilent) consumer.step();
    } else if (dice < 0.83) {
      consumer.leave();
      if (consumer.owned.size === 0) this.consumers = this.consumers.filter((one) => one !== consumer);
    } else if (dice < 0.84) consumer.isSilent = true;
    else if (dice < 0.98) this.under.advance(100 + random.below(1500));
    else this.under.elect();
    this.under.refusal = null;
    this.#endThoseWhoAreGone();
  }

  #add(): void {
    const isClassic = this.#random.chance(0.5);
    this.consumers.push(
      isClassic ? new ClassicConsumer(this.under) : new NewConsumer(this.under, this.#topics, `new-${++this.#names}`),
    );
  }

  #endThoseWhoAreGone(): void {
    const members = this.#memberIds();
    for (const consumer of this.consumers)
      if (consumer.owned.size > 0 && !members.has(consumer.memberId)) {
        consumer.lose();
        consumer.isSilent = false;
      }
  }

  #memberIds(): Set<string> {
    for (const kind of ['describeGroup', 'consumerGroupDescribe'] as const) {
      const answer = this.under.ask({ kind, groupId: group });
      if (!('members' in answer)) continue;
      if (!this.types.has(kind)) this.moves++;
      this.types.clear();
      this.types.add(kind);
      return new Set((answer.members as readonly { memberId: string }[]).map(({ memberId }) => memberId));
    }
    return new Set();
  }

  owners(): Map<number, string[]> {
    const owners = new Map<number, string[]>();
    for (const { memberId, owned } of this.consumers)
      for (const partition of owned) owners.set(partition, [...(owners.get(partition) ?? []), memberId]);
    return owners;
  }

  ownedTwice(): string[] {
    return [...this.owners()].flatMap(([partition, ids]) => (ids.length > 1 ? [`${partition}: ${ids.join(' ')}`] : []));
  }

  settle(): void {
    for (let round = 0; round < 120; round++) {
      for (const consumer of this.consumers) {
        consumer.isSilent = false;
        consumer.step();
      }
      this.under.advance(500);
      this.#endThoseWhoAreGone();
      expect(this.ownedTwice()).toEqual([]);
    }
  }
}

describe('in random histories of both protocols', () => {
  test('no partition is ever owned by two members, and all partitions have an owner in the end', () => {
    let moves = 0;
    for (let seed = 0; seed < 60; seed++) {
      const history = new MixedHistory(seed);
      for (let step = 0; step < 200; step++) {
        history.step();
        expect(history.ownedTwice(), `seed ${seed}, step ${step}`).toEqual([]);
      }
      history.settle();
      expect([...history.owners().keys()].sort(), `seed ${seed}`).toEqual([0, 1, 2, 3, 4, 5]);
      moves += history.moves;
    }
    // The histories are worth something only if groups do move.
    expect(moves).toBeGreaterThan(120);
  });
});
