import { describe, expect, test, vi } from 'vitest';
import { allTopicNames, SubscribedTopics } from '../../../../src/coordinator/consumer/subscribed-topics.ts';
import { GroupWorld, idOf, TopicWorld } from './group-world.ts';

const none = new Map<string, { topics: ReadonlySet<string> }>();

describe('topics that members subscribe to', () => {
  const shownOf = (topics: SubscribedTopics, names: readonly string[], regex: string | null = null, regexes = none) =>
    topics.numbersOf({ topicNames: names, regex }, regexes).map((number) => topics.all()[number]);

  test('are those that are there, by name or pattern, each once', () => {
    const world = new TopicWorld();
    world.set('a', 2);
    world.set('b', 3);
    const regexes = new Map([['.*', { topics: new Set(['a', 'b']) }]]);
    const topics = new SubscribedTopics();
    const subscribed = {
      topicNames: new Map([
        ['b', 1],
        ['x', 1],
      ]),
      patterns: new Map([['.*', 1]]),
    };
    topics.lookUp(allTopicNames(subscribed, regexes), world.image);
    const [a, b] = [
      { topicId: idOf(1), partitions: 2 },
      { topicId: idOf(2), partitions: 3 },
    ];
    expect(shownOf(topics, ['b', 'x'])).toEqual([b]);
    expect(shownOf(topics, ['b', 'x'], '.*', regexes)).toEqual([b, a]);
    expect(shownOf(topics, ['b'], 'never resolved')).toEqual([b]);
  });

  test('are one list for who shares a list of names, until one of them comes or goes', () => {
    const world = new TopicWorld();
    world.set('a', 2);
    const names = ['a', 'b'];
    const topics = new SubscribedTopics();
    const lookUp = (...others: string[]): void => topics.lookUp(new Set([...names, ...others]), world.image);
    lookUp();
    const before = topics.numbersOf({ topicNames: names, regex: null }, none);
    world.set('a', 5);
    world.set('c', 1);
    lookUp('c');
    expect(topics.numbersOf({ topicNames: names, regex: null }, none)).toBe(before);
    expect(shownOf(topics, names)).toEqual([{ topicId: idOf(1), partitions: 5 }]);
    world.set('b', 1);
    lookUp('c');
    expect(shownOf(topics, names)).toHaveLength(2);
    world.delete('a');
    lookUp();
    expect(shownOf(topics, names)).toEqual([{ topicId: idOf(3), partitions: 1 }]);
  });
});

describe('a group of many members that name many topics', () => {
  const names = Array.from({ length: 100 }, (_, at) => `topic-${at}`);

  function grown(members: number): { world: GroupWorld; lookUps(): number } {
    const world = new GroupWorld();
    for (const name of names) world.topics.set(name, 3);
    for (let at = 0; at < members; at++) world.join(`m${at}`, [...names]);
    const topicByName = vi.spyOn(world.topics.image, 'topicByName');
    return {
      world,
      lookUps: () => {
        const count = topicByName.mock.calls.length;
        topicByName.mockClear();
        return count;
      },
    };
  }

  test('looks each topic up once for who comes or goes, and not at all for who stays', () => {
    for (const members of [1, 30]) {
      const { world, lookUps } = grown(members);
      const { memberEpoch } = world.join('another', [...names]);
      expect(lookUps()).toBe(names.length);
      world.beat({ memberId: 'another', memberEpoch, topicPartitions: [] });
      world.beat({ memberId: 'another', memberEpoch });
      expect(lookUps()).toBe(0);
      world.beat({ memberId: 'another', memberEpoch: -1 });
      expect(lookUps()).toBe(names.length);
    }
  });
});
