/**
 * Leaders are killed while each client writes with its defaults: what was acknowledged with acks=all is there, in order
 * per partition, and once where the producer is idempotent.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { Producer } from '@platformatic/kafka';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, test } from 'vitest';
import { outputOf } from '../../support/cordwood-process.ts';
import { TestCluster } from '../../support/dev.ts';
import { checkHistory, type SentRecord } from '../../support/history-checker.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { RawProducer } from '../../support/raw-producer.ts';
import { readBack, readsOf } from '../../support/read-back.ts';
import { until } from '../../support/until.ts';

const cluster = await TestCluster.start();
const raw = new RawCluster(cluster.bootstrap);
afterAll(async () => {
  raw.close();
  await cluster.remove();
});

const partitions = 3;
const kills = 2;
const recordsBetween = 60;

/** What a client has sent so far, and how that ended. */
class History {
  readonly sent: SentRecord[] = [];
  readonly topic: string;
  readonly isIdempotent: boolean;
  #acknowledged = 0;

  constructor(topic: string, isIdempotent: boolean) {
    this.topic = topic;
    this.isIdempotent = isIdempotent;
  }

  note(value: string, partition: number, outcome: 'ok' | 'info', offset: number | null): void {
    this.sent.push({
      process: `${this.topic}-${partition}`,
      value,
      outcome,
      acks: 'all',
      isIdempotent: this.isIdempotent,
      partition,
      offset,
    });
    if (outcome === 'ok') this.#acknowledged++;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }
}

/** Kills the leader of partition 0 again and again while `history` grows, and starts it again each time. */
async function killLeaders(history: History): Promise<void> {
  const growsBy = (more: number) => {
    const from = history.acknowledged;
    return until(`${more} more records are acknowledged`, () => history.acknowledged >= from + more, 40_000);
  };
  for (let kill = 0; kill < kills; kill++) {
    await growsBy(recordsBetween);
    const { partitions: all } = await raw.partitionsOf(history.topic);
    const leader = all[0]?.leader ?? -1;
    await cluster.dev.killBroker(leader);
    await growsBy(recordsBetween);
    await cluster.dev.startBroker(leader);
    await raw.waitForIsr(history.topic, partitions, 3, 30_000);
  }
}

async function judge(history: History): Promise<void> {
  await raw.waitForIsr(history.topic, partitions, 3, 30_000);
  const reads = readsOf(await readBack(cluster.bootstrap, history.topic));
  assert.deepEqual(checkHistory(history.sent, reads), []);
  assert.ok(history.acknowledged >= kills * 2 * recordsBetween);
}

/** One send under way per partition keeps its order, whatever the client does about failures. */
async function drive(
  history: History,
  send: (partition: number, values: string[]) => Promise<number | null>,
): Promise<void> {
  let isOver = false;
  const lanes = Array.from({ length: partitions }, async (_, partition) => {
    for (let count = 0; !isOver; count += 2) {
      const values = [count, count + 1].map((number) => `${history.topic}-${partition}-${number}`);
      const outcome = await send(partition, values).then(
        (baseOffset) => ({ kind: 'ok', baseOffset }) as const,
        () => ({ kind: 'info', baseOffset: null }) as const,
      );
      for (const [index, value] of values.entries())
        history.note(value, partition, outcome.kind, outcome.baseOffset === null ? null : outcome.baseOffset + index);
    }
  });
  try {
    await killLeaders(history);
  } finally {
    isOver = true;
    await Promise.all(lanes);
  }
}

async function newTopic(topic: string): Promise<void> {
  await raw.createTopic(topic, { partitions, replicationFactor: 3, configs: { 'min.insync.replicas': '2' } });
}

for (const idempotent of [false, true])
  test(`kafkajs ${idempotent ? 'with idempotence' : 'as it is'} loses nothing acknowledged`, async () => {
    const topic = `kafkajs-${idempotent}`;
    await newTopic(topic);
    const producer = new Kafka({ clientId: topic, brokers: cluster.brokers, logLevel: logLevel.NOTHING }).producer({
      idempotent,
    });
    await producer.connect();
    const history = new History(topic, idempotent);
    await drive(history, async (partition, values) => {
      const [answer] = await producer.send({ topic, messages: values.map((value) => ({ partition, value })) });
      return Number(answer?.baseOffset);
    });
    await producer.disconnect();
    await judge(history);
  });

test('@platformatic/kafka loses nothing acknowledged', async () => {
  const topic = 'platformatic';
  await newTopic(topic);
  const producer = new Producer({ clientId: topic, bootstrapBrokers: cluster.brokers });
  const history = new History(topic, false);
  await drive(history, async (partition, values) => {
    const { offsets } = await producer.send({
      acks: -1,
      messages: values.map((value) => ({ topic, partition, value: Buffer.from(value) })),
    });
    return Number(offsets?.[0]?.offset ?? Number.NaN);
  });
  await producer.close(true).catch(() => undefined);
  await judge(history);
});

test('the raw producer loses nothing and doubles nothing', async () => {
  const topic = 'raw';
  await newTopic(topic);
  const history = new History(topic, true);
  const counts = Array.from({ length: partitions }, () => 0);
  const producer = new RawProducer(cluster.bootstrap, topic, ({ partition, offset, value }) => {
    history.note(value, partition, 'ok', offset);
    sendNext(partition);
  });
  let isOver = false;
  const sendNext = (partition: number): void => {
    const count = counts[partition] ?? 0;
    counts[partition] = count + 1;
    if (!isOver) producer.send(partition, `${topic}-${partition}-${count}`);
  };
  await producer.start(partitions);
  for (let partition = 0; partition < partitions; partition++) sendNext(partition);
  await killLeaders(history);
  isOver = true;
  await producer.stop();
  await judge(history);
});

test('librdkafka (kcat) with idempotence delivers each line once, in order', async (context) => {
  if (spawnSync('kcat', ['-V']).status !== 0) context.skip('no kcat (Debian: apt-get install kcat)');
  const topic = 'kcat';
  await newTopic(topic);
  const args = [
    '-b',
    cluster.bootstrap,
    '-P',
    '-t',
    topic,
    '-p',
    '0',
    '-X',
    'enable.idempotence=true',
    '-X',
    'linger.ms=5',
  ];
  const child = spawn('kcat', args, { stdio: 'pipe' });
  const finished = outputOf(child);
  let sent = 0;
  // kcat reads its input in blocks and tells of no acknowledgement: lines go in until the log has grown.
  const padding = ' '.repeat(500);
  const feedUntilGrown = async (): Promise<void> => {
    const from = await raw.endOffset(topic, 0);
    const grown = async (): Promise<boolean> => {
      for (let line = 0; line < 20; line++, sent++) child.stdin.write(`${sent}${padding}\n`);
      return (await raw.endOffset(topic, 0)) > from + recordsBetween;
    };
    await until('more lines are in the log', grown, 40_000);
  };
  for (let kill = 0; kill < kills; kill++) {
    await feedUntilGrown();
    const { partitions: all } = await raw.partitionsOf(topic);
    const leader = all[0]?.leader ?? -1;
    await cluster.dev.killBroker(leader);
    await feedUntilGrown();
    await cluster.dev.startBroker(leader);
    await raw.waitForIsr(topic, partitions, 3, 30_000);
  }
  child.stdin.end();
  const { code, stderr } = await finished;
  assert.equal(code, 0, stderr);
  const [records = []] = await readBack(cluster.bootstrap, topic);
  assert.deepEqual(
    records.map(({ value }) => Number(value)),
    Array.from({ length: sent }, (_, line) => line),
  );
});
