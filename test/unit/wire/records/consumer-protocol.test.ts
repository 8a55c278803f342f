import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  decodeConsumerProtocol,
  encodeConsumerProtocol,
} from '../../../../src/wire/records/consumer-protocol.ts';
import { WireError } from '../../../../src/wire/wire-error.ts';

const subscription = {
  topics: ['a', 'b'],
  userData: null,
  ownedPartitions: [{ topic: 'a', partitions: [0, 1] }],
  generationId: 4,
  rackId: 'r',
};

test('a subscription is written as its version has it and read back', () => {
  const v0 = encodeConsumerProtocol(consumerProtocolSubscription, 0, subscription);
  assert.equal(v0.toString('hex'), '0000 00000002 000161 000162 ffffffff'.replaceAll(' ', ''));
  const v3 = encodeConsumerProtocol(consumerProtocolSubscription, 3, subscription);
  assert.deepEqual(decodeConsumerProtocol(consumerProtocolSubscription, v3), { version: 3, value: subscription });
});

test('a subscription of a version to come is read as the newest known', () => {
  const bytes = Buffer.concat([
    encodeConsumerProtocol(consumerProtocolSubscription, 3, subscription),
    Buffer.from('new'),
  ]);
  bytes.writeInt16BE(9);
  assert.deepEqual(decodeConsumerProtocol(consumerProtocolSubscription, bytes), { version: 9, value: subscription });
});

test('an assignment is read back; an empty one, a negative version or a cut is refused', () => {
  const assignment = { assignedPartitions: [{ topic: 'a', partitions: [3] }], userData: Buffer.from('u') };
  const bytes = encodeConsumerProtocol(consumerProtocolAssignment, 1, assignment);
  assert.deepEqual(decodeConsumerProtocol(consumerProtocolAssignment, bytes).value, assignment);
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => decodeConsumerProtocol(consumerProtocolAssignment, bytes.subarray(0, length)), WireError);
  bytes.writeInt16BE(-1);
  assert.throws(() => decodeConsumerProtocol(consumerProtocolAssignment, bytes), WireError);
});

test('a subscription to more topics than anybody has is refused before they are read', () => {
  const subscribing = (count: number): Buffer =>
    encodeConsumerProtocol(consumerProtocolSubscription, 0, { topics: Array.from({ length: count }, () => 'a') });
  assert.equal(decodeConsumerProtocol(consumerProtocolSubscription, subscribing(100_000)).value.topics.length, 100_000);
  assert.throws(() => decodeConsumerProtocol(consumerProtocolSubscription, subscribing(100_001)), WireError);
});
