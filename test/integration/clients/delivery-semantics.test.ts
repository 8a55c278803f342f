/**
 * The examples of `test/examples/`, killed with -9 between what they do and their commit: at most once loses that record
 * and repeats none, at least once repeats it and loses none. And they go on where their coordinator is killed.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, test } from 'vitest';
import { TestCluster } from '../../support/dev.ts';
import { GroupAdmin } from '../../support/group-admin.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { RawProducer } from '../../support/raw-producer.ts';
import { until } from '../../support/until.ts';

const cluster = await TestCluster.start();
const raw = new RawCluster(cluster.bootstrap);
afterAll(async () => {
  raw.close();
  await cluster.remove();
});

const values = Array.from({ length: 10 }, (_, index) => `record-${index}`);
const crashAt = 'record-4';
const last = 'record-9';

/** What the example has processed until it was killed: by itself at `CRASH_AT`, or by us after `last`. */
async function run(example: string, group: string, topic: string, environment: object): Promise<string[]> {
  const path = join(import.meta.dirname, '../../examples', `${example}.ts`);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', path, cluster.bootstrap, group, topic],
    {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      killSignal: 'SIGKILL',
    },
  );
  const processed: string[] = [];
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk;
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const [word, value = ''] = line.split(' ');
    if (word === 'processed') processed.push(value);
    if (value === last) child.kill('SIGKILL');
  });
  const [[, signal]] = await Promise.all([once(child, 'exit'), once(lines, 'close')]);
  assert.equal(signal, 'SIGKILL', complaints);
  return processed;
}

async function write(topic: string, wanted: readonly string[]): Promise<void> {
  const producer = new RawProducer(cluster.bootstrap, topic, () => {});
  await producer.start(1);
  for (const value of wanted) producer.send(0, value);
  await producer.stop();
}

async function crashOnce(example: string): Promise<string[]> {
  const topic = example;
  await raw.createTopic(topic, { partitions: 1, replicationFactor: 3 });
  await write(topic, values);
  const before = await run(example, `group-${example}`, topic, { CRASH_AT: crashAt });
  const after = await run(example, `group-${example}`, topic, {});
  return [...before, ...after];
}

for (const client of ['kafkajs', 'platformatic']) {
  test.concurrent(`${client}: at most once loses the record of the crash, and repeats none`, async () => {
    const processed = await crashOnce(`at-most-once-${client}`);
    assert.deepEqual(
      processed,
      values.filter((value) => value !== crashAt),
    );
  });

  test.concurrent(`${client}: at least once repeats the record of the crash, and loses none`, async () => {
    const processed = await crashOnce(`at-least-once-${client}`);
    const at = values.indexOf(crashAt);
    assert.deepEqual(processed, [...values.slice(0, at + 1), ...values.slice(at)]);
  });
}

// After the others: they need all brokers.
for (const example of ['at-least-once-kafkajs', 'at-least-once-platformatic'])
  test(`${example} goes on when its coordinator is killed`, async () => {
    const topic = `${example}-goes-on`;
    await raw.createTopic(topic, { partitions: 1, replicationFactor: 3 });
    const admin = new GroupAdmin(() => cluster.dev.brokers().map(({ id }) => cluster.addressOf(id)));
    const processed = run(example, topic, topic, {});
    const half = values.length / 2;
    await write(topic, values.slice(0, half));
    const hasCommitted = async (): Promise<boolean> => (await admin.committed(topic)).get(`${topic}:0`) === half;
    await until('it has committed half', hasCommitted, 30_000);
    const { id } = await admin.coordinatorOf(topic);
    await cluster.dev.killBroker(id);
    await write(topic, values.slice(half));
    assert.deepEqual([...new Set(await processed)], values);
    await cluster.dev.startBroker(id);
    admin.close();
  });
