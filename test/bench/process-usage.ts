/** What have some processes cost: CPU seconds so far, and memory? From /proc/PID/stat, statm and status (proc(5)). */
import { readFileSync } from 'node:fs';

/** Linux reports CPU time in ticks of USER_HZ, which is 100 on every architecture Node runs on. */
const ticksPerSecond = 100;
const pageBytes = 4096;

export interface ProcessUsage {
  pid: number;
  /** User and system time since the process began. */
  cpuSeconds: number;
  residentBytes: number;
  /** The largest `residentBytes` there ever was (VmHWM). */
  peakResidentBytes: number;
}

/** utime + stime of a /proc/PID/stat line; the command in parentheses may itself hold spaces and parentheses. */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function parsePeakResidentBytes(status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Throws when a process is gone: a broker that died during a run spoils it. */
export function usageOf(pid: number): ProcessUsage {
  try {
    const statm = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
    return {
      pid,
      cpuSeconds: parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8')),
      residentBytes: Number(statm[1]) * pageBytes,
      peakResidentBytes: parsePeakResidentBytes(readFileSync(`/proc/${pid}/status`, 'utf8')),
    };
  } catch (error) {
    throw new Error(`process ${pid} of --pids cannot be read; is it still running?`, { cause: error });
  }
}

export const cpuSecondsOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0);
