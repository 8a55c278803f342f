/**
 * What the programs of this directory write, one line per event, so that `member-process.ts` can follow any of them:
 *
 *     assigned <atMs> <generation|-> <topic:partition,…|->
 *     read <atMs> <topic> <partition> <offset> <value>
 *     committed <fromMs> <untilMs> <generation|-> <topic> <partition> <offset>     the coordinator has accepted it
 *     attempted <fromMs> <untilMs> <generation|-> <topic> <partition> <offset>     given up; it may be there or not
 *
 * Times are milliseconds of CLOCK_MONOTONIC, one clock for all processes of a machine.
 *
 *     PROGRAM bootstrap group topic,… name sessionTimeoutMs protocol
 *
 * Every program reads its topics from the committed offset or the start, commits what it has written down, and leaves
 * its group when its standard input ends.
 */
import { monotonicMs } from '../../chaos/clients/steady-sender.ts';

export { monotonicMs };

const [bootstrap = '', group = '', topics = '', name = '', sessionTimeoutMs = '', protocol = ''] =
  process.argv.slice(2);

export const wanted = {
  brokers: bootstrap.split(','),
  group,
  topics: topics.split(','),
  name,
  sessionTimeoutMs: Number(sessionTimeoutMs),
  protocol,
};

export interface Place {
  readonly topic: string;
  readonly partition: number;
}

export function tellAssigned(generation: number | null, places: readonly Place[]): void {
  const list = places.map(({ topic, partition }) => `${topic}:${partition}`).join(',');
  process.stdout.write(`assigned ${monotonicMs()} ${generation ?? '-'} ${list || '-'}\n`);
}

export function tellRead({ topic, partition }: Place, offset: bigint | string, value: string): void {
  process.stdout.write(`read ${monotonicMs()} ${topic} ${partition} ${offset} ${value}\n`);
}

/** Commits by `commit` and tells what came of it; rejects as `commit` does. */
export async function tellCommit(
  { topic, partition }: Place,
  offset: bigint | string,
  generation: () => number | null,
  commit: () => Promise<void>,
): Promise<void> {
  const fromMs = monotonicMs();
  const before = generation();
  const tell = (outcome: 'committed' | 'attempted'): void => {
    // Committed in which generation? Only sure where it has not changed meanwhile.
    const told = generation() === before ? before : null;
    process.stdout.write(`${outcome} ${fromMs} ${monotonicMs()} ${told ?? '-'} ${topic} ${partition} ${offset}\n`);
  };
  try {
    await commit();
    tell('committed');
  } catch (error) {
    tell('attempted');
    throw error;
  }
}

/** Fulfilled when whoever started this program wants it to leave. */
export async function untilAskedToLeave(): Promise<void> {
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve));
}
