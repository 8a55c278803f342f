/**
 * The following role of one replica, for one leader epoch: the thin driver around FollowerState. It hands the core what
 * the leader says, and carries out what the core decides: append, cut, ack.
 *
 * A role that has ended takes part in nothing any more: what it still had under way finds `#isOver`.
 */
import type { Logger } from '../env/logger.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { assert, unreachable } from '../model/assert.ts';
import { type LeaderEpoch, noLeaderEpoch, type Offset, offsetAfter } from '../model/brands.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';
import { batchesOf, lastOffsetOf, partitionLeaderEpochOf } from '../records/batch-header.ts';
import type { AppendsUnderWay } from './appends-under-way.ts';
import { byteLengthOf, type FollowerSession, type FollowingReplica } from './follower-session.ts';
import { type FollowerAction, type FollowerEvent, type FollowerOptions, FollowerState } from './follower-state.ts';
import type { LeaderMessage } from './replication-messages.ts';

/** What the role asks of its replica. */
export interface FollowerRoleHost {
  readonly logger: Logger;
  monotonicMs(): number;
  nextAttachId(): number;
  onHighWatermark(highWatermark: Offset, leaderEpoch: LeaderEpoch): void;
  /** The log was cut to what is common with the leader's. */
  onCut(): void;
  /** This replica alone is out of service, its files kept (I15). */
  onQuarantined(reason: string): void;
  /** The log can no longer be written or trusted. */
  onFailed(error: unknown): void;
}

export interface FollowerRoleModules {
  readonly log: PartitionLog;
  readonly underWay: AppendsUnderWay;
  readonly host: FollowerRoleHost;
  /** To the leader's broker. */
  readonly session: FollowerSession;
}

type Data = Extract<LeaderMessage, { kind: 'data' }>;

export class FollowerRole implements FollowingReplica {
  readonly kind = 'follower';
  readonly #state: FollowerState;
  readonly #log: PartitionLog;
  readonly #underWay: AppendsUnderWay;
  readonly #host: FollowerRoleHost;
  readonly #session: FollowerSession;
  #uncleanEpoch: LeaderEpoch;
  #hasCaughtUp = false;
  #isOver = false;

  constructor(
    options: FollowerOptions,
    modules: FollowerRoleModules,
    start: {
      readonly record: PartitionRecord;
      readonly highWatermark: Offset;
      readonly highWatermarkEpoch: LeaderEpoch;
    },
  ) {
    const { log, host } = modules;
    const { leader, leaderEpoch, uncleanEpoch } = start.record;
    const { highWatermark, highWatermarkEpoch } = start;
    this.#log = log;
    this.#underWay = modules.underWay;
    this.#host = host;
    this.#session = modules.session;
    this.#uncleanEpoch = uncleanEpoch;
    this.#state = new FollowerState(
      options,
      { epochs: log.epochs, nextAttachId: () => host.nextAttachId() },
      {
        leader,
        leaderEpoch,
        uncleanEpoch,
        logStartOffset: log.logStartOffset,
        logEndOffset: log.logEndOffset,
        lastEpoch: log.lastEpoch(),
        highWatermark,
        highWatermarkEpoch,
      },
    );
  }

  /** Follows over the session from here on: once it is the role of its replica. */
  begin(): void {
    this.#session.add(this);
  }

  end(): void {
    this.#isOver = true;
    this.#session.remove(this);
  }

  /** Whether the leader's broker can be reached, as far as the stream to it tells. */
  get isStreamOpen(): boolean {
    return this.#session.isOpen;
  }

  /** Once is enough: under load no broker ever holds everything of all its partitions at one moment. */
  get hasCaughtUp(): boolean {
    this.#hasCaughtUp ||= this.#state.isCaughtUp;
    return this.#hasCaughtUp;
  }

  /** A newer record of the same leader epoch. */
  onRecord({ uncleanEpoch }: PartitionRecord): void {
    if (uncleanEpoch === this.#uncleanEpoch) return;
    this.#uncleanEpoch = uncleanEpoch;
    this.#step({ kind: 'uncleanEpochChanged', uncleanEpoch });
  }

  onTick(nowMs: number): void {
    this.#step({ kind: 'ticked', nowMs });
  }

  // ------------------------------------------------------------------------------------------------- what the leader says

  onStreamOpened(): void {
    this.#step({ kind: 'streamOpened' });
  }

  onStreamClosed(): void {
    this.#step({ kind: 'streamClosed' });
  }

  onLeaderMessage(message: Exclude<LeaderMessage, { kind: 'helloAnswer' }>): void {
    switch (message.kind) {
      case 'attached':
      case 'diverging':
        return this.#step(message);
      case 'reject': {
        const { attachId, reason } = message;
        return this.#step({ kind: 'rejected', attachId, reason, nowMs: this.#host.monotonicMs() });
      }
      case 'data':
        return this.#onData(message);
      default:
        return unreachable(message);
    }
  }

  #onData(message: Data): void {
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
      this.#logError(error, 'the leader sent bytes that are no batches');
      this.#session.returnCredit(byteLengthOf(batches));
      return;
    }
    const actions = this.#isOver
      ? []
      : this.#state.step({
          kind: 'dataArrived',
          attachId,
          baseOffset,
          endOffset,
          lastEpoch,
          highWatermark,
          logStartOffset,
        });
    if (!actions.some((action) => action.kind === 'append')) this.#session.returnCredit(byteLengthOf(batches));
    this.#carryOut(actions, batches);
  }

  // ------------------------------------------------------------------------------------------------- actions

  #step(event: FollowerEvent): void {
    if (!this.#isOver) this.#carryOut(this.#state.step(event), null);
  }

  /** `batches`: of the data that these actions answer. */
  #carryOut(actions: readonly FollowerAction[], batches: readonly Buffer[] | null): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'dropEpochsFrom':
          this.#log.dropEpochsFrom(action.logEndOffset);
          break;
        case 'attach': {
          const { topicId, partition } = this.#log;
          this.#session.attach(this, { ...action, topicId, partition });
          break;
        }
        case 'detach':
          this.#session.detach(action.attachId);
          break;
        case 'append':
          assert(batches !== null, 'an append answers data');
          void this.#append(batches, action.endOffset);
          break;
        case 'truncateTo':
          void this.#truncate(this.#log.truncateTo(action.offset));
          break;
        case 'truncateFullyAndStartAt':
          void this.#truncate(this.#log.truncateFullyAndStartAt(action.offset));
          break;
        case 'ack':
          this.#session.ack(action.attachId, action.logEndOffset);
          break;
        case 'updateHighWatermark':
          this.#host.onHighWatermark(action.highWatermark, action.leaderEpoch);
          break;
        case 'raiseLogStart':
          this.#log.raiseLogStart(action.logStartOffset);
          break;
        case 'quarantine':
          this.#host.onQuarantined(action.reason);
          break;
        default:
          unreachable(action);
      }
    }
  }

  /** Acks up to `endOffset` alone: what was written behind it meanwhile may not be as safe as it has to be yet. */
  async #append(batches: readonly Buffer[], endOffset: Offset): Promise<void> {
    const { leaderEpoch } = this.#state;
    try {
      await this.#underWay.track(Promise.all(batches.map((chunk) => this.#log.appendAsFollower(chunk, leaderEpoch))));
      this.#step({ kind: 'appended', logEndOffset: endOffset });
    } catch (error) {
      if (this.#isOver) return; // nobody waits for it: the log has ended, or another leader is compared with it next
      this.#logError(error, 'batches of the leader were refused');
      this.#step({ kind: 'appendRefused', nowMs: this.#host.monotonicMs() });
    } finally {
      this.#session.returnCredit(byteLengthOf(batches));
    }
  }

  async #truncate(work: Promise<void>): Promise<void> {
    try {
      await this.#underWay.track(work);
      if (this.#isOver) return;
      const { logEndOffset } = this.#log;
      this.#step({ kind: 'truncated', logEndOffset, lastEpoch: this.#log.lastEpoch() });
      this.#host.onCut();
    } catch (error) {
      this.#host.onFailed(error);
    }
  }

  #logError(error: unknown, message: string): void {
    const { topic, partition } = this.#log;
    this.#host.logger.error({ err: error, topic, partition }, message);
  }
}
