/**
 * The leading role of one replica, for one leader epoch: the thin driver around LeaderState. It appends what clients and
 * coordinators send, waits for what `acks` asks for, sends followers what they attached for, and carries out the actions.
 *
 * A role that has ended takes part in nothing any more: what it still had under way finds `#isOver`.
 */
import type { PartitionLog, QueuedAppend } from '../log/partition-log.ts';
import { unreachable } from '../model/assert.ts';
import { type BrokerId, type LeaderEpoch, noBroker, type Offset, offsetAfter } from '../model/brands.ts';
import { BrokerError, type Fault } from '../model/fault.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';
import type { BatchOrigin } from '../records/validate-batch.ts';
import { refusalBeforeAppend, waitsForCommit } from './acks.ts';
import type { AppendsUnderWay } from './appends-under-way.ts';
import type { AttachMessage, FollowerRead, LeaderSession, SendingReplica } from './leader-session.ts';
import {
  type BrokerDirectory,
  type ControllerContact,
  type LeaderAction,
  type LeaderEvent,
  type LeaderOptions,
  LeaderState,
  type ProposalAnswer,
} from './leader-state.ts';
import { ProduceWaiters } from './produce-waiters.ts';

export type IsrProposal = Extract<LeaderAction, { kind: 'proposeIsr' }>;
/** lost: no answer came, or none that tells what became of it. */
export type IsrAnswer = ProposalAnswer | 'lost';

export interface ProduceOutcome {
  readonly baseOffset: Offset;
  /** -1 unless the topic has LogAppendTime. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: Offset;
}

/** A coordinator's batch that has its offsets. */
export interface CoordinatorAppend {
  /** After its last record: committed once the high watermark is there. */
  readonly endOffset: Offset;
  /** Rejects with STORAGE when the log fails, with NOT_LEADER when the role has ended before the write did. */
  readonly written: Promise<void>;
}

/** What the role asks of its replica. */
export interface LeaderRoleHost {
  readonly brokers: BrokerDirectory;
  monotonicMs(): number;
  /** I19 */
  controllerContact(): ControllerContact;
  proposeIsr(proposal: IsrProposal): void;
  leaderSession(streamId: number): LeaderSession | undefined;
  onHighWatermark(highWatermark: Offset, leaderEpoch: LeaderEpoch): void;
  /** `LeaderState.confirmedQuestion` has grown. */
  onLeadershipConfirmed(): void;
  /** What a request is told that finds another role here. */
  refusal(): Fault;
}

export interface LeaderRoleOptions {
  readonly leader: LeaderOptions;
  /** Most acks=all writes of one partition that wait at once. */
  readonly waitersLimit: number;
}

export interface LeaderRoleModules {
  readonly log: PartitionLog;
  readonly underWay: AppendsUnderWay;
  readonly host: LeaderRoleHost;
}

export class LeaderRole implements SendingReplica {
  readonly kind = 'leader';
  readonly state: LeaderState;
  readonly #log: PartitionLog;
  readonly #underWay: AppendsUnderWay;
  readonly #host: LeaderRoleHost;
  readonly #waiters: ProduceWaiters;
  /** By stream, its newest: where data is sent on each append. */
  readonly #attachments = new Map<number, { readonly session: LeaderSession; readonly attachId: number }>();
  #isOver = false;

  /** The leader epoch has begun in the log. `highWatermark`: what this replica knew as committed. */
  constructor(
    options: LeaderRoleOptions,
    modules: LeaderRoleModules,
    start: { readonly record: PartitionRecord; readonly highWatermark: Offset },
  ) {
    const { log, host } = modules;
    this.#log = log;
    this.#underWay = modules.underWay;
    this.#host = host;
    this.state = new LeaderState(
      options.leader,
      { brokers: host.brokers, epochs: log.epochs },
      {
        record: start.record,
        logStartOffset: log.logStartOffset,
        logEndOffset: log.logEndOffset,
        highWatermark: start.highWatermark,
        nowMs: host.monotonicMs(),
      },
    );
    this.#waiters = new ProduceWaiters(start.record.leaderEpoch, options.waitersLimit);
  }

  get highWatermark(): Offset {
    return this.state.highWatermark;
  }
  get logStartOffset(): Offset {
    return this.#log.logStartOffset;
  }
  get logEndOffset(): Offset {
    return this.#log.logEndOffset;
  }

  /** Fails what waits with `fault`, and tells followers no more; what is under way ends by itself. */
  end(fault: Fault): void {
    this.#isOver = true;
    for (const { session, attachId } of this.#attachments.values()) session.stopSending(attachId);
    this.#waiters.failAll(fault);
  }

  #step(event: LeaderEvent): void {
    if (!this.#isOver) this.#carryOut(this.state.step(event));
  }

  // ------------------------------------------------------------------------------------------------- appending

  /** Appends a client's batch and waits for what `acks` asks for. It is queued in the log before this returns. */
  async append(batch: Buffer, acks: number, timeoutMs: number): Promise<ProduceOutcome> {
    const nowMs = this.#host.monotonicMs();
    const { result, written } = this.#queue(batch, acks, 'client', nowMs);
    await this.#underWay.track(written);
    const { baseOffset, lastOffset, logAppendTimeMs } = result;
    if (waitsForCommit(acks)) await this.#committed(offsetAfter(lastOffset, 1), nowMs + timeoutMs);
    return { baseOffset, logAppendTimeMs, logStartOffset: this.logStartOffset };
  }

  /** The same for a batch of a coordinator under acks=all; refusals are thrown before anything is changed. */
  appendAsCoordinator(batch: Buffer): CoordinatorAppend {
    const { result, written } = this.#queue(batch, -1, 'coordinator', this.#host.monotonicMs());
    const asLeader = async (): Promise<void> => {
      await this.#underWay.track(written);
      if (this.#isOver) throw new BrokerError(this.#host.refusal());
    };
    return { endOffset: offsetAfter(result.lastOffset, 1), written: asLeader() };
  }

  /** Throws the refusals of `acks.ts`, and NOT_LEADER where nobody answers this leader (I19). */
  refuseUnlessAppendable(acks: number, nowMs: number = this.#host.monotonicMs()): void {
    const { state } = this;
    const refusal = refusalBeforeAppend(acks, state);
    if (refusal) throw new BrokerError(refusal);
    if (!state.mayAppend(nowMs, this.#host.controllerContact()))
      throw new BrokerError({ code: 'NOT_LEADER', leaderId: noBroker, leaderEpoch: state.leaderEpoch });
  }

  #queue(batch: Buffer, acks: number, origin: BatchOrigin, nowMs: number): QueuedAppend {
    this.refuseUnlessAppendable(acks, nowMs);
    return this.#log.queueAsLeader(batch, this.state.leaderEpoch, { origin });
  }

  #committed(endOffset: Offset, deadlineMs: number): Promise<void> {
    if (this.#isOver) throw new BrokerError(this.#host.refusal());
    const { highWatermark, leaderEpoch } = this.state;
    if (endOffset <= highWatermark) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const complete = (fault: Fault | null): void => (fault ? reject(new BrokerError(fault)) : resolve());
      this.#waiters.add({ endOffset, deadlineMs, complete }, leaderEpoch, highWatermark);
    });
  }

  onAppended(logEndOffset: Offset): void {
    for (const { session, attachId } of this.#attachments.values()) session.onAppended(attachId);
    this.#step({ kind: 'appended', logEndOffset });
  }

  // ------------------------------------------------------------------------------------------------- followers

  /** A follower asks to copy this partition; false where this broker has yet to learn of that leader epoch. */
  onAttach(session: LeaderSession, message: AttachMessage): boolean {
    const { attachId, leaderEpoch, logEndOffset, lastEpoch } = message;
    if (leaderEpoch > this.state.leaderEpoch) return false;
    this.#endAttachment(session.streamId, (known) => known < attachId);
    this.#step({
      kind: 'attachRequested',
      streamId: session.streamId,
      attachId,
      follower: session.follower,
      followerBrokerEpoch: session.followerEpoch,
      leaderEpoch,
      logEndOffset,
      lastEpoch,
      logStartOffset: this.logStartOffset,
      nowMs: this.#host.monotonicMs(),
    });
    return true;
  }

  readForFollower(from: Offset, maxBytes: number): FollowerRead | Promise<FollowerRead> {
    return this.#log.read(from, { maxBytes, endOffset: this.logEndOffset, minOneBatch: true });
  }

  onAck(streamId: number, attachId: number, logEndOffset: Offset): void {
    this.#step({ kind: 'acked', streamId, attachId, logEndOffset, nowMs: this.#host.monotonicMs() });
  }

  onHeard(follower: BrokerId, sentMs: number, question: number): void {
    this.#step({ kind: 'heard', follower, sentMs, question });
  }

  /** Returns the number that `LeaderState.confirmedQuestion` reaches once no other leader can have begun by now. */
  question(): number {
    this.#step({ kind: 'questioned' });
    return this.state.lastQuestion;
  }

  onDetached(streamId: number, attachId: number): void {
    this.#endAttachment(streamId, (known) => known === attachId);
    this.#step({ kind: 'detached', streamId, attachId });
  }

  onStreamClosed(streamId: number): void {
    this.#endAttachment(streamId, () => true);
    this.#step({ kind: 'streamClosed', streamId });
  }

  /** What comes late for an older attach request must not end the newer. */
  #endAttachment(streamId: number, isMeant: (attachId: number) => boolean): void {
    const known = this.#attachments.get(streamId);
    if (!known || !isMeant(known.attachId)) return;
    this.#attachments.delete(streamId);
    known.session.stopSending(known.attachId);
  }

  // ------------------------------------------------------------------------------------------------- metadata, time

  /** A newer record of the same leader epoch. */
  onRecord(record: PartitionRecord): void {
    this.#step({ kind: 'recordChanged', record, nowMs: this.#host.monotonicMs() });
  }

  onBrokersChanged(): void {
    this.#step({ kind: 'brokersChanged', nowMs: this.#host.monotonicMs() });
  }

  onIsrAnswered(proposalId: number, answer: IsrAnswer): void {
    this.#step(
      answer === 'lost' ? { kind: 'isrRequestLost', proposalId } : { kind: 'isrAnswered', proposalId, answer },
    );
  }

  onTick(nowMs: number): void {
    if (this.#waiters.size > 0 && this.#waiters.nextDeadlineMs <= nowMs) this.#waiters.expire(nowMs, this.state);
    this.#step({ kind: 'ticked', nowMs });
  }

  onStalled(nowMs: number): void {
    this.#step({ kind: 'stalled', nowMs });
  }

  // ------------------------------------------------------------------------------------------------- actions

  #carryOut(actions: readonly LeaderAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'advanceHighWatermark':
          this.#host.onHighWatermark(action.highWatermark, this.state.leaderEpoch);
          this.#waiters.onHighWatermark(action.highWatermark);
          for (const { session } of this.#attachments.values()) session.onOffsetsMoved();
          break;
        case 'askFollowers':
          for (const { session, attachId } of this.#attachments.values()) session.ask(attachId, action.question);
          break;
        case 'confirmLeadership':
          this.#host.onLeadershipConfirmed();
          break;
        case 'proposeIsr':
          this.#host.proposeIsr(action);
          break;
        case 'sendAttached':
          this.#onAttached(action);
          break;
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

  #onAttached(action: Extract<LeaderAction, { kind: 'sendAttached' }>): void {
    const { streamId, attachId, leaderEpochStartOffset, highWatermark, logStartOffset, nextOffset } = action;
    const session = this.#host.leaderSession(streamId);
    if (!session) return;
    session.send({ kind: 'attached', attachId, leaderEpochStartOffset, highWatermark, logStartOffset });
    // Behind our log start: the follower starts afresh and attaches again.
    if (nextOffset < logStartOffset) return;
    this.#attachments.set(streamId, { session, attachId });
    session.startSending(attachId, this, { nextOffset, highWatermark, logStartOffset });
  }
}
