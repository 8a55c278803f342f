/** The cluster of docker-compose.yml, as users run it: what happens when Docker kills its leader? */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DockerComposeEnvironment, type StartedDockerComposeEnvironment, Wait } from 'testcontainers';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { cordwood, spawnCordwood } from '../support/cordwood-process.ts';
import { composeExecutable, composeProblem } from '../support/docker.ts';

const root = join(import.meta.dirname, '../..');
const bootstrap = 'localhost:29092,localhost:39092,localhost:49092';
const brokers = ['broker-1', 'broker-2', 'broker-3'];
const project = 'cordwood-test';
const problem = composeProblem();

if (problem !== null) test('the composed cluster survives its leader', ({ skip }) => skip(problem));
else
  describe('the composed cluster', () => {
    let composed: StartedDockerComposeEnvironment | undefined;

    beforeAll(async () => {
      const executable = composeExecutable();
      assert.ok(executable !== null);
      composed = await new DockerComposeEnvironment(root, 'docker-compose.yml')
        .withProjectName(project)
        .withBuild()
        .withAutoCleanup(false)
        .withClientOptions({ executable })
        .withDefaultWaitStrategy(Wait.forHealthCheck())
        .withStartupTimeout(120_000)
        .up();
    }, 600_000);
    afterAll(() => composed?.down({ removeVolumes: true }), 120_000);

    const json = async <Answer>(args: readonly string[], input = ''): Promise<Answer> => {
      const { code, stdout, stderr } = await cordwood([...args, '--bootstrap', bootstrap, '--json'], input);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as Answer;
    };
    const docker = (...args: string[]): void => {
      const { status, stderr } = spawnSync('docker', args, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    };
    /** The container's name differs between versions of compose; its labels do not. */
    const containerOf = (service: string): string => {
      const label = 'label=com.docker.compose';
      const filters = ['--filter', `${label}.project=${project}`, '--filter', `${label}.service=${service}`];
      return spawnSync('docker', ['ps', '-aq', ...filters], { encoding: 'utf8' }).stdout.trim();
    };
    interface Described {
      partitions: { partition: number; leader: number; isr: number[] }[];
    }
    const describeTopic = async (topic: string): Promise<Described> => {
      const [described] = await json<Described[]>(['topic', 'describe', topic]);
      assert.ok(described);
      return described;
    };

    test('shows each broker on its own host port and rack', async () => {
      const status = await json<{ brokers: { address: string; rack: string }[] }>(['cluster', 'status']);
      assert.deepEqual(
        status.brokers.map(({ address, rack }) => `${address} ${rack}`),
        ['localhost:29092 rack-a', 'localhost:39092 rack-b', 'localhost:49092 rack-c'],
      );
    });

    test('keeps every acknowledged line, in order and once, while the leader is killed and comes back', async () => {
      await json(['topic', 'create', 'lines', '-p', '3', '-r', '3']);
      const leader = (await describeTopic('lines')).partitions[0]?.leader ?? 0;
      const victim = containerOf(brokers[leader - 1] ?? '');
      const child = spawnCordwood(['produce', 'lines', '--bootstrap', bootstrap, '--json']);
      const stdout: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
      const total = 60_000;
      for (let first = 0; first < total; first += 1000) {
        const lines = Array.from({ length: 1000 }, (_, i) => `${first + i}\n`).join('');
        if (child.stdin?.write(lines) === false) await once(child.stdin, 'drain');
        if (first === 20_000) docker('kill', victim);
        if (first === 40_000) docker('start', victim);
      }
      child.stdin?.end();
      const [code] = (await once(child, 'close')) as [number];
      assert.equal(code, 0);
      assert.equal(JSON.parse(String(Buffer.concat(stdout))).acknowledged, total);

      const read = await cordwood(['consume', 'lines', '--bootstrap', bootstrap, '-e', '-f', '%p %v\\n']);
      const lastOf = new Map<string, number>();
      const seen = new Set<number>();
      for (const line of read.stdout.trimEnd().split('\n')) {
        const [partition = '', text] = line.split(' ');
        const value = Number(text);
        assert.ok(value > (lastOf.get(partition) ?? -1), `partition ${partition}: ${value} is out of order or twice`);
        lastOf.set(partition, value);
        seen.add(value);
      }
      assert.equal(seen.size, total);
    });

    test('the killed broker is in every ISR again', async () => {
      for (;;) {
        const { partitions } = await describeTopic('lines');
        if (partitions.every(({ isr }) => isr.length === 3)) break;
      }
    });

    test('a container of the same network is told addresses that it can reach', () => {
      const args = ['exec', containerOf('broker-2'), 'cordwood', 'consume', 'lines', '-b', 'broker-1:9092', '-n', '1'];
      const { status, stdout } = spawnSync('docker', args, { encoding: 'utf8' });
      assert.equal(status, 0);
      assert.match(stdout, /^\d+\n$/);
    });
  });
