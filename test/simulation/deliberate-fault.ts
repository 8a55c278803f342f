/**
 * The places where a test plants a fault in the protocol, to see the invariants turn red (replication-invariants §6).
 * Each is at an edge of a core: what goes in, what comes out, what its driver does. The cores themselves are the real
 * ones and know nothing of it.
 */
import type { IsrProposal, Registration } from '../../src/controller/control-messages.ts';
import type { ControlOptions } from '../../src/controller/control-options.ts';
import type { MetadataTxn } from '../../src/controller/metadata-store.ts';
import type { GroupRequest } from '../../src/coordinator/group-requests.ts';
import type { ClusterImage } from '../../src/model/cluster-image.ts';
import type { PartitionRecord } from '../../src/model/metadata-schema.ts';
import type { LeaderAction, LeaderEvent, LeaderStart, LeaderState } from '../../src/replication/leader-state.ts';
import type { CoordinatorEvent, SimulatedCoordinator, SimulatedShard } from './groups/simulated-coordinator.ts';
import type { SimulatedGroups } from './groups/simulated-groups.ts';
import type { Misfortunes } from './misfortune.ts';
import type { NetworkWeather } from './simulated-network.ts';
import type { World } from './world.ts';

export interface DeliberateFault {
  readonly name: string;
  /** false: takes too many seeds for the tests of each commit. */
  readonly isQuick?: boolean;
  /** Makes the schedules in which the fault shows more frequent; never a fault by itself. */
  readonly aim?: {
    readonly minIsr?: number;
    readonly losesPower?: boolean;
    readonly changesMinIsr?: boolean;
    /** What befalls the world, and how often. */
    readonly kinds?: Misfortunes;
    readonly everyMs?: number;
    /** It shows in worlds with consumer groups alone. */
    readonly hasGroups?: boolean;
    readonly control?: Partial<ControlOptions>;
    readonly network?: Partial<NetworkWeather>;
  };
  leaderStart?(start: LeaderStart): LeaderStart;
  /** Steps taken right after a LeaderState was made. */
  afterLeaderStart?(state: LeaderState, start: LeaderStart): void;
  leaderEvent?(event: LeaderEvent, state: LeaderState): LeaderEvent;
  /** May take further steps; what they ask for is lost. */
  afterLeaderActions?(actions: readonly LeaderAction[], state: LeaderState): void;
  /** The record as a leader comes to know it. */
  leaderRecord?(record: PartitionRecord, intendedMinIsr: number): PartitionRecord;
  /** A proposal as the controller gets it. */
  proposalAtController?(proposal: IsrProposal, image: ClusterImage): IsrProposal;
  registration?(registration: Registration): Registration;
  /** A transaction as the store gets it. */
  transaction?(txn: MetadataTxn, world: World): MetadataTxn;
  readonly cutsToHighWatermark?: boolean;
  readonly keepsEmptyEpochs?: boolean;
  /** The new broker epoch is given before the old incarnation has left anything. */
  readonly registersAtOnce?: boolean;
  /** A start after a loss of power that is killed before it is registered counts as killed, not as lossy. */
  readonly forgetsLossyStart?: boolean;
  /** A request to a group's coordinator as it comes in. */
  groupRequest?(request: GroupRequest, groups: SimulatedGroups): GroupRequest;
  /** What a coordinator is told of its partition. */
  coordinatorEvent?(event: CoordinatorEvent, coordinator: SimulatedCoordinator): CoordinatorEvent;
  /** The groups of a coordinator, put in the place of the real ones. */
  groupShard?(shard: SimulatedShard, groups: SimulatedGroups): SimulatedShard;
  /** A coordinator is not told that it has ceased to lead. */
  readonly coordinatesOn?: boolean;
  /** A coordinator answers though nobody has reached it for long. */
  readonly speaksWithoutContact?: boolean;
  /** Whoever answers as the controller is the controller, however long the store has not said so. */
  readonly trustsUnprovedControllers?: boolean;
  /** A coordinator tells what is committed without asking whether it is the coordinator still. */
  readonly tellsUnconfirmed?: boolean;
  /** A coordinator takes what its log has taken for committed. */
  readonly tellsBeforeCommitted?: boolean;
  /** Records that the log refuses change the groups all the same. */
  readonly replaysRefused?: boolean;
  /** Acks count whatever session they are of, and attach requests whatever leader epoch. */
  readonly countsLateAcks?: boolean;
}
