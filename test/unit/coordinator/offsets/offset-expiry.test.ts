import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { ClassicGroup } from '../../../../src/coordinator/classic/classic-group.ts';
import { DeadlineQueue } from '../../../../src/coordinator/deadline-queue.ts';
import { GroupMemory, ShardMemory } from '../../../../src/coordinator/group-memory.ts';
import { defaultGroupOptions } from '../../../../src/coordinator/group-options.ts';
import { CommittedOffsets } from '../../../../src/coordinator/offsets/committed-offsets.ts';
import { expiredOffsets } from '../../../../src/coordinator/offsets/offset-expiry.ts';
import { leaderEpoch, offset, type TopicId, topicId } from '../../../../src/model/brands.ts';
import { ClusterImage } from '../../../../src/model/cluster-image.ts';
import { group, joinOf, jsonProtocol, ordersId, subscriptionTo } from '../coordinator-fixture.ts';

const dayMs = 86_400_000;
const retentionMs = 7 * dayMs;
const today = 100 * dayMs;

/** As it is loaded: with a member that reads `orders`, or without any since a day. */
function loaded(protocolType: string, state: 'simple' | 'stable' | 'empty', sinceMs = -1): ClassicGroup {
  const classic = new ClassicGroup(group, {
    options: defaultGroupOptions,
    image: () => new ClusterImage(),
    newUuid: () => '00000000-0000-4000-8000-000000000000',
    consumerProtocol: jsonProtocol,
    deadlines: new DeadlineQueue(),
    memory: new ShardMemory(new GroupMemory(1_000_000)),
    maxBatchBytes: () => 1_000_000,
  });
  const member = {
    memberId: 'm',
    instanceId: null,
    clientId: 'app',
    clientHost: '/10.0.0.1',
    rebalanceTimeoutMs: 30_000,
    sessionTimeoutMs: 10_000,
    subscription: subscriptionTo('orders'),
    assignment: Buffer.alloc(0),
  };
  if (state !== 'simple')
    classic.replay({
      protocolType,
      generation: 3,
      protocol: state === 'stable' ? 'range' : null,
      leader: state === 'stable' ? 'm' : null,
      currentStateTimestampMs: sinceMs,
      members: state === 'stable' ? [member] : [],
    });
  return classic;
}

const image = new ClusterImage();
const orders = { name: 'orders', partitions: 1, isInternal: false, createdAtMs: 0 };
image.topics.set(ordersId, { id: ordersId, record: orders, modRevision: image.revision, partitions: [] });

/** Topics whose offset expires: `orders` and `refunds` were committed at that time. */
function expiredTopics(
  classic: ClassicGroup,
  committedMs: number,
  expireMs: number | null = null,
  topicId: TopicId = ordersId,
): string[] {
  const offsets = new CommittedOffsets();
  for (const topic of ['orders', 'refunds'])
    offsets.replay(group, topic, 0, {
      offset: offset(7),
      leaderEpoch: leaderEpoch(0),
      metadata: '',
      commitTimestampMs: committedMs,
      expireTimestampMs: expireMs,
      topicId,
    });
  const records = expiredOffsets(classic, offsets, { retentionMs, image }, { monotonicMs: 0, wallMs: today });
  return records.map((record) => {
    assert.ok(record.kind === 'offsetCommit' && record.value === null && record.partition === 0);
    return record.topic;
  });
}

const daysAgo = (days: number): number => today - days * dayMs;
const both = ['orders', 'refunds'];

describe('offsets expire', () => {
  // … | the group | committed | expire timestamp | expired
  const cases = [
    [
      'with their group, a retention after it became empty',
      loaded('consumer', 'empty', daysAgo(7)),
      daysAgo(30),
      null,
      both,
    ],
    ['not before that', loaded('consumer', 'empty', daysAgo(7) + 1), daysAgo(30), null, []],
    [
      'not a retention after the group became empty, where they were committed later',
      loaded('consumer', 'empty', daysAgo(30)),
      daysAgo(6),
      null,
      [],
    ],
    [
      'a retention after their commit, where it is not written since when the group is empty',
      loaded('consumer', 'empty'),
      daysAgo(7),
      null,
      both,
    ],
    ['not before that either', loaded('consumer', 'empty'), daysAgo(7) + 1, null, []],
    [
      'of a group that commits alone have made, a retention after their commit',
      loaded('', 'simple'),
      daysAgo(7),
      null,
      both,
    ],
    ['of such a group not before', loaded('', 'simple'), daysAgo(7) + 1, null, []],
    [
      'while there are members: of topics that none of them reads',
      loaded('consumer', 'stable'),
      daysAgo(7),
      null,
      ['refunds'],
    ],
    ['of those not before their time', loaded('consumer', 'stable'), daysAgo(7) + 1, null, []],
    ['never where it is not known what members read', loaded('connect', 'stable'), daysAgo(300), null, []],
    [
      'at the time that was given with the commit, be it early',
      loaded('consumer', 'empty', daysAgo(1)),
      daysAgo(1),
      today,
      both,
    ],
    [
      'at the time that was given with the commit, be it late',
      loaded('consumer', 'empty', daysAgo(30)),
      daysAgo(30),
      today + 1,
      [],
    ],
  ] as const;
  for (const [title, classic, committedMs, expireMs, expected] of cases)
    test(title, () => assert.deepEqual(expiredTopics(classic, committedMs, expireMs), expected));

  test('not in the middle of a rebalance, whoever reads them', () => {
    const classic = loaded('consumer', 'stable');
    classic.join(joinOf(), 1, { monotonicMs: 0, wallMs: today });
    assert.equal(classic.stateName(), 'PreparingRebalance');
    assert.deepEqual(expiredTopics(classic, daysAgo(300)), []);
  });

  test('at any time where their topic is gone', () => {
    const gone = topicId('BBBBBBBBBBBBBBBBBBBBBB');
    assert.deepEqual(expiredTopics(loaded('consumer', 'stable'), today, null, gone), both);
    assert.deepEqual(expiredTopics(loaded('connect', 'stable'), today, null, gone), both);
  });
});
