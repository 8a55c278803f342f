/**
 * Which subscriptions do the members of a group have, and how many members each? Most groups have one or two, however
 * many members, so what depends on subscriptions is computed once for each of these.
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

export const subscriptionKey = ({ topicNames, regex }: Subscription): string => JSON.stringify([regex, topicNames]);

interface Counted {
  readonly subscription: Subscription;
  members: number;
}

export class SubscriptionCounts {
  readonly #counted = new Map<string, Counted>();

  /** Returns the same value, sharing the list of names with the others that subscribe to them. */
  add(value: ConsumerMemberValue): ConsumerMemberValue {
    const subscription = subscriptionOf(value);
    const key = subscriptionKey(subscription);
    const counted = this.#counted.get(key);
    if (counted === undefined) {
      this.#counted.set(key, { subscription, members: 1 });
      return value;
    }
    counted.members++;
    return { ...value, subscribedTopicNames: counted.subscription.topicNames };
  }

  remove(value: ConsumerMemberValue): void {
    const key = subscriptionKey(subscriptionOf(value));
    const counted = this.#counted.get(key);
    if (counted === undefined) return;
    counted.members--;
    if (counted.members === 0) this.#counted.delete(key);
  }

  /** As they will be once these members' subscriptions are gone and one has come. */
  after(gone: readonly Subscription[], come: Subscription | null): Subscription[] {
    const left = new Map<string, Counted>();
    for (const [key, { subscription, members }] of this.#counted) left.set(key, { subscription, members });
    for (const subscription of gone) {
      const key = subscriptionKey(subscription);
      const counted = left.get(key);
      if (counted === undefined) continue;
      counted.members--;
      if (counted.members === 0) left.delete(key);
    }
    if (come !== null) left.set(subscriptionKey(come), { subscription: come, members: 1 });
    return [...left.values()].map(({ subscription }) => subscription);
  }

  now(): Subscription[] {
    return [...this.#counted.values()].map(({ subscription }) => subscription);
  }
}

export function patternsOf(subscriptions: readonly Subscription[]): Set<string> {
  const patterns = new Set<string>();
  for (const { regex } of subscriptions) if (regex !== null) patterns.add(regex);
  return patterns;
}
