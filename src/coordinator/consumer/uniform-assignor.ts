/**
 * `uniform`: every member has as many partitions as any other, give or take one, and keeps what it has as far as that
 * allows. Where members subscribe to different topics, no partition is with a member that has two more than another
 * subscriber of its topic.
 *
 * Kafka's (`UniformAssignor.java`) promises the same balance, and moves a partition more here and there: which members
 * have one more than the others it decides by their order, and this one by what they have.
 *
 * It is asked at each change of a group, and most of them change little. So nothing is copied before it changes, and
 * nothing is done for each member and each topic it subscribes to: a thousand times a thousand are too many.
 */

import { assert, present } from '../../model/assert.ts';
import type { TopicId } from '../../model/brands.ts';
import type { Assignment } from './assignment.ts';
import { type AssignorInput, type AssignorTopic, byMemberId } from './assignor.ts';
import { Audience, Share, type Topic, type TopicPartition } from './partition-shares.ts';

export function assignUniformly(input: AssignorInput): Map<string, Assignment> {
  if (input.members.length === 0) return new Map();
  const members = [...input.members].sort(byMemberId);
  const audiences = new Map<readonly number[], Audience>();
  for (const { topics } of members)
    if (!audiences.has(topics)) audiences.set(topics, new Audience(topics, input.topics.length));
  const topics = subscribedTopics(input.topics, audiences.keys());
  const byId = new Map(topics.map((topic) => [topic.id, topic]));
  const shares = members.map((member) => {
    const share = new Share(member, present(audiences.get(member.topics), 'it was made for one of them'));
    share.keepWhatIsValid(byId);
    return share;
  });
  if (areAlike([...audiences.keys()])) levelAll(shares, topics, byId);
  else {
    for (const share of shares) share.audience.add(share);
    const audience = [...audiences.values()];
    giveToLeast(topics, audience);
    levelByTopic(topics, audience);
  }
  return new Map(shares.map((share) => [share.member.memberId, share.assignment()]));
}

/** Whether all these subscriptions are to the same topics. */
function areAlike([first, ...others]: readonly (readonly number[])[]): boolean {
  const numbers = new Set(first);
  return others.every((topics) => topics.length === numbers.size && topics.every((number) => numbers.has(number)));
}

/** In the order in which they are first subscribed to. */
function subscribedTopics(all: readonly AssignorTopic[], lists: Iterable<readonly number[]>): Topic[] {
  const topics: Topic[] = [];
  const isSeen = new Uint8Array(all.length);
  for (const numbers of lists) {
    if (topics.length === all.length) break;
    for (const number of numbers) {
      if (isSeen[number] === 1) continue;
      isSeen[number] = 1;
      const { topicId: id, partitions } = present(all[number], 'every subscribed topic has a number');
      topics.push({ id, number, owners: new Array<Share | null>(partitions).fill(null) });
    }
  }
  return topics;
}

function unassignedOf(topic: Topic): TopicPartition[] {
  const unassigned: TopicPartition[] = [];
  for (const [partition, owner] of topic.owners.entries()) if (owner === null) unassigned.push({ topic, partition });
  return unassigned;
}

/** All may have all: everybody gets the floor of the average, and those who have most already keep one more. */
function levelAll(shares: readonly Share[], topics: readonly Topic[], byId: ReadonlyMap<TopicId, Topic>): void {
  const unassigned = topics.flatMap(unassignedOf);
  let total = unassigned.length;
  for (const { count } of shares) total += count;
  const least = Math.floor(total / shares.length);
  let extras = total % shares.length;
  // Whoever is above the floor keeps one more, as long as there are any; the rest of them go to those below.
  const quotas = shares.map(({ count }) => (count > least && extras-- > 0 ? least + 1 : least));
  for (const [at, share] of shares.entries()) {
    const tooMany = share.count - (quotas[at] ?? 0);
    if (tooMany > 0) for (const one of share.takeMany(tooMany, byId)) unassigned.push(one);
  }
  let next = 0;
  for (const [at, share] of shares.entries()) {
    let quota = quotas[at] ?? 0;
    if (quota === least && extras-- > 0) quota++;
    for (; share.count < quota; next++) share.give(present(unassigned[next], 'quotas add up to all partitions'));
  }
}

/** Not all may have all. Topics with fewest subscribers first: those have least choice. */
function giveToLeast(topics: readonly Topic[], audiences: readonly Audience[]): void {
  const open: { readonly topic: Topic; readonly subscribers: readonly Audience[]; readonly choice: number }[] = [];
  for (const topic of topics) {
    if (!topic.owners.includes(null)) continue;
    const subscribers = subscribersOf(topic, audiences);
    open.push({ topic, subscribers, choice: subscribers.reduce((sum, { size }) => sum + size, 0) });
  }
  open.sort((a, b) => a.choice - b.choice || (a.topic.id < b.topic.id ? -1 : 1));
  for (const { topic, subscribers } of open) {
    const receivers = new Receivers(subscribers);
    for (const one of unassignedOf(topic)) receivers.next().giveToLeast(one);
  }
}

const subscribersOf = (topic: Topic, audiences: readonly Audience[]): Audience[] =>
  audiences.filter((audience) => audience.subscribesTo(topic));

/** What the member has that has fewest. */
function leastOf(audiences: readonly Audience[]): number {
  let least = Number.MAX_SAFE_INTEGER;
  for (const audience of audiences) if (audience.least < least) least = audience.least;
  return least;
}

/** Subscribers of a topic, as long as none of them comes to have fewer partitions than the one that has fewest. */
class Receivers {
  readonly #subscribers: readonly Audience[];
  #least = 0;
  /** None before this one has a member with so few. */
  #at: number;

  constructor(subscribers: readonly Audience[]) {
    assert(subscribers.length > 0, 'a topic is here for its subscribers');
    this.#subscribers = subscribers;
    this.#at = subscribers.length;
  }

  /** Whose member has fewest. */
  next(): Audience {
    for (;;) {
      const audience = this.#subscribers[this.#at];
      if (audience === undefined) {
        this.#least = leastOf(this.#subscribers);
        this.#at = 0;
      } else if (audience.least === this.#least) return audience;
      else this.#at++;
    }
  }
}

/**
 * Moves partitions from members with more to members with fewer, topic by topic, until no move makes two members more
 * even. Each move lowers the sum of the squares of the counts, so it ends.
 */
function levelByTopic(topics: readonly Topic[], audiences: readonly Audience[]): void {
  for (let hasMoved = true; hasMoved; ) {
    hasMoved = false;
    const least = leastByTopic(topics, audiences);
    // What becomes uneven by a move within this round is seen in the next.
    for (const topic of topics)
      if (hasMoreThan((least[topic.number] ?? 0) + 1, topic) && levelTopic(topic, subscribersOf(topic, audiences)))
        hasMoved = true;
  }
}

/** By number. */
function leastByTopic(topics: readonly Topic[], audiences: readonly Audience[]): Uint32Array {
  const least = new Uint32Array(topics.reduce((most, { number }) => Math.max(most, number), 0) + 1).fill(0xffffffff);
  for (const audience of audiences)
    for (const number of audience.topics) if (audience.least < (least[number] ?? 0)) least[number] = audience.least;
  return least;
}

const hasMoreThan = (count: number, { owners }: Topic): boolean =>
  owners.some((owner) => owner !== null && owner.count > count);

function levelTopic(topic: Topic, subscribers: readonly Audience[]): boolean {
  const receivers = new Receivers(subscribers);
  const mayGive = receivers.next().least + 2;
  const givers = new Set<Share>();
  for (const owner of topic.owners) if (owner !== null && owner.count >= mayGive) givers.add(owner);
  let hasMoved = false;
  for (const giver of [...givers].sort((a, b) => b.count - a.count))
    while (giver.count - receivers.next().least >= 2 && giver.has(topic)) {
      // It keeps more than the receiver has, so that nobody comes to have fewer than that one.
      const one = giver.audience.takeOneOf(giver, topic);
      receivers.next().giveToLeast(one);
      hasMoved = true;
    }
  return hasMoved;
}
