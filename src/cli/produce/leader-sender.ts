/**
 * Where does a batch go, and what does the answer mean for it? Keeps who leads each partition of one topic: from
 * metadata, and from the hint that a broker adds to NOT_LEADER_OR_FOLLOWER (KIP-951), which saves the question.
 */
import * as kafka from '@platformatic/kafka';
import type { Clock, Timers } from '../../env/clock.ts';
import { errorName, type KafkaClient, type PartitionInfo, reasonOf } from '../client/kafka-client.ts';
import type { Attempt, LaneRecord } from './partition-lane.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

export interface SenderOptions {
  readonly topic: string;
  readonly acks: 0 | 1 | -1;
  readonly compression: Compression;
  /** How long the leader may wait for its followers, in milliseconds. */
  readonly ackTimeoutMs: number;
  /** Null for a producer that is not idempotent. */
  readonly producer: { readonly producerId: bigint; readonly producerEpoch: number } | null;
}

interface Leader {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

/** What Kafka's clients send again: the leader moved, is about to, or could not say (KafkaException's retriable). */
const retriable = new Set([2, 3, 5, 6, 7, 8, 9, 13, 19, 20, 56, 74, 75, 76, 100]);
/** Of these the records may have been written before the error. */
const afterAppend = new Set([7, 13, 20]);
const duplicateSequence = 46;

/** A batch without an answer for so long makes us ask whether somebody else leads by now. */
const doubtAfterMs = 500;

export class LeaderSender {
  readonly #options: SenderOptions;
  readonly #client: KafkaClient;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #leaders = new Map<number, Leader>();
  #refreshing: Promise<void> | null = null;
  #refreshedMs = Number.NEGATIVE_INFINITY;

  constructor(options: SenderOptions, modules: { client: KafkaClient; clock: Clock; timers: Timers }) {
    this.#options = options;
    this.#client = modules.client;
    this.#clock = modules.clock;
    this.#timers = modules.timers;
  }

  learn(partitions: readonly PartitionInfo[]): void {
    for (const { partitionIndex, leaderId, leaderEpoch } of partitions)
      this.#learnLeader(partitionIndex, { leaderId, leaderEpoch });
  }

  async send(partition: number, records: readonly LaneRecord[], baseSequence: number): Promise<Attempt> {
    const leader = this.#leaders.get(partition);
    if (leader === undefined || leader.leaderId < 0) {
      await this.#refresh();
      return { kind: 'retry', reason: 'the partition has no leader', mayBeWritten: false };
    }
    const answer = this.#request(leader.leaderId, partition, records, baseSequence);
    const isSettled = answer.then(() => true);
    for (;;) {
      if (await this.#isWithin(isSettled, doubtAfterMs)) return answer;
      await this.#refresh();
      const now = this.#leaders.get(partition);
      // The old leader hangs (a stopped process keeps its connections). The same sequence again is safe elsewhere.
      if (now !== undefined && now.leaderId >= 0 && now.leaderId !== leader.leaderId)
        return { kind: 'retry', reason: `broker ${leader.leaderId} does not answer`, mayBeWritten: true };
    }
  }

  async #request(
    nodeId: number,
    partition: number,
    records: readonly LaneRecord[],
    baseSequence: number,
  ): Promise<Attempt> {
    const { topic, acks, compression, ackTimeoutMs, producer } = this.#options;
    const messages = records.map((record) => ({ ...record, topic, partition }));
    const batch = {
      compression,
      producerId: producer?.producerId ?? -1n,
      producerEpoch: producer?.producerEpoch ?? -1,
      // Without a producer id the sequence must be -1 as well.
      sequences: new kafka.NumericMap([[`${topic}:${partition}`, producer === null ? -1 : baseSequence]]),
    };
    let answer: boolean | kafka.produceV11.ProduceResponse;
    try {
      answer = await this.#client.request(nodeId, kafka.produceV11.api, acks, ackTimeoutMs, messages, batch);
    } catch (error) {
      await this.#refresh();
      return { kind: 'retry', reason: `broker ${nodeId}: ${reasonOf(error)}`, mayBeWritten: true };
    }
    if (typeof answer === 'boolean') return { kind: 'acknowledged', baseOffset: -1n };
    return this.#read(answer, partition);
  }

  async #read(answer: kafka.produceV11.ProduceResponse, partition: number): Promise<Attempt> {
    const found = answer.responses[0]?.partitionResponses.find(({ index }) => index === partition);
    if (found === undefined) return { kind: 'refused', reason: 'the answer does not speak of the partition' };
    const { errorCode, baseOffset, errorMessage, currentLeader } = found;
    if (errorCode === 0 || errorCode === duplicateSequence) return { kind: 'acknowledged', baseOffset };
    const reason = errorMessage ? `${errorName(errorCode)}: ${errorMessage}` : errorName(errorCode);
    if (!retriable.has(errorCode)) return { kind: 'refused', reason };
    for (const node of answer.nodeEndpoints ?? []) this.#client.learnNode({ ...node, rack: node.rack ?? null });
    const hasHint =
      currentLeader !== undefined && currentLeader.leaderId >= 0 && this.#learnLeader(partition, currentLeader);
    if (!hasHint) await this.#refresh();
    return { kind: 'retry', reason, mayBeWritten: afterAppend.has(errorCode) };
  }

  /** Whether it was news. An older leader epoch never is: metadata of a broker that lags must not send us back. */
  #learnLeader(partition: number, leader: Leader): boolean {
    const known = this.#leaders.get(partition);
    if (known !== undefined && leader.leaderEpoch < known.leaderEpoch) return false;
    this.#leaders.set(partition, leader);
    return known === undefined || known.leaderId !== leader.leaderId || known.leaderEpoch !== leader.leaderEpoch;
  }

  /** Asks once for all lanes that want to know, and not at once again. */
  #refresh(): Promise<void> {
    const ageMs = this.#clock.monotonicMs() - this.#refreshedMs;
    if (this.#refreshing === null && ageMs < 5) return Promise.resolve();
    this.#refreshing ??= this.#client
      .metadata([this.#options.topic])
      .then(
        ({ topics }) => this.learn(topics[0]?.partitions ?? []),
        // Nobody answers: the lane comes again until its delivery timeout, and says so then.
        () => {},
      )
      .finally(() => {
        this.#refreshing = null;
        this.#refreshedMs = this.#clock.monotonicMs();
      });
    return this.#refreshing;
  }

  #isWithin(settled: Promise<boolean>, delayMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#timers.setTimer(delayMs, () => resolve(false));
      void settled.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}
