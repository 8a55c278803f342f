/**
 * How long do brokers hold their event loops? Each broker process imports this (`node --import`, with CORDWOOD_LONG_TURNS
 * naming a file): a line there for each time that a timer was held up for longer than ten milliseconds. A bench reads the
 * lines. Where there are fewer cores than busy processes the clock counts others' work too; CPU time does not.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const longTurnsVariable = 'CORDWOOD_LONG_TURNS';
/** In the directory of each broker. */
export const longTurnsFile = 'turns';

export interface LongTurn {
  /** When it ended, in milliseconds since 1970. */
  readonly atMs: number;
  readonly wallMs: number;
  /** Of the thread that turns the event loop. */
  readonly cpuMs: number;
}

const lookEveryMs = 4;
const longMs = 10;

/** Of all brokers whose directories are below `directory`, since `fromMs`. */
export function longTurnsSince(directory: string, fromMs: number): LongTurn[] {
  const files = readdirSync(directory).map((name) => join(directory, name, longTurnsFile));
  return files
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LongTurn)
    .filter(({ atMs }) => atMs >= fromMs);
}

function watch(path: string): void {
  let lastMs = performance.now();
  let last = process.threadCpuUsage();
  const look = (): void => {
    const nowMs = performance.now();
    const now = process.threadCpuUsage();
    const wallMs = nowMs - lastMs;
    const cpuMs = (now.user + now.system - last.user - last.system) / 1000;
    const turn: LongTurn = { atMs: Date.now(), wallMs, cpuMs };
    if (wallMs >= longMs) appendFileSync(path, `${JSON.stringify(turn)}\n`);
    lastMs = nowMs;
    last = now;
    setTimeout(look, lookEveryMs).unref();
  };
  look();
}

const watched = process.env[longTurnsVariable];
if (watched !== undefined) watch(watched);
