/**
 * One partition on one broker: the driver of LeaderState and FollowerState in the simulated world. It does what
 * `replica.ts` and its roles do in `src/replication/`, with a model of the log in place of files and without waiting for anything real.
 */

import type { GroupRecord } from '../../src/coordinator/group-records.ts';
import { assert, present, unreachable } from '../../src/model/assert.ts';
import {
  earlier,
  type LeaderEpoch,
  noBroker,
  noLeaderEpoch,
  type Offset,
  offset,
  type TopicId,
} from '../../src/model/brands.ts';
import { BrokerError, type Fault } from '../../src/model/fault.ts';
import type { PartitionRecord } from '../../src/model/metadata-schema.ts';
import { refusalBeforeAppend, waitsForCommit } from '../../src/replication/acks.ts';
import { type FollowerAction, FollowerState } from '../../src/replication/follower-state.ts';
import {
  type LeaderAction,
  type LeaderEvent,
  type LeaderStart,
  LeaderState,
  type ProposalAnswer,
} from '../../src/replication/leader-state.ts';
import { ProduceWaiters } from '../../src/replication/produce-waiters.ts';
import type { FollowerMessage, LeaderMessage } from '../../src/replication/replication-messages.ts';
import type { BrokerProcess } from './broker-process.ts';
import type { ModelLog, ModelRecord } from './model-log.ts';

/** In place of `data`: records instead of bytes. */
export interface ModelData {
  readonly kind: 'data';
  readonly attachId: number;
  readonly baseOffset: Offset;
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  readonly records: readonly ModelRecord[];
}
export type ToFollower = Exclude<LeaderMessage, { kind: 'data' | 'pong' }> | ModelData;
export type ToLeader = Exclude<FollowerMessage, { kind: 'ping' }>;
export type AttachMessage = Extract<FollowerMessage, { kind: 'attach' }>;

export interface WriteRequest {
  readonly acks: number;
  readonly records: readonly Omit<ModelRecord, 'epoch'>[];
  readonly timeoutMs: number;
}
export type WriteAnswer =
  | { readonly kind: 'done'; readonly baseOffset: Offset; readonly leaderEpoch: LeaderEpoch }
  | { readonly kind: 'refused'; readonly fault: Fault };

interface LeaderRole {
  readonly kind: 'leader';
  readonly state: LeaderState;
  readonly waiters: ProduceWaiters;
}
interface FollowerRole {
  readonly kind: 'follower';
  readonly state: FollowerState;
  readonly leader: number;
}
type Role =
  | { readonly kind: 'idle' }
  | { readonly kind: 'changing' }
  | LeaderRole
  | FollowerRole
  | { readonly kind: 'quarantined' };

export class SimulatedReplica {
  readonly key: string;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly log: ModelLog;
  readonly #host: BrokerProcess;
  #role: Role = { kind: 'idle' };
  #record: PartitionRecord | null = null;
  #target: PartitionRecord | null = null;
  #underWay = 0;
  /** Of appends under way: they have their offsets already. */
  #queuedRecords = 0;
  #lastAppendMs = 0;
  /** It began or ceased to lead, or its high watermark moved or its leadership was confirmed while it leads. */
  onProgress: () => void = () => undefined;

  constructor(host: BrokerProcess, key: string, topicId: TopicId, partition: number, log: ModelLog) {
    this.#host = host;
    this.key = key;
    this.topicId = topicId;
    this.partition = partition;
    this.log = log;
  }

  get record(): PartitionRecord | null {
    return this.#record;
  }
  get leaderState(): LeaderState | null {
    return this.#role.kind === 'leader' ? this.#role.state : null;
  }
  get followerState(): FollowerState | null {
    return this.#role.kind === 'follower' ? this.#role.state : null;
  }
  /** Nothing of what was appended here waits for a disk or for followers. */
  get isAllCommitted(): boolean {
    return this.#underWay === 0 && this.leaderState?.highWatermark === this.log.endOffset;
  }
  describe(): string {
    const role = this.#role;
    const what =
      role.kind === 'follower'
        ? JSON.stringify(role.state.phase)
        : role.kind === 'leader'
          ? `committed ${role.state.highWatermark}, ISR ${role.state.maximalIsr()}`
          : '';
    return `${this.key} ${role.kind} ${what} log end ${this.log.endOffset}`;
  }
  get isSettled(): boolean {
    if (this.#role.kind === 'changing' || this.#target !== null) return false;
    return this.#role.kind === 'follower' ? this.#role.state.isCaughtUp : true;
  }

  // ---------------------------------------------------------------------------------------------- change of role

  applyRecord(record: PartitionRecord): void {
    const known = this.#record;
    if (known && record.partitionEpoch <= known.partitionEpoch && record.leaderEpoch === known.leaderEpoch) return;
    this.#record = record;
    const role = this.#role;
    if (role.kind === 'quarantined') return;
    if (known && record.leaderEpoch === known.leaderEpoch && (role.kind === 'leader' || role.kind === 'follower')) {
      if (role.kind === 'leader')
        this.lead({ kind: 'recordChanged', record: this.#asLeaderSees(record), nowMs: this.#host.nowMs });
      else
        this.#follow(role, role.state.step({ kind: 'uncleanEpochChanged', uncleanEpoch: record.uncleanEpoch }), null);
      return;
    }
    this.#target = record;
    this.#endRole({ kind: 'changing' });
    this.#maybeBeginRole();
  }

  #asLeaderSees(record: PartitionRecord): PartitionRecord {
    return this.#host.fault?.leaderRecord?.(record, this.#host.intendedMinIsr(this.key, record.minIsr)) ?? record;
  }

  resign(): void {
    this.#endRole({ kind: 'idle' });
    this.#target = null;
    this.#record = null;
  }

  /** The partition is another's or nobody's now: it will be forgotten. */
  #endRole(next: Role): void {
    const role = this.#role;
    this.#role = next;
    if (role.kind === 'leader') {
      this.#host.stopSending(this);
      role.waiters.failAll({ code: 'NOT_LEADER', leaderId: noBroker, leaderEpoch: role.state.leaderEpoch });
      this.onProgress();
    } else if (role.kind === 'follower') this.#host.stopFollowing(this, role.leader);
  }

  /** Once the appends under way are done (§2.5). */
  #maybeBeginRole(): void {
    const record = this.#target;
    if (record === null || this.#underWay > 0) return;
    this.#target = null;
    if (record.leader === this.#host.id) this.#becomeLeader(record);
    else if (record.leader !== noBroker && record.replicas.includes(this.#host.id)) this.#becomeFollower(record);
    else this.#role = { kind: 'idle' };
    this.#host.onRoleChanged();
  }

  #becomeLeader(record: PartitionRecord): void {
    const { log } = this;
    const fault = this.#host.fault;
    log.epochs.assign(record.leaderEpoch, log.endOffset);
    const plain: LeaderStart = {
      record: this.#asLeaderSees(record),
      logStartOffset: log.startOffset,
      logEndOffset: log.endOffset,
      highWatermark: log.highWatermark,
      nowMs: this.#host.nowMs,
    };
    const start = fault?.leaderStart?.(plain) ?? plain;
    const state = new LeaderState(
      this.#host.leaderOptions,
      { brokers: this.#host.directory, epochs: log.epochs },
      start,
    );
    fault?.afterLeaderStart?.(state, plain);
    this.#role = { kind: 'leader', state, waiters: new ProduceWaiters(record.leaderEpoch, 1_000) };
    this.#host.world.onLeading(this.#host.id, this, state);
    this.#setHighWatermark(state.highWatermark, record.leaderEpoch);
  }

  #becomeFollower(record: PartitionRecord): void {
    const { log } = this;
    if (this.#host.fault?.cutsToHighWatermark) this.#cut(earlier(log.highWatermark, log.endOffset));
    const state = new FollowerState(
      { attachRetryMs: 50 },
      { epochs: log.epochs, nextAttachId: () => this.#host.nextAttachId() },
      {
        leader: record.leader,
        leaderEpoch: record.leaderEpoch,
        uncleanEpoch: record.uncleanEpoch,
        logStartOffset: log.startOffset,
        logEndOffset: log.endOffset,
        lastEpoch: log.lastEpoch,
        highWatermark: log.highWatermark,
        highWatermarkEpoch: log.highWatermarkEpoch,
      },
    );
    this.#role = { kind: 'follower', state, leader: record.leader };
    this.#host.startFollowing(this, record.leader);
  }

  #setHighWatermark(highWatermark: Offset, learnedUnder: LeaderEpoch): void {
    this.log.highWatermark = highWatermark;
    this.log.highWatermarkEpoch = learnedUnder;
    if (this.#role.kind !== 'leader') return;
    this.#host.world.onHighWatermark(this.#host.id, this, this.#role.state);
    this.onProgress();
  }

  /** The write call of an append: some take a while, all end in order; a role that ended meanwhile hears nothing. */
  #append(records: readonly ModelRecord[], done: () => void, isAlwaysQueued = false): void {
    const { random } = this.#host.world;
    const isSlow = random.chance(0.4);
    const carryOut = (): void => {
      this.#host.world.onAppending(this.#host.id, this, records);
      this.log.append(records);
      done();
    };
    if (!isSlow && this.#underWay === 0 && !isAlwaysQueued) return carryOut();
    this.#queuedRecords += records.length;
    const { nowMs } = this.#host;
    this.#lastAppendMs = Math.max(this.#lastAppendMs, nowMs + random.next() * (isSlow ? 8 : 0));
    this.#track(this.#lastAppendMs - nowMs, () => {
      this.#queuedRecords -= records.length;
      carryOut();
    });
  }

  #track(delayMs: number, work: () => void): void {
    this.#underWay++;
    this.#host.process.after(delayMs, () => {
      this.#underWay--;
      work();
      this.#maybeBeginRole();
    });
  }

  // ---------------------------------------------------------------------------------------------- as leader

  write(request: WriteRequest, answer: (answer: WriteAnswer) => void): void {
    const role = this.#role;
    const refuse = (fault: Fault): void => answer({ kind: 'refused', fault });
    if (role.kind !== 'leader') {
      const { leader, leaderEpoch } = this.#record ?? { leader: noBroker, leaderEpoch: noLeaderEpoch };
      return refuse({ code: 'NOT_LEADER', leaderId: leader, leaderEpoch });
    }
    const { state } = role;
    const { nowMs } = this.#host;
    const refusal = this.#refusalOf(state, request.acks);
    if (refusal) return refuse(refusal);
    this.#host.world.onTakingWrite(this.#host.process, this, request.acks);

    const repeatOf = this.#repeatOf(request);
    if (repeatOf === 'outOfOrder') return refuse({ code: 'OUT_OF_ORDER_SEQUENCE_NUMBER', reason: 'a gap' });
    const finish = (base: Offset): void => {
      const done: WriteAnswer = { kind: 'done', baseOffset: base, leaderEpoch: state.leaderEpoch };
      if (!waitsForCommit(request.acks)) return answer(done);
      if (this.#role !== role)
        return refuse({ code: 'NOT_LEADER', leaderId: noBroker, leaderEpoch: state.leaderEpoch });
      role.waiters.add(
        {
          endOffset: offset(base + request.records.length),
          deadlineMs: nowMs + request.timeoutMs,
          complete: (fault) => (fault ? refuse(fault) : answer(done)),
        },
        state.leaderEpoch,
        state.highWatermark,
      );
    };
    if (repeatOf !== null) return finish(repeatOf);
    const records = request.records.map((record) => ({ ...record, epoch: state.leaderEpoch }));
    this.#append(records, () => {
      const base = offset(this.log.endOffset - records.length);
      if (this.#role === role) {
        this.lead({ kind: 'appended', logEndOffset: this.log.endOffset });
        this.#host.onNews(this, 0);
      }
      finish(base);
    });
  }

  #refusalOf(state: LeaderState, acks: number): Fault | null {
    const refusal = refusalBeforeAppend(acks, {
      canAcceptAcksAll: state.record.isr.length >= Math.min(this.#record?.minIsr ?? 1, state.record.replicas.length),
    });
    if (refusal) return refusal;
    if (this.mayActAsLeader()) return null;
    return { code: 'NOT_LEADER', leaderId: noBroker, leaderEpoch: state.leaderEpoch };
  }

  /** Whether this broker leads and is not cut off from everybody who could elect another leader (I19). */
  mayActAsLeader(): boolean {
    return this.leaderState?.mayAppend(this.#host.nowMs, this.#host.controllerContact()) ?? false;
  }

  questionLeadership(): number {
    this.lead({ kind: 'questioned' });
    return present(this.leaderState, 'a coordinator serves while its replica leads').lastQuestion;
  }

  /**
   * A coordinator's batch under acks=all: it has its place at once and is written later. Throws a BrokerError before
   * anything is changed; the end of the leadership tells whoever waits.
   */
  appendAsCoordinator(batch: readonly GroupRecord[]): Offset {
    const role = this.#role;
    if (role.kind !== 'leader')
      throw new BrokerError({ code: 'NOT_LEADER', leaderId: noBroker, leaderEpoch: noLeaderEpoch });
    const refusal = this.#refusalOf(role.state, -1);
    if (refusal) throw new BrokerError(refusal);
    const { world, process } = this.#host;
    world.onTakingWrite(process, this, -1);
    const { leaderEpoch: epoch } = role.state;
    const end = offset(this.log.endOffset + this.#queuedRecords + 1);
    const record = { epoch, value: world.nextValue(), producerId: -1, sequence: 0, batch };
    const onWritten = (): void => {
      assert(this.log.endOffset === end, 'a batch is written where it was given its place');
      if (this.#role !== role) return;
      this.lead({ kind: 'appended', logEndOffset: end });
      this.#host.onNews(this, 0);
    };
    this.#append([record], onWritten, true);
    return end;
  }

  /** The base offset of the same batch among the producer's last five; null for a new one. Appends under way count. */
  #repeatOf(request: WriteRequest): Offset | null | 'outOfOrder' {
    const [first] = request.records;
    if (first === undefined || first.producerId < 0) return null;
    // The model has no memory of appends under way; the real log keeps it. Take such a repeat as out of order: retried.
    if (this.#underWay > 0) return 'outOfOrder';
    const last = this.log.lastOf(first.producerId, 5 * request.records.length);
    const same = last.find(({ record }) => record.sequence === first.sequence);
    if (same) return same.offset;
    const newest = last[0]?.record.sequence;
    return newest === undefined || first.sequence === newest + 1 ? null : 'outOfOrder';
  }

  /** Returns false where this broker has yet to learn of that leader epoch. */
  onAttach(
    streamId: number,
    follower: { id: number; epoch: number },
    message: AttachMessage,
    send: (message: ToFollower) => void,
  ): boolean {
    const role = this.#role;
    const known = this.#record?.leaderEpoch ?? noLeaderEpoch;
    if (role.kind !== 'leader') {
      if (role.kind === 'changing' || message.leaderEpoch > known) return false;
      send({ kind: 'reject', attachId: message.attachId, reason: 'notLeader', leaderEpoch: known });
      return true;
    }
    if (message.leaderEpoch > role.state.leaderEpoch && !this.#host.fault?.leaderEvent) return false;
    this.lead({
      kind: 'attachRequested',
      streamId,
      attachId: message.attachId,
      follower: follower.id as never,
      followerBrokerEpoch: follower.epoch as never,
      leaderEpoch: message.leaderEpoch,
      logEndOffset: message.logEndOffset,
      lastEpoch: message.lastEpoch,
      logStartOffset: this.log.startOffset,
      nowMs: this.#host.nowMs,
    });
    return true;
  }

  /** Planted fault: an ack of a session that is over is taken for what the follower holds now. */
  onLateAck(streamId: number, attachId: number, follower: { id: number; epoch: number }, logEndOffset: Offset): void {
    const role = this.#role;
    if (role.kind !== 'leader' || logEndOffset <= (role.state.logEndOffsetOf(follower.id as never) ?? -1)) return;
    if (logEndOffset > this.log.endOffset || logEndOffset <= this.log.startOffset) return;
    this.lead({
      kind: 'attachRequested',
      streamId,
      attachId,
      follower: follower.id as never,
      followerBrokerEpoch: follower.epoch as never,
      leaderEpoch: role.state.leaderEpoch,
      logEndOffset,
      lastEpoch: this.log.at(logEndOffset - 1)?.epoch ?? noLeaderEpoch,
      logStartOffset: this.log.startOffset,
      nowMs: this.#host.nowMs,
    });
  }

  /** Steps the LeaderState, where this replica leads. */
  lead(plain: LeaderEvent): void {
    const role = this.#role;
    if (role.kind !== 'leader') return;
    const fault = this.#host.fault;
    const event = fault?.leaderEvent?.(plain, role.state) ?? plain;
    const actions = role.state.step(event);
    this.#carryOut(role, actions);
    fault?.afterLeaderActions?.(actions, role.state);
    if (fault && role.state.highWatermark > this.log.highWatermark)
      this.#carryOut(role, [{ kind: 'advanceHighWatermark', highWatermark: role.state.highWatermark }]);
  }

  onIsrAnswered(proposalId: number, answer: ProposalAnswer | 'lost'): void {
    if (answer === 'lost') this.lead({ kind: 'isrRequestLost', proposalId });
    else this.lead({ kind: 'isrAnswered', proposalId, answer });
  }

  onTick(nowMs: number): void {
    const role = this.#role;
    if (role.kind === 'leader') {
      if (role.waiters.size > 0 && role.waiters.nextDeadlineMs <= nowMs) role.waiters.expire(nowMs, role.state);
      this.lead({ kind: 'ticked', nowMs });
    } else if (role.kind === 'follower') this.#follow(role, role.state.step({ kind: 'ticked', nowMs }), null);
  }

  #carryOut(role: LeaderRole, actions: readonly LeaderAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'advanceHighWatermark':
          this.#setHighWatermark(action.highWatermark, role.state.leaderEpoch);
          role.waiters.onHighWatermark(action.highWatermark);
          this.#host.onNews(this, 20);
          break;
        case 'askFollowers':
          this.#host.askFollowers(this, action.question);
          break;
        case 'confirmLeadership':
          this.onProgress();
          break;
        case 'proposeIsr':
          this.#host.proposeIsr(this, action);
          break;
        case 'sendAttached': {
          const { streamId, attachId, leaderEpochStartOffset, highWatermark, logStartOffset, nextOffset } = action;
          this.#host.sendTo(streamId, {
            kind: 'attached',
            attachId,
            leaderEpochStartOffset,
            highWatermark,
            logStartOffset,
          });
          if (nextOffset >= logStartOffset) this.#host.startSending(streamId, attachId, this, nextOffset);
          break;
        }
        case 'sendDiverging':
          this.#host.sendTo(action.streamId, {
            kind: 'diverging',
            attachId: action.attachId,
            epoch: action.epoch,
            endOffset: action.endOffset,
          });
          break;
        case 'sendReject':
          this.#host.sendTo(action.streamId, {
            kind: 'reject',
            attachId: action.attachId,
            reason: action.reason,
            leaderEpoch: action.leaderEpoch,
          });
          break;
        default:
          unreachable(action);
      }
    }
  }

  /** As retention or DeleteRecords: up to the high watermark at most. */
  deleteRecordsBefore(before: Offset): void {
    const role = this.#role;
    if (role.kind !== 'leader' || before > role.state.highWatermark) return;
    this.log.raiseStart(before);
    this.#host.onNews(this, 20);
  }

  // ---------------------------------------------------------------------------------------------- as follower

  onStreamOpened(): void {
    if (this.#role.kind === 'follower') this.#follow(this.#role, this.#role.state.step({ kind: 'streamOpened' }), null);
  }
  onStreamClosed(): void {
    if (this.#role.kind === 'follower') this.#follow(this.#role, this.#role.state.step({ kind: 'streamClosed' }), null);
  }

  onLeaderMessage(message: Exclude<ToFollower, { kind: 'helloAnswer' | 'ping' }>): void {
    const role = this.#role;
    if (role.kind !== 'follower') return;
    switch (message.kind) {
      case 'attached':
        this.#follow(role, role.state.step(message), null);
        return this.#host.onRoleChanged();
      case 'diverging':
        this.#host.world.trace.note(
          'diverging',
          [this.#host.id, this.partition, message.epoch, message.endOffset],
          () => JSON.stringify(this.log.epochs.entries),
        );
        return this.#follow(role, role.state.step(message), null);
      case 'reject': {
        const { attachId, reason } = message;
        return this.#follow(
          role,
          role.state.step({ kind: 'rejected', attachId, reason, nowMs: this.#host.nowMs }),
          null,
        );
      }
      case 'data': {
        const { attachId, baseOffset, highWatermark, logStartOffset, records } = message;
        const endOffset = offset(baseOffset + records.length);
        const lastEpoch = records.at(-1)?.epoch ?? noLeaderEpoch;
        const actions = role.state.step({
          kind: 'dataArrived',
          attachId,
          baseOffset,
          endOffset,
          lastEpoch,
          highWatermark,
          logStartOffset,
        });
        return this.#follow(role, actions, records);
      }
      default:
        return unreachable(message);
    }
  }

  #cut(end: Offset): void {
    this.#host.world.onCutting(this.#host.id, this, end);
    this.log.truncateTo(end);
  }

  /** Where a batch is refused, what lies before it is taken all the same. */
  #appendAsFollower(role: FollowerRole, records: readonly ModelRecord[], baseOffset: Offset): void {
    const { nowMs, world } = this.#host;
    const taken = records.slice(0, world.takenOf(records.length));
    if (taken.length < records.length) {
      const acceptedEndOffset = offset(baseOffset + taken.length);
      const acceptedEpoch = taken.at(-1)?.epoch ?? noLeaderEpoch;
      world.trace.note('refused', [this.#host.id, this.partition, acceptedEndOffset]);
      this.#follow(role, role.state.step({ kind: 'appendRefused', acceptedEndOffset, acceptedEpoch, nowMs }), null);
    }
    if (taken.length === 0) return;
    this.#append(taken, () => {
      if (this.#role === role)
        this.#follow(role, role.state.step({ kind: 'appended', logEndOffset: this.log.endOffset }), null);
    });
  }

  #follow(role: FollowerRole, actions: readonly FollowerAction[], records: readonly ModelRecord[] | null): void {
    const { log } = this;
    for (const action of actions) {
      switch (action.kind) {
        case 'dropEpochsFrom':
          if (!this.#host.fault?.keepsEmptyEpochs) log.epochs.truncateFromEnd(action.logEndOffset);
          break;
        case 'attach':
          this.#host.world.trace.note('attach', [
            this.#host.id,
            this.partition,
            action.leaderEpoch,
            action.logEndOffset,
            action.lastEpoch,
          ]);
          this.#host.sendToLeader(role.leader, { ...action, topicId: this.topicId, partition: this.partition }, this);
          break;
        case 'detach':
          this.#host.sendToLeader(role.leader, action, null);
          break;
        case 'append':
          assert(records !== null, 'an append answers data');
          this.#appendAsFollower(role, records, action.baseOffset);
          break;
        case 'truncateTo':
        case 'truncateFullyAndStartAt':
          this.#track(this.#host.world.random.next() * 5, () => {
            if (action.kind === 'truncateTo') this.#cut(action.offset);
            else {
              this.#host.world.onStartingAfresh(this.#host.id, this, action.offset);
              log.truncateFullyAndStartAt(action.offset);
            }
            if (this.#role !== role) return;
            this.#follow(
              role,
              role.state.step({ kind: 'truncated', logEndOffset: log.endOffset, lastEpoch: log.lastEpoch }),
              null,
            );
            this.#host.onRoleChanged();
          });
          break;
        case 'ack':
          this.#host.sendToLeader(role.leader, action, null);
          this.#host.onRoleChanged();
          break;
        case 'updateHighWatermark':
          this.#setHighWatermark(action.highWatermark, action.leaderEpoch);
          break;
        case 'raiseLogStart':
          log.raiseStart(action.logStartOffset);
          break;
        case 'quarantine':
          this.#endRole({ kind: 'quarantined' });
          this.#host.world.onQuarantined(this.#host.id, this, action.reason);
          break;
        default:
          unreachable(action);
      }
    }
  }
}
