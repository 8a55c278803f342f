/**
 * Which subscriptions do the members of a group have, and how many members each? Most groups have one or two, however
 * many members, so what depends on subscriptions is computed once for each of these: a thousand members that name a
 * thousand topics are a million names, and one list.
 */
import type { ConsumerMemberValue } from '../group-records.ts';

export interface Subscription {
  /** Sorted, each once. */
  readonly topicNames: readonly string[];
  /** Null or a pattern that is not empty. */
  readonly regex: string | null;
}

/** An empty pattern is how a client takes a pattern back. */
export const subscriptionOf = (value: ConsumerMemberValue): Subscription => ({
  topicNames: value.subscribedTopicNames,
  regex: value.subscribedTopicRegex === '' ? null : value.subscribedTopicRegex,
});

/** Members that subscribe alike mostly share their list of names. */
export function isSameSubscription(a: Subscription, b: Subscription): boolean {
  if (a.regex !== b.regex) return false;
  if (a.topicNames === b.topicNames) return true;
  return a.topicNames.length === b.topicNames.length && a.topicNames.every((name, at) => b.topicNames[at] === name);
}

/** What all members subscribe to, each name and pattern with the number of different subscriptions that it is in. */
export interface Subscribed {
  readonly topicNames: ReadonlyMap<string, number>;
  readonly patterns: ReadonlyMap<string, number>;
}

interface Counted {
  readonly subscription: Subscription;
  readonly digest: number;
  members: number;
}

export class SubscriptionCounts {
  /** By digest, which may be that of others, too. */
  readonly #counted = new Map<number, Counted[]>();
  /** By the list of names that members share, since most are asked for by that. */
  readonly #shared = new WeakMap<readonly string[], Counted>();
  readonly #topicNames = new Map<string, number>();
  readonly #patterns = new Map<string, number>();
  /** Each name as the one text that all lists of names have of it. */
  readonly #texts = new Map<string, string>();

  /** Returns the same value, sharing the list of names with the others that subscribe to them, and its names with all. */
  add(value: ConsumerMemberValue): ConsumerMemberValue {
    const subscription = subscriptionOf(value);
    const counted = this.#find(subscription) ?? this.#begin(subscription);
    counted.members++;
    return withNames(value, counted.subscription);
  }

  /** The same value, as `add` will return it where others subscribe to the same. */
  shared(value: ConsumerMemberValue): ConsumerMemberValue {
    const counted = this.#find(subscriptionOf(value));
    return counted === null ? value : withNames(value, counted.subscription);
  }

  remove(value: ConsumerMemberValue): void {
    const counted = this.#find(subscriptionOf(value));
    if (counted === null) return;
    counted.members--;
    if (counted.members > 0) return;
    const { subscription, digest } = counted;
    const others = (this.#counted.get(digest) ?? []).filter((other) => other !== counted);
    if (others.length > 0) this.#counted.set(digest, others);
    else this.#counted.delete(digest);
    this.#shared.delete(subscription.topicNames);
    recount(this.#topicNames, this.#patterns, subscription, -1);
    for (const name of subscription.topicNames) if (!this.#topicNames.has(name)) this.#texts.delete(name);
  }

  #begin({ topicNames, regex }: Subscription): Counted {
    const texts = topicNames.map((name) => {
      const text = this.#texts.get(name);
      if (text === undefined) this.#texts.set(name, name);
      return text ?? name;
    });
    const subscription = { topicNames: texts, regex };
    const digest = digestOf(subscription);
    const counted: Counted = { subscription, digest, members: 0 };
    this.#counted.set(digest, [...(this.#counted.get(digest) ?? []), counted]);
    this.#shared.set(texts, counted);
    recount(this.#topicNames, this.#patterns, subscription, 1);
    return counted;
  }

  now(): Subscribed {
    return { topicNames: this.#topicNames, patterns: this.#patterns };
  }

  /** As it will be once these members' subscriptions are gone and one has come. */
  after(gone: readonly Subscription[], come: Subscription | null): Subscribed {
    const left = new Map<Counted, number>();
    for (const subscription of gone) {
      const counted = this.#find(subscription);
      if (counted !== null) left.set(counted, (left.get(counted) ?? counted.members) - 1);
    }
    const comesTo = come === null ? null : this.#find(come);
    if (comesTo !== null) left.delete(comesTo);
    const vanished = [...left].flatMap(([{ subscription }, members]) => (members > 0 ? [] : [subscription]));
    const isNew = come !== null && comesTo === null;
    if (vanished.length === 0 && !isNew) return this.now();
    const topicNames = new Map(this.#topicNames);
    const patterns = new Map(this.#patterns);
    for (const subscription of vanished) recount(topicNames, patterns, subscription, -1);
    if (isNew) recount(topicNames, patterns, come, 1);
    return { topicNames, patterns };
  }

  #find(subscription: Subscription): Counted | null {
    const shared = this.#shared.get(subscription.topicNames);
    if (shared !== undefined && shared.subscription.regex === subscription.regex) return shared;
    const alike = this.#counted.get(digestOf(subscription));
    return alike?.find((counted) => isSameSubscription(counted.subscription, subscription)) ?? null;
  }
}

const withNames = (value: ConsumerMemberValue, { topicNames }: Subscription): ConsumerMemberValue =>
  value.subscribedTopicNames === topicNames ? value : { ...value, subscribedTopicNames: topicNames };

function recount(
  topicNames: Map<string, number>,
  patterns: Map<string, number>,
  subscription: Subscription,
  by: 1 | -1,
): void {
  for (const name of subscription.topicNames) add(topicNames, name, by);
  if (subscription.regex !== null) add(patterns, subscription.regex, by);
}

function add(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** FNV-1a, by UTF-16 units: of a thousand names in some ten microseconds. */
function digestOf({ topicNames, regex }: Subscription): number {
  let digest = 0x811c9dc5;
  const take = (text: string): void => {
    for (let at = 0; at < text.length; at++) digest = Math.imul(digest ^ text.charCodeAt(at), 0x01000193);
    digest = Math.imul(digest ^ 0x10000, 0x01000193);
  };
  for (const name of topicNames) take(name);
  take(regex ?? '');
  return digest;
}
