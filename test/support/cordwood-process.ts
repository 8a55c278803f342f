/** The program as a user runs it: `cordwood …` as a process of its own, from the source. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../../src/cli/main.ts');

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function spawnCordwood(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  return spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--initial-old-space-size=256', main, ...args],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, CORDWOOD_BOOTSTRAP: undefined, CORDWOOD_CONTROL: undefined, ...environment },
    },
  );
}

/** Runs to its end; `input` is its standard input. */
export async function cordwood(args: readonly string[], input: string | Buffer = ''): Promise<Finished> {
  const child = spawnCordwood(args);
  const finished = outputOf(child);
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return finished;
}

/** All it wrote, once it has ended. */
export async function outputOf(child: ChildProcess): Promise<Finished> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: String(Buffer.concat(stdout)), stderr: String(Buffer.concat(stderr)) };
}

export interface DevProcess {
  readonly bootstrap: readonly string[];
  /** Base URL of the control port. */
  readonly control: string;
  readonly process: ChildProcess;
  /** Ctrl-C; what it wrote and its exit code. */
  interrupt(): Promise<Finished>;
}

/** `cordwood dev` on free ports, up; `directory` keeps its data. */
export async function startDev(directory: string, args: readonly string[] = []): Promise<DevProcess> {
  const child = spawnCordwood(['dev', '--port', '0', '--http-port', '0', '--data', directory, '--json', ...args]);
  const finished = outputOf(child);
  const started = await Promise.race([firstLine(child), finished]);
  if (typeof started !== 'string') throw new Error(`cordwood dev ended with ${started.code}: ${started.stderr}`);
  const { bootstrap, control } = JSON.parse(started) as { bootstrap: string[]; control: string };
  return {
    bootstrap,
    control,
    process: child,
    interrupt() {
      child.kill('SIGINT');
      return finished;
    },
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}

/** A directory of its own, and how to be rid of it. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'cordwood-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
