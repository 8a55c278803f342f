import assert from 'node:assert/strict';
import { test } from 'vitest';
import { findCoordinator } from '../../../../src/broker/api/10-find-coordinator.ts';
import { topicId } from '../../../../src/model/brands.ts';
import { findCoordinatorApi } from '../../../../src/wire/messages/10-find-coordinator.ts';
import { ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { ServicesUnderTest } from '../services-fixture.ts';

test('a thousand groups have their topic made once, and are waited for together', async () => {
  const manager = await ManagerUnderTest.start([{}]);
  const under = new ServicesUnderTest(manager);
  const coordinatorKeys = Array.from({ length: 1000 }, (_, index) => `group-${index}`);
  const asking = under.ask(findCoordinator, findCoordinatorApi, 4, { keyType: 0, coordinatorKeys });
  await manager.time.advance(1000);
  const { coordinators } = await asking;
  assert.deepEqual(
    coordinators.map(({ key, errorCode, nodeId }) => [key, errorCode, nodeId]),
    coordinatorKeys.map((key) => [key, 15, -1]),
  );
  assert.deepEqual(
    under.commands.map(({ kind }) => kind),
    ['createTopics'],
  );
});

test('each group of a batch has its own answer', async () => {
  const manager = await ManagerUnderTest.start([{}]);
  const under = new ServicesUnderTest(manager);
  const { image } = manager;
  const id = topicId('offsetsoffsetsoffsetsA');
  const modRevision = image.revision;
  const partition = (leader: number) => ({ modRevision, record: { leader } });
  const topic = {
    id,
    modRevision,
    record: { name: '__consumer_offsets', partitions: 2, isInternal: true, createdAtMs: 0 },
    partitions: [partition(1), partition(-1)],
  };
  image.topics.set(id, topic as never);
  image.topicIds.set('__consumer_offsets', { record: id, modRevision });
  // "a" hashes to 97, "b" to 98.
  const asking = under.ask(findCoordinator, findCoordinatorApi, 6, { keyType: 0, coordinatorKeys: ['a', 'b', 'd'] });
  await manager.time.advance(1000);
  const { coordinators } = await asking;
  assert.deepEqual(
    coordinators.map(({ key, errorCode, nodeId }) => [key, errorCode, nodeId]),
    [
      ['a', 15, -1],
      ['b', 0, 1],
      ['d', 0, 1],
    ],
  );
  assert.deepEqual(under.commands, []);
});
