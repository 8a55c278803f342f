import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  internalReplicationFactor,
  internalTopic,
  partitionForKey,
} from '../../../../src/broker/coordinators/internal-topics.ts';
import { loadBrokerConfig } from '../../../../src/model/config/broker-config.ts';

// Java: "…".hashCode(), known values among them the one whose absolute value does not exist.
const hashes = [
  ['', 0],
  ['hello', 99162322],
  ['polygenelubricants', 0],
  ['Aa', 2112],
  ['BB', 2112],
] as const;

for (const [key, hash] of hashes)
  test(`"${key}" lies where Java's hash code puts it`, () => {
    for (const partitions of [1, 7, 50]) assert.equal(partitionForKey(key, partitions), hash % partitions);
  });

test('a negative hash code counts without its sign', () => {
  let hash = 0;
  for (const character of 'consumer-group') hash = (31 * hash + character.charCodeAt(0)) | 0;
  assert.ok(hash < 0);
  assert.equal(partitionForKey('consumer-group', 50), -hash % 50);
});

test('one process that is its whole cluster keeps one copy unless it is told otherwise', () => {
  assert.equal(internalReplicationFactor(loadBrokerConfig({})), 1);
  assert.equal(internalReplicationFactor(loadBrokerConfig({ flags: { 'cordwood.metadata.store': 'etcd' } })), 3);
  assert.equal(internalReplicationFactor(loadBrokerConfig({ flags: { 'offsets.topic.replication.factor': '2' } })), 2);
});

test('only coordinators have topics of their own', () => {
  const config = loadBrokerConfig({ flags: { 'offsets.topic.num.partitions': '5' } });
  assert.equal(internalTopic('orders', config), null);
  const topic = internalTopic('__consumer_offsets', config);
  assert.deepEqual([topic?.partitions, topic?.isInternal, topic?.configs['cleanup.policy']], [5, true, 'compact']);
});
