/**
 * Which topics do the patterns of one group match? The answers are written (`consumerGroupRegularExpression`), so that a
 * new coordinator goes on with the same ones; this decides when they are to be found anew:
 *
 * | a pattern                                             | is evaluated on                                           |
 * | ----------------------------------------------------- | --------------------------------------------------------- |
 * | is new in the group                                   | all topics                                                |
 * | was evaluated by another coordinator                  | all topics, once                                          |
 * | was evaluated `group.consumer.regex.refresh.interval.ms` ago | all topics                                         |
 * | would take longer than a step over what came or went  | all topics                                                |
 * | otherwise                                             | the topics that came or went since                        |
 *
 * All topics are many: they are gone through in slices, a bounded amount of work each. Nothing here is lost for good when
 * what was found cannot be written: it is found again at the next heartbeat.
 */
import type { ClusterImage } from '../../model/cluster-image.ts';
import type { Fault } from '../../model/fault.ts';
import type { Now, TopicsChange } from '../coordinator-shard.ts';
import type { ResolvedRegex } from './consumer-group-state.ts';
import { charactersOf, RegexScan, SubscriptionRegex } from './subscription-regex.ts';

/** Of `SubscriptionRegex.costOf`, a step: 2 ms for the usual pattern, 20 for the worst that was found. */
const sliceBudget = 500_000;
/** With more topics changed at once, going through all of them is as good. */
const maxUnseenTopics = 1000;

/** Patterns by whatever: which of them there are is all that counts. */
type Patterns = ReadonlyMap<string, unknown>;

export class RegexResolution {
  readonly #refreshIntervalMs: number;
  readonly #compiled = new Map<string, SubscriptionRegex>();
  #scan: { readonly scan: RegexScan; readonly isOfAllPatterns: boolean } | null = null;
  /** Topics that came or went since the patterns were last evaluated. */
  #unseen: Set<string> | 'all' = new Set();

  constructor(refreshIntervalMs: number) {
    this.#refreshIntervalMs = refreshIntervalMs;
  }

  /** There are topics left to go through: `resolve` is to be called again soon. */
  get isScanning(): boolean {
    return this.#scan !== null;
  }

  onLoaded(): void {
    this.#unseen = 'all';
  }

  onTopicsChanged({ changed, deleted }: TopicsChange): void {
    if (this.#unseen === 'all') return;
    for (const name of changed) this.#unseen.add(name);
    for (const name of deleted) this.#unseen.add(name);
    if (this.#unseen.size > maxUnseenTopics) this.#unseen = 'all';
  }

  /** Why a pattern is refused. */
  check(pattern: string): Fault | null {
    if (this.#compiled.has(pattern)) return null;
    const regex = SubscriptionRegex.compile(pattern);
    if ('refusal' in regex) return { code: 'INVALID_REGULAR_EXPRESSION', reason: `${pattern}: ${regex.refusal}` };
    this.#compiled.set(pattern, regex);
    return null;
  }

  /** What is to be written: of these patterns, those that match other topics than before, or were evaluated anew in time. */
  resolve(
    patterns: Patterns,
    resolved: ReadonlyMap<string, ResolvedRegex>,
    image: ClusterImage,
    now: Now,
  ): Map<string, ResolvedRegex> {
    for (const pattern of this.#compiled.keys()) if (!patterns.has(pattern)) this.#compiled.delete(pattern);
    if (patterns.size === 0) {
      this.#scan = null;
      this.#unseen = new Set();
      return new Map();
    }
    if (this.#scan === null && this.#isUnseenTooMuch(patterns)) this.#unseen = 'all';
    if (this.#scan === null) this.#maybeStartScan(patterns, resolved, image, now);
    if (this.#scan === null) return this.#resolveUnseen(patterns, resolved, image, now);
    return this.#goOnScanning(this.#scan, patterns, resolved, image, now);
  }

  #maybeStartScan(
    patterns: Patterns,
    resolved: ReadonlyMap<string, ResolvedRegex>,
    image: ClusterImage,
    now: Now,
  ): void {
    const isOfAllPatterns = this.#unseen === 'all';
    const due: SubscriptionRegex[] = [];
    for (const pattern of patterns.keys()) {
      const before = resolved.get(pattern);
      if (before === undefined || isOfAllPatterns || this.#isOutdated(before, now)) {
        const regex = this.#compile(pattern);
        if (regex !== null) due.push(regex);
      }
    }
    if (due.length === 0) return;
    if (isOfAllPatterns) this.#unseen = new Set();
    this.#scan = { scan: new RegexScan(due, image.topicIds.keys()), isOfAllPatterns };
  }

  #goOnScanning(
    { scan, isOfAllPatterns }: { readonly scan: RegexScan; readonly isOfAllPatterns: boolean },
    patterns: Patterns,
    resolved: ReadonlyMap<string, ResolvedRegex>,
    image: ClusterImage,
    now: Now,
  ): Map<string, ResolvedRegex> {
    const changes = new Map<string, ResolvedRegex>();
    const matches = scan.advance(sliceBudget);
    if (matches === null) return changes;
    this.#scan = null;
    let hasChanged = false;
    for (const [pattern, topics] of matches) {
      if (!patterns.has(pattern)) continue;
      for (const name of topics) if (!image.topicIds.has(name)) topics.delete(name);
      const before = resolved.get(pattern);
      const isSame = before !== undefined && isSameSet(before.topics, topics);
      if (!isSame) hasChanged = true;
      if (!isSame || this.#isOutdated(before, now))
        changes.set(pattern, { topics, version: image.revision, timestampMs: now.wallMs });
    }
    // Until a scan has found nothing new, what the last one found may not have been written.
    if (isOfAllPatterns && hasChanged) this.#unseen = 'all';
    return changes;
  }

  #isUnseenTooMuch(patterns: Patterns): boolean {
    if (this.#unseen === 'all' || this.#unseen.size === 0) return false;
    let characters = 0;
    for (const name of this.#unseen) characters += charactersOf(name);
    let cost = 0;
    for (const pattern of patterns.keys()) cost += this.#compile(pattern)?.costOf(characters) ?? 0;
    return cost > sliceBudget;
  }

  #resolveUnseen(
    patterns: Patterns,
    resolved: ReadonlyMap<string, ResolvedRegex>,
    image: ClusterImage,
    now: Now,
  ): Map<string, ResolvedRegex> {
    const changes = new Map<string, ResolvedRegex>();
    if (this.#unseen === 'all' || this.#unseen.size === 0) return changes;
    for (const pattern of patterns.keys()) {
      const before = resolved.get(pattern);
      const regex = this.#compile(pattern);
      if (before === undefined || regex === null) continue;
      const topics = new Set(before.topics);
      for (const name of this.#unseen) {
        if (image.topicIds.has(name) && regex.matches(name)) topics.add(name);
        else topics.delete(name);
      }
      if (!isSameSet(before.topics, topics))
        changes.set(pattern, { topics, version: image.revision, timestampMs: now.wallMs });
    }
    if (changes.size === 0) this.#unseen.clear();
    return changes;
  }

  #isOutdated(regex: ResolvedRegex, now: Now): boolean {
    return now.wallMs - regex.timestampMs >= this.#refreshIntervalMs;
  }

  /** Null for a pattern that another coordinator took and this one cannot: it matches nothing. */
  #compile(pattern: string): SubscriptionRegex | null {
    if (this.check(pattern) !== null) return null;
    return this.#compiled.get(pattern) ?? null;
  }
}

export function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const name of a) if (!b.has(name)) return false;
  return true;
}
