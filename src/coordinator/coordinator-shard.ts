/**
 * One partition of a coordinator's topic as a state machine that can be replayed: the groups, or transactional ids,
 * that hash to it.
 *
 *     request, tick, metadata ──► step { records, answers }      reads durable state, never changes it
 *                                   │ appended
 *                                   ▼
 *     log, from its start ──────► replay(record)                 the only writer of durable state
 *
 * What is not written (who has joined a rebalance, when a session ends, who waits for an answer) a step may change at
 * once, but only so that it stays right when the records of that step are refused: then nothing is replayed, every
 * answer of the step becomes a refusal, and the client, or the next tick, comes again.
 */

/** Both clocks at one moment: sessions and rebalances run on the first, what is written carries the second. */
export interface Now {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface GivenAnswer<Answer> {
  readonly requestId: number;
  readonly answer: Answer;
}

/** What follows from one event for one key (a group id): records that are appended as one batch, and answers. */
export interface Step<Record, Answer> {
  /** Answers wait until all that was appended for this key, by this step and before, is committed; null: for any key. */
  readonly key: string | null;
  readonly records: readonly Record[];
  /** Of this request and of earlier ones that waited. A request id that nobody waits for any more is passed over. */
  readonly answers: readonly GivenAnswer<Answer>[];
  /**
   * Answers tell what is durable, and another coordinator may have moved that on since: they leave only if there was none
   * when the request came. What writes records need not say so: that they are committed proves it.
   */
  readonly isRead?: true;
}

export interface CoordinatorShard<Request, Record, Answer> {
  /** A step without an answer to `requestId` keeps it waiting: a later step answers it. */
  handle(request: Request, requestId: number, now: Now): readonly Step<Record, Answer>[];
  replay(record: Record): void;
  /** All that was committed is replayed and this shard begins to serve: sessions of those it found start now. */
  onLoaded(now: Now): void;
  /**
   * This process stood still for so long (§2.3, stall guard): what members sent meanwhile waits in its sockets, so nobody's
   * time counts as over yet.
   */
  onStalled(byMs: number): void;
  /** Sessions that ended, rebalances that took their time, offsets that expired. */
  onTick(now: Now): readonly Step<Record, Answer>[];
  /** It serves no more, and is forgotten: what it holds of what others share is given back. */
  close(): void;
  /** Topics that came, went or grew. */
  onTopicsChanged(change: TopicsChange, now: Now): readonly Step<Record, Answer>[];
}

export interface TopicsChange {
  /** Names of topics that are new or have more partitions. */
  readonly changed: readonly string[];
  /** Names of topics that are gone (one of the same name may be there again). */
  readonly deleted: readonly string[];
}
