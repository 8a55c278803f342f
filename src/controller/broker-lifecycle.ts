/**
 * One start of a broker as the controller sees it: finds the controller, registers, sends heartbeats, carries the
 * requests of this broker to whoever is the controller now, and leaves (`replication-invariants` §2.2, §2.3, §2.7,
 * §2.8). A pure core: `broker-agent.ts` and the simulation drive it.
 *
 *   no controller known ──image names one──► connecting ──► register (once per start) ──► heartbeats every 250 ms
 *          ▲                                    │ closed: dial it; refused → `controllerDead` (E1, T2)
 *          └────── notController, new one ──────┘ accepted → again after 20 ms, doubling to 500 ms
 *
 * Requests without an answer are sent again on the next stream: AlterPartition until metadata shows that the proposal is
 * over (§2.7), administration until its deadline.
 */
import { unreachable } from '../model/assert.ts';
import { type BrokerEpoch, noBrokerEpoch, noRevision, type Revision } from '../model/brands.ts';
import type { ClusterImage } from '../model/cluster-image.ts';
import type { BrokerRecord, BrokerState, Endpoint } from '../model/metadata-schema.ts';
import type { CloseCause } from './control-channel.ts';
import type {
  AdminAnswer,
  AdminCommand,
  BrokerMessage,
  ControllerMessage,
  DialOutcome,
  IsrAnswer,
  IsrProposal,
  Registration,
} from './control-messages.ts';
import type { ControlOptions } from './control-options.ts';
import type { IsrOutcome, LifecycleAction, LifecycleEvent } from './lifecycle-events.ts';

/** How recent contact with the controller is, on the monotonic clock (I19); -Infinity before the first. */
export interface ControllerContact {
  /** It was the controller then, whoever has been elected since: what it last proved that by, it had asked for by then. */
  readonly provedMs: number;
  /** Another broker, as the controller, answered a heartbeat that was sent then. */
  readonly answeredMs: number;
}

interface Connection {
  readonly streamId: number;
  /** Which version of `ctl/leader` it was opened for. */
  readonly controllerEpoch: Revision;
  readonly endpoint: Endpoint;
  /** The controller is on this broker. */
  readonly isOwn: boolean;
  lastHeardMs: number;
  lastRegisterMs: number;
}

interface PendingAlter {
  readonly proposals: readonly IsrProposal[];
  /** Sent more than once: one of the sendings may still be on its way when another is answered. */
  isRepeated: boolean;
  sentOn: number | null;
  sentMs: number;
}

interface PendingAdmin {
  readonly command: AdminCommand;
  readonly deadlineMs: number;
  sentOn: number | null;
  /** After a refusal that means "ask again". */
  notBeforeMs: number;
}

type Standing = BrokerState | 'unregistered';

/** Between heartbeats that bring news; the regular ones are slower. */
const newsIntervalMs = 20;
const mostUnansweredHeartbeats = 100;

export class BrokerLifecycle {
  readonly #options: ControlOptions;
  readonly #registration: Registration;
  #image: ClusterImage | null = null;
  #nowMs = 0;
  #wallMs = 0;
  #actions: LifecycleAction[] = [];
  #isOver = false;

  #connection: Connection | null = null;
  #nextStreamId = 1;
  /** The wait before the next attempt at this version of `ctl/leader`; another one is met at once. */
  #pause = { controllerEpoch: noRevision, untilMs: Number.NEGATIVE_INFINITY };
  #backoffMs: number;
  #dial: { dialId: number; controllerEpoch: Revision; cause: CloseCause } | null = null;
  #nextDialId = 1;

  #brokerEpoch: BrokerEpoch = noBrokerEpoch;
  #state: Standing = 'unregistered';
  #isCaughtUp = false;
  #sequence = 0;
  #lastHeartbeatMs = Number.NEGATIVE_INFINITY;
  /** What the controller may be waiting for has changed since the last heartbeat; urgent: it is waiting for just that. */
  #news: 'none' | 'some' | 'urgent' = 'none';
  /** When the heartbeats without an answer were sent, by sequence. */
  readonly #heartbeatsSentMs = new Map<number, number>();
  #contact: ControllerContact = { provedMs: Number.NEGATIVE_INFINITY, answeredMs: Number.NEGATIVE_INFINITY };

  /** The version of `ctl/leader` that was followed last, and when its process was heard last; null: never. */
  #followed: { controllerEpoch: Revision; heardMs: number | null } | null = null;
  /** Since when this process has not stalled: silence before that proves nothing (§2.3 stall guard). */
  #steadySinceMs = Number.NEGATIVE_INFINITY;
  #lastStepMs: number | null = null;

  readonly #alters = new Map<number, PendingAlter>();
  readonly #admins = new Map<number, PendingAdmin>();
  #shutdown: { sinceMs: number; lastAnswerMs: number; leadersLeft: number } | null = null;
  /** A `live/<id>` key is being put, or was and is not seen yet. */
  #liveNotBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: ControlOptions, registration: Registration) {
    this.#options = options;
    this.#registration = registration;
    this.#backoffMs = options.reconnectBackoffMs;
  }

  /** -1 until this start is registered. */
  get brokerEpoch(): BrokerEpoch {
    return this.#brokerEpoch;
  }

  /** For leaders on this broker (I19). */
  get controllerContact(): ControllerContact {
    return this.#contact;
  }

  /** What the image says about this start. */
  get state(): Standing {
    return this.#state;
  }

  /** When a `ticked` would do more than the regular ones: to connect again. Null while there is no such time. */
  get wakeAtMs(): number | null {
    const controllerEpoch = this.#image?.controller?.modRevision;
    if (this.#isOver || this.#connection || this.#pause.controllerEpoch !== controllerEpoch) return null;
    return this.#pause.untilMs;
  }

  step(event: LifecycleEvent): LifecycleAction[] {
    if (this.#isOver) return [];
    this.#nowMs = event.nowMs;
    this.#wallMs = event.wallMs;
    this.#noteStall();
    this.#on(event);
    this.#pump();
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #on(event: LifecycleEvent): void {
    switch (event.kind) {
      case 'started':
        this.#image = event.image;
        return;
      case 'metadataChanged':
        return this.#onMetadataChanged();
      case 'streamMessage':
        if (event.streamId !== this.#connection?.streamId) return;
        this.#connection.lastHeardMs = this.#nowMs;
        if (this.#followed) this.#followed.heardMs = this.#nowMs;
        return this.#onMessage(this.#connection, event.message);
      case 'streamClosed':
        if (event.streamId === this.#connection?.streamId) this.#onClosed(this.#connection, event.cause);
        return;
      case 'dialed':
        return this.#onDialed(event.dialId, event.outcome);
      case 'probed':
        return this.#send({ kind: 'probed', brokerId: event.brokerId, outcome: event.outcome });
      case 'caughtUp':
        if (event.isCaughtUp !== this.#isCaughtUp) this.#news = 'urgent';
        this.#isCaughtUp = event.isCaughtUp;
        return;
      case 'alterPartition':
        this.#alters.set(event.callId, { proposals: event.proposals, isRepeated: false, sentOn: null, sentMs: 0 });
        return;
      case 'admin': {
        const deadlineMs = this.#nowMs + event.timeLimitMs;
        this.#admins.set(event.callId, { command: event.command, deadlineMs, sentOn: null, notBeforeMs: this.#nowMs });
        return;
      }
      case 'replicaStates':
        if (event.streamId === this.#connection?.streamId)
          this.#send({ kind: 'replicaStates', requestId: event.requestId, states: event.states });
        return;
      case 'shutdownRequested':
        this.#shutdown ??= { sinceMs: this.#nowMs, lastAnswerMs: this.#nowMs, leadersLeft: -1 };
        this.#news = 'urgent';
        return;
      case 'goodbye':
        return this.#sayGoodbye();
      case 'liveDone':
        // Done: shown by the image soon; else tried again.
        this.#liveNotBeforeMs =
          this.#nowMs + (event.ok ? this.#options.requestTimeoutMs : this.#options.suspectAfterMs / 2);
        return;
      case 'ticked':
        return;
      default:
        return unreachable(event);
    }
  }

  /** After every event: whatever is due. */
  #pump(): void {
    if (this.#isOver || !this.#image) return;
    this.#followController(this.#image);
    this.#maybeHeartbeat();
    this.#sendRequests(this.#image);
    this.#maybePutLive(this.#image);
    this.#maybeGiveUpShutdown();
  }

  // ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

  #followController(image: ClusterImage): void {
    const controller = image.controller;
    this.#maybeReportSilence(image);
    if (controller && this.#followed?.controllerEpoch !== controller.modRevision)
      this.#followed = { controllerEpoch: controller.modRevision, heardMs: null };
    const connection = this.#connection;
    if (connection && connection.controllerEpoch !== controller?.modRevision) {
      // §2.2: the next controller answers the same incarnation with the same epoch.
      this.#disconnect(connection);
    } else if (connection && this.#nowMs - connection.lastHeardMs > this.#options.requestTimeoutMs) {
      this.#disconnect(connection);
      this.#retryLater(connection);
    }
    if (this.#connection || !controller) return;
    if (this.#pause.controllerEpoch !== controller.modRevision) this.#backoffMs = this.#options.reconnectBackoffMs;
    else if (this.#nowMs < this.#pause.untilMs) return;
    const streamId = this.#nextStreamId++;
    const { endpoint, brokerId } = controller.record;
    this.#connection = {
      streamId,
      controllerEpoch: controller.modRevision,
      endpoint,
      isOwn: brokerId === this.#registration.brokerId,
      lastHeardMs: this.#nowMs,
      lastRegisterMs: Number.NEGATIVE_INFINITY,
    };
    this.#actions.push({ kind: 'connect', streamId, endpoint });
    if (this.#brokerEpoch === noBrokerEpoch) this.#register(this.#connection);
    this.#news = 'urgent';
  }

  /**
   * A stopped process keeps its streams. When its lease ends, and it has not answered here for a whole fence time, the
   * next controller need not count its silence anew (§2.3 E2; the lease alone proves nothing, I7).
   */
  #maybeReportSilence(image: ClusterImage): void {
    const followed = this.#followed;
    if (!followed || image.controller) return;
    this.#followed = null;
    if (followed.heardMs === null) return;
    const silentMs = this.#nowMs - Math.max(followed.heardMs, this.#steadySinceMs);
    if (silentMs < this.#options.fenceAfterMs) return;
    this.#actions.push({ kind: 'controllerDead', controllerEpoch: followed.controllerEpoch });
  }

  #noteStall(): void {
    const sinceMs = this.#lastStepMs === null ? 0 : this.#nowMs - this.#lastStepMs;
    if (sinceMs > this.#options.tickMs + this.#options.stallAfterMs) this.#steadySinceMs = this.#nowMs;
    this.#lastStepMs = this.#nowMs;
  }

  #disconnect({ streamId }: Connection): void {
    this.#connection = null;
    this.#actions.push({ kind: 'closeStream', streamId });
  }

  #retryLater({ controllerEpoch }: Connection): void {
    this.#pause = { controllerEpoch, untilMs: this.#nowMs + this.#backoffMs };
    this.#backoffMs = Math.min(this.#backoffMs * 2, this.#options.reconnectBackoffMaxMs);
  }

  /** §2.3 E1 on the controller's own broker: look at once whether its process is there. */
  #onClosed(connection: Connection, cause: CloseCause): void {
    const { controllerEpoch, endpoint } = connection;
    this.#connection = null;
    this.#retryLater(connection);
    if (this.#dial?.controllerEpoch === controllerEpoch) return;
    const dialId = this.#nextDialId++;
    this.#dial = { dialId, controllerEpoch, cause };
    this.#actions.push({ kind: 'dial', dialId, endpoint, timeLimitMs: this.#options.dialTimeLimitMs });
  }

  #onDialed(dialId: number, outcome: DialOutcome): void {
    const dial = this.#dial;
    if (dial?.dialId !== dialId) return;
    this.#dial = null;
    const isGone =
      outcome === 'refused' || outcome === 'noSuchName' || (outcome === 'silent' && dial.cause === 'peerClosed');
    const isStillNamed = this.#image?.controller?.modRevision === dial.controllerEpoch;
    if (isGone && isStillNamed) this.#actions.push({ kind: 'controllerDead', controllerEpoch: dial.controllerEpoch });
  }

  #send(message: BrokerMessage): void {
    if (this.#connection) this.#actions.push({ kind: 'send', streamId: this.#connection.streamId, message });
  }

  #register(connection: Connection): void {
    connection.lastRegisterMs = this.#nowMs;
    this.#send({ kind: 'register', registration: this.#registration });
  }

  // ── what the controller says ────────────────────────────────────────────────────────────────────────────────────

  #onMessage(connection: Connection, message: ControllerMessage): void {
    switch (message.kind) {
      case 'registered':
        return this.#onRegistered(message.brokerEpoch, message.revision);
      case 'registrationRefused':
        this.#isOver = true;
        this.#actions.push({ kind: 'registrationRefused', fault: message.fault });
        return this.#disconnect(connection);
      case 'heartbeatAnswer':
        return this.#onHeartbeatAnswer(connection, message);
      case 'alterPartitionAnswer':
        return this.#onAlterAnswer(message.requestId, message.answers);
      case 'adminAnswer':
        return this.#onAdminAnswer(message.requestId, message.answer);
      case 'probe': {
        const { brokerId, endpoint } = message;
        this.#actions.push({ kind: 'probe', brokerId, endpoint, timeLimitMs: this.#options.probeTimeLimitMs });
        return;
      }
      case 'askReplicaStates': {
        const { requestId, partitions } = message;
        this.#actions.push({ kind: 'askReplicaStates', requestId, streamId: connection.streamId, partitions });
        return;
      }
      case 'notController':
        // Its image or ours is behind: the next revision names the right one.
        this.#disconnect(connection);
        return this.#retryLater(connection);
      default:
        return unreachable(message);
    }
  }

  #onRegistered(brokerEpoch: BrokerEpoch, revision: Revision): void {
    this.#backoffMs = this.#options.reconnectBackoffMs;
    if (this.#brokerEpoch !== noBrokerEpoch) return;
    this.#brokerEpoch = brokerEpoch;
    this.#actions.push({ kind: 'registered', brokerEpoch, revision });
    this.#news = 'urgent';
    this.#onMetadataChanged();
  }

  #onHeartbeatAnswer(connection: Connection, answer: Extract<ControllerMessage, { kind: 'heartbeatAnswer' }>): void {
    this.#backoffMs = this.#options.reconnectBackoffMs;
    const sentMs = this.#heartbeatsSentMs.get(answer.sequence) ?? Number.NEGATIVE_INFINITY;
    this.#heartbeatsSentMs.delete(answer.sequence);
    const { provedMs, answeredMs } = this.#contact;
    this.#contact = {
      // A controller that was replaced while it was cut off from the store goes on answering, its own broker too.
      provedMs: Math.max(provedMs, sentMs - answer.proofAgeMs),
      answeredMs: connection.isOwn ? answeredMs : Math.max(answeredMs, sentMs),
    };
    const isDue = this.#nowMs - connection.lastRegisterMs >= this.#options.requestTimeoutMs;
    if (answer.state === 'unknown' && isDue) this.#register(connection);
    if (!this.#shutdown) return;
    this.#shutdown.lastAnswerMs = this.#nowMs;
    this.#shutdown.leadersLeft = answer.leadersLeft;
    const isOut = answer.state === 'draining' || answer.state === 'fenced';
    if (isOut && answer.leadersLeft === 0) this.#mayStop(true);
  }

  #onMetadataChanged(): void {
    const image = this.#image;
    if (!image) return;
    const own = this.#ownRecord(image);
    const state: Standing = own?.state ?? 'unregistered';
    if (state !== this.#state) {
      this.#state = state;
      this.#news = 'urgent';
      this.#actions.push({ kind: 'stateChanged', state });
    }
    // The controller waits for this start to know its own record; whoever drains waits for all to know (§2.8).
    const isAwaited =
      state === 'fenced' || [...image.brokers.values()].some(({ record }) => record.state === 'draining');
    if (isAwaited && this.#news === 'none') this.#news = 'some';
  }

  #ownRecord(image: ClusterImage): BrokerRecord | null {
    const record = image.brokers.get(this.#registration.brokerId)?.record;
    return record?.incarnation === this.#registration.incarnation ? record : null;
  }

  // ── heartbeats ──────────────────────────────────────────────────────────────────────────────────────────────────

  #maybeHeartbeat(): void {
    const sinceMs = this.#nowMs - this.#lastHeartbeatMs;
    const pauseMs = this.#news === 'none' && !this.#shutdown ? this.#options.heartbeatIntervalMs : newsIntervalMs;
    if (!this.#connection || !this.#image || (sinceMs < pauseMs && this.#news !== 'urgent')) return;
    this.#lastHeartbeatMs = this.#nowMs;
    this.#news = 'none';
    if (this.#heartbeatsSentMs.size >= mostUnansweredHeartbeats) this.#heartbeatsSentMs.clear();
    this.#heartbeatsSentMs.set(this.#sequence + 1, this.#nowMs);
    const { brokerId, incarnation } = this.#registration;
    this.#send({
      kind: 'heartbeat',
      sequence: ++this.#sequence,
      brokerId,
      incarnation,
      brokerEpoch: this.#brokerEpoch,
      appliedRevision: this.#image.revision,
      isCaughtUp: this.#isCaughtUp,
      wantsShutdown: this.#shutdown !== null,
      wallMs: this.#wallMs,
    });
  }

  /** §2.2.3: a hint for the mass guard and E3. Put once registered, so that a refused duplicate has written nothing. */
  #maybePutLive(image: ClusterImage): void {
    const { brokerId, incarnation } = this.#registration;
    if (this.#brokerEpoch === noBrokerEpoch || image.live.get(brokerId) === incarnation) return;
    if (this.#nowMs < this.#liveNotBeforeMs) return;
    this.#liveNotBeforeMs = Number.POSITIVE_INFINITY;
    this.#actions.push({ kind: 'putLive' });
  }

  // ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

  #sendRequests(image: ClusterImage): void {
    for (const [callId, alter] of this.#alters) this.#sendAlter(image, callId, alter);
    for (const [callId, admin] of this.#admins) this.#sendAdmin(callId, admin);
  }

  #sendAlter(image: ClusterImage, callId: number, alter: PendingAlter): void {
    const answers = alter.proposals.flatMap((proposal) => shownAnswer(image, proposal) ?? []);
    if (answers.length === alter.proposals.length) {
      this.#alters.delete(callId);
      this.#actions.push({ kind: 'alterPartitionAnswer', callId, answers });
      return;
    }
    const isWaiting =
      alter.sentOn === this.#connection?.streamId && this.#nowMs - alter.sentMs < this.#options.requestTimeoutMs;
    if (isWaiting || !this.#connection || this.#brokerEpoch === noBrokerEpoch) return;
    alter.isRepeated = alter.sentOn !== null;
    alter.sentOn = this.#connection.streamId;
    alter.sentMs = this.#nowMs;
    const { brokerId } = this.#registration;
    const brokerEpoch = this.#brokerEpoch;
    this.#send({ kind: 'alterPartition', requestId: callId, brokerId, brokerEpoch, proposals: alter.proposals });
  }

  /**
   * That one sending was refused tells nothing of the other: what was not eligible then may be when that one arrives, and be
   * committed. The leader has to go on counting it (I10).
   */
  #onAlterAnswer(callId: number, answers: readonly IsrAnswer[]): void {
    const alter = this.#alters.get(callId);
    if (!alter) return;
    this.#alters.delete(callId);
    const isCertain = ({ kind }: IsrAnswer): boolean => kind === 'ok' || !alter.isRepeated;
    const outcomes = answers.map((answer): IsrOutcome => (isCertain(answer) ? answer : { kind: 'lost' }));
    this.#actions.push({ kind: 'alterPartitionAnswer', callId, answers: outcomes });
  }

  #sendAdmin(callId: number, admin: PendingAdmin): void {
    if (this.#nowMs >= admin.deadlineMs) {
      this.#admins.delete(callId);
      const answer: AdminAnswer = { kind: 'refused', fault: { code: 'REQUEST_TIMED_OUT' } };
      this.#actions.push({ kind: 'adminAnswer', callId, answer });
      return;
    }
    if (!this.#connection || admin.sentOn === this.#connection.streamId || this.#nowMs < admin.notBeforeMs) return;
    admin.sentOn = this.#connection.streamId;
    this.#send({ kind: 'admin', requestId: callId, command: admin.command });
  }

  #onAdminAnswer(callId: number, answer: AdminAnswer): void {
    const admin = this.#admins.get(callId);
    if (!admin) return;
    if (answer.kind === 'refused' && answer.fault.code === 'NOT_CONTROLLER') {
      // Nothing was done: the same again, until the deadline (§2.11).
      admin.sentOn = null;
      admin.notBeforeMs = this.#nowMs + this.#options.tickMs;
      return;
    }
    this.#admins.delete(callId);
    this.#actions.push({ kind: 'adminAnswer', callId, answer });
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #mayStop(isClean: boolean): void {
    const leadersLeft = Math.max(0, this.#shutdown?.leadersLeft ?? 0);
    this.#sayGoodbye();
    this.#isOver = true;
    this.#actions.push({ kind: 'mayStop', isClean, leadersLeft });
  }

  /** §2.8: the time limit; also when there is nobody to hand over to, or nothing was ever led. */
  #maybeGiveUpShutdown(): void {
    if (!this.#shutdown) return;
    if (this.#state === 'unregistered' || this.#brokerEpoch === noBrokerEpoch) return this.#mayStop(true);
    const { sinceMs, lastAnswerMs } = this.#shutdown;
    const isLate = this.#nowMs - sinceMs >= this.#options.shutdownTimeLimitMs;
    const isAlone = this.#nowMs - lastAnswerMs >= this.#options.fenceUnreachableAfterMs;
    if (isLate || isAlone) this.#mayStop(false);
  }

  #sayGoodbye(): void {
    if (this.#brokerEpoch === noBrokerEpoch) return;
    this.#send({ kind: 'goodbye', brokerId: this.#registration.brokerId, brokerEpoch: this.#brokerEpoch });
  }
}

/** A newer partition epoch, whoever caused it, ends a proposal (§2.7); so does the end of its topic. Null: not over yet. */
function shownAnswer(image: ClusterImage, { topicId, partition, partitionEpoch, isr }: IsrProposal): IsrAnswer | null {
  const record = image.partition(topicId, partition)?.record;
  if (record && record.partitionEpoch <= partitionEpoch) return null;
  const isWritten =
    record?.partitionEpoch === partitionEpoch + 1 &&
    record.isr.length === isr.length &&
    isr.every(({ brokerId }) => record.isr.includes(brokerId));
  return isWritten ? { kind: 'ok', partitionEpoch: record.partitionEpoch } : { kind: 'fenced' };
}
