/**
 * One partition as its leader sees it, for one leader epoch: who holds what, what is committed, who is in sync.
 * No log, socket or timer here: `step` takes what happened and gives back what to do.
 *
 * A new leader epoch is a new LeaderState, so whatever was known of the followers is forgotten by construction (§2.5).
 * The rules in short (replication-invariants I8–I13, I17–I20, §2.7):
 *
 *     high watermark = the lowest log end offset over the maximal ISR, as acked by sessions of this leader epoch;
 *                      it never falls, and stands still while |ISR| < min ISR
 *     maximal ISR    = the recorded ISR plus the members of a proposal that has not been answered
 *     led until      = the newest question that everybody who could lead instead has answered: "I follow you still".
 *                      No other leader had begun when it was asked (README, "Who leads")
 */
import { assert, unreachable } from '../model/assert.ts';
import {
  type BrokerEpoch,
  type BrokerId,
  earlier,
  type LeaderEpoch,
  later,
  noLeaderEpoch,
  type Offset,
  type PartitionEpoch,
} from '../model/brands.ts';
import type { PartitionRecord } from '../model/metadata-schema.ts';
import type { EpochEnd, EpochHistory } from './epoch-history.ts';
import type { RejectReason } from './replication-messages.ts';

/** What the leader reads of other brokers in its cluster image; always the newest applied revision. */
export interface BrokerDirectory {
  /** -1 for a broker that is not registered. */
  brokerEpochOf(id: BrokerId): BrokerEpoch;
  /** Registered, neither fenced nor draining: it may enter an ISR. */
  isActive(id: BrokerId): boolean;
}

export interface LeaderOptions {
  readonly localId: BrokerId;
  /** `replica.lag.time.max.ms` */
  readonly lagTimeMaxMs: number;
  /** How long an unanswered or refused ISR proposal waits before it is sent again. */
  readonly isrRetryMs: number;
  /** I19: without any answered contact for this long the leader takes no appends. */
  readonly isolationTimeMs: number;
}

/** How recent this broker's contact with the controller is, on the monotonic clock; -Infinity before the first. */
export interface ControllerContact {
  /** It was the controller then, whoever has been elected since: the store had told it so. */
  readonly provedMs: number;
  /** Another broker, as the controller, answered a heartbeat that was sent then. */
  readonly answeredMs: number;
}

export interface LeaderModules {
  readonly brokers: BrokerDirectory;
  readonly epochs: EpochHistory;
}

export interface LeaderStart {
  /** Names this broker as the leader. */
  readonly record: PartitionRecord;
  /** The leader epoch starts here. The driver has entered (leaderEpoch, logEndOffset) in the epoch cache, durably. */
  readonly logEndOffset: Offset;
  readonly logStartOffset: Offset;
  /** What this replica knew as committed. After a crash that is what was last saved: an older one. */
  readonly highWatermark: Offset;
  readonly nowMs: number;
}

export interface IsrMember {
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
}

/** What became of one sending of a proposal; see `IsrAnswer` of the control protocol. */
export type ProposalAnswer = 'ok' | 'ineligible' | 'notAttempted' | 'fenced';

export type LeaderEvent =
  /** A newer record of the same leader epoch. (Another leader epoch ends this LeaderState.) */
  | { readonly kind: 'recordChanged'; readonly record: PartitionRecord; readonly nowMs: number }
  /** A broker of this partition registered, became active, draining or fenced. */
  | { readonly kind: 'brokersChanged'; readonly nowMs: number }
  /** Records are in the local log up to here. */
  | { readonly kind: 'appended'; readonly logEndOffset: Offset }
  | {
      readonly kind: 'attachRequested';
      /** Never the same for two streams of one process. */
      readonly streamId: number;
      readonly attachId: number;
      readonly follower: BrokerId;
      /** From the Hello of its stream. */
      readonly followerBrokerEpoch: BrokerEpoch;
      readonly leaderEpoch: LeaderEpoch;
      readonly logEndOffset: Offset;
      readonly lastEpoch: LeaderEpoch;
      /** Of the local log, now. */
      readonly logStartOffset: Offset;
      readonly nowMs: number;
    }
  | {
      readonly kind: 'acked';
      readonly streamId: number;
      readonly attachId: number;
      readonly logEndOffset: Offset;
      readonly nowMs: number;
    }
  /**
   * A follower that has attached answered what was sent to it at `sentMs` (I19 counts answers only, by when they were asked
   * for), after all questions up to `question` had been asked; 0 for none.
   */
  | { readonly kind: 'heard'; readonly follower: BrokerId; readonly sentMs: number; readonly question: number }
  /** Somebody has to know whether this is the leader still. */
  | { readonly kind: 'questioned' }
  | { readonly kind: 'detached'; readonly streamId: number; readonly attachId: number }
  | { readonly kind: 'streamClosed'; readonly streamId: number }
  | { readonly kind: 'isrAnswered'; readonly proposalId: number; readonly answer: ProposalAnswer }
  /** Timeout, lost connection, NOT_CONTROLLER: it may have been committed or still be. */
  | { readonly kind: 'isrRequestLost'; readonly proposalId: number }
  | { readonly kind: 'ticked'; readonly nowMs: number }
  /** This process was not running for a while: nobody's lag during it means anything. */
  | { readonly kind: 'stalled'; readonly nowMs: number };

export type LeaderAction =
  /** Complete waiters, wake fetches, tell followers. */
  | { readonly kind: 'advanceHighWatermark'; readonly highWatermark: Offset }
  /** Ask all that are attached, at once; `heard` tells who has answered. */
  | { readonly kind: 'askFollowers'; readonly question: number }
  /** When this question was asked, and those before it, no other leader had begun: let go whoever waits for that. */
  | { readonly kind: 'confirmLeadership'; readonly question: number }
  | {
      readonly kind: 'proposeIsr';
      readonly proposalId: number;
      readonly leaderEpoch: LeaderEpoch;
      readonly partitionEpoch: PartitionEpoch;
      readonly isr: readonly IsrMember[];
    }
  /** Answer Attached, then send data from `nextOffset`, until the session ends. */
  | {
      readonly kind: 'sendAttached';
      readonly streamId: number;
      readonly attachId: number;
      readonly follower: BrokerId;
      readonly nextOffset: Offset;
      readonly leaderEpochStartOffset: Offset;
      readonly highWatermark: Offset;
      readonly logStartOffset: Offset;
    }
  | {
      readonly kind: 'sendDiverging';
      readonly streamId: number;
      readonly attachId: number;
      readonly epoch: LeaderEpoch;
      readonly endOffset: Offset;
    }
  | {
      readonly kind: 'sendReject';
      readonly streamId: number;
      readonly attachId: number;
      readonly reason: RejectReason;
      readonly leaderEpoch: LeaderEpoch;
    };

interface Session {
  readonly streamId: number;
  readonly attachId: number;
  readonly brokerEpoch: BrokerEpoch;
}

/** Another replica of the partition. */
interface FollowerProgress {
  /** null: not attached now. Only acks of this session count (I13). */
  session: Session | null;
  /** Everything before it is in the follower's log, acked under this leader epoch; null: nothing known yet. */
  logEndOffset: Offset | null;
  /** The last time at which it is known to have held all that the leader held. */
  lastCaughtUpMs: number;
  /** The leader's log end offset at markMs: once acked, the follower was caught up as of then. */
  markOffset: Offset;
  markMs: number;
  /** It answered something sent no earlier than this. */
  lastContactMs: number;
  /** It followed this leader after this question was asked; 0 for none. */
  answeredQuestion: number;
}

interface Proposal {
  id: number;
  readonly isr: readonly IsrMember[];
  /** Members that count for the high watermark until the proposal is over. */
  readonly added: readonly BrokerId[];
  /** sent: an answer is awaited · unknown: lost or refused for now, send it again · accepted: metadata will show it. */
  state: 'sent' | 'unknown' | 'accepted';
  /** An earlier sending may still arrive: no later answer proves that it will not be committed. */
  hasLostSending: boolean;
  /** Its ISR was refused after a sending was lost: what is sent now is the recorded ISR, to outdate the lost one. */
  isWithdrawing: boolean;
  sentMs: number;
}

export class LeaderState {
  readonly #options: LeaderOptions;
  readonly #modules: LeaderModules;
  readonly leaderEpoch: LeaderEpoch;
  /** Where this leader epoch begins. */
  readonly leaderEpochStartOffset: Offset;
  readonly #followers = new Map<BrokerId, FollowerProgress>();
  #record: PartitionRecord;
  #logEndOffset: Offset;
  #highWatermark: Offset;
  #proposal: Proposal | null = null;
  #lastProposalId = 0;
  #lastQuestion = 0;
  #confirmedQuestion = 0;
  /** The newest `nowMs` seen; for the start of what events without a time begin. */
  #nowMs: number;

  /** The high watermark may be higher than what it started with at once: read it. */
  constructor(options: LeaderOptions, modules: LeaderModules, start: LeaderStart) {
    assert(start.record.leader === options.localId, 'a LeaderState is for a partition that this broker leads');
    this.#options = options;
    this.#modules = modules;
    this.#record = start.record;
    this.#nowMs = start.nowMs;
    this.leaderEpoch = start.record.leaderEpoch;
    this.leaderEpochStartOffset = start.logEndOffset;
    this.#logEndOffset = start.logEndOffset;
    // Only what is committed is ever deleted. Told less, a follower would keep records from before the log start that
    // this log may never have held.
    this.#highWatermark = later(start.logStartOffset, earlier(start.highWatermark, start.logEndOffset));
    this.#trackReplicas(start.nowMs);
    this.#advanceHighWatermark();
  }

  get record(): PartitionRecord {
    return this.#record;
  }
  get logEndOffset(): Offset {
    return this.#logEndOffset;
  }
  get highWatermark(): Offset {
    return this.#highWatermark;
  }
  /** `min.insync.replicas`, at most the number of replicas: one that cannot be met would only stop the partition. */
  get minIsr(): number {
    return Math.min(this.#record.minIsr, this.#record.replicas.length);
  }
  /** Whether acks=all appends are taken; otherwise NOT_ENOUGH_REPLICAS. */
  get canAcceptAcksAll(): boolean {
    return this.#record.isr.length >= this.minIsr;
  }
  /** Until then ListOffsets(latest) answers OFFSET_NOT_AVAILABLE: a reader may have seen a higher one (I12). */
  get isOffsetAvailable(): boolean {
    return this.#highWatermark >= this.leaderEpochStartOffset;
  }
  get hasPendingProposal(): boolean {
    return this.#proposal !== null;
  }
  /** How often it was `questioned`: the number of the newest question. */
  get lastQuestion(): number {
    return this.#lastQuestion;
  }
  /** No other leader had begun when this question was asked. */
  get confirmedQuestion(): number {
    return this.#confirmedQuestion;
  }

  /** Recorded members, and those that a pending proposal would add. */
  maximalIsr(): BrokerId[] {
    return this.#proposal ? [...this.#record.isr, ...this.#proposal.added] : [...this.#record.isr];
  }

  /** What the follower is known to hold under this leader epoch; null where nothing is. */
  logEndOffsetOf(follower: BrokerId): Offset | null {
    return this.#followers.get(follower)?.logEndOffset ?? null;
  }

  /**
   * I19: false once neither a controller that is known to be one nor any other replica has answered for
   * `isolationTimeMs`. Ask before each append. Without another replica nobody else can be elected, so there is nothing to
   * be isolated from.
   */
  mayAppend(nowMs: number, { provedMs, answeredMs }: ControllerContact): boolean {
    if (this.#followers.size === 0) return true;
    const oldest = nowMs - this.#options.isolationTimeMs;
    if (provedMs > oldest) return true;
    for (const follower of this.#followers.values()) if (follower.lastContactMs > oldest) return true;
    // While the store is away no controller can prove itself (§2.11), and here there may be no follower left to ask.
    return answeredMs > oldest && !this.#isElectableElsewhere;
  }

  /** Whether another replica can be elected, other than uncleanly, before this leader has proposed it. */
  get #isElectableElsewhere(): boolean {
    return this.maximalIsr().length > 1 || this.#record.elr.length > 0;
  }

  step(event: LeaderEvent): LeaderAction[] {
    if ('nowMs' in event && event.nowMs > this.#nowMs) this.#nowMs = event.nowMs;
    switch (event.kind) {
      case 'recordChanged':
        return this.#onRecordChanged(event.record);
      case 'brokersChanged':
        return this.#maybeExpandIsr();
      case 'appended':
        return this.#onAppended(event.logEndOffset);
      case 'attachRequested':
        return this.#onAttachRequested(event);
      case 'acked':
        return this.#onAcked(event);
      case 'heard':
        return this.#onHeard(event);
      case 'questioned':
        return this.#onQuestioned();
      case 'detached':
        return this.#onSessionEnded(
          (session) => session.streamId === event.streamId && session.attachId === event.attachId,
        );
      case 'streamClosed':
        return this.#onSessionEnded((session) => session.streamId === event.streamId);
      case 'isrAnswered':
        return this.#onIsrAnswered(event.proposalId, event.answer);
      case 'isrRequestLost':
        return this.#onIsrRequestLost(event.proposalId);
      case 'ticked':
        return this.#onTicked();
      case 'stalled':
        return this.#onStalled();
      default:
        return unreachable(event);
    }
  }

  #onRecordChanged(record: PartitionRecord): LeaderAction[] {
    assert(record.leaderEpoch === this.leaderEpoch, 'another leader epoch is another LeaderState');
    if (record.partitionEpoch <= this.#record.partitionEpoch) return [];
    this.#record = record;
    // Whoever caused it: a proposal compares the partition epoch it was made under and cannot be committed any more.
    this.#proposal = null;
    this.#trackReplicas(this.#nowMs);
    return [...this.#advanceHighWatermark(), ...this.#maybeConfirmLeadership(), ...this.#maybeExpandIsr()];
  }

  /** One FollowerProgress for each other replica, and for nobody else. */
  #trackReplicas(nowMs: number): void {
    for (const id of this.#followers.keys()) if (!this.#record.replicas.includes(id)) this.#followers.delete(id);
    for (const id of this.#record.replicas) {
      if (id === this.#options.localId || this.#followers.has(id)) continue;
      this.#followers.set(id, {
        session: null,
        logEndOffset: null,
        lastCaughtUpMs: nowMs,
        markOffset: this.#logEndOffset,
        markMs: nowMs,
        // Learning of the own election is no contact: a process that stood still may learn of it long after.
        lastContactMs: Number.NEGATIVE_INFINITY,
        answeredQuestion: 0,
      });
    }
  }

  #onAppended(logEndOffset: Offset): LeaderAction[] {
    assert(logEndOffset >= this.#logEndOffset, 'a leader never cuts its log');
    this.#logEndOffset = logEndOffset;
    return this.#advanceHighWatermark();
  }

  #onAttachRequested(event: LeaderEvent & { kind: 'attachRequested' }): LeaderAction[] {
    const { streamId, attachId, follower: id } = event;
    const reject = (reason: RejectReason): LeaderAction[] => [
      { kind: 'sendReject', streamId, attachId, reason, leaderEpoch: this.leaderEpoch },
    ];
    if (event.leaderEpoch < this.leaderEpoch) return reject('fencedLeaderEpoch');
    if (event.leaderEpoch > this.leaderEpoch) return reject('unknownLeaderEpoch');
    const follower = this.#followers.get(id);
    if (!follower) return reject('unknownPartition');
    // A stream of an incarnation that is over, or of one that this broker's metadata does not show yet (I5, I17).
    if (this.#modules.brokers.brokerEpochOf(id) !== event.followerBrokerEpoch) return reject('unknownLeaderEpoch');
    // Late, from a stream that the follower has given up: it is attached by a later request, whose acks must go on
    // counting. (Request numbers of one start of a broker grow.)
    const { session } = follower;
    if (session !== null && session.brokerEpoch === event.followerBrokerEpoch && session.attachId > attachId) return [];
    // An attach request ends the session before it, whatever its outcome: nothing acked there may count any more.
    follower.session = null;

    const { lastEpoch, logEndOffset, logStartOffset } = event;
    const end = this.#endFor(lastEpoch, logStartOffset);
    if (end.epoch < lastEpoch || end.endOffset < logEndOffset)
      return [{ kind: 'sendDiverging', streamId, attachId, epoch: end.epoch, endOffset: end.endOffset }];

    follower.session = { streamId, attachId, brokerEpoch: event.followerBrokerEpoch };
    follower.logEndOffset = logEndOffset;
    follower.markOffset = this.#logEndOffset;
    follower.markMs = event.nowMs;
    return [
      {
        kind: 'sendAttached',
        streamId,
        attachId,
        follower: id,
        nextOffset: logEndOffset,
        leaderEpochStartOffset: this.leaderEpochStartOffset,
        highWatermark: this.#highWatermark,
        logStartOffset,
      },
      ...this.#onFollowerMoved(follower),
      ...this.#askAgain(),
    ];
  }

  /**
   * An empty log has nothing that could diverge: it is attached wherever it starts within this one. It may start behind
   * this log's start where records were deleted there and not (yet) here; to fill it up from here would leave a replica
   * that counts as complete without what is committed, for as long as that takes.
   */
  #endFor(lastEpoch: LeaderEpoch, logStartOffset: Offset): EpochEnd {
    if (lastEpoch === noLeaderEpoch) return { epoch: lastEpoch, endOffset: this.#logEndOffset };
    return this.#modules.epochs.endFor(lastEpoch, this.#logEndOffset, logStartOffset);
  }

  #onAcked(event: LeaderEvent & { kind: 'acked' }): LeaderAction[] {
    const follower = this.#followerOf(event.streamId, event.attachId);
    if (!follower || follower.logEndOffset === null) return [];
    if (event.logEndOffset < follower.logEndOffset || event.logEndOffset > this.#logEndOffset) return [];
    follower.logEndOffset = event.logEndOffset;
    return this.#onFollowerMoved(follower);
  }

  #onFollowerMoved(follower: FollowerProgress): LeaderAction[] {
    this.#noteLag(follower);
    return [...this.#advanceHighWatermark(), ...this.#maybeExpandIsr()];
  }

  /** Under steady load a follower never holds quite everything; holding all that there was at a moment is as good. */
  #noteLag(follower: FollowerProgress): void {
    if (follower.session === null || follower.logEndOffset === null) return;
    if (follower.logEndOffset < follower.markOffset) return;
    // Beyond the mark: these records were sent, and so answered, after it.
    if (follower.logEndOffset > follower.markOffset)
      follower.lastContactMs = Math.max(follower.lastContactMs, follower.markMs);
    follower.lastCaughtUpMs = Math.max(
      follower.lastCaughtUpMs,
      follower.logEndOffset === this.#logEndOffset ? this.#nowMs : follower.markMs,
    );
    follower.markOffset = this.#logEndOffset;
    follower.markMs = this.#nowMs;
  }

  #followerOf(streamId: number, attachId: number): FollowerProgress | null {
    for (const follower of this.#followers.values()) {
      const { session } = follower;
      if (session !== null && session.streamId === streamId && session.attachId === attachId) return follower;
    }
    return null;
  }

  #onHeard(event: LeaderEvent & { kind: 'heard' }): LeaderAction[] {
    const follower = this.#followers.get(event.follower);
    if (!follower) return [];
    follower.lastContactMs = Math.max(follower.lastContactMs, event.sentMs);
    follower.answeredQuestion = Math.max(follower.answeredQuestion, event.question);
    return this.#maybeConfirmLeadership();
  }

  #onQuestioned(): LeaderAction[] {
    this.#lastQuestion++;
    const confirmed = this.#maybeConfirmLeadership();
    return confirmed.length > 0 ? confirmed : this.#askAgain();
  }

  #askAgain(): LeaderAction[] {
    if (this.#confirmedQuestion === this.#lastQuestion) return [];
    return [{ kind: 'askFollowers', question: this.#lastQuestion }];
  }

  /**
   * Asked are all who can be elected, other than uncleanly, before this leader has proposed it: whoever leads instead is one
   * of them, or was let in by one that led first. A member of a proposal may be recorded already, and the ELR leads once the
   * ISR is empty; an ISR or ELR that has shrunk without this leader knowing is a part of what it asks.
   */
  #maybeConfirmLeadership(): LeaderAction[] {
    let answered = this.#lastQuestion;
    for (const id of [...this.maximalIsr(), ...this.#record.elr])
      if (id !== this.#options.localId) answered = Math.min(answered, this.#followers.get(id)?.answeredQuestion ?? 0);
    if (answered <= this.#confirmedQuestion) return [];
    this.#confirmedQuestion = answered;
    return [{ kind: 'confirmLeadership', question: answered }];
  }

  /** What it acked stays known: it bounds the high watermark from above until it leaves the ISR. */
  #onSessionEnded(isOver: (session: Session) => boolean): LeaderAction[] {
    for (const follower of this.#followers.values())
      if (follower.session !== null && isOver(follower.session)) follower.session = null;
    return [];
  }

  /**
   * A proposed member counts before the controller has agreed: it may already be electable, and an electable replica
   * must hold every committed record. A proposed removal counts only once metadata shows it (I10).
   */
  #advanceHighWatermark(): LeaderAction[] {
    const { isr } = this.#record;
    if (isr.length < this.minIsr) return [];
    let lowest = this.#logEndOffset;
    for (const id of isr) {
      if (id === this.#options.localId) continue;
      const held = this.#followers.get(id)?.logEndOffset ?? null;
      if (held === null) return [];
      lowest = earlier(lowest, held);
    }
    for (const id of this.#proposal?.added ?? []) {
      const held = this.#followers.get(id)?.logEndOffset ?? null;
      if (held === null) return [];
      lowest = earlier(lowest, held);
    }
    if (lowest <= this.#highWatermark) return [];
    this.#highWatermark = lowest;
    return [{ kind: 'advanceHighWatermark', highWatermark: lowest }];
  }

  /** I17: attached under this leader epoch and its current broker epoch, holds all that may be committed, active. */
  #isEligible(id: BrokerId): boolean {
    const follower = this.#followers.get(id);
    if (!follower || follower.session === null || follower.logEndOffset === null) return false;
    if (follower.logEndOffset < later(this.#highWatermark, this.leaderEpochStartOffset)) return false;
    const { brokers } = this.#modules;
    return brokers.isActive(id) && brokers.brokerEpochOf(id) === follower.session.brokerEpoch;
  }

  #maybeExpandIsr(): LeaderAction[] {
    const { isr, replicas } = this.#record;
    if (this.#proposal !== null || isr.length === replicas.length) return [];
    // Who would have to leave again at once, since it does not get on, would only make the ISR flap.
    const added = replicas.filter((id) => !isr.includes(id) && this.#isEligible(id) && !this.#isLagging(id));
    if (added.length === 0) return [];
    return this.#propose([...isr, ...added], added);
  }

  #isLagging(id: BrokerId): boolean {
    const lastCaughtUpMs = this.#followers.get(id)?.lastCaughtUpMs ?? Number.NEGATIVE_INFINITY;
    return lastCaughtUpMs < this.#nowMs - this.#options.lagTimeMaxMs;
  }

  #maybeShrinkIsr(): LeaderAction[] {
    if (this.#proposal !== null) return [];
    const { isr } = this.#record;
    const kept = isr.filter((id) => id === this.#options.localId || !this.#isLagging(id));
    return kept.length === isr.length ? [] : this.#propose(kept, []);
  }

  #propose(isr: readonly BrokerId[], added: readonly BrokerId[]): LeaderAction[] {
    const members = [...isr].sort((a, b) => a - b).map((id) => this.#memberOf(id));
    this.#proposal = {
      id: 0,
      isr: members,
      added,
      state: 'unknown',
      hasLostSending: false,
      isWithdrawing: false,
      sentMs: this.#nowMs,
    };
    return this.#sendProposal(this.#proposal);
  }

  /** An added member is named by the broker epoch it attached under, so that a later incarnation cannot slip in. */
  #memberOf(id: BrokerId): IsrMember {
    const session = this.#followers.get(id)?.session;
    return { brokerId: id, brokerEpoch: session?.brokerEpoch ?? this.#modules.brokers.brokerEpochOf(id) };
  }

  #sendProposal(proposal: Proposal): LeaderAction[] {
    proposal.id = ++this.#lastProposalId;
    proposal.state = 'sent';
    proposal.sentMs = this.#nowMs;
    const { partitionEpoch, isr } = this.#record;
    return [
      {
        kind: 'proposeIsr',
        proposalId: proposal.id,
        leaderEpoch: this.leaderEpoch,
        partitionEpoch,
        isr: proposal.isWithdrawing ? isr.map((id) => this.#memberOf(id)) : proposal.isr,
      },
    ];
  }

  /**
   * | answer                    | no sending lost before       | a sending was lost before                            |
   * |---------------------------|------------------------------|------------------------------------------------------|
   * | ok                        | wait for metadata to show it | the same                                             |
   * | ineligible, notAttempted  | drop the proposal            | keep its members counted, propose the recorded ISR:  |
   * |                           |                              | once that is committed the lost one cannot be        |
   * | fenced                    | keep it, send again later    | the same                                             |
   * | lost                      | keep it, send again later    | the same                                             |
   *
   * A sending that was lost may still be on its way to the controller, so no answer to a later one proves that its ISR
   * is not committed in the end.
   */
  #onIsrAnswered(proposalId: number, answer: ProposalAnswer): LeaderAction[] {
    const proposal = this.#proposal;
    if (!proposal || proposal.id !== proposalId || proposal.state !== 'sent') return [];
    switch (answer) {
      case 'ok':
        proposal.state = 'accepted';
        return [];
      case 'fenced':
        proposal.state = 'unknown';
        return [];
      case 'ineligible':
      case 'notAttempted':
        if (proposal.hasLostSending) {
          proposal.isWithdrawing = true;
          proposal.state = 'unknown';
          return [];
        }
        this.#proposal = null;
        return [...this.#advanceHighWatermark(), ...this.#maybeConfirmLeadership()];
      default:
        return unreachable(answer);
    }
  }

  #onIsrRequestLost(proposalId: number): LeaderAction[] {
    const proposal = this.#proposal;
    if (!proposal || proposal.id !== proposalId || proposal.state !== 'sent') return [];
    proposal.hasLostSending = true;
    proposal.state = 'unknown';
    return [];
  }

  #onTicked(): LeaderAction[] {
    for (const follower of this.#followers.values()) this.#noteLag(follower);
    const proposal = this.#proposal;
    if (proposal === null) {
      const shrink = this.#maybeShrinkIsr();
      return shrink.length > 0 ? shrink : this.#maybeExpandIsr();
    }
    if (proposal.state === 'unknown' && this.#nowMs - proposal.sentMs >= this.#options.isrRetryMs)
      return this.#sendProposal(proposal);
    return [];
  }

  #onStalled(): LeaderAction[] {
    for (const follower of this.#followers.values()) follower.lastCaughtUpMs = this.#nowMs;
    return [];
  }
}
