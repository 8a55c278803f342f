/**
 * Groups as clients of every age see them: each version of each API in one life of a group of one member, and the answers
 * to whoever does not belong.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Api } from '../../../src/wire/api.ts';
import { metadataApi } from '../../../src/wire/messages/03-metadata.ts';
import { offsetCommitApi } from '../../../src/wire/messages/08-offset-commit.ts';
import { offsetFetchApi } from '../../../src/wire/messages/09-offset-fetch.ts';
import { findCoordinatorApi } from '../../../src/wire/messages/10-find-coordinator.ts';
import { joinGroupApi } from '../../../src/wire/messages/11-join-group.ts';
import { heartbeatApi } from '../../../src/wire/messages/12-heartbeat.ts';
import { leaveGroupApi } from '../../../src/wire/messages/13-leave-group.ts';
import { syncGroupApi } from '../../../src/wire/messages/14-sync-group.ts';
import { describeGroupsApi } from '../../../src/wire/messages/15-describe-groups.ts';
import { listGroupsApi } from '../../../src/wire/messages/16-list-groups.ts';
import { createTopicsApi } from '../../../src/wire/messages/19-create-topics.ts';
import { deleteGroupsApi } from '../../../src/wire/messages/42-delete-groups.ts';
import { offsetDeleteApi } from '../../../src/wire/messages/47-offset-delete.ts';
import { consumerGroupHeartbeatApi } from '../../../src/wire/messages/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribeApi } from '../../../src/wire/messages/69-consumer-group-describe.ts';
import { TestCluster } from '../../support/dev.ts';
import { until } from '../../support/until.ts';
import { WireClient } from '../../support/wire-client.ts';

let cluster: TestCluster;
let client: WireClient;
let topicId = '';
const topic = 'orders';

beforeAll(async () => {
  cluster = await TestCluster.start({ brokers: 1, config: { 'offsets.topic.num.partitions': '5' } });
  client = await WireClient.open(cluster.addressOf(1));
  const topics = [{ name: topic, numPartitions: 4, replicationFactor: 1 }];
  const created = await client.ask(createTopicsApi, 7, { topics, timeoutMs: 10_000 });
  topicId = created.topics[0]?.topicId ?? '';
});
afterAll(async () => {
  client?.close();
  await cluster?.remove();
});

/** The version of an API that a client of this age speaks: 0 is the oldest, and past its newest an API stays there. */
const versionOf = (api: Api, age: number): number => Math.min(Math.max(age, api.versions.lowest), api.versions.highest);

async function findCoordinator(group: string, age: number): Promise<number> {
  const version = versionOf(findCoordinatorApi as unknown as Api, age);
  let found = -1;
  await until('the coordinator is there', async () => {
    const answer = await client.ask(findCoordinatorApi, version, { key: group, coordinatorKeys: [group], keyType: 0 });
    const one = version >= 4 ? answer.coordinators[0] : answer;
    found = one?.errorCode === 0 ? one.nodeId : -1;
    return found !== -1;
  });
  return found;
}

const oldest = 0;
const newest = 10;
const ages = Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index);

describe.each(ages)('a client of age %i', (age) => {
  const group = `age-${age}`;
  const at = (api: unknown): number => versionOf(api as Api, age);
  const metadata = Buffer.from([0, 0, 0, 0, 0, 1, 0, 6, ...Buffer.from(topic), 0, 0, 0, 0]);
  const assignment = Buffer.from('what the leader says');

  test('joins, reads its assignment, commits, is described, leaves, and the group is deleted', async () => {
    assert.equal(await findCoordinator(group, age), 1);

    const protocols = [{ name: 'range', metadata }];
    const join = {
      groupId: group,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      protocolType: 'consumer',
      protocols,
    };
    let joined = await client.ask(joinGroupApi, at(joinGroupApi), join);
    if (at(joinGroupApi) >= 4) {
      assert.equal(joined.errorCode, 79);
      assert.notEqual(joined.memberId, '');
      joined = await client.ask(joinGroupApi, at(joinGroupApi), { ...join, memberId: joined.memberId });
    }
    assert.deepEqual([joined.errorCode, joined.generationId, joined.protocolName], [0, 1, 'range']);
    const { memberId, generationId } = joined;
    assert.equal(joined.leader, memberId);
    assert.deepEqual(
      joined.members.map((member) => [member.memberId, member.metadata]),
      [[memberId, metadata]],
    );
    if (at(joinGroupApi) >= 7) assert.equal(joined.protocolType, 'consumer');

    const member = { groupId: group, generationId, memberId };
    const synced = await client.ask(syncGroupApi, at(syncGroupApi), {
      ...member,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [{ memberId, assignment }],
    });
    assert.deepEqual([synced.errorCode, synced.assignment], [0, assignment]);
    assert.equal((await client.ask(heartbeatApi, at(heartbeatApi), member)).errorCode, 0);

    const commit = (generation: number, partitionIndex: number, offset: bigint) =>
      client.ask(offsetCommitApi, at(offsetCommitApi), {
        groupId: group,
        memberId,
        generationIdOrMemberEpoch: generation,
        topics: [
          {
            name: topic,
            topicId,
            partitions: [{ partitionIndex, committedOffset: offset, committedLeaderEpoch: 3, committedMetadata: 'm' }],
          },
        ],
      });
    const errorOf = (answer: Awaited<ReturnType<typeof commit>>) => answer.topics[0]?.partitions[0]?.errorCode;
    assert.equal(errorOf(await commit(generationId, 1, 42n)), 0);
    assert.equal(errorOf(await commit(generationId + 1, 1, 43n)), 22, 'ILLEGAL_GENERATION');
    assert.equal(errorOf(await commit(generationId, 4, 1n)), 3, 'no such partition');

    const fetchVersion = at(offsetFetchApi);
    const asked = [{ name: topic, topicId, partitionIndexes: [0, 1] }];
    const fetched = await client.ask(offsetFetchApi, fetchVersion, {
      groupId: group,
      topics: asked,
      groups: [{ groupId: group, topics: asked }],
    });
    const positions = fetchVersion >= 8 ? fetched.groups[0]?.topics : fetched.topics;
    const told = (positions?.[0]?.partitions ?? []).map((one) => [
      one.partitionIndex,
      one.committedOffset,
      one.errorCode,
    ]);
    assert.deepEqual(told, [
      [0, -1n, 0],
      [1, 42n, 0],
    ]);
    const [, committed] = positions?.[0]?.partitions ?? [];
    assert.equal(committed?.metadata, 'm');
    if (fetchVersion >= 5 && at(offsetCommitApi) >= 6) assert.equal(committed?.committedLeaderEpoch, 3);
    if (fetchVersion >= 2) {
      const everything = await client.ask(offsetFetchApi, fetchVersion, {
        groupId: group,
        topics: null,
        groups: [{ groupId: group, topics: null }],
      });
      const all = (fetchVersion >= 8 ? everything.groups[0]?.topics : everything.topics) ?? [];
      assert.deepEqual(
        all.map(({ partitions }) => partitions.map((one) => one.committedOffset)),
        [[42n]],
      );
    }

    const [described] = (await client.ask(describeGroupsApi, at(describeGroupsApi), { groups: [group] })).groups;
    assert.deepEqual(
      [described?.errorCode, described?.groupState, described?.protocolType, described?.protocolData],
      [0, 'Stable', 'consumer', 'range'],
    );
    assert.deepEqual(
      described?.members.map((one) => [one.memberId, one.clientHost, one.memberAssignment]),
      [[memberId, '/127.0.0.1', assignment]],
    );
    const listed = (
      await client.ask(listGroupsApi, at(listGroupsApi), { statesFilter: ['stable'], typesFilter: ['CLASSIC'] })
    ).groups;
    const mine = listed.find((one) => one.groupId === group);
    assert.equal(mine?.protocolType, 'consumer');
    if (at(listGroupsApi) >= 5) assert.deepEqual([mine.groupState, mine.groupType], ['Stable', 'classic']);

    const inUse = await client.ask(deleteGroupsApi, at(deleteGroupsApi), { groupsNames: [group] });
    assert.equal(inUse.results[0]?.errorCode, 68, 'NON_EMPTY_GROUP');
    const subscribed = await client.ask(offsetDeleteApi, 0, {
      groupId: group,
      topics: [{ name: topic, partitions: [{ partitionIndex: 1 }] }],
    });
    assert.deepEqual([subscribed.errorCode, subscribed.topics[0]?.partitions[0]?.errorCode], [0, 86]);

    const left = await client.ask(leaveGroupApi, at(leaveGroupApi), {
      groupId: group,
      memberId,
      members: [{ memberId }],
    });
    assert.equal(left.errorCode, 0);
    if (at(leaveGroupApi) >= 3)
      assert.deepEqual(
        left.members.map((one) => one.errorCode),
        [0],
      );
    assert.equal((await client.ask(heartbeatApi, at(heartbeatApi), member)).errorCode, 25, 'UNKNOWN_MEMBER_ID');

    const deleted = await client.ask(offsetDeleteApi, 0, {
      groupId: group,
      topics: [{ name: topic, partitions: [{ partitionIndex: 1 }] }],
    });
    assert.deepEqual([deleted.errorCode, deleted.topics[0]?.partitions[0]?.errorCode], [0, 0]);
    const gone = await client.ask(deleteGroupsApi, at(deleteGroupsApi), { groupsNames: [group] });
    assert.equal(gone.results[0]?.errorCode, 0);
    const [dead] = (await client.ask(describeGroupsApi, at(describeGroupsApi), { groups: [group] })).groups;
    assert.deepEqual([dead?.errorCode, dead?.groupState], [at(describeGroupsApi) >= 6 ? 69 : 0, 'Dead']);
  });
});

describe.each([0, 1])('ConsumerGroupHeartbeat %i', (version) => {
  const groupId = `new-${version}`;

  test('a member joins, owns what it is assigned, is described, commits by its epoch, and leaves', async () => {
    await findCoordinator(groupId, 6);
    const joined = await client.ask(consumerGroupHeartbeatApi, version, {
      groupId,
      memberId: version === 1 ? 'member-of-its-own-making' : '',
      memberEpoch: 0,
      rebalanceTimeoutMs: 10_000,
      subscribedTopicNames: [topic],
      topicPartitions: [],
    });
    assert.deepEqual([joined.errorCode, joined.errorMessage], [0, null]);
    const { memberId, memberEpoch } = joined;
    assert.ok(memberId && memberEpoch > 0);
    assert.deepEqual(joined.assignment?.topicPartitions, [{ topicId, partitions: [0, 1, 2, 3] }]);
    const topicPartitions = joined.assignment?.topicPartitions ?? [];
    const beat = await client.ask(consumerGroupHeartbeatApi, version, {
      groupId,
      memberId,
      memberEpoch,
      topicPartitions,
    });
    assert.deepEqual([beat.errorCode, beat.memberEpoch, beat.assignment], [0, memberEpoch, null]);

    const [described] = (await client.ask(consumerGroupDescribeApi, 1, { groupIds: [groupId] })).groups;
    assert.deepEqual([described?.errorCode, described?.groupState, described?.assignorName], [0, 'Stable', 'uniform']);
    assert.deepEqual(described?.members[0]?.assignment.topicPartitions, [
      { topicId, topicName: topic, partitions: [0, 1, 2, 3] },
    ]);
    const [classic] = (await client.ask(describeGroupsApi, 6, { groups: [groupId] })).groups;
    assert.deepEqual([classic?.errorCode, classic?.groupState], [69, 'Dead']);

    const commit = (commitVersion: number, generationIdOrMemberEpoch: number) =>
      client.ask(offsetCommitApi, commitVersion, {
        groupId,
        memberId,
        generationIdOrMemberEpoch,
        topics: [{ name: topic, topicId, partitions: [{ partitionIndex: 0, committedOffset: 9n }] }],
      });
    const errorOf = (answer: Awaited<ReturnType<typeof commit>>) => answer.topics[0]?.partitions[0]?.errorCode;
    assert.equal(errorOf(await commit(9, memberEpoch)), 0);
    assert.equal(errorOf(await commit(10, memberEpoch)), 0);
    assert.equal(errorOf(await commit(9, memberEpoch + 1)), 113, 'STALE_MEMBER_EPOCH');
    assert.equal(errorOf(await commit(8, memberEpoch)), 35, 'UNSUPPORTED_VERSION');

    const left = await client.ask(consumerGroupHeartbeatApi, version, { groupId, memberId, memberEpoch: -1 });
    assert.deepEqual([left.errorCode, left.memberEpoch], [0, -1]);
    const unknown = await client.ask(consumerGroupHeartbeatApi, version, { groupId, memberId, memberEpoch });
    assert.equal(unknown.errorCode, 25);
    const gone = await client.ask(deleteGroupsApi, 2, { groupsNames: [groupId] });
    assert.equal(gone.results[0]?.errorCode, 0);
  });
});

test('groups that nobody made, and names that are none', async () => {
  await findCoordinator('nobody', 6);
  const [described] = (await client.ask(consumerGroupDescribeApi, 0, { groupIds: ['nobody'] })).groups;
  assert.equal(described?.errorCode, 69);
  assert.equal((await client.ask(deleteGroupsApi, 2, { groupsNames: ['nobody'] })).results[0]?.errorCode, 69);
  const joined = await client.ask(joinGroupApi, 9, { groupId: '', sessionTimeoutMs: 10_000, protocolType: 'consumer' });
  assert.equal(joined.errorCode, 24, 'INVALID_GROUP_ID');
  const short = await client.ask(joinGroupApi, 9, { groupId: 'short', sessionTimeoutMs: 5, protocolType: 'consumer' });
  assert.equal(short.errorCode, 26, 'INVALID_SESSION_TIMEOUT');
  const offsets = await client.ask(offsetFetchApi, 9, {
    groups: [{ groupId: 'nobody', topics: [{ name: topic, partitionIndexes: [0] }] }],
  });
  assert.equal(offsets.groups[0]?.errorCode, 0);
  assert.equal(offsets.groups[0]?.topics[0]?.partitions[0]?.committedOffset, -1n);
  const unnamed = await client.ask(syncGroupApi, 5, { groupId: 'nobody', memberId: 'x', generationId: 1 });
  assert.equal(unnamed.errorCode, 23, 'INCONSISTENT_GROUP_PROTOCOL');
});

test('offsets of an unknown topic id are refused one by one, the others are committed', async () => {
  await findCoordinator('by-id', 6);
  const other = 'AbCdEfGhIjKlMnOpQrStUg';
  const partitions = [{ partitionIndex: 0, committedOffset: 5n }];
  const answer = await client.ask(offsetCommitApi, 10, {
    groupId: 'by-id',
    generationIdOrMemberEpoch: -1,
    topics: [
      { topicId: other, partitions },
      { topicId, partitions },
    ],
  });
  assert.deepEqual(
    answer.topics.map((one) => [one.topicId, one.partitions[0]?.errorCode]),
    [
      [other, 100],
      [topicId, 0],
    ],
  );
});

// kafkajs resets a group, and comes back from OFFSET_OUT_OF_RANGE, by committing -1 (the end) or -2 (the beginning).
test('offsets below zero are committed and told as they are, those past what is exact are refused', async () => {
  await findCoordinator('reset', 6);
  const offsets = [-1n, -2n, 7n, 2n ** 53n];
  const committed = await client.ask(offsetCommitApi, 8, {
    groupId: 'reset',
    generationIdOrMemberEpoch: -1,
    topics: [
      {
        name: topic,
        partitions: offsets.map((committedOffset, partitionIndex) => ({ partitionIndex, committedOffset })),
      },
    ],
  });
  const codes = committed.topics[0]?.partitions.map(({ errorCode }) => errorCode);
  assert.deepEqual(codes, [0, 0, 0, 42], 'INVALID_REQUEST for the last');
  const fetched = await client.ask(offsetFetchApi, 8, { groups: [{ groupId: 'reset', topics: null }] });
  const told = fetched.groups[0]?.topics[0]?.partitions.map((one) => one.committedOffset);
  assert.deepEqual(told, [-1n, -2n, 7n]);
});

test('the topic of the groups is internal and cannot be written by clients', async () => {
  await findCoordinator('internal', 6);
  const answer = await client.ask(metadataApi, 12, { topics: [{ name: '__consumer_offsets' }] });
  assert.deepEqual([answer.topics[0]?.isInternal, answer.topics[0]?.partitions.length], [true, 5]);
});
