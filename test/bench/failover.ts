/**
 * `bench failover`: how long does a partition take no writes when a broker is killed? Several real clients produce to
 * every partition at a steady rate; one broker after the other is killed with -9 and started again; each client's longest
 * gap between two acknowledgements counts, apart for the partitions that the killed broker led and those it only followed
 * (under acks=all these stand still too, until the dead member has left the ISR).
 *
 * At the end everything is read back and checked against what was acknowledged.
 */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { type ClientName, ClientProcess, clientNames, findClient } from '../chaos/clients/client-process.ts';
import { monotonicMs } from '../chaos/clients/steady-sender.ts';
import { checkHistory, type PartitionRead, type SentRecord, type Violation } from '../support/history-checker.ts';
import { RawCluster, sleepMs } from '../support/raw-cluster.ts';
import { type Gap, longestGap } from './gaps.ts';
import { count, type KillOptions, killBroker, restartBroker, someOf, withKills, withOut, writeOut } from './options.ts';
import { median } from './percentiles.ts';

export interface FailoverOptions extends KillOptions {
  clients: ClientName[];
  kafkaClasspath: string | null;
  partitions: number;
  replicationFactor: number;
  minInsyncReplicas: number;
  /** Records a second per client and partition: the gap cannot be told finer than one period. */
  rate: number;
  /** Calm before a kill, and at least so long between a kill and the restart. */
  settleSeconds: number;
}

export interface KillGaps {
  victim: number;
  client: ClientName;
  /** Longest over the partitions of the kind; null when there was none of the kind. */
  led: Gap | null;
  followed: Gap | null;
  /** Longest over all partitions from the restart until the ISR is full again. */
  restart: Gap;
}

export interface FailoverResult {
  kills: KillGaps[];
  clients: { client: ClientName; acknowledged: number; failed: number; reasons: string[] }[];
  violations: Violation[];
  skipped: { client: ClientName; reason: string }[];
}

/** The longest of `gaps`, or null of none. */
function longest(gaps: readonly Gap[]): Gap | null {
  let found: Gap | null = null;
  for (const gap of gaps) if (found === null || gap.ms > found.ms) found = gap;
  return found;
}

async function waitUntil(isTrue: () => boolean, timeoutSeconds: number): Promise<boolean> {
  const deadline = monotonicMs() + timeoutSeconds * 1000;
  while (!isTrue()) {
    if (monotonicMs() > deadline) return false;
    await sleepMs(5);
  }
  return true;
}

export async function measureFailover(options: FailoverOptions, tell: (line: string) => void): Promise<FailoverResult> {
  const { bootstrap, partitions, replicationFactor, minInsyncReplicas, rate, settleSeconds, giveUpSeconds } = options;
  const topic = `failover-${randomBytes(6).toString('hex')}`;
  const cluster = new RawCluster(bootstrap, 2000);
  const configs = { 'min.insync.replicas': String(minInsyncReplicas) };
  await cluster.createTopic(topic, { partitions, replicationFactor, configs });

  const result: FailoverResult = { kills: [], clients: [], violations: [], skipped: [] };
  const clients: ClientProcess[] = [];
  for (const name of options.clients) {
    const program = await findClient(name, options.kafkaClasspath);
    if (typeof program === 'string') {
      tell(`${name} left out: ${program}`);
      result.skipped.push({ client: name, reason: program });
    } else clients.push(new ClientProcess(program, bootstrap, topic, partitions, rate));
  }
  const isEachAcknowledged = (sinceMs: number) => (): boolean => clients.every((one) => one.oldestLastAckMs > sinceMs);

  let last = -1;
  try {
    if (!(await waitUntil(isEachAcknowledged(0), giveUpSeconds)))
      throw new Error(`not every client got through within ${giveUpSeconds} s`);
    for (let round = 1; round <= options.kills; round++) {
      await sleepMs(settleSeconds * 1000);
      const found = (await cluster.partitionsOf(topic)).partitions;
      const leaders = [...new Set(found.map(({ leader }) => leader))].sort((a, b) => a - b);
      // Each leader in turn; one that has just come back leads nothing yet and waits for a later round.
      const victim = leaders.find((id) => id > last) ?? leaders[0];
      if (victim === undefined || victim < 0) throw new Error('no partition has a leader');
      last = victim;

      const killedMs = monotonicMs();
      await killBroker(options, victim);
      await sleepMs(settleSeconds * 1000);
      const isBack = await waitUntil(isEachAcknowledged(monotonicMs()), giveUpSeconds);
      const restartMs = monotonicMs();
      await restartBroker(options, victim);
      await cluster.waitForIsr(topic, partitions, replicationFactor, giveUpSeconds * 1000);
      await sleepMs(settleSeconds * 1000);
      const endMs = monotonicMs();

      for (const { program, acknowledged } of clients) {
        const times = Array.from({ length: partitions }, (): number[] => []);
        for (const { partition, atMs } of acknowledged) times[partition]?.push(atMs);
        const gapsOf = (isWanted: (one: (typeof found)[number]) => boolean, fromMs: number, toMs: number): Gap[] =>
          found.filter(isWanted).map(({ partition }) => longestGap(times[partition] ?? [], fromMs, toMs));
        const kill: KillGaps = {
          victim,
          client: program.name,
          led: longest(gapsOf(({ leader }) => leader === victim, killedMs, restartMs)),
          followed: longest(
            gapsOf(({ leader, replicas }) => leader !== victim && replicas.includes(victim), killedMs, restartMs),
          ),
          restart: longest(gapsOf(() => true, restartMs, endMs)) ?? { ms: 0, startsAfterMs: 0, hasEnded: true },
        };
        result.kills.push(kill);
        tell(
          `kill ${round} of broker ${victim}: ${program.name} led ${format(kill.led)}, followed ${format(kill.followed)}, at restart ${format(kill.restart)}${isBack ? '' : ' (did not come back)'}`,
        );
      }
    }
  } finally {
    await Promise.all(clients.map((client) => client.stop(30_000)));
  }

  const sent: SentRecord[] = [];
  for (const { program, acknowledged, failed } of clients) {
    const { name, isIdempotent } = program;
    const common = { process: name, acks: 'all' as const, isIdempotent };
    const records: SentRecord[] = acknowledged.map(({ partition, offset, value }) => ({
      ...common,
      ...{ outcome: 'ok', partition, offset, value },
    }));
    for (const { partition, value } of failed)
      records.push({ ...common, outcome: 'info', partition, offset: null, value });
    // Acknowledgements arrive in any order between partitions; the counter at the end of a value is the order of sending.
    const counter = ({ value }: SentRecord): number => Number(value.slice(value.lastIndexOf('-') + 1));
    sent.push(...records.sort((a, b) => counter(a) - counter(b)));
    result.clients.push({
      ...{ client: name, acknowledged: acknowledged.length, failed: failed.length },
      reasons: [...new Set(failed.map(({ reason }) => reason))].slice(0, 5),
    });
  }
  // What was under way when its client was killed is neither acknowledged nor given up: it may be there.
  const known = new Set(sent.map(({ value }) => value));
  const reads: PartitionRead[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const records: { offset: number; value: string }[] = [];
    for await (const piece of cluster.readPartition(topic, partition))
      for (const { offset, value } of piece) {
        const text = value?.toString() ?? '';
        records.push({ offset, value: text });
        const client = clients.find(({ program }) => text.startsWith(`${program.name}-${partition}-`));
        if (client === undefined || known.has(text)) continue;
        known.add(text);
        const { name, isIdempotent } = client.program;
        sent.push({
          process: `${name} unanswered`,
          value: text,
          outcome: 'info',
          acks: 'all',
          isIdempotent,
          partition,
          offset: null,
        });
      }
    reads.push({ reader: 'final', partition, records, isReadToEnd: true });
  }
  result.violations = checkHistory(sent, reads);
  await cluster.deleteTopics([topic]);
  cluster.close();
  return result;
}

const format = (gap: Gap | null): string =>
  gap === null ? '–' : `${gap.hasEnded ? '' : '> '}${Math.round(gap.ms)} ms from ${Math.round(gap.startsAfterMs)}`;

/** Median and maximum per client, one line each. */
export function summariseFailover({ kills, clients, violations }: FailoverResult): string[] {
  const lines = clients.map(({ client, acknowledged, failed }) => {
    const of = (kind: 'led' | 'followed' | 'restart'): string => {
      const gaps = kills.filter((one) => one.client === client).flatMap((one) => one[kind] ?? []);
      if (gaps.length === 0) return `${kind} –`;
      const most = longest(gaps);
      return `${kind} median ${Math.round(median(gaps.map(({ ms }) => ms)))} ms, max ${format(most)}`;
    };
    return `${client}: ${of('led')}; ${of('followed')}; ${of('restart')}; ${acknowledged} acknowledged, ${failed} given up`;
  });
  lines.push(violations.length === 0 ? 'history: no violation' : `history: ${violations.length} violations`);
  for (const { check, message } of violations.slice(0, 10)) lines.push(`  ${check}: ${message}`);
  return lines;
}

interface CommandOptions extends Omit<FailoverOptions, 'kafkaClasspath'> {
  kafkaClasspath?: string;
  out?: string;
}

export function addFailoverCommand(program: Command): void {
  withOut(withKills(program.command('failover'), 'how many', { kills: 10, giveUpSeconds: 60 }))
    .description('longest gap without an acknowledgement when brokers are killed, per client')
    .option('--clients <name,…>', `which clients: ${clientNames.join(', ')}`, someOf(clientNames), [...clientNames])
    .option('--kafka-classpath <path>', 'class path with kafka-clients, for java', process.env.CORDWOOD_KAFKA_CLASSPATH)
    .option('--partitions <n>', 'partitions of the topic', count, 6)
    .option('--replication-factor <n>', 'replicas of each partition', count, 3)
    .option('--min-insync-replicas <n>', 'of the topic', count, 2)
    .option('--rate <n>', 'records a second per client and partition', count, 100)
    .option('--settle-seconds <n>', 'calm before and after each kill', count, 2)
    .action(async ({ kafkaClasspath, ...options }: CommandOptions) => {
      const result = await measureFailover({ ...options, kafkaClasspath: kafkaClasspath ?? null }, console.log);
      writeOut(options, result);
      for (const line of summariseFailover(result)) console.log(line);
      if (result.violations.length > 0) process.exitCode = 1;
    });
}
