import { describe, expect, test } from 'vitest';
import { SubscriptionCounts, subscriptionOf } from '../../../../src/coordinator/consumer/subscription-counts.ts';
import type { ConsumerMemberValue } from '../../../../src/coordinator/group-records.ts';

const subscribing = (
  subscribedTopicNames: string[],
  subscribedTopicRegex: string | null = null,
): ConsumerMemberValue => ({
  instanceId: null,
  rackId: null,
  clientId: 'client',
  clientHost: '/127.0.0.1',
  subscribedTopicNames,
  subscribedTopicRegex,
  rebalanceTimeoutMs: 1000,
  serverAssignor: null,
  classicMemberMetadata: null,
});

/** Another text each time, as names come from the wire. */
const fresh = (name: string): string => Buffer.from(name).toString();

describe('what members of a group subscribe to', () => {
  test('is counted by subscription, however many members have it', () => {
    const counts = new SubscriptionCounts();
    counts.add(subscribing(['a', 'b']));
    counts.add(subscribing(['a', 'b']));
    counts.add(subscribing(['b'], 'x.*'));
    expect(Object.fromEntries(counts.now().topicNames)).toEqual({ a: 1, b: 2 });
    expect(Object.fromEntries(counts.now().patterns)).toEqual({ 'x.*': 1 });
    counts.remove(subscribing(['a', 'b']));
    expect([...counts.now().topicNames.keys()]).toEqual(['a', 'b']);
    counts.remove(subscribing(['a', 'b']));
    counts.remove(subscribing(['b'], 'x.*'));
    expect(counts.now().topicNames.size + counts.now().patterns.size).toBe(0);
  });

  test('is one list for members that subscribe alike, and one text for each name', () => {
    const counts = new SubscriptionCounts();
    const first = counts.add(subscribing([fresh('a'), fresh('b')]));
    const second = counts.add(subscribing([fresh('a'), fresh('b')]));
    expect(second.subscribedTopicNames).toBe(first.subscribedTopicNames);
    expect(counts.shared(subscribing([fresh('a'), fresh('b')])).subscribedTopicNames).toBe(first.subscribedTopicNames);
    const other = subscribing([fresh('b')]);
    expect(counts.shared(other)).toBe(other);
  });

  // gone | come | topic names after
  const cases: readonly (readonly [string, ConsumerMemberValue[], ConsumerMemberValue | null, string[]])[] = [
    ['a member of several goes', [subscribing(['a', 'b'])], null, ['a', 'b', 'c']],
    ['all members of a subscription go', [subscribing(['a', 'b']), subscribing(['a', 'b'])], null, ['b', 'c']],
    ['one comes with what others have', [], subscribing(['b', 'c']), ['a', 'b', 'c']],
    ['one comes with something else', [], subscribing(['d']), ['a', 'b', 'c', 'd']],
    ['the last of a subscription changes it', [subscribing(['b', 'c'])], subscribing(['b']), ['a', 'b']],
    ['the last of a subscription keeps it', [subscribing(['b', 'c'])], subscribing(['b', 'c']), ['a', 'b', 'c']],
    ['one goes that was never there', [subscribing(['z'])], null, ['a', 'b', 'c']],
  ];
  for (const [title, gone, come, expected] of cases)
    test(`is told as it will be once ${title}, and stays as it is`, () => {
      const counts = new SubscriptionCounts();
      for (const names of [
        ['a', 'b'],
        ['a', 'b'],
        ['b', 'c'],
      ])
        counts.add(subscribing(names));
      const after = counts.after(gone.map(subscriptionOf), come === null ? null : subscriptionOf(come));
      expect([...after.topicNames.keys()].sort()).toEqual(expected);
      expect([...counts.now().topicNames.keys()]).toEqual(['a', 'b', 'c']);
    });
});
