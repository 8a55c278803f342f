/**
 * A cluster of broker processes with etcd on this machine, for benches and kills from the command line:
 *
 *     node test/chaos/processes.ts start 3      fresh data; prints «node N host:port pid P» once all answer
 *     node test/chaos/processes.ts kill N       kill -9
 *     node test/chaos/processes.ts pause N      SIGSTOP; resume N: SIGCONT
 *     node test/chaos/processes.ts restart N    starts broker N again with the data it had; returns at once
 *     node test/chaos/processes.ts stop         stops everything, removes the data
 *
 * One broker needs no etcd (`cordwood.metadata.store=embedded`); more share one etcd member, or as many as
 * `--etcd-members` says. Ports: brokers from --port on, their peers 100 above, HTTP 200 above, etcd 300 and 400 above.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { longTurnsFile, longTurnsVariable } from '../bench/long-turns.ts';
import { RawCluster, sleepMs } from '../support/raw-cluster.ts';

const cli = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const longTurns = new URL('../bench/long-turns.ts', import.meta.url).href;
const host = '127.0.0.1';

interface Place {
  dir: string;
  port: number;
}

interface StartOptions extends Place {
  etcdMembers: number;
  set: string[];
  longTurns?: true;
}

/** Starts a program that outlives this one; its output goes to `<home>/log`, its pid to `<home>/pid`. */
function launch(home: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): number {
  const log = openSync(join(home, 'log'), 'a');
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    detached: true,
    env: { ...process.env, ...env },
  });
  child.on('error', () => {}); // Told below: without a process there is no pid.
  if (child.pid === undefined)
    throw new Error(`${command} cannot be started; for etcd set ETCD_BIN or put it on the path`);
  child.unref();
  writeFileSync(join(home, 'pid'), `${child.pid}\n`);
  return child.pid;
}

const brokerHome = (dir: string, id: number): string => join(dir, `node${id}`);

function launchBroker(dir: string, id: number): number {
  const home = brokerHome(dir, id);
  const turns = join(home, longTurnsFile);
  const isWatched = existsSync(turns);
  const args = ['--disable-warning=ExperimentalWarning', '--initial-old-space-size=256'];
  if (isWatched) args.push('--import', longTurns);
  args.push(cli, 'start', '--config', join(home, 'server.properties'));
  return launch(home, process.execPath, args, isWatched ? { [longTurnsVariable]: turns } : {});
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A child of a container's init that nobody reaps stays as a zombie: it is as dead as can be.
    return !/^\d+ \(.*\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function pidOf(home: string): number | null {
  const path = join(home, 'pid');
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : null;
}

async function start(
  brokers: number,
  { dir, port, etcdMembers, set, longTurns: tellsLongTurns }: StartOptions,
): Promise<void> {
  await stop({ dir, port });
  const members = Array.from({ length: brokers > 1 ? etcdMembers : 0 }, (_, index) => ({
    name: `etcd${index + 1}`,
    client: `http://${host}:${port + 300 + index}`,
    peer: `http://${host}:${port + 400 + index}`,
  }));
  const program = process.env.ETCD_BIN ?? 'etcd';
  for (const { name, client, peer } of members) {
    const home = join(dir, name);
    mkdirSync(home, { recursive: true });
    launch(home, program, [
      ...['--name', name, '--data-dir', join(home, 'data'), '--log-level', 'warn'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', members.map((one) => `${one.name}=${one.peer}`).join(',')],
    ]);
  }
  const pids: number[] = [];
  for (let id = 1; id <= brokers; id++) {
    const home = brokerHome(dir, id);
    mkdirSync(home, { recursive: true });
    const listener = `PLAINTEXT://${host}:${port - 1 + id}`;
    const replicas = Math.min(brokers, 3);
    const lines = [
      `node.id=${id}`,
      `listeners=${listener}`,
      `advertised.listeners=${listener}`,
      `cordwood.peer.listener=${host}:${port + 99 + id}`,
      `cordwood.http.listener=${host}:${port + 199 + id}`,
      `cordwood.metadata.store=${members.length > 0 ? 'etcd' : 'embedded'}`,
      ...(members.length > 0 ? [`cordwood.etcd.endpoints=${members.map(({ client }) => client).join(',')}`] : []),
      `log.dirs=${join(home, 'data')}`,
      `default.replication.factor=${replicas}`,
      `min.insync.replicas=${replicas > 1 ? 2 : 1}`,
      ...set,
    ];
    writeFileSync(join(home, 'server.properties'), `${lines.join('\n')}\n`);
    if (tellsLongTurns) writeFileSync(join(home, longTurnsFile), '');
    pids.push(launchBroker(dir, id));
  }
  await waitForBrokers(`${host}:${port}`, brokers, dir, pids);
  for (const [index, pid] of pids.entries()) console.log(`node ${index + 1} ${host}:${port + index} pid ${pid}`);
}

async function waitForBrokers(bootstrap: string, brokers: number, dir: string, pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 60_000;
  const cluster = new RawCluster(bootstrap, 1000);
  try {
    for (;;) {
      const dead = pids.findIndex((pid) => !isAlive(pid));
      if (dead >= 0) {
        const log = readFileSync(join(brokerHome(dir, dead + 1), 'log'), 'utf8').slice(-2000);
        throw new Error(`broker ${dead + 1} ended while starting: ${log}`);
      }
      const named = await cluster.metadata().then(
        (metadata) => metadata.brokers.length,
        () => 0,
      );
      if (named === brokers) return;
      if (performance.now() > deadline)
        throw new Error(`${named} of ${brokers} brokers after 60 s; logs are in ${dir}`);
      await sleepMs(20);
    }
  } finally {
    cluster.close();
  }
}

function signal(id: number, dir: string, name: NodeJS.Signals): void {
  const pid = pidOf(brokerHome(dir, id));
  if (pid === null) throw new Error(`broker ${id} was never started in ${dir}`);
  process.kill(pid, name);
}

/** SIGTERM to brokers, then etcd; after ten seconds SIGKILL. Then the data goes. */
async function stop({ dir }: Place): Promise<void> {
  if (!existsSync(dir)) return;
  const homes = readdirSync(dir).sort((a, b) => Number(a.startsWith('etcd')) - Number(b.startsWith('etcd')));
  for (const kind of ['node', 'etcd']) {
    const pids = homes.filter((home) => home.startsWith(kind)).flatMap((home) => pidOf(join(dir, home)) ?? []);
    for (const pid of pids)
      if (isAlive(pid)) {
        process.kill(pid, 'SIGTERM');
        process.kill(pid, 'SIGCONT');
      }
    for (let left = 500; left > 0 && pids.some(isAlive); left--) await sleepMs(20);
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
  for (const home of homes)
    if (/^(node|etcd)\d+$/.test(home)) rmSync(join(dir, home), { recursive: true, force: true });
}

const program = new Command('processes').description(
  'broker processes with etcd on this machine: start, kill, restart, stop',
);
const inPlace = (command: Command): Command =>
  command
    .option(
      '--dir <directory>',
      'data, logs and pids',
      process.env.CORDWOOD_PROCESSES_DIR ?? join(tmpdir(), 'cordwood-processes'),
    )
    .option('--port <n>', 'of the first broker', Number, 9092);
inPlace(program.command('start'))
  .argument('[brokers]', 'how many', Number, 3)
  .option('--etcd-members <n>', 'how many etcd processes, where there is more than one broker', Number, 1)
  .option('--long-turns', 'brokers tell how long they hold their event loops, for `bench groups --processes`')
  .option(
    '--set <key=value>',
    'a line of server.properties; repeat for more',
    (line: string, all: string[]) => [...all, line],
    [],
  )
  .action(start);
for (const [name, signalName] of [
  ['kill', 'SIGKILL'],
  ['pause', 'SIGSTOP'],
  ['resume', 'SIGCONT'],
] as const)
  inPlace(program.command(name))
    .argument('<id>', 'the broker', Number)
    .action((id: number, { dir }: Place) => signal(id, dir, signalName));
inPlace(program.command('restart'))
  .argument('<id>', 'the broker', Number)
  .action((id: number, { dir }: Place) => console.log(`pid ${launchBroker(dir, id)}`));
inPlace(program.command('stop')).action(stop);
await program.parseAsync();
