/**
 * `bench pairs`: two systems measured in turn, A B A B A B, each started fresh and stopped before the other starts, so
 * that a change of the machine's mood falls on both. Prints the medians and their ratio.
 */
import type { Command } from 'commander';
import { compareResults, formatComparison, readResults } from './results.ts';
import { runShell } from './start-up.ts';

export interface PairSide {
  label: string;
  bootstrap: string;
  /** Starts the system, returns when it takes connections, and prints `pid N` for each broker process. */
  start: string;
  stop: string;
  out: string;
}

/** Every `pid N` in what a start command printed. */
export const pidsIn = (output: string): number[] =>
  [...output.matchAll(/\bpid[ =:](\d+)/g)].map((match) => Number(match[1]));

interface PairsOptions {
  a: PairSide;
  b: PairSide;
  pairs: number;
}

/** Runs `measureSide` for each side in turn; results are appended to each side's file. */
export async function runPairs(
  { a, b, pairs }: PairsOptions,
  measureSide: (side: PairSide, pids: number[], isFirst: boolean) => Promise<void>,
  tell: (line: string) => void,
): Promise<void> {
  for (let pair = 1; pair <= pairs; pair++)
    for (const side of [a, b]) {
      tell(`pair ${pair} of ${pairs}: ${side.label}`);
      const pids = pidsIn(await runShell(side.start));
      if (pids.length === 0) throw new Error(`«${side.start}» printed no «pid N»`);
      try {
        await measureSide(side, pids, pair === 1);
      } finally {
        await runShell(side.stop);
      }
    }
  const [resultsA, resultsB] = [readResults(a.out), readResults(b.out)];
  tell(formatComparison([resultsA.label, resultsB.label], compareResults(resultsA, resultsB)));
}

/** The options of both sides, as commander names them. */
export interface PairsCommandOptions {
  aLabel: string;
  aBootstrap: string;
  aStart: string;
  aStop: string;
  aOut: string;
  bLabel: string;
  bBootstrap: string;
  bStart: string;
  bStop: string;
  bOut: string;
  pairs: number;
}

export function withSides(command: Command): Command {
  for (const side of ['a', 'b'])
    command
      .option(`--${side}-label <text>`, 'its name', side.toUpperCase())
      .requiredOption(`--${side}-bootstrap <host:port,…>`, 'its brokers')
      .requiredOption(`--${side}-start <shell>`, 'starts it fresh, waits for it, prints «pid N» per broker, returns')
      .requiredOption(`--${side}-stop <shell>`, 'stops it and removes its data')
      .requiredOption(`--${side}-out <file>`, 'its results as JSON');
  return command.option('--pairs <n>', 'how many times each', Number, 3);
}

export const sidesOf = (options: PairsCommandOptions): PairsOptions => ({
  a: {
    label: options.aLabel,
    bootstrap: options.aBootstrap,
    start: options.aStart,
    stop: options.aStop,
    out: options.aOut,
  },
  b: {
    label: options.bLabel,
    bootstrap: options.bBootstrap,
    start: options.bStart,
    stop: options.bStop,
    out: options.bOut,
  },
  pairs: options.pairs,
});
