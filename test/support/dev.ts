/**
 * A development cluster inside a test: real sockets on free ports, real files in a directory of its own that goes away
 * with it. The same as a process of its own is `startDev` in `cordwood-process.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevCluster, startDevCluster } from '../../src/broker/dev-cluster.ts';
import { realEnvironment } from '../../src/cli/real-environment.ts';
import type { Logger } from '../../src/env/logger.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps what a broker logs, for tests that count lines. */
export class LineKeeper implements Logger {
  readonly lines: LogLine[];
  readonly #fields: object;

  constructor(lines: LogLine[] = [], fields: object = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  #keep(level: LogLine['level'], fields: object, message: string): void {
    this.lines.push({ level, message, fields: { ...this.#fields, ...fields } });
  }
  debug(fields: object, message: string): void {
    this.#keep('debug', fields, message);
  }
  info(fields: object, message: string): void {
    this.#keep('info', fields, message);
  }
  warn(fields: object, message: string): void {
    this.#keep('warn', fields, message);
  }
  error(fields: object, message: string): void {
    this.#keep('error', fields, message);
  }
  child(fields: object): Logger {
    return new LineKeeper(this.lines, { ...this.#fields, ...fields });
  }

  /** Lines that say that something is wrong. */
  get complaints(): LogLine[] {
    return this.lines.filter(({ level }) => level === 'warn' || level === 'error');
  }
}

export interface TestClusterOptions {
  readonly brokers?: number;
  readonly config?: Readonly<Record<string, string>>;
}

/** Starts, ends as wanted, and starts again on the same data; ports are new after each start of the whole cluster. */
export class TestCluster {
  readonly log = new LineKeeper();
  readonly directory = mkdtempSync(join(tmpdir(), 'cordwood-dev-'));
  readonly #options: TestClusterOptions;
  #running: DevCluster | null = null;

  private constructor(options: TestClusterOptions) {
    this.#options = options;
  }

  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    try {
      await cluster.start();
    } catch (error) {
      rmSync(cluster.directory, { recursive: true, force: true });
      throw error;
    }
    return cluster;
  }

  async start(): Promise<void> {
    const { brokers = 3, config = {} } = this.#options;
    this.#running = await startDevCluster(
      { brokers, dataDirectory: this.directory, host: '127.0.0.1', port: 0, config },
      realEnvironment(this.log),
    );
  }

  get dev(): DevCluster {
    if (this.#running === null) throw new Error('the cluster is not running');
    return this.#running;
  }

  /** `host:port` of each broker, in the order of their ids. */
  get brokers(): string[] {
    return this.dev.bootstrapServers;
  }

  get bootstrap(): string {
    return this.brokers.join(',');
  }

  addressOf(id: number): { host: string; port: number } {
    const address = this.dev.brokers().find((broker) => broker.id === id)?.address ?? '';
    return { host: '127.0.0.1', port: Number(address.split(':').at(-1)) };
  }

  /** Ends it cleanly; the data stays. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.stop();
  }

  /** Ends it as a crash of the whole process would; the data stays as it is. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.kill();
  }

  /** Ends it if it runs, and removes its data. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
