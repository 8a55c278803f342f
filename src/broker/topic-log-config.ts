/** A topic's configuration as its logs need it. */
import type { LogConfig } from '../log/log-config.ts';
import { type BrokerConfig, effectiveTopicConfig } from '../model/config/broker-config.ts';
import type { ConfigValue } from '../model/config/config-key.ts';
import type { TopicConfigName } from '../model/config/topic-config.ts';

/** A number that stands for "no limit" is as good as none. */
const orNone = (value: number): number | null => (value >= Number.MAX_SAFE_INTEGER ? null : value);

/**
 * With other replicas a write is safe when they have it, so it is flushed in the background; the only replica flushes
 * before it answers. `flush.messages` and `flush.ms` override both.
 */
export function topicLogConfig(
  topic: Readonly<Record<string, string>>,
  replicationFactor: number,
  broker: BrokerConfig,
): LogConfig {
  const value = (name: TopicConfigName): ConfigValue => effectiveTopicConfig(name, topic, broker).value;
  const number = (name: TopicConfigName): number => Number(value(name));
  const policies = value('cleanup.policy') as readonly string[];
  return {
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    indexIntervalBytes: number('index.interval.bytes'),
    segmentIndexBytes: number('segment.index.bytes'),
    maxMessageBytes: number('max.message.bytes'),
    messageTimestampType: value('message.timestamp.type') as LogConfig['messageTimestampType'],
    messageTimestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    messageTimestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    compressionType: value('compression.type') as LogConfig['compressionType'],
    cleanupPolicy: { compact: policies.includes('compact'), delete: policies.includes('delete') },
    deleteRetentionMs: number('delete.retention.ms'),
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    producerIdExpirationMs: broker.values['producer.id.expiration.ms'],
    flushMessages: orNone(number('flush.messages')),
    flushMs: orNone(number('flush.ms')),
    flushPolicy: replicationFactor > 1 ? 'background' : 'group-commit',
  };
}
