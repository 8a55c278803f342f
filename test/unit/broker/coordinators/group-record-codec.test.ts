import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { decodeGroupRecord, encodeGroupRecord } from '../../../../src/broker/coordinators/group-record-codec.ts';
import type { GroupRecord } from '../../../../src/coordinator/group-records.ts';
import { offset, topicId } from '../../../../src/model/brands.ts';
import { encodeRecordKey, encodeRecordValue, leadingInt16 } from '../../../../src/wire/records/coordinator-record.ts';
import { groupMetadataRecord } from '../../../../src/wire/records/group-metadata-records.ts';
import { legacyOffsetCommitRecord, offsetCommitRecord } from '../../../../src/wire/records/offset-commit-records.ts';

const id = topicId('AbCdEfGhIjKlMnOpQrStUg');
const groupId = 'group';
const memberId = 'member-1';

const records: readonly GroupRecord[] = [
  {
    kind: 'offsetCommit',
    groupId,
    topic: 'orders',
    partition: 3,
    value: {
      offset: offset(41),
      leaderEpoch: 7,
      metadata: 'żółw',
      commitTimestampMs: 1_790_000_000_000,
      expireTimestampMs: null,
      topicId: id,
    },
  },
  {
    kind: 'offsetCommit',
    groupId,
    topic: 'orders',
    partition: 0,
    // What was committed with a retention of its own has no place for the leader epoch and the topic id.
    value: {
      offset: offset(1),
      leaderEpoch: -1,
      metadata: '',
      commitTimestampMs: 5,
      expireTimestampMs: 1005,
      topicId: null,
    },
  },
  {
    kind: 'classicGroup',
    groupId,
    value: {
      protocolType: 'consumer',
      generation: 4,
      protocol: 'range',
      leader: memberId,
      currentStateTimestampMs: 1_790_000_000_001,
      members: [
        {
          memberId,
          instanceId: 'static',
          clientId: 'client',
          clientHost: '/127.0.0.1',
          rebalanceTimeoutMs: 60_000,
          sessionTimeoutMs: 30_000,
          subscription: Buffer.from([0, 1, 2]),
          assignment: Buffer.from([3]),
        },
      ],
    },
  },
  { kind: 'consumerGroupMetadata', groupId, value: { epoch: 12, metadataHash: -3n } },
  {
    kind: 'consumerGroupMember',
    groupId,
    memberId,
    value: {
      instanceId: null,
      rackId: 'rack',
      clientId: 'client',
      clientHost: '/::1',
      subscribedTopicNames: ['a', 'b'],
      subscribedTopicRegex: '^a.*',
      rebalanceTimeoutMs: 300_000,
      serverAssignor: 'uniform',
      classicMemberMetadata: {
        sessionTimeoutMs: 45_000,
        supportedProtocols: [{ name: 'range', metadata: Buffer.from([9, 9]) }],
      },
    },
  },
  {
    kind: 'consumerGroupTargetAssignmentMetadata',
    groupId,
    value: { assignmentEpoch: 12, assignmentTimestampMs: 1_790_000_000_002 },
  },
  {
    kind: 'consumerGroupTargetAssignmentMember',
    groupId,
    memberId,
    value: { topicPartitions: [{ topicId: id, partitions: [0, 2, 5] }] },
  },
  {
    kind: 'consumerGroupCurrentAssignment',
    groupId,
    memberId,
    value: {
      memberEpoch: 12,
      previousMemberEpoch: 11,
      state: 1,
      assignedPartitions: [{ topicId: id, partitions: [0] }],
      partitionsPendingRevocation: [{ topicId: id, partitions: [2, 5] }],
    },
  },
  {
    kind: 'consumerGroupRegularExpression',
    groupId,
    regularExpression: '^a.*',
    value: { topics: ['a', 'ab'], version: 77, timestampMs: 1_790_000_000_003 },
  },
];

describe.each(records.map((record) => [record.kind, record] as const))('%s', (_, record) => {
  test('reads as it was written', () => {
    const { key, value, timestampMs } = encodeGroupRecord(record, 99);
    assert.equal(timestampMs, 99);
    assert.ok(key !== null && value !== null);
    assert.deepEqual(decodeGroupRecord(key, value), record);
  });

  test('is deleted by a record with the same key and no value', () => {
    const tombstone = { ...record, value: null } as GroupRecord;
    const written = encodeGroupRecord(tombstone, 0);
    assert.deepEqual(written.key, encodeGroupRecord(record, 0).key);
    assert.equal(written.value, null);
    assert.deepEqual(decodeGroupRecord(written.key as Buffer, null), tombstone);
  });
});

const versionOf = (record: GroupRecord | undefined): number =>
  leadingInt16(encodeGroupRecord(record as GroupRecord, 0).value as Buffer);

test('values have the versions that Kafka 4 writes, and version 1 where an offset expires by itself', () => {
  assert.deepEqual(records.map(versionOf), [4, 1, 3, 0, 0, 0, 0, 0, 0]);
});

test('offsets of every version that Kafka ever wrote are read', () => {
  const at = { offset: 5n, metadata: 'm', commitTimestamp: 6n };
  const key = encodeRecordKey(offsetCommitRecord, { group: groupId, topic: 't', partition: 1 });
  for (let version = 0; version <= 4; version++) {
    const record = decodeGroupRecord(key, encodeRecordValue(offsetCommitRecord, version, at));
    assert.ok(record?.kind === 'offsetCommit', `version ${version}`);
    assert.deepEqual(record.value, {
      offset: offset(5),
      leaderEpoch: -1,
      metadata: 'm',
      commitTimestampMs: 6,
      expireTimestampMs: null,
      topicId: null,
    });
  }
  const legacyKey = encodeRecordKey(legacyOffsetCommitRecord, { group: groupId, topic: 't', partition: 1 });
  const legacy = decodeGroupRecord(legacyKey, encodeRecordValue(legacyOffsetCommitRecord, 0, at));
  assert.ok(legacy?.kind === 'offsetCommit');
  assert.deepEqual([legacy.groupId, legacy.topic, legacy.partition, legacy.value?.offset], [groupId, 't', 1, 5]);
});

test('a group of version 0 has its session timeout for a rebalance timeout', () => {
  const key = encodeRecordKey(groupMetadataRecord, { group: groupId });
  const member = {
    memberId,
    clientId: 'c',
    clientHost: '/h',
    sessionTimeout: 30_000,
    subscription: Buffer.alloc(0),
    assignment: Buffer.alloc(0),
  };
  const value = { protocolType: 'consumer', generation: 1, protocol: 'range', leader: memberId, members: [member] };
  const record = decodeGroupRecord(key, encodeRecordValue(groupMetadataRecord, 0, value));
  assert.ok(record?.kind === 'classicGroup');
  assert.equal(record.value?.members[0]?.rebalanceTimeoutMs, -1);
  assert.equal(record.value?.members[0]?.instanceId, null);
});

test('records of other kinds of groups are passed over, malformed ones are errors', () => {
  const shareGroup = Buffer.from([0, 11, 0, 0]);
  assert.equal(decodeGroupRecord(shareGroup, null), null);
  assert.throws(() => decodeGroupRecord(Buffer.from([0]), null), /WireError|bytes/);
  const key = encodeGroupRecord(records[0] as GroupRecord, 0).key as Buffer;
  assert.throws(() => decodeGroupRecord(key, Buffer.from([0, 99])), /version 99/);
});

test('what a member told is kept as a copy, not as a view of what was read', () => {
  const { key, value } = encodeGroupRecord(records[2] as GroupRecord, 0);
  assert.ok(key && value);
  const record = decodeGroupRecord(key, value);
  assert.ok(record?.kind === 'classicGroup');
  value.fill(0xff);
  assert.deepEqual(record.value?.members[0]?.subscription, Buffer.from([0, 1, 2]));
});
