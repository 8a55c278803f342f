/**
 * A member of a group as a process of its own, whatever client it is made of: what it was given, what it read, what it
 * committed, and two ways to go: leaving its group, and kill -9.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { monotonicMs } from '../chaos/clients/steady-sender.ts';

export const memberKinds = ['kafkajs', 'platformatic', 'platformatic-848', 'kcat', 'raw', 'raw-848'] as const;
export type MemberKind = (typeof memberKinds)[number];

export const protocolOf = (kind: MemberKind): 'classic' | 'consumer' =>
  kind.endsWith('-848') ? 'consumer' : 'classic';

export const noKcat = 'no kcat (Debian: apt-get install kcat)';
export const isKcatThere = (): boolean => spawnSync('kcat', ['-V']).status === 0;

export interface MemberOptions {
  readonly kind: MemberKind;
  readonly bootstrap: string;
  readonly group: string;
  readonly topics: readonly string[];
  /** The client id, by which the group's description is read. */
  readonly name: string;
  readonly sessionTimeoutMs: number;
  /** A directory for what it writes to its standard error, as `<name>.log`. */
  readonly logDir?: string | undefined;
}

export interface MemberRead {
  readonly atMs: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
}

export interface MemberCommit {
  readonly outcome: 'ok' | 'info';
  readonly fromMs: number;
  readonly untilMs: number;
  /** Null where the client does not tell it. */
  readonly generation: number | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface MemberAssignment {
  readonly atMs: number;
  readonly generation: number | null;
  /** `topic:partition` each. */
  readonly places: readonly string[];
}

function command({ kind, bootstrap, group, topics, name, sessionTimeoutMs }: MemberOptions): string[] {
  if (kind === 'kcat') {
    // It commits every 5 s: kcat takes `auto.commit.interval.ms` for the property of a topic that has the same name.
    const settings = {
      'client.id': name,
      'session.timeout.ms': sessionTimeoutMs,
      'heartbeat.interval.ms': Math.floor(sessionTimeoutMs / 10),
      'auto.offset.reset': 'earliest',
      'fetch.wait.max.ms': 100,
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => ['-X', `${key}=${value}`]);
    // -E: it is not to end when no broker can be reached for a while.
    return ['kcat', '-b', bootstrap, '-q', '-u', '-E', '-f', 'read - %t %p %o %s\\n', ...flags, '-G', group, ...topics];
  }
  const [program = '', isNew] = kind.split('-');
  const path = join(import.meta.dirname, 'group-members', `${program}.ts`);
  const protocol = isNew === undefined ? 'classic' : 'consumer';
  return [
    ...[process.execPath, '--disable-warning=ExperimentalWarning', path],
    ...[bootstrap, group, topics.join(','), name, String(sessionTimeoutMs), protocol],
  ];
}

export class MemberProcess {
  readonly options: MemberOptions;
  readonly reads: MemberRead[] = [];
  readonly commits: MemberCommit[] = [];
  readonly assignments: MemberAssignment[] = [];
  /** The end of what it wrote to its standard error, for the message of a failing test. */
  complaints = '';
  /** Called for each event, after it was added. */
  onEvent: () => void = () => {};
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(options: MemberOptions) {
    this.options = options;
    const [program = '', ...args] = command(options);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdin.on('error', () => {});
    child.stderr.on('data', (chunk: Buffer) => {
      this.complaints = (this.complaints + chunk).slice(-2000);
    });
    if (options.logDir !== undefined)
      child.stderr.pipe(createWriteStream(join(options.logDir, `${options.name}.log`), { flags: 'a' }));
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => this.#onLine(line));
    this.#ended = once(lines, 'close').then(() => undefined);
  }

  static start(options: MemberOptions): MemberProcess {
    return new MemberProcess(options);
  }

  get name(): string {
    return this.options.name;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Leaves its group and ends; past `timeoutMs` it is killed. */
  async leave(timeoutMs = 20_000): Promise<void> {
    if (this.options.kind === 'kcat') this.#child.kill('SIGTERM');
    else this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** kill -9: its group hears nothing of it. */
  async crash(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #onLine(line: string): void {
    const [kind, first = '', ...rest] = line.split(' ');
    if (kind === 'read') {
      const [topic = '', partition, offset, ...value] = rest;
      const atMs = first === '-' ? monotonicMs() : Number(first);
      const place = { topic, partition: Number(partition), offset: Number(offset) };
      this.reads.push({ atMs, ...place, value: value.join(' ') });
    } else if (kind === 'committed' || kind === 'attempted') {
      const [untilMs, generation, topic = '', partition, offset] = rest;
      this.commits.push({
        outcome: kind === 'committed' ? 'ok' : 'info',
        fromMs: Number(first),
        untilMs: Number(untilMs),
        generation: generation === '-' ? null : Number(generation),
        topic,
        partition: Number(partition),
        offset: Number(offset),
      });
    } else if (kind === 'assigned') {
      const [generation, places = '-'] = rest;
      this.assignments.push({
        atMs: Number(first),
        generation: generation === '-' ? null : Number(generation),
        places: places === '-' ? [] : places.split(','),
      });
    }
    this.onEvent();
  }
}
