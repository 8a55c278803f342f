/** A broker that cannot start says why in one line, ends with 1, and leaves everything as it found it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { type BrokerPorts, BrokerProcess, brokerPorts, startArguments } from '../support/broker-process.ts';
import { cordwood, temporaryDirectory } from '../support/cordwood-process.ts';
import { EtcdCluster, etcdProgram, noEtcd } from '../support/etcd.ts';

const directories: { remove(): void }[] = [];
const brokers: BrokerProcess[] = [];
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.kill();
  for (const directory of directories.splice(0)) directory.remove();
});

function newDirectory(): string {
  const directory = temporaryDirectory();
  directories.push(directory);
  return directory.path;
}

async function running(settings: Readonly<Record<string, string>>): Promise<BrokerProcess> {
  const broker = await BrokerProcess.start(settings);
  brokers.push(broker);
  return broker;
}

/** Every file under a directory with a digest of what is in it. */
function filesOf(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${path} ${createHash('sha1').update(readFileSync(path)).digest('hex')}`)
    .sort();
}

/** Starts a broker that must fail, with one line that matches. */
async function fails(
  settings: Readonly<Record<string, string>>,
  reason: RegExp,
  { ports, isInUse = false }: { ports?: BrokerPorts; isInUse?: boolean } = {},
): Promise<void> {
  const directory = settings['log.dirs'] ?? '';
  const before = filesOf(directory);
  const { code, stderr } = await cordwood(startArguments(ports ?? (await brokerPorts()), settings));
  assert.equal(code, 1, stderr);
  assert.match(stderr, reason);
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  if (!isInUse) assert.deepEqual(filesOf(directory), before, 'nothing is written');
}

async function takenPort(): Promise<{ port: number; release(): void }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    release: () => server.close(),
  };
}

describe('a port in use', () => {
  for (const which of ['kafka', 'peer', 'http'] as const)
    test(`is named: that for ${which}`, async () => {
      const taken = await takenPort();
      const ports = { ...(await brokerPorts()), [which]: taken.port };
      const reason = new RegExp(`127\\.0\\.0\\.1:${taken.port}: the port is in use`);
      await fails({ 'log.dirs': newDirectory() }, reason, { ports });
      taken.release();
    });
});

test('a port in use by somebody else leaves nothing of a development cluster either', async () => {
  const taken = await takenPort();
  const directory = join(newDirectory(), 'data');
  // The last of the three ports is the one in use.
  const args = ['dev', '--port', String(taken.port - 2), '--http-port', '0', '--data', directory];
  const { code, stderr } = await cordwood(args);
  taken.release();
  assert.equal(code, 1, stderr);
  assert.match(stderr, /127\.0\.0\.1:\d+: the port is in use/);
  assert.equal(existsSync(directory), false);
});

describe('a data directory', () => {
  test('that another process uses is refused, and that process goes on', async () => {
    const directory = newDirectory();
    const first = await running({ 'log.dirs': directory });
    await fails({ 'log.dirs': directory }, /held by process|in use by|another process|lock/i, {
      isInUse: true,
    });
    assert.ok(first.isRunning);
    assert.equal((await fetch(`${first.healthUrl}/readyz`)).status, 200);
    assert.equal((await first.stop()).code, 0);
  });

  test('of another broker id, and of another cluster, is refused', async () => {
    const directory = newDirectory();
    const first = await running({ 'log.dirs': directory });
    assert.equal((await first.stop()).code, 0);
    await fails({ 'log.dirs': directory, 'node.id': '7' }, /broker|node\.id/);
    const meta = join(directory, 'meta.properties');
    const own = readFileSync(meta, 'utf8');
    writeFileSync(meta, own.replace(/cluster\.id=.*/, 'cluster.id=AAAAAAAAAAAAAAAAAAAAAQ'));
    await fails({ 'log.dirs': directory }, /cluster/);
    writeFileSync(meta, own);
    assert.equal((await (await running({ 'log.dirs': directory })).stop()).code, 0);
  });

  test('that cannot be written is named', async () => {
    const file = join(newDirectory(), 'file');
    writeFileSync(file, 'not a directory');
    const { code, stderr } = await cordwood(startArguments(await brokerPorts(), { 'log.dirs': join(file, 'data') }));
    assert.equal(code, 1);
    assert.match(stderr, /file\/data/);
  });
});

describe('a configuration value that makes no sense', () => {
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ 'num.partitions': 'many' }, /num\.partitions=many: is not a whole number/],
    [{ 'num.partitions': '0' }, /num\.partitions=0: .*1/],
    [{ 'node.id': '-4' }, /node\.id=-4: /],
    [{ 'auto.create.topics.enable': 'maybe' }, /auto\.create\.topics\.enable=maybe: /],
    [{ listeners: 'somewhere' }, /listeners=somewhere: /],
    [{ listeners: 'PLAINTEXT://localhost:99999' }, /listeners=PLAINTEXT:\/\/localhost:99999: /],
    [{ 'cordwood.peer.listener': 'nowhere' }, /cordwood\.peer\.listener=nowhere: /],
    [{ 'cordwood.http.listener': 'nowhere' }, /cordwood\.http\.listener=nowhere: /],
    [{ 'cordwood.metadata.store': 'memory' }, /cordwood\.metadata\.store=memory: /],
    [{ 'advertised.listeners': 'OTHER://localhost:1' }, /advertised\.listeners=OTHER/],
    [
      { 'cordwood.metadata.store': 'etcd', 'cordwood.etcd.endpoints': 'nowhere' },
      /cordwood\.etcd\.endpoints=nowhere: /,
    ],
  ];
  test.each(cases)('%o is named with the reason', async (settings, reason) => {
    await fails({ 'log.dirs': newDirectory(), ...settings }, reason);
  });

  test('in the file is named with the file and its line', async () => {
    const directory = newDirectory();
    const file = join(directory, 'server.properties');
    writeFileSync(file, 'node.id=1\n# a comment\nnum.partitions=many\n');
    const { code, stderr } = await cordwood(['start', '--config', file, '-s', `log.dirs=${join(directory, 'data')}`]);
    assert.equal(code, 1);
    assert.match(stderr, /num\.partitions=many: is not a whole number/);
    assert.match(stderr, /server\.properties/);
    assert.equal(existsSync(join(directory, 'data')), false);
  });
});

describe('etcd', () => {
  const program = etcdProgram();
  let etcd: EtcdCluster | null = null;
  beforeAll(async () => {
    if (program) etcd = await EtcdCluster.start(program, 1);
  });
  afterAll(() => etcd?.stop());

  test('that nobody answers at is named', async () => {
    const taken = await takenPort();
    taken.release();
    const endpoint = `http://127.0.0.1:${taken.port}`;
    const settings = { 'cordwood.metadata.store': 'etcd', 'cordwood.etcd.endpoints': endpoint };
    await fails({ 'log.dirs': newDirectory(), ...settings }, new RegExp(`${taken.port}`));
  });

  test('that has a broker of this id already: the second is refused, the first goes on', async (context) => {
    if (etcd === null) return context.skip(noEtcd);
    const settings = {
      'cordwood.metadata.store': 'etcd',
      'cordwood.etcd.endpoints': etcd.endpoints.join(','),
      'cordwood.cluster.name': 'twice',
      'node.id': '5',
    };
    const first = await running({ ...settings, 'log.dirs': newDirectory() });
    await fails({ ...settings, 'log.dirs': newDirectory() }, /broker 5|id 5|node\.id/);
    assert.ok(first.isRunning);
    assert.equal((await fetch(`${first.healthUrl}/readyz`)).status, 200);
    assert.equal((await first.stop()).code, 0);
  });

  test('of another cluster refuses a data directory that belongs elsewhere', async (context) => {
    if (etcd === null) return context.skip(noEtcd);
    const settings = { 'cordwood.metadata.store': 'etcd', 'cordwood.etcd.endpoints': etcd.endpoints.join(',') };
    const directory = newDirectory();
    const one = await running({ ...settings, 'cordwood.cluster.name': 'one', 'log.dirs': directory });
    assert.equal((await one.stop()).code, 0);
    const other = await running({ ...settings, 'cordwood.cluster.name': 'other', 'log.dirs': newDirectory() });
    assert.equal((await other.stop()).code, 0);
    await fails({ ...settings, 'cordwood.cluster.name': 'other', 'log.dirs': directory }, /cluster/);
  });
});
