/**
 * How long from starting a broker or cluster until it has acknowledged a record? Runs a command, and from that moment
 * tries again without pause: connect, metadata, create a topic, produce one record with acks=all.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { RawCluster, sleepMs } from '../support/raw-cluster.ts';
import { decodeProduce, encodeProduce, errorCode } from '../support/raw-requests.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import type { StartResult } from './results.ts';

export interface StartOptions {
  command: string;
  bootstrap: string;
  topic: string;
  partitions: number;
  replicationFactor: number;
  /** Brokers that metadata must name before the topic is created. */
  brokers: number;
  timeoutMs: number;
}

const retryMs = 2;

/** Runs a shell command to its end; its output is shown only when it fails. */
export function runShell(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk));
    child.on('error', reject);
    child.on('exit', (code) => {
      // A broker started in the background may hold the pipes open: the end of the command counts, not theirs.
      child.stdout.destroy();
      child.stderr.destroy();
      if (code === 0) resolve(output);
      else reject(new Error(`«${command}» ended with code ${code}: ${output.slice(-2000)}`));
    });
  });
}

/** Starts `command` in a process group of its own, measures, and gives back the process for the caller to end. */
export async function measureStart(
  options: StartOptions,
): Promise<{ startMs: StartResult['startMs']; child: ChildProcess }> {
  const { bootstrap, topic, partitions, replicationFactor } = options;
  const begun = performance.now();
  const child = spawn('bash', ['-c', options.command], { stdio: 'ignore', detached: true });
  const deadline = begun + options.timeoutMs;
  const elapsed = (): number => performance.now() - begun;
  const until = async <Value>(what: string, attempt: () => Promise<Value>): Promise<Value> => {
    let last: unknown = null;
    while (performance.now() < deadline) {
      try {
        return await attempt();
      } catch (error) {
        last = error;
        await sleepMs(retryMs);
      }
    }
    throw new Error(`${what}: not within ${options.timeoutMs} ms (${String(last)})`);
  };

  const cluster = new RawCluster(bootstrap, 2000);
  try {
    const [host, port] = (bootstrap.split(',')[0] ?? '').split(':');
    await until('connection', () => cluster.connectionTo(host ?? '', Number(port)));
    const toFirstConnection = elapsed();
    await until('metadata', async () => {
      const named = (await cluster.metadata()).brokers.length;
      if (named < options.brokers) throw new Error(`${named} brokers`);
    });
    const toMetadata = elapsed();
    await until('topic', () => cluster.createTopic(topic, { partitions, replicationFactor }));
    await until('record', async () => {
      const { brokers, partitions: found } = await cluster.partitionsOf(topic);
      const leader = brokers.find(({ id }) => id === found[0]?.leader);
      if (leader === undefined) throw new Error('no leader yet');
      const connection = await cluster.connectionTo(leader.host, leader.port);
      const batch = encodeRecordBatch([{ value: Buffer.from('first') }], { timestampMs: Date.now() });
      const [answer] = decodeProduce(await connection.request(encodeProduce(topic, -1, [{ partition: 0, batch }])));
      if (answer?.error !== errorCode.none) throw new Error(`error ${answer?.error}`);
    });
    return { startMs: { toFirstConnection, toMetadata, toFirstAcknowledgement: elapsed() }, child };
  } finally {
    cluster.close();
  }
}

/** Ends what `measureStart` started, with SIGTERM to its process group; a command that has already ended is no error. */
export async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    return;
  }
  await ended;
}
