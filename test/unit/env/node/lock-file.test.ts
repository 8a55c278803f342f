/** Who holds a data directory? */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'vitest';
import { lockFile } from '../../../../src/env/node/lock-file.ts';

let directory = '';
let path = '';
let child: ChildProcess | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cordwood-lock-'));
  path = join(directory, '.lock');
});
afterEach(() => {
  child?.kill('SIGKILL');
  child = null;
  rmSync(directory, { recursive: true, force: true });
});

const statOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];

/** A lock file as process `pid` left it. */
function writeLockOf(pid: number): void {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  writeFileSync(path, JSON.stringify({ pid, startedAt: statOf(pid)[19], bootId }));
}

/** Runs a shell script and gives back the process id that it prints first. */
async function printedPid(script: string): Promise<number> {
  child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  assert.ok(child.stdout);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(String(line));
}

test('a lock is refused while this process holds it, and free after its release', async () => {
  const lock = await lockFile(path);
  await assert.rejects(lockFile(path), { code: 'ELOCKED' });
  await lock.release();
  assert.equal(existsSync(path), false);
  await (await lockFile(path)).release();
});

test('a lock of another process that lives is refused, and its holder named', async () => {
  const pid = await printedPid('echo $$; exec sleep 60');
  writeLockOf(pid);
  await assert.rejects(lockFile(path), { code: 'ELOCKED', message: new RegExp(`process ${pid}`) });
});

test('a lock of a process that was killed and that nobody has reaped is taken over', async () => {
  // `sleep` takes the place of the shell and never waits for the child that ends later.
  const pid = await printedPid('sleep 0.2 & echo $!; exec sleep 60');
  while (statOf(pid)[0] !== 'Z') await new Promise((resolve) => setImmediate(resolve));
  writeLockOf(pid);
  await (await lockFile(path)).release();
});

test('a lock of a process that is gone is taken over', async () => {
  const pid = await printedPid('echo $$');
  writeFileSync(
    path,
    JSON.stringify({ pid, startedAt: '1', bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() }),
  );
  await (await lockFile(path)).release();
});

test('a lock from before the last boot is taken over', async () => {
  writeFileSync(path, JSON.stringify({ pid: process.pid, startedAt: statOf(process.pid)[19], bootId: 'another' }));
  await (await lockFile(path)).release();
});
