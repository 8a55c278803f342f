/** The logs of one data directory as replication asks for them, each with its topic's configuration of now. */
import type { LogConfig } from '../log/log-config.ts';
import type { LogDirectory } from '../log/log-directory.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { TopicId } from '../model/brands.ts';
import type { ClusterImage } from '../model/cluster-image.ts';
import type { BrokerConfig } from '../model/config/broker-config.ts';
import type { ConfigRecord } from '../model/metadata-schema.ts';
import type { ReplicaLogs } from '../replication/replica-manager.ts';
import { topicLogConfig } from './topic-log-config.ts';

export class DirectoryLogs implements ReplicaLogs {
  readonly #config: BrokerConfig;
  readonly #directory: LogDirectory;
  readonly #image: () => ClusterImage;
  /** By what metadata says of a topic, and replication factor: all partitions of one topic, and all topics without a setting, share one. */
  readonly #configs = new WeakMap<ConfigRecord, Map<number, LogConfig>>();

  constructor(modules: { config: BrokerConfig; directory: LogDirectory; image: () => ClusterImage }) {
    this.#config = modules.config;
    this.#directory = modules.directory;
    this.#image = modules.image;
  }

  #configOf(topic: string, replicationFactor: number): LogConfig {
    const record = this.#image().config('topic', topic);
    const known = this.#configs.get(record) ?? new Map<number, LogConfig>();
    const config = known.get(replicationFactor) ?? topicLogConfig(record, replicationFactor, this.#config);
    this.#configs.set(record, known.set(replicationFactor, config));
    return config;
  }

  open(topic: string, topicId: TopicId, partition: number, replicationFactor: number): Promise<PartitionLog> {
    return this.#directory.openLog({ topic, topicId, partition, config: this.#configOf(topic, replicationFactor) });
  }

  remove(log: PartitionLog): Promise<void> {
    return this.#directory.removeLog(log);
  }

  highWatermarkOf(...of: Parameters<ReplicaLogs['highWatermarkOf']>): ReturnType<ReplicaLogs['highWatermarkOf']> {
    return this.#directory.highWatermarkOf(...of);
  }

  checkpointHighWatermarks(all: Parameters<ReplicaLogs['checkpointHighWatermarks']>[0]): Promise<void> {
    return this.#directory.checkpointHighWatermarks(all);
  }

  configure(log: PartitionLog, topic: string, replicationFactor: number): void {
    log.updateConfig(this.#configOf(topic, replicationFactor));
  }
}
