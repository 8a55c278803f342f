import { describe, expect, test } from 'vitest';
import { RegexScan, SubscriptionRegex } from '../../../../src/coordinator/consumer/subscription-regex.ts';
import { GroupWorld, shown } from './group-world.ts';

function compiled(pattern: string): SubscriptionRegex {
  const regex = SubscriptionRegex.compile(pattern);
  if ('refusal' in regex) throw new Error(regex.refusal);
  return regex;
}

describe('a pattern', () => {
  // pattern | topic | matches
  const cases = [
    ['orders', 'orders', true],
    ['orders', 'orders-1', false],
    ['orders', 'my-orders', false],
    ['orders-.*', 'orders-', true],
    ['a|ab', 'ab', true],
    ['(?i)ORDERS', 'orders', true],
    ['[^_].*', '__consumer_offsets', false],
    ['.*', '__consumer_offsets', true],
    ['^orders$', 'orders', true],
    ['\\w+\\.v[0-9]+', 'orders.v12', true],
    ['', '', true],
  ] as const;
  for (const [pattern, topic, matches] of cases)
    test(`${pattern} ${matches ? 'matches' : 'does not match'} the whole of ${topic}`, () => {
      expect(compiled(pattern).matches(topic)).toBe(matches);
    });

  const refused = [
    ['that is malformed', '('],
    ['with what RE2 does not have', '(?=orders).*'],
    ['with a reference back', '(a)\\1'],
    ['of more than 10,000 characters', 'a'.repeat(10_001)],
    ['of more than 1,000 instructions', '(.?){600}'],
    ['that nests too deep', '('.repeat(4000) + ')'.repeat(4000)],
  ] as const;
  for (const [why, pattern] of refused)
    test(`${why} is refused`, () => {
      expect(SubscriptionRegex.compile(pattern)).toHaveProperty('refusal');
    });
});

describe('a scan over topics', () => {
  const topics = Array.from({ length: 50 }, (_, at) => `topic-${at}`);

  test('finds the same in slices as at once', () => {
    const regexes = [compiled('topic-1.*'), compiled('.*5')];
    const whole = new RegexScan(regexes, topics).advance(Number.MAX_SAFE_INTEGER);
    const scan = new RegexScan(regexes, topics);
    let slices = 1;
    let found = scan.advance(200);
    for (; found === null; slices++) found = scan.advance(200);
    expect(slices).toBeGreaterThan(10);
    expect(found).toEqual(whole);
    expect(found.get('.*5')).toEqual(new Set(['topic-5', 'topic-15', 'topic-25', 'topic-35', 'topic-45']));
  });

  test('matches as little as one pattern in a slice', () => {
    const scan = new RegexScan([compiled('topic-1.*'), compiled('.*5'), compiled('x')], topics);
    let slices = 0;
    while (scan.advance(1) === null) slices++;
    expect(slices).toBe(3 * topics.length);
  });
});

describe('a subscription by pattern', () => {
  const pattern = { subscribedTopicRegex: 'orders-.*' };

  function subscribed(topics = 1): GroupWorld {
    const world = new GroupWorld();
    for (let number = 0; number < topics; number++) world.topics.set(`orders-${number}`, 1);
    world.topics.set('other', 1);
    world.join('m1', [], pattern);
    return world;
  }
  const told = (world: GroupWorld): unknown => {
    const { memberEpoch } = world.describedMember('m1');
    return shown(world.topics, world.beat({ memberEpoch, topicPartitions: world.partitionsOf('m1') }).assignment);
  };

  test('is given its topics with the first answer, and is written', () => {
    const world = subscribed();
    expect(shown(world.topics, world.partitionsOf('m1'))).toEqual({ 'orders-0': [0] });
    expect(world.log.find(({ kind }) => kind === 'consumerGroupRegularExpression')).toMatchObject({
      regularExpression: 'orders-.*',
      value: { topics: ['orders-0'] },
    });
  });

  test('follows topics that come and go, and another coordinator follows on', () => {
    const world = subscribed();
    world.changeTopics(() => world.topics.set('orders-new', 1), ['orders-new']);
    expect(told(world)).toEqual({ 'orders-0': [0], 'orders-new': [0] });
    world.changeTopics(() => world.topics.set('others', 1), ['others']);
    expect(told(world)).toBeNull();
    world.topics.set('orders-newer', 1);
    world.topics.delete('orders-0');
    world.failOver();
    expect(told(world)).toEqual({ 'orders-new': [0], 'orders-newer': [0] });
    expect(told(world)).toBeNull();
  });

  test('whose new topics could not be written finds them again', () => {
    const world = subscribed();
    world.isRefusing = true;
    world.changeTopics(() => world.topics.set('orders-new', 1), ['orders-new']);
    expect(world.refusal({ memberEpoch: 1 })).toBe('NOT_COORDINATOR');
    world.isRefusing = false;
    expect(told(world)).toEqual({ 'orders-0': [0], 'orders-new': [0] });
  });

  test('is evaluated anew in time', () => {
    const world = subscribed();
    const written = (): number => world.log.filter(({ kind }) => kind === 'consumerGroupRegularExpression').length;
    for (let minute = 0; minute < 11; minute++) {
      for (let beat = 0; beat < 2; beat++) {
        world.beat({ memberEpoch: 1 });
        world.pass(30_000);
      }
      expect(written()).toBe(minute < 10 ? 1 : 2);
    }
    expect(world.describe().groupEpoch).toBe(1);
  });

  test('over very many topics is found step by step, between heartbeats', () => {
    const world = subscribed(20_000);
    expect(world.describedMember('m1').assignment).toEqual([]);
    world.pass(200);
    expect(world.describe().state).toBe('Stable');
    world.pass(5000);
    expect(world.describe().state).toBe('Assigning');
    world.beat({ memberEpoch: 1, topicPartitions: [] });
    expect(world.describedMember('m1').assignment).toHaveLength(20_000);
  });

  test('that takes long is matched against new topics step by step, too', () => {
    const costly = 'n(.?){240}|orders-.*';
    const world = subscribed();
    world.beat({ memberEpoch: 1, subscribedTopicRegex: costly });
    world.pass(1000);
    const names = Array.from({ length: 20 }, (_, index) => 'n'.repeat(200 + index));
    world.changeTopics(() => {
      for (const name of names) world.topics.set(name, 1);
    }, names);
    world.beat({ memberEpoch: world.describedMember('m1').memberEpoch });
    expect(names.filter((name) => world.group.isSubscribedTo(name))).toEqual([]);
    world.pass(1000);
    expect(names.filter((name) => world.group.isSubscribedTo(name))).toEqual(names);
    expect(told(world)).toEqual({ 'orders-0': [0], ...Object.fromEntries(names.map((name) => [name, [0]])) });
  });

  test('is taken back by an empty pattern, and forgotten by the last who had it', () => {
    const world = subscribed();
    world.join('m2', [], pattern);
    world.beat({ memberId: 'm1', memberEpoch: 1, subscribedTopicRegex: '', subscribedTopicNames: ['other'] });
    expect(world.group.isSubscribedTo('orders-0')).toBe(true);
    world.beat({ memberId: 'm2', memberEpoch: -1 });
    expect(world.group.isSubscribedTo('orders-0')).toBe(false);
    expect(world.log.filter(({ kind }) => kind === 'consumerGroupRegularExpression').at(-1)).toMatchObject({
      value: null,
    });
  });

  test('may be refused while a member keeps the one it has', () => {
    const world = subscribed();
    expect(world.refusal({ memberEpoch: 1, subscribedTopicRegex: '[' })).toBe('INVALID_REGULAR_EXPRESSION');
    expect(world.describedMember('m1').subscribedTopicRegex).toBe('orders-.*');
  });
});
