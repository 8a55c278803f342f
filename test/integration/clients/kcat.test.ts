/** kcat (librdkafka) against a development cluster: metadata, every codec, keys, headers, offsets and times. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { afterAll, test as anyTest, beforeAll } from 'vitest';
import { outputOf } from '../../support/cordwood-process.ts';
import { TestCluster } from '../../support/dev.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { readBack } from '../../support/read-back.ts';

const isThere = spawnSync('kcat', ['-V']).status === 0;
const noKcat = 'no kcat (Debian: apt-get install kcat)';
const test = (name: string, run: () => Promise<void>): void =>
  anyTest(name, async (context) => {
    if (!isThere) context.skip(noKcat);
    await run();
  });

let cluster: TestCluster;
let raw: RawCluster;
beforeAll(async () => {
  if (!isThere) return;
  cluster = await TestCluster.start();
  raw = new RawCluster(cluster.bootstrap);
});
afterAll(async () => {
  raw?.close();
  await cluster?.remove();
});

async function kcat(args: readonly string[], input: string | Buffer = ''): Promise<string> {
  const child = spawn('kcat', ['-b', cluster.bootstrap, '-q', ...args], { stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const { code, stdout, stderr } = await outputOf(child);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('lists three brokers and the topics', async () => {
  await raw.createTopic('listed', { partitions: 3, replicationFactor: 3 });
  const listed = JSON.parse(await kcat(['-L', '-J'])) as {
    brokers: { id: number; name: string }[];
    topics: { topic: string; partitions: { leader: number; replicas: object[]; isrs: object[] }[] }[];
  };
  assert.deepEqual(listed.brokers.map(({ name }) => name).sort(), [...cluster.brokers].sort());
  const topic = listed.topics.find((one) => one.topic === 'listed');
  assert.equal(topic?.partitions.length, 3);
  for (const { replicas, isrs } of topic?.partitions ?? []) assert.deepEqual([replicas.length, isrs.length], [3, 3]);
});

for (const [codec, acks] of [
  ['none', '1'],
  ...['none', 'gzip', 'snappy', 'lz4', 'zstd'].map((codec) => [codec, 'all'] as const),
] as const)
  test(`carries lines and keys through with ${codec} and acks ${acks}, in order`, async () => {
    const topic = `lines-${codec}-${acks}`;
    await raw.createTopic(topic, { partitions: 2, replicationFactor: 3 });
    const lines = Array.from({ length: 2000 }, (_, i) => `k${i % 7}:value ${i}`);
    const settings = ['-X', `compression.codec=${codec}`, '-X', `acks=${acks}`];
    await kcat(['-P', '-t', topic, '-K', ':', ...settings], `${lines.join('\n')}\n`);
    const read = (await kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-f', '%k:%s\n'])).trimEnd().split('\n');
    const perKey = (all: readonly string[]) => ({ ...Object.groupBy(all, (line) => line.split(':')[0] ?? '') });
    assert.deepEqual(perKey(read), perKey(lines));
  });

test('writes headers, nulls and large values, idempotent', async () => {
  await raw.createTopic('rich', { partitions: 1, replicationFactor: 3 });
  const idempotent = ['-X', 'enable.idempotence=true'];
  await kcat(['-P', '-t', 'rich', '-H', 'trace=abc', '-H', 'more=1', ...idempotent], 'with headers');
  await kcat(['-P', '-t', 'rich', '-Z', '-K', ':', ...idempotent], 'gone:\n');
  await kcat(['-P', '-t', 'rich', '-D', '\n', ...idempotent], `${'x'.repeat(900 * 1024)}\n`);
  const [records = []] = await readBack(cluster.bootstrap, 'rich');
  assert.equal(records.length, 3);
  assert.deepEqual(
    records[0]?.headers.map(({ key, value }) => `${key}=${value}`),
    ['trace=abc', 'more=1'],
  );
  assert.deepEqual([String(records[1]?.key), records[1]?.value], ['gone', null]);
  assert.equal(records[2]?.value?.length, 900 * 1024);
  const sizes = await kcat(['-C', '-t', 'rich', '-o', 'beginning', '-e', '-f', '%S %h\n']);
  assert.deepEqual(sizes.split('\n'), ['12 trace=abc,more=1', '-1 ', `${900 * 1024} `, '']);
});

test('reads from an offset, from the end, and from a time', async () => {
  await raw.createTopic('ten', { partitions: 1, replicationFactor: 3 });
  await kcat(['-P', '-t', 'ten'], Array.from({ length: 10 }, (_, i) => `${i}\n`).join(''));
  const read = async (...args: string[]): Promise<string> =>
    (await kcat(['-C', '-t', 'ten', '-p', '0', '-e', '-f', '%s', ...args])).trim();
  assert.equal(await read('-o', '7'), '789');
  assert.equal(await read('-o', '-2'), '89');
  assert.equal(await read('-o', 'end'), '');
  assert.equal(await read('-o', 's@0'), '0123456789');
  assert.equal((await kcat(['-Q', '-t', 'ten:0:0'])).trim(), 'ten [0] offset 0');
});

test('a topic comes to be by writing to it', async () => {
  await kcat(['-P', '-t', 'made-by-kcat'], 'first\n');
  assert.equal((await kcat(['-C', '-t', 'made-by-kcat', '-o', 'beginning', '-e'])).trim(), 'first');
});
