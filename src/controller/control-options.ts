/**
 * Every number of the control plane in one place, with Kafka's name where Kafka has one. `replication-invariants` §2.1
 * and §2.3 give the times; a test or a broker on a slow machine overrides single ones.
 */
export interface ControlOptions {
  /** broker.heartbeat.interval.ms (Kafka: 2000). Heartbeats run on a connection of their own. */
  readonly heartbeatIntervalMs: number;
  /** Silence after which others are asked to probe (§2.3 E2). */
  readonly suspectAfterMs: number;
  /** broker.session.timeout.ms (Kafka: 9000). Silence towards everybody after which a broker is fenced (§2.3 E2). */
  readonly fenceAfterMs: number;
  /** Silence towards the controller alone, while others reach the broker (§2.3 E2). */
  readonly fenceUnreachableAfterMs: number;
  /** How long a raw dial may take before nothing counts as an answer (§2.3 E1). */
  readonly dialTimeLimitMs: number;
  /** How long a broker asked to probe another waits for an answer of its process. */
  readonly probeTimeLimitMs: number;
  /** The cores are told the time this often. */
  readonly tickMs: number;
  /** A tick this late means that this process stalled: silence proves nothing (§2.3 stall guard). */
  readonly stallAfterMs: number;
  /** The life of `ctl/leader` and `live/<id>`; etcd grants no less than 2 s by default (§2.1.1). */
  readonly leaseTtlMs: number;
  /** The part of the lease's life after which a controller without an answered keep-alive decides nothing (§2.1.5). */
  readonly leaseDecisionFraction: number;
  /** After resigning, others may win for so long. */
  readonly resignedPauseMs: number;
  /** Fences of one incarnation within `flapWindowMs` that count as flapping (§2.3 damping). */
  readonly flapCount: number;
  readonly flapWindowMs: number;
  /** What a flapping broker waits before it becomes ACTIVE again; doubles up to `flapPenaltyMaxMs`. */
  readonly flapPenaltyMs: number;
  readonly flapPenaltyMaxMs: number;
  /** The wait of a broker before it connects to the controller again; doubles up to the maximum. */
  readonly reconnectBackoffMs: number;
  readonly reconnectBackoffMaxMs: number;
  /** Registration, AlterPartition and commands without an answer on an open stream are sent again after this. */
  readonly requestTimeoutMs: number;
  /** controlled.shutdown: past it the stop counts as `killed` (§2.8). */
  readonly shutdownTimeLimitMs: number;
  /** auto.leader.rebalance.enable */
  readonly autoLeaderRebalance: boolean;
  /** leader.imbalance.check.interval.seconds, in ms. */
  readonly leaderImbalanceCheckIntervalMs: number;
  /** leader.imbalance.per.broker.percentage */
  readonly leaderImbalancePerBrokerPercentage: number;
  /** Leadership moves back only when no broker has changed its state for so long. */
  readonly leaderRebalanceQuietMs: number;
  /** Leaders moved back in one check of the balance: each costs its clients a metadata round. */
  readonly leaderRebalanceBatch: number;
  /** num.partitions */
  readonly numPartitions: number;
  /** default.replication.factor */
  readonly defaultReplicationFactor: number;
  /** min.insync.replicas */
  readonly minInsyncReplicas: number;
  /** offsets.topic.replication.factor and its like, for internal topics created with -1 (§2.9). */
  readonly internalTopicReplicationFactor: number;
  /** min.insync.replicas of internal topics (§2.9). */
  readonly internalTopicMinInsyncReplicas: number;
  /** unclean.leader.election.enable, where the topic does not say. */
  readonly uncleanLeaderElection: boolean;
}

export const defaultControlOptions: ControlOptions = {
  heartbeatIntervalMs: 250,
  suspectAfterMs: 1000,
  fenceAfterMs: 2000,
  fenceUnreachableAfterMs: 6000,
  dialTimeLimitMs: 300,
  probeTimeLimitMs: 500,
  tickMs: 100,
  stallAfterMs: 500,
  leaseTtlMs: 3000,
  leaseDecisionFraction: 0.6,
  resignedPauseMs: 1000,
  flapCount: 3,
  flapWindowMs: 60_000,
  flapPenaltyMs: 10_000,
  flapPenaltyMaxMs: 160_000,
  reconnectBackoffMs: 20,
  reconnectBackoffMaxMs: 500,
  requestTimeoutMs: 2000,
  shutdownTimeLimitMs: 30_000,
  autoLeaderRebalance: true,
  leaderImbalanceCheckIntervalMs: 300_000,
  leaderImbalancePerBrokerPercentage: 10,
  leaderRebalanceQuietMs: 10_000,
  leaderRebalanceBatch: 50,
  numPartitions: 1,
  defaultReplicationFactor: 1,
  minInsyncReplicas: 1,
  internalTopicReplicationFactor: 3,
  internalTopicMinInsyncReplicas: 2,
  uncleanLeaderElection: false,
};
