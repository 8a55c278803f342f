/** The group coordinator's numbers, from the broker's configuration. */
import { defaultGroupOptions, type GroupOptions } from '../../coordinator/group-options.ts';
import type { BrokerConfig } from '../../model/config/broker-config.ts';

export function groupOptions({ values }: BrokerConfig): GroupOptions {
  return {
    ...defaultGroupOptions,
    minSessionTimeoutMs: values['group.min.session.timeout.ms'],
    maxSessionTimeoutMs: values['group.max.session.timeout.ms'],
    initialRebalanceDelayMs: values['group.initial.rebalance.delay.ms'],
    maxSize: values['group.max.size'],
    offsetMetadataMaxBytes: values['offset.metadata.max.bytes'],
    offsetsRetentionMs: values['offsets.retention.minutes'] * 60_000,
    offsetsRetentionCheckIntervalMs: values['offsets.retention.check.interval.ms'],
    consumerSessionTimeoutMs: values['group.consumer.session.timeout.ms'],
    consumerHeartbeatIntervalMs: values['group.consumer.heartbeat.interval.ms'],
    consumerMaxSize: values['group.consumer.max.size'],
    consumerAssignors: values['group.consumer.assignors'],
    consumerMigrationPolicy: values['group.consumer.migration.policy'] as GroupOptions['consumerMigrationPolicy'],
    consumerRegexRefreshIntervalMs: values['group.consumer.regex.refresh.interval.ms'],
  };
}
