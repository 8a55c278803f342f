/**
 * One partition of the topic of groups on one broker: the driver of PartitionCoordinator over a GroupShard in the simulated
 * world. It does what `coordinated-partition.ts` does in `src/broker/coordinators/`, on the model of the log.
 */
import type { CoordinatorShard, Now, TopicsChange } from '../../../src/coordinator/coordinator-shard.ts';
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import { type GroupAnswer, type GroupRequest, isRefused } from '../../../src/coordinator/group-requests.ts';
import {
  PartitionCoordinator,
  type PartitionCoordinatorAction,
  type PartitionCoordinatorEvent,
} from '../../../src/coordinator/partition-coordinator.ts';
import { unreachable } from '../../../src/model/assert.ts';
import type { LeaderEpoch, Offset } from '../../../src/model/brands.ts';
import { offset } from '../../../src/model/brands.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import type { BrokerProcess } from '../broker-process.ts';
import type { SimulatedReplica } from '../simulated-replica.ts';
import type { GroupAsk } from './group-ask.ts';
import type { SimulatedGroups } from './simulated-groups.ts';

export type SimulatedShard = CoordinatorShard<GroupRequest, GroupRecord, GroupAnswer>;
export type CoordinatorEvent = PartitionCoordinatorEvent<GroupRequest, GroupRecord>;

/** Records read at a time while loading: few, so that a load takes several pieces. */
const loadRecords = 16;

export class SimulatedCoordinator {
  readonly replica: SimulatedReplica;
  readonly host: BrokerProcess;
  readonly #groups: SimulatedGroups;
  readonly #core: PartitionCoordinator<GroupRequest, GroupRecord, GroupAnswer>;
  readonly #asks = new Map<number, GroupAsk>();
  /** Of the newest election. */
  shard: SimulatedShard;
  /** Up to where records of the newest election have been read. */
  loadedOffset: Offset = offset(0);
  #lastRequestId = 0;

  constructor(host: BrokerProcess, groups: SimulatedGroups, replica: SimulatedReplica) {
    this.host = host;
    this.replica = replica;
    this.#groups = groups;
    this.shard = groups.newShard(host);
    const { fault } = host;
    this.#core = new PartitionCoordinator(
      { commitTimeoutMs: groups.commitTimeoutMs },
      {
        newShard: () => {
          const shard = groups.newShard(host);
          this.shard = fault?.groupShard?.(shard, groups) ?? shard;
          return this.shard;
        },
        log: {
          append: (records) => this.#append(records),
          maySpeak: () => fault?.speaksWithoutContact === true || replica.mayActAsLeader(),
          questionLeadership: () =>
            fault?.tellsUnconfirmed || fault?.coordinatesOn ? 0 : replica.questionLeadership(),
        },
      },
    );
    replica.onProgress = () => this.#onProgress();
  }

  get now(): Now {
    return { monotonicMs: this.host.nowMs, wallMs: this.host.wallMs };
  }
  get isServing(): boolean {
    return this.#core.isServing;
  }
  get leaderEpoch(): LeaderEpoch | null {
    return this.#core.leaderEpoch;
  }

  /** Returns what `withdraw` takes. */
  ask(ask: GroupAsk): number {
    const requestId = ++this.#lastRequestId;
    const { world, fault } = this.host;
    world.trace.note('group asked', [this.host.id, requestId], () => `${ask.clientName} ${describe(ask.request)}`);
    world.onGroupHandling(ask, this);
    this.#asks.set(requestId, ask);
    const request = fault?.groupRequest?.(ask.request, this.#groups) ?? ask.request;
    this.#step({ kind: 'requested', requestId, request, now: this.now });
    return requestId;
  }

  /** The client has closed its connection. */
  withdraw(requestId: number): void {
    if (this.#asks.delete(requestId)) this.#step({ kind: 'withdrawn', requestId });
  }

  onTick(): void {
    if (!this.#core.isServing) return;
    this.#step({ kind: 'ticked', now: this.now });
    if (this.#core.isServing) this.#groups.maybeCompareWithReplay(this);
  }

  onTopicsChanged(change: TopicsChange): void {
    this.#step({ kind: 'topicsChanged', change, now: this.now });
  }

  onProcessGone(): void {
    for (const ask of this.#asks.values()) ask.onProcessGone();
    this.#asks.clear();
  }

  #onProgress(): void {
    const { replica, now } = this;
    const state = replica.leaderState;
    if (state === null) {
      if (this.#core.leaderEpoch !== null && !this.host.fault?.coordinatesOn) this.#step({ kind: 'resigned' });
    } else if (state.leaderEpoch !== this.#core.leaderEpoch) {
      const { leaderEpoch, leaderEpochStartOffset: logEndOffset, highWatermark } = state;
      this.loadedOffset = replica.log.startOffset;
      const { loadedOffset: logStartOffset } = this;
      this.#step({ kind: 'elected', leaderEpoch, logStartOffset, logEndOffset, highWatermark, now });
    } else {
      this.#step({ kind: 'highWatermarkMoved', highWatermark: state.highWatermark, now });
      this.#step({ kind: 'leadershipConfirmed', question: state.confirmedQuestion });
    }
  }

  #step(event: CoordinatorEvent): void {
    const given = this.host.fault?.coordinatorEvent?.(event, this) ?? event;
    for (const action of this.#core.step(given)) this.#carryOut(action);
  }

  #carryOut(action: PartitionCoordinatorAction<GroupAnswer>): void {
    switch (action.kind) {
      case 'read':
        this.#load(action.leaderEpoch, action.offset, action.endOffset);
        break;
      case 'answer':
        this.#answer(action.requestId, action.answer);
        break;
      case 'refuse':
        this.#answer(action.requestId, { fault: action.fault });
        break;
      default:
        unreachable(action);
    }
  }

  #answer(requestId: number, answer: GroupAnswer): void {
    const ask = this.#asks.get(requestId);
    if (ask === undefined) return;
    this.#asks.delete(requestId);
    const { world, id } = this.host;
    world.trace.note('group answered', [id, requestId], () => `${ask.clientName} ${describe(answer)}`);
    if (!isRefused(answer)) this.#groups.answers++;
    world.onGroupAnswered(ask, answer, this);
    ask.reply(answer);
  }

  #append(records: readonly GroupRecord[]): Offset {
    const { fault, world, id } = this.host;
    try {
      const end = this.replica.appendAsCoordinator(records);
      world.trace.note('group records', [id, end], () => records.map(describe).join(' '));
      if (fault?.tellsBeforeCommitted)
        this.host.process.after(0, () => {
          if (this.#core.isServing) this.#step({ kind: 'highWatermarkMoved', highWatermark: end, now: this.now });
        });
      return end;
    } catch (error) {
      if (fault?.replaysRefused && error instanceof BrokerError)
        for (const record of records) this.shard.replay(record);
      throw error;
    }
  }

  /** One piece: read at one moment, handed over at a later one, as a disk does. */
  #load(leaderEpoch: LeaderEpoch, from: Offset, endOffset: Offset): void {
    const { random } = this.host.world;
    const delayMs = (): number => random.next() * (random.chance(0.1) ? this.#groups.slowLoadMs : 2);
    this.host.process.after(delayMs(), () => {
      const { log } = this.replica;
      const nextOffset = offset(Math.min(endOffset, from + loadRecords));
      const records = log.slice(Math.max(from, log.startOffset), nextOffset).flatMap(({ batch }) => batch ?? []);
      this.host.process.after(delayMs(), () => {
        if (this.#core.leaderEpoch !== leaderEpoch) return;
        this.loadedOffset = nextOffset;
        this.#step({ kind: 'recordsRead', leaderEpoch, records, nextOffset, now: this.now });
      });
    });
  }
}

/** Bytes are text here. */
const describe = (what: object): string =>
  JSON.stringify(what, (_, value) =>
    value?.type === 'Buffer' ? Buffer.from(value.data).toString() : typeof value === 'bigint' ? String(value) : value,
  );
