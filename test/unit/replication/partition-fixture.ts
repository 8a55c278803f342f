/** A partition of three replicas, its leader and followers as cores, for tables. */
import {
  type BrokerEpoch,
  type BrokerId,
  brokerEpoch,
  brokerId,
  leaderEpoch,
  noLeaderEpoch,
  offset,
  partitionEpoch,
} from '../../../src/model/brands.ts';
import type { PartitionRecord } from '../../../src/model/metadata-schema.ts';
import type { EpochHistory } from '../../../src/replication/epoch-history.ts';
import { type FollowerStart, FollowerState } from '../../../src/replication/follower-state.ts';
import {
  type ControllerContact,
  type LeaderAction,
  type LeaderStart,
  LeaderState,
} from '../../../src/replication/leader-state.ts';

export const [b1, b2, b3] = [brokerId(1), brokerId(2), brokerId(3)];
export const epoch5 = leaderEpoch(5);

export const recordOf = (changes: Partial<PartitionRecord> = {}): PartitionRecord => ({
  leader: b1,
  leaderEpoch: epoch5,
  partitionEpoch: partitionEpoch(10),
  replicas: [b1, b2, b3],
  isr: [b1, b2, b3],
  elr: [],
  lastKnownElr: [],
  adding: [],
  removing: [],
  minIsr: 2,
  uncleanEpoch: noLeaderEpoch,
  ...changes,
});

/** With a controller on another broker that proved itself as it answered. */
export const contactAt = (sentMs: number): ControllerContact => ({ provedMs: sentMs, answeredMs: sentMs });

/** Epochs as [epoch, start offset], oldest first. */
export const historyOf = (...entries: readonly (readonly [epoch: number, startOffset: number])[]): EpochHistory => ({
  endFor(epoch, logEndOffset, logStartOffset) {
    const at = entries.findLastIndex(([known]) => known <= epoch);
    const found = entries[at];
    if (!found) return { epoch, endOffset: logStartOffset };
    const next = entries[at + 1];
    return { epoch: leaderEpoch(found[0]), endOffset: next ? offset(next[1]) : logEndOffset };
  },
});

export class Brokers {
  readonly epochs = new Map<BrokerId, BrokerEpoch>([b1, b2, b3].map((id) => [id, brokerEpoch(100 + id)]));
  readonly inactive = new Set<BrokerId>();
  brokerEpochOf(id: BrokerId): BrokerEpoch {
    return this.epochs.get(id) ?? brokerEpoch(-1);
  }
  isActive(id: BrokerId): boolean {
    return this.epochs.has(id) && !this.inactive.has(id);
  }
}

/** A leader whose followers' streams are numbered by their broker id, as are their attach requests. */
export class LeaderUnderTest {
  readonly brokers = new Brokers();
  readonly state: LeaderState;
  nowMs = 0;

  constructor(start: Partial<LeaderStart> = {}, history: EpochHistory = historyOf([5, 0])) {
    this.state = new LeaderState(
      { localId: b1, lagTimeMaxMs: 10_000, isrRetryMs: 200, isolationTimeMs: 2_000 },
      { brokers: this.brokers, epochs: history },
      {
        record: recordOf(),
        logStartOffset: offset(0),
        logEndOffset: offset(0),
        highWatermark: offset(0),
        nowMs: 0,
        ...start,
      },
    );
  }
  append(logEnd: number): LeaderAction[] {
    return this.state.step({ kind: 'appended', logEndOffset: offset(logEnd) });
  }
  attach(
    follower: BrokerId,
    logEnd: number,
    changes: { leaderEpoch?: number; lastEpoch?: number; brokerEpoch?: number; attachId?: number } = {},
  ): LeaderAction[] {
    return this.state.step({
      kind: 'attachRequested',
      streamId: follower,
      attachId: changes.attachId ?? follower,
      follower,
      followerBrokerEpoch: brokerEpoch(changes.brokerEpoch ?? this.brokers.brokerEpochOf(follower)),
      leaderEpoch: leaderEpoch(changes.leaderEpoch ?? 5),
      logEndOffset: offset(logEnd),
      lastEpoch: leaderEpoch(changes.lastEpoch ?? (logEnd === 0 ? -1 : 5)),
      logStartOffset: offset(0),
      nowMs: this.nowMs,
    });
  }
  ack(follower: BrokerId, logEnd: number, attachId: number = follower): LeaderAction[] {
    return this.state.step({
      kind: 'acked',
      streamId: follower,
      attachId,
      logEndOffset: offset(logEnd),
      nowMs: this.nowMs,
    });
  }
  record(changes: Partial<PartitionRecord>): LeaderAction[] {
    const now = this.state.record;
    const record = { ...now, partitionEpoch: partitionEpoch(now.partitionEpoch + 1), ...changes };
    return this.state.step({ kind: 'recordChanged', record, nowMs: this.nowMs });
  }
  tick(afterMs = 0): LeaderAction[] {
    this.nowMs += afterMs;
    return this.state.step({ kind: 'ticked', nowMs: this.nowMs });
  }
}

export const followerOf = (start: Partial<FollowerStart> = {}, history: EpochHistory = historyOf()): FollowerState => {
  let attachId = 0;
  return new FollowerState(
    { attachRetryMs: 50 },
    { epochs: history, nextAttachId: () => ++attachId },
    {
      leader: b1,
      leaderEpoch: epoch5,
      uncleanEpoch: noLeaderEpoch,
      logStartOffset: offset(0),
      logEndOffset: offset(0),
      lastEpoch: noLeaderEpoch,
      highWatermark: offset(0),
      highWatermarkEpoch: noLeaderEpoch,
      ...start,
    },
  );
};
