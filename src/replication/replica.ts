/**
 * One partition on this broker: its log, and the role it has there. This is the thin driver around LeaderState and
 * FollowerState: it awaits appends and truncations, steps the core of the role, and carries out the actions.
 *
 *     idle ──► becoming leader ──► leader            every change of role goes through one queue:
 *       ▲  ╲                         │               fail what waits, let appends under way end,
 *       │    ► follower ◄────────────┘               then begin the new role (§2.5)
 *     offline: the log failed or is quarantined; files are kept, nothing is served
 */

import type { Timers } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { AppendResult, LogRead, PartitionLog } from '../log/partition-log.ts';
import { assert, unreachable } from '../model/assert.ts';
import {
  type BrokerId,
  type LeaderEpoch,
  noBroker,
  noLeaderEpoch,
  type Offset,
  offsetAfter,
  type TopicId,
} from '../model/brands.ts';
import { BrokerError, type Fault } from '../model/fault.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';
import { batchesOf, lastOffsetOf, partitionLeaderEpochOf } from '../records/batch-header.ts';
import { refusalBeforeAppend, waitsForCommit } from './acks.ts';
import { byteLengthOf, type FollowerSession, type FollowingReplica } from './follower-session.ts';
import { type FollowerAction, type FollowerOptions, FollowerState } from './follower-state.ts';
import type { AttachMessage, FollowerRead, LeaderSession, SendingReplica } from './leader-session.ts';
import { type BrokerDirectory, type LeaderAction, type LeaderOptions, LeaderState } from './leader-state.ts';
import { ProduceWaiters } from './produce-waiters.ts';
import type { LeaderMessage } from './replication-messages.ts';

export interface ReplicaOptions {
  readonly leader: LeaderOptions;
  readonly follower: FollowerOptions;
  /** Most acks=all writes of one partition that wait at once. */
  readonly waitersLimit: number;
  /** How long a request waits for this broker to learn that it leads (client-expectations, failing over 3). */
  readonly leadershipHoldMs: number;
}

/** What a replica asks of its broker. */
export interface ReplicaHost {
  readonly brokers: BrokerDirectory;
  readonly timers: Timers;
  readonly logger: Logger;
  monotonicMs(): number;
  /** When the last answered heartbeat was sent to the controller, on the monotonic clock (I19). */
  controllerContactMs(): number;
  nextAttachId(): number;
  proposeIsr(replica: Replica, proposal: Extract<LeaderAction, { kind: 'proposeIsr' }>): void;
  leaderSession(streamId: number): LeaderSession | undefined;
  followerSession(leader: BrokerId): FollowerSession;
  onRoleChanged(replica: Replica): void;
  onHighWatermark(replica: Replica): void;
  /** The log can no longer be written or trusted. */
  onFailed(replica: Replica, error: unknown): void;
}

interface LeaderRole {
  readonly kind: 'leader';
  readonly state: LeaderState;
  readonly waiters: ProduceWaiters;
  /** By stream: where data is sent on each append. */
  readonly attachments: Map<number, { readonly session: LeaderSession; readonly attachId: number }>;
}

interface FollowerRole {
  readonly kind: 'follower';
  readonly state: FollowerState;
  readonly session: FollowerSession;
  hasCaughtUp: boolean;
}

type Role =
  | { readonly kind: 'idle' }
  | { readonly kind: 'changing' }
  | LeaderRole
  | FollowerRole
  | { readonly kind: 'offline'; readonly reason: string };

export interface ProduceOutcome {
  readonly baseOffset: Offset;
  /** -1 unless the topic has LogAppendTime. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: Offset;
}

export class Replica implements SendingReplica, FollowingReplica {
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
  /** Appends and truncations of the current role that have not ended. */
  #underWay = 0;
  #onIdle: (() => void) | null = null;
  readonly #roleWaiters = new Set<(isOver?: boolean) => void>();
  readonly #progressListeners = new Set<() => void>();

  constructor(
    options: ReplicaOptions,
    modules: { log: PartitionLog; topic: string; host: ReplicaHost },
    start: { highWatermark: Offset; highWatermarkEpoch: LeaderEpoch },
  ) {
    this.#options = options;
    this.#host = modules.host;
    this.log = modules.log;
    this.topic = modules.topic;
    this.topicId = modules.log.topicId;
    this.partition = modules.log.partition;
    this.#highWatermark = start.highWatermark;
    this.#highWatermarkEpoch = start.highWatermarkEpoch;
    this.log.onAppended = (logEndOffset) => this.#onAppended(logEndOffset);
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
  get isLeader(): boolean {
    return this.#role.kind === 'leader';
  }
  get leaderState(): LeaderState | null {
    return this.#role.kind === 'leader' ? this.#role.state : null;
  }
  get offlineReason(): string | null {
    return this.#role.kind === 'offline' ? this.#role.reason : null;
  }

  /** Nothing is left to do before this broker may call itself caught up (§2.2.5). */
  get isSettled(): boolean {
    if (this.#isChanging) return false;
    const role = this.#role;
    if (role.kind !== 'follower') return true;
    // Once is enough: under load no broker ever holds everything of all its partitions at one moment.
    role.hasCaughtUp ||= role.state.isCaughtUp;
    return role.hasCaughtUp;
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
      if (role.kind === 'leader')
        this.#carryOut(role, role.state.step({ kind: 'recordChanged', record, nowMs: this.#host.monotonicMs() }));
      else if (role.kind === 'follower' && record.uncleanEpoch !== known.uncleanEpoch)
        this.#follow(role, role.state.step({ kind: 'uncleanEpochChanged', uncleanEpoch: record.uncleanEpoch }), null);
      return;
    }
    this.#target = record;
    if (!this.#isChanging) void this.#changeRole();
  }

  /** This broker has no part in the partition any more, or is no longer registered: serve nothing. */
  resign(): void {
    if (this.#role.kind === 'leader' || this.#role.kind === 'follower') this.#endRole({ kind: 'idle' });
    this.#target = null;
    this.#record = null;
  }

  async #changeRole(): Promise<void> {
    this.#isChanging = true;
    try {
      for (let record = this.#target; record !== null && !this.#isClosed; record = this.#target) {
        this.#target = null;
        this.#endRole({ kind: 'changing' });
        await this.#appendsUnderWay();
        if (this.#target !== null || this.#isClosed) continue;
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
    if (role.kind === 'leader') {
      for (const { session, attachId } of role.attachments.values()) session.stopSending(attachId);
      role.waiters.failAll(this.notLeader());
    } else if (role.kind === 'follower') role.session.remove(this);
    this.#notifyProgress();
  }

  #appendsUnderWay(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Counts an append or truncation of the log from its start to its end. */
  async #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#underWay++;
    try {
      return await work;
    } finally {
      this.#underWay--;
      if (this.#underWay === 0 && this.#onIdle) {
        const resolve = this.#onIdle;
        this.#onIdle = null;
        resolve();
      }
    }
  }

  async #becomeLeader(record: PartitionRecord): Promise<void> {
    await this.log.startLeaderEpoch(record.leaderEpoch);
    if (this.#isClosed || this.#role.kind !== 'changing') return;
    const state = new LeaderState(
      this.#options.leader,
      { brokers: this.#host.brokers, epochs: this.log.epochs },
      {
        record,
        logStartOffset: this.log.logStartOffset,
        logEndOffset: this.log.logEndOffset,
        highWatermark: this.#highWatermark,
        nowMs: this.#host.monotonicMs(),
      },
    );
    const waiters = new ProduceWaiters(record.leaderEpoch, this.#options.waitersLimit);
    this.#role = { kind: 'leader', state, waiters, attachments: new Map() };
    this.#setHighWatermark(state.highWatermark, record.leaderEpoch);
  }

  #becomeFollower(record: PartitionRecord): void {
    const state = new FollowerState(
      this.#options.follower,
      { epochs: this.log.epochs, nextAttachId: () => this.#host.nextAttachId() },
      {
        leader: record.leader,
        leaderEpoch: record.leaderEpoch,
        uncleanEpoch: record.uncleanEpoch,
        logStartOffset: this.log.logStartOffset,
        logEndOffset: this.log.logEndOffset,
        lastEpoch: this.log.lastEpoch(),
        highWatermark: this.#highWatermark,
        highWatermarkEpoch: this.#highWatermarkEpoch,
      },
    );
    const session = this.#host.followerSession(record.leader);
    this.#role = { kind: 'follower', state, session, hasCaughtUp: false };
    session.add(this);
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
    return this.#held().then(() => {
      if (this.#role.kind !== 'leader') throw new BrokerError(this.#refusal());
      return this.#role.state;
    });
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
    return role.kind === 'follower' && !role.session.isOpen;
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
   * Appends one batch and waits for what `acks` asks for. Throws the refusals of `acks.ts` and of the log. The append
   * itself is queued before this returns, unless leadership is not known yet.
   */
  produce(batch: Buffer, acks: number, timeoutMs: number): Promise<ProduceOutcome> {
    if (this.#role.kind === 'leader') return this.#append(this.#role, batch, acks, timeoutMs);
    const state = this.leading();
    assert(state instanceof Promise, 'a replica that leads was handled above');
    return state.then(() => {
      if (this.#role.kind !== 'leader') throw new BrokerError(this.#refusal());
      return this.#append(this.#role, batch, acks, timeoutMs);
    });
  }

  async #append(role: LeaderRole, batch: Buffer, acks: number, timeoutMs: number): Promise<ProduceOutcome> {
    const { state } = role;
    const nowMs = this.#host.monotonicMs();
    const refusal = refusalBeforeAppend(acks, state);
    if (refusal) throw new BrokerError(refusal);
    if (!state.mayAppend(nowMs, this.#host.controllerContactMs()))
      throw new BrokerError({ code: 'NOT_LEADER', leaderId: noBroker, leaderEpoch: state.leaderEpoch });
    const appended: AppendResult = await this.#track(this.log.appendAsLeader(batch, state.leaderEpoch));
    const { baseOffset, logAppendTimeMs } = appended;
    if (waitsForCommit(acks)) await this.#committed(role, offsetAfter(appended.lastOffset, 1), nowMs + timeoutMs);
    return { baseOffset, logAppendTimeMs, logStartOffset: this.log.logStartOffset };
  }

  #committed(role: LeaderRole, endOffset: Offset, deadlineMs: number): Promise<void> {
    if (this.#role !== role) throw new BrokerError(this.#refusal());
    if (endOffset <= role.state.highWatermark) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const complete = (fault: Fault | null): void => (fault ? reject(new BrokerError(fault)) : resolve());
      role.waiters.add({ endOffset, deadlineMs, complete }, role.state.leaderEpoch, role.state.highWatermark);
    });
  }

  #onAppended(logEndOffset: Offset): void {
    const role = this.#role;
    if (role.kind !== 'leader') return;
    for (const { session, attachId } of role.attachments.values()) session.onAppended(attachId);
    this.#carryOut(role, role.state.step({ kind: 'appended', logEndOffset }));
  }

  /** A follower asks to copy this partition; false where this broker has yet to learn of that leader epoch. */
  onAttach(session: LeaderSession, message: AttachMessage): boolean {
    const role = this.#role;
    const known = this.#record?.leaderEpoch ?? noLeaderEpoch;
    if (role.kind !== 'leader') {
      if (this.#isChanging || message.leaderEpoch > known) return false;
      session.send({ kind: 'reject', attachId: message.attachId, reason: 'notLeader', leaderEpoch: known });
      return true;
    }
    if (message.leaderEpoch > role.state.leaderEpoch) return false;
    const actions = role.state.step({
      kind: 'attachRequested',
      streamId: session.streamId,
      attachId: message.attachId,
      follower: session.follower,
      followerBrokerEpoch: session.followerEpoch,
      leaderEpoch: message.leaderEpoch,
      logEndOffset: message.logEndOffset,
      lastEpoch: message.lastEpoch,
      logStartOffset: this.log.logStartOffset,
      nowMs: this.#host.monotonicMs(),
    });
    this.#carryOut(role, actions);
    return true;
  }

  onAck(streamId: number, attachId: number, logEndOffset: Offset): void {
    const role = this.#role;
    if (role.kind !== 'leader') return;
    const nowMs = this.#host.monotonicMs();
    this.#carryOut(role, role.state.step({ kind: 'acked', streamId, attachId, logEndOffset, nowMs }));
  }

  onDetached(streamId: number, attachId: number): void {
    const role = this.#role;
    if (role.kind !== 'leader') return;
    role.attachments.delete(streamId);
    this.#carryOut(role, role.state.step({ kind: 'detached', streamId, attachId }));
  }

  onLeaderStreamClosed(streamId: number): void {
    const role = this.#role;
    if (role.kind !== 'leader') return;
    role.attachments.delete(streamId);
    this.#carryOut(role, role.state.step({ kind: 'streamClosed', streamId }));
  }

  onBrokersChanged(): void {
    if (this.#role.kind === 'leader')
      this.#carryOut(this.#role, this.#role.state.step({ kind: 'brokersChanged', nowMs: this.#host.monotonicMs() }));
  }

  /** Each leader epoch counts its proposals anew, so an answer is for one of the epoch it was sent under alone (I10). */
  onIsrAnswered(
    leaderEpoch: LeaderEpoch,
    proposalId: number,
    answer: 'ok' | 'ineligible' | 'notAttempted' | 'fenced' | 'lost',
  ): void {
    if (this.#role.kind !== 'leader' || this.#role.state.leaderEpoch !== leaderEpoch) return;
    const { state } = this.#role;
    this.#carryOut(
      this.#role,
      answer === 'lost'
        ? state.step({ kind: 'isrRequestLost', proposalId })
        : state.step({ kind: 'isrAnswered', proposalId, answer }),
    );
  }

  onTick(nowMs: number): void {
    const role = this.#role;
    if (role.kind === 'leader') {
      if (role.waiters.size > 0 && role.waiters.nextDeadlineMs <= nowMs) role.waiters.expire(nowMs, role.state);
      this.#carryOut(role, role.state.step({ kind: 'ticked', nowMs }));
    } else if (role.kind === 'follower') this.#follow(role, role.state.step({ kind: 'ticked', nowMs }), null);
  }

  onStalled(nowMs: number): void {
    if (this.#role.kind === 'leader') this.#carryOut(this.#role, this.#role.state.step({ kind: 'stalled', nowMs }));
  }

  #carryOut(role: LeaderRole, actions: readonly LeaderAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'advanceHighWatermark':
          this.#setHighWatermark(action.highWatermark, role.state.leaderEpoch);
          role.waiters.onHighWatermark(action.highWatermark);
          for (const { session } of role.attachments.values()) session.onOffsetsMoved();
          break;
        case 'proposeIsr':
          this.#host.proposeIsr(this, action);
          break;
        case 'sendAttached': {
          const { streamId, attachId, leaderEpochStartOffset, highWatermark, logStartOffset, nextOffset } = action;
          const session = this.#host.leaderSession(streamId);
          if (!session) break;
          session.send({ kind: 'attached', attachId, leaderEpochStartOffset, highWatermark, logStartOffset });
          // Behind our log start: the follower starts afresh and attaches again.
          if (nextOffset < logStartOffset) break;
          role.attachments.set(streamId, { session, attachId });
          session.startSending(attachId, this, { nextOffset, highWatermark, logStartOffset });
          break;
        }
        case 'sendDiverging': {
          const { streamId, attachId, epoch, endOffset } = action;
          this.#host.leaderSession(streamId)?.send({ kind: 'diverging', attachId, epoch, endOffset });
          break;
        }
        case 'sendReject': {
          const { streamId, attachId, reason, leaderEpoch } = action;
          this.#host.leaderSession(streamId)?.send({ kind: 'reject', attachId, reason, leaderEpoch });
          break;
        }
        default:
          unreachable(action);
      }
    }
  }

  readForFollower(from: Offset, maxBytes: number): FollowerRead | Promise<FollowerRead> {
    return this.log.read(from, { maxBytes, endOffset: this.log.logEndOffset, minOneBatch: true });
  }

  /**
   * Whole batches from the one that contains `from`, below the high watermark. Between high watermark and log end:
   * nothing, and no error (I12). Throws OFFSET_OUT_OF_RANGE.
   */
  readForConsumer(from: Offset, maxBytes: number, minOneBatch: boolean): LogRead | Promise<LogRead> {
    const { logStartOffset, logEndOffset } = this.log;
    if (from < logStartOffset || from > logEndOffset)
      throw new BrokerError({ code: 'OFFSET_OUT_OF_RANGE', asked: from, logStartOffset, logEndOffset });
    const endOffset = this.#highWatermark;
    if (from >= endOffset) return { chunks: [], byteLength: 0, nextOffset: from };
    return this.log.read(from, { maxBytes, endOffset, minOneBatch });
  }

  /** `listener` runs after each move of the high watermark or change of role, until the returned function is called. */
  onProgress(listener: () => void): () => void {
    this.#progressListeners.add(listener);
    return () => this.#progressListeners.delete(listener);
  }

  #notifyProgress(): void {
    if (this.#progressListeners.size > 0) for (const listener of [...this.#progressListeners]) listener();
  }

  // ---------------------------------------------------------------------------------------------- as follower

  onStreamOpened(): void {
    if (this.#role.kind === 'follower') this.#follow(this.#role, this.#role.state.step({ kind: 'streamOpened' }), null);
  }

  onStreamClosed(): void {
    if (this.#role.kind !== 'follower') return;
    this.#follow(this.#role, this.#role.state.step({ kind: 'streamClosed' }), null);
  }

  onLeaderMessage(message: Exclude<LeaderMessage, { kind: 'helloAnswer' }>): void {
    const role = this.#role;
    if (role.kind !== 'follower') return;
    const { state } = role;
    const { attachId } = message;
    switch (message.kind) {
      case 'attached':
        return this.#follow(role, state.step({ ...message, attachId }), null);
      case 'diverging':
        return this.#follow(role, state.step(message), null);
      case 'reject':
        return this.#follow(
          role,
          state.step({ kind: 'rejected', attachId, reason: message.reason, nowMs: this.#host.monotonicMs() }),
          null,
        );
      case 'data':
        return this.#onData(role, message);
      default:
        return unreachable(message);
    }
  }

  #onData(role: FollowerRole, message: Extract<LeaderMessage, { kind: 'data' }>): void {
    const { attachId, baseOffset, highWatermark, logStartOffset, batches } = message;
    let endOffset = baseOffset;
    let lastEpoch = noLeaderEpoch;
    try {
      for (const chunk of batches)
        for (const batch of batchesOf(chunk)) {
          endOffset = offsetAfter(lastOffsetOf(batch), 1);
          lastEpoch = partitionLeaderEpochOf(batch);
        }
    } catch (error) {
      this.#host.logger.error(
        { err: error, topic: this.topic, partition: this.partition },
        'the leader sent bytes that are no batches',
      );
      role.session.returnCredit(byteLengthOf(batches));
      return;
    }
    const event = {
      kind: 'dataArrived',
      attachId,
      baseOffset,
      endOffset,
      lastEpoch,
      highWatermark,
      logStartOffset,
    } as const;
    const actions = role.state.step(event);
    if (!actions.some((action) => action.kind === 'append')) role.session.returnCredit(byteLengthOf(batches));
    this.#follow(role, actions, batches);
  }

  #follow(role: FollowerRole, actions: readonly FollowerAction[], batches: readonly Buffer[] | null): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'dropEpochsFrom':
          this.log.dropEpochsFrom(action.logEndOffset);
          break;
        case 'attach': {
          const { attachId, leaderEpoch, logEndOffset, lastEpoch } = action;
          const { topicId, partition } = this;
          role.session.attach(this, {
            kind: 'attach',
            attachId,
            topicId,
            partition,
            leaderEpoch,
            logEndOffset,
            lastEpoch,
          });
          break;
        }
        case 'detach':
          role.session.detach(action.attachId);
          break;
        case 'append':
          assert(batches !== null, 'an append answers data');
          void this.#appendAsFollower(role, batches, action.endOffset);
          break;
        case 'truncateTo':
          void this.#truncate(role, this.log.truncateTo(action.offset));
          break;
        case 'truncateFullyAndStartAt':
          void this.#truncate(role, this.log.truncateFullyAndStartAt(action.offset));
          break;
        case 'ack':
          role.session.ack(action.attachId, action.logEndOffset);
          break;
        case 'updateHighWatermark':
          this.#setHighWatermark(action.highWatermark, action.leaderEpoch);
          break;
        case 'raiseLogStart':
          this.log.raiseLogStart(action.logStartOffset);
          break;
        case 'quarantine':
          this.#quarantine(action.reason);
          break;
        default:
          unreachable(action);
      }
    }
  }

  /** Acks up to `endOffset` alone: what was written behind it meanwhile may not be as safe as it has to be yet. */
  async #appendAsFollower(role: FollowerRole, batches: readonly Buffer[], endOffset: Offset): Promise<void> {
    const bytes = byteLengthOf(batches);
    try {
      await this.#track(Promise.all(batches.map((chunk) => this.log.appendAsFollower(chunk, role.state.leaderEpoch))));
      if (this.#role === role) this.#follow(role, role.state.step({ kind: 'appended', logEndOffset: endOffset }), null);
    } catch (error) {
      if (this.#isClosed) return; // the log ended with the broker
      this.#host.logger.error(
        { err: error, topic: this.topic, partition: this.partition },
        'batches of the leader were refused',
      );
      if (this.#role === role)
        this.#follow(role, role.state.step({ kind: 'appendRefused', nowMs: this.#host.monotonicMs() }), null);
    } finally {
      role.session.returnCredit(bytes);
    }
  }

  async #truncate(role: FollowerRole, work: Promise<void>): Promise<void> {
    try {
      await this.#track(work);
      if (this.#role !== role) return;
      const { logEndOffset } = this.log;
      this.#follow(role, role.state.step({ kind: 'truncated', logEndOffset, lastEpoch: this.log.lastEpoch() }), null);
      this.#host.onRoleChanged(this);
    } catch (error) {
      this.#goOffline(error);
    }
  }
}
