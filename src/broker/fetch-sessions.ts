/**
 * Incremental fetch sessions (KIP-227): what a consumer asked for last time is remembered, so that it names only
 * what changes and is told only what is new.
 *
 *   request (id, epoch)   means
 *   0, 0                  full fetch; a session may be opened: the answer's id is then not 0
 *   0, -1                 full fetch, no session wanted
 *   n, 0                  close session n, full fetch, may open another
 *   n, -1                 close session n, full fetch, no session
 *   n, e > 0              incremental: partitions named are added or changed, forgotten ones removed
 *
 * Sessions live in memory and need no durability: a wrong id just causes a full fetch.
 */
import type { Random } from '../env/random.ts';
import { BrokerError } from '../model/fault.ts';

/** One partition of a fetch. Of `topicId` and `topic` the request gave one; the other is looked up per request. */
export interface FetchPartition {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  readonly fetchOffset: bigint;
  readonly currentLeaderEpoch: number;
  readonly lastFetchedEpoch: number;
  readonly maxBytes: number;
}

/** What one partition's answer has that decides whether an incremental answer carries it. */
export interface FetchedPartition {
  readonly errorCode: number;
  readonly byteLength: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly hasHint: boolean;
}

interface CachedPartition {
  asked: FetchPartition;
  highWatermark: number;
  logStartOffset: number;
}

interface FetchSession {
  readonly id: number;
  readonly usesTopicIds: boolean;
  /** The epoch the next request must carry. */
  nextEpoch: number;
  lastUsedMs: number;
  /** In the order in which partitions are served; those that gave data move to the end. */
  readonly partitions: Map<string, CachedPartition>;
}

export interface FetchRequestPlan {
  readonly sessionId: number;
  readonly sessionEpoch: number;
  readonly usesTopicIds: boolean;
  readonly partitions: readonly FetchPartition[];
  readonly forgotten: readonly { readonly topicId: string; readonly topic: string; readonly partition: number }[];
}

/** What to fetch, and which answers to send. */
export interface FetchContext {
  /** For the answer; 0 without a session. */
  readonly sessionId: number;
  readonly partitions: readonly FetchPartition[];
  /** Whether the answer carries this partition; remembers what was told. Called once per partition, in order. */
  mustAnswer(asked: FetchPartition, fetched: FetchedPartition): boolean;
  /** Whether an answer without this partition would do: lets an empty answer go on waiting. */
  readonly isIncremental: boolean;
}

const noSession = 0;
const finalEpoch = -1;
const initialEpoch = 0;
const largest = 2 ** 31 - 1;
/** A session unused for so long may make way for a new one (Kafka's min.incremental.fetch.session.eviction.ms). */
const evictableAfterMs = 120_000;

const keyOf = (one: { topicId: string; topic: string; partition: number }, usesTopicIds: boolean): string =>
  `${usesTopicIds ? one.topicId : one.topic}/${one.partition}`;

export class FetchSessions {
  readonly #slots: number;
  readonly #random: Random;
  /** Least recently used first. */
  readonly #sessions = new Map<number, FetchSession>();

  constructor(options: { slots: number }, modules: { random: Random }) {
    this.#slots = options.slots;
    this.#random = modules.random;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Throws FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR. */
  begin(plan: FetchRequestPlan, nowMs: number): FetchContext {
    if (plan.sessionEpoch === initialEpoch || plan.sessionEpoch === finalEpoch) {
      if (plan.sessionId !== noSession) this.#sessions.delete(plan.sessionId);
      const session = plan.sessionEpoch === finalEpoch ? null : this.#open(plan, nowMs);
      return session ? this.#fullContext(session, plan) : sessionless(plan.partitions);
    }
    const session = this.#sessions.get(plan.sessionId);
    if (!session) throw new BrokerError({ code: 'FETCH_SESSION_ID_NOT_FOUND' });
    if (session.nextEpoch !== plan.sessionEpoch) throw new BrokerError({ code: 'INVALID_FETCH_SESSION_EPOCH' });
    if (session.usesTopicIds !== plan.usesTopicIds) throw new BrokerError({ code: 'FETCH_SESSION_TOPIC_ID_ERROR' });
    session.nextEpoch = session.nextEpoch === largest ? 1 : session.nextEpoch + 1;
    session.lastUsedMs = nowMs;
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
    this.#change(session, plan);
    return incremental(session);
  }

  #change(session: FetchSession, plan: FetchRequestPlan): void {
    for (const asked of plan.partitions) {
      const key = keyOf(asked, session.usesTopicIds);
      const known = session.partitions.get(key);
      if (known) known.asked = asked;
      else session.partitions.set(key, { asked, highWatermark: -1, logStartOffset: -1 });
    }
    for (const gone of plan.forgotten) session.partitions.delete(keyOf(gone, session.usesTopicIds));
  }

  #open(plan: FetchRequestPlan, nowMs: number): FetchSession | null {
    if (plan.partitions.length === 0 || !this.#hasRoom(nowMs)) return null;
    let id = noSession;
    while (id === noSession || this.#sessions.has(id)) id = 1 + Math.floor(this.#random.next() * (largest - 1));
    const session: FetchSession = {
      id,
      usesTopicIds: plan.usesTopicIds,
      nextEpoch: 1,
      lastUsedMs: nowMs,
      partitions: new Map(),
    };
    this.#change(session, plan);
    this.#sessions.set(id, session);
    return session;
  }

  #hasRoom(nowMs: number): boolean {
    if (this.#sessions.size < this.#slots) return true;
    const [oldest] = this.#sessions.values();
    if (!oldest || nowMs - oldest.lastUsedMs < evictableAfterMs) return false;
    this.#sessions.delete(oldest.id);
    return true;
  }

  #fullContext(session: FetchSession, plan: FetchRequestPlan): FetchContext {
    return {
      sessionId: session.id,
      partitions: plan.partitions,
      isIncremental: false,
      mustAnswer: (asked, fetched) => {
        remember(session, asked, fetched);
        return true; // Java checks that a full answer has every partition.
      },
    };
  }
}

function remember(session: FetchSession, asked: FetchPartition, fetched: FetchedPartition): boolean {
  const key = keyOf(asked, session.usesTopicIds);
  const known = session.partitions.get(key);
  if (!known) return true;
  const isNews =
    fetched.errorCode !== 0 ||
    fetched.byteLength > 0 ||
    fetched.hasHint ||
    known.highWatermark !== fetched.highWatermark ||
    known.logStartOffset !== fetched.logStartOffset;
  // An error is told again each time until it is gone, and then the first good answer is news too.
  known.highWatermark = fetched.errorCode === 0 ? fetched.highWatermark : -1;
  known.logStartOffset = fetched.errorCode === 0 ? fetched.logStartOffset : -1;
  if (fetched.byteLength > 0) {
    session.partitions.delete(key);
    session.partitions.set(key, known);
  }
  return isNews;
}

const sessionless = (partitions: readonly FetchPartition[]): FetchContext => ({
  sessionId: noSession,
  partitions,
  isIncremental: false,
  mustAnswer: () => true,
});

const incremental = (session: FetchSession): FetchContext => ({
  sessionId: session.id,
  partitions: [...session.partitions.values()].map((cached) => cached.asked),
  isIncremental: true,
  mustAnswer: (asked, fetched) => remember(session, asked, fetched),
});
