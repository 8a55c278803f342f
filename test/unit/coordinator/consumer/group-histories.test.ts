/**
 * Random histories of a group: consumers that join, leave, crash, are slow to give partitions up or never do, change
 * what they subscribe to, lose answers; topics that grow, come and go; a log that refuses; coordinators that fail over,
 * on logs that were compacted.
 */
import { describe, expect, test } from 'vitest';
import { ConsumerGroupState } from '../../../../src/coordinator/consumer/consumer-group-state.ts';
import type { TopicPartitions } from '../../../../src/coordinator/group-records.ts';
import { type ConsumerGroupHeartbeatAnswer, isRefused } from '../../../../src/coordinator/group-requests.ts';
import { SeededRandom } from '../../../simulation/seeded-random.ts';
import { compacted, GroupWorld, type Heartbeat } from './group-world.ts';

const topicNames = ['orders-a', 'orders-b', 'other'];

const listed = (partitions: readonly TopicPartitions[]): string[] =>
  partitions.flatMap(({ topicId, partitions: numbers }) => numbers.map((number) => `${topicId} ${number}`));

/** Ownership begins with the answer that tells it, and ends when the consumer gives up, is told to have nothing, or is gone. */
class Consumer {
  readonly #world: GroupWorld;
  readonly #random: SeededRandom;
  readonly instanceId: string | null;
  memberId: string;
  epoch = 0;
  owned = new Set<string>();
  #told = new Set<string>();
  #names: readonly string[] = [];
  #regex: string | null = null;
  /** It does not beat any more, and still works on what it owns: only the end of its session ends that. */
  isSilent = false;
  /** It never gives up what it has to. */
  isStuck = false;
  isAway = false;
  #ids = 0;

  constructor(world: GroupWorld, random: SeededRandom, name: string, isStatic: boolean) {
    this.#world = world;
    this.#random = random;
    this.memberId = name;
    this.instanceId = isStatic ? `instance-${name}` : null;
    this.subscribe();
  }

  subscribe(): void {
    this.#names = topicNames.filter(() => this.#random.chance(0.6));
    this.#regex = this.#random.chance(0.3) ? 'orders-.*' : null;
  }

  beat(): void {
    const isFull = this.epoch === 0 || this.#random.chance(0.3);
    const isOwnedSaid = isFull || this.#random.chance(0.6);
    const heartbeat: Heartbeat = {
      memberId: this.memberId,
      memberEpoch: this.epoch,
      instanceId: this.instanceId,
      topicPartitions: isOwnedSaid ? this.#report() : null,
      ...(isFull
        ? { rebalanceTimeoutMs: 20_000, subscribedTopicNames: this.#names, subscribedTopicRegex: this.#regex ?? '' }
        : {}),
    };
    const answer = this.#world.ask(heartbeat);
    if (this.#random.chance(0.1)) return;
    if (!isRefused(answer)) this.#onAnswer(answer as ConsumerGroupHeartbeatAnswer);
    else if (answer.fault.code !== 'NOT_COORDINATOR') this.lose();
  }

  #onAnswer({ memberEpoch, assignment }: ConsumerGroupHeartbeatAnswer): void {
    this.epoch = memberEpoch;
    if (assignment === null) return;
    this.#told = new Set(listed(assignment));
    for (const one of this.#told) this.owned.add(one);
  }

  giveUp(): void {
    if (!this.isStuck) for (const one of this.owned) if (!this.#told.has(one)) this.owned.delete(one);
  }

  /** All is lost to it, and it joins again. */
  lose(): void {
    this.epoch = 0;
    this.owned.clear();
    this.#told.clear();
  }

  leave(): void {
    const answer = this.#world.ask({ memberId: this.memberId, memberEpoch: -1, instanceId: this.instanceId });
    if (!isRefused(answer)) this.lose();
  }

  leaveForAWhile(): void {
    if (this.instanceId === null || this.epoch <= 0) return;
    const answer = this.#world.ask({ memberId: this.memberId, memberEpoch: -2, instanceId: this.instanceId });
    if (isRefused(answer)) return;
    this.lose();
    this.isAway = true;
  }

  comeBack(): void {
    if (!this.isAway) return;
    this.isAway = false;
    this.memberId = `${this.instanceId}-${++this.#ids}`;
  }

  #report(): TopicPartitions[] {
    const byTopic = new Map<string, number[]>();
    for (const one of this.owned) {
      const [topicId = '', number = ''] = one.split(' ');
      byTopic.set(topicId, [...(byTopic.get(topicId) ?? []), Number(number)]);
    }
    const known = [...this.#world.topics.image.topics.keys(), ...this.#world.topics.gone];
    return known.flatMap((topicId) => {
      const partitions = byTopic.get(topicId);
      return partitions === undefined ? [] : [{ topicId, partitions }];
    });
  }
}

class History {
  readonly world = new GroupWorld();
  readonly consumers: Consumer[] = [];
  readonly #random: SeededRandom;
  #names = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    for (const name of topicNames) this.world.topics.set(name, 1 + this.#random.below(6));
    for (let count = 2 + this.#random.below(4); count > 0; count--) this.#addConsumer();
  }

  #addConsumer(): void {
    this.consumers.push(new Consumer(this.world, this.#random, `m${++this.#names}`, this.#random.chance(0.4)));
  }

  step(): void {
    const random = this.#random;
    const consumer = random.pick(this.consumers);
    const dice = random.next();
    this.world.isRefusing = random.chance(0.05);
    if (dice < 0.55) {
      if (!consumer.isSilent && !consumer.isAway) consumer.beat();
    } else if (dice < 0.75) consumer.giveUp();
    else if (dice < 0.78) consumer.subscribe();
    else if (dice < 0.8) consumer.leave();
    else if (dice < 0.83) consumer.leaveForAWhile();
    else if (dice < 0.87) consumer.comeBack();
    else if (dice < 0.88) consumer.isSilent = true;
    else if (dice < 0.885) consumer.isStuck = true;
    else if (dice < 0.9) {
      if (this.consumers.length < 8) this.#addConsumer();
    } else if (dice < 0.93) this.#changeTopics();
    else if (dice < 0.98) this.world.pass(100 * random.below(80));
    else this.failOver();
    this.world.isRefusing = false;
    this.#endThoseWhoAreGone();
  }

  #changeTopics(): void {
    const { topics } = this.world;
    const name = this.#random.pick(topicNames);
    const before = topics.image.topicByName(name)?.record.partitions ?? 0;
    if (before > 0 && this.#random.chance(0.3)) this.world.changeTopics(() => topics.delete(name), [], [name]);
    else this.world.changeTopics(() => topics.set(name, before + 1 + this.#random.below(3)), [name]);
  }

  failOver(): void {
    const { world } = this;
    const before = world.describe();
    world.failOver(this.#random.chance(0.5) ? world.log : compacted(world.log, this.#random.chance(0.5)));
    const byId = (a: { memberId: string }, b: { memberId: string }): number => (a.memberId < b.memberId ? -1 : 1);
    const after = world.describe();
    expect({ ...after, members: [...after.members].sort(byId) }).toEqual({
      ...before,
      members: [...before.members].sort(byId),
    });
  }

  /** A session that ended ends what its consumer owns: it would have noticed by itself long before. */
  #endThoseWhoAreGone(): void {
    const members = new Set(this.world.describe().members.map(({ memberId }) => memberId));
    for (const consumer of this.consumers)
      if (!members.has(consumer.memberId) && consumer.epoch !== 0) {
        consumer.lose();
        consumer.isSilent = false;
        consumer.isStuck = false;
      }
  }

  ownedTwice(): string[] {
    const owners = new Map<string, string>();
    const twice: string[] = [];
    for (const { memberId, owned } of this.consumers)
      for (const one of owned) {
        const other = owners.get(one);
        if (other !== undefined) twice.push(`${one} is owned by ${other} and ${memberId}`);
        owners.set(one, memberId);
      }
    return twice;
  }

  /** Everybody does as it should, until all that was silent or stuck is over. */
  settle(): void {
    for (const consumer of this.consumers) {
      consumer.comeBack();
      consumer.isSilent = false;
      consumer.isStuck = false;
    }
    for (let round = 0; round < 60; round++) {
      for (const consumer of this.consumers) {
        consumer.giveUp();
        consumer.beat();
      }
      this.world.pass(1000);
      this.#endThoseWhoAreGone();
      expect(this.ownedTwice()).toEqual([]);
    }
  }
}

describe('in random histories', () => {
  const seeds = Array.from({ length: 120 }, (_, seed) => seed);

  test('no partition is ever owned by two members, all come to have what they shall have, and every replay agrees', () => {
    for (const seed of seeds) {
      const history = new History(seed);
      for (let step = 0; step < 250; step++) {
        history.step();
        expect(history.ownedTwice(), `seed ${seed}, step ${step}`).toEqual([]);
      }
      history.settle();
      const { state, members } = history.world.describe();
      expect(state, `seed ${seed}`).toBe('Stable');
      for (const { memberId, assignment, targetAssignment } of members) {
        expect(assignment, `seed ${seed}, ${memberId}`).toEqual(targetAssignment);
        const consumer = history.consumers.find((one) => one.memberId === memberId);
        expect([...(consumer?.owned ?? [])].sort(), `seed ${seed}, ${memberId}`).toEqual(listed(assignment).sort());
      }
      history.failOver();
    }
  });

  test('who owns what is the same after any compaction', () => {
    for (const seed of seeds.slice(0, 50)) {
      const history = new History(seed);
      for (let step = 0; step < 150; step++) history.step();
      const { world } = history;
      const owners = (records: readonly (typeof world.log)[number][]): (string | null)[] => {
        const state = new ConsumerGroupState();
        for (const record of records)
          if (record.kind !== 'offsetCommit' && record.kind !== 'classicGroup') state.replay(record);
        return [...world.topics.image.topics].flatMap(([topicId, { record }]) =>
          Array.from({ length: record.partitions }, (_, partition) => state.ownerOf(topicId, partition)),
        );
      };
      const all = owners(world.log);
      expect(owners(compacted(world.log, true)), `seed ${seed}`).toEqual(all);
      expect(owners(compacted(world.log, false)), `seed ${seed}`).toEqual(all);
      // Of what is superseded any part may still be there.
      const newest = new Set(compacted(world.log, true));
      const random = new SeededRandom(seed);
      const partly = world.log.filter((record) => newest.has(record) || random.chance(0.5));
      expect(owners(partly), `seed ${seed}`).toEqual(all);
    }
  });
});
