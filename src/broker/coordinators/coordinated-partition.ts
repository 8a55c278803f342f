/**
 * One partition of a coordinator's topic on this broker: the thin driver around PartitionCoordinator. It follows the
 * replica's role and high watermark, reads the log while the core loads, appends its batches and settles its answers.
 */

import type { CoordinatorShard, Now, TopicsChange } from '../../coordinator/coordinator-shard.ts';
import {
  PartitionCoordinator,
  type PartitionCoordinatorAction,
  type PartitionCoordinatorEvent,
  type PartitionCoordinatorOptions,
} from '../../coordinator/partition-coordinator.ts';
import type { Timers } from '../../env/clock.ts';
import type { Logger } from '../../env/logger.ts';
import { pause } from '../../env/pause.ts';
import { unreachable } from '../../model/assert.ts';
import { type LeaderEpoch, type Offset, offsetAfter } from '../../model/brands.ts';
import { BrokerError } from '../../model/fault.ts';
import { batchesOf, isControlBatch } from '../../records/batch-header.ts';
import { encodeBatch, type RecordToWrite } from '../../records/record-batch.ts';
import { recordPieces, recordsAtOnce } from '../../records/record-pieces.ts';
import { RecordWalk } from '../../records/record-walk.ts';
import type { Replica } from '../../replication/replica.ts';
import { EncodeError } from '../../wire/wire-error.ts';

export interface CoordinatedPartitionModules<Request, Record, Answer> {
  readonly replica: Replica;
  readonly timers: Timers;
  readonly logger: Logger;
  now(): Now;
  newShard(): CoordinatorShard<Request, Record, Answer>;
  encode(record: Record, timestampMs: number): RecordToWrite;
  /** Null for a record that is none of this coordinator's. @throws WireError for one that cannot be read. */
  decode(key: Buffer, value: Buffer | null): Record | null;
  /** It has begun to serve, or stopped. */
  onServingChanged(): void;
}

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Read of the log at a time while loading. */
const loadBytes = 512 * 1024;
/** Records that are decoded and replayed in one turn of the event loop: some ten milliseconds. */
const loadRecords = 2000;
/** What the records of one batch may unpack to; ours are not compressed, Kafka's may be. */
const unpackedLimitBytes = 64 * 1024 * 1024;
const loadRetryMs = 1000;

export class CoordinatedPartition<Request, Record, Answer> {
  readonly replica: Replica;
  readonly #modules: CoordinatedPartitionModules<Request, Record, Answer>;
  readonly #core: PartitionCoordinator<Request, Record, Answer>;
  readonly #waiting = new Map<number, Waiting<Answer>>();
  readonly #stopFollowing: readonly (() => void)[];
  #lastRequestId = 0;
  /** Counts reads of the log: an earlier one may still be under way when the same broker is elected again. */
  #lastLoad = 0;
  #isClosed = false;
  #wasServing = false;

  constructor(options: PartitionCoordinatorOptions, modules: CoordinatedPartitionModules<Request, Record, Answer>) {
    this.#modules = modules;
    this.replica = modules.replica;
    this.#core = new PartitionCoordinator(options, {
      newShard: () => modules.newShard(),
      log: {
        append: (records, wallMs) => this.#append(records, wallMs),
        maySpeak: () => this.replica.mayActAsLeader(),
        questionLeadership: () => this.replica.questionLeadership(),
      },
    });
    this.#stopFollowing = [
      this.replica.onProgress(() => this.#onProgress()),
      this.replica.onLeadershipConfirmed(() => this.#onConfirmed()),
    ];
    this.#onProgress();
  }

  get isServing(): boolean {
    return this.#core.isServing;
  }

  /** Rejects with a BrokerError: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE. */
  ask(request: Request, onDisconnect: (callback: () => void) => () => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const requestId = ++this.#lastRequestId;
      const stopWatching = onDisconnect(() => {
        const withdrawn = this.#take(requestId);
        this.#step({ kind: 'withdrawn', requestId });
        // Nobody reads the answer, but what the request holds is given back with it.
        withdrawn?.reject(new BrokerError({ code: 'NOT_COORDINATOR' }));
      });
      this.#waiting.set(requestId, {
        resolve: (answer) => {
          stopWatching();
          resolve(answer);
        },
        reject: (error) => {
          stopWatching();
          reject(error);
        },
      });
      this.#step({ kind: 'requested', requestId, request, now: this.#modules.now() });
    });
  }

  onTick(): void {
    if (this.#core.isServing) this.#step({ kind: 'ticked', now: this.#modules.now() });
  }

  onStalled(byMs: number): void {
    this.#step({ kind: 'stalled', byMs });
  }

  onTopicsChanged(change: TopicsChange): void {
    this.#step({ kind: 'topicsChanged', change, now: this.#modules.now() });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stop of this.#stopFollowing) stop();
    this.#step({ kind: 'resigned' });
  }

  #onProgress(): void {
    const { replica } = this;
    const leader = replica.leadership;
    const now = this.#modules.now();
    if (leader === null) {
      if (this.#core.leaderEpoch !== null) this.#step({ kind: 'resigned' });
    } else if (leader.leaderEpoch !== this.#core.leaderEpoch) {
      const { leaderEpoch, leaderEpochStartOffset: logEndOffset } = leader;
      const { logStartOffset, highWatermark } = replica;
      this.#step({ kind: 'elected', leaderEpoch, logStartOffset, logEndOffset, highWatermark, now });
    } else this.#step({ kind: 'highWatermarkMoved', highWatermark: replica.highWatermark, now });
  }

  #onConfirmed(): void {
    const { replica } = this;
    // Each leader epoch counts anew: a coordinator that has yet to hear of its election is of another one.
    if (replica.leadership?.leaderEpoch === this.#core.leaderEpoch)
      this.#step({ kind: 'leadershipConfirmed', question: replica.confirmedQuestion });
  }

  #step(event: PartitionCoordinatorEvent<Request, Record>): void {
    for (const action of this.#core.step(event)) this.#carryOut(action);
    if (this.#wasServing === this.#core.isServing) return;
    this.#wasServing = this.#core.isServing;
    this.#modules.onServingChanged();
  }

  #carryOut(action: PartitionCoordinatorAction<Answer>): void {
    switch (action.kind) {
      case 'read':
        void this.#load(action.leaderEpoch, action.offset, action.endOffset);
        break;
      case 'answer':
        this.#take(action.requestId)?.resolve(action.answer);
        break;
      case 'refuse':
        this.#take(action.requestId)?.reject(new BrokerError(action.fault));
        break;
      default:
        unreachable(action);
    }
  }

  #take(requestId: number): Waiting<Answer> | undefined {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    return waiting;
  }

  #append(records: readonly Record[], wallMs: number): Offset {
    let batch: Buffer;
    try {
      batch = encodeBatch({ records: this.#encode(records, wallMs) });
    } catch (error) {
      // What a client sent does not fit the topic's format, such as a text that grew when it was made valid UTF-8.
      if (error instanceof EncodeError) throw new BrokerError({ code: 'INVALID_REQUEST', reason: error.message });
      throw error;
    }
    const { endOffset, written } = this.replica.appendAsCoordinator(batch);
    written.catch(() => undefined); // The end of the leadership tells everybody who waits.
    return endOffset;
  }

  /** What the log would refuse for its size is not made first: a commit may name a million partitions (I42). */
  #encode(records: readonly Record[], wallMs: number): RecordToWrite[] {
    const { maxMessageBytes } = this.replica.log.config;
    const encoded: RecordToWrite[] = [];
    let bytes = 0;
    for (const record of records) {
      const one = this.#modules.encode(record, wallMs);
      bytes += (one.key?.length ?? 0) + (one.value?.length ?? 0);
      if (bytes > maxMessageBytes) {
        const reason = `${records.length} records are more than ${maxMessageBytes} bytes`;
        throw new BrokerError({ code: 'MESSAGE_TOO_LARGE', reason });
      }
      encoded.push(one);
    }
    return encoded;
  }

  /** One read of the log; the core asks for the next one. What cannot be read is tried again: it leads, so it must. */
  async #load(leaderEpoch: LeaderEpoch, offset: Offset, endOffset: Offset): Promise<void> {
    const number = ++this.#lastLoad;
    const isOver = (): boolean => this.#isClosed || this.#lastLoad !== number || this.#core.leaderEpoch !== leaderEpoch;
    const onRead = (records: readonly Record[], nextOffset: Offset | null): void =>
      this.#step({ kind: 'recordsRead', leaderEpoch, records, nextOffset, now: this.#modules.now() });
    let from = offset;
    try {
      const { chunks, nextOffset } = await this.replica.readForLoading(from, loadBytes, endOffset);
      let records: Record[] = [];
      for (const chunk of chunks)
        for (const batch of batchesOf(chunk)) {
          if (isControlBatch(batch)) continue;
          const walk = new RecordWalk(batch);
          const all = recordsAtOnce(batch);
          for await (const piece of all === null ? recordPieces(batch, unpackedLimitBytes) : [all]) {
            walk.enter(piece);
            while (this.#decodeSome(walk, from, records)) {
              // The event loop turns meanwhile, so that a long log does not hold up other requests.
              await pause(this.#modules.timers, 0);
              if (isOver()) return;
              onRead(records, null);
              records = [];
              from = offsetAfter(walk.offset as Offset, 1);
            }
          }
          walk.finish();
        }
      await pause(this.#modules.timers, 0);
      if (!isOver()) onRead(records, nextOffset);
    } catch (error) {
      const { topic, partition } = this.replica;
      if (isOver()) return;
      this.#modules.logger.error({ err: error, topic, partition, offset: from }, 'a coordinator cannot load its log');
      await pause(this.#modules.timers, loadRetryMs);
      if (!isOver()) void this.#load(leaderEpoch, from, endOffset);
    }
  }

  /** Adds the records from `from` on until there are as many as one turn may have; false where the walk is at its end. */
  #decodeSome(walk: RecordWalk, from: Offset, records: Record[]): boolean {
    while (walk.next()) {
      if (walk.offset >= from) this.#decodeInto(records, walk);
      if (records.length === loadRecords) return true;
    }
    return false;
  }

  #decodeInto(records: Record[], { key, value, offset }: RecordWalk): void {
    if (key === null) return;
    try {
      const record = this.#modules.decode(key, value);
      if (record !== null) records.push(record);
    } catch (error) {
      // One record that a newer or another program wrote must not keep every group of the partition out of service.
      const { topic, partition } = this.replica;
      this.#modules.logger.error({ err: error, topic, partition, offset }, 'a coordinator passes over a record');
    }
  }
}
