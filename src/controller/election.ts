/**
 * Who is the controller: this broker's part in the campaign for `ctl/leader` (`replication-invariants` §2.1.1-2, T0, T2).
 * A pure core. Safety is the store's compare; this only decides when to try.
 *
 *   watching ──key gone: T0──────────────┐
 *      │ ──E1 on its holder: T2──────────┼─► campaigning ──won──► waiting for the image ──shown──► leading
 *      │ ──held by our last start: T2────┘        │ failed                                          │
 *      ◄──────────────────────────────────────────┘                      ◄── key or lease gone, resigned
 *
 * A lease is kept from the start on, so that a take-over costs one round trip. Wrong evidence is harmless: the one
 * deposed finds that its guard fails (I2).
 */
import { unreachable } from '../model/assert.ts';
import type { BrokerId, Revision } from '../model/brands.ts';
import { noRevision } from '../model/brands.ts';
import type { Versioned } from '../model/cluster-image.ts';
import { type ControllerRecord, encodeValue, keys } from '../model/metadata-schema.ts';
import type { ControlOptions } from './control-options.ts';
import type { StoreOutcome } from './controller-events.ts';
import type { ElectionAction, ElectionEvent } from './election-events.ts';
import type { LeaseId } from './metadata-store.ts';

type Standing =
  | { readonly kind: 'watching' }
  | { readonly kind: 'campaigning'; readonly txnId: number; readonly against: Revision }
  /** Won at a revision the image does not hold yet (§2.1.3: the term begins with what was true when it was won). */
  | { readonly kind: 'won'; readonly controllerEpoch: Revision }
  | { readonly kind: 'leading'; readonly controllerEpoch: Revision };

type LeaseState =
  | { readonly kind: 'none'; readonly notBeforeMs: number }
  | { readonly kind: 'granting' }
  | { readonly kind: 'held'; readonly id: LeaseId };

export class Election {
  readonly #options: ControlOptions;
  readonly #self: ControllerRecord;
  #mayRun = false;
  #standing: Standing = { kind: 'watching' };
  #lease: LeaseState = { kind: 'none', notBeforeMs: Number.NEGATIVE_INFINITY };
  #controller: Versioned<ControllerRecord> | null = null;
  /** The last one that was not this start of this broker. */
  #lastController: Versioned<ControllerRecord> | null = null;
  /** Up to where `#controller` is known. */
  #seen: Revision = noRevision;
  /** E1 against the holder of this version of the key. */
  #dead: { controllerEpoch: Revision; brokerId: BrokerId } | null = null;
  /** A campaign whose answer was lost, or that failed: the same version is tried again only after a while. */
  #retry: { against: Revision; notBeforeMs: number } | null = null;
  /** A lost answer may have been a win under the lease held now. */
  #isAnswerLost = false;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #nextTxnId = 1;
  #actions: ElectionAction[] = [];

  constructor(options: ControlOptions, self: ControllerRecord) {
    this.#options = options;
    this.#self = self;
  }

  /** The term this broker leads, or null. */
  get controllerEpoch(): Revision | null {
    return this.#standing.kind === 'leading' ? this.#standing.controllerEpoch : null;
  }

  step(event: ElectionEvent): ElectionAction[] {
    this.#on(event);
    this.#maybeBegin();
    this.#maybeCampaign(event.nowMs);
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #on(event: ElectionEvent): void {
    switch (event.kind) {
      case 'started':
        this.#mayRun = true;
        return;
      case 'controllerSeen':
        return this.#onSeen(event.controller, event.revision);
      case 'leaseGranted':
        this.#lease = { kind: 'held', id: event.leaseId };
        return;
      case 'leaseLost':
        this.#lease = { kind: 'none', notBeforeMs: event.nowMs + this.#options.tickMs };
        this.#isAnswerLost = false;
        return this.#endTerm('the lease of the controller is gone');
      case 'txnDone':
        return this.#onCampaignDone(event.id, event.outcome, event.nowMs);
      case 'controllerDead':
        // Of the last one that was seen: its key may be gone by now.
        if (this.#lastController?.modRevision === event.controllerEpoch)
          this.#dead = { controllerEpoch: event.controllerEpoch, brokerId: this.#lastController.record.brokerId };
        return;
      case 'resigned':
        return this.#onResigned(event.mayCampaignAgain, event.nowMs);
      case 'ticked':
        return;
      default:
        return unreachable(event);
    }
  }

  #onSeen(controller: Versioned<ControllerRecord> | null, at: Revision): void {
    this.#controller = controller;
    this.#lastController = controller && !this.#isSelf(controller) ? controller : this.#lastController;
    this.#seen = at;
    const version = controller?.modRevision ?? noRevision;
    if (this.#retry && this.#retry.against !== version) this.#retry = null;
    // A successor clears its predecessor's name; the end of the key does not.
    if (controller && this.#dead && version !== this.#dead.controllerEpoch && !this.#isSelf(controller))
      this.#dead = null;
    if (this.#standing.kind === 'leading' && version !== this.#standing.controllerEpoch)
      this.#endTerm(controller ? 'another controller was elected' : 'ctl/leader is gone');
    if (
      this.#standing.kind === 'won' &&
      at >= this.#standing.controllerEpoch &&
      version !== this.#standing.controllerEpoch
    )
      this.#standing = { kind: 'watching' };
    // The image was faster than the answer of the store: what it shows is the win.
    const isOwnWin = controller !== null && this.#isSelf(controller);
    if (this.#standing.kind === 'campaigning' && isOwnWin && version > this.#standing.against)
      this.#standing = { kind: 'won', controllerEpoch: version };
    // §3: the answer was lost, the win was not.
    if (this.#isAnswerLost && this.#standing.kind === 'watching' && isOwnWin) {
      this.#isAnswerLost = false;
      this.#standing = { kind: 'won', controllerEpoch: version };
    }
  }

  #isSelf({ record }: Versioned<ControllerRecord>): boolean {
    return record.brokerId === this.#self.brokerId && record.incarnation === this.#self.incarnation;
  }

  #onCampaignDone(id: number, outcome: StoreOutcome, nowMs: number): void {
    if (this.#standing.kind !== 'campaigning' || this.#standing.txnId !== id) return;
    const { against } = this.#standing;
    this.#standing = { kind: 'watching' };
    if (outcome.kind === 'succeeded') {
      this.#standing = { kind: 'won', controllerEpoch: outcome.revision };
      // The image may be there already, or past it.
      this.#onSeen(this.#controller, this.#seen);
      return;
    }
    this.#isAnswerLost ||= outcome.kind === 'unknown';
    this.#retry = { against, notBeforeMs: nowMs + 2 * this.#options.tickMs };
    this.#onSeen(this.#controller, this.#seen);
  }

  #onResigned(mayCampaignAgain: boolean, nowMs: number): void {
    this.#endTerm('resigned');
    this.#mayRun &&= mayCampaignAgain;
    this.#pausedUntilMs = nowMs + this.#options.resignedPauseMs;
    this.#isAnswerLost = false;
    if (this.#standing.kind !== 'leading') this.#standing = { kind: 'watching' };
    if (this.#lease.kind !== 'none') this.#actions.push({ kind: 'revokeLease' });
    this.#lease = { kind: 'none', notBeforeMs: this.#pausedUntilMs };
  }

  #endTerm(reason: string): void {
    if (this.#standing.kind === 'leading') this.#actions.push({ kind: 'endTerm', reason });
    if (this.#standing.kind === 'leading' || this.#standing.kind === 'won') this.#standing = { kind: 'watching' };
  }

  #maybeBegin(): void {
    const standing = this.#standing;
    if (standing.kind !== 'won' || this.#controller?.modRevision !== standing.controllerEpoch) return;
    this.#standing = { kind: 'leading', controllerEpoch: standing.controllerEpoch };
    const knownDead = this.#dead && this.#dead.brokerId !== this.#self.brokerId ? [this.#dead.brokerId] : [];
    this.#dead = null;
    this.#actions.push({ kind: 'beginTerm', controllerEpoch: standing.controllerEpoch, knownDead });
  }

  #maybeCampaign(nowMs: number): void {
    if (!this.#mayRun) return;
    if (this.#lease.kind === 'none' && nowMs >= this.#lease.notBeforeMs) {
      this.#lease = { kind: 'granting' };
      this.#actions.push({ kind: 'grantLease', ttlMs: this.#options.leaseTtlMs });
    }
    if (this.#standing.kind !== 'watching' || this.#lease.kind !== 'held' || nowMs < this.#pausedUntilMs) return;
    if (!this.#isVacant()) return;
    const against = this.#controller?.modRevision ?? noRevision;
    if (this.#retry?.against === against && nowMs < this.#retry.notBeforeMs) return;
    const txnId = this.#nextTxnId++;
    this.#standing = { kind: 'campaigning', txnId, against };
    this.#actions.push({
      kind: 'transact',
      id: txnId,
      txn: {
        // T0 where the key is absent (0), T2 where its holder is known to be dead.
        compares: [{ key: keys.controller, modRevision: against }],
        mutations: [{ kind: 'put', key: keys.controller, value: encodeValue(this.#self), lease: this.#lease.id }],
      },
    });
  }

  #isVacant(): boolean {
    const holder = this.#controller;
    if (!holder || this.#dead?.controllerEpoch === holder.modRevision) return true;
    // Our own last start, which cannot be alive beside us: T2 (§2.1.2).
    return holder.record.brokerId === this.#self.brokerId && holder.record.incarnation !== this.#self.incarnation;
  }
}
