/** What `log/` relies on of a `Disk`, held against the machine's and against the one in memory that tests use. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/env/disk.ts';
import { nodeDisk } from '../../src/env/node/disk.ts';
import { MemoryDisk } from '../support/memory-disk.ts';

const disks: [string, () => { disk: Disk; root: string; end: () => void }][] = [
  [
    'the machine',
    () => {
      const root = mkdtempSync(join(tmpdir(), 'cordwood-disk-'));
      return { disk: nodeDisk, root, end: () => rmSync(root, { recursive: true }) };
    },
  ],
  ['memory', () => ({ disk: new MemoryDisk(), root: '/root', end: () => {} })],
];

const codeOf = async (run: Promise<unknown>): Promise<string | null> => {
  try {
    await run;
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'none';
  }
};

describe.each(disks)('the disk of %s', (_, make) => {
  let disk: Disk;
  let root: string;
  let end: () => void;
  const at = (name: string): string => `${root}/${name}`;

  beforeEach(async () => {
    ({ disk, root, end } = make());
    await disk.makeDirectory(root);
  });
  afterEach(() => end());

  test('writes several chunks as one, anywhere, and reads them back', async () => {
    const file = await disk.open(at('a'), 'create');
    await file.write([Buffer.from('hello '), Buffer.from('world')], 0);
    await file.write([Buffer.from('W')], 6);
    await file.write(
      Array.from({ length: 3000 }, () => Buffer.from('x')),
      11,
    );
    expect(await file.size()).toBe(3011);
    const target = Buffer.alloc(20);
    expect(await file.read(target, 2, 11, 0)).toBe(11);
    expect(target.toString('utf8', 2, 13)).toBe('hello World');
    expect(await file.read(target, 0, 20, 3005)).toBe(6);
    expect(await file.read(target, 0, 20, 4000)).toBe(0);
    await file.truncate(5);
    await file.sync();
    await file.close();
    expect((await disk.readFile(at('a'))).toString()).toBe('hello');
  });

  test('opens as each mode says', async () => {
    expect(await codeOf(disk.open(at('a'), 'r'))).toBe('ENOENT');
    expect(await codeOf(disk.open(at('a'), 'r+'))).toBe('ENOENT');
    await (await disk.open(at('a'), 'create')).close();
    expect(await codeOf(disk.open(at('a'), 'create'))).toBe('EEXIST');
    for (const mode of ['r', 'r+', 'open-or-create'] as const) await (await disk.open(at('a'), mode)).close();
    expect(await codeOf(disk.open(at('missing/a'), 'create'))).toBe('ENOENT');
  });

  test('replaces a file as a whole and leaves nothing else behind', async () => {
    await disk.replaceFile(at('a'), 'one');
    await disk.replaceFile(at('a'), Buffer.from('two'));
    expect((await disk.readFile(at('a'))).toString()).toBe('two');
    expect(await disk.list(root)).toEqual(['a']);
  });

  test('lists names in order, directories too', async () => {
    for (const name of ['b', 'a', 'c']) await disk.replaceFile(at(name), '');
    await disk.makeDirectory(at('bb/deep'));
    expect(await disk.list(root)).toEqual(['a', 'b', 'bb', 'c']);
    expect(await codeOf(disk.list(at('missing')))).toBe('ENOENT');
  });

  test('renames files and whole directories, over what is there', async () => {
    await disk.makeDirectory(at('d'));
    await disk.replaceFile(at('d/a'), 'one');
    await disk.rename(at('d'), at('e'));
    expect(await disk.exists(at('d'))).toBe(false);
    await disk.replaceFile(at('b'), 'two');
    await disk.rename(at('e/a'), at('b'));
    expect((await disk.readFile(at('b'))).toString()).toBe('one');
    await disk.syncDirectory(root);
  });

  test('removes what is there and does not mind what is not', async () => {
    await disk.makeDirectory(at('d/deep'));
    await disk.replaceFile(at('d/deep/a'), 'one');
    await disk.remove(at('missing'));
    await disk.remove(at('d/deep/a'));
    expect(await disk.exists(at('d/deep/a'))).toBe(false);
    await disk.removeDirectory(at('d'));
    await disk.removeDirectory(at('d'));
    expect(await disk.exists(at('d'))).toBe(false);
  });

  test('gives a lock to one at a time', async () => {
    const lock = await disk.lock(at('.lock'));
    expect(await codeOf(disk.lock(at('.lock')))).toBe('ELOCKED');
    await lock.release();
    await (await disk.lock(at('.lock'))).release();
  });
});

test('the lock of a process that is dead is taken over, and that of a living one is not', async () => {
  const root = mkdtempSync(join(tmpdir(), 'cordwood-lock-'));
  try {
    const path = join(root, '.lock');
    const holder = async (pid: number, startedAt: string): Promise<void> => {
      const bootId = (await nodeDisk.readFile('/proc/sys/kernel/random/boot_id')).toString().trim();
      await nodeDisk.replaceFile(path, JSON.stringify({ pid, startedAt, bootId }));
    };
    const startOf = async (pid: number): Promise<string> =>
      (await nodeDisk.readFile(`/proc/${pid}/stat`)).toString().split(') ').at(-1)?.split(' ')[19] ?? '';
    await holder(process.ppid, await startOf(process.ppid));
    expect(await codeOf(nodeDisk.lock(path))).toBe('ELOCKED');
    await holder(process.ppid, '1'); // the id is in use again, by a process that started at another time
    await (await nodeDisk.lock(path)).release();
    await holder(2 ** 22 + 1, '5');
    await (await nodeDisk.lock(path)).release();
    expect(await nodeDisk.list(root)).toEqual([]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
