/**
 * How long does a broker let a small request wait? A process of its own asks each broker for its versions every few
 * milliseconds; what is late tells from outside how long an event loop was held. On a machine with few cores the wait
 * for a core is in it too: it is an upper bound.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { apiVersionsApi } from '../../src/wire/messages/18-api-versions.ts';
import { outputOf } from '../support/cordwood-process.ts';
import { sleepMs } from '../support/raw-cluster.ts';
import { WireClient } from '../support/wire-client.ts';
import type { Address } from './group-members.ts';
import { type LatencySummary, summariseLatencies } from './percentiles.ts';

const pauseMs = 3;
/** What the process writes once it has got through to every broker. */
const ready = 'ready\n';

/** Runs `work` and pings meanwhile. */
export async function whilePinging<Result>(
  brokers: readonly Address[],
  work: () => Promise<Result>,
): Promise<{ result: Result; pingMs: LatencySummary }> {
  const addresses = brokers.map(({ host, port }) => `${host}:${port}`);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...addresses], { stdio: 'pipe' });
  const finished = outputOf(child);
  try {
    await Promise.race([once(child.stdout, 'data'), finished]);
    const result = await work();
    child.stdin.end();
    const { code, stdout, stderr } = await finished;
    if (code !== 0) throw new Error(`the pinger ended with ${code}: ${stderr}`);
    return { result, pingMs: JSON.parse(stdout.slice(ready.length)) as LatencySummary };
  } finally {
    child.kill('SIGKILL');
  }
}

if (import.meta.main) {
  const latencies: number[] = [];
  let isOver = false;
  process.stdin.resume().once('end', () => {
    isOver = true;
  });
  const open = (address: string): Promise<WireClient> => {
    const [host = '', port] = address.split(':');
    return WireClient.open({ host, port: Number(port) });
  };
  const clients = await Promise.all(process.argv.slice(2).map(open));
  process.stdout.write(ready);
  const pings = clients.map(async (client) => {
    while (!isOver) {
      const sentMs = performance.now();
      await client.ask(apiVersionsApi, 0);
      latencies.push(performance.now() - sentMs);
      await sleepMs(pauseMs);
    }
    client.close();
  });
  await Promise.all(pings);
  process.stdout.write(JSON.stringify(summariseLatencies(Float64Array.from(latencies))));
}
