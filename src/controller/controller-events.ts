/**
 * What the elected controller is told and what it asks for: the seam between the pure core (`controller-state.ts`) and
 * whoever drives it (`controller-runner.ts`, the simulation). Times are monotonic milliseconds unless they say wall.
 */
import type { BrokerId, Revision } from '../model/brands.ts';
import type { ClusterImage } from '../model/cluster-image.ts';
import type { Endpoint, MetadataEntry } from '../model/metadata-schema.ts';
import type { CloseCause } from './control-channel.ts';
import type { BrokerMessage, ControllerMessage, DialOutcome } from './control-messages.ts';
import type { MetadataTxn } from './metadata-store.ts';

/**
 * How a transaction ended. failed: a compare did not hold, nothing was written. notDone: it never reached the store.
 * unknown: the answer is lost, it may have been committed or may be yet (§3: read, compare, decide).
 */
export type StoreOutcome =
  | { readonly kind: 'succeeded'; readonly revision: Revision }
  | { readonly kind: 'failed'; readonly revision: Revision }
  | { readonly kind: 'notDone' }
  | { readonly kind: 'unknown' };

export type ControllerEvent =
  /**
   * The term begins. `image` is the broker's own, which goes on following the store, and holds at least the revision
   * `controllerEpoch` (§2.1.3). `knownDead`: brokers whose death was proved by E1 before the election (§2.1.2).
   */
  | {
      readonly kind: 'elected';
      readonly image: ClusterImage;
      readonly controllerEpoch: Revision;
      readonly knownDead: readonly BrokerId[];
      readonly nowMs: number;
    }
  /** The image has applied one revision; `entries` is what `ClusterImage.apply` gave back. */
  | { readonly kind: 'metadataChanged'; readonly entries: readonly MetadataEntry[]; readonly nowMs: number }
  | { readonly kind: 'streamOpened'; readonly streamId: number; readonly nowMs: number }
  | {
      readonly kind: 'brokerMessage';
      readonly streamId: number;
      readonly message: BrokerMessage;
      readonly nowMs: number;
      /** Milliseconds since 1970: for creation times, and for brokers to compare their own clock with (I33). */
      readonly wallMs: number;
    }
  | { readonly kind: 'streamClosed'; readonly streamId: number; readonly cause: CloseCause; readonly nowMs: number }
  | { readonly kind: 'dialed'; readonly dialId: number; readonly outcome: DialOutcome; readonly nowMs: number }
  | { readonly kind: 'txnDone'; readonly id: number; readonly outcome: StoreOutcome; readonly nowMs: number }
  /** A keep-alive of the controller's lease that was *sent* at `renewedMs` was answered. */
  | { readonly kind: 'leaseRenewed'; readonly renewedMs: number; readonly nowMs: number }
  /** Every `tickMs`. */
  | { readonly kind: 'ticked'; readonly nowMs: number };

export type ControllerAction =
  /** Carry out, then step `txnDone` with the same id. Several may be under way; none of them writes what another writes. */
  | { readonly kind: 'transact'; readonly id: number; readonly txn: MetadataTxn }
  | { readonly kind: 'send'; readonly streamId: number; readonly message: ControllerMessage }
  | { readonly kind: 'closeStream'; readonly streamId: number }
  /** One raw connection; then step `dialed`. */
  | {
      readonly kind: 'dial';
      readonly dialId: number;
      readonly brokerId: BrokerId;
      readonly endpoint: Endpoint;
      readonly timeLimitMs: number;
    }
  /** The term is over: no further event has an effect. The driver gives `ctl/leader` back where it still holds it. */
  | { readonly kind: 'resign'; readonly reason: string }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn';
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    };
