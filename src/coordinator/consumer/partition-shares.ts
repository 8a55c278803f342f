/**
 * What members have while partitions are handed out (`uniform-assignor.ts`): each topic knows who owns its partitions, each
 * member's share how many it has, and members that subscribe to the same topics are one audience of those.
 */
import { present } from '../../model/assert.ts';
import type { TopicId } from '../../model/brands.ts';
import { type Assignment, emptyAssignment } from './assignment.ts';
import type { AssignorMember } from './assignor.ts';

export interface Topic {
  readonly id: TopicId;
  readonly number: number;
  /** By partition; null while nobody has it. */
  readonly owners: (Share | null)[];
}

export interface TopicPartition {
  readonly topic: Topic;
  readonly partition: number;
}

export class Share {
  readonly member: AssignorMember;
  readonly audience: Audience;
  /** Of partitions. */
  count = 0;
  /** Copied from the member's target when it first changes. */
  #own: Map<TopicId, number[]> | null = null;

  constructor(member: AssignorMember, audience: Audience) {
    this.member = member;
    this.audience = audience;
  }

  /** It begins with what its member had and may have, as far as no share before has taken that. */
  keepWhatIsValid(topics: ReadonlyMap<TopicId, Topic>): void {
    const { target } = this.member;
    let hasLost = false;
    for (const [topicId, partitions] of target) {
      const topic = topics.get(topicId);
      const owners = topic !== undefined && this.audience.subscribesTo(topic) ? topic.owners : [];
      for (const partition of partitions)
        if (owners[partition] === null) {
          owners[partition] = this;
          this.count++;
        } else hasLost = true;
    }
    if (!hasLost) return;
    this.#own = new Map();
    for (const [topicId, partitions] of target) {
      const kept = partitions.filter((partition) => topics.get(topicId)?.owners[partition] === this);
      if (kept.length > 0) this.#own.set(topicId, kept);
    }
  }

  give({ topic, partition }: TopicPartition): void {
    const own = this.#changed();
    const partitions = own.get(topic.id);
    if (partitions === undefined) own.set(topic.id, [partition]);
    else partitions.push(partition);
    topic.owners[partition] = this;
    this.count++;
  }

  has({ id }: Topic): boolean {
    return (this.#own ?? this.member.target).has(id);
  }

  takeOneOf(topic: Topic): TopicPartition {
    const own = this.#changed();
    const partitions = present(own.get(topic.id), 'it has some of that topic');
    const partition = present(partitions.pop(), 'no topic is kept without partitions');
    if (partitions.length === 0) own.delete(topic.id);
    topic.owners[partition] = null;
    this.count--;
    return { topic, partition };
  }

  /**
   * So many, one after the other of the topic it has most of, so that what is left is spread over topics; of each the
   * highest partition number.
   */
  takeMany(count: number, topics: ReadonlyMap<TopicId, Topic>): TopicPartition[] {
    const ofLength = new Map<number, Topic[]>();
    const places = new Map<Topic, number>();
    let length = 0;
    for (const [topicId, partitions] of this.#changed()) {
      const topic = present(topics.get(topicId), 'only what is valid was kept');
      places.set(topic, places.size);
      const others = ofLength.get(partitions.length);
      if (others === undefined) ofLength.set(partitions.length, [topic]);
      else others.push(topic);
      length = Math.max(length, partitions.length);
    }
    const byPlace = (a: Topic, b: Topic): number => (places.get(a) ?? 0) - (places.get(b) ?? 0);
    const taken: TopicPartition[] = [];
    // All those it has most of, which have one less after each round, and then as many as the next ones.
    for (let most: Topic[] = []; ; length--) {
      const next = ofLength.get(length) ?? [];
      if (next.length > 0) most = [...most, ...next].sort(byPlace);
      for (const topic of most) {
        if (taken.length === count) return taken;
        taken.push(this.takeOneOf(topic));
      }
    }
  }

  /** The target itself where nothing has changed. */
  assignment(): Assignment {
    if (this.#own === null) return this.member.target;
    if (this.count === 0) return emptyAssignment;
    for (const partitions of this.#own.values()) partitions.sort((a, b) => a - b);
    return this.#own;
  }

  #changed(): Map<TopicId, number[]> {
    if (this.#own === null) {
      this.#own = new Map();
      for (const [topicId, partitions] of this.member.target) this.#own.set(topicId, [...partitions]);
    }
    return this.#own;
  }
}

/** Members that subscribe to the same topics, by how many partitions they have: buckets, since counts move by one. */
export class Audience {
  /** By number. */
  readonly topics: readonly number[];
  readonly #subscribed: Uint8Array;
  readonly #byCount = new Map<number, Set<Share>>();
  /** What the one with fewest partitions has. */
  least = Number.MAX_SAFE_INTEGER;
  size = 0;

  /** `topicCount`: of all that members subscribe to. */
  constructor(topics: readonly number[], topicCount: number) {
    this.topics = topics;
    this.#subscribed = new Uint8Array(topicCount);
    for (const number of topics) this.#subscribed[number] = 1;
  }

  subscribesTo({ number }: Topic): boolean {
    return this.#subscribed[number] === 1;
  }

  add(share: Share): void {
    this.size++;
    this.#put(share);
  }

  giveToLeast(one: TopicPartition): void {
    const [share] = this.#byCount.get(this.least) ?? [];
    const receiver = present(share, 'there is nobody in an audience without members');
    receiver.give(one);
    this.#move(receiver, receiver.count - 1);
  }

  takeOneOf(share: Share, topic: Topic): TopicPartition {
    const one = share.takeOneOf(topic);
    this.#move(share, share.count + 1);
    return one;
  }

  #move(share: Share, before: number): void {
    const bucket = present(this.#byCount.get(before), 'it is in the bucket of its count');
    bucket.delete(share);
    if (bucket.size === 0) {
      this.#byCount.delete(before);
      if (this.least === before) this.least = share.count;
    }
    this.#put(share);
  }

  #put(share: Share): void {
    const bucket = this.#byCount.get(share.count);
    if (bucket === undefined) this.#byCount.set(share.count, new Set([share]));
    else bucket.add(share);
    if (share.count < this.least) this.least = share.count;
  }
}
