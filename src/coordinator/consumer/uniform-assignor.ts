/**
 * `uniform`: every member has as many partitions as any other, give or take one, and keeps what it has as far as that
 * allows. Where members subscribe to different topics, no partition is with a member that has two more than another
 * subscriber of its topic.
 *
 * Kafka's (`UniformAssignor.java`) promises the same balance, and moves a partition more here and there: which members
 * have one more than the others it decides by their order, and this one by what they have.
 */

import { present } from '../../model/assert.ts';
import type { TopicId } from '../../model/brands.ts';
import { type Assignment, emptyAssignment } from './assignment.ts';
import { type AssignorInput, type AssignorMember, byMemberId, isHomogeneous } from './assignor.ts';

/** A member while partitions are handed out. */
interface Share {
  readonly member: AssignorMember;
  /** Copied from the member's target before it is changed. */
  partitions: Map<TopicId, number[]>;
  count: number;
  isChanged: boolean;
}

interface TopicPartition {
  readonly topicId: TopicId;
  readonly partition: number;
}

export function assignUniformly(input: AssignorInput): Map<string, Assignment> {
  if (input.members.length === 0) return new Map();
  const members = [...input.members].sort(byMemberId);
  const shares = members.map((member): Share => ({ member, partitions: new Map(), count: 0, isChanged: false }));
  const unassigned = keepWhatIsValid(shares, input.partitionCounts);
  if (isHomogeneous(members)) levelAll(shares, unassigned);
  else {
    giveToLeast(shares, unassigned);
    levelByTopic(shares);
  }
  return new Map(shares.map((share) => [share.member.memberId, assignmentOf(share)]));
}

/** Each share begins with what its member had and may have; returns what nobody has, topic by topic. */
function keepWhatIsValid(shares: Share[], partitionCounts: ReadonlyMap<TopicId, number>): TopicPartition[] {
  const taken = new Map<TopicId, Uint8Array>();
  for (const { member } of shares)
    for (const topicId of member.topicIds)
      if (!taken.has(topicId)) taken.set(topicId, new Uint8Array(partitionCounts.get(topicId) ?? 0));
  const subscriptions = new Map<readonly TopicId[], ReadonlySet<TopicId>>();
  for (const share of shares) {
    const { topicIds, target } = share.member;
    let subscribed = subscriptions.get(topicIds);
    if (subscribed === undefined) {
      subscribed = new Set(topicIds);
      subscriptions.set(topicIds, subscribed);
    }
    for (const [topicId, partitions] of target) {
      const marks = subscribed.has(topicId) ? taken.get(topicId) : undefined;
      const kept = marks === undefined ? [] : partitions.filter((partition) => marks[partition] === 0);
      if (kept.length < partitions.length) share.isChanged = true;
      if (marks === undefined || kept.length === 0) continue;
      for (const partition of kept) marks[partition] = 1;
      share.partitions.set(topicId, kept);
      share.count += kept.length;
    }
  }
  const unassigned: TopicPartition[] = [];
  for (const [topicId, marks] of taken)
    for (let partition = 0; partition < marks.length; partition++)
      if (marks[partition] === 0) unassigned.push({ topicId, partition });
  return unassigned;
}

/** All may have all: everybody gets the floor of the average, and those who have most already keep one more. */
function levelAll(shares: Share[], unassigned: TopicPartition[]): void {
  let total = unassigned.length;
  for (const { count } of shares) total += count;
  const least = Math.floor(total / shares.length);
  let extras = total % shares.length;
  const quotas = new Map<Share, number>();
  // Whoever is above the floor keeps one more, as long as there are any; the rest of them go to those below.
  for (const share of shares) {
    const isAbove = share.count > least && extras > 0;
    if (isAbove) extras--;
    quotas.set(share, isAbove ? least + 1 : least);
  }
  for (const share of shares) {
    const quota = present(quotas.get(share), 'every share has one');
    while (share.count > quota) unassigned.push(takeOne(share));
  }
  let next = 0;
  for (const share of shares) {
    let quota = present(quotas.get(share), 'every share has one');
    if (quota === least && extras > 0) {
      quota++;
      extras--;
    }
    for (; share.count < quota; next++) give(share, present(unassigned[next], 'quotas add up to all partitions'));
  }
}

/** Not all may have all. Topics with fewest subscribers first: those have least choice. */
function giveToLeast(shares: readonly Share[], unassigned: readonly TopicPartition[]): void {
  const subscribers = subscribersOf(shares);
  const byTopic = new Map<TopicId, TopicPartition[]>();
  for (const one of unassigned) {
    const others = byTopic.get(one.topicId);
    if (others === undefined) byTopic.set(one.topicId, [one]);
    else others.push(one);
  }
  const choiceOf = (topicId: TopicId): number => subscribers.get(topicId)?.length ?? 0;
  const topics = [...byTopic].sort(([a], [b]) => choiceOf(a) - choiceOf(b) || (a < b ? -1 : 1));
  for (const [topicId, partitions] of topics) {
    const candidates = new LeastFirst(present(subscribers.get(topicId), 'who is subscribed to it brought it here'));
    for (const one of partitions) candidates.giveToLeast(one);
  }
}

/**
 * Moves partitions from members with more to members with fewer, topic by topic, until no move makes two members more
 * even. Each move lowers the sum of the squares of the counts, so it ends.
 */
function levelByTopic(shares: readonly Share[]): void {
  const subscribers = subscribersOf(shares);
  for (let hasMoved = true; hasMoved; ) {
    hasMoved = false;
    for (const [topicId, candidates] of subscribers) if (levelTopic(topicId, candidates)) hasMoved = true;
  }
}

function levelTopic(topicId: TopicId, candidates: readonly Share[]): boolean {
  let least = Number.MAX_SAFE_INTEGER;
  let most = 0;
  for (const share of candidates) {
    if (share.count < least) least = share.count;
    if (share.count > most && share.partitions.has(topicId)) most = share.count;
  }
  if (most - least < 2) return false;
  const receivers = new LeastFirst(candidates);
  const givers = candidates.filter((share) => share.partitions.has(topicId)).sort((a, b) => b.count - a.count);
  let hasMoved = false;
  for (const giver of givers)
    while (giver.count - receivers.leastCount() >= 2 && giver.partitions.has(topicId)) {
      const one = takeOneOf(giver, topicId);
      receivers.fixed(giver);
      receivers.giveToLeast(one);
      hasMoved = true;
    }
  return hasMoved;
}

function subscribersOf(shares: readonly Share[]): Map<TopicId, Share[]> {
  const subscribers = new Map<TopicId, Share[]>();
  for (const share of shares)
    for (const topicId of share.member.topicIds) {
      const others = subscribers.get(topicId);
      if (others === undefined) subscribers.set(topicId, [share]);
      else others.push(share);
    }
  return subscribers;
}

/** Members by how many partitions they have: buckets, since counts move by one at a time. */
class LeastFirst {
  readonly #buckets = new Map<number, Set<Share>>();
  readonly #countOf = new Map<Share, number>();
  #least = Number.MAX_SAFE_INTEGER;

  constructor(shares: readonly Share[]) {
    for (const share of shares) this.#put(share);
  }

  leastCount(): number {
    while (this.#buckets.get(this.#least) === undefined) this.#least++;
    return this.#least;
  }

  giveToLeast(one: TopicPartition): void {
    const bucket = this.#buckets.get(this.leastCount());
    const [share] = bucket ?? [];
    const receiver = present(share, 'there is a subscriber');
    give(receiver, one);
    this.fixed(receiver);
  }

  /** The share's count has changed. */
  fixed(share: Share): void {
    const before = present(this.#countOf.get(share), 'it is one of these');
    const bucket = present(this.#buckets.get(before), 'it is in the bucket of its count');
    bucket.delete(share);
    if (bucket.size === 0) this.#buckets.delete(before);
    this.#put(share);
  }

  #put(share: Share): void {
    const bucket = this.#buckets.get(share.count);
    if (bucket === undefined) this.#buckets.set(share.count, new Set([share]));
    else bucket.add(share);
    this.#countOf.set(share, share.count);
    if (share.count < this.#least) this.#least = share.count;
  }
}

function give(share: Share, { topicId, partition }: TopicPartition): void {
  const partitions = share.partitions.get(topicId);
  if (partitions === undefined) share.partitions.set(topicId, [partition]);
  else partitions.push(partition);
  share.count++;
  share.isChanged = true;
}

/** Of the topic it has most of, so that what is left is spread over topics; the highest partition number. */
function takeOne(share: Share): TopicPartition {
  let most: TopicId | null = null;
  let length = 0;
  for (const [topicId, partitions] of share.partitions)
    if (partitions.length > length) {
      most = topicId;
      length = partitions.length;
    }
  return takeOneOf(share, present(most, 'it has more than its quota'));
}

function takeOneOf(share: Share, topicId: TopicId): TopicPartition {
  const partitions = present(share.partitions.get(topicId), 'it has some of that topic');
  const partition = present(partitions.pop(), 'no topic is kept without partitions');
  if (partitions.length === 0) share.partitions.delete(topicId);
  share.count--;
  share.isChanged = true;
  return { topicId, partition };
}

function assignmentOf(share: Share): Assignment {
  if (!share.isChanged) return share.member.target;
  if (share.count === 0) return emptyAssignment;
  for (const partitions of share.partitions.values()) partitions.sort((a, b) => a - b);
  return share.partitions;
}
