/** Every API this broker serves; what is not here is not in ApiVersions, and a request for it closes the connection. */
import { produce } from './api/00-produce.ts';
import { fetch } from './api/01-fetch.ts';
import { listOffsets } from './api/02-list-offsets.ts';
import { metadata } from './api/03-metadata.ts';
import { findCoordinator } from './api/10-find-coordinator.ts';
import { apiVersions } from './api/18-api-versions.ts';
import { createTopics } from './api/19-create-topics.ts';
import { deleteTopics } from './api/20-delete-topics.ts';
import { initProducerId } from './api/22-init-producer-id.ts';
import { offsetForLeaderEpoch } from './api/23-offset-for-leader-epoch.ts';
import { describeConfigs } from './api/32-describe-configs.ts';
import { createPartitions } from './api/37-create-partitions.ts';
import { describeCluster } from './api/60-describe-cluster.ts';
import { describeTopicPartitions } from './api/75-describe-topic-partitions.ts';
import type { ServedApi } from './services.ts';

export const apiTable: ReadonlyMap<number, ServedApi> = new Map(
  [
    produce,
    fetch,
    listOffsets,
    metadata,
    findCoordinator,
    apiVersions(() => apiTable.values()),
    createTopics,
    deleteTopics,
    initProducerId,
    offsetForLeaderEpoch,
    describeConfigs,
    createPartitions,
    describeCluster,
    describeTopicPartitions,
  ].map((served) => [served.api.key, served]),
);
