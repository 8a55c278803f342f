/**
 * The elected controller for one term: who is alive, who leads, who is in sync, which topics there are. A pure core:
 * `step(event)` gives actions; no clock, socket or store in here (`controller-runner.ts` and the simulation drive it).
 * It only wires its parts together, in the order in which their work matters after every event:
 *
 *   BrokerLiveness ──► fences ──┐
 *   BrokerRegistry ──► fences ──┼─► PartitionKeeper (I6, elections) ─► ReplicaRecovery (§2.10)
 *   heartbeats ──► unfence, drain┘        ▲
 *   AlterPartition, TopicAdmin, LeaderBalance: what users and leaders ask for
 *                       all over ControlView: image + own commits + keys that are being written
 */
import type { Random } from '../env/random.ts';
import { assert, unreachable } from '../model/assert.ts';
import type { BrokerEpoch, BrokerId, Revision } from '../model/brands.ts';
import { type BrokerRecord, type BrokerState, keys, type MetadataEntry } from '../model/metadata-schema.ts';
import { BrokerLiveness, type LivenessVerdict, type WatchedBroker } from './broker-liveness.ts';
import { BrokerRegistry } from './broker-registry.ts';
import type { BrokerMessage, ControllerMessage, DialOutcome } from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';
import { ControlView, type TxnDone } from './control-view.ts';
import type { ControllerContext } from './controller-context.ts';
import type { ControllerAction, ControllerEvent } from './controller-events.ts';
import { FlapDamping } from './flap-damping.ts';
import { IsrAlterations } from './isr-alterations.ts';
import { LeaderBalance } from './leader-balance.ts';
import type { Compare, MetadataTxn, Mutation } from './metadata-store.ts';
import { PartitionKeeper } from './partition-keeper.ts';
import { ReplicaRecovery } from './replica-recovery.ts';
import { TopicAdmin } from './topic-admin.ts';

export interface ControllerOptions {
  /** The broker that this controller runs in. */
  readonly brokerId: BrokerId;
  readonly control: ControlOptions;
}

export interface ControllerModules {
  /** Topic ids are drawn from it. */
  readonly random: Random;
}

/** What a broker's newest heartbeat said. */
interface Report {
  readonly brokerEpoch: BrokerEpoch;
  readonly appliedRevision: Revision;
  readonly isCaughtUp: boolean;
  readonly wantsShutdown: boolean;
}

type Heartbeat = Extract<BrokerMessage, { kind: 'heartbeat' }>;

/** Transactions under way at once, beyond those that fence. */
const mostOpenTxns = 16;

export class ControllerState {
  readonly #options: ControllerOptions;
  readonly #modules: ControllerModules;
  #term: Term | null = null;

  constructor(options: ControllerOptions, modules: ControllerModules) {
    this.#options = options;
    this.#modules = modules;
  }

  step(event: ControllerEvent): ControllerAction[] {
    if (event.kind === 'elected') {
      assert(this.#term === null, 'a controller core serves one term');
      this.#term = new Term(this.#options, this.#modules, event);
    }
    return this.#term?.step(event) ?? [];
  }
}

class Term implements ControllerContext {
  readonly options: ControlOptions;
  readonly view: ControlView;
  readonly liveness: BrokerLiveness;
  nowMs: number;
  wallMs = 0;

  readonly #registry: BrokerRegistry;
  readonly #keeper: PartitionKeeper;
  readonly #recovery: ReplicaRecovery;
  readonly #isrs: IsrAlterations;
  readonly #admin: TopicAdmin;
  readonly #balance: LeaderBalance;
  readonly #damping: FlapDamping;
  readonly #reports = new Map<BrokerId, Report>();
  /** Brokers whose death is proved and not yet written, with the start it was proved for. */
  readonly #condemned = new Map<BrokerId, { brokerEpoch: BrokerEpoch; reason: string }>();
  /** Dials made for the registry, by the id it knows them under: negative, so that they meet no other. */
  #nextRegistryDialId = -1;
  #actions: ControllerAction[] = [];
  #isOver = false;
  #lastTickMs: number;
  #leaseRenewedMs: number;
  /** When the store was asked what last showed that this controller holds its office. */
  #provedMs = Number.NEGATIVE_INFINITY;
  #nextProofMs: number;
  #lastLookMs: number;

  constructor(
    { brokerId, control }: ControllerOptions,
    { random }: ControllerModules,
    { image, controllerEpoch, nowMs }: Extract<ControllerEvent, { kind: 'elected' }>,
  ) {
    assert(image.revision >= controllerEpoch, 'the image must hold the election it is decided by (§2.1.3)');
    this.options = control;
    this.nowMs = nowMs;
    this.#lastTickMs = nowMs;
    this.#leaseRenewedMs = nowMs;
    this.#nextProofMs = nowMs;
    this.#lastLookMs = nowMs;
    this.view = new ControlView(image, controllerEpoch);
    this.liveness = new BrokerLiveness(control, brokerId, nowMs);
    this.#recovery = new ReplicaRecovery(this);
    this.#keeper = new PartitionKeeper(this, (at) => this.#recovery.want(at));
    this.#registry = new BrokerRegistry(this, this.#keeper, {
      dial: (id, endpoint) => this.#dialForRegistry(id, endpoint),
      fence: (id, record, reason) => this.#condemn(id, record.brokerEpoch, reason),
    });
    this.#isrs = new IsrAlterations(this);
    this.#admin = new TopicAdmin(this, this.#recovery, random);
    this.#balance = new LeaderBalance(this);
    this.#damping = new FlapDamping(control);
  }

  step(event: ControllerEvent): ControllerAction[] {
    if (this.#isOver) return [];
    this.nowMs = event.nowMs;
    this.#guardAgainstStall(event);
    this.#on(event);
    this.#pump();
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #on(event: ControllerEvent): void {
    switch (event.kind) {
      case 'elected':
        return this.#onElected(event.knownDead);
      case 'metadataChanged':
        return this.#onMetadataChanged(event.entries);
      case 'streamOpened':
        return;
      case 'brokerMessage':
        this.wallMs = event.wallMs;
        return this.#onMessage(event.streamId, event.message);
      case 'streamClosed':
        this.#registry.onStreamClosed(event.streamId);
        this.#isrs.onStreamClosed(event.streamId);
        return this.#obey(this.liveness.streamClosed(event.streamId, event.cause, this.#watched()));
      case 'dialed':
        return this.#onDialed(event.dialId, event.outcome);
      case 'txnDone':
        if (this.view.settle(event.id, event.outcome).isDeposed) this.#resign('another controller was elected');
        return;
      case 'leaseRenewed':
        this.#leaseRenewedMs = Math.max(this.#leaseRenewedMs, event.renewedMs);
        this.#provedMs = Math.max(this.#provedMs, event.renewedMs);
        return;
      case 'ticked':
        return this.#onTicked();
      default:
        return unreachable(event);
    }
  }

  // ── the term ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** §2.1.3: reconcile. Everything a controller before this one left half done shows in the records. */
  #onElected(knownDead: readonly BrokerId[]): void {
    this.log('info', { controllerEpoch: this.view.controllerEpoch, knownDead }, 'this broker is the controller');
    this.#keeper.markAllOf(null);
    for (const id of knownDead) {
      const record = this.view.broker(id)?.record;
      if (record) this.#condemn(id, record.brokerEpoch, 'its death was proved before the election');
    }
    // §2.1.4: each broker's silence counts from now on.
    for (const { id, record } of this.view.brokers()) this.liveness.expect(id, record.brokerEpoch, this.nowMs);
  }

  /** §2.3 stall guard, §2.1.5: what was not heard while this process stood still proves nothing. */
  #guardAgainstStall(event: ControllerEvent): void {
    const lateMs = this.nowMs - this.#lastTickMs - this.options.tickMs;
    if (lateMs > this.options.stallAfterMs) {
      this.log('warn', { lateMs: Math.round(lateMs) }, 'this process stalled: proving the term again');
      this.liveness.resetSilence(this.nowMs);
      this.view.mustProveTerm();
      this.#lastTickMs = this.nowMs;
    }
    if (event.kind === 'ticked') this.#lastTickMs = this.nowMs;
    if (!this.#isLeaseFresh() && event.kind !== 'leaseRenewed') this.view.mustProveTerm();
  }

  /** §2.1.5: 0.6 of the lease's life after the last keep-alive that was answered, nothing is decided. */
  #isLeaseFresh(): boolean {
    return this.nowMs - this.#leaseRenewedMs <= this.options.leaseDecisionFraction * this.options.leaseTtlMs;
  }

  #mayDecide(): boolean {
    return !this.#isOver && this.#isLeaseFresh() && this.view.isTermProved;
  }

  #resign(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#admin.refuseAll();
    this.log('warn', { reason, controllerEpoch: this.view.controllerEpoch }, 'this broker is the controller no more');
    this.#actions.push({ kind: 'resign', reason });
  }

  /** After every event: do what is due, as far as nothing under way stands in the way. */
  #pump(): void {
    if (this.#isOver) return;
    const elected = this.view.image.controllerEpoch();
    // I2: the key has been written again. Its absence says the same: the lease is gone.
    if (elected !== this.view.controllerEpoch) return this.#resign('ctl/leader is not what this term was won with');
    this.view.observe();
    this.#maybeProve();
    if (!this.#mayDecide()) return;
    this.#fenceCondemned();
    this.#registry.pump();
    this.#fenceCondemned();
    for (const [id, report] of this.#reports) this.#followReport(id, report);
    this.#keeper.pump();
    this.#isrs.pump();
    this.#admin.pump();
    this.#recovery.pump();
    this.#maybeProve();
  }

  #maybeProve(): void {
    if (this.nowMs < this.#nextProofMs || !this.#isLeaseFresh()) return;
    const proof = this.view.beginProof();
    if (!proof) return;
    // Where the store is away, once a tick is enough.
    this.#nextProofMs = this.nowMs + this.options.tickMs;
    this.#push(proof);
  }

  // ── brokers ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #onMessage(streamId: number, message: BrokerMessage): void {
    switch (message.kind) {
      case 'register':
        return this.#registry.onRegister(streamId, message.registration);
      case 'heartbeat':
        return this.#onHeartbeat(streamId, message);
      case 'alterPartition':
        return this.#isrs.onRequest(streamId, message);
      case 'admin': {
        const { requestId, command } = message;
        if (this.#mayDecide()) return this.#admin.onCommand(streamId, requestId, command);
        // §2.11: retriable, and nothing was done.
        const answer = { kind: 'refused', fault: { code: 'NOT_CONTROLLER' } } as const;
        return this.send(streamId, { kind: 'adminAnswer', requestId, answer });
      }
      case 'goodbye':
        // §2.3 E1: it said so itself.
        return this.#condemn(message.brokerId, message.brokerEpoch, 'it said goodbye');
      case 'probed':
        return this.liveness.probed(message.brokerId, message.outcome, this.nowMs);
      case 'replicaStates': {
        const brokerId = this.liveness.brokerOf(streamId);
        if (brokerId !== null) this.#recovery.answered(message.requestId, brokerId, message.states);
        return;
      }
      default:
        return unreachable(message);
    }
  }

  #onHeartbeat(streamId: number, heartbeat: Heartbeat): void {
    const { brokerId, incarnation, brokerEpoch, sequence } = heartbeat;
    const record = this.view.broker(brokerId)?.record;
    const isRegistered = record?.incarnation === incarnation && record.brokerEpoch === brokerEpoch;
    if (isRegistered) {
      this.liveness.heard(brokerId, brokerEpoch, streamId, this.nowMs);
      const { appliedRevision, isCaughtUp, wantsShutdown } = heartbeat;
      this.#reports.set(brokerId, { brokerEpoch, appliedRevision, isCaughtUp, wantsShutdown });
    }
    this.send(streamId, {
      kind: 'heartbeatAnswer',
      sequence,
      controllerEpoch: this.view.controllerEpoch,
      state: isRegistered ? record.state : 'unknown',
      leadersLeft: isRegistered && heartbeat.wantsShutdown ? this.#leadersLeft(brokerId, record.state) : 0,
      wallMs: this.wallMs,
      proofAgeMs: this.nowMs - this.#provedMs,
    });
  }

  /** What a heartbeat's wishes lead to, once nothing stands in the way: ACTIVE (§2.2.5) or DRAINING (§2.8). */
  #followReport(id: BrokerId, report: Report): void {
    const seen = this.view.broker(id);
    if (!seen || seen.record.brokerEpoch !== report.brokerEpoch) {
      this.#reports.delete(id);
      return;
    }
    const { record, modRevision } = seen;
    if (this.view.isTaken(keys.broker(id)) || this.#condemned.has(id)) return;
    if (report.wantsShutdown && record.state === 'active') return this.#changeState(id, record, 'draining');
    // Its word counts only if it knew of its own record when it gave it.
    const isReady = report.isCaughtUp && !report.wantsShutdown && report.appliedRevision >= modRevision;
    if (record.state !== 'fenced' || !isReady || !this.liveness.isHeard(id, this.nowMs)) return;
    if (this.#damping.mayBecomeActive(id, record.brokerEpoch, this.nowMs)) this.#changeState(id, record, 'active');
  }

  #changeState(id: BrokerId, record: BrokerRecord, state: BrokerState): void {
    this.#keeper.changeBroker(id, { ...record, state }, ({ isDone }) => {
      if (!isDone) return;
      this.#balance.onBrokerChanged(this.nowMs);
      this.log('info', { brokerId: id, brokerEpoch: record.brokerEpoch, state }, 'broker changed its state');
    });
  }

  /** §2.8: 0 tells the broker that it leads nothing, and that the others have seen so. */
  #leadersLeft(id: BrokerId, state: BrokerState): number {
    if (state === 'active') return 1;
    let left = 0;
    for (const { record } of this.view.partitions()) if (record.leader === id) left++;
    if (left > 0 || state === 'fenced') return left;
    const moved = this.view.lastCommitted;
    const isLate = (other: BrokerId, report: Report): boolean =>
      this.liveness.isHeard(other, this.nowMs) && report.appliedRevision < moved && this.view.isActive(other);
    const isKnown = ![...this.#reports].some(([other, report]) => isLate(other, report));
    return isKnown ? 0 : 1;
  }

  // ── death ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #watched(): WatchedBroker[] {
    return this.view
      .brokers()
      .filter(({ record }) => record.state !== 'fenced')
      .map(({ id, record }) => ({
        id,
        brokerEpoch: record.brokerEpoch,
        peer: record.peer,
        hasLease: this.view.image.live.get(id) === record.incarnation,
      }));
  }

  #onDialed(dialId: number, outcome: DialOutcome): void {
    if (dialId < 0) return this.#registry.onDialed(dialId, outcome);
    this.#obey(this.liveness.dialed(dialId, outcome, this.#watched()));
  }

  #onTicked(): void {
    if (this.#mayDecide()) this.#obey(this.liveness.tick(this.#watched(), this.nowMs));
    if (this.nowMs - this.#lastLookMs >= this.options.suspectAfterMs) {
      this.#lastLookMs = this.nowMs;
      this.#recovery.lookAgain();
    }
    if (this.#mayDecide() && this.#keeper.isQuiet) this.#balance.onTicked();
  }

  #obey(verdicts: readonly LivenessVerdict[]): void {
    for (const verdict of verdicts) this.#obeyOne(verdict);
  }

  #obeyOne(verdict: LivenessVerdict): void {
    switch (verdict.kind) {
      case 'dial': {
        const { dialId, brokerId, endpoint } = verdict;
        this.#actions.push({ kind: 'dial', dialId, brokerId, endpoint, timeLimitMs: this.options.dialTimeLimitMs });
        return;
      }
      case 'probe': {
        const streamId = this.liveness.streamOf(verdict.by);
        const { brokerId, endpoint } = verdict;
        if (streamId !== null) this.send(streamId, { kind: 'probe', brokerId, endpoint });
        return;
      }
      case 'fence':
        return this.#condemn(verdict.brokerId, verdict.brokerEpoch, verdict.reason);
      case 'resign':
        return this.#resign(verdict.reason);
      default:
        return unreachable(verdict);
    }
  }

  #dialForRegistry(brokerId: BrokerId, endpoint: BrokerRecord['peer']): number {
    const dialId = this.#nextRegistryDialId--;
    this.#actions.push({ kind: 'dial', dialId, brokerId, endpoint, timeLimitMs: this.options.dialTimeLimitMs });
    return dialId;
  }

  #condemn(id: BrokerId, brokerEpoch: BrokerEpoch, reason: string): void {
    const record = this.view.broker(id)?.record;
    if (record?.brokerEpoch !== brokerEpoch || this.#condemned.has(id)) return;
    this.#condemned.set(id, { brokerEpoch, reason });
    this.#reports.delete(id);
  }

  /** I6: the broker's record and what fits of its partitions in one transaction; the rest after it. */
  #fenceCondemned(): void {
    for (const [id, { brokerEpoch, reason }] of [...this.#condemned]) {
      const record = this.view.broker(id)?.record;
      if (record?.brokerEpoch !== brokerEpoch || record.state === 'fenced') {
        this.#condemned.delete(id);
        continue;
      }
      if (this.view.isTaken(keys.broker(id))) continue;
      this.log(
        record.state === 'draining' ? 'info' : 'warn',
        { brokerId: id, brokerEpoch, reason },
        'fencing a broker',
      );
      this.#keeper.changeBroker(id, { ...record, state: 'fenced' }, ({ isDone }) => {
        // Not written: the evidence stands, and is weighed against the record as it is then.
        if (!isDone) return;
        this.#condemned.delete(id);
        this.#damping.onFenced(id, brokerEpoch, this.nowMs);
        this.#balance.onBrokerChanged(this.nowMs);
      });
    }
  }

  // ── metadata ────────────────────────────────────────────────────────────────────────────────────────────────────

  #onMetadataChanged(entries: readonly MetadataEntry[]): void {
    for (const entry of entries) {
      if (entry.kind === 'partition') this.#keeper.mark(entry.topicId, entry.partition);
      else if (entry.kind === 'topic' && entry.value === null) this.#admin.mustSweep();
      else if (entry.kind === 'live' && entry.value === null) this.#onLeaseGone(entry.id);
    }
  }

  /** §2.3 E3. */
  #onLeaseGone(id: BrokerId): void {
    const broker = this.#watched().find((one) => one.id === id);
    if (broker) this.#obey(this.liveness.leaseGone(broker, this.nowMs));
  }

  // ── what the parts ask for ──────────────────────────────────────────────────────────────────────────────────────

  transact(compares: readonly Compare[], mutations: readonly Mutation[], onDone: (done: TxnDone) => void): void {
    this.#push(this.view.begin(compares, mutations, onDone));
  }

  #push([id, txn]: [number, MetadataTxn]): void {
    this.#actions.push({ kind: 'transact', id, txn });
  }

  hasRoom(): boolean {
    return this.view.openTxns < mostOpenTxns;
  }

  send(streamId: number, message: ControllerMessage): void {
    this.#actions.push({ kind: 'send', streamId, message });
  }

  log(level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#actions.push({ kind: 'log', level, fields, message });
  }

  readonly canLead = (id: BrokerId): boolean => this.view.isActive(id) && !this.#condemned.has(id);
}
