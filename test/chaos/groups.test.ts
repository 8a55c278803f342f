/**
 * Three broker processes and etcd, a group of each client: a coordinator killed with -9, then all brokers. No committed
 * offset is lost or told older at any moment, no partition has two owners, every group works again and reads everything.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { runShell } from '../bench/start-up.ts';
import { etcdProgram } from '../support/etcd.ts';
import { memberKinds } from '../support/member-process.ts';
import { disturbGroups, faultsOf, summariseGroups } from './groups.ts';

const processes = `'${process.execPath}' --disable-warning=ExperimentalWarning '${join(import.meta.dirname, 'processes.ts')}'`;
/** Brokers listen here and above: a place that neither the defaults nor ephemeral ports of Linux use. */
const port = 25_592;

describe.skipIf(etcdProgram() === null)('three broker processes with etcd', () => {
  const dir = mkdtempSync(join(tmpdir(), 'cordwood-chaos-groups-'));
  const command = (name: string): string => `${processes} ${name} --dir '${dir}' --port ${port}`;

  beforeAll(() => runShell(`${command('start')} 3 --set group.initial.rebalance.delay.ms=0`), 120_000);
  afterAll(async () => {
    await runShell(command('stop'));
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  test('groups keep their offsets when coordinators are killed, and work again', async () => {
    const result = await disturbGroups(
      {
        bootstrap: [0, 1, 2].map((index) => `127.0.0.1:${port + index}`).join(','),
        kill: `${command('kill')} {id}`,
        restart: `${command('restart')} {id}`,
        kills: 1,
        outages: 1,
        kinds: [...memberKinds],
        members: 2,
        partitions: 6,
        rate: 10,
        sessionTimeoutMs: 10_000,
        settleSeconds: 1,
        giveUpSeconds: 60,
      },
      () => {},
    );
    console.log(summariseGroups(result).join('\n'));
    assert.deepEqual(faultsOf(result), []);
  });
});
