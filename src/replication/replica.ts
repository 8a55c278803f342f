/**
 * One partition on this broker: its log, and the role it has there. This is the change of role and what both roles share;
 * `leader-role.ts` and `follower-role.ts` do the rest.
 *
 *     idle ──► becoming leader ──► leader            every change of role goes through one queue:
 *       ▲  ╲                         │               fail what waits, let appends under way end,
 *       │    ► follower ◄────────────┘               then begin the new role (§2.5)
 *     offline: the log failed or is quarantined; files are kept, nothing is served
 */

import type { Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { LogRead, PartitionLog, ReadBuffers } from '../log/partition-log.ts';
import { assert } from '../model/assert.ts';
import {
  type BrokerId,
  type LeaderEpoch,
  noBroker,
  noLeaderEpoch,
  type Offset,
  type TopicId,
} from '../model/brands.ts';
import { BrokerError, type Fault } from '../model/fault.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';
import { AppendsUnderWay } from './appends-under-way.ts';
import { FollowerRole, type FollowerRoleHost } from './follower-role.ts';
import type { FollowerSession } from './follower-session.ts';
import type { FollowerOptions } from './follower-state.ts';
import {
  type CoordinatorAppend,
  type IsrAnswer,
  type IsrProposal,
  LeaderRole,
  type LeaderRoleHost,
  type LeaderRoleOptions,
  type ProduceOutcome,
} from './leader-role.ts';
import type { AttachMessage, LeaderSession } from './leader-session.ts';
import type { BrokerDirectory, ControllerContact, LeaderState } from './leader-state.ts';
import { ProduceTurns } from './produce-turns.ts';

export interface ReplicaOptions extends LeaderRoleOptions {
  readonly follower: FollowerOptions;
  /** How long a request waits for this broker to learn that it leads (client-expectations, failing over 3). */
  readonly leadershipHoldMs: number;
}

/** What a replica asks of its broker. */
export interface ReplicaHost {
  readonly brokers: BrokerDirectory;
  readonly timers: Timers;
  readonly logger: Logger;
  monotonicMs(): number;
  /** I19 */
  controllerContact(): ControllerContact;
  nextAttachId(): number;
  proposeIsr(replica: Replica, proposal: IsrProposal): void;
  leaderSession(streamId: number): LeaderSession | undefined;
  followerSession(leader: BrokerId): FollowerSession;
  onRoleChanged(replica: Replica): void;
  onHighWatermark(replica: Replica): void;
  /** The log can no longer be written or trusted. */
  onFailed(replica: Replica, error: unknown): void;
}

type Role =
  | { readonly kind: 'idle' }
  | { readonly kind: 'changing' }
  | LeaderRole
  | FollowerRole
  | { readonly kind: 'offline'; readonly reason: string };

export class Replica {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  readonly log: PartitionLog;
  readonly #options: ReplicaOptions;
  readonly #host: ReplicaHost;
  #role: Role = { kind: 'idle' };
  #record: PartitionRecord | null = null;
  /** The role being changed to; a newer one replaces it. */
  #target: PartitionRecord | null = null;
  #isChanging = false;
  #isClosed = false;
  #highWatermark: Offset;
  #highWatermarkEpoch: LeaderEpoch;
  readonly #underWay = new AppendsUnderWay();
  readonly #roleHost: LeaderRoleHost & FollowerRoleHost;
  readonly #roleWaiters = new Set<(isOver?: boolean) => void>();
  readonly #progressListeners = new Set<() => void>();
  readonly #turns = new ProduceTurns();
  readonly #confirmationListeners = new Set<() => void>();
  #progress = 0;

  constructor(
    options: ReplicaOptions,
    modules: { log: PartitionLog; topic: string; host: ReplicaHost },
    start: { highWatermark: Offset; highWatermarkEpoch: LeaderEpoch },
  ) {
    const { host } = modules;
    this.#options = options;
    this.#host = host;
    this.log = modules.log;
    this.topic = modules.topic;
    this.topicId = modules.log.topicId;
    this.partition = modules.log.partition;
    this.#highWatermark = start.highWatermark;
    this.#highWatermarkEpoch = start.highWatermarkEpoch;
    this.#roleHost = {
      brokers: host.brokers,
      logger: host.logger,
      monotonicMs: () => host.monotonicMs(),
      controllerContact: () => host.controllerContact(),
      nextAttachId: () => host.nextAttachId(),
      proposeIsr: (proposal) => host.proposeIsr(this, proposal),
      leaderSession: (streamId) => host.leaderSession(streamId),
      refusal: () => this.#refusal(),
      onHighWatermark: (highWatermark, learnedUnder) => this.#setHighWatermark(highWatermark, learnedUnder),
      onLeadershipConfirmed: () => {
        for (const listener of [...this.#confirmationListeners]) listener();
      },
      onCut: () => host.onRoleChanged(this),
      onQuarantined: (reason) => this.#quarantine(reason),
      onFailed: (error) => this.#goOffline(error),
    };
    this.log.onAppended = (logEndOffset) => this.#leaderRole?.onAppended(logEndOffset);
    this.log.onFailed = (error) => this.#goOffline(error);
  }

  get record(): PartitionRecord | null {
    return this.#record;
  }
  get highWatermark(): Offset {
    return this.#highWatermark;
  }
  get highWatermarkEpoch(): LeaderEpoch {
    return this.#highWatermarkEpoch;
  }
  get logStartOffset(): Offset {
    return this.log.logStartOffset;
  }
  get logEndOffset(): Offset {
    return this.log.logEndOffset;
  }
  /** Counts what `onProgress` tells: who read before a listener was there sees by it whether something was missed. */
  get progress(): number {
    return this.#progress;
  }
  get isLeader(): boolean {
    return this.#role.kind === 'leader';
  }
  get #leaderRole(): LeaderRole | null {
    return this.#role.kind === 'leader' ? this.#role : null;
  }
  /** The leader epoch it leads under and the log end that epoch began at; null where it does not lead. */
  get leadership(): { readonly leaderEpoch: LeaderEpoch; readonly leaderEpochStartOffset: Offset } | null {
    return this.#role.kind === 'leader' ? this.#role.state : null;
  }
  /** What is committed may be compacted; null where the files must stay as they are: nobody knows what they are worth. */
  get cleanableEndOffset(): Offset | null {
    return this.#role.kind === 'offline' ? null : this.#highWatermark;
  }
  get offlineReason(): string | null {
    return this.#role.kind === 'offline' ? this.#role.reason : null;
  }

  /** Nothing is left to do before this broker may call itself caught up (§2.2.5). */
  get isSettled(): boolean {
    if (this.#isChanging) return false;
    return this.#role.kind !== 'follower' || this.#role.hasCaughtUp;
  }

  // ---------------------------------------------------------------------------------------------- change of role

  /** The newest record of this partition, in metadata order. */
  applyRecord(record: PartitionRecord): void {
    const known = this.#record;
    if (known && record.partitionEpoch <= known.partitionEpoch && record.leaderEpoch === known.leaderEpoch) return;
    this.#record = record;
    if (this.#role.kind === 'offline') return;
    const role = this.#role;
    if (!this.#isChanging && known && record.leaderEpoch === known.leaderEpoch && role.kind !== 'idle') {
      if (role.kind === 'leader' || role.kind === 'follower') role.onRecord(record);
      return;
    }
    this.#target = record;
    if (!this.#isChanging) void this.#changeRole();
  }

  /** This broker has no part in the partition any more, or is no longer registered: serve nothing. */
  resign(): void {
    this.#endRole({ kind: 'idle' });
    this.#target = null;
    this.#record = null;
  }

  async #changeRole(): Promise<void> {
    this.#isChanging = true;
    try {
      for (let record = this.#target; record !== null; record = this.#target) {
        this.#target = null;
        this.#endRole({ kind: 'changing' });
        await this.#underWay.ended();
        if (!this.#isChangingTo(record)) continue;
        if (record.leader === this.#options.leader.localId) await this.#becomeLeader(record);
        else if (record.leader !== noBroker) this.#becomeFollower(record);
        else this.#role = { kind: 'idle' };
      }
    } catch (error) {
      this.#goOffline(error);
    } finally {
      this.#isChanging = false;
    }
    this.#notifyRole();
  }

  /** Asked after each await: meanwhile a newer record may have come, the broker resigned or stopped, the log failed. */
  #isChangingTo(record: PartitionRecord): boolean {
    return this.#role.kind === 'changing' && this.#record === record;
  }

  #notifyRole(): void {
    for (const wake of [...this.#roleWaiters]) wake();
    this.#notifyProgress();
    this.#host.onRoleChanged(this);
  }

  /** Fails what waits for the old role; what it has under way ends by itself. */
  #endRole(next: Role): void {
    const role = this.#role;
    if (role.kind === 'offline') return;
    this.#role = next;
    if (role.kind === 'leader') role.end(this.notLeader());
    else if (role.kind === 'follower') role.end();
    this.#notifyProgress();
  }

  async #becomeLeader(record: PartitionRecord): Promise<void> {
    const { log } = this;
    await log.startLeaderEpoch(record.leaderEpoch);
    if (!this.#isChangingTo(record)) return;
    const role = new LeaderRole(
      this.#options,
      { log, underWay: this.#underWay, host: this.#roleHost },
      { record, highWatermark: this.#highWatermark },
    );
    this.#role = role;
    this.#setHighWatermark(role.highWatermark, record.leaderEpoch);
  }

  #becomeFollower(record: PartitionRecord): void {
    const session = this.#host.followerSession(record.leader);
    const role = new FollowerRole(
      this.#options.follower,
      { log: this.log, underWay: this.#underWay, host: this.#roleHost, session },
      { record, highWatermark: this.#highWatermark, highWatermarkEpoch: this.#highWatermarkEpoch },
    );
    this.#role = role;
    role.begin();
  }

  #setHighWatermark(highWatermark: Offset, learnedUnder: LeaderEpoch): void {
    this.#highWatermark = highWatermark;
    this.#highWatermarkEpoch = learnedUnder;
    this.#host.onHighWatermark(this);
    this.#notifyProgress();
  }

  #goOffline(error: unknown): void {
    if (this.#role.kind === 'offline' || this.#isClosed) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#endRole({ kind: 'offline', reason });
    this.#host.onFailed(this, error);
    this.#notifyRole();
  }

  /** This replica alone is out of service, its files kept (I15); the log and the other partitions are well. */
  #quarantine(reason: string): void {
    this.#endRole({ kind: 'offline', reason });
    this.#host.logger.error({ topic: this.topic, partition: this.partition, reason }, 'a replica is quarantined');
    this.#notifyRole();
  }

  /** Stops serving; the log is closed by whoever opened it. */
  close(): void {
    this.#endRole({ kind: 'idle' });
    this.#target = null;
    this.#isClosed = true;
    this.log.onAppended = null;
    this.log.onFailed = null;
    for (const wake of [...this.#roleWaiters]) wake();
  }

  // ---------------------------------------------------------------------------------------------- as leader

  /** The refusal of a request for a leader, with who leads as far as this broker knows; never itself. */
  notLeader(): Fault {
    const { leader, leaderEpoch } = this.#record ?? { leader: noBroker, leaderEpoch: noLeaderEpoch };
    return { code: 'NOT_LEADER', leaderId: leader === this.#options.leader.localId ? noBroker : leader, leaderEpoch };
  }

  /** Checked before who leads (kafka-protocol b.6); -1 is not checked. */
  checkLeaderEpoch(asked: number): void {
    if (asked < 0 || this.#record === null || asked === this.#record.leaderEpoch) return;
    const { leader, leaderEpoch } = this.#record;
    if (asked > leaderEpoch) throw new BrokerError({ code: 'UNKNOWN_LEADER_EPOCH' });
    throw new BrokerError({ code: 'FENCED_LEADER_EPOCH', leaderId: leader, leaderEpoch });
  }

  /**
   * The core of the leading role; throws NOT_LEADER, STORAGE. A promise where this broker is about to learn whether it
   * leads: whoever metadata names takes writes, so the request is held for a bounded time instead of refused.
   */
  leading(): LeaderState | Promise<LeaderState> {
    if (this.#role.kind === 'leader') return this.#role.state;
    if (!this.#mayLeadSoon()) throw new BrokerError(this.#refusal());
    return this.#held().then(() => this.#leaderOrRefuse().state);
  }

  /** The same, with nobody held: throws NOT_LEADER, STORAGE. */
  leadingNow(): LeaderState {
    return this.#leaderOrRefuse().state;
  }

  #refusal(): Fault {
    return this.#role.kind === 'offline' ? { code: 'STORAGE', reason: this.#role.reason } : this.notLeader();
  }

  /** The role is being changed, nobody leads, or the leader's stream is broken: an election may be under way. */
  #mayLeadSoon(): boolean {
    if (this.#isClosed) return false;
    const role = this.#role;
    if (role.kind === 'changing') return true;
    if (role.kind === 'idle') return this.#record !== null;
    return role.kind === 'follower' && !role.isStreamOpen;
  }

  /**
   * Resolves when the role has changed, or the hold is over. Those who wait go on in the order they came, and the end of
   * one hold ends all: a request that was let in behind a refused one would look like a producer's first.
   */
  #held(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (isOver = false): void => {
        if (!isOver && this.#role.kind !== 'leader' && this.#mayLeadSoon()) return;
        timer.cancel();
        this.#roleWaiters.delete(wake);
        resolve();
      };
      const timer = this.#host.timers.setTimer(this.#options.leadershipHoldMs, () => {
        for (const waiting of [...this.#roleWaiters]) waiting(true);
      });
      this.#roleWaiters.add(wake);
    });
  }

  /**
   * Appends one batch and waits for what `acks` asks for. Throws or rejects with NOT_LEADER, STORAGE and the refusals of
   * `acks.ts` before the batch is looked into, and with those of the log. The append itself is queued before this returns,
   * unless leadership is not known yet, or it takes long to look into the batch or into one that came before it.
   */
  produce(batch: Buffer, acks: number, timeoutMs: number): Promise<ProduceOutcome> {
    if (this.#role.kind === 'leader') return this.#produceAsLeader(this.#role, batch, acks, timeoutMs);
    const state = this.leading();
    assert(state instanceof Promise, 'a replica that leads was handled above');
    return state.then(() => this.#produceAsLeader(this.#leaderOrRefuse(), batch, acks, timeoutMs));
  }

  #produceAsLeader(role: LeaderRole, batch: Buffer, acks: number, timeoutMs: number): Promise<ProduceOutcome> {
    role.refuseUnlessAppendable(acks);
    const prepared = this.#turns.isEmpty ? this.log.prepareAsLeader(batch) : null;
    if (prepared instanceof Buffer) return role.append(prepared, acks, timeoutMs);
    // Nobody asks for it where leadership ends first.
    if (prepared instanceof Promise) prepared.catch(() => {});
    return this.#turns.run({
      // Whoever leads when it is ready may append it: so far it is in nobody's log.
      admit: () => {
        const leading = this.leading();
        if (leading instanceof Promise) return leading;
        this.#leaderOrRefuse().refuseUnlessAppendable(acks);
        return undefined;
      },
      prepare: () => prepared ?? this.log.prepareAsLeader(batch),
      append: (ready) => this.#leaderOrRefuse().append(ready, acks, timeoutMs),
    });
  }

  /**
   * Appends one batch of a coordinator under acks=all: it has its offsets, written into `batch` itself, when this
   * returns. Throws NOT_LEADER, NOT_ENOUGH_REPLICAS, STORAGE and the refusals of the log before anything is changed;
   * nobody is held. It is committed once the high watermark has reached `endOffset` under the same leader epoch
   * (`onProgress`).
   */
  appendAsCoordinator(batch: Buffer): CoordinatorAppend {
    return this.#leaderOrRefuse().appendAsCoordinator(batch);
  }

  /** Whether this broker leads and is not cut off from everybody who could elect another leader (I19). */
  mayActAsLeader(): boolean {
    if (this.#role.kind !== 'leader') return false;
    return this.#role.state.mayAppend(this.#host.monotonicMs(), this.#host.controllerContact());
  }

  /**
   * Asks everybody who could lead instead whether they follow this leader still; returns the number that
   * `confirmedQuestion` reaches once it is certain that no other leader had begun when this was called; it is never reached
   * where one has. Throws NOT_LEADER, STORAGE.
   */
  questionLeadership(): number {
    return this.#leaderOrRefuse().question();
  }

  /** Of the leader epoch it leads under, each of which counts anew; 0 where it does not lead. */
  get confirmedQuestion(): number {
    return this.#leaderRole?.state.confirmedQuestion ?? 0;
  }

  /** `listener` runs whenever `confirmedQuestion` has grown, until the returned function is called. */
  onLeadershipConfirmed(listener: () => void): () => void {
    this.#confirmationListeners.add(listener);
    return () => this.#confirmationListeners.delete(listener);
  }

  /** For a coordinator that loads what its log holds, committed or not: whole batches before `endOffset`. */
  readForLoading(from: Offset, maxBytes: number, endOffset: Offset): LogRead | Promise<LogRead> {
    return this.log.read(from, { maxBytes, endOffset, minOneBatch: true });
  }

  #leaderOrRefuse(): LeaderRole {
    if (this.#role.kind !== 'leader') throw new BrokerError(this.#refusal());
    return this.#role;
  }

  /** A follower asks to copy this partition; false where this broker has yet to learn of that leader epoch. */
  onAttach(session: LeaderSession, message: AttachMessage): boolean {
    if (this.#role.kind === 'leader') return this.#role.onAttach(session, message);
    const { attachId, leaderEpoch } = message;
    const known = this.#record?.leaderEpoch ?? noLeaderEpoch;
    if (this.#isChanging || leaderEpoch > known) return false;
    session.send({ kind: 'reject', attachId, reason: 'notLeader', leaderEpoch: known });
    return true;
  }

  onLeaderStreamClosed(streamId: number): void {
    this.#leaderRole?.onStreamClosed(streamId);
  }

  onBrokersChanged(): void {
    this.#leaderRole?.onBrokersChanged();
  }

  /** Each leader epoch counts its proposals anew, so an answer is for one of the epoch it was sent under alone (I10). */
  onIsrAnswered(leaderEpoch: LeaderEpoch, proposalId: number, answer: IsrAnswer): void {
    if (this.#leaderRole?.state.leaderEpoch === leaderEpoch) this.#leaderRole.onIsrAnswered(proposalId, answer);
  }

  onTick(nowMs: number): void {
    if (this.#role.kind === 'leader' || this.#role.kind === 'follower') this.#role.onTick(nowMs);
  }

  onStalled(nowMs: number): void {
    this.#leaderRole?.onStalled(nowMs);
  }

  // ---------------------------------------------------------------------------------------------- reading

  /**
   * Whole batches from the one that contains `from`, below the high watermark. Between high watermark and log end:
   * nothing, and no error (I12). Throws OFFSET_OUT_OF_RANGE. What comes from the disk lies in `buffers`, where given.
   */
  readForConsumer(
    from: Offset,
    maxBytes: number,
    minOneBatch: boolean,
    buffers?: ReadBuffers,
  ): LogRead | Promise<LogRead> {
    const { logStartOffset, logEndOffset } = this.log;
    if (from < logStartOffset || from > logEndOffset)
      throw new BrokerError({ code: 'OFFSET_OUT_OF_RANGE', asked: from, logStartOffset, logEndOffset });
    const endOffset = this.#highWatermark;
    if (from >= endOffset) return { chunks: [], byteLength: 0, nextOffset: from };
    return this.log.read(from, { maxBytes, endOffset, minOneBatch, ...(buffers && { buffers }) });
  }

  /** `listener` runs after each move of the high watermark or change of role, until the returned function is called. */
  onProgress(listener: () => void): () => void {
    this.#progressListeners.add(listener);
    return () => this.#progressListeners.delete(listener);
  }

  #notifyProgress(): void {
    this.#progress++;
    if (this.#progressListeners.size > 0) for (const listener of [...this.#progressListeners]) listener();
  }
}
