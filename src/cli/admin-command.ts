/** What do the commands that administer a cluster have in common: a client for as long as they run, a result per name. */
import { nodeClock } from '../env/node/clock.ts';
import { nodeTimers } from '../env/node/timers.ts';
import type { GroupModules } from './client/group-client.ts';
import { errorName, KafkaClient } from './client/kafka-client.ts';
import { CliError } from './exit-code.ts';
import { printJson, printLine } from './output.ts';

export interface AdminOptions {
  readonly bootstrap: string;
  readonly json: boolean;
}

export const requestTimeoutMs = 30_000;

export async function withClient<Result>(
  options: AdminOptions,
  use: (client: KafkaClient) => Promise<Result>,
): Promise<Result> {
  const client = new KafkaClient({ bootstrap: options.bootstrap, requestTimeoutMs });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** A client with the real time, for what has to ask again after a moment. */
export const withRealTime = (client: KafkaClient): GroupModules => ({ client, clock: nodeClock, timers: nodeTimers });

export interface Outcome {
  readonly name: string;
  readonly errorCode: number;
  /** What there is to say about the error, for people. */
  readonly message: string | null;
}

/** One line per name, the good ones to standard output; any bad one makes the exit code 1. */
export function reportOutcomes(
  what: 'topic' | 'group',
  outcomes: readonly Outcome[],
  done: (name: string) => string,
  isJson: boolean,
): void {
  const isBad = ({ errorCode }: Outcome): boolean => errorCode !== 0;
  if (isJson)
    printJson(
      outcomes.map(({ name, errorCode, message }) => ({
        [what]: name,
        error: errorCode === 0 ? null : errorName(errorCode),
        message,
      })),
    );
  else for (const { name } of outcomes.filter((one) => !isBad(one))) printLine(done(name));
  const bad = outcomes.filter(isBad);
  if (bad.length > 0)
    throw new CliError(
      bad
        .map(({ name, errorCode, message }) => `${name}: ${errorName(errorCode)}${message ? `: ${message}` : ''}`)
        .join('\n'),
    );
}
