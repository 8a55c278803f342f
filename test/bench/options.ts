/** What several benches and chaos runs are told alike on their command lines, and how it is read. */
import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { runShell } from './start-up.ts';

export function count(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('Not a number of 0 or more.');
  return value;
}

/** `4096`, `64k`, `16M`, `2G`: powers of 1024. */
export function byteCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Not a size such as 4096, 64k, 16M or 2G.');
  return Math.floor(Number(match[1]) * { '': 1, k: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match[2] as '' | 'k' | 'M' | 'G']);
}

export function processIds(text: string): number[] {
  return text.split(',').map((one) => {
    if (!/^[1-9]\d*$/.test(one)) throw new InvalidArgumentError('Not process ids with commas between.');
    return Number(one);
  });
}

/** Reads some of the known names, with commas between. */
export const someOf =
  <Name extends string>(known: readonly Name[]) =>
  (text: string): Name[] =>
    text.split(',').map((name) => {
      const found = known.find((one) => one === name);
      if (found === undefined) throw new InvalidArgumentError(`Known are ${known.join(', ')}.`);
      return found;
    });

export const withPids = (command: Command): Command =>
  command.option('--pids <pid,…>', 'broker processes whose CPU and memory to read', processIds, []);

export const withOut = (command: Command): Command => command.option('-o, --out <file>', 'write the result as JSON');

export function writeOut({ out }: { out?: string }, result: unknown): void {
  if (out !== undefined) writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
}

/** What a run is told that kills brokers. */
export interface KillOptions {
  bootstrap: string;
  /** Shell commands; `{id}` stands for the broker's id. */
  kill: string;
  restart: string;
  kills: number;
  /** Longest wait for what comes back after a kill. */
  giveUpSeconds: number;
}

/** `killed` says what dies, `fallback` is how often and the longest wait where the user does not say. */
export const withKills = (
  command: Command,
  killed: string,
  fallback: Pick<KillOptions, 'kills' | 'giveUpSeconds'>,
): Command =>
  command
    .requiredOption('-b, --bootstrap <host:port,…>', 'all brokers')
    .requiredOption('--kill <shell>', 'kills broker {id} with -9')
    .requiredOption('--restart <shell>', 'starts broker {id} again with the data it had; returns at once')
    .option('--kills <n>', killed, count, fallback.kills)
    .option('--give-up-seconds <n>', 'longest wait for a recovery', count, fallback.giveUpSeconds);

export async function killBroker({ kill }: KillOptions, id: number): Promise<void> {
  await runShell(kill.replaceAll('{id}', String(id)));
}

export async function restartBroker({ restart }: KillOptions, id: number): Promise<void> {
  await runShell(restart.replaceAll('{id}', String(id)));
}
