/**
 * One partition of a coordinator's topic, as the broker that leads it coordinates it: loads what was written, serves
 * requests, and holds every answer until what it tells is committed. No log, socket or timer here.
 *
 *     idle ──elected──► loading ──► catching up ──► serving
 *      ▲                 read to the      high watermark
 *      └─── resigned     log end of       reaches that
 *           (any state)  the election     log end
 *
 * - Until it serves, everybody is told COORDINATOR_LOAD_IN_PROGRESS: a high watermark that is only a checkpoint would
 *   tell offsets that are older than those acknowledged (I39; client-expectations, failing over 8).
 * - A record is replayed when the log has taken it, so the next request sees it, but its answer waits for the high
 *   watermark; so does the answer to anybody who was told what that record changed. One rule for reads and writes: an
 *   answer tells only what is committed.
 * - The answer to a read waits until it is certain that no other coordinator had begun when the read came: one that has been
 *   deposed, and cannot know it yet, holds what others have moved on.
 * - A batch that the log refuses changes nothing. One that it took and cannot finish ends the leadership, and with it
 *   this state: the next election loads what was kept.
 */
import { unreachable } from '../model/assert.ts';
import { type LeaderEpoch, type Offset, offsetZero } from '../model/brands.ts';
import { BrokerError, type Fault } from '../model/fault.ts';
import type { CoordinatorShard, Now, Step, TopicsChange } from './coordinator-shard.ts';

export interface PartitionCoordinatorOptions {
  /** `offsets.commit.timeout.ms`: how long an answer waits for its records to be committed. */
  readonly commitTimeoutMs: number;
}

/** The log of the partition, as far as its leader may write. */
export interface CoordinatorLog<Record> {
  /**
   * Appends the records as one batch, under acks=all; returns the offset after it. Throws a BrokerError when the batch is
   * refused, and then nothing was written.
   */
  append(records: readonly Record[], wallMs: number): Offset;
  /** Whether this broker may still act as leader: not cut off, not stood still for too long (I19). */
  maySpeak(): boolean;
  /**
   * Returns what `leadershipConfirmed` will name, or has named before this returns, once it is certain that no other leader
   * had begun when this was called. Numbers of one leader epoch grow.
   */
  questionLeadership(): number;
}

export interface PartitionCoordinatorModules<Request, Record, Answer> {
  readonly log: CoordinatorLog<Record>;
  /** A fresh one for each election. */
  newShard(): CoordinatorShard<Request, Record, Answer>;
}

export type PartitionCoordinatorEvent<Request, Record> =
  | {
      readonly kind: 'elected';
      readonly leaderEpoch: LeaderEpoch;
      readonly logStartOffset: Offset;
      readonly logEndOffset: Offset;
      readonly highWatermark: Offset;
      readonly now: Now;
    }
  /** Records from the last `read` on, in order. `nextOffset` is after all of that read, null where more of it will come. */
  | {
      readonly kind: 'recordsRead';
      readonly leaderEpoch: LeaderEpoch;
      readonly records: readonly Record[];
      readonly nextOffset: Offset | null;
      readonly now: Now;
    }
  | { readonly kind: 'resigned' }
  | { readonly kind: 'highWatermarkMoved'; readonly highWatermark: Offset; readonly now: Now }
  /** This broker led, and nobody else, when it was asked this question (`questionLeadership`), and all those before. */
  | { readonly kind: 'leadershipConfirmed'; readonly question: number }
  | { readonly kind: 'requested'; readonly requestId: number; readonly request: Request; readonly now: Now }
  /** The client is gone: nobody waits for this answer. */
  | { readonly kind: 'withdrawn'; readonly requestId: number }
  | { readonly kind: 'topicsChanged'; readonly change: TopicsChange; readonly now: Now }
  /** This process stood still for so long; comes before the tick that was late. */
  | { readonly kind: 'stalled'; readonly byMs: number }
  | { readonly kind: 'ticked'; readonly now: Now };

export type PartitionCoordinatorAction<Answer> =
  /** Read records from this offset on, up to `endOffset`, and step `recordsRead`. */
  | {
      readonly kind: 'read';
      readonly leaderEpoch: LeaderEpoch;
      readonly offset: Offset;
      readonly endOffset: Offset;
    }
  | { readonly kind: 'answer'; readonly requestId: number; readonly answer: Answer }
  | { readonly kind: 'refuse'; readonly requestId: number; readonly fault: Fault };

type Phase<Request, Record, Answer> =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'loading';
      readonly leaderEpoch: LeaderEpoch;
      readonly endOffset: Offset;
      readonly shard: CoordinatorShard<Request, Record, Answer>;
    }
  | {
      readonly kind: 'catchingUp';
      readonly leaderEpoch: LeaderEpoch;
      readonly endOffset: Offset;
      readonly shard: CoordinatorShard<Request, Record, Answer>;
    }
  | {
      readonly kind: 'serving';
      readonly leaderEpoch: LeaderEpoch;
      readonly shard: CoordinatorShard<Request, Record, Answer>;
    };

/** An answer that waits for the high watermark. */
interface Held<Answer> {
  readonly requestId: number;
  readonly answer: Answer;
  readonly endOffset: Offset;
  readonly deadlineMs: number;
}

/** The answer to a read that waits until this leadership is confirmed; then for the high watermark. */
interface Unconfirmed<Answer> extends Held<Answer> {
  readonly question: number;
}

const loadInProgress: Fault = { code: 'COORDINATOR_LOAD_IN_PROGRESS' };
const notCoordinator: Fault = { code: 'NOT_COORDINATOR' };
const notAvailable: Fault = { code: 'COORDINATOR_NOT_AVAILABLE' };

export class PartitionCoordinator<Request, Record, Answer> {
  readonly #options: PartitionCoordinatorOptions;
  readonly #modules: PartitionCoordinatorModules<Request, Record, Answer>;
  #phase: Phase<Request, Record, Answer> = { kind: 'idle' };
  #highWatermark: Offset = offsetZero;
  /** By key: the end of the newest batch that was appended for it and is not committed. */
  readonly #uncommitted = new Map<string, Offset>();
  /** The end of the newest batch that was appended for any key. */
  #appendedEndOffset: Offset = offsetZero;
  /** Ordered by end offset, except that a key's older answers may stand behind another key's newer ones. */
  #held: Held<Answer>[] = [];
  /** Ordered by question. */
  #unconfirmed: Unconfirmed<Answer>[] = [];
  #confirmedQuestion = 0;
  /** Requests that have had no answer yet, whether it is held or not made. */
  readonly #open = new Set<number>();
  #actions: PartitionCoordinatorAction<Answer>[] = [];

  constructor(options: PartitionCoordinatorOptions, modules: PartitionCoordinatorModules<Request, Record, Answer>) {
    this.#options = options;
    this.#modules = modules;
  }

  get isServing(): boolean {
    return this.#phase.kind === 'serving';
  }
  /** The leader epoch it loads or serves under; null while it is not this broker's. */
  get leaderEpoch(): LeaderEpoch | null {
    return this.#phase.kind === 'idle' ? null : this.#phase.leaderEpoch;
  }

  step(event: PartitionCoordinatorEvent<Request, Record>): PartitionCoordinatorAction<Answer>[] {
    switch (event.kind) {
      case 'elected':
        this.#onElected(event);
        break;
      case 'recordsRead':
        this.#onRecordsRead(event);
        break;
      case 'resigned':
        this.#resign();
        break;
      case 'highWatermarkMoved':
        this.#onHighWatermark(event.highWatermark, event.now);
        break;
      case 'leadershipConfirmed':
        this.#onLeadershipConfirmed(event.question);
        break;
      case 'requested':
        this.#onRequest(event.requestId, event.request, event.now);
        break;
      case 'withdrawn':
        this.#open.delete(event.requestId);
        break;
      case 'topicsChanged':
        if (this.#phase.kind === 'serving')
          this.#carryOut(this.#phase.shard.onTopicsChanged(event.change, event.now), event.now);
        break;
      case 'stalled':
        if (this.#phase.kind === 'serving') this.#phase.shard.onStalled(event.byMs);
        break;
      case 'ticked':
        this.#onTick(event.now);
        break;
      default:
        unreachable(event);
    }
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** any -> loading | catchingUp | serving */
  #onElected(event: PartitionCoordinatorEvent<Request, Record> & { kind: 'elected' }): void {
    this.#resign();
    const { leaderEpoch, logStartOffset, logEndOffset: endOffset, now } = event;
    this.#highWatermark = event.highWatermark;
    const shard = this.#modules.newShard();
    if (logStartOffset >= endOffset) {
      this.#phase = { kind: 'catchingUp', leaderEpoch, endOffset, shard };
      this.#maybeServe(now);
      return;
    }
    this.#phase = { kind: 'loading', leaderEpoch, endOffset, shard };
    this.#actions.push({ kind: 'read', leaderEpoch, offset: logStartOffset, endOffset });
  }

  /** loading -> loading | catchingUp | serving */
  #onRecordsRead(event: PartitionCoordinatorEvent<Request, Record> & { kind: 'recordsRead' }): void {
    const phase = this.#phase;
    if (phase.kind !== 'loading' || phase.leaderEpoch !== event.leaderEpoch) return;
    for (const record of event.records) phase.shard.replay(record);
    if (event.nextOffset === null) return;
    const { leaderEpoch, endOffset, shard } = phase;
    if (event.nextOffset < endOffset) {
      this.#actions.push({ kind: 'read', leaderEpoch, offset: event.nextOffset, endOffset });
      return;
    }
    this.#phase = { kind: 'catchingUp', leaderEpoch, endOffset, shard };
    this.#maybeServe(event.now);
  }

  /** catchingUp -> serving */
  #maybeServe(now: Now): void {
    const phase = this.#phase;
    if (phase.kind !== 'catchingUp' || this.#highWatermark < phase.endOffset) return;
    this.#phase = { kind: 'serving', leaderEpoch: phase.leaderEpoch, shard: phase.shard };
    phase.shard.onLoaded(now);
  }

  /** any -> idle */
  #resign(): void {
    if (this.#phase.kind !== 'idle') this.#phase.shard.close();
    this.#phase = { kind: 'idle' };
    this.#uncommitted.clear();
    this.#appendedEndOffset = offsetZero;
    this.#held = [];
    this.#unconfirmed = [];
    this.#confirmedQuestion = 0;
    for (const requestId of this.#open) this.#actions.push({ kind: 'refuse', requestId, fault: notCoordinator });
    this.#open.clear();
  }

  #onRequest(requestId: number, request: Request, now: Now): void {
    const phase = this.#phase;
    if (phase.kind !== 'serving' || !this.#modules.log.maySpeak()) {
      const isLoading = phase.kind === 'loading' || phase.kind === 'catchingUp';
      this.#actions.push({ kind: 'refuse', requestId, fault: isLoading ? loadInProgress : notCoordinator });
      return;
    }
    this.#open.add(requestId);
    this.#carryOut(phase.shard.handle(request, requestId, now), now);
  }

  #carryOut(steps: readonly Step<Record, Answer>[], now: Now): void {
    for (const step of steps) {
      // An append can end the leadership in the same turn: what is left to do is for the next coordinator.
      if (this.#phase.kind !== 'serving') return;
      const fault = this.#append(step, now);
      for (const { requestId, answer } of step.answers) {
        if (!this.#open.has(requestId)) continue;
        if (fault !== null) this.#refuse(requestId, fault);
        else if (step.isRead && step.records.length === 0) this.#answerOnceConfirmed(step.key, requestId, answer, now);
        else this.#answerOnceCommitted(this.#hold(step.key, requestId, answer, now));
      }
    }
  }

  #append(step: Step<Record, Answer>, now: Now): Fault | null {
    const phase = this.#phase;
    if (step.records.length === 0 || phase.kind !== 'serving') return null;
    let endOffset: Offset;
    try {
      endOffset = this.#modules.log.append(step.records, now.wallMs);
    } catch (error) {
      if (error instanceof BrokerError) return coordinatorFault(error.fault);
      throw error;
    }
    // The append ended the leadership: everybody has been refused, and the records belong to whoever loads them.
    if (this.#phase !== phase) return notCoordinator;
    this.#appendedEndOffset = endOffset;
    if (step.key !== null) this.#uncommitted.set(step.key, endOffset);
    for (const record of step.records) phase.shard.replay(record);
    return null;
  }

  #hold(key: string | null, requestId: number, answer: Answer, now: Now): Held<Answer> {
    const endOffset = key === null ? this.#appendedEndOffset : (this.#uncommitted.get(key) ?? offsetZero);
    return { requestId, answer, endOffset, deadlineMs: now.monotonicMs + this.#options.commitTimeoutMs };
  }

  #answerOnceConfirmed(key: string | null, requestId: number, answer: Answer, now: Now): void {
    const held = this.#hold(key, requestId, answer, now);
    const question = this.#modules.log.questionLeadership();
    if (question <= this.#confirmedQuestion) this.#answerOnceCommitted(held);
    else this.#unconfirmed.push({ ...held, question });
  }

  #answerOnceCommitted(held: Held<Answer>): void {
    if (held.endOffset > this.#highWatermark) this.#held.push(held);
    else if (this.#open.delete(held.requestId))
      this.#actions.push({ kind: 'answer', requestId: held.requestId, answer: held.answer });
  }

  #refuse(requestId: number, fault: Fault): void {
    this.#open.delete(requestId);
    this.#actions.push({ kind: 'refuse', requestId, fault });
  }

  #onHighWatermark(highWatermark: Offset, now: Now): void {
    if (highWatermark <= this.#highWatermark) return;
    this.#highWatermark = highWatermark;
    this.#maybeServe(now);
    for (const [key, endOffset] of this.#uncommitted) if (endOffset <= highWatermark) this.#uncommitted.delete(key);
    for (const held of this.#held.splice(0)) this.#answerOnceCommitted(held);
  }

  #onLeadershipConfirmed(question: number): void {
    this.#confirmedQuestion = Math.max(this.#confirmedQuestion, question);
    const next = this.#unconfirmed.findIndex((read) => read.question > this.#confirmedQuestion);
    const confirmed = this.#unconfirmed.splice(0, next < 0 ? this.#unconfirmed.length : next);
    for (const read of confirmed) this.#answerOnceCommitted(read);
  }

  /** What waited too long may be committed yet, or confirmed; whoever asks again is told what is so then. */
  #onTick(now: Now): void {
    const maySpeak = this.#phase.kind === 'serving' && this.#modules.log.maySpeak();
    // Nobody has answered for so long that there is probably another coordinator by now: it is the one to ask.
    if (!maySpeak) this.#refuseAll(this.#unconfirmed.splice(0), notCoordinator);
    // What was withdrawn is not kept for whoever comes and goes meanwhile.
    const isOver = ({ requestId, deadlineMs }: Held<Answer>): boolean =>
      deadlineMs <= now.monotonicMs || !this.#open.has(requestId);
    const over = [...this.#held, ...this.#unconfirmed].filter(isOver);
    if (over.length > 0) {
      this.#held = this.#held.filter((held) => !isOver(held));
      this.#unconfirmed = this.#unconfirmed.filter((held) => !isOver(held));
      this.#refuseAll(over, notAvailable);
    }
    if (maySpeak && this.#phase.kind === 'serving') this.#carryOut(this.#phase.shard.onTick(now), now);
  }

  #refuseAll(held: readonly Held<Answer>[], fault: Fault): void {
    for (const { requestId } of held) if (this.#open.has(requestId)) this.#refuse(requestId, fault);
  }
}

/** What a client of the coordinator is told when the log refuses (`GroupCoordinatorService.java`, handleOperationException). */
function coordinatorFault(fault: Fault): Fault {
  switch (fault.code) {
    case 'NOT_LEADER':
    case 'STORAGE':
      return notCoordinator;
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return { code: 'INVALID_COMMIT_OFFSET_SIZE' };
    case 'NOT_ENOUGH_REPLICAS':
      return notAvailable;
    default:
      return fault;
  }
}
