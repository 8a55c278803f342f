/** Every API this broker serves; what is not here is not in ApiVersions, and a request for it closes the connection. */
import { produce } from './api/00-produce.ts';
import { fetch } from './api/01-fetch.ts';
import { listOffsets } from './api/02-list-offsets.ts';
import { metadata } from './api/03-metadata.ts';
import { offsetCommit } from './api/08-offset-commit.ts';
import { offsetFetch } from './api/09-offset-fetch.ts';
import { findCoordinator } from './api/10-find-coordinator.ts';
import { joinGroup } from './api/11-join-group.ts';
import { heartbeat } from './api/12-heartbeat.ts';
import { leaveGroup } from './api/13-leave-group.ts';
import { syncGroup } from './api/14-sync-group.ts';
import { describeGroups } from './api/15-describe-groups.ts';
import { listGroups } from './api/16-list-groups.ts';
import { apiVersions } from './api/18-api-versions.ts';
import { createTopics } from './api/19-create-topics.ts';
import { deleteTopics } from './api/20-delete-topics.ts';
import { initProducerId } from './api/22-init-producer-id.ts';
import { offsetForLeaderEpoch } from './api/23-offset-for-leader-epoch.ts';
import { describeConfigs } from './api/32-describe-configs.ts';
import { createPartitions } from './api/37-create-partitions.ts';
import { deleteGroups } from './api/42-delete-groups.ts';
import { offsetDelete } from './api/47-offset-delete.ts';
import { describeCluster } from './api/60-describe-cluster.ts';
import { consumerGroupHeartbeat } from './api/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribe } from './api/69-consumer-group-describe.ts';
import { describeTopicPartitions } from './api/75-describe-topic-partitions.ts';
import type { ServedApi } from './services.ts';

export const apiTable: ReadonlyMap<number, ServedApi> = new Map(
  [
    produce,
    fetch,
    listOffsets,
    metadata,
    offsetCommit,
    offsetFetch,
    findCoordinator,
    joinGroup,
    heartbeat,
    leaveGroup,
    syncGroup,
    describeGroups,
    listGroups,
    apiVersions(() => apiTable.values()),
    createTopics,
    deleteTopics,
    initProducerId,
    offsetForLeaderEpoch,
    describeConfigs,
    createPartitions,
    deleteGroups,
    offsetDelete,
    describeCluster,
    consumerGroupHeartbeat,
    consumerGroupDescribe,
    describeTopicPartitions,
  ].map((served) => [served.api.key, served]),
);
