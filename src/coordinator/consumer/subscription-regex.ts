/**
 * Subscriptions by pattern (KIP-848): RE2's syntax, matched in time linear in the length of a topic's name, against the
 * whole of it. Internal topics match as any other (`TopicRegexResolver.java`).
 *
 * re2js is loaded at the first pattern: its 260 kB would add 10 ms to the start of every broker.
 */
import { createRequire } from 'node:module';

/** The part of re2js that is used. */
interface CompiledPattern {
  matches(input: string): boolean;
  programSize(): number;
}
interface Re2Js {
  readonly RE2JS: { compile(pattern: string): CompiledPattern };
}

/**
 * The longest pattern taken, in UTF-16 units, and the largest program: linear is not cheap, and the longest topic name
 * (249 characters) took a program of 1,000 instructions up to 10 ms in re2js 2.10, and the first one of all, while states are
 * being built, 35 ms (4,000: 270 ms; I42). A hundred topics named one by one take some hundred instructions where their names
 * begin alike, and a thousand where they do not. Kafka has no such limits.
 */
const maxPatternLength = 10_000;
const maxProgramSize = 1000;

let re2js: Re2Js | null = null;

export class SubscriptionRegex {
  readonly pattern: string;
  readonly #compiled: CompiledPattern;
  readonly #programSize: number;

  private constructor(pattern: string, compiled: CompiledPattern) {
    this.pattern = pattern;
    this.#compiled = compiled;
    this.#programSize = compiled.programSize();
  }

  /** Or why the pattern is refused. */
  static compile(pattern: string): SubscriptionRegex | { readonly refusal: string } {
    if (pattern.length > maxPatternLength) return { refusal: `it is longer than ${maxPatternLength} characters` };
    re2js ??= createRequire(import.meta.url)('re2js') as Re2Js;
    let regex: SubscriptionRegex;
    try {
      regex = new SubscriptionRegex(pattern, re2js.RE2JS.compile(pattern));
    } catch (error) {
      // Whatever it trips over (a stack that overflows, too), it is the pattern that brought it there.
      return { refusal: error instanceof Error ? error.message : String(error) };
    }
    if (regex.#programSize > maxProgramSize)
      return { refusal: `it compiles to more than ${maxProgramSize} instructions: name the topics instead` };
    return regex;
  }

  matches(topic: string): boolean {
    try {
      return this.#compiled.matches(topic);
    } catch {
      // A fault of the matcher must not end the broker that a client's pattern led there.
      return false;
    }
  }

  /** At most so much does matching names with so many characters cost; a unit took 1 to 40 ns in re2js 2.10. */
  costOf(characters: number): number {
    return this.#programSize * characters;
  }
}

/** What is matched of a name: all of it, and its end. */
export const charactersOf = (topic: string): number => topic.length + 1;

/** Which topics patterns match, found in slices, since a cluster may have very many. */
export class RegexScan {
  readonly #regexes: readonly SubscriptionRegex[];
  readonly #topics: Iterator<string>;
  readonly #matches: Map<string, Set<string>>;
  /** The topic that has been matched against the first so many patterns. */
  #topic: { readonly name: string; patterns: number } | null = null;

  /** `topics` may change while the scan goes on, as the keys of a Map may. */
  constructor(regexes: readonly SubscriptionRegex[], topics: Iterable<string>) {
    this.#regexes = regexes;
    this.#topics = topics[Symbol.iterator]();
    this.#matches = new Map(regexes.map(({ pattern }) => [pattern, new Set()]));
  }

  /** Goes on until all topics were seen or so much was spent; returns topics by pattern in the former case. */
  advance(budget: number): ReadonlyMap<string, Set<string>> | null {
    for (let spent = 0; spent < budget; ) {
      const topic = this.#topic ?? this.#nextTopic();
      if (topic === null) return this.#matches;
      const regex = this.#regexes[topic.patterns++];
      if (regex === undefined) {
        this.#topic = null;
        continue;
      }
      this.#topic = topic;
      spent += regex.costOf(charactersOf(topic.name));
      if (regex.matches(topic.name)) this.#matches.get(regex.pattern)?.add(topic.name);
    }
    return null;
  }

  #nextTopic(): { readonly name: string; patterns: number } | null {
    const topic = this.#topics.next();
    return topic.done === true ? null : { name: topic.value, patterns: 0 };
  }
}
