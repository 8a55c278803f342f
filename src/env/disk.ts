/**
 * The disk as an argument: what `log/` needs of a file system and no more. Paths are absolute. Errors are thrown as
 * they come from the system, with `code` ('ENOENT', 'ENOSPC', 'EIO', …). Nothing is durable before `sync`.
 */
export interface DiskFile {
  /** Bytes read into `target`; fewer than asked only at the end of the file. */
  read(target: Uint8Array, targetOffset: number, length: number, position: number): Promise<number>;
  /** Writes all of `chunks` in order at `position`, or throws: a short write is an error (`DiskFull` has code 'ENOSPC'). */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  /** fdatasync. After it has failed once the file must not be trusted: never retry. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** 'r' must exist, read only; 'r+' must exist; 'create' makes it, and fails if it is there; 'open-or-create' either. */
  open(path: string, mode: 'r' | 'r+' | 'create' | 'open-or-create'): Promise<DiskFile>;
  readFile(path: string): Promise<Buffer>;
  /** Temporary file, fsync, rename over `path`, fsync of the directory: all of the new content or all of the old. */
  replaceFile(path: string, content: Uint8Array | string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Names in a directory, sorted. */
  list(directory: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; one that is not there is no error. */
  remove(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Modification time in milliseconds since 1970. */
  modifiedMs(path: string): Promise<number>;
  /** Takes the lock file at `path` for as long as this process lives, or throws with code 'ELOCKED' naming the holder. */
  lock(path: string): Promise<{ release(): Promise<void> }>;
}
