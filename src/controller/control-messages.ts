/**
 * What a broker and the controller say to each other, over one long-lived stream per broker on a connection of its own
 * (§2.3: heartbeats do not wait behind replication data). A stream is first in, first out; its end is evidence.
 * `cluster/` carries these messages over gRPC; the simulation carries them over its own network.
 */
import type { BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, Revision, TopicId } from '../model/brands.ts';
import type { Fault } from '../model/fault.ts';
import type { BrokerState, Endpoint } from '../model/metadata-schema.ts';

/**
 * How the last run of a broker ended: clean = marker file · killed = no marker, same kernel boot, so the page cache
 * survived · lossy = anything else: unflushed bytes may be gone (§2.2).
 */
export type StopKind = 'clean' | 'killed' | 'lossy';

export interface Registration {
  readonly brokerId: BrokerId;
  readonly incarnation: string;
  readonly listeners: readonly Endpoint[];
  readonly peer: Endpoint;
  readonly rack: string | null;
  readonly directories: readonly string[];
  /** Of the last run on these directories, -1 for none. */
  readonly previousBrokerEpoch: BrokerEpoch;
  readonly stopKind: StopKind;
}

export interface IsrProposal {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: PartitionEpoch;
  readonly isr: readonly { readonly brokerId: BrokerId; readonly brokerEpoch: BrokerEpoch }[];
}

/** `ok` names the revision that holds it; see §2.7 for what a leader does with each. */
export type IsrAnswer =
  | { readonly kind: 'ok'; readonly partitionEpoch: PartitionEpoch }
  | { readonly kind: 'ineligible' }
  | { readonly kind: 'notAttempted' }
  | { readonly kind: 'fenced' };

export interface NewTopic {
  readonly name: string;
  /** -1 = num.partitions */
  readonly partitions: number;
  /** -1 = default.replication.factor */
  readonly replicationFactor: number;
  /** Replicas of each partition where the user chose them. */
  readonly assignment: readonly (readonly BrokerId[])[] | null;
  readonly configs: Readonly<Record<string, string>>;
  readonly isInternal: boolean;
}

/** Administration that any broker accepts and the controller carries out. Each answers in the order asked. */
export type AdminCommand =
  | { readonly kind: 'createTopics'; readonly topics: readonly NewTopic[]; readonly validateOnly: boolean }
  | { readonly kind: 'deleteTopics'; readonly topicIds: readonly TopicId[] }
  | {
      readonly kind: 'createPartitions';
      readonly topics: readonly {
        readonly name: string;
        readonly total: number;
        readonly assignment: readonly (readonly BrokerId[])[] | null;
      }[];
      readonly validateOnly: boolean;
    }
  | {
      readonly kind: 'electLeaders';
      readonly election: 'preferred' | 'unclean';
      readonly partitions: readonly { readonly topicId: TopicId; readonly partition: number }[] | null;
    };

export type AdminItemResult =
  | { readonly fault: Fault }
  | {
      readonly fault: null;
      readonly topicId: TopicId;
      readonly partitions: number;
      readonly replicationFactor: number;
    };

export type AdminAnswer =
  /** Not the controller (any more), or the store is away: ask again. Nothing was done, or it is not known. */
  | { readonly kind: 'refused'; readonly fault: Fault }
  /** One result per item of the command, and the revision that shows what was done. */
  | { readonly kind: 'done'; readonly results: readonly AdminItemResult[]; readonly revision: Revision };

export type ReplicaState = { readonly lastEpoch: LeaderEpoch; readonly logEndOffset: Offset };

/** Broker → controller. */
export type BrokerMessage =
  | { readonly kind: 'register'; readonly registration: Registration }
  | {
      readonly kind: 'heartbeat';
      readonly sequence: number;
      readonly brokerId: BrokerId;
      readonly incarnation: string;
      /** -1 before registration is answered. */
      readonly brokerEpoch: BrokerEpoch;
      readonly appliedRevision: Revision;
      /** Its replicas are open and attached to what leaders there are: it may become active. */
      readonly isCaughtUp: boolean;
      readonly wantsShutdown: boolean;
      readonly wallMs: number;
    }
  | {
      readonly kind: 'alterPartition';
      readonly requestId: number;
      readonly brokerId: BrokerId;
      readonly brokerEpoch: BrokerEpoch;
      readonly proposals: readonly IsrProposal[];
    }
  | { readonly kind: 'admin'; readonly requestId: number; readonly command: AdminCommand }
  /** The process is ending by itself: evidence at once. */
  | { readonly kind: 'goodbye'; readonly brokerId: BrokerId; readonly brokerEpoch: BrokerEpoch }
  | { readonly kind: 'probed'; readonly brokerId: BrokerId; readonly outcome: DialOutcome }
  | { readonly kind: 'replicaStates'; readonly requestId: number; readonly states: readonly (ReplicaState | null)[] };

/** Controller → broker. */
export type ControllerMessage =
  | { readonly kind: 'registered'; readonly brokerEpoch: BrokerEpoch; readonly revision: Revision }
  | { readonly kind: 'registrationRefused'; readonly fault: Fault }
  | {
      readonly kind: 'heartbeatAnswer';
      readonly sequence: number;
      readonly controllerEpoch: Revision;
      readonly state: BrokerState | 'unknown';
      /** While it wants to shut down: partitions it still leads; 0 = it may stop. */
      readonly leadersLeft: number;
      readonly wallMs: number;
      /**
       * Milliseconds since the controller asked the store the question whose answer last showed that it holds its office;
       * infinite before the first. What it says of who leads may be as old (I19).
       */
      readonly proofAgeMs: number;
    }
  | { readonly kind: 'alterPartitionAnswer'; readonly requestId: number; readonly answers: readonly IsrAnswer[] }
  | { readonly kind: 'adminAnswer'; readonly requestId: number; readonly answer: AdminAnswer }
  /** Dial this broker and tell (§2.3 E2). */
  | { readonly kind: 'probe'; readonly brokerId: BrokerId; readonly endpoint: Endpoint }
  /** Last epoch and log end offset of these replicas, for `balanced` recovery (§2.10). */
  | {
      readonly kind: 'askReplicaStates';
      readonly requestId: number;
      readonly partitions: readonly { readonly topicId: TopicId; readonly partition: number }[];
    }
  /** The other end is not the controller; its image names who is, if it knows. */
  | { readonly kind: 'notController' };

/** What a raw new connection met: accepted · refused (port closed: the process is gone) · noSuchName · silent within the time limit. */
export type DialOutcome = 'accepted' | 'refused' | 'noSuchName' | 'silent';
