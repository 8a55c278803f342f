/**
 * The replicas of broker 1 with their real logs, on a disk in memory and in time that the test moves. The test is the
 * controller, which writes records, and the other brokers at the far ends of the streams.
 */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../src/env/logger.ts';
import { type LogConfig, PartitionLog } from '../../../src/log/partition-log.ts';
import {
  type BrokerEpoch,
  type BrokerId,
  brokerEpoch,
  leaderEpoch,
  noLeaderEpoch,
  type Offset,
  offset,
  offsetZero,
  partitionEpoch,
  revision,
  type TopicId,
} from '../../../src/model/brands.ts';
import { ClusterImage } from '../../../src/model/cluster-image.ts';
import { encodeValue, keys, type PartitionRecord } from '../../../src/model/metadata-schema.ts';
import type { Replica } from '../../../src/replication/replica.ts';
import { type PartitionIsrProposal, ReplicaManager } from '../../../src/replication/replica-manager.ts';
import type { ReplicationStream, ReplicationStreamHandler } from '../../../src/replication/replication-channel.ts';
import type { FollowerMessage, LeaderMessage } from '../../../src/replication/replication-messages.ts';
import { ordersId, usualConfig } from '../../support/log-harness.ts';
import { ManualTime } from '../../support/manual-time.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { b1, b2, b3, contactAt, recordOf } from './partition-fixture.ts';

export const leadershipHoldMs = 500;
export const attachRetryMs = 50;
export const readBytes = 4096;
export const clusterId = 'one';

/** One end of a stream, the test holding the other. */
export class FarEnd<Sent, Received> implements ReplicationStream<Sent> {
  readonly sent: Sent[] = [];
  handler: ReplicationStreamHandler<Received> | null = null;
  queuedBytes = 0;
  isClosed = false;

  send(messages: readonly Sent[]): void {
    this.sent.push(...messages);
  }
  close(): void {
    this.isClosed = true;
  }
  /** What the test's end says. */
  say(...messages: readonly Received[]): void {
    assert.ok(this.handler, 'the stream is open');
    this.handler.onMessages(messages);
  }
  of<Kind extends Sent extends { kind: string } ? Sent['kind'] : never>(kind: Kind): Extract<Sent, { kind: Kind }>[] {
    return this.sent.filter(
      (message): message is Extract<Sent, { kind: Kind }> => (message as { kind: string }).kind === kind,
    );
  }
}

/** What this broker hears from a follower that has attached there, and says to it. */
export type FollowerEnd = FarEnd<LeaderMessage, FollowerMessage>;
/** The stream over which this broker follows. */
export type LeaderEnd = FarEnd<FollowerMessage, LeaderMessage>;

export class ManagerUnderTest {
  readonly time = new ManualTime();
  readonly disk = new MemoryDisk();
  readonly image = new ClusterImage();
  readonly manager: ReplicaManager;
  /** Streams to leaders' brokers, in the order they were opened. */
  readonly toLeaders: LeaderEnd[] = [];
  readonly proposals: PartitionIsrProposal[] = [];
  readonly failures: unknown[] = [];
  logConfig: LogConfig = usualConfig;
  controllerContactMs = Number.POSITIVE_INFINITY;

  private constructor() {
    this.manager = new ReplicaManager(
      {
        clusterId,
        leader: { localId: b1, lagTimeMaxMs: 10_000, isrRetryMs: 200, isolationTimeMs: 2_000 },
        follower: { attachRetryMs },
        waitersLimit: 100,
        leadershipHoldMs,
        tickMs: 100,
        stallMs: 500,
        checkpointMs: 5_000,
        creditBytes: 1 << 20,
        readBytes,
        queuedLimitBytes: 1 << 20,
        highWatermarkDelayMs: 10,
        firstRetryMs: 10,
        maxRetryMs: 500,
      },
      {
        clock: this.time,
        timers: this.time,
        logger: silentLogger,
        logs: {
          open: (topic, topicId, partition) => this.#openLog(topic, topicId, partition),
          remove: async () => {},
          highWatermarkOf: () => ({ highWatermark: offsetZero, leaderEpoch: noLeaderEpoch }),
          checkpointHighWatermarks: async () => {},
          configure: () => {},
        },
        client: {
          connect: (_leader, _endpoint, handler) => {
            const stream: LeaderEnd = new FarEnd();
            stream.handler = handler;
            this.toLeaders.push(stream);
            return stream;
          },
        },
        isrChanger: {
          alterPartition: async (proposals) => {
            this.proposals.push(...proposals);
            return proposals.map(() => ({ kind: 'ok' }) as const);
          },
        },
        controllerContact: () => contactAt(this.controllerContactMs),
        onStreamOpened: () => {},
        onLogFailed: (error) => this.failures.push(error),
      },
      this.image,
    );
  }

  /** Three registered brokers, and the partitions of one topic, of which this broker has replicas. */
  static async start(
    records: readonly Partial<PartitionRecord>[],
    changes: { logConfig?: Partial<LogConfig> } = {},
  ): Promise<ManagerUnderTest> {
    const under = new ManagerUnderTest();
    under.logConfig = { ...usualConfig, ...changes.logConfig };
    const topic = { name: 'orders', partitions: records.length, isInternal: false, createdAtMs: 0 };
    under.write(
      ...[b1, b2, b3].map((id) => [keys.broker(id), brokerRecord(id)] as const),
      ...records.map((record, partition) => [keys.partition(ordersId, partition), recordOf(record)] as const),
      [keys.topic(ordersId), topic],
      [keys.name('orders'), ordersId],
    );
    await under.manager.start();
    under.manager.onRegistered(brokerEpoch(101));
    const follows = [...under.manager.replicas()].some(({ record }) => record?.leader === b2 || record?.leader === b3);
    await under.until(() =>
      [...under.manager.replicas()].every(({ isLeader, record }) => isLeader === (record?.leader === b1)),
    );
    await under.until(() => under.toLeaders.length > 0 === follows);
    return under;
  }

  #openLog(topic: string, topicId: TopicId, partition: number): Promise<PartitionLog> {
    return PartitionLog.open(
      {
        directory: `/data/${topic}-${partition}`,
        topic,
        partition,
        topicId,
        config: this.logConfig,
        recoveryPoint: offset(0),
        lastStop: 'clean',
      },
      { disk: this.disk, clock: this.time, timers: this.time, logger: silentLogger },
    );
  }

  /** One revision of metadata. */
  write(...changes: readonly (readonly [key: string, record: object | string])[]): void {
    const at = revision(this.image.revision + 1);
    const entries = changes.map(([key, record]) => ({ key, value: encodeValue(record), modRevision: at }));
    this.manager.onMetadata(this.image, this.image.apply(at, entries));
  }

  /** The controller has registered another start of this broker. */
  register(epoch: BrokerEpoch): void {
    this.write([keys.broker(b1), brokerRecord(b1, epoch)]);
  }

  /** A newer record of a partition. */
  writeRecord(changes: Partial<PartitionRecord>, partition = 0): void {
    const known = this.image.partition(ordersId, partition)?.record;
    assert.ok(known, 'the partition is there');
    const record = { ...known, partitionEpoch: partitionEpoch(known.partitionEpoch + 1), ...changes };
    this.write([keys.partition(ordersId, partition), record]);
  }

  replica(partition = 0): Replica {
    const replica = this.manager.get(ordersId, partition);
    assert.ok(replica, 'this broker has a replica');
    return replica;
  }

  /** A stream that a follower has opened to this broker, with its hello said and `credit` bytes given. */
  followerStream(id: BrokerId, credit = 1 << 20): FollowerEnd {
    const stream: FollowerEnd = new FarEnd();
    stream.handler = this.manager.accept(stream);
    stream.say(
      { kind: 'hello', clusterId, brokerId: id, brokerEpoch: brokerEpoch(100 + id) },
      { kind: 'credit', bytes: credit },
    );
    return stream;
  }

  /** The stream to the leader that was opened last, its hello answered. */
  leaderStream(): LeaderEnd {
    const stream = this.toLeaders.at(-1);
    assert.ok(stream, 'this broker follows');
    stream.say({ kind: 'helloAnswer', isAccepted: true, reason: '' });
    return stream;
  }

  /** Lets promises run until it holds; time stands still. */
  async until(holds: () => boolean): Promise<void> {
    for (let turn = 0; turn < 10_000 && !holds(); turn++) await Promise.resolve();
    assert.ok(holds(), `never: ${holds}`);
  }
}

const brokerRecord = (id: BrokerId, epoch = brokerEpoch(100 + id)): object => ({
  brokerEpoch: epoch,
  incarnation: `${id}`,
  state: 'active',
  listeners: [{ name: 'PLAINTEXT', host: `b${id}`, port: 9092 }],
  peer: { name: 'PEER', host: `b${id}`, port: 9093 },
  rack: null,
  directories: [],
});

/** An attach request for what a follower holds of a partition of the topic. */
export const attachOf = (
  attachId: number,
  changes: { partition?: number; leaderEpoch?: number; logEndOffset?: number; lastEpoch?: number } = {},
): Extract<FollowerMessage, { kind: 'attach' }> => ({
  kind: 'attach',
  attachId,
  topicId: ordersId,
  partition: changes.partition ?? 0,
  leaderEpoch: leaderEpoch(changes.leaderEpoch ?? 5),
  logEndOffset: offset(changes.logEndOffset ?? 0),
  lastEpoch: changes.lastEpoch === undefined ? noLeaderEpoch : leaderEpoch(changes.lastEpoch),
});

export const ackOf = (attachId: number, logEndOffset: Offset | number): FollowerMessage => ({
  kind: 'ack',
  attachId,
  logEndOffset: offset(logEndOffset),
});
