/**
 * Which topics are those that the members of a group subscribe to? Their names are looked up once each, however many
 * members name them, and what a subscription comes to is found once, as long as none of its topics comes, goes or grows.
 */
import { present } from '../../model/assert.ts';
import type { ClusterImage, TopicImage } from '../../model/cluster-image.ts';
import type { AssignorTopic } from './assignor.ts';
import { metadataHash } from './metadata-hash.ts';
import type { Subscribed, Subscription } from './subscription-counts.ts';

/** By pattern. */
export type ResolvedRegexes = ReadonlyMap<string, { readonly topics: ReadonlySet<string> }>;

/** All that members name, and what their patterns match. */
export function allTopicNames({ topicNames, patterns }: Subscribed, regexes: ResolvedRegexes): Set<string> {
  const names = new Set(topicNames.keys());
  for (const pattern of patterns.keys()) for (const name of regexes.get(pattern)?.topics ?? []) names.add(name);
  return names;
}

interface Known {
  readonly regex: string | null;
  /** What the pattern matched. */
  readonly matches: ReadonlySet<string> | null;
  readonly numbering: number;
  readonly numbers: readonly number[];
}

export class SubscribedTopics {
  /** By each name that was looked up last; undefined where there is no such topic. */
  #topics: ReadonlyMap<string, TopicImage | undefined> = new Map();
  /** Topics that are there have numbers, by name; the same ones as long as no topic comes or goes that was named before. */
  #numbers = new Map<string, number>();
  #numbering = 0;
  readonly #known = new WeakMap<readonly string[], Known>();

  /** Of these names, once each: all that is asked here until the next time is about them. */
  lookUp(names: ReadonlySet<string>, image: ClusterImage): void {
    const topics = new Map<string, TopicImage | undefined>();
    let confirmed = 0;
    for (const name of names) {
      const topic = image.topicByName(name);
      topics.set(name, topic);
      if (this.#topics.has(name) && this.#topics.get(name)?.id === topic?.id) confirmed++;
    }
    // A name that was not there before is in no subscription that has numbers.
    if (confirmed < this.#topics.size) {
      this.#numbering++;
      this.#numbers = new Map();
    }
    for (const [name, topic] of topics)
      if (topic !== undefined && !this.#numbers.has(name)) this.#numbers.set(name, this.#numbers.size);
    this.#topics = topics;
  }

  /** Of those that were looked up. */
  hash(): bigint {
    return metadataHash(this.#topics);
  }

  /** By number. */
  all(): AssignorTopic[] {
    const topics: AssignorTopic[] = [];
    for (const name of this.#numbers.keys()) {
      const { id, record } = present(this.#topics.get(name), 'what has a number is there');
      topics.push({ topicId: id, partitions: record.partitions });
    }
    return topics;
  }

  /** Those that are there, each once: one list for all members that share theirs. Patterns not resolved yet match nothing. */
  numbersOf({ topicNames, regex }: Subscription, regexes: ResolvedRegexes): readonly number[] {
    const matches = regex === null ? null : (regexes.get(regex)?.topics ?? null);
    const known = this.#known.get(topicNames);
    if (known?.numbering === this.#numbering && known.regex === regex && known.matches === matches)
      return known.numbers;
    const names = matches === null ? topicNames : new Set([...topicNames, ...matches]);
    const numbers: number[] = [];
    for (const name of names) {
      const number = this.#numbers.get(name);
      if (number !== undefined) numbers.push(number);
    }
    this.#known.set(topicNames, { regex, matches, numbering: this.#numbering, numbers });
    return numbers;
  }
}
