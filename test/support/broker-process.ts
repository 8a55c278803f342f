/** `cordwood start` as a process of its own on free ports: what it logs, whether it is ready, and how it ends. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type Finished, outputOf, spawnCordwood } from './cordwood-process.ts';
import { freePorts } from './free-ports.ts';
import { until } from './until.ts';

const host = '127.0.0.1';

export interface BrokerPorts {
  readonly kafka: number;
  readonly peer: number;
  readonly http: number;
}

export async function brokerPorts(): Promise<BrokerPorts> {
  const [kafka = 0, peer = 0, http = 0] = await freePorts(3);
  return { kafka, peer, http };
}

/** The arguments of `cordwood start` for these ports and settings. */
export function startArguments(ports: BrokerPorts, settings: Readonly<Record<string, string>>): string[] {
  const all = {
    listeners: `PLAINTEXT://${host}:${ports.kafka}`,
    'cordwood.peer.listener': `${host}:${ports.peer}`,
    'cordwood.http.listener': `${host}:${ports.http}`,
    ...settings,
  };
  return ['start', ...Object.entries(all).flatMap(([key, value]) => ['-s', `${key}=${value}`])];
}

export class BrokerProcess {
  readonly child: ChildProcess;
  readonly ports: BrokerPorts;
  readonly finished: Promise<Finished>;
  /** Messages of the log lines that complain, oldest first. */
  readonly complaints: string[] = [];
  #text = '';

  private constructor(child: ChildProcess, ports: BrokerPorts) {
    this.child = child;
    this.ports = ports;
    this.finished = outputOf(child);
    child.stdout?.on('data', (chunk: Buffer) => this.#onOutput(String(chunk)));
  }

  /** Up and ready to serve clients; throws with what it said when it is not to be. */
  static async start(settings: Readonly<Record<string, string>>): Promise<BrokerProcess> {
    const ports = await brokerPorts();
    const broker = new BrokerProcess(spawnCordwood(startArguments(ports, settings)), ports);
    const ended = broker.finished.then(({ code, stdout, stderr }) => {
      throw new Error(`the broker ended with ${code}: ${stderr}${stdout}`);
    });
    const ready = until('the broker is ready', async () => (await fetch(`${broker.healthUrl}/readyz`)).ok, 30_000);
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
    return broker;
  }

  #onOutput(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const { level, msg } = JSON.parse(line) as { level: number | string; msg: string };
      if (level === 'warn' || level === 'error' || Number(level) >= 40) this.complaints.push(msg);
    }
  }

  get address(): { host: string; port: number } {
    return { host, port: this.ports.kafka };
  }

  get healthUrl(): string {
    return `http://${host}:${this.ports.http}`;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** SIGTERM; its exit code and what it wrote. */
  stop(): Promise<Finished> {
    this.child.kill('SIGTERM');
    return this.finished;
  }

  async kill(): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}
