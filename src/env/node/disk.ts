/**
 * The machine's file system as a `Disk`. Reads and writes go through libuv's thread pool by file descriptor and
 * callback, which costs less than `fs.promises`' handles on the produce path.
 */
import * as fs from 'node:fs';
import * as fsPromises from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk, DiskFile } from '../disk.ts';
import { lockFile } from './lock-file.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
const flagsByMode = {
  r: O_RDONLY,
  'r+': O_RDWR,
  create: O_RDWR | O_CREAT | O_EXCL,
  'open-or-create': O_RDWR | O_CREAT,
} as const;

function shortWrite(written: number, asked: number): Error {
  // A regular file takes fewer bytes than asked only when there is no more room (I27).
  const error = new Error(`ENOSPC: wrote ${written} of ${asked} bytes`) as NodeJS.ErrnoException;
  error.code = 'ENOSPC';
  return error;
}

class NodeFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async read(target: Uint8Array, targetOffset: number, length: number, position: number): Promise<number> {
    let total = 0;
    while (total < length) {
      const bytes = await this.#readOnce(target, targetOffset + total, length - total, position + total);
      if (bytes === 0) break;
      total += bytes;
    }
    return total;
  }

  #readOnce(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#descriptor, target, offset, length, position, (error, bytes) =>
        error ? reject(error) : resolve(bytes),
      );
    });
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let asked = 0;
    for (const chunk of chunks) asked += chunk.length;
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, written: number): void => {
        if (error) reject(error);
        else if (written !== asked) reject(shortWrite(written, asked));
        else resolve();
      };
      const [first] = chunks;
      if (chunks.length === 1 && first !== undefined)
        fs.write(this.#descriptor, first, 0, first.length, position, done);
      else fs.writev(this.#descriptor, chunks as Uint8Array[], position, done);
    });
  }

  truncate(length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#descriptor, length, (error) => (error ? reject(error) : resolve()));
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#descriptor, (error, stats) => (error ? reject(error) : resolve(stats.size)));
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.close(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function open(path: string, flags: number): Promise<NodeFile> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o644, (error, descriptor) => (error ? reject(error) : resolve(new NodeFile(descriptor))));
  });
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await fsPromises.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export const nodeDisk: Disk = {
  open: (path, mode) => open(path, flagsByMode[mode]),
  readFile: (path) => fsPromises.readFile(path),

  async replaceFile(path, content) {
    const temporary = `${path}.tmp`;
    const handle = await fsPromises.open(temporary, 'w');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fsPromises.rename(temporary, path);
    await syncDirectory(dirname(path));
  },

  async exists(path) {
    try {
      await fsPromises.access(path);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  },

  list: async (directory) => (await fsPromises.readdir(directory)).sort(),
  async makeDirectory(path) {
    await fsPromises.mkdir(path, { recursive: true });
  },
  rename: (from, to) => fsPromises.rename(from, to),
  remove: (path) => fsPromises.rm(path, { force: true }),
  removeDirectory: (path) => fsPromises.rm(path, { recursive: true, force: true }),
  syncDirectory,
  modifiedMs: async (path) => (await fsPromises.stat(path)).mtimeMs,
  lock: lockFile,
};
