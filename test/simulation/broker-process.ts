/**
 * One run of one broker's program: the real cores of controller, election, lifecycle and replication, and the drivers
 * that carry out what they ask for in the simulated world.
 */
import { BrokerLifecycle, type ControllerContact } from '../../src/controller/broker-lifecycle.ts';
import type { CloseCause } from '../../src/controller/control-channel.ts';
import type { BrokerMessage, ControllerMessage, DialOutcome, StopKind } from '../../src/controller/control-messages.ts';
import type { ControllerAction, ControllerEvent } from '../../src/controller/controller-events.ts';
import { ControllerState } from '../../src/controller/controller-state.ts';
import { Election } from '../../src/controller/election.ts';
import type { ElectionAction, ElectionEvent } from '../../src/controller/election-events.ts';
import type { LifecycleAction, LifecycleEvent } from '../../src/controller/lifecycle-events.ts';
import { EpochCache } from '../../src/log/epoch-cache.ts';
import { present, unreachable } from '../../src/model/assert.ts';
import {
  type BrokerEpoch,
  type BrokerId,
  noBrokerEpoch,
  type Offset,
  type Revision,
  type TopicId,
} from '../../src/model/brands.ts';
import { ClusterImage, type StoredEntry } from '../../src/model/cluster-image.ts';
import { type Endpoint, encodeValue, keys, type MetadataEntry } from '../../src/model/metadata-schema.ts';
import { partitionKey } from '../../src/model/topic-partition.ts';
import type { BrokerDirectory, LeaderAction, LeaderOptions } from '../../src/replication/leader-state.ts';
import type { BrokerDisk } from './broker-disk.ts';
import type { DeliberateFault } from './deliberate-fault.ts';
import { SimulatedCoordinator } from './groups/simulated-coordinator.ts';
import { HoardingEpochCache } from './hoarding-epoch-cache.ts';
import { ModelLog } from './model-log.ts';
import type { StreamEnd } from './simulated-network.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { type AttachMessage, SimulatedReplica, type ToFollower, type ToLeader } from './simulated-replica.ts';
import { type LeaseHolder, StoreAccess } from './store-access.ts';
import type { World } from './world.ts';

export const clusterId = 'simulated-cluster';
export const endpointOf = (id: BrokerId): Endpoint => ({ name: 'PEER', host: `broker-${id}`, port: 9192 });
const brokerOf = (endpoint: Endpoint): BrokerId => Number(endpoint.host.slice('broker-'.length)) as BrokerId;

/** This broker's end of the stream to a leader's broker. */
interface FollowerLink {
  end: StreamEnd<ToFollower, ToLeader> | null;
  isAccepted: boolean;
  isConnecting: boolean;
  readonly replicas: Set<SimulatedReplica>;
  readonly attached: Map<number, SimulatedReplica>;
}

interface Attachment {
  readonly attachId: number;
  readonly replica: SimulatedReplica;
  nextOffset: Offset;
  sentHighWatermark: number;
  isScheduled: boolean;
  question: number;
  pingedQuestion: number;
}

/** A follower's stream, at its leader. */
interface LeaderLink {
  readonly end: StreamEnd<ToLeader, ToFollower>;
  follower: { readonly id: BrokerId; readonly epoch: BrokerEpoch } | null;
  waitingHello: Extract<ToLeader, { kind: 'hello' }> | null;
  early: ToLeader[];
  waitingAttaches: AttachMessage[];
  readonly attachments: Map<number, Attachment>;
  lastPingMs: number;
  isPingAnswered: boolean;
}

export class BrokerProcess {
  readonly world: World;
  readonly id: BrokerId;
  readonly disk: BrokerDisk;
  readonly process: SimulatedProcess;
  readonly incarnation: string;
  readonly image = new ClusterImage();
  readonly leaderOptions: LeaderOptions;
  readonly directory: BrokerDirectory;
  readonly #store: StoreAccess;
  readonly #election: Election;
  readonly #lifecycle: BrokerLifecycle;
  #controller: ControllerState | null = null;
  #controllerLease: LeaseHolder | null = null;
  #liveLease: LeaseHolder | null = null;
  readonly replicas = new Map<string, SimulatedReplica>();
  /** Of partitions of the topic of groups, whether this broker leads them or not. */
  readonly coordinators = new Map<string, SimulatedCoordinator>();
  brokerEpoch: BrokerEpoch = noBrokerEpoch;
  readonly #followerLinks = new Map<BrokerId, FollowerLink>();
  readonly #leaderLinks = new Map<number, LeaderLink>();
  readonly #controlStreams = new Map<number, StreamEnd<ControllerMessage, BrokerMessage>>();
  readonly #controlPeers = new Map<number, StreamEnd<BrokerMessage, ControllerMessage>>();
  readonly #proposalCalls = new Map<number, { replica: SimulatedReplica; proposalId: number }>();
  #lastAttachId = 0;
  #lastCallId = 0;
  #lastTickMs = 0;
  #wasCaughtUp: boolean | null = null;
  isShuttingDown = false;

  constructor(world: World, id: BrokerId, disk: BrokerDisk, incarnation: string, stopKind: StopKind) {
    this.world = world;
    this.id = id;
    this.disk = disk;
    this.incarnation = incarnation;
    this.process = new SimulatedProcess(id, world.scheduler);
    this.#store = new StoreAccess(world.store, this.process);
    this.leaderOptions = { localId: id, lagTimeMaxMs: 3_000, isrRetryMs: 200, isolationTimeMs: 2_000 };
    const { image } = this;
    this.directory = {
      brokerEpochOf: (broker) => image.brokers.get(broker)?.record.brokerEpoch ?? noBrokerEpoch,
      isActive: (broker) => image.isActive(broker),
    };
    const plain = {
      brokerId: id,
      incarnation,
      listeners: [endpointOf(id)],
      peer: endpointOf(id),
      rack: null,
      directories: [disk.directoryId],
      previousBrokerEpoch: disk.brokerEpoch,
      stopKind,
    };
    const registration = this.fault?.registration?.(plain) ?? plain;
    this.#election = new Election(world.controlOptions, { brokerId: id, incarnation, endpoint: endpointOf(id) });
    this.#lifecycle = new BrokerLifecycle(world.controlOptions, registration);
    this.process.after(world.random.between(20, 400), () => this.#boot());
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs;
  }
  get wallMs(): number {
    return this.world.wallMs + this.disk.wallOffsetMs;
  }
  get fault(): DeliberateFault | null {
    return this.world.fault;
  }
  get isController(): boolean {
    return this.#controller !== null;
  }
  nextAttachId(): number {
    return ++this.#lastAttachId;
  }
  controllerContact(): ControllerContact {
    return this.#lifecycle.controllerContact;
  }
  intendedMinIsr(key: string, recorded: number): number {
    return this.world.intendedMinIsr.get(key) ?? recorded;
  }

  // ---------------------------------------------------------------------------------------------- metadata

  #boot(): void {
    this.#store.read((entries, at) => {
      const { nowMs } = this;
      this.image.apply(at, entries);
      this.#lastTickMs = nowMs;
      this.#store.follow(entries, at, (revision, changes) => this.#onMetadata(revision, changes));
      this.#elect({ kind: 'started', nowMs });
      this.#elect({ kind: 'controllerSeen', controller: this.image.controller, revision: at, nowMs });
      this.#live({ kind: 'started', image: this.image, nowMs, wallMs: this.wallMs });
      this.#tickLater();
    });
  }

  #onMetadata(revision: Revision, changes: readonly StoredEntry[]): void {
    const entries = this.image.apply(revision, changes);
    const { nowMs } = this;
    this.#applyRoles(entries);
    this.#elect({ kind: 'controllerSeen', controller: this.image.controller, revision, nowMs });
    this.#live({ kind: 'metadataChanged', nowMs, wallMs: this.wallMs });
    this.#control({ kind: 'metadataChanged', entries, nowMs });
    for (const link of this.#leaderLinks.values()) {
      if (link.waitingHello) this.#onHello(link, link.waitingHello);
      if (link.follower && this.directory.brokerEpochOf(link.follower.id) > link.follower.epoch)
        this.#closeLeaderLink(link);
    }
    this.#retryAttaches();
    this.#tellCaughtUp();
  }

  /** Roles are taken from the registration of this incarnation on: earlier records name the one before (I5). */
  get #hasRoles(): boolean {
    return this.image.brokers.get(this.id)?.record.incarnation === this.incarnation;
  }

  #applyRoles(entries: readonly MetadataEntry[]): void {
    const own = entries.some((entry) => entry.kind === 'broker' && entry.id === this.id);
    if (own && this.#hasRoles) this.#applyAllRoles();
    if (!this.#hasRoles) {
      for (const replica of this.replicas.values()) replica.resign();
      return;
    }
    for (const entry of entries) {
      if (entry.kind === 'partition') this.#applyRole(entry.topicId, entry.partition);
      else if (entry.kind === 'topic') this.#applyTopic(entry.id);
    }
    if (entries.some((entry) => entry.kind === 'broker'))
      for (const replica of this.replicas.values()) replica.lead({ kind: 'brokersChanged', nowMs: this.nowMs });
  }

  #applyAllRoles(): void {
    for (const topic of this.image.topics.values()) this.#applyTopic(topic.id);
    for (const replica of this.replicas.values()) if (!this.image.topics.has(replica.topicId)) this.#forget(replica);
  }

  #applyTopic(id: TopicId): void {
    const topic = this.image.topics.get(id);
    if (topic) for (const partition of topic.partitions.keys()) this.#applyRole(id, partition);
    else for (const replica of [...this.replicas.values()]) if (replica.topicId === id) this.#forget(replica);
  }

  #applyRole(id: TopicId, partition: number): void {
    const versioned = this.image.partition(id, partition);
    const key = partitionKey(id, partition);
    const known = this.replicas.get(key);
    if (versioned === undefined || !versioned.record.replicas.includes(this.id)) {
      if (known) this.#forget(known);
      return;
    }
    const replica =
      known ??
      new SimulatedReplica(
        this,
        key,
        id,
        partition,
        this.disk.openLog(key, () => this.#makeLog()),
      );
    this.replicas.set(key, replica);
    const { groups } = this.world;
    if (groups && !known && this.image.topics.get(id)?.record.isInternal)
      this.coordinators.set(key, new SimulatedCoordinator(this, groups, replica));
    replica.applyRecord(versioned.record);
  }

  #makeLog(): ModelLog {
    return new ModelLog(this.fault?.keepsEmptyEpochs ? new HoardingEpochCache() : new EpochCache());
  }

  #forget(replica: SimulatedReplica): void {
    replica.resign();
    this.replicas.delete(replica.key);
    this.coordinators.delete(replica.key);
    this.disk.removeLog(replica.key);
  }

  onRoleChanged(): void {
    this.#retryAttaches();
    this.#tellCaughtUp();
  }

  #tellCaughtUp(): void {
    const isCaughtUp = this.#hasRoles && [...this.replicas.values()].every((replica) => replica.isSettled);
    if (isCaughtUp === this.#wasCaughtUp) return;
    this.#wasCaughtUp = isCaughtUp;
    this.world.trace.note('caught up', [this.id, isCaughtUp ? 1 : 0], () =>
      [...this.replicas.values()].map((replica) => replica.describe()).join('; '),
    );
    this.#live({ kind: 'caughtUp', isCaughtUp, nowMs: this.nowMs, wallMs: this.wallMs });
  }

  #tickLater(): void {
    this.process.after(this.world.controlOptions.tickMs, () => {
      const { nowMs } = this;
      const isLate =
        nowMs - this.#lastTickMs > this.world.controlOptions.tickMs + this.world.controlOptions.stallAfterMs;
      this.#lastTickMs = nowMs;
      this.#elect({ kind: 'ticked', nowMs });
      this.#live({ kind: 'ticked', nowMs, wallMs: this.wallMs });
      this.#tellLeaseRenewed();
      this.#control({ kind: 'ticked', nowMs });
      for (const replica of this.replicas.values()) {
        if (isLate) replica.lead({ kind: 'stalled', nowMs });
        replica.onTick(nowMs);
      }
      for (const link of this.#leaderLinks.values()) this.#maybePing(link);
      for (const coordinator of this.coordinators.values()) coordinator.onTick();
      this.#tellCaughtUp();
      this.#tickLater();
    });
  }

  // ---------------------------------------------------------------------------------------------- election, controller

  #elect(event: ElectionEvent): void {
    for (const action of this.#election.step(event)) this.#carryOutElection(action);
  }

  #carryOutElection(action: ElectionAction): void {
    switch (action.kind) {
      case 'grantLease':
        this.#grantControllerLease(action.ttlMs);
        break;
      case 'revokeLease':
        this.#controllerLease?.revoke();
        this.#controllerLease = null;
        break;
      case 'transact': {
        const { id } = action;
        this.#store.transact(action.txn, (outcome) => this.#elect({ kind: 'txnDone', id, outcome, nowMs: this.nowMs }));
        break;
      }
      case 'beginTerm': {
        const { controllerEpoch, knownDead } = action;
        this.world.trace.note('term', [this.id, controllerEpoch]);
        this.#controller = new ControllerState(
          this.world.controllerOptionsFor(this.id),
          this.world.controllerModules(),
        );
        this.#control({ kind: 'elected', image: this.image, controllerEpoch, knownDead, nowMs: this.nowMs });
        this.#tellLeaseRenewed();
        break;
      }
      case 'endTerm':
        this.world.trace.note('term over', [this.id], () => action.reason);
        this.#controller = null;
        for (const peer of this.#controlPeers.values()) peer.send({ kind: 'notController' });
        break;
      default:
        unreachable(action);
    }
  }

  #grantControllerLease(ttlMs: number): void {
    const holder = this.#store.grantLease(ttlMs, {
      granted: (leaseId) => {
        if (this.#controllerLease === holder) this.#elect({ kind: 'leaseGranted', leaseId, nowMs: this.nowMs });
      },
      renewed: () => {
        if (this.#controllerLease === holder) this.#tellLeaseRenewed();
      },
      lost: () => {
        if (this.#controllerLease !== holder) return;
        this.#controllerLease = null;
        this.#elect({ kind: 'leaseLost', nowMs: this.nowMs });
      },
    });
    this.#controllerLease = holder;
  }

  #tellLeaseRenewed(): void {
    const renewedMs = this.#controllerLease?.lastRenewedMs;
    if (renewedMs === undefined || this.#controller === null) return;
    this.process.noteContact(renewedMs);
    this.#control({ kind: 'leaseRenewed', renewedMs, nowMs: this.nowMs });
  }

  #control(event: ControllerEvent): void {
    const controller = this.#controller;
    if (controller === null) return;
    for (const action of controller.step(event)) this.#carryOutControl(controller, action);
  }

  #carryOutControl(controller: ControllerState, action: ControllerAction): void {
    switch (action.kind) {
      case 'transact':
        this.#store.transact(action.txn, (outcome) => {
          if (this.#controller === controller)
            this.#control({ kind: 'txnDone', id: action.id, outcome, nowMs: this.nowMs });
        });
        break;
      case 'send':
        this.#controlPeers.get(action.streamId)?.send(action.message);
        break;
      case 'closeStream':
        this.#controlPeers.get(action.streamId)?.close();
        this.#controlPeers.delete(action.streamId);
        break;
      case 'dial':
        this.#dial(action.brokerId, action.timeLimitMs, (outcome) => {
          if (this.#controller === controller)
            this.#control({ kind: 'dialed', dialId: action.dialId, outcome, nowMs: this.nowMs });
        });
        break;
      case 'resign':
        this.world.trace.note('resign', [this.id], () => action.reason);
        this.#elect({ kind: 'resigned', mayCampaignAgain: true, nowMs: this.nowMs });
        break;
      case 'log':
        this.world.trace.note('controller', [this.id], () => `${action.message} ${JSON.stringify(action.fields)}`);
        break;
      default:
        unreachable(action);
    }
  }

  #dial(to: BrokerId, limitMs: number, done: (outcome: DialOutcome) => void): void {
    const isListening = this.world.processOf(to) !== null;
    this.world.network.dial(this.id, to, isListening, limitMs, (outcome) => this.process.run(() => done(outcome)));
  }

  /** A broker's control stream arrives here. */
  acceptControl(end: StreamEnd<BrokerMessage, ControllerMessage>): void {
    const { streamId } = end;
    this.#controlPeers.set(streamId, end);
    end.handler = {
      onMessage: (message) => {
        this.#onBrokerMessage(end, message);
        const { random, repeatedProposals } = this.world;
        if (message.kind === 'alterPartition' && random.chance(repeatedProposals))
          this.process.after(random.between(50, 3_000), () => end.isOpen && this.#onBrokerMessage(end, message));
      },
      onClosed: (cause) => {
        this.#controlPeers.delete(streamId);
        this.#control({ kind: 'streamClosed', streamId, cause, nowMs: this.nowMs });
      },
    };
    this.#control({ kind: 'streamOpened', streamId, nowMs: this.nowMs });
  }

  #onBrokerMessage(end: StreamEnd<BrokerMessage, ControllerMessage>, plain: BrokerMessage): void {
    if (this.#controller === null) return end.send({ kind: 'notController' });
    const { fault } = this;
    const message =
      plain.kind === 'alterPartition' && fault?.proposalAtController
        ? {
            ...plain,
            proposals: plain.proposals.map(
              (proposal) => fault.proposalAtController?.(proposal, this.image) ?? proposal,
            ),
          }
        : plain;
    if (plain.kind === 'register' && fault?.registersAtOnce) this.world.registerAtOnce(plain.registration);
    this.#control({ kind: 'brokerMessage', streamId: end.streamId, message, nowMs: this.nowMs, wallMs: this.wallMs });
  }

  // ---------------------------------------------------------------------------------------------- lifecycle

  #live(event: LifecycleEvent): void {
    for (const action of this.#lifecycle.step(event)) this.#carryOutLifecycle(action);
  }

  #carryOutLifecycle(action: LifecycleAction): void {
    const times = (): { nowMs: number; wallMs: number } => ({ nowMs: this.nowMs, wallMs: this.wallMs });
    switch (action.kind) {
      case 'connect':
        this.#connectControl(action.streamId, brokerOf(action.endpoint));
        break;
      case 'closeStream':
        this.#controlStreams.get(action.streamId)?.close();
        this.#controlStreams.delete(action.streamId);
        break;
      case 'send':
        this.#controlStreams.get(action.streamId)?.send(action.message);
        break;
      case 'dial':
        this.#dial(brokerOf(action.endpoint), action.timeLimitMs, (outcome) =>
          this.#live({ kind: 'dialed', dialId: action.dialId, outcome, ...times() }),
        );
        break;
      case 'probe':
        this.#probe(action.brokerId, action.timeLimitMs, (outcome) =>
          this.#live({ kind: 'probed', brokerId: action.brokerId, outcome, ...times() }),
        );
        break;
      case 'registered':
        this.brokerEpoch = action.brokerEpoch;
        this.disk.brokerEpoch = action.brokerEpoch;
        this.world.trace.note('registered', [this.id, action.brokerEpoch]);
        break;
      case 'registrationRefused':
        this.world.onRegistrationRefused(this, action.fault);
        break;
      case 'stateChanged':
        this.world.trace.note('state', [this.id], () => action.state);
        break;
      case 'putLive':
        this.#putLive();
        break;
      case 'controllerDead':
        this.#elect({ kind: 'controllerDead', controllerEpoch: action.controllerEpoch, nowMs: this.nowMs });
        break;
      case 'alterPartitionAnswer': {
        const call = this.#proposalCalls.get(action.callId);
        this.#proposalCalls.delete(action.callId);
        call?.replica.onIsrAnswered(call.proposalId, action.answers[0]?.kind ?? 'lost');
        break;
      }
      case 'adminAnswer':
        this.world.onAdminAnswer(action.answer);
        break;
      case 'askReplicaStates': {
        const states = action.partitions.map(({ topicId, partition }) => {
          const log = this.replicas.get(partitionKey(topicId, partition))?.log;
          return log ? { lastEpoch: log.lastEpoch, logEndOffset: log.endOffset } : null;
        });
        const { requestId, streamId } = action;
        this.#live({ kind: 'replicaStates', requestId, streamId, states, ...times() });
        break;
      }
      case 'mayStop':
        this.world.onMayStop(this, action.isClean);
        break;
      default:
        unreachable(action);
    }
  }

  #connectControl(streamId: number, to: BrokerId): void {
    const end = this.world.network.connect<ControllerMessage, BrokerMessage>(
      this.process,
      to,
      (id) => this.world.processOf(id)?.process ?? null,
      (_, serverEnd) => this.world.processOf(to)?.acceptControl(serverEnd),
      {
        onMessage: (told) => {
          const isTrusted = told.kind === 'heartbeatAnswer' && this.fault?.trustsUnprovedControllers;
          const message = isTrusted ? { ...told, proofAgeMs: 0 } : told;
          this.#live({ kind: 'streamMessage', streamId, message, nowMs: this.nowMs, wallMs: this.wallMs });
        },
        onClosed: (cause: CloseCause) => {
          this.#controlStreams.delete(streamId);
          this.#live({ kind: 'streamClosed', streamId, cause, nowMs: this.nowMs, wallMs: this.wallMs });
        },
      },
    );
    this.#controlStreams.set(streamId, end);
  }

  /** Asks the process, not its kernel: a stopped one is silent. */
  #probe(to: BrokerId, limitMs: number, done: (outcome: DialOutcome) => void): void {
    const { network } = this.world;
    const target = this.world.processOf(to);
    if (target === null || !network.canTalk(this.id, to)) return this.#dial(to, limitMs, done);
    let isOver = false;
    const finish = (outcome: DialOutcome): void => {
      if (!isOver) this.process.run(() => done(outcome));
      isOver = true;
    };
    network.scheduler.after(limitMs, () => finish('silent'));
    target.process.after(network.latencyMs(), () => finish('accepted'));
  }

  #putLive(): void {
    const holder = this.#store.grantLease(this.world.controlOptions.leaseTtlMs, {
      granted: (lease) => {
        if (this.#liveLease !== holder) return;
        const mutation = {
          kind: 'put',
          key: keys.live(this.id),
          value: encodeValue({ incarnation: this.incarnation }),
          lease,
        } as const;
        this.#store.transact({ compares: [], mutations: [mutation] }, (outcome) =>
          this.#live({ kind: 'liveDone', ok: outcome.kind === 'succeeded', nowMs: this.nowMs, wallMs: this.wallMs }),
        );
      },
      renewed: () => undefined,
      lost: () => {
        if (this.#liveLease !== holder) return;
        if (holder.id === null) this.#live({ kind: 'liveDone', ok: false, nowMs: this.nowMs, wallMs: this.wallMs });
        this.#liveLease = null;
      },
    });
    this.#liveLease = holder;
  }

  admin(command: Extract<LifecycleEvent, { kind: 'admin' }>['command']): void {
    this.#live({
      kind: 'admin',
      callId: ++this.#lastCallId,
      command,
      timeLimitMs: 5_000,
      nowMs: this.nowMs,
      wallMs: this.wallMs,
    });
  }

  requestShutdown(): void {
    this.isShuttingDown = true;
    this.#live({ kind: 'shutdownRequested', nowMs: this.nowMs, wallMs: this.wallMs });
  }

  /** The last thing a clean stop does. */
  sayGoodbye(): void {
    this.#live({ kind: 'goodbye', nowMs: this.nowMs, wallMs: this.wallMs });
    this.#liveLease?.revoke();
    this.#controllerLease?.revoke();
  }

  proposeIsr(replica: SimulatedReplica, action: LeaderAction & { kind: 'proposeIsr' }): void {
    const { topicId, partition } = replica;
    const { proposalId, leaderEpoch, partitionEpoch, isr } = action;
    const callId = ++this.#lastCallId;
    this.world.trace.note('propose', [
      this.id,
      partition,
      leaderEpoch,
      partitionEpoch,
      ...isr.map((member) => member.brokerId),
    ]);
    this.#proposalCalls.set(callId, { replica, proposalId });
    const proposals = [{ topicId, partition, leaderEpoch, partitionEpoch, isr }];
    this.#live({ kind: 'alterPartition', callId, proposals, nowMs: this.nowMs, wallMs: this.wallMs });
  }

  // ---------------------------------------------------------------------------------------------- as follower

  startFollowing(replica: SimulatedReplica, leader: BrokerId): void {
    const link = this.#followerLinkTo(leader);
    link.replicas.add(replica);
    if (link.isAccepted) replica.onStreamOpened();
    else this.#connectFollower(leader, link);
  }

  stopFollowing(replica: SimulatedReplica, leader: number): void {
    const link = this.#followerLinkTo(leader as BrokerId);
    link.replicas.delete(replica);
    for (const [attachId, owner] of link.attached)
      if (owner === replica) {
        link.attached.delete(attachId);
        link.end?.send({ kind: 'detach', attachId });
      }
  }

  #followerLinkTo(leader: BrokerId): FollowerLink {
    let link = this.#followerLinks.get(leader);
    if (link === undefined) {
      link = { end: null, isAccepted: false, isConnecting: false, replicas: new Set(), attached: new Map() };
      this.#followerLinks.set(leader, link);
    }
    return link;
  }

  #connectFollower(leader: BrokerId, link: FollowerLink): void {
    if (link.end !== null || link.replicas.size === 0) return;
    const end = this.world.network.connect<ToFollower, ToLeader>(
      this.process,
      leader,
      (id) => this.world.processOf(id)?.process ?? null,
      (_, serverEnd) => this.world.processOf(leader)?.acceptReplication(serverEnd),
      {
        onMessage: (message) => {
          if (link.end !== end) return;
          if (message.kind === 'helloAnswer') {
            if (!message.isAccepted) {
              end.close();
              this.#onFollowerLinkClosed(leader, link);
              return;
            }
            link.isAccepted = true;
            for (const replica of [...link.replicas]) replica.onStreamOpened();
            return;
          }
          if (message.kind === 'ping') return end.send({ kind: 'pong' });
          const replica = link.attached.get(message.attachId);
          if (message.kind === 'reject' || message.kind === 'diverging') link.attached.delete(message.attachId);
          replica?.onLeaderMessage(message);
        },
        onClosed: () => {
          if (link.end === end) this.#onFollowerLinkClosed(leader, link);
        },
      },
    );
    link.end = end;
    end.send({ kind: 'hello', clusterId, brokerId: this.id, brokerEpoch: this.brokerEpoch });
  }

  #onFollowerLinkClosed(leader: BrokerId, link: FollowerLink): void {
    link.end = null;
    link.attached.clear();
    const wasAccepted = link.isAccepted;
    link.isAccepted = false;
    if (wasAccepted) for (const replica of [...link.replicas]) replica.onStreamClosed();
    this.onRoleChanged();
    this.process.after(this.world.random.between(20, 200), () => this.#connectFollower(leader, link));
  }

  /** `attaching`: whoever hears the answers to an attach request. */
  sendToLeader(leader: number, message: ToLeader, attaching: SimulatedReplica | null): void {
    const link = this.#followerLinkTo(leader as BrokerId);
    if (message.kind === 'attach' && attaching) link.attached.set(message.attachId, attaching);
    else if (message.kind === 'detach') link.attached.delete(message.attachId);
    link.end?.send(message);
  }

  // ---------------------------------------------------------------------------------------------- as leader

  acceptReplication(end: StreamEnd<ToLeader, ToFollower>): void {
    const link: LeaderLink = {
      end,
      follower: null,
      waitingHello: null,
      early: [],
      waitingAttaches: [],
      attachments: new Map(),
      lastPingMs: Number.NEGATIVE_INFINITY,
      isPingAnswered: true,
    };
    this.#leaderLinks.set(end.streamId, link);
    end.handler = {
      onMessage: (message) => this.#onFollowerMessage(link, message),
      onClosed: () => this.#closeLeaderLink(link),
    };
  }

  #maybePing(link: LeaderLink): void {
    const { nowMs, leaderOptions } = this;
    const isDue = nowMs - link.lastPingMs >= leaderOptions.isolationTimeMs / 4;
    if (isDue && link.isPingAnswered && link.attachments.size > 0) this.#ping(link);
  }

  #ping(link: LeaderLink): void {
    link.lastPingMs = this.nowMs;
    link.isPingAnswered = false;
    for (const attachment of link.attachments.values()) attachment.pingedQuestion = attachment.question;
    link.end.send({ kind: 'ping' });
  }

  askFollowers(replica: SimulatedReplica, question: number): void {
    for (const link of this.#leaderLinks.values())
      for (const attachment of link.attachments.values())
        if (attachment.replica === replica) {
          attachment.question = question;
          if (link.isPingAnswered && attachment.pingedQuestion < question) this.#ping(link);
        }
  }

  #onPong(link: LeaderLink, follower: BrokerId): void {
    for (const { replica, pingedQuestion: question } of link.attachments.values())
      replica.lead({ kind: 'heard', follower, sentMs: link.lastPingMs, question });
    link.isPingAnswered = true;
    if ([...link.attachments.values()].some(({ question, pingedQuestion }) => pingedQuestion < question))
      this.#ping(link);
  }

  #closeLeaderLink(link: LeaderLink): void {
    if (!this.#leaderLinks.delete(link.end.streamId)) return;
    this.world.trace.note('stream over', [this.id, link.follower?.id ?? -1, link.end.streamId]);
    link.end.close();
    link.attachments.clear();
    for (const replica of this.replicas.values()) replica.lead({ kind: 'streamClosed', streamId: link.end.streamId });
  }

  #onFollowerMessage(link: LeaderLink, message: ToLeader): void {
    if (message.kind === 'hello') return this.#onHello(link, message);
    if (link.follower === null) {
      link.early.push(message);
      return;
    }
    const { streamId } = link.end;
    switch (message.kind) {
      case 'attach':
        this.#detach(link, message.attachId);
        this.#onAttach(link, message);
        break;
      case 'detach':
        this.#detach(link, message.attachId);
        break;
      case 'ack': {
        const { attachId, logEndOffset } = message;
        link.attachments
          .get(attachId)
          ?.replica.lead({ kind: 'acked', streamId, attachId, logEndOffset, nowMs: this.nowMs });
        if (this.fault?.countsLateAcks && !link.attachments.has(attachId))
          this.#formerAttachments
            .get(attachId * 16 + link.follower.id)
            ?.onLateAck(streamId, attachId, link.follower, logEndOffset);
        break;
      }
      case 'pong':
        this.#onPong(link, link.follower.id);
        break;
      case 'credit':
        break;
      default:
        unreachable(message);
    }
  }

  /** For a planted fault: what each attach request was for. */
  readonly #formerAttachments = new Map<number, SimulatedReplica>();

  #onHello(link: LeaderLink, hello: Extract<ToLeader, { kind: 'hello' }>): void {
    const known = this.directory.brokerEpochOf(hello.brokerId);
    if (known > hello.brokerEpoch) {
      link.end.send({ kind: 'helloAnswer', isAccepted: false, reason: 'started again since' });
      return this.#closeLeaderLink(link);
    }
    link.waitingHello = known < hello.brokerEpoch ? hello : null;
    if (link.waitingHello) return;
    link.follower = { id: hello.brokerId, epoch: hello.brokerEpoch };
    link.end.send({ kind: 'helloAnswer', isAccepted: true, reason: '' });
    const { early } = link;
    link.early = [];
    for (const message of early) this.#onFollowerMessage(link, message);
  }

  #onAttach(link: LeaderLink, message: AttachMessage): void {
    const follower = present(link.follower, 'attach requests come after hello');
    const replica = this.replicas.get(partitionKey(message.topicId, message.partition));
    const isAnswered =
      replica?.onAttach(link.end.streamId, follower, message, (answer) => link.end.send(answer)) ?? false;
    if (!isAnswered) link.waitingAttaches.push(message);
  }

  #retryAttaches(): void {
    for (const link of this.#leaderLinks.values()) {
      if (link.waitingAttaches.length === 0) continue;
      const waiting = link.waitingAttaches;
      link.waitingAttaches = [];
      for (const message of waiting) this.#onAttach(link, message);
    }
  }

  #detach(link: LeaderLink, attachId: number): void {
    link.waitingAttaches = link.waitingAttaches.filter((message) => message.attachId !== attachId);
    const attachment = link.attachments.get(attachId);
    link.attachments.delete(attachId);
    attachment?.replica.lead({ kind: 'detached', streamId: link.end.streamId, attachId });
  }

  sendTo(streamId: number, message: ToFollower): void {
    this.#leaderLinks.get(streamId)?.end.send(message);
  }

  startSending(streamId: number, attachId: number, replica: SimulatedReplica, nextOffset: Offset): void {
    const link = this.#leaderLinks.get(streamId);
    if (!link) return;
    const attachment = {
      attachId,
      replica,
      nextOffset,
      sentHighWatermark: -1,
      isScheduled: false,
      question: 0,
      pingedQuestion: 0,
    };
    link.attachments.set(attachId, attachment);
    this.world.trace.note('sending', [
      this.id,
      replica.partition,
      link.follower?.id ?? -1,
      attachId,
      streamId,
      nextOffset,
    ]);
    if (this.fault?.countsLateAcks) this.#formerAttachments.set(attachId * 16 + (link.follower?.id ?? 0), replica);
    this.#sendLater(link, attachment, 0);
  }

  stopSending(replica: SimulatedReplica): void {
    for (const link of this.#leaderLinks.values())
      for (const [attachId, attachment] of link.attachments)
        if (attachment.replica === replica) link.attachments.delete(attachId);
  }

  /** The replica has more records, or another high watermark. */
  onNews(replica: SimulatedReplica, withinMs: number): void {
    for (const link of this.#leaderLinks.values())
      for (const attachment of link.attachments.values())
        if (attachment.replica === replica) this.#sendLater(link, attachment, withinMs);
  }

  #sendLater(link: LeaderLink, attachment: Attachment, withinMs: number): void {
    if (attachment.isScheduled) return;
    attachment.isScheduled = true;
    this.process.after(withinMs, () => {
      attachment.isScheduled = false;
      if (link.attachments.get(attachment.attachId) === attachment) this.#sendData(link, attachment);
    });
  }

  #sendData(link: LeaderLink, attachment: Attachment): void {
    const { attachId, replica, nextOffset } = attachment;
    const { log } = replica;
    const highWatermark = replica.leaderState?.highWatermark ?? log.highWatermark;
    const hasData = nextOffset >= log.startOffset && nextOffset < log.endOffset;
    if (!hasData && highWatermark === attachment.sentHighWatermark && nextOffset >= log.startOffset) return;
    const records = hasData ? log.slice(nextOffset, Math.min(log.endOffset, nextOffset + 8)) : [];
    link.end.send({
      kind: 'data',
      attachId,
      baseOffset: nextOffset,
      highWatermark,
      logStartOffset: log.startOffset,
      records,
    });
    attachment.sentHighWatermark = highWatermark;
    attachment.nextOffset = (nextOffset + records.length) as Offset;
    if (attachment.nextOffset < log.endOffset && hasData) this.#sendLater(link, attachment, 0);
  }

  // ---------------------------------------------------------------------------------------------- the end

  close(): void {
    this.process.die();
    this.#store.close();
    for (const coordinator of this.coordinators.values()) coordinator.onProcessGone();
    for (const replica of this.replicas.values()) replica.log.onProcessGone();
  }

  /** Called by whoever reaches the store's events. */
  wakeStore(): void {
    this.#store.wake();
  }
}
