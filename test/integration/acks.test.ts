/** Which acks are answered what with one, two and three brokers alive: the table of kafka-protocol.md b.4. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'vitest';
import { produceApi } from '../../src/wire/messages/00-produce.ts';
import { apiVersionsApi } from '../../src/wire/messages/18-api-versions.ts';
import { TestCluster } from '../support/dev.ts';
import { RawCluster } from '../support/raw-cluster.ts';
import { readBack } from '../support/read-back.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';

const notEnoughReplicas = 19;
const notEnoughReplicasAfterAppend = 20;
const requestTimedOut = 7;

let cluster: TestCluster;
let raw: RawCluster;
const clients: WireClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  raw?.close();
  await cluster?.remove();
});

async function start(config: Record<string, string> = {}): Promise<void> {
  // No leader moves by itself while a test counts brokers.
  cluster = await TestCluster.start({ config: { 'auto.leader.rebalance.enable': 'false', ...config } });
  raw = new RawCluster(cluster.bootstrap);
}

async function leaderOf(topic: string): Promise<{ leader: number; isr: number[] }> {
  const { partitions } = await raw.partitionsOf(topic);
  return { leader: partitions[0]?.leader ?? -1, isr: partitions[0]?.isr ?? [] };
}

/** The error code of a batch that is sent to whoever leads; without acks a connection that lives on is all there is. */
async function produce(topic: string, acks: number, value: string, timeoutMs = 10_000): Promise<number> {
  const { leader } = await leaderOf(topic);
  const client = await WireClient.open(cluster.addressOf(leader));
  clients.push(client);
  const records = encodeRecordBatch([{ value: Buffer.from(value) }], { timestampMs: Date.now() });
  const body = { acks, timeoutMs, topicData: [{ name: topic, partitionData: [{ index: 0, records }] }] };
  if (acks === 0) {
    client.tell(produceApi, 9, body);
    return (await client.ask(apiVersionsApi, 0)).errorCode;
  }
  const answer = await client.ask(produceApi, 9, body);
  return answer.responses[0]?.partitionResponses[0]?.errorCode ?? -1;
}

const isrIs = (topic: string, size: number): Promise<unknown> =>
  until(`${size} in the ISR of ${topic}`, async () => {
    const { leader, isr } = await leaderOf(topic);
    return leader > 0 && isr.length === size;
  });

// brokers alive | min.insync.replicas | acks 0, 1, all
const cases = [
  [3, 1, [0, 0, 0]],
  [3, 2, [0, 0, 0]],
  [3, 3, [0, 0, 0]],
  [2, 1, [0, 0, 0]],
  [2, 2, [0, 0, 0]],
  [2, 3, [0, 0, notEnoughReplicas]],
  [1, 1, [0, 0, 0]],
  [1, 2, [0, 0, notEnoughReplicas]],
  [1, 3, [0, 0, notEnoughReplicas]],
] as const;

describe('with three replicas', () => {
  test('acks and min.insync.replicas are answered as the table says', async () => {
    await start();
    const topics = [1, 2, 3].map((minimum) => `minimum-${minimum}`);
    for (const [index, topic] of topics.entries())
      await raw.createTopic(topic, {
        partitions: 1,
        replicationFactor: 3,
        configs: { 'min.insync.replicas': String(index + 1) },
      });
    for (const alive of [3, 2, 1]) {
      if (alive < 3) {
        const dying = cluster.dev.brokers().findLast(({ isRunning }) => isRunning)?.id ?? -1;
        await cluster.dev.killBroker(dying);
        for (const topic of topics) await isrIs(topic, alive);
      }
      for (const [brokers, minimum, expected] of cases) {
        if (brokers !== alive) continue;
        for (const [index, acks] of [0, 1, -1].entries()) {
          const code = expected[index];
          const title = `${brokers} alive, minimum ${minimum}, acks ${acks}`;
          assert.equal(await produce(`minimum-${minimum}`, acks, title), code, title);
        }
      }
    }
  });

  test('a refused write is not in the log, and one is accepted again when replicas are back', async () => {
    await start();
    await raw.createTopic('back', { partitions: 1, replicationFactor: 3, configs: { 'min.insync.replicas': '3' } });
    assert.equal(await produce('back', -1, 'before'), 0);
    const { leader } = await leaderOf('back');
    const dying = leader === 3 ? 2 : 3;
    await cluster.dev.killBroker(dying);
    await isrIs('back', 2);
    assert.equal(await produce('back', -1, 'refused'), notEnoughReplicas);
    await cluster.dev.startBroker(dying);
    await isrIs('back', 3);
    assert.equal(await produce('back', -1, 'after'), 0);
    const [records = []] = await readBack(cluster.bootstrap, 'back');
    assert.deepEqual(
      records.map(({ value }) => String(value)),
      ['before', 'after'],
    );
  });

  test('a write that waits when its replicas die is answered 20 or 7: written, not confirmed', async () => {
    await start();
    await raw.createTopic('dying', { partitions: 1, replicationFactor: 3, configs: { 'min.insync.replicas': '3' } });
    const { leader } = await leaderOf('dying');
    const follower = leader === 1 ? 2 : 1;
    const answers: Promise<number>[] = [];
    for (let count = 0; count < 50; count++) answers.push(produce('dying', -1, `value ${count}`, 3000));
    const [, codes] = await Promise.all([cluster.dev.killBroker(follower), Promise.all(answers)]);
    for (const code of codes)
      assert.ok(
        [0, notEnoughReplicas, notEnoughReplicasAfterAppend, requestTimedOut].includes(code),
        `answered ${code}`,
      );
    const acknowledged = codes.flatMap((code, index) => (code === 0 ? [`value ${index}`] : []));
    await cluster.dev.startBroker(follower);
    await isrIs('dying', 3);
    const [records = []] = await readBack(cluster.bootstrap, 'dying');
    const found = new Set(records.map(({ value }) => String(value)));
    for (const value of acknowledged) assert.ok(found.has(value), `${value} was acknowledged`);
  });
});

describe('with fewer replicas than the minimum', () => {
  test('the minimum is capped at the number of replicas', async () => {
    await start();
    for (const replicas of [1, 2]) {
      const topic = `capped-${replicas}`;
      await raw.createTopic(topic, {
        partitions: 1,
        replicationFactor: replicas,
        configs: { 'min.insync.replicas': '3' },
      });
      for (const acks of [-1, 1]) assert.equal(await produce(topic, acks, 'x'), 0);
    }
  });
});
