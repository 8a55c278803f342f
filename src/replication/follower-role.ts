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
import { BrokerError } from '../model/fault.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';
import { batchesOf, lastOffsetOf, partitionLeaderEpochOf } from '../records/batch-header.ts';
import type { AppendsUnderWay } from './appends-under-way.ts';
import { byteLengthOf, type FollowerSession, type FollowingReplica } from './follower-session.ts';
import { type FollowerAction, type FollowerEvent, type FollowerOptions, FollowerState } from './follower-state.ts';
import type { AttachedMessage } from './replication-messages.ts';

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

type Data = Extract<AttachedMessage, { kind: 'data' }>;

/** Whole batches that lie together in a message. */
interface Chunk {
  readonly bytes: Buffer;
  /** After its last record. */
  readonly endOffset: Offset;
  readonly lastEpoch: LeaderEpoch;
}

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

  onLeaderMessage(message: AttachedMessage): void {
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
    const chunks: Chunk[] = [];
    let end = { endOffset: baseOffset, lastEpoch: noLeaderEpoch };
    try {
      for (const bytes of batches) {
        for (const batch of batchesOf(bytes))
          end = { endOffset: offsetAfter(lastOffsetOf(batch), 1), lastEpoch: partitionLeaderEpochOf(batch) };
        chunks.push({ bytes, ...end });
      }
    } catch (error) {
      this.#logError(error, 'the leader sent bytes that are no batches');
      this.#session.returnCredit(byteLengthOf(batches));
      return;
    }
    const actions = this.#isOver
      ? []
      : this.#state.step({ kind: 'dataArrived', attachId, baseOffset, ...end, highWatermark, logStartOffset });
    if (!actions.some((action) => action.kind === 'append')) this.#session.returnCredit(byteLengthOf(batches));
    this.#carryOut(actions, chunks);
  }

  // ------------------------------------------------------------------------------------------------- actions

  #step(event: FollowerEvent): void {
    if (!this.#isOver) this.#carryOut(this.#state.step(event), null);
  }

  /** `chunks`: of the data that these actions answer. */
  #carryOut(actions: readonly FollowerAction[], chunks: readonly Chunk[] | null): void {
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
          assert(chunks !== null, 'an append answers data');
          void this.#append(chunks, action.baseOffset);
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

  /**
   * Acks up to its own end alone: what was written behind it meanwhile may not be as safe as it has to be yet. Behind a
   * refused chunk nothing is handed over: a compacted log may have gaps and would take it.
   */
  async #append(chunks: readonly Chunk[], baseOffset: Offset): Promise<void> {
    const writes: Promise<void>[] = [];
    let accepted: { endOffset: Offset; lastEpoch: LeaderEpoch } = { endOffset: baseOffset, lastEpoch: noLeaderEpoch };
    try {
      for (const chunk of chunks) {
        writes.push(this.#log.appendAsFollower(chunk.bytes, this.#state.leaderEpoch));
        accepted = chunk;
      }
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.#logError(error, 'batches of the leader were refused');
      const { endOffset: acceptedEndOffset, lastEpoch: acceptedEpoch } = accepted;
      this.#step({ kind: 'appendRefused', acceptedEndOffset, acceptedEpoch, nowMs: this.#host.monotonicMs() });
    }
    const areWritten = await this.#underWay.track(Promise.all(writes)).then(
      () => true,
      () => false, // the log has failed or is closed: whoever owns it has ended this role
    );
    this.#session.returnCredit(chunks.reduce((bytes, chunk) => bytes + chunk.bytes.length, 0));
    if (areWritten && writes.length > 0) this.#step({ kind: 'appended', logEndOffset: accepted.endOffset });
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
