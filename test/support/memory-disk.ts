/**
 * A `Disk` in memory that can do what real ones do at their worst: forget what was not synced when the power goes, keep
 * some of it in any order, run full, fail a write or a sync, and take its time.
 *
 * Names and bytes are remembered twice: as a running system sees them, and as they would be after a power cut. `sync`
 * makes a file's bytes durable, `syncDirectory` the names in a directory. A renamed file that was not synced has either
 * its old name or its new one after a power cut, never both and never none.
 */
import type { Disk, DiskFile } from '../../src/env/disk.ts';

const pageBytes = 4096;

class Node {
  content: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  modifiedMs = 0;

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.content.length) {
      const larger = Buffer.alloc(end);
      this.content.copy(larger);
      this.content = larger;
    }
    this.content.set(bytes, position);
  }

  resize(length: number): void {
    const other = Buffer.alloc(length);
    this.content.copy(other);
    this.content = other;
  }
}

export type DiskOperation = 'write' | 'sync' | 'truncate' | 'rename' | 'open' | 'remove' | 'syncDirectory';
/** Throws, or not, before an operation is carried out; 'half' lets a write write the first half of its bytes and fail. */
export type DiskFault = (operation: DiskOperation, path: string) => Error | 'half' | null;

export function diskError(code: string): NodeJS.ErrnoException {
  const error = new Error(`${code}: made by a test`) as NodeJS.ErrnoException;
  error.code = code;
  return error;
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

export class MemoryDisk implements Disk {
  #names = new Map<string, Node>();
  #durableNames = new Map<string, Node>();
  /** Files renamed since their directory was synced, in order. */
  #renamed: { readonly from: string; readonly to: string; readonly node: Node }[] = [];
  readonly #directories = new Set<string>(['/']);
  readonly #locks = new Set<string>();
  #openFiles = 0;
  /** Bytes that all files may have together. */
  capacityBytes = Number.MAX_SAFE_INTEGER;
  fault: DiskFault = () => null;
  /** Awaited by every operation, so that a test can let others run in between. */
  delay: () => Promise<void> = () => Promise.resolve();
  /** All operations so far, for tests that count or order them. */
  readonly operations: { readonly operation: DiskOperation; readonly path: string }[] = [];
  /** Writes that are under way on a path: more than one at a time breaks I26. */
  readonly #writing = new Map<string, number>();
  mostWritesAtOnce = 0;

  get openFiles(): number {
    return this.#openFiles;
  }

  /** Content as the running system sees it. */
  contentOf(path: string): Buffer {
    return this.#node(path).content;
  }

  /** Changes a file behind everybody's back: rot. */
  corrupt(path: string, change: (content: Buffer) => Buffer): void {
    const node = this.#node(path);
    node.content = change(Buffer.from(node.content));
    node.durable = Buffer.from(node.content);
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** A disk with the same content; neither sees what happens to the other. */
  clone(): MemoryDisk {
    const other = new MemoryDisk();
    const copies = new Map<Node, Node>();
    for (const directory of this.#directories) other.#directories.add(directory);
    for (const [path, node] of this.#names) {
      const copy = new Node();
      copy.content = Buffer.from(node.content);
      copy.durable = Buffer.from(node.durable);
      other.#names.set(path, copy);
      if (this.#durableNames.get(path) === node) other.#durableNames.set(path, copy);
      copies.set(node, copy);
    }
    // Those that only a power cut would bring back.
    for (const [path, node] of this.#durableNames) {
      if (other.#durableNames.has(path)) continue;
      const copy = copies.get(node) ?? new Node();
      copy.content = Buffer.from(node.content);
      copy.durable = Buffer.from(node.durable);
      copies.set(node, copy);
      other.#durableNames.set(path, copy);
    }
    for (const { from, to, node } of this.#renamed) {
      const copy = copies.get(node);
      if (copy !== undefined) other.#renamed.push({ from, to, node: copy });
    }
    return other;
  }

  /**
   * What the next boot finds after a power cut: what was synced, and of the rest each page or name that `keeps` says.
   */
  losePower(keeps: () => boolean): void {
    for (const { from, to, node } of this.#renamed) {
      if (this.#names.get(to) !== node) continue;
      if (keeps()) {
        if (this.#durableNames.get(from) === node) this.#durableNames.delete(from);
        this.#durableNames.set(to, node);
        continue;
      }
      const before = this.#durableNames.get(to);
      if (before === undefined) this.#names.delete(to);
      else this.#names.set(to, before);
      this.#names.set(from, node);
    }
    this.#renamed = [];
    const survivors = new Map<string, Node>();
    for (const [path, node] of this.#durableNames)
      if (this.#names.get(path) === node || !keeps()) survivors.set(path, node);
    for (const [path, node] of this.#names) if (survivors.get(path) === node || keeps()) survivors.set(path, node);
    for (const node of new Set(survivors.values())) {
      const length = node.durable.length < node.content.length && keeps() ? node.content.length : node.durable.length;
      const after = Buffer.alloc(length);
      node.durable.copy(after);
      for (let page = 0; page < length; page += pageBytes)
        if (keeps()) node.content.copy(after, page, page, Math.min(page + pageBytes, length));
      node.content = after;
      node.durable = Buffer.from(after);
    }
    this.#names = survivors;
    this.#durableNames = new Map(survivors);
    this.#locks.clear();
  }

  #node(path: string): Node {
    const node = this.#names.get(path);
    if (node === undefined) throw diskError('ENOENT');
    return node;
  }

  async #before(operation: DiskOperation, path: string): Promise<'half' | null> {
    await this.delay();
    this.operations.push({ operation, path });
    const fault = this.fault(operation, path);
    if (fault instanceof Error) throw fault;
    return fault;
  }

  #usedBytes(): number {
    let bytes = 0;
    for (const node of new Set(this.#names.values())) bytes += node.content.length;
    return bytes;
  }

  async open(path: string, mode: 'r' | 'r+' | 'create' | 'open-or-create'): Promise<DiskFile> {
    await this.#before('open', path);
    const there = this.#names.get(path);
    if (there === undefined && (mode === 'r' || mode === 'r+')) throw diskError('ENOENT');
    if (there !== undefined && mode === 'create') throw diskError('EEXIST');
    if (!this.#directories.has(parentOf(path))) throw diskError('ENOENT');
    const node = there ?? new Node();
    this.#names.set(path, node);
    this.#openFiles++;
    return this.#fileOf(node, path);
  }

  #fileOf(node: Node, path: string): DiskFile {
    let isOpen = true;
    const check = (): void => {
      if (!isOpen) throw diskError('EBADF');
    };
    return {
      read: async (target, targetOffset, length, position) => {
        await this.delay();
        check();
        const bytes = node.content.subarray(position, position + length);
        target.set(bytes, targetOffset);
        return bytes.length;
      },
      write: async (chunks, position) => {
        check();
        const atOnce = (this.#writing.get(path) ?? 0) + 1;
        this.#writing.set(path, atOnce);
        this.mostWritesAtOnce = Math.max(this.mostWritesAtOnce, atOnce);
        try {
          const fault = await this.#before('write', path);
          check();
          const bytes = Buffer.concat(chunks);
          const free = this.capacityBytes - this.#usedBytes();
          const growth = Math.max(0, position + bytes.length - node.content.length);
          const taken =
            fault === 'half' ? bytes.length >> 1 : growth > free ? bytes.length - (growth - free) : bytes.length;
          node.write(bytes.subarray(0, Math.max(0, taken)), position);
          if (taken < bytes.length) throw diskError('ENOSPC');
        } finally {
          this.#writing.set(path, (this.#writing.get(path) ?? 1) - 1);
        }
      },
      truncate: async (length) => {
        await this.#before('truncate', path);
        check();
        node.resize(length);
      },
      size: async () => node.content.length,
      sync: async () => {
        await this.#before('sync', path);
        check();
        node.durable = Buffer.from(node.content);
      },
      close: async () => {
        if (isOpen) this.#openFiles--;
        isOpen = false;
      },
    };
  }

  async readFile(path: string): Promise<Buffer> {
    await this.delay();
    return Buffer.from(this.#node(path).content);
  }

  async replaceFile(path: string, content: Uint8Array | string): Promise<void> {
    await this.#before('write', path);
    const node = new Node();
    node.content = Buffer.from(content as Uint8Array);
    node.durable = Buffer.from(node.content);
    await this.#before('rename', path);
    this.#names.set(path, node);
    this.#durableNames.set(path, node);
  }

  async exists(path: string): Promise<boolean> {
    return this.#names.has(path) || this.#directories.has(path);
  }

  async list(directory: string): Promise<string[]> {
    if (!this.#directories.has(directory)) throw diskError('ENOENT');
    const names = new Set<string>();
    for (const path of [...this.#names.keys(), ...this.#directories])
      if (path !== directory && parentOf(path) === directory) names.add(path.slice(path.lastIndexOf('/') + 1));
    return [...names].sort();
  }

  async makeDirectory(path: string): Promise<void> {
    for (let at = path; at !== '/'; at = parentOf(at)) this.#directories.add(at);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#before('rename', from);
    if (!this.#names.has(from) && !this.#directories.has(from)) throw diskError('ENOENT');
    const moved = (path: string): string =>
      path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
    const file = this.#names.get(from);
    if (file !== undefined) {
      this.#names.delete(from);
      this.#names.set(to, file);
      this.#renamed.push({ from, to, node: file });
      return;
    }
    for (const names of [this.#names, this.#durableNames])
      for (const [path, node] of [...names])
        if (moved(path) !== path) {
          names.delete(path);
          names.set(moved(path), node);
        }
    for (const directory of [...this.#directories])
      if (moved(directory) !== directory) {
        this.#directories.delete(directory);
        this.#directories.add(moved(directory));
      }
  }

  async remove(path: string): Promise<void> {
    await this.#before('remove', path);
    this.#names.delete(path);
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#before('remove', path);
    for (const one of [...this.#names.keys()]) if (one.startsWith(`${path}/`)) this.#names.delete(one);
    for (const one of [...this.#directories])
      if (one === path || one.startsWith(`${path}/`)) this.#directories.delete(one);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#before('syncDirectory', path);
    for (const one of [...this.#durableNames.keys()])
      if (parentOf(one) === path && !this.#names.has(one)) this.#durableNames.delete(one);
    for (const [one, node] of this.#names) if (parentOf(one) === path) this.#durableNames.set(one, node);
    this.#renamed = this.#renamed.filter(({ to }) => parentOf(to) !== path);
  }

  async modifiedMs(path: string): Promise<number> {
    return this.#node(path).modifiedMs;
  }

  async lock(path: string): Promise<{ release(): Promise<void> }> {
    if (this.#locks.has(path)) throw diskError('ELOCKED');
    this.#locks.add(path);
    return {
      release: async () => {
        this.#locks.delete(path);
      },
    };
  }
}
