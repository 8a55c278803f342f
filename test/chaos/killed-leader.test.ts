/**
 * Three broker processes and etcd: leaders killed with -9, then paused, while real clients write. Nothing acknowledged is
 * lost, nothing of an idempotent producer stands twice, and every partition takes writes again.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type FailoverOptions, measureFailover, summariseFailover } from '../bench/failover.ts';
import { runShell } from '../bench/start-up.ts';
import { etcdProgram } from '../support/etcd.ts';

const processes = `'${process.execPath}' --disable-warning=ExperimentalWarning '${join(import.meta.dirname, 'processes.ts')}'`;
/** Brokers listen here and above: a place that neither the defaults nor ephemeral ports of Linux use. */
const port = 25_092;

describe.skipIf(etcdProgram() === null)('three broker processes with etcd', () => {
  const dir = mkdtempSync(join(tmpdir(), 'cordwood-killed-leader-'));
  const command = (name: string): string => `${processes} ${name} --dir '${dir}' --port ${port}`;
  const options: FailoverOptions = {
    bootstrap: [0, 1, 2].map((index) => `127.0.0.1:${port + index}`).join(','),
    kill: `${command('kill')} {id}`,
    restart: `${command('restart')} {id}`,
    kills: 3,
    clients: ['raw', 'kafkajs'],
    kafkaClasspath: null,
    partitions: 6,
    replicationFactor: 3,
    minInsyncReplicas: 2,
    rate: 50,
    settleSeconds: 1,
    giveUpSeconds: 60,
  };

  beforeAll(() => runShell(`${command('start')} 3`), 120_000);
  afterAll(async () => {
    await runShell(command('stop'));
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  async function survives(changes: Partial<FailoverOptions>): Promise<void> {
    const result = await measureFailover({ ...options, ...changes }, () => {});
    console.log(summariseFailover(result).join('\n'));
    assert.deepEqual(result.violations, []);
    for (const { led, followed } of result.kills)
      for (const gap of [led, followed]) assert.ok(gap?.hasEnded !== false, 'a partition did not take writes again');
  }

  test('nothing acknowledged is lost when leaders are killed', () => survives({}));

  // The raw client alone: kafkajs waits out its request timeout of 30 s on a connection that nobody resets, then opens
  // the next one to the same broker, whose kernel still accepts it.
  test('nothing acknowledged is lost when leaders are paused', () =>
    survives({ clients: ['raw'], kill: `${command('pause')} {id}`, restart: `${command('resume')} {id}`, kills: 2 }));
});
