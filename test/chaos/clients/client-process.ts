/** How does a run drive any of the client programs (README.md) and learn what was acknowledged, and when? */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

export const clientNames = ['raw', 'kafkajs', 'librdkafka', 'java'] as const;
export type ClientName = (typeof clientNames)[number];

export interface ClientProgram {
  name: ClientName;
  isIdempotent: boolean;
  command: string;
  args: string[];
}

/** A program ready to run, or the reason why this machine cannot run it. */
export async function findClient(name: ClientName, kafkaClasspath: string | null): Promise<ClientProgram | string> {
  switch (name) {
    case 'raw':
      return { name, isIdempotent: true, command: process.execPath, args: [here('raw.ts')] };
    case 'kafkajs':
      return { name, isIdempotent: false, command: process.execPath, args: [here('kafkajs.ts')] };
    case 'librdkafka':
      try {
        await run('python3', ['-c', 'import confluent_kafka']);
      } catch {
        return 'python3 with confluent_kafka is not here (pip install confluent-kafka)';
      }
      return { name, isIdempotent: false, command: 'python3', args: [here('librdkafka.py')] };
    case 'java': {
      if (kafkaClasspath === null) return 'no class path with kafka-clients (--kafka-classpath)';
      const classes = await mkdtemp(join(tmpdir(), 'cordwood-java-client-'));
      try {
        await run('javac', ['-cp', kafkaClasspath, '-d', classes, here('JavaProducer.java')]);
      } catch (error) {
        return `javac failed: ${error instanceof Error ? error.message : String(error)}`;
      }
      const args = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', `${classes}:${kafkaClasspath}`, 'JavaProducer'];
      return { name, isIdempotent: true, command: 'java', args };
    }
  }
}

export interface Acknowledgement {
  partition: number;
  offset: number;
  value: string;
  atMs: number;
}

export class ClientProcess {
  readonly program: ClientProgram;
  readonly acknowledged: Acknowledgement[] = [];
  /** Values that the client gave up, with its reason. */
  readonly failed: { partition: number; value: string; reason: string }[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #lastAckMs: number[];

  constructor(program: ClientProgram, bootstrap: string, topic: string, partitions: number, ratePerPartition: number) {
    this.program = program;
    this.#lastAckMs = Array<number>(partitions).fill(Number.NEGATIVE_INFINITY);
    const args = [...program.args, bootstrap, topic, String(partitions), String(ratePerPartition), program.name];
    const child = spawn(program.command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => this.#onLine(line));
    this.#ended = new Promise((resolve) => lines.once('close', resolve));
  }

  /** Milliseconds (CLOCK_MONOTONIC) of the newest acknowledgement of the partition that is furthest behind. */
  get oldestLastAckMs(): number {
    return Math.min(...this.#lastAckMs);
  }

  /** Lets the client flush, waits for its end; past `timeoutMs` it is killed. */
  async stop(timeoutMs: number): Promise<void> {
    this.#child.stdin?.end('stop\n');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  #onLine(line: string): void {
    const [kind, partition, third = '', fourth = '', ...rest] = line.split(' ');
    if (kind === 'ack') {
      const atMs = Number(rest[0]);
      this.acknowledged.push({ partition: Number(partition), offset: Number(third), value: fourth, atMs });
      this.#lastAckMs[Number(partition)] = atMs;
    } else if (kind === 'err')
      this.failed.push({ partition: Number(partition), value: third, reason: [fourth, ...rest].join(' ') });
  }
}
