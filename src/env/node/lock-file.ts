/**
 * Who holds a data directory? Node has no flock, so the lock file names its holder: process id, the kernel's start time
 * of that process, and the kernel's boot id. A holder is dead when no process has its id, or the one that has it
 * started at another time (ids are used again, and a container's first process is always 1).
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

interface Holder {
  readonly pid: number;
  readonly startedAt: string;
  readonly bootId: string;
}

/** Locks of this very process, which its own id would not tell apart. */
const heldHere = new Set<string>();

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
};

/**
 * Clock ticks from boot to the start of a process (field 22 of /proc/PID/stat); '' where there is no /proc, no such
 * process, or only a zombie: killed, it holds no file any more, and nobody may ever come to reap it.
 */
function startOf(pid: number): string {
  const [state = '', ...fields] = textOf(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return state === 'Z' || state === 'X' ? '' : (fields[18] ?? '');
}

const self = (): Holder => ({
  pid: process.pid,
  startedAt: startOf(process.pid),
  bootId: textOf('/proc/sys/kernel/random/boot_id'),
});

function holderOf(path: string): Holder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return null;
  }
}

function isAlive(holder: Holder, path: string): boolean {
  const me = self();
  if (holder.bootId !== me.bootId) return false;
  if (holder.pid === me.pid && holder.startedAt === me.startedAt) return heldHere.has(path);
  if (holder.startedAt !== '') return startOf(holder.pid) === holder.startedAt;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function lockedBy(path: string, holder: Holder | null): Error {
  const who = holder === null ? 'another process' : `process ${holder.pid}`;
  const error = new Error(`ELOCKED: ${path} is held by ${who}`) as NodeJS.ErrnoException;
  error.code = 'ELOCKED';
  return error;
}

export async function lockFile(path: string): Promise<{ release(): Promise<void> }> {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(self()));
  try {
    for (let attempt = 0; !linked(mine, path); attempt++) {
      const holder = holderOf(path);
      if ((holder !== null && isAlive(holder, path)) || attempt === 3) throw lockedBy(path, holder);
      // Moved aside under a name of our own: of two that find a dead holder, the second finds the file gone or new.
      const aside = `${mine}.stale`;
      try {
        renameSync(path, aside);
      } catch {
        continue;
      }
      const moved = holderOf(aside);
      if (moved !== null && isAlive(moved, path)) linked(aside, path);
      rmSync(aside, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
  heldHere.add(path);
  return {
    release: async () => {
      if (heldHere.delete(path)) rmSync(path, { force: true });
    },
  };
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to); // fails when `to` is there: the one step that is atomic
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
