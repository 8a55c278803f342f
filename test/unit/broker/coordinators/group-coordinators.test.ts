import assert from 'node:assert/strict';
import { test } from 'vitest';
import { GroupCoordinators } from '../../../../src/broker/coordinators/group-coordinators.ts';
import { defaultGroupOptions } from '../../../../src/coordinator/group-options.ts';
import { silentLogger } from '../../../../src/env/logger.ts';
import { leaderEpoch, offsetZero, topicId } from '../../../../src/model/brands.ts';
import { ClusterImage } from '../../../../src/model/cluster-image.ts';
import type { Replica } from '../../../../src/replication/replica.ts';
import { ManualTime } from '../../../support/manual-time.ts';
import { b1 } from '../../replication/partition-fixture.ts';

/** `__consumer_offsets` with one partition that nobody leads yet. */
function offsetsTopic(image: ClusterImage): void {
  const id = topicId('offsetsoffsetsoffsetsA');
  const modRevision = image.revision;
  const record = { name: '__consumer_offsets', partitions: 1, isInternal: true, createdAtMs: 0 };
  image.topics.set(id, { id, record, modRevision, partitions: [] });
  image.topicIds.set('__consumer_offsets', { record: id, modRevision });
}

/** As much of a replica as a coordinator needs that has an empty log and leads at once. */
const leading = {
  topic: '__consumer_offsets',
  partition: 0,
  leadership: { leaderEpoch: leaderEpoch(1), leaderEpochStartOffset: offsetZero },
  logStartOffset: offsetZero,
  highWatermark: offsetZero,
  mayActAsLeader: () => true,
  log: { config: { maxMessageBytes: 1_000_000 } },
  onProgress: () => () => undefined,
  onLeadershipConfirmed: () => () => undefined,
} as unknown as Replica;

test('who has gone while its coordinator was elected joins no group', async () => {
  const time = new ManualTime();
  const image = new ClusterImage();
  offsetsTopic(image);
  const random = { next: () => 0.5, bytes: (length: number) => Buffer.alloc(length, 1) };
  const groups = new GroupCoordinators(
    { localId: b1, groups: defaultGroupOptions, commitTimeoutMs: 5000 },
    { clock: time, timers: time, random, logger: silentLogger, image: () => image, isStreamBroken: () => false },
  );
  const join = {
    kind: 'joinGroup',
    groupId: 'group',
    memberId: '',
    instanceId: null,
    clientId: 'app',
    clientHost: '/10.0.0.1',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 30_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    reason: null,
    knowsMemberIdRequired: false,
    knowsSkipAssignment: false,
  } as const;
  const listeners = new Set<() => void>();
  const onDisconnect = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const gone = groups.ask(join, onDisconnect);
  const there = groups.ask({ ...join, groupId: 'other' }, () => () => undefined);
  await time.advance(10);
  for (const listener of listeners) listener();
  groups.onReplicaOpened(leading);
  await gone;
  const states = await groups.list({ kind: 'listGroups', states: new Set(), types: new Set() }, onDisconnect);
  assert.deepEqual(
    states.groups.map(({ groupId }) => groupId),
    ['other'],
  );
  groups.close();
  await there;
});

test('a group that is not here leaves nothing of who asked for it', async () => {
  const time = new ManualTime();
  const random = { next: () => 0.5, bytes: (length: number) => Buffer.alloc(length, 1) };
  const groups = new GroupCoordinators(
    { localId: b1, groups: defaultGroupOptions, commitTimeoutMs: 5000 },
    {
      ...{ clock: time, timers: time, random, logger: silentLogger },
      ...{ image: () => new ClusterImage(), isStreamBroken: () => false },
    },
  );
  const listeners = new Set<() => void>();
  const onDisconnect = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const answer = await groups.ask({ kind: 'describeGroup', groupId: 'group' }, onDisconnect);
  assert.deepEqual(answer, { fault: { code: 'NOT_COORDINATOR' } });
  assert.equal(listeners.size, 0);
  groups.close();
});
