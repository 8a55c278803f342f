import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { metadata } from '../../../../src/broker/api/03-metadata.ts';
import { leaderEpoch } from '../../../../src/model/brands.ts';
import { metadataApi } from '../../../../src/wire/messages/03-metadata.ts';
import { type LeaderEnd, ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { b1, b2 } from '../../replication/partition-fixture.ts';
import { ServicesUnderTest } from '../services-fixture.ts';

/** Broker 1 follows broker 2, and a client asks who leads. */
async function asked(): Promise<{
  under: ManagerUnderTest;
  services: ServicesUnderTest;
  leader: LeaderEnd;
  told: number[];
}> {
  const under = await ManagerUnderTest.start([{ leader: b2 }]);
  const leader = under.leaderStream();
  const told: number[] = [];
  const services = new ServicesUnderTest(under);
  void services.ask(metadata, metadataApi, 12, { topics: [{ name: 'orders' }] }).then(({ topics }) => {
    told.push(topics[0]?.partitions[0]?.leaderId ?? -1);
    return null;
  });
  await under.time.advance(0);
  return { under, services, leader, told };
}

describe('a leader is named', () => {
  test('as soon as it has proved that it lives', async () => {
    const { under, leader, told } = await asked();
    assert.deepEqual(told, []);
    leader.say({ kind: 'pong' });
    await under.time.advance(0);
    assert.deepEqual(told, [b2]);
  });
  test('without proof after a while: it may be busy', async () => {
    const { under, told } = await asked();
    await under.time.advance(20);
    assert.deepEqual(told, [b2]);
  });
  test('no more once its stream has broken: the answer waits for who is elected', async () => {
    const { under, services, leader, told } = await asked();
    leader.handler?.onClosed();
    await under.time.advance(100);
    assert.deepEqual(told, []);
    under.writeRecord({ leader: b1, leaderEpoch: leaderEpoch(6) });
    services.services.metadata.notify();
    await under.time.advance(0);
    assert.deepEqual(told, [b1]);
  });
});
