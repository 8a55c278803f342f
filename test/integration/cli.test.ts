/** `cordwood` against a cluster of its own: what a new user does in the first ten minutes, and what goes wrong then. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { cordwood, type DevProcess, spawnCordwood, startDev, temporaryDirectory } from '../support/cordwood-process.ts';

describe('a cluster of three', () => {
  const data = temporaryDirectory();
  let dev: DevProcess;
  let to: string[];

  beforeAll(async () => {
    dev = await startDev(data.path);
    to = ['--bootstrap', dev.bootstrap.join(',')];
  });
  afterAll(async () => {
    if (dev !== undefined && dev.process.exitCode === null) await dev.interrupt();
    data.remove();
  });

  const json = async (args: readonly string[], input = ''): Promise<unknown> => {
    const { code, stdout, stderr } = await cordwood([...args, ...to, '--json'], input);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

  test('has three brokers, and says so', async () => {
    const status = (await json(['cluster', 'status'])) as { brokers: { id: number; address: string }[] };
    assert.deepEqual(
      status.brokers.map(({ id }) => id),
      [1, 2, 3],
    );
    assert.deepEqual(
      status.brokers.map(({ address }) => address),
      dev.bootstrap,
    );
  });

  test('creates, lists, describes, grows and deletes a topic', async () => {
    await json(['topic', 'create', 'orders', '-p', '2', '-r', '3', '-c', 'min.insync.replicas=2']);
    assert.deepEqual(await json(['topic', 'list']), [{ topic: 'orders', partitions: 2, replicas: 3 }]);
    await json(['topic', 'add-partitions', 'orders', '-n', '1']);
    const [described] = (await json(['topic', 'describe', 'orders'])) as {
      configs: object;
      partitions: { replicas: number[] }[];
    }[];
    assert.equal(described?.partitions.length, 3);
    assert.deepEqual(described?.configs, { 'min.insync.replicas': '2' });
    for (const { replicas } of described?.partitions ?? []) assert.deepEqual([...replicas].sort(), [1, 2, 3]);
    await json(['topic', 'delete', 'orders']);
    assert.deepEqual(await json(['topic', 'list']), []);
  });

  test('refusals name the error and end with 1', async () => {
    const missing = await cordwood(['topic', 'delete', 'nothing', ...to]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /nothing: UNKNOWN_TOPIC_OR_PARTITION/);
    const tooMany = await cordwood(['topic', 'create', 'wide', '-r', '4', ...to]);
    assert.equal(tooMany.code, 1);
    assert.match(tooMany.stderr, /wide: INVALID_REPLICATION_FACTOR/);
  });

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    test(`carries lines through, with keys and ${compression} compression`, async () => {
      const topic = `lines-${compression}`;
      await json(['topic', 'create', topic, '-p', '3']);
      const lines = Array.from({ length: 1000 }, (_, i) => `key${i % 10}:value ${i}`);
      const options = ['-k', ':', '-z', compression];
      const summary = await json(['produce', topic, ...options], `${lines.join('\n')}\n`);
      assert.equal((summary as { acknowledged: number }).acknowledged, 1000);
      const read = await cordwood(['consume', topic, ...to, '-e', '-f', '%k:%v\\n']);
      assert.equal(read.code, 0, read.stderr);
      const perKey = (all: readonly string[]): Record<string, string[] | undefined> =>
        Object.groupBy(all, (line) => line.split(':')[0] ?? '');
      // One key is one partition: its lines must come in the order they went in.
      assert.deepEqual({ ...perKey(read.stdout.trimEnd().split('\n')) }, { ...perKey(lines) });
    });

  test('reads from where it is told', async () => {
    await json(['topic', 'create', 'ten', '-p', '1']);
    await json(['produce', 'ten'], Array.from({ length: 10 }, (_, i) => `${i}\n`).join(''));
    const read = async (...args: string[]): Promise<string> =>
      (await cordwood(['consume', 'ten', ...to, ...args])).stdout.split('\n').join('');
    assert.equal(await read('-e'), '0123456789');
    assert.equal(await read('-o', '7', '-e'), '789');
    assert.equal(await read('-o', '-2', '-e'), '89');
    assert.equal(await read('-n', '3'), '012');
    assert.equal(await read('-o', '@0', '-n', '1'), '0');
    assert.equal(await read('-o', 'latest', '-e'), '');
    const beyond = await cordwood(['consume', 'ten', ...to, '-o', '99', '-e']);
    assert.equal(beyond.code, 1);
    assert.match(beyond.stderr, /offset 99 is out of range/);
  });

  test('a killed leader loses no acknowledged line and doubles none', async () => {
    await json(['topic', 'create', 'safe', '-p', '6', '-r', '3', '-c', 'min.insync.replicas=2']);
    const child = spawnCordwood(['produce', 'safe', ...to, '--json']);
    const stdout: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    const control = ['--control', dev.control];
    const chunks = 40;
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      const lines = Array.from({ length: 500 }, (_, i) => `${chunk * 500 + i}\n`).join('');
      if (child.stdin?.write(lines) === false) await once(child.stdin, 'drain');
      if (chunk === 10) assert.equal((await cordwood(['broker', 'kill', '1', ...control])).code, 0);
      if (chunk === 25) assert.equal((await cordwood(['broker', 'start', '1', ...control])).code, 0);
    }
    child.stdin?.end();
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 0);
    assert.equal(JSON.parse(String(Buffer.concat(stdout))).acknowledged, chunks * 500);
    const read = await cordwood(['consume', 'safe', ...to, '-e', '-f', '%p %v\\n']);
    const perPartition = new Map<string, number[]>();
    for (const line of read.stdout.trimEnd().split('\n')) {
      const [partition = '', value] = line.split(' ');
      perPartition.set(partition, [...(perPartition.get(partition) ?? []), Number(value)]);
    }
    for (const [partition, values] of perPartition)
      assert.deepEqual(
        values,
        [...new Set(values)].sort((a, b) => a - b),
        `partition ${partition} is out of order`,
      );
    const all = [...perPartition.values()].flat().sort((a, b) => a - b);
    assert.deepEqual(
      all,
      Array.from({ length: chunks * 500 }, (_, i) => i),
    );
  });

  test('stopping a broker twice says that it is not running', async () => {
    const control = ['--control', dev.control];
    assert.equal((await cordwood(['broker', 'stop', '3', ...control])).code, 0);
    const again = await cordwood(['broker', 'stop', '3', ...control]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /broker 3: it is not running/);
    assert.equal((await cordwood(['broker', 'start', '3', ...control])).code, 0);
    assert.equal((await cordwood(['broker', 'kill', '9', ...control])).code, 1);
  });

  test('a second cluster on the same data is refused', async () => {
    const second = await cordwood(['dev', '--port', '0', '--http-port', '0', '--data', data.path]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /^cordwood: .*(lock|in use|another)/i);
  });

  test('Ctrl-C ends it with 0, and its data is there at the next start', async () => {
    const { code, stderr } = await dev.interrupt();
    assert.equal(code, 0, stderr);
    dev = await startDev(data.path);
    to = ['--bootstrap', dev.bootstrap.join(',')];
    const read = await cordwood(['consume', 'ten', ...to, '-e']);
    assert.equal(read.stdout.split('\n').join(''), '0123456789');
  });
});

describe('without a cluster', () => {
  test('a port in use is named, and the program ends with 1', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const data = temporaryDirectory();
    try {
      const args = ['dev', '--brokers', '1', '--port', String(port), '--http-port', '0', '--data', data.path];
      const { code, stderr } = await cordwood(args);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port}: the port is in use`));
    } finally {
      server.close();
      data.remove();
    }
  });

  test('a misspelt configuration key is named with a guess', async () => {
    const data = temporaryDirectory();
    try {
      const { code, stderr } = await cordwood(['dev', '--data', data.path, '--port', '0', '-s', 'num.partition=3']);
      assert.equal(code, 1);
      assert.match(stderr, /num\.partition.*did you mean num\.partitions/);
    } finally {
      data.remove();
    }
  });

  test('a configuration file that is not there is named', async () => {
    const { code, stderr } = await cordwood(['start', '--config', '/nowhere/server.properties']);
    assert.equal(code, 1);
    assert.match(stderr, /\/nowhere\/server\.properties: there is no such file/);
  });

  test('wrong usage ends with 2, and nobody answering with 3', async () => {
    assert.equal((await cordwood(['produce'])).code, 2);
    assert.equal((await cordwood(['topic', 'create', 'x', '-p', 'many'])).code, 2);
    assert.equal((await cordwood(['fly'])).code, 2);
    const nobody = await cordwood(['topic', 'list', '--bootstrap', '127.0.0.1:1']);
    assert.equal(nobody.code, 3);
    assert.match(nobody.stderr, /no broker answers at 127\.0\.0\.1:1: connect ECONNREFUSED/);
    const noCluster = await cordwood(['broker', 'kill', '1', '--control', 'http://127.0.0.1:1']);
    assert.equal(noCluster.code, 3);
  });
});
