/**
 * The examples of `test/examples/`, killed with -9 between what they do and their commit: at most once loses that record
 * and repeats none, at least once repeats it and loses none.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, test } from 'vitest';
import { TestCluster } from '../../support/dev.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { RawProducer } from '../../support/raw-producer.ts';

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

async function crashOnce(example: string): Promise<string[]> {
  const topic = example;
  await raw.createTopic(topic, { partitions: 1, replicationFactor: 3 });
  const producer = new RawProducer(cluster.bootstrap, topic, () => {});
  await producer.start(1);
  for (const value of values) producer.send(0, value);
  await producer.stop();
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
