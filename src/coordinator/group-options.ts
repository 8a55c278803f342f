/** The numbers of a group coordinator, each Kafka's broker key of the same meaning. */
export interface GroupOptions {
  /** `group.min.session.timeout.ms`, `group.max.session.timeout.ms` */
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  /** `group.initial.rebalance.delay.ms`: how long the first members of a group are waited for. */
  readonly initialRebalanceDelayMs: number;
  /** `group.max.size`, of classic groups */
  readonly maxSize: number;
  /** `offset.metadata.max.bytes` */
  readonly offsetMetadataMaxBytes: number;
  /** `offsets.retention.minutes`, in milliseconds */
  readonly offsetsRetentionMs: number;
  /** `offsets.retention.check.interval.ms` */
  readonly offsetsRetentionCheckIntervalMs: number;
  /** `group.consumer.session.timeout.ms` */
  readonly consumerSessionTimeoutMs: number;
  /** `group.consumer.heartbeat.interval.ms` */
  readonly consumerHeartbeatIntervalMs: number;
  /** `group.consumer.max.size` */
  readonly consumerMaxSize: number;
  /** `group.consumer.assignors`; the first is taken where no member asks for one. */
  readonly consumerAssignors: readonly string[];
  /** `group.consumer.migration.policy` */
  readonly consumerMigrationPolicy: 'disabled' | 'downgrade' | 'upgrade' | 'bidirectional';
  /** `group.consumer.regex.refresh.interval.ms` */
  readonly consumerRegexRefreshIntervalMs: number;
  /** How much all groups of a broker may keep that no log holds (`group-memory.ts`); Kafka has no key for it, and no limit. */
  readonly unwrittenMaxBytes: number;
}

/** Kafka's defaults (`GroupCoordinatorConfig.java`). */
export const defaultGroupOptions: GroupOptions = {
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  initialRebalanceDelayMs: 3000,
  maxSize: 2_147_483_647,
  offsetMetadataMaxBytes: 4096,
  offsetsRetentionMs: 10_080 * 60_000,
  offsetsRetentionCheckIntervalMs: 600_000,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5000,
  consumerMaxSize: 2_147_483_647,
  consumerAssignors: ['uniform', 'range'],
  consumerMigrationPolicy: 'bidirectional',
  consumerRegexRefreshIntervalMs: 600_000,
  unwrittenMaxBytes: 256 * 1024 * 1024,
};
