/**
 * One simulated world: a metadata store, a network, brokers with disks, clients, and whatever befalls them, all from
 * one seed. `runWorld` plays a seed to its end: a time of faults, then healing, after which everything must converge.
 */
import type { AdminAnswer, Registration } from '../../src/controller/control-messages.ts';
import { type ControlOptions, defaultControlOptions } from '../../src/controller/control-options.ts';
import type { ControllerOptions } from '../../src/controller/controller-state.ts';
import type { MetadataTxn } from '../../src/controller/metadata-store.ts';
import { changePartition } from '../../src/controller/partition-change.ts';
import type { GroupRecord } from '../../src/coordinator/group-records.ts';
import type { GroupAnswer } from '../../src/coordinator/group-requests.ts';
import {
  type BrokerId,
  brokerEpoch,
  brokerId,
  type LeaderEpoch,
  nextLeaderEpoch,
  nextPartitionEpoch,
  noBroker,
  type Offset,
  type Revision,
  type TopicId,
} from '../../src/model/brands.ts';
import { ClusterImage, type StoredEntry } from '../../src/model/cluster-image.ts';
import type { Fault } from '../../src/model/fault.ts';
import { encodeValue, keys, type PartitionRecord } from '../../src/model/metadata-schema.ts';
import { partitionKey } from '../../src/model/topic-partition.ts';
import type { LeaderState } from '../../src/replication/leader-state.ts';
import { SimulatedStoreCore, type WatchCursor } from '../support/simulated-store.ts';
import { BrokerDisk } from './broker-disk.ts';
import { BrokerProcess, clusterId } from './broker-process.ts';
import type { DeliberateFault } from './deliberate-fault.ts';
import type { GroupAsk } from './groups/group-ask.ts';
import { groupInvariants } from './groups/group-invariants.ts';
import type { GroupMember } from './groups/group-plan.ts';
import type { SimulatedCoordinator } from './groups/simulated-coordinator.ts';
import { SimulatedGroups } from './groups/simulated-groups.ts';
import { type AckedWrite, type Invariant, InvariantViolation, invariants } from './invariants.ts';
import { Misfortune } from './misfortune.ts';
import type { ModelLog, ModelRecord } from './model-log.ts';
import { Scheduler } from './scheduler.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import { SimulatedProducer } from './simulated-producer.ts';
import type { SimulatedReplica, WriteRequest } from './simulated-replica.ts';
import type { SharedStore, StoreWeather } from './store-access.ts';
import { Trace } from './trace.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly fault?: DeliberateFault | null;
  readonly keepsTrace?: boolean;
  /** Whether there are consumer groups; where it is not said, in every third seed. */
  readonly hasGroups?: boolean;
  /** Invariants left out, by the beginnings of their names: to see what harm follows from a breach of theirs. */
  readonly ignored?: readonly string[];
}

export interface RunResult {
  readonly seed: number;
  readonly violation: Error | null;
  readonly simulatedMs: number;
  readonly steps: number;
  readonly committedRecords: number;
  readonly groupAnswers: number;
  readonly traceHash: string;
  readonly trace: readonly string[];
}

export interface CommittedRecord {
  readonly epoch: LeaderEpoch;
  readonly value: number;
  /** The epoch of the leader whose high watermark passed it first. */
  readonly committedIn: LeaderEpoch;
}

interface SimulatedBroker {
  readonly id: BrokerId;
  readonly disk: BrokerDisk;
  running: BrokerProcess | null;
  /** Lost unflushed records, and the controller has not yet registered a start since. */
  isLossy: boolean;
}

export class World {
  readonly scheduler = new Scheduler();
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly fault: DeliberateFault | null;
  readonly network: SimulatedNetwork;
  readonly store: SharedStore;
  readonly brokers: SimulatedBroker[] = [];
  readonly controlOptions: ControlOptions;
  /** The store's content after its newest revision: the truth that brokers hear of later. */
  readonly audit = new ClusterImage();
  readonly intendedMinIsr = new Map<string, number>();
  readonly acked: AckedWrite[] = [];
  readonly #auditCursor: WatchCursor;
  readonly #invariants: readonly Invariant[];
  readonly #ignored: readonly string[];
  readonly #committed = new Map<string, CommittedRecord[]>();
  /** Where the newest commit began, for who checks what it added. */
  lastCommitFrom = 0;
  /** By broker and partition: lost unflushed records, and stands in the ISR or ELR until the controller learns of it. */
  readonly #excused = new Set<string>();
  /** By broker and partition: lost unflushed records, and has not been in sync since. */
  readonly #incomplete = new Set<string>();
  readonly #producers: SimulatedProducer[] = [];
  readonly misfortune: Misfortune;
  readonly groups: SimulatedGroups | null;
  readonly #awaitedShutdowns = new Set<BrokerProcess>();
  #lastValue = 0;
  #incarnations = 0;
  clientLoss = 0;
  /** Chance of an AlterPartition to reach the controller once more, later. */
  repeatedProposals = 0;
  /** Chance of a follower's log to refuse batches of its leader, as for a CRC that is wrong. */
  refusedAppends = 0;
  /** Apart from the rest, so that the schedules of worlds without refusals stay as they were. */
  readonly #refusals: SeededRandom;
  isHealing = false;

  constructor(options: WorldOptions) {
    this.random = new SeededRandom(options.seed);
    this.#refusals = new SeededRandom(options.seed + 3_000_000);
    this.#ignored = options.ignored ?? [];
    this.#invariants = [...invariants(), ...groupInvariants()].filter(({ name }) => !this.#isIgnored(name));
    this.trace = new Trace(() => this.scheduler.nowMs, options.keepsTrace ?? false);
    this.fault = options.fault ?? null;
    this.network = new SimulatedNetwork(this.scheduler, this.random);
    const core = new SimulatedStoreCore(() => this.scheduler.nowMs);
    const weather: StoreWeather = { loseRequest: 0, loseAnswer: 0, carryOutLate: 0, latencyMs: 3 };
    this.store = {
      core,
      weather,
      network: this.network,
      random: this.random,
      accesses: new Set(),
      beforeTxn: (txn) => this.#beforeTxn(txn),
    };
    this.#auditCursor = core.openWatch('', core.revision);
    core.onChanged = () => this.#onStoreChanged();
    this.controlOptions = {
      ...defaultControlOptions,
      flapPenaltyMs: 500,
      flapPenaltyMaxMs: 2_000,
      leaderImbalanceCheckIntervalMs: 3_000,
      leaderRebalanceQuietMs: 1_000,
      shutdownTimeLimitMs: 5_000,
      tickMs: 100,
      ...this.fault?.aim?.control,
    };
    core.transact({
      compares: [],
      mutations: [{ kind: 'put', key: keys.cluster, value: encodeValue({ clusterId, createdAtMs: 0, features: {} }) }],
    });
    const brokerCount = this.random.pick([2, 3, 3, 3, 4, 5]);
    for (let i = 0; i < brokerCount; i++) {
      const id = brokerId(i);
      this.brokers.push({ id, disk: new BrokerDisk(`directory-${i}`), running: null, isLossy: false });
      this.start(id);
    }
    this.refusedAppends = this.#refusals.pick([0, 0, 0, 0.1]);
    this.misfortune = new Misfortune(this);
    const hasGroups = options.hasGroups ?? this.fault?.aim?.hasGroups ?? options.seed % 3 === 0;
    this.groups = hasGroups ? new SimulatedGroups(this, this.misfortune.minIsr) : null;
    this.#expireLeasesLater();
    for (let i = 0; i < 1 + this.random.below(3); i++) this.#producers.push(new SimulatedProducer(this, i + 1));
  }

  /** How many of so many records a follower's log takes before it refuses one. */
  takenOf(records: number): number {
    return this.#refusals.chance(this.refusedAppends) ? this.#refusals.below(records) : records;
  }

  // ---------------------------------------------------------------------------------------------- the store

  #beforeTxn(plain: MetadataTxn): MetadataTxn {
    const txn = this.fault?.transaction?.(plain, this) ?? plain;
    for (const invariant of this.#invariants) {
      const wouldHold =
        invariant.onTxn &&
        txn.compares.every(({ key, modRevision }) => (this.#modRevisions.get(key) ?? 0) === modRevision);
      if (wouldHold) invariant.onTxn?.(this, txn);
    }
    return txn;
  }

  /** Of every key, as of the newest revision. */
  readonly #modRevisions = new Map<string, number>();

  #onStoreChanged(): void {
    for (let pulled = this.#auditCursor.pull(); pulled.kind === 'events'; pulled = this.#auditCursor.pull())
      this.#auditRevision(pulled.events.changes, pulled.events.revision);
    for (const access of this.store.accesses) access.wake();
  }

  #auditRevision(changes: readonly StoredEntry[], at: ClusterImage['revision']): void {
    const before = new Map<string, PartitionRecord | null>();
    for (const { key } of changes) {
      const [head, topic, partition] = key.split('/');
      if (head === 'parts') before.set(key, this.audit.partition(topic as TopicId, Number(partition))?.record ?? null);
    }
    const formerBrokers = new Map([...this.audit.brokers].map(([id, { record }]) => [id, record]));
    for (const { key, value, modRevision } of changes)
      if (value === null) this.#modRevisions.delete(key);
      else this.#modRevisions.set(key, modRevision);
    const entries = this.audit.apply(at, changes);
    for (const entry of entries) {
      this.trace.note('store', [at], () => JSON.stringify(entry));
      if (entry.kind === 'partition' && entry.value && this.audit.topics.has(entry.topicId)) {
        const key = partitionKey(entry.topicId, entry.partition);
        const write = {
          key,
          before: before.get(keys.partition(entry.topicId, entry.partition)) ?? null,
          after: entry.value,
        };
        for (const invariant of this.#invariants) invariant.onPartitionWritten?.(this, write);
        this.#forgive(key, entry.value);
      } else if (entry.kind === 'broker' && entry.value) {
        const former = formerBrokers.get(entry.id) ?? null;
        for (const invariant of this.#invariants) invariant.onBrokerWritten?.(this, entry.id, former, entry.value);
        const broker = this.brokers[entry.id];
        if (broker?.running?.incarnation === entry.value.incarnation) broker.isLossy = false;
      }
    }
  }

  #forgive(key: string, record: PartitionRecord): void {
    for (const { id } of this.brokers) {
      const name = `${id} ${key}`;
      if (!record.isr.includes(id) && !record.elr.includes(id)) this.#excused.delete(name);
      if (record.isr.includes(id) && !this.isExcused(id, key)) this.#incomplete.delete(name);
    }
  }

  #expireLeasesLater(): void {
    this.scheduler.after(200, () => {
      this.store.core.expireLeases();
      this.#expireLeasesLater();
    });
  }

  recordOf(key: string): PartitionRecord | null {
    const at = key.lastIndexOf('/');
    return this.audit.partition(key.slice(0, at) as TopicId, Number(key.slice(at + 1)))?.record ?? null;
  }

  /** Partitions that producers write to and that may be deleted: not those of internal topics. */
  dataPartitions(): ReturnType<World['partitions']> {
    return this.partitions().filter(({ topicId }) => !this.audit.topics.get(topicId)?.record.isInternal);
  }

  partitions(): { key: string; topicId: TopicId; partition: number; record: PartitionRecord; modRevision: Revision }[] {
    const found = [];
    for (const topic of this.audit.topics.values())
      for (const [partition, versioned] of topic.partitions.entries())
        if (versioned)
          found.push({
            key: partitionKey(topic.id, partition),
            topicId: topic.id,
            partition,
            record: versioned.record,
            modRevision: versioned.modRevision,
          });
    return found;
  }

  /** An operator changes min.insync.replicas: record and configuration in one transaction (§2.4). */
  changeMinIsr(minIsr: number): void {
    const partitions = this.partitions();
    const controller = this.audit.controller;
    if (partitions.length === 0 || !controller) return;
    const { topicId } = this.random.pick(partitions);
    const ours = partitions.filter((found) => found.topicId === topicId);
    for (const { key } of ours) this.intendedMinIsr.set(key, minIsr);
    this.scheduler.after(this.random.between(0, 500), () => {
      const now = this.partitions().filter((found) => found.topicId === topicId);
      const topic = this.audit.topics.get(topicId);
      if (now.length === 0 || !topic || !this.audit.controller || this.store.core.isAway) return;
      const configKey = keys.config('topic', topic.record.name);
      const changed = now.flatMap(({ partition, record }) => {
        const next = changePartition(record, { minIsr }, (id) => this.audit.isActive(id));
        return next === record ? [] : [{ key: keys.partition(topicId, partition), next }];
      });
      this.store.core.transact(
        this.#beforeTxn({
          compares: [{ key: keys.controller, modRevision: this.audit.controllerEpoch() }],
          mutations: [
            ...changed.map(({ key, next }) => ({ kind: 'put', key, value: encodeValue(next) }) as const),
            { kind: 'put', key: configKey, value: encodeValue({ 'min.insync.replicas': String(minIsr) }) },
          ],
        }),
      );
      this.trace.note('min ISR', [minIsr]);
    });
  }

  /** A planned move of leadership to another member of the ISR, as an operator or a balancer does it. */
  moveLeader(): void {
    const movable = this.partitions().filter(({ record }) => record.isr.length > 1 && record.leader !== noBroker);
    if (movable.length === 0 || !this.audit.controller) return;
    const { topicId, partition, record, modRevision } = this.random.pick(movable);
    const others = record.isr.filter((id) => id !== record.leader && this.audit.isActive(id));
    if (others.length === 0) return;
    const leader = this.random.pick(others);
    const key = keys.partition(topicId, partition);
    const next = {
      ...record,
      leader,
      leaderEpoch: nextLeaderEpoch(record.leaderEpoch),
      partitionEpoch: nextPartitionEpoch(record.partitionEpoch),
    };
    this.store.core.transact(
      this.#beforeTxn({
        compares: [
          { key: keys.controller, modRevision: this.audit.controllerEpoch() },
          { key, modRevision },
        ],
        mutations: [{ kind: 'put', key, value: encodeValue(next) }],
      }),
    );
  }

  /** Planted fault: the new broker epoch is given before the old incarnation has left anything. */
  registerAtOnce(registration: Registration): void {
    const id = registration.brokerId;
    const known = this.audit.brokers.get(id);
    if (!known || known.record.incarnation === registration.incarnation || this.store.core.isAway) return;
    const next = (this.audit.nextBrokerEpoch?.record ?? known.record.brokerEpoch) + 1;
    this.store.core.transact({
      compares: [],
      mutations: [
        {
          kind: 'put',
          key: keys.broker(id),
          value: encodeValue({
            ...known.record,
            incarnation: registration.incarnation,
            brokerEpoch: brokerEpoch(next),
          }),
        },
        { kind: 'put', key: keys.nextBrokerEpoch, value: encodeValue(next) },
      ],
    });
  }

  // ---------------------------------------------------------------------------------------------- brokers

  /** What a clock that is right shows. */
  get wallMs(): number {
    return this.scheduler.nowMs + 1_700_000_000_000;
  }

  processOf(id: BrokerId): BrokerProcess | null {
    return this.brokers[id]?.running ?? null;
  }

  start(id: BrokerId): void {
    const broker = this.brokers[id];
    if (!broker || broker.running) return;
    this.network.dark.delete(id);
    for (const log of broker.disk.logs.values()) log.flush();
    const incarnation = `incarnation-${++this.#incarnations}`;
    broker.running = new BrokerProcess(this, id, broker.disk, incarnation, broker.disk.stopKind);
    this.trace.note('start', [id], () => `${incarnation} ${broker.disk.stopKind}`);
  }

  /** kill -9: the page cache survives. Until it is registered, what the stop before cost is not known to anybody. */
  kill(id: BrokerId): void {
    const broker = this.brokers[id];
    const running = broker?.running;
    if (!broker || !running) return;
    this.trace.note('kill', [id]);
    broker.running = null;
    const isKnown = running.brokerEpoch >= 0 || broker.disk.stopKind !== 'lossy';
    if (isKnown || this.fault?.forgetsLossyStart) broker.disk.stopKind = 'killed';
    this.network.onKilled(running.process);
    running.close();
  }

  /** Power loss: what was not flushed may be gone. Refused where §0 does not promise to survive it. */
  losePower(id: BrokerId): boolean {
    const broker = this.brokers[id];
    const running = broker?.running;
    if (!broker || !running || !this.#mayLosePower(broker)) return false;
    this.trace.note('power loss', [id]);
    broker.running = null;
    broker.disk.stopKind = 'lossy';
    broker.isLossy = true;
    this.network.dark.add(id);
    this.network.onPowerLost(running.process);
    running.close();
    for (const [key, log] of broker.disk.logs) {
      const name = `${id} ${key}`;
      const record = this.recordOf(key);
      if (record && (record.isr.includes(id) || record.elr.includes(id))) this.#excused.add(name);
      if (record) this.#incomplete.add(name);
      log.losePower(Math.floor(this.random.between(log.flushedOffset, log.endOffset + 1)));
    }
    return true;
  }

  #mayLosePower(broker: SimulatedBroker): boolean {
    return this.partitions().every(({ key, record }) => {
      if (!record.replicas.includes(broker.id)) return true;
      const lost = record.replicas.filter((id) => id !== broker.id && this.#incomplete.has(`${id} ${key}`)).length;
      return lost + 1 <= Math.min(record.minIsr, record.replicas.length) - 1;
    });
  }

  isExcused(id: BrokerId, key: string): boolean {
    return this.brokers[id]?.isLossy === true || this.#excused.has(`${id} ${key}`);
  }

  /** This incarnation is the first start after a loss of power. */
  isLossyStart(id: BrokerId, incarnation: string): boolean {
    const broker = this.brokers[id];
    return broker?.isLossy === true && broker.running?.incarnation === incarnation;
  }

  shutDown(id: BrokerId): void {
    const running = this.processOf(id);
    if (!running || running.isShuttingDown || running.brokerEpoch < 0) return;
    this.trace.note('shut down', [id]);
    this.#awaitedShutdowns.add(running);
    running.process.run(() => running.requestShutdown());
  }

  onMayStop(running: BrokerProcess, isClean: boolean): void {
    if (!this.#awaitedShutdowns.delete(running)) return;
    const broker = this.brokers[running.id];
    if (!broker || broker.running !== running) return;
    this.trace.note('stopped', [running.id, isClean ? 1 : 0]);
    running.sayGoodbye();
    broker.disk.flush();
    broker.disk.stopKind = isClean ? 'clean' : 'killed';
    this.scheduler.after(this.random.between(0, 50), () => {
      if (broker.running !== running) return;
      const { stopKind } = broker.disk;
      this.kill(running.id);
      broker.disk.stopKind = stopKind;
    });
  }

  onRegistrationRefused(running: BrokerProcess, fault: Fault): void {
    this.trace.note('refused', [running.id], () => JSON.stringify(fault));
    const broker = this.brokers[running.id];
    if (broker?.running === running) this.scheduler.after(0, () => broker.running === running && this.kill(running.id));
  }

  onAdminAnswer(answer: AdminAnswer): void {
    this.trace.note('admin', [], () => JSON.stringify(answer));
  }

  controllerOptionsFor(id: BrokerId): ControllerOptions {
    return { brokerId: id, control: this.controlOptions };
  }
  controllerModules(): { random: SeededRandom } {
    return { random: this.random };
  }

  logOf(id: BrokerId, key: string): ModelLog | undefined {
    return this.brokers[id]?.disk.logs.get(key);
  }

  // ---------------------------------------------------------------------------------------------- what replicas tell

  committedOf(key: string): readonly CommittedRecord[] {
    return this.#committed.get(key) ?? [];
  }

  onLeading(id: BrokerId, replica: SimulatedReplica, state: LeaderState): void {
    this.trace.note('leading', [id, replica.partition, state.leaderEpoch, state.leaderEpochStartOffset]);
    for (const invariant of this.#invariants) invariant.onLeading?.(this, id, replica, state);
  }

  onHighWatermark(id: BrokerId, replica: SimulatedReplica, state: LeaderState): void {
    const { key, log } = replica;
    let committed = this.#committed.get(key);
    if (committed === undefined) {
      committed = [];
      this.#committed.set(key, committed);
    }
    this.lastCommitFrom = committed.length;
    for (let at = committed.length; at < state.highWatermark; at++) {
      const record = log.at(at);
      if (record === undefined)
        throw new InvariantViolation(
          'I10 what is committed is in the leader log',
          `${id} of ${key} has nothing at ${at}`,
        );
      committed.push({ epoch: record.epoch, value: record.value, committedIn: state.leaderEpoch });
      if (record.batch) this.groups?.onCommitted(record.batch);
    }
    this.trace.note('committed', [id, replica.partition, state.leaderEpoch, state.highWatermark]);
    for (const invariant of this.#invariants) invariant.onHighWatermark?.(this, id, replica, state);
  }

  onAppending(id: BrokerId, replica: SimulatedReplica, records: readonly ModelRecord[]): void {
    this.trace.note(
      'append',
      [id, replica.partition, replica.log.endOffset, records.length, records[0]?.epoch ?? -1],
      () => records.map(({ value }) => value).join(','),
    );
    for (const invariant of this.#invariants) invariant.onAppending?.(this, id, replica, records);
  }

  onCutting(id: BrokerId, replica: SimulatedReplica, end: Offset): void {
    this.trace.note('cut', [id, replica.partition, replica.log.endOffset, end]);
    for (const invariant of this.#invariants) invariant.onCutting?.(this, id, replica, end);
  }

  onStartingAfresh(id: BrokerId, replica: SimulatedReplica, start: Offset): void {
    this.trace.note('start afresh', [id, replica.partition, start]);
  }

  onQuarantined(id: BrokerId, replica: SimulatedReplica, reason: string): void {
    this.trace.note('quarantined', [id, replica.partition], () => reason);
    for (const invariant of this.#invariants) invariant.onQuarantined?.(this, id, replica, reason);
  }

  onTakingWrite(process: SimulatedProcess, replica: SimulatedReplica, acks: number): void {
    for (const invariant of this.#invariants) invariant.onTakingWrite?.(this, process, replica, acks);
  }

  onAnswered(key: string, request: WriteRequest, baseOffset: Offset): void {
    const write = { key, baseOffset, acks: request.acks, values: request.records.map(({ value }) => value) };
    this.acked.push(write);
    this.trace.note('acked', [baseOffset, request.acks]);
    for (const invariant of this.#invariants) invariant.onAcked?.(this, write);
  }

  // ---------------------------------------------------------------------------------------------- what groups tell

  onGroupSent(ask: GroupAsk): void {
    for (const invariant of this.#invariants) invariant.onGroupSent?.(this, ask);
  }

  onGroupHandling(ask: GroupAsk, coordinator: SimulatedCoordinator): void {
    for (const invariant of this.#invariants) invariant.onGroupHandling?.(this, ask, coordinator);
  }

  onGroupAnswered(ask: GroupAsk, answer: GroupAnswer, coordinator: SimulatedCoordinator): void {
    for (const invariant of this.#invariants) invariant.onGroupAnswered?.(this, ask, answer, coordinator);
  }

  onPartitionsHeld(member: GroupMember, partitions: readonly number[]): void {
    for (const invariant of this.#invariants) invariant.onPartitionsHeld?.(this, member, partitions);
  }

  /** Before what the record says is taken over into what is known as committed. */
  onGroupRecordCommitted(record: GroupRecord): void {
    for (const invariant of this.#invariants) invariant.onGroupRecordCommitted?.(this, record);
  }

  // ---------------------------------------------------------------------------------------------- clients

  nextValue(): number {
    return ++this.#lastValue;
  }

  /** The leader as some living broker's metadata names it. */
  believedLeaderOf(key: string): BrokerId {
    const running = this.brokers.filter((broker) => broker.running !== null);
    if (running.length === 0) return noBroker;
    const image = this.random.pick(running).running?.image;
    const at = key.lastIndexOf('/');
    return image?.partition(key.slice(0, at) as TopicId, Number(key.slice(at + 1)))?.record.leader ?? noBroker;
  }

  // ---------------------------------------------------------------------------------------------- the run

  /** Plays the world to its end; throws what went wrong. */
  play(): void {
    const faultsEndMs = 2_000 + this.random.between(3_000, 15_000);
    this.#runUntil(faultsEndMs);
    this.isHealing = true;
    this.misfortune.heal();
    this.groups?.heal();
    this.trace.note('healing', []);
    const limitMs = faultsEndMs + 60_000;
    let settledSinceMs: number | null = null;
    while (this.scheduler.nowMs < limitMs) {
      this.#runUntil(this.scheduler.nowMs + 250);
      for (const { id } of this.brokers) if (!this.processOf(id)) this.start(id);
      if (this.scheduler.nowMs > faultsEndMs + 1_500) for (const producer of this.#producers) producer.isStopped = true;
      if (this.#unsettled() !== null) settledSinceMs = null;
      else settledSinceMs ??= this.scheduler.nowMs;
      if (settledSinceMs === null || this.scheduler.nowMs - settledSinceMs < 500) continue;
      // Groups commit as long as they have members: that they can was seen, and now everything comes to rest.
      if (this.groups === null || this.groups.isStopped) break;
      this.groups.stop();
      settledSinceMs = null;
    }
    const unsettled = this.#unsettled();
    if (unsettled !== null) this.#describe();
    const progress = 'C20 everything converges after healing';
    if (unsettled !== null && !this.#isIgnored(progress)) throw new InvariantViolation(progress, unsettled);
    for (const invariant of this.#invariants) invariant.atEnd?.(this);
    this.groups?.compareAllWithReplay();
  }

  #isIgnored(name: string): boolean {
    return this.#ignored.some((ignored) => name.startsWith(`${ignored} `));
  }

  #runUntil(endMs: number): void {
    while (this.scheduler.step(endMs)) {}
    this.scheduler.nowMs = endMs;
  }

  /** What is not as it should be in a healthy cluster without writes; null when all is. */
  #unsettled(): string | null {
    for (const { id, running } of this.brokers) {
      if (!running) return `broker ${id} is down`;
      if (!this.audit.isActive(id))
        return `broker ${id} is ${this.audit.brokers.get(id)?.record.state ?? 'not registered'}`;
      if (this.audit.brokers.get(id)?.record.incarnation !== running.incarnation)
        return `broker ${id} has not registered`;
      if (running.image.revision < this.audit.revision) return `broker ${id} has not seen the newest metadata`;
    }
    for (const { key, topicId, record } of this.partitions()) {
      if (record.leader === noBroker) return `${key} has no leader: ${JSON.stringify(record)}`;
      if (record.isr.length !== record.replicas.length) return `${key} has ISR [${record.isr}] of [${record.replicas}]`;
      const state = this.processOf(record.leader)?.replicas.get(key)?.leaderState;
      if (!state) return `${record.leader} does not lead ${key}`;
      const isWritten = this.groups?.isStopped === false && this.audit.topics.get(topicId)?.record.isInternal;
      if (state.highWatermark !== state.logEndOffset && !isWritten)
        return `${key} is committed up to ${state.highWatermark} of ${state.logEndOffset}`;
    }
    return this.groups?.unsettled() ?? null;
  }

  #describe(): void {
    for (const { id, running } of this.brokers)
      for (const replica of running?.replicas.values() ?? [])
        this.trace.note('at the end', [id], () => replica.describe());
  }

  get committedRecords(): number {
    let sum = 0;
    for (const committed of this.#committed.values()) sum += committed.length;
    return sum;
  }
}

export function runWorld(options: WorldOptions): RunResult {
  const world = new World(options);
  let violation: Error | null = null;
  try {
    world.play();
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error));
  }
  return {
    seed: options.seed,
    violation,
    simulatedMs: world.scheduler.nowMs,
    steps: world.scheduler.steps,
    committedRecords: world.committedRecords,
    groupAnswers: world.groups?.answers ?? 0,
    traceHash: world.trace.hash,
    trace: world.trace.lines ?? [],
  };
}
