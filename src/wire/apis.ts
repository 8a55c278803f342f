/**
 * Which APIs does Kafka have, by key? Every one that a client or broker may send to Kafka 4.2 is described here; which
 * of them are served is decided in the broker room. Keys 4 to 7 left Kafka with 4.0 (KIP-896) and stay unused.
 */
import type { Api } from './api.ts';
import { produceApi } from './messages/00-produce.ts';
import { fetchApi } from './messages/01-fetch.ts';
import { listOffsetsApi } from './messages/02-list-offsets.ts';
import { metadataApi } from './messages/03-metadata.ts';
import { offsetCommitApi } from './messages/08-offset-commit.ts';
import { offsetFetchApi } from './messages/09-offset-fetch.ts';
import { findCoordinatorApi } from './messages/10-find-coordinator.ts';
import { joinGroupApi } from './messages/11-join-group.ts';
import { heartbeatApi } from './messages/12-heartbeat.ts';
import { leaveGroupApi } from './messages/13-leave-group.ts';
import { syncGroupApi } from './messages/14-sync-group.ts';
import { describeGroupsApi } from './messages/15-describe-groups.ts';
import { listGroupsApi } from './messages/16-list-groups.ts';
import { saslHandshakeApi } from './messages/17-sasl-handshake.ts';
import { apiVersionsApi } from './messages/18-api-versions.ts';
import { createTopicsApi } from './messages/19-create-topics.ts';
import { deleteTopicsApi } from './messages/20-delete-topics.ts';
import { deleteRecordsApi } from './messages/21-delete-records.ts';
import { initProducerIdApi } from './messages/22-init-producer-id.ts';
import { offsetForLeaderEpochApi } from './messages/23-offset-for-leader-epoch.ts';
import { addPartitionsToTxnApi } from './messages/24-add-partitions-to-txn.ts';
import { addOffsetsToTxnApi } from './messages/25-add-offsets-to-txn.ts';
import { endTxnApi } from './messages/26-end-txn.ts';
import { writeTxnMarkersApi } from './messages/27-write-txn-markers.ts';
import { txnOffsetCommitApi } from './messages/28-txn-offset-commit.ts';
import { describeAclsApi } from './messages/29-describe-acls.ts';
import { createAclsApi } from './messages/30-create-acls.ts';
import { deleteAclsApi } from './messages/31-delete-acls.ts';
import { describeConfigsApi } from './messages/32-describe-configs.ts';
import { alterConfigsApi } from './messages/33-alter-configs.ts';
import { alterReplicaLogDirsApi } from './messages/34-alter-replica-log-dirs.ts';
import { describeLogDirsApi } from './messages/35-describe-log-dirs.ts';
import { saslAuthenticateApi } from './messages/36-sasl-authenticate.ts';
import { createPartitionsApi } from './messages/37-create-partitions.ts';
import { createDelegationTokenApi } from './messages/38-create-delegation-token.ts';
import { renewDelegationTokenApi } from './messages/39-renew-delegation-token.ts';
import { expireDelegationTokenApi } from './messages/40-expire-delegation-token.ts';
import { describeDelegationTokenApi } from './messages/41-describe-delegation-token.ts';
import { deleteGroupsApi } from './messages/42-delete-groups.ts';
import { electLeadersApi } from './messages/43-elect-leaders.ts';
import { incrementalAlterConfigsApi } from './messages/44-incremental-alter-configs.ts';
import { alterPartitionReassignmentsApi } from './messages/45-alter-partition-reassignments.ts';
import { listPartitionReassignmentsApi } from './messages/46-list-partition-reassignments.ts';
import { offsetDeleteApi } from './messages/47-offset-delete.ts';
import { describeClientQuotasApi } from './messages/48-describe-client-quotas.ts';
import { alterClientQuotasApi } from './messages/49-alter-client-quotas.ts';
import { describeUserScramCredentialsApi } from './messages/50-describe-user-scram-credentials.ts';
import { alterUserScramCredentialsApi } from './messages/51-alter-user-scram-credentials.ts';
import { voteApi } from './messages/52-vote.ts';
import { beginQuorumEpochApi } from './messages/53-begin-quorum-epoch.ts';
import { endQuorumEpochApi } from './messages/54-end-quorum-epoch.ts';
import { describeQuorumApi } from './messages/55-describe-quorum.ts';
import { alterPartitionApi } from './messages/56-alter-partition.ts';
import { updateFeaturesApi } from './messages/57-update-features.ts';
import { envelopeApi } from './messages/58-envelope.ts';
import { fetchSnapshotApi } from './messages/59-fetch-snapshot.ts';
import { describeClusterApi } from './messages/60-describe-cluster.ts';
import { describeProducersApi } from './messages/61-describe-producers.ts';
import { brokerRegistrationApi } from './messages/62-broker-registration.ts';
import { brokerHeartbeatApi } from './messages/63-broker-heartbeat.ts';
import { unregisterBrokerApi } from './messages/64-unregister-broker.ts';
import { describeTransactionsApi } from './messages/65-describe-transactions.ts';
import { listTransactionsApi } from './messages/66-list-transactions.ts';
import { allocateProducerIdsApi } from './messages/67-allocate-producer-ids.ts';
import { consumerGroupHeartbeatApi } from './messages/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribeApi } from './messages/69-consumer-group-describe.ts';
import { controllerRegistrationApi } from './messages/70-controller-registration.ts';
import { getTelemetrySubscriptionsApi } from './messages/71-get-telemetry-subscriptions.ts';
import { pushTelemetryApi } from './messages/72-push-telemetry.ts';
import { assignReplicasToDirsApi } from './messages/73-assign-replicas-to-dirs.ts';
import { listConfigResourcesApi } from './messages/74-list-config-resources.ts';
import { describeTopicPartitionsApi } from './messages/75-describe-topic-partitions.ts';
import { shareGroupHeartbeatApi } from './messages/76-share-group-heartbeat.ts';
import { shareGroupDescribeApi } from './messages/77-share-group-describe.ts';
import { shareFetchApi } from './messages/78-share-fetch.ts';
import { shareAcknowledgeApi } from './messages/79-share-acknowledge.ts';
import { addRaftVoterApi } from './messages/80-add-raft-voter.ts';
import { removeRaftVoterApi } from './messages/81-remove-raft-voter.ts';
import { updateRaftVoterApi } from './messages/82-update-raft-voter.ts';
import { initializeShareGroupStateApi } from './messages/83-initialize-share-group-state.ts';
import { readShareGroupStateApi } from './messages/84-read-share-group-state.ts';
import { writeShareGroupStateApi } from './messages/85-write-share-group-state.ts';
import { deleteShareGroupStateApi } from './messages/86-delete-share-group-state.ts';
import { readShareGroupStateSummaryApi } from './messages/87-read-share-group-state-summary.ts';
import { streamsGroupHeartbeatApi } from './messages/88-streams-group-heartbeat.ts';
import { streamsGroupDescribeApi } from './messages/89-streams-group-describe.ts';
import { describeShareGroupOffsetsApi } from './messages/90-describe-share-group-offsets.ts';
import { alterShareGroupOffsetsApi } from './messages/91-alter-share-group-offsets.ts';
import { deleteShareGroupOffsetsApi } from './messages/92-delete-share-group-offsets.ts';

const all: readonly Api[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  describeGroupsApi,
  listGroupsApi,
  saslHandshakeApi,
  apiVersionsApi,
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  offsetForLeaderEpochApi,
  addPartitionsToTxnApi,
  addOffsetsToTxnApi,
  endTxnApi,
  writeTxnMarkersApi,
  txnOffsetCommitApi,
  describeAclsApi,
  createAclsApi,
  deleteAclsApi,
  describeConfigsApi,
  alterConfigsApi,
  alterReplicaLogDirsApi,
  describeLogDirsApi,
  saslAuthenticateApi,
  createPartitionsApi,
  createDelegationTokenApi,
  renewDelegationTokenApi,
  expireDelegationTokenApi,
  describeDelegationTokenApi,
  deleteGroupsApi,
  electLeadersApi,
  incrementalAlterConfigsApi,
  alterPartitionReassignmentsApi,
  listPartitionReassignmentsApi,
  offsetDeleteApi,
  describeClientQuotasApi,
  alterClientQuotasApi,
  describeUserScramCredentialsApi,
  alterUserScramCredentialsApi,
  voteApi,
  beginQuorumEpochApi,
  endQuorumEpochApi,
  describeQuorumApi,
  alterPartitionApi,
  updateFeaturesApi,
  envelopeApi,
  fetchSnapshotApi,
  describeClusterApi,
  describeProducersApi,
  brokerRegistrationApi,
  brokerHeartbeatApi,
  unregisterBrokerApi,
  describeTransactionsApi,
  listTransactionsApi,
  allocateProducerIdsApi,
  consumerGroupHeartbeatApi,
  consumerGroupDescribeApi,
  controllerRegistrationApi,
  getTelemetrySubscriptionsApi,
  pushTelemetryApi,
  assignReplicasToDirsApi,
  listConfigResourcesApi,
  describeTopicPartitionsApi,
  shareGroupHeartbeatApi,
  shareGroupDescribeApi,
  shareFetchApi,
  shareAcknowledgeApi,
  addRaftVoterApi,
  removeRaftVoterApi,
  updateRaftVoterApi,
  initializeShareGroupStateApi,
  readShareGroupStateApi,
  writeShareGroupStateApi,
  deleteShareGroupStateApi,
  readShareGroupStateSummaryApi,
  streamsGroupHeartbeatApi,
  streamsGroupDescribeApi,
  describeShareGroupOffsetsApi,
  alterShareGroupOffsetsApi,
  deleteShareGroupOffsetsApi,
];

export const apis: ReadonlyMap<number, Api> = new Map(all.map((api) => [api.key, api]));
