/**
 * What the campaign for `ctl/leader` is told and what it asks for: the seam between `Election` and its driver.
 * Times are monotonic milliseconds.
 */
import type { BrokerId, Revision } from '../model/brands.ts';
import type { Versioned } from '../model/cluster-image.ts';
import type { ControllerRecord } from '../model/metadata-schema.ts';
import type { StoreOutcome } from './controller-events.ts';
import type { LeaseId, MetadataTxn } from './metadata-store.ts';

export type ElectionEvent =
  /** This broker's gRPC server listens, its image holds a full read: it may be elected. */
  | { readonly kind: 'started'; readonly nowMs: number }
  /** What the image says about `ctl/leader` after it has applied `revision`; also right after `started`. */
  | {
      readonly kind: 'controllerSeen';
      readonly controller: Versioned<ControllerRecord> | null;
      readonly revision: Revision;
      readonly nowMs: number;
    }
  | { readonly kind: 'leaseGranted'; readonly leaseId: LeaseId; readonly nowMs: number }
  /** The grant failed, or the store forgot the lease, or its time ran out unanswered. */
  | { readonly kind: 'leaseLost'; readonly nowMs: number }
  | { readonly kind: 'txnDone'; readonly id: number; readonly outcome: StoreOutcome; readonly nowMs: number }
  /**
   * Positive evidence that the process behind this version of `ctl/leader` is gone: E1, or, told when the key is gone
   * with its lease, a whole fence time of silence (§2.3).
   */
  | { readonly kind: 'controllerDead'; readonly controllerEpoch: Revision; readonly nowMs: number }
  /** The controller core resigned, or the process stops. */
  | { readonly kind: 'resigned'; readonly mayCampaignAgain: boolean; readonly nowMs: number }
  | { readonly kind: 'ticked'; readonly nowMs: number };

export type ElectionAction =
  /** Grant a lease of `ttlMs`, keep it alive; then step `leaseGranted` or `leaseLost`. */
  | { readonly kind: 'grantLease'; readonly ttlMs: number }
  /** The lease is of no use any more: revoke it, which also deletes `ctl/leader` where it holds that. */
  | { readonly kind: 'revokeLease' }
  | { readonly kind: 'transact'; readonly id: number; readonly txn: MetadataTxn }
  /** Won, and the image holds the win: start the controller core. */
  | { readonly kind: 'beginTerm'; readonly controllerEpoch: Revision; readonly knownDead: readonly BrokerId[] }
  /** The term is over: throw the controller core away. */
  | { readonly kind: 'endTerm'; readonly reason: string };
