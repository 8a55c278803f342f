/**
 * One partition as its follower sees it, for one leader epoch: where to attach, what to cut, what to append and ack.
 * No log, socket or timer here: `step` takes what happened and gives back what to do.
 *
 *            streamOpened            attached
 *     idle ───────────────► attaching ───────► fetching
 *      ▲ ▲                   │  │  ▲            │   │
 *      │ └── streamClosed ───┘  │  │ truncated  │   │ the leader's log starts behind our end
 *      │          (any state)   │  └── truncating ◄─┘
 *      │              rejected  │          ▲
 *      │                        ├──────────┘ diverging
 *      └── ticked ── waiting ◄──┘
 *
 *     quarantined: entered from attaching when the leader asks to cut below what is committed (I15). No way out but a
 *     new leader epoch or the operator: its files are kept and it is out of service.
 *
 * A new leader epoch is a new FollowerState; whoever makes one has waited for the appends under way (§2.5).
 */
import { assert, unreachable } from '../model/assert.ts';
import { type BrokerId, earlier, type LeaderEpoch, later, type Offset } from '../model/brands.ts';
import type { EpochHistory } from './epoch-history.ts';
import type { RejectReason } from './replication-messages.ts';

export interface FollowerOptions {
  /** How long after a Reject the follower asks again: the leader may not have seen its own election yet. */
  readonly attachRetryMs: number;
}

export interface FollowerModules {
  readonly epochs: EpochHistory;
  /** A number larger than that of every other attach request of this process: leaders tell late requests by it. */
  nextAttachId(): number;
}

export interface FollowerStart {
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  /** Of the partition record: the leader epoch of the last unclean election, -1 for none. */
  readonly uncleanEpoch: LeaderEpoch;
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
  /** Epoch of the last record in the log, -1 if it is empty. */
  readonly lastEpoch: LeaderEpoch;
  /** Persisted with the leader epoch under which it was learned. */
  readonly highWatermark: Offset;
  readonly highWatermarkEpoch: LeaderEpoch;
}

export type FollowerEvent =
  /** The stream to the leader is up and its Hello was accepted. */
  | { readonly kind: 'streamOpened' }
  | { readonly kind: 'streamClosed' }
  | {
      readonly kind: 'attached';
      readonly attachId: number;
      readonly highWatermark: Offset;
      readonly logStartOffset: Offset;
    }
  | {
      readonly kind: 'diverging';
      readonly attachId: number;
      readonly epoch: LeaderEpoch;
      readonly endOffset: Offset;
    }
  | { readonly kind: 'rejected'; readonly attachId: number; readonly reason: RejectReason; readonly nowMs: number }
  | {
      readonly kind: 'dataArrived';
      readonly attachId: number;
      readonly baseOffset: Offset;
      /** The offset after the last record; equal to baseOffset where there are only offsets to tell. */
      readonly endOffset: Offset;
      /** The highest leader epoch of the batches, -1 without any. */
      readonly lastEpoch: LeaderEpoch;
      readonly highWatermark: Offset;
      readonly logStartOffset: Offset;
    }
  /** An `append` was carried out: the write call returned in full. */
  | { readonly kind: 'appended'; readonly logEndOffset: Offset }
  /**
   * The log refused batches (CRC, order) of an `append`: they are not in it, nor is anything behind them. It took what
   * came before: `appended` reports `acceptedEndOffset` once that is written, where it is not already.
   */
  | {
      readonly kind: 'appendRefused';
      readonly acceptedEndOffset: Offset;
      /** Of the last batch that was taken, -1 where all of this append were refused. */
      readonly acceptedEpoch: LeaderEpoch;
      readonly nowMs: number;
    }
  /** A `truncateTo` or `truncateFullyAndStartAt` was carried out. */
  | { readonly kind: 'truncated'; readonly logEndOffset: Offset; readonly lastEpoch: LeaderEpoch }
  /** A newer record of the same leader epoch. */
  | { readonly kind: 'uncleanEpochChanged'; readonly uncleanEpoch: LeaderEpoch }
  | { readonly kind: 'ticked'; readonly nowMs: number };

export type FollowerAction =
  /** Entries of the epoch cache that start at or after the log end are of leaders that wrote nothing (I16). */
  | { readonly kind: 'dropEpochsFrom'; readonly logEndOffset: Offset }
  | {
      readonly kind: 'attach';
      readonly attachId: number;
      readonly leaderEpoch: LeaderEpoch;
      readonly logEndOffset: Offset;
      readonly lastEpoch: LeaderEpoch;
    }
  | { readonly kind: 'detach'; readonly attachId: number }
  /** Append the batches of this very dataArrived, in order behind those under way. */
  | { readonly kind: 'append'; readonly baseOffset: Offset; readonly endOffset: Offset }
  | { readonly kind: 'truncateTo'; readonly offset: Offset }
  /** Delete every segment; the next record will have this offset. */
  | { readonly kind: 'truncateFullyAndStartAt'; readonly offset: Offset }
  | { readonly kind: 'ack'; readonly attachId: number; readonly logEndOffset: Offset }
  /** To be persisted together. */
  | { readonly kind: 'updateHighWatermark'; readonly highWatermark: Offset; readonly leaderEpoch: LeaderEpoch }
  /** The leader has deleted what is before it. */
  | { readonly kind: 'raiseLogStart'; readonly logStartOffset: Offset }
  | { readonly kind: 'quarantine'; readonly reason: string };

/** Each state has what it needs and nothing to misuse: nobody can ack while truncating. */
export type FollowerPhase =
  | { readonly kind: 'idle' }
  /** Refused: asks again at `untilMs`. */
  | { readonly kind: 'waiting'; readonly untilMs: number }
  | { readonly kind: 'attaching'; readonly attachId: number }
  | { readonly kind: 'truncating'; readonly offset: Offset }
  | {
      readonly kind: 'fetching';
      readonly attachId: number;
      /** The base offset of the next data: the log end once all appends under way are done. */
      nextOffset: Offset;
      /** As the leader last told it. */
      leaderHighWatermark: Offset;
    }
  | { readonly kind: 'quarantined'; readonly reason: string };

const idle: FollowerPhase = { kind: 'idle' };

export class FollowerState {
  readonly #options: FollowerOptions;
  readonly #modules: FollowerModules;
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  #uncleanEpoch: LeaderEpoch;
  #logStartOffset: Offset;
  #logEndOffset: Offset;
  #lastEpoch: LeaderEpoch;
  #highWatermark: Offset;
  #highWatermarkEpoch: LeaderEpoch;
  #phase: FollowerPhase = idle;
  #isStreamOpen = false;
  #hasDroppedEpochs = false;
  /** Offsets and epochs of appends handed to the log and not yet reported, oldest first; whoever attaches waits for them. */
  readonly #underWay: { endOffset: Offset; lastEpoch: LeaderEpoch }[] = [];

  constructor(options: FollowerOptions, modules: FollowerModules, start: FollowerStart) {
    this.#options = options;
    this.#modules = modules;
    this.leader = start.leader;
    this.leaderEpoch = start.leaderEpoch;
    this.#uncleanEpoch = start.uncleanEpoch;
    this.#logStartOffset = start.logStartOffset;
    this.#logEndOffset = start.logEndOffset;
    this.#lastEpoch = start.lastEpoch;
    // A log that lost its unflushed tail may end before what it once knew as committed.
    this.#highWatermark = later(start.logStartOffset, earlier(start.highWatermark, start.logEndOffset));
    this.#highWatermarkEpoch = start.highWatermarkEpoch;
  }

  get phase(): FollowerPhase {
    return this.#phase;
  }
  get logEndOffset(): Offset {
    return this.#logEndOffset;
  }
  /** What a consumer that reads from this follower may see. */
  get highWatermark(): Offset {
    return this.#highWatermark;
  }
  get highWatermarkEpoch(): LeaderEpoch {
    return this.#highWatermarkEpoch;
  }
  /** Attached, and holds what the leader last told as committed: good enough to say "caught up" at start (§2.2). */
  get isCaughtUp(): boolean {
    return this.#phase.kind === 'fetching' && this.#logEndOffset >= this.#phase.leaderHighWatermark;
  }

  step(event: FollowerEvent): FollowerAction[] {
    if (this.#phase.kind === 'quarantined') return [];
    switch (event.kind) {
      case 'streamOpened':
        this.#isStreamOpen = true;
        this.#leaveSession();
        return this.#maybeAttach();
      case 'streamClosed':
        this.#isStreamOpen = false;
        this.#leaveSession();
        return [];
      case 'attached':
        return this.#onAttached(event.attachId, event.highWatermark, event.logStartOffset);
      case 'diverging':
        return this.#onDiverging(event.attachId, event.epoch, event.endOffset);
      case 'rejected':
        return this.#onRejected(event.attachId, event.nowMs);
      case 'dataArrived':
        return this.#onData(event);
      case 'appended':
        return this.#onAppended(event.logEndOffset);
      case 'appendRefused':
        return this.#onAppendRefused(event);
      case 'truncated':
        return this.#onTruncated(event.logEndOffset, event.lastEpoch);
      case 'uncleanEpochChanged':
        this.#uncleanEpoch = event.uncleanEpoch;
        return [];
      case 'ticked':
        return this.#onTicked(event.nowMs);
      default:
        return unreachable(event);
    }
  }

  /** Messages of any other attachId are of a session that is over: no effect (I13). */
  #isAttaching(attachId: number): boolean {
    return this.#phase.kind === 'attaching' && this.#phase.attachId === attachId;
  }

  /** any -> idle, but for a truncation under way: the log is not ours until it is done. */
  #leaveSession(): void {
    if (this.#phase.kind !== 'truncating') this.#phase = idle;
  }

  /** idle -> attaching, once the stream is up and the log end is known. */
  #maybeAttach(): FollowerAction[] {
    if (this.#phase.kind !== 'idle' || !this.#isStreamOpen || this.#underWay.length > 0) return [];
    const attachId = this.#modules.nextAttachId();
    this.#phase = { kind: 'attaching', attachId };
    const attach: FollowerAction = {
      kind: 'attach',
      attachId,
      leaderEpoch: this.leaderEpoch,
      logEndOffset: this.#logEndOffset,
      lastEpoch: this.#lastEpoch,
    };
    if (this.#hasDroppedEpochs) return [attach];
    this.#hasDroppedEpochs = true;
    return [{ kind: 'dropEpochsFrom', logEndOffset: this.#logEndOffset }, attach];
  }

  /** attaching, or fetching when the leader cannot go on -> waiting */
  #onRejected(attachId: number, nowMs: number): FollowerAction[] {
    const isOurs = this.#phase.kind === 'fetching' && this.#phase.attachId === attachId;
    if (!isOurs && !this.#isAttaching(attachId)) return [];
    return this.#waitUntil(nowMs + this.#options.attachRetryMs);
  }

  /** any -> waiting */
  #waitUntil(untilMs: number): FollowerAction[] {
    this.#phase = { kind: 'waiting', untilMs };
    return [];
  }

  /** attaching -> fetching | truncating */
  #onAttached(attachId: number, highWatermark: Offset, logStartOffset: Offset): FollowerAction[] {
    if (!this.#isAttaching(attachId)) return [];
    if (this.#logEndOffset < logStartOffset) return this.#startAfresh(logStartOffset);
    this.#phase = {
      kind: 'fetching',
      attachId,
      nextOffset: this.#logEndOffset,
      leaderHighWatermark: highWatermark,
    };
    // The leader has checked that this log is a prefix of its own, so what it calls committed is so here.
    return [...this.#maybeRaiseHighWatermark(), ...this.#maybeRaiseLogStart(logStartOffset)];
  }

  /**
   * attaching -> truncating | quarantined | waiting
   *
   * The leader's epoch `epoch` ends at `endOffset`, ours at what the own cache says: nothing beyond either is common.
   * Where this log has no such epoch its own answer is the start of the first later one, which is the same rule.
   */
  #onDiverging(attachId: number, epoch: LeaderEpoch, endOffset: Offset): FollowerAction[] {
    if (!this.#isAttaching(attachId)) return [];
    const own = this.#modules.epochs.endFor(epoch, this.#logEndOffset, this.#logStartOffset);
    const cut = earlier(endOffset, own.endOffset);
    if (cut < this.#highWatermark && this.#uncleanEpoch <= this.#highWatermarkEpoch) {
      const reason =
        `leader ${this.leader} of epoch ${this.leaderEpoch} asks to cut to ${cut}, ` +
        `but everything before ${this.#highWatermark} was committed as of epoch ${this.#highWatermarkEpoch}`;
      this.#phase = { kind: 'quarantined', reason };
      return [{ kind: 'quarantine', reason }];
    }
    if (cut <= this.#logStartOffset) return this.#startAfresh(cut);
    this.#phase = { kind: 'truncating', offset: cut };
    return [{ kind: 'truncateTo', offset: cut }];
  }

  /** attaching -> truncating: nothing here is common with the leader's log. */
  #startAfresh(offset: Offset): FollowerAction[] {
    this.#phase = { kind: 'truncating', offset };
    return [{ kind: 'truncateFullyAndStartAt', offset }];
  }

  /** truncating -> attaching, with a new attachId: the cut log is compared again before anything else happens. */
  #onTruncated(logEndOffset: Offset, lastEpoch: LeaderEpoch): FollowerAction[] {
    assert(this.#phase.kind === 'truncating', 'only a truncation under way can be done');
    this.#logEndOffset = logEndOffset;
    this.#lastEpoch = lastEpoch;
    if (lastEpoch < 0) this.#logStartOffset = logEndOffset;
    this.#phase = idle;
    // Down after an unclean recovery; up when the log starts afresh behind what was deleted everywhere.
    const highWatermark = later(this.#logStartOffset, earlier(this.#highWatermark, logEndOffset));
    const isMoved = highWatermark !== this.#highWatermark;
    this.#highWatermark = highWatermark;
    return [
      ...(isMoved
        ? [{ kind: 'updateHighWatermark', highWatermark, leaderEpoch: this.#highWatermarkEpoch } as const]
        : []),
      ...this.#maybeAttach(),
    ];
  }

  #onData(event: FollowerEvent & { kind: 'dataArrived' }): FollowerAction[] {
    const phase = this.#phase;
    if (phase.kind !== 'fetching' || phase.attachId !== event.attachId) return [];
    phase.leaderHighWatermark = later(phase.leaderHighWatermark, event.highWatermark);
    if (event.endOffset === event.baseOffset) {
      // The leader deleted what we were to get next: attach again, which starts the log afresh.
      if (event.logStartOffset > phase.nextOffset) return this.#reattach(phase.attachId);
      return [...this.#maybeRaiseHighWatermark(), ...this.#maybeRaiseLogStart(event.logStartOffset)];
    }
    // Not what follows our log, or of an epoch that this leader cannot have written (KAFKA-18723): ask where we stand.
    if (event.baseOffset !== phase.nextOffset || event.lastEpoch > this.leaderEpoch)
      return this.#reattach(phase.attachId);
    phase.nextOffset = event.endOffset;
    this.#underWay.push({ endOffset: event.endOffset, lastEpoch: event.lastEpoch });
    return [
      { kind: 'append', baseOffset: event.baseOffset, endOffset: event.endOffset },
      ...this.#maybeRaiseHighWatermark(),
      ...this.#maybeRaiseLogStart(event.logStartOffset),
    ];
  }

  /** fetching -> attaching (or idle, until the appends under way are done) */
  #reattach(attachId: number): FollowerAction[] {
    this.#phase = idle;
    return [{ kind: 'detach', attachId }, ...this.#maybeAttach()];
  }

  /** Appends may end after their session has: the log is longer then, but nobody is told. */
  #onAppended(logEndOffset: Offset): FollowerAction[] {
    for (let first = this.#underWay[0]; first !== undefined && first.endOffset <= logEndOffset; ) {
      this.#lastEpoch = first.lastEpoch;
      this.#underWay.shift();
      first = this.#underWay[0];
    }
    this.#logEndOffset = logEndOffset;
    const phase = this.#phase;
    if (phase.kind !== 'fetching') return this.#maybeAttach();
    return [{ kind: 'ack', attachId: phase.attachId, logEndOffset }, ...this.#maybeRaiseHighWatermark()];
  }

  /**
   * fetching -> waiting. What was taken before the refusal may still be on its way to the file; whoever attaches next
   * must name it, or the leader would send it again and the log refuse it, again and again.
   */
  #onAppendRefused({
    acceptedEndOffset,
    acceptedEpoch,
    nowMs,
  }: FollowerEvent & { kind: 'appendRefused' }): FollowerAction[] {
    const refused = this.#underWay.findIndex(({ endOffset }) => endOffset > acceptedEndOffset);
    if (refused >= 0) this.#underWay.length = refused;
    const knownEndOffset = this.#underWay.at(-1)?.endOffset ?? this.#logEndOffset;
    if (acceptedEndOffset > knownEndOffset)
      this.#underWay.push({ endOffset: acceptedEndOffset, lastEpoch: acceptedEpoch });
    if (this.#phase.kind !== 'fetching') return this.#maybeAttach();
    const { attachId } = this.#phase;
    return [...this.#waitUntil(nowMs + this.#options.attachRetryMs), { kind: 'detach', attachId }];
  }

  #onTicked(nowMs: number): FollowerAction[] {
    if (this.#phase.kind !== 'waiting' || nowMs < this.#phase.untilMs) return [];
    this.#phase = idle;
    return this.#maybeAttach();
  }

  /** §2.6: max(own, min(the leader's, log end)). */
  #maybeRaiseHighWatermark(): FollowerAction[] {
    if (this.#phase.kind !== 'fetching') return [];
    const told = earlier(this.#phase.leaderHighWatermark, this.#logEndOffset);
    // Confirmed under this epoch even if it has not moved: an older unclean election no longer excuses a cut below it.
    const isConfirmed = told >= this.#highWatermark && this.#highWatermarkEpoch !== this.leaderEpoch;
    if (told <= this.#highWatermark && !isConfirmed) return [];
    this.#highWatermark = later(this.#highWatermark, told);
    this.#highWatermarkEpoch = this.leaderEpoch;
    return [{ kind: 'updateHighWatermark', highWatermark: this.#highWatermark, leaderEpoch: this.leaderEpoch }];
  }

  #maybeRaiseLogStart(logStartOffset: Offset): FollowerAction[] {
    if (logStartOffset <= this.#logStartOffset || logStartOffset > this.#highWatermark) return [];
    this.#logStartOffset = logStartOffset;
    return [{ kind: 'raiseLogStart', logStartOffset }];
  }
}
