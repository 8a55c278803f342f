import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { NewTopic } from '../../../src/controller/control-messages.ts';
import { brokerId, type TopicId } from '../../../src/model/brands.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import { settled } from '../../support/manual-time.ts';
import { DrivenBroker, DrivenCluster } from './driven-cluster.ts';

const topic = (name: string, partitions = 6): NewTopic => ({
  name,
  partitions,
  replicationFactor: 3,
  assignment: null,
  configs: {},
  isInternal: false,
});

async function threeBrokers(): Promise<DrivenCluster> {
  const cluster = new DrivenCluster({ minInsyncReplicas: 2 });
  await cluster.start(1, 2, 3);
  return cluster;
}

/** The promise's value after so much time, or null. */
async function within<Value>(cluster: DrivenCluster, ms: number, promise: Promise<Value>): Promise<Value | null> {
  let value: Value | null = null;
  void promise.then((found) => {
    value = found;
  });
  await cluster.time.advance(ms);
  return value;
}

async function createTopic(cluster: DrivenCluster, through: number, name: string, partitions = 6): Promise<TopicId> {
  const command = { kind: 'createTopics', topics: [topic(name, partitions)], validateOnly: false } as const;
  const answer = await within(cluster, 50, cluster.broker(through).agent.admin(command, 5000));
  assert.ok(answer?.kind === 'done' && answer.results[0]?.fault === null, JSON.stringify(answer));
  return answer.results[0].topicId;
}

/** How long until the image of this broker shows that nobody is led by, or in sync on, a dead broker. */
async function msUntilGone(cluster: DrivenCluster, at: number, dead: number, limitMs: number): Promise<number> {
  const from = cluster.time.monotonicMs();
  const { image } = cluster.broker(at).follower;
  const isNamed = (): boolean =>
    [...image.topics.values()].some(({ partitions }) =>
      partitions.some((found) => found?.record.leader === dead || found?.record.isr.includes(brokerId(dead))),
    );
  while (isNamed()) {
    assert.ok(cluster.time.monotonicMs() - from < limitMs, `broker ${dead} still leads after ${limitMs} ms`);
    await cluster.time.advance(1);
  }
  return cluster.time.monotonicMs() - from;
}

test('one is elected, all register with epochs of their own and become ACTIVE', async () => {
  const cluster = await threeBrokers();
  const brokers = [...cluster.brokers.values()];
  assert.equal(brokers.filter(({ runner }) => runner.isController).length, 1);
  assert.deepEqual(
    brokers.map(({ agent }) => agent.state),
    ['active', 'active', 'active'],
  );
  assert.equal(new Set(brokers.map(({ agent }) => agent.brokerEpoch)).size, 3);
  const { image } = cluster.broker(2).follower;
  assert.deepEqual([...image.live.keys()].sort(), [1, 2, 3]);
});

test('a single broker is ACTIVE within a few round trips of its start, and its leaders may rely on the controller', async () => {
  const cluster = new DrivenCluster();
  const broker = new DrivenBroker(cluster, 1);
  cluster.brokers.set(1, broker);
  void broker.start();
  const startMs = cluster.time.monotonicMs();
  await cluster.time.advance(60);
  assert.equal(broker.agent.state, 'active');
  assert.ok(broker.agent.controllerContact.provedMs > startMs - 60, 'the office is proved from its first day on (I19)');
});

test('any broker takes an administrative command, and its answer names a revision to wait for (I3)', async () => {
  const cluster = await threeBrokers();
  for (const through of [1, 2, 3]) {
    const id = await createTopic(cluster, through, `t${through}`);
    assert.ok(cluster.broker(through).follower.image.topics.has(id));
  }
});

test('a killed broker leads nothing after a few round trips, seen on every survivor', async () => {
  const cluster = await threeBrokers();
  await createTopic(cluster, 1, 't', 9);
  const victim = [...cluster.brokers.values()].find(({ runner }) => !runner.isController) as DrivenBroker;
  cluster.kill(victim.id);
  for (const { id } of [...cluster.brokers.values()].filter(({ isUp }) => isUp))
    assert.ok((await msUntilGone(cluster, id, victim.id, 1000)) < 20);
});

test('a killed controller is replaced on evidence, without waiting for its lease, and what it led moves too', async () => {
  const cluster = await threeBrokers();
  await createTopic(cluster, 1, 't', 9);
  const victim = cluster.controller as DrivenBroker;
  cluster.kill(victim.id);
  const [survivor] = [...cluster.brokers.values()].filter(({ isUp }) => isUp);
  const tookMs = await msUntilGone(cluster, survivor?.id ?? 0, victim.id, 3000);
  assert.ok(tookMs < 30, `took ${tookMs} ms`);
  assert.ok(cluster.controller && cluster.controller !== victim);
});

test('a killed broker that starts again is registered anew and ACTIVE', async () => {
  const cluster = await threeBrokers();
  await createTopic(cluster, 1, 't');
  const victim = [...cluster.brokers.values()].find(({ runner }) => !runner.isController) as DrivenBroker;
  const before = victim.agent.brokerEpoch;
  cluster.kill(victim.id);
  const again = new DrivenBroker(cluster, victim.id);
  cluster.brokers.set(victim.id, again);
  void again.start('again');
  await cluster.time.advance(500);
  assert.equal(again.agent.state, 'active');
  assert.ok(again.agent.brokerEpoch > before);
});

test('a second broker with an id in use is told so and writes nothing', async () => {
  const cluster = await threeBrokers();
  const stranger = new DrivenBroker(cluster, 2, 9999);
  cluster.brokers.set(99, stranger);
  await Promise.all([stranger.start('stranger'), cluster.time.advance(2500)]);
  assert.ok(stranger.failure instanceof BrokerError);
  assert.equal(stranger.failure.fault.code, 'DUPLICATE_BROKER_ID');
  assert.equal(cluster.broker(2).agent.state, 'active');
  assert.notEqual(cluster.broker(1).follower.image.live.get(brokerId(2)), 'stranger');
});

test('ISR proposals are answered through whoever is the controller by then', async () => {
  const cluster = await threeBrokers();
  const id = await createTopic(cluster, 1, 't', 9);
  const controller = cluster.controller as DrivenBroker;
  const leader = [...cluster.brokers.values()].find((broker) => broker !== controller) as DrivenBroker;
  const { image } = leader.follower;
  const partition = image.topics.get(id)?.partitions.findIndex((found) => found?.record.leader === leader.id) ?? -1;
  const isr = [leader.id, ...[1, 2, 3].filter((other) => other !== leader.id && other !== controller.id)];
  const propose = () => {
    const record = image.partition(id, partition)?.record;
    assert.ok(record);
    const { leaderEpoch, partitionEpoch } = record;
    const members = isr.map((member) => ({
      brokerId: brokerId(member),
      brokerEpoch: cluster.broker(member).agent.brokerEpoch,
    }));
    return leader.agent.alterPartition([{ topicId: id, partition, leaderEpoch, partitionEpoch, isr: members }]);
  };
  assert.deepEqual(await within(cluster, 20, propose()), [{ kind: 'ok', partitionEpoch: 1 }]);
  // The next one is on its way when the controller dies; its record changes, which ends the proposal too (§2.7).
  const pending = propose();
  cluster.kill(controller.id);
  const answers = await within(cluster, 1000, pending);
  assert.equal(answers?.length, 1);
});

test('an administrative command without a controller is refused when its time is up', async () => {
  const cluster = await threeBrokers();
  cluster.store.setAway(true);
  await cluster.time.advance(3000);
  const command = { kind: 'deleteTopics', topicIds: [] } as const;
  const answer = await within(cluster, 600, cluster.broker(2).agent.admin(command, 500));
  assert.deepEqual(answer, { kind: 'refused', fault: { code: 'REQUEST_TIMED_OUT' } });
});

test('a store that pauses and loses all leases changes no leader (I7, §2.11)', async () => {
  const cluster = await threeBrokers();
  const id = await createTopic(cluster, 1, 't', 9);
  const leaders = () =>
    cluster
      .broker(1)
      .follower.image.topics.get(id)
      ?.partitions.map((found) => found?.record.leaderEpoch);
  const before = leaders();
  cluster.store.setAway(true);
  await cluster.time.advance(12_000);
  cluster.store.core.dropAllLeases();
  cluster.store.setAway(false);
  await cluster.time.advance(10_000);
  assert.deepEqual(leaders(), before);
  assert.ok(cluster.controller);
  assert.deepEqual(
    [1, 2, 3].map((each) => cluster.broker(each).agent.state),
    ['active', 'active', 'active'],
  );
});

test('a controlled shutdown ends clean, and the controller that stops is replaced at once', async () => {
  const cluster = await threeBrokers();
  const id = await createTopic(cluster, 1, 't', 9);
  const stopping = cluster.controller as DrivenBroker;
  const answer = await within(cluster, 1000, stopping.agent.requestShutdown());
  assert.deepEqual(answer, { isClean: true, leadersLeft: 0 });
  void stopping.runner.stop();
  void stopping.agent.stop();
  await cluster.time.advance(100);
  stopping.isUp = false;
  await settled();
  assert.ok(cluster.controller && cluster.controller !== stopping);
  const partitions = cluster.controller.follower.image.topics.get(id)?.partitions ?? [];
  assert.ok(
    partitions.every((found) => !found?.record.isr.includes(brokerId(stopping.id)) && (found?.record.leader ?? -1) > 0),
  );
});

test('all brokers may stop at the same time', async () => {
  const cluster = await threeBrokers();
  await createTopic(cluster, 1, 't', 9);
  const answers = [1, 2, 3].map((id) => cluster.broker(id).agent.requestShutdown());
  const all = await within(cluster, 2000, Promise.all(answers));
  assert.deepEqual(
    all?.map(({ isClean }) => isClean),
    [true, true, true],
  );
});
