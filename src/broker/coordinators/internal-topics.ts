/** The coordinators' own topics: how they are made, and which of their partitions has a key. */
import type { NewTopic } from '../../controller/control-messages.ts';
import type { BrokerConfig } from '../../model/config/broker-config.ts';

export const groupTopic = '__consumer_offsets';

/** The topic as this broker's configuration wants it; null for a name that is no coordinator's. */
export function internalTopic(name: string, { values }: BrokerConfig): NewTopic | null {
  if (name !== groupTopic) return null;
  return {
    name,
    partitions: values['offsets.topic.num.partitions'],
    // As the controller's configuration says, and its min.insync.replicas with it (`internalReplicationFactor`).
    replicationFactor: -1,
    assignment: null,
    configs: {
      'cleanup.policy': 'compact',
      'compression.type': 'producer',
      'segment.bytes': String(values['offsets.topic.segment.bytes']),
    },
    isInternal: true,
  };
}

/** Where this one process is the whole cluster and nothing else was said, nobody else could hold a copy. */
export function internalReplicationFactor({ values, set }: BrokerConfig): number {
  const key = 'offsets.topic.replication.factor';
  return values['cordwood.metadata.store'] === 'embedded' && !set.has(key) ? 1 : values[key];
}

/** Java's `String.hashCode`, made non-negative as Kafka does (`Utils.abs`): the partition of a group or transactional id. */
export function partitionForKey(key: string, partitions: number): number {
  let hash = 0;
  for (let index = 0; index < key.length; index++) hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0;
  return (hash === -2147483648 ? 0 : Math.abs(hash)) % partitions;
}
