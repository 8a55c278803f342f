/**
 * What a broker's relation to the controller is told and what it asks for: the seam between `BrokerLifecycle` and
 * whoever drives it (`broker-agent.ts`, the simulation). Times are monotonic milliseconds unless they say wall.
 */
import type { BrokerEpoch, BrokerId, Revision } from '../model/brands.ts';
import type { ClusterImage } from '../model/cluster-image.ts';
import type { Fault } from '../model/fault.ts';
import type { BrokerState, Endpoint } from '../model/metadata-schema.ts';
import type { TopicPartition } from '../model/topic-partition.ts';
import type { CloseCause } from './control-channel.ts';
import type {
  AdminAnswer,
  AdminCommand,
  BrokerMessage,
  ControllerMessage,
  DialOutcome,
  IsrAnswer,
  IsrProposal,
  ReplicaState,
} from './control-messages.ts';

/** lost: whatever was answered, another sending of the same proposal may still be on its way, and be committed (I10). */
export type IsrOutcome = IsrAnswer | { readonly kind: 'lost' };

export type LifecycleEvent =
  /** The image holds a full read; find the controller and register. */
  | { readonly kind: 'started'; readonly image: ClusterImage; readonly nowMs: number; readonly wallMs: number }
  /** The image given at the start has applied another revision. */
  | { readonly kind: 'metadataChanged'; readonly nowMs: number; readonly wallMs: number }
  | {
      readonly kind: 'streamMessage';
      readonly streamId: number;
      readonly message: ControllerMessage;
      readonly nowMs: number;
      readonly wallMs: number;
    }
  | {
      readonly kind: 'streamClosed';
      readonly streamId: number;
      readonly cause: CloseCause;
      readonly nowMs: number;
      readonly wallMs: number;
    }
  | {
      readonly kind: 'dialed';
      readonly dialId: number;
      readonly outcome: DialOutcome;
      readonly nowMs: number;
      readonly wallMs: number;
    }
  /** The answer to `probe`; 'accepted' only where the process itself answered. */
  | {
      readonly kind: 'probed';
      readonly brokerId: BrokerId;
      readonly outcome: DialOutcome;
      readonly nowMs: number;
      readonly wallMs: number;
    }
  /**
   * Whether every replica of this broker is open and follows what leader it has (§2.2.5), judged at `appliedRevision`
   * or later. Told at each change; the controller believes it only from the broker's own record on.
   */
  | { readonly kind: 'caughtUp'; readonly isCaughtUp: boolean; readonly nowMs: number; readonly wallMs: number }
  | {
      readonly kind: 'alterPartition';
      readonly callId: number;
      readonly proposals: readonly IsrProposal[];
      readonly nowMs: number;
      readonly wallMs: number;
    }
  | {
      readonly kind: 'admin';
      readonly callId: number;
      readonly command: AdminCommand;
      readonly timeLimitMs: number;
      readonly nowMs: number;
      readonly wallMs: number;
    }
  /** The answer to the action `askReplicaStates`, in its order; null for a replica that is not here. */
  | {
      readonly kind: 'replicaStates';
      readonly requestId: number;
      readonly streamId: number;
      readonly states: readonly (ReplicaState | null)[];
      readonly nowMs: number;
      readonly wallMs: number;
    }
  | { readonly kind: 'shutdownRequested'; readonly nowMs: number; readonly wallMs: number }
  /** Last words: the process is about to end by itself. */
  | { readonly kind: 'goodbye'; readonly nowMs: number; readonly wallMs: number }
  /** How the action `putLive` ended. */
  | { readonly kind: 'liveDone'; readonly ok: boolean; readonly nowMs: number; readonly wallMs: number }
  | { readonly kind: 'ticked'; readonly nowMs: number; readonly wallMs: number };

export type LifecycleAction =
  /** Open a stream of this id; its end, also of a failed attempt, is `streamClosed`. */
  | { readonly kind: 'connect'; readonly streamId: number; readonly endpoint: Endpoint }
  | { readonly kind: 'closeStream'; readonly streamId: number }
  | { readonly kind: 'send'; readonly streamId: number; readonly message: BrokerMessage }
  | { readonly kind: 'dial'; readonly dialId: number; readonly endpoint: Endpoint; readonly timeLimitMs: number }
  /** Ask the *process* of that broker for a sign of life (a paused one's kernel still accepts connections). */
  | {
      readonly kind: 'probe';
      readonly brokerId: BrokerId;
      readonly endpoint: Endpoint;
      readonly timeLimitMs: number;
    }
  /** Once per start: the epoch of this incarnation, and the revision from which metadata shows it. */
  | { readonly kind: 'registered'; readonly brokerEpoch: BrokerEpoch; readonly revision: Revision }
  /** Another process holds this broker id: stop, having written nothing. */
  | { readonly kind: 'registrationRefused'; readonly fault: Fault }
  | { readonly kind: 'stateChanged'; readonly state: BrokerState | 'unregistered' }
  /** `live/<id>` is not there or another's: grant a lease, put it; then step `liveDone`. */
  | { readonly kind: 'putLive' }
  /**
   * The process behind this version of `ctl/leader` is gone: E1, or E2 with its lease ended. Hand it to the `Election`
   * (§2.1.2).
   */
  | { readonly kind: 'controllerDead'; readonly controllerEpoch: Revision }
  | { readonly kind: 'alterPartitionAnswer'; readonly callId: number; readonly answers: readonly IsrOutcome[] }
  | { readonly kind: 'adminAnswer'; readonly callId: number; readonly answer: AdminAnswer }
  | {
      readonly kind: 'askReplicaStates';
      readonly requestId: number;
      readonly streamId: number;
      readonly partitions: readonly TopicPartition[];
    }
  /** isClean: no leadership is left here and the others know it · else the time limit is over (§2.8). Once. */
  | { readonly kind: 'mayStop'; readonly isClean: boolean; readonly leadersLeft: number };
