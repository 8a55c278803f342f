/**
 * Real etcd for tests: as many members as asked, on free ports, in a directory of their own, killed at the end. The
 * program is `ETCD_BIN`, else `etcd` on the path; without either `etcdProgram()` is null and `noEtcd` says why a test
 * is skipped.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdApi } from '../../src/cluster/etcd/etcd-api.ts';
import { EtcdMembers } from '../../src/cluster/etcd/etcd-members.ts';
import { nodeClock } from '../../src/env/node/clock.ts';
import { nodeTimers } from '../../src/env/node/timers.ts';
import { present } from '../../src/model/assert.ts';

export const noEtcd = 'no etcd: set ETCD_BIN, or put etcd on the path (Debian: apt-get install etcd-server)';

export function etcdProgram(): string | null {
  const program = process.env.ETCD_BIN || 'etcd';
  return spawnSync(program, ['--version']).status === 0 ? program : null;
}

/** Ports that were free a moment ago: etcd must know those of all members before any starts. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  return servers.map((server) => {
    const address = server.address();
    server.close();
    return address !== null && typeof address === 'object' ? address.port : 0;
  });
}

export class EtcdProcess {
  readonly endpoint: string;
  readonly #program: string;
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #log = '';

  constructor(program: string, endpoint: string, args: readonly string[]) {
    this.#program = program;
    this.endpoint = endpoint;
    this.#args = args;
  }

  start(): void {
    const child = spawn(this.#program, this.#args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-4_000);
    });
    this.#child = child;
  }

  /** The last that it wrote: for the message of a failing test. */
  get log(): string {
    return this.#log;
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** kill -9, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

export class EtcdCluster {
  readonly members: readonly EtcdProcess[];
  readonly #directory: string;
  readonly #admin: EtcdMembers;

  private constructor(members: readonly EtcdProcess[], directory: string) {
    this.members = members;
    this.#directory = directory;
    const endpoints = members.map(({ endpoint }) => endpoint);
    this.#admin = new EtcdMembers(endpoints, null, { clock: nodeClock, timers: nodeTimers });
  }

  /** Started, not waited for: `EtcdStore.open` does that. Leases of 1 s are the shortest (elections take half a second). */
  static async start(program: string, size: number): Promise<EtcdCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'cordwood-etcd-'));
    const ports = await freePorts(size * 2);
    const addresses = Array.from({ length: size }, (_, index) => ({
      name: `m${index + 1}`,
      client: `http://127.0.0.1:${ports[index * 2]}`,
      peer: `http://127.0.0.1:${ports[index * 2 + 1]}`,
    }));
    const initial = addresses.map(({ name, peer }) => `${name}=${peer}`).join(',');
    const members = addresses.map(({ name, client, peer }) => {
      const flags = {
        name,
        'data-dir': join(directory, name),
        'listen-client-urls': client,
        'advertise-client-urls': client,
        'listen-peer-urls': peer,
        'initial-advertise-peer-urls': peer,
        'initial-cluster': initial,
        'initial-cluster-token': directory,
        'heartbeat-interval': '50',
        'election-timeout': '500',
        'log-level': 'warn',
      };
      return new EtcdProcess(
        program,
        client,
        Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
      );
    });
    for (const member of members) member.start();
    return new EtcdCluster(members, directory);
  }

  get endpoints(): string[] {
    return this.members.map(({ endpoint }) => endpoint);
  }

  memberAt(endpoint: string): EtcdProcess {
    const found = this.members.find((member) => member.endpoint === endpoint);
    return present(found, `${endpoint} is a member`);
  }

  /** What an operator, or `--auto-compaction-retention`, does. */
  async compact(revision: number): Promise<void> {
    await this.#admin.call(etcdApi.compact, { revision, physical: true }, { repeatable: false, timeLimitMs: 10_000 });
  }

  async revokeLease(id: string): Promise<void> {
    await this.#admin.call(etcdApi.leaseRevoke, { ID: id }, { repeatable: true, timeLimitMs: 10_000 });
  }

  async stop(): Promise<void> {
    this.#admin.close();
    await Promise.all(this.members.map((member) => member.kill()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
