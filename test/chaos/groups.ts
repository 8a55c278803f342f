/**
 * Groups of real clients while their coordinators are killed with -9, one by one and all at once: is every committed
 * offset still there, at every moment, and how long does each client take until its group works again?
 *
 *     node test/chaos/processes.ts start 3 --set group.initial.rebalance.delay.ms=0
 *     node test/chaos/groups.ts -b 127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094 \
 *       --kill 'node test/chaos/processes.ts kill {id}' --restart 'node test/chaos/processes.ts restart {id}'
 *
 * One topic, written to all the time; one group per client, all its members committing; a prober that asks every broker in
 * turn for the committed offsets of every group. At the end the whole history goes to the checker: C11, C13, and each
 * acknowledged record read at least once by each group.
 */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import {
  count,
  type KillOptions,
  killBroker,
  restartBroker,
  someOf,
  withKills,
  withOut,
  writeOut,
} from '../bench/options.ts';
import { median } from '../bench/percentiles.ts';
import { GroupAdmin } from '../support/group-admin.ts';
import { checkGroupHistory, type Violation } from '../support/history-checker.ts';
import { isKcatThere, type MemberKind, MemberProcess, memberKinds, noKcat } from '../support/member-process.ts';
import { RawCluster, sleepMs } from '../support/raw-cluster.ts';
import { type ProducedRecord, RawProducer } from '../support/raw-producer.ts';
import { until } from '../support/until.ts';
import { monotonicMs } from './clients/steady-sender.ts';
import { CommittedOffsetProber } from './committed-offset-prober.ts';

/** `kills`: how often a coordinator is killed, alone. */
export interface GroupChaosOptions extends KillOptions {
  /** How often all brokers are killed at once. */
  outages: number;
  kinds: MemberKind[];
  members: number;
  partitions: number;
  /** Records a second per partition. */
  rate: number;
  sessionTimeoutMs: number;
  settleSeconds: number;
  /** A directory for what members write to their standard error. */
  logs?: string;
}

/** How long one group took after one kill, in milliseconds from the kill; null where it did not come back. */
export interface GroupGap {
  kind: MemberKind;
  /** `outage`: all brokers; `coordinator`: its own; `other`: a broker that only led some partitions. */
  event: 'coordinator' | 'other' | 'outage';
  /** A commit sent after the kill was accepted. */
  commitMs: number | null;
  /** The coordinator calls the group stable, with all its members. */
  stableMs: number | null;
  /** Every partition has given the group a record written after the kill. */
  consumedMs: number | null;
}

export interface GroupChaosResult {
  gaps: GroupGap[];
  groups: { kind: MemberKind; read: number; repeated: number; missing: number; commits: number }[];
  written: number;
  answers: number;
  violations: Violation[];
  skipped: { kind: MemberKind; reason: string }[];
}

const wireName = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}:${partition}`;

/** A group of one kind of client, and what it has got done. */
class WatchedGroup {
  readonly kind: MemberKind;
  readonly name: string;
  readonly members: MemberProcess[];

  constructor(kind: MemberKind, topic: string, options: GroupChaosOptions) {
    this.kind = kind;
    this.name = `${topic}-${kind}`;
    const { bootstrap, sessionTimeoutMs, logs: logDir } = options;
    const common = { kind, bootstrap, group: this.name, topics: [topic], sessionTimeoutMs, logDir };
    this.members = Array.from({ length: options.members }, (_, index) =>
      MemberProcess.start({ ...common, name: `${kind}-${index}` }),
    );
  }

  /** When a commit that was sent after `sinceMs` was accepted first. */
  firstCommitMs(sinceMs: number): number | null {
    let first: number | null = null;
    for (const { commits } of this.members)
      for (let index = commits.length - 1; index >= 0; index--) {
        const commit = commits[index];
        if (commit === undefined || commit.untilMs < sinceMs) break;
        if (commit.outcome !== 'ok' || commit.fromMs < sinceMs) continue;
        if (first === null || commit.untilMs < first) first = commit.untilMs;
      }
    return first;
  }

  /** When the last of the partitions gave a record that was written after `sinceMs`; null while one has not. */
  consumedMs(sinceMs: number, partitions: number): number | null {
    const first = new Map<number, number>();
    for (const { reads } of this.members)
      for (let index = reads.length - 1; index >= 0; index--) {
        const read = reads[index];
        if (read === undefined || read.atMs < sinceMs) break;
        if (writtenMs(read.value) < sinceMs) continue;
        first.set(read.partition, Math.min(first.get(read.partition) ?? Number.POSITIVE_INFINITY, read.atMs));
      }
    return first.size < partitions ? null : Math.max(...first.values());
  }
}

/** Values are `partition-count-writtenMs`. */
const writtenMs = (value: string): number => Number(value.slice(value.lastIndexOf('-') + 1));

class SteadyWriter {
  readonly acknowledged: ProducedRecord[] = [];
  readonly #producer: RawProducer;
  readonly #partitions: number;
  #ticker: NodeJS.Timeout | null = null;

  constructor(bootstrap: string, topic: string, partitions: number) {
    this.#producer = new RawProducer(bootstrap, topic, (record) => this.acknowledged.push(record));
    this.#partitions = partitions;
  }

  async start(rate: number): Promise<void> {
    await this.#producer.start(this.#partitions);
    let count = 0;
    this.#ticker = setInterval(() => {
      const now = monotonicMs();
      for (let partition = 0; partition < this.#partitions; partition++)
        this.#producer.send(partition, `${partition}-${count}-${now}`);
      count++;
    }, 1000 / rate);
  }

  async stop(): Promise<void> {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    await this.#producer.stop();
  }
}

export async function disturbGroups(
  options: GroupChaosOptions,
  tell: (line: string) => void,
): Promise<GroupChaosResult> {
  const { bootstrap, partitions, rate, settleSeconds } = options;
  const giveUpMs = options.giveUpSeconds * 1000;
  const topic = `groups-${randomBytes(4).toString('hex')}`;
  const cluster = new RawCluster(bootstrap, 2000);
  await cluster.createTopic(topic, { partitions, replicationFactor: 3, configs: { 'min.insync.replicas': '2' } });
  const addresses = bootstrap.split(',').map((text) => {
    const [host = '', port] = text.split(':');
    return { host, port: Number(port) };
  });
  const admin = new GroupAdmin(() => addresses);
  const result: GroupChaosResult = { gaps: [], groups: [], written: 0, answers: 0, violations: [], skipped: [] };
  const writer = new SteadyWriter(bootstrap, topic, partitions);
  const groups: WatchedGroup[] = [];
  const prober = new CommittedOffsetProber(addresses);

  const coordinators = async (): Promise<Map<WatchedGroup, number>> => {
    const found = new Map<WatchedGroup, number>();
    for (const group of groups)
      found.set(group, (await until('a coordinator', () => admin.coordinatorOf(group.name), giveUpMs)).id);
    return found;
  };

  async function recovery(group: WatchedGroup, event: GroupGap['event'], sinceMs: number): Promise<GroupGap> {
    const since = (atMs: number | null): number | null => (atMs === null ? null : atMs - sinceMs);
    const orNull = (wait: Promise<number>): Promise<number | null> => wait.catch(() => null);
    const isStable = async (): Promise<number | null> => {
      const { state, members } = await admin.describe(group.name);
      return state === 'Stable' && members.length === options.members ? monotonicMs() : null;
    };
    const firstCommit = (): number | null =>
      // kcat does not tell of its commits; that they were accepted shows in what the coordinator tells.
      group.kind === 'kcat' ? prober.progressMs(group.name) : group.firstCommitMs(sinceMs);
    const [stable, commit, consumed] = await Promise.all([
      orNull(until(`${group.name} is stable`, isStable, giveUpMs)),
      orNull(until(`${group.name} commits`, firstCommit, giveUpMs)),
      orNull(until(`${group.name} reads all`, () => group.consumedMs(sinceMs, partitions), giveUpMs)),
    ]);
    return { kind: group.kind, event, commitMs: since(commit), stableMs: since(stable), consumedMs: since(consumed) };
  }

  const settle = async (): Promise<void> => {
    await cluster.waitForIsr(topic, partitions, 3, giveUpMs);
    await sleepMs(settleSeconds * 1000);
  };

  async function disturb(title: string, victims: readonly number[], isOutage: boolean): Promise<void> {
    const led = await coordinators();
    await Promise.all(victims.map((id) => killBroker(options, id)));
    // After the commands, not before: starting a shell takes longer than some of what is measured.
    const killedMs = monotonicMs();
    prober.expectProgress();
    const restart = () => Promise.all(victims.map((id) => restartBroker(options, id)));
    if (isOutage) await restart();
    const gaps = await Promise.all(
      groups.map((group) => {
        const isOwn = victims.includes(led.get(group) ?? -1);
        return recovery(group, isOutage ? 'outage' : isOwn ? 'coordinator' : 'other', killedMs);
      }),
    );
    if (!isOutage) await restart();
    result.gaps.push(...gaps);
    for (const [index, gap] of gaps.entries()) {
      tell(`${title}: ${describeGap(gap)}`);
      if (isComplete(gap)) continue;
      for (const { name, isRunning, complaints } of groups[index]?.members ?? [])
        tell(`  ${name} ${isRunning ? 'says' : 'has ended'}: ${complaints.slice(-500)}`);
    }
    await settle();
  }

  try {
    await writer.start(rate);
    for (const kind of options.kinds) {
      if (kind === 'kcat' && !isKcatThere()) {
        tell(`${kind} left out: ${noKcat}`);
        result.skipped.push({ kind, reason: noKcat });
      } else groups.push(new WatchedGroup(kind, topic, options));
    }
    prober.start(groups.map(({ name }) => name));
    const begunMs = monotonicMs();
    for (const group of groups) {
      const { consumedMs, stableMs } = await recovery(group, 'other', begunMs);
      if (consumedMs === null || stableMs === null)
        throw new Error(`${group.name} does not get going: ${group.members.map((one) => one.complaints).join('')}`);
    }
    tell(`${groups.length} groups of ${options.members} members at work`);
    await settle();
    for (let round = 0; round < options.kills; round++) {
      const chosen = groups[round % groups.length];
      const victim = chosen === undefined ? -1 : ((await coordinators()).get(chosen) ?? -1);
      await disturb(`kill ${round + 1} of broker ${victim}`, [victim], false);
    }
    const everyone = (await cluster.metadata()).brokers.map(({ id }) => id);
    for (let round = 0; round < options.outages; round++) await disturb(`outage ${round + 1}`, everyone, true);

    await writer.stop();
    const values = new Set(writer.acknowledged.map(({ value }) => value));
    result.written = values.size;
    const missingOf = ({ members }: WatchedGroup): number => {
      const read = new Set(members.flatMap(({ reads }) => reads.map(({ value }) => value)));
      return [...values].filter((value) => !read.has(value)).length;
    };
    for (const group of groups)
      await until(`${group.name} has read all`, () => missingOf(group) === 0, giveUpMs).catch(() => undefined);
    // A last answer of everybody about everything.
    await prober.round();
    await Promise.all(groups.map(({ members }) => Promise.all(members.map((member) => member.leave()))));
    await prober.round();
    for (const group of groups) {
      const all = group.members.flatMap(({ reads }) => reads);
      const distinct = new Set(all.map((read) => `${wireName(read)}@${read.offset}`)).size;
      result.groups.push({
        ...{ kind: group.kind, read: all.length, repeated: all.length - distinct, missing: missingOf(group) },
        commits: group.members.flatMap(({ commits }) => commits).filter(({ outcome }) => outcome === 'ok').length,
      });
    }
  } finally {
    await prober.stop();
    await Promise.all(groups.map(({ members }) => Promise.all(members.map((member) => member.crash()))));
    await writer.stop();
  }

  const endOffsets = new Map<string, number>();
  for (let partition = 0; partition < partitions; partition++)
    endOffsets.set(wireName({ topic, partition }), await cluster.endOffset(topic, partition));
  result.answers = prober.answers.length;
  const membersOf = groups.flatMap(({ name: group, members }) => members.map((member) => ({ group, member })));
  result.violations = checkGroupHistory({
    answers: prober.answers,
    commits: membersOf.flatMap(({ group, member }) =>
      member.commits.map((commit) => ({ ...commit, group, member: member.name, partition: wireName(commit) })),
    ),
    owners: membersOf.flatMap(({ group, member }) =>
      member.assignments.flatMap(({ generation, places, atMs }) =>
        generation === null
          ? []
          : places.map((partition) => ({ group, member: member.name, partition, generation, atMs })),
      ),
    ),
    endOffsets,
  });
  await cluster.deleteTopics([topic]);
  cluster.close();
  admin.close();
  return result;
}

const seconds = (ms: number | null): string => (ms === null ? 'never' : `${(ms / 1000).toFixed(2)} s`);

const isComplete = ({ commitMs, stableMs, consumedMs }: GroupGap): boolean =>
  ![commitMs, stableMs, consumedMs].includes(null);

function describeGap({ kind, event, commitMs, stableMs, consumedMs }: GroupGap): string {
  return `${kind} (${event}): commit ${seconds(commitMs)}, stable ${seconds(stableMs)}, all read ${seconds(consumedMs)}`;
}

/** Median and maximum per client and kind of event, then the verdict, one line each. */
export function summariseGroups({ gaps, groups, violations, written, answers }: GroupChaosResult): string[] {
  const lines: string[] = [];
  for (const { kind, read, repeated, missing, commits } of groups) {
    for (const [event, all] of Map.groupBy(
      gaps.filter((gap) => gap.kind === kind),
      (gap) => gap.event,
    )) {
      const of = (what: 'commitMs' | 'stableMs' | 'consumedMs'): string => {
        const values = all.map((gap) => gap[what] ?? Number.POSITIVE_INFINITY);
        return `${seconds(median(values))}, max ${seconds(Math.max(...values))}`;
      };
      lines.push(
        `${kind}, ${event} (${all.length}): commit median ${of('commitMs')}; stable ${of('stableMs')}; all read ${of('consumedMs')}`,
      );
    }
    const note = kind === 'kcat' ? '; it commits every 5 s and does not tell' : '';
    lines.push(`${kind}: ${read} read, ${repeated} of them again, ${missing} missing, ${commits} commits told${note}`);
  }
  lines.push(`${written} records written, ${answers} committed offsets told to the prober`);
  lines.push(violations.length === 0 ? 'history: no violation' : `history: ${violations.length} violations`);
  for (const { check, message } of violations.slice(0, 10)) lines.push(`  ${check}: ${message}`);
  return lines;
}

/** Why a run is not good; empty when it is. */
export function faultsOf({ gaps, groups, violations }: GroupChaosResult): string[] {
  return [
    ...violations.map(({ check, message }) => `${check}: ${message}`),
    ...groups
      .filter(({ missing }) => missing > 0)
      .map(({ kind, missing }) => `${kind} has not read ${missing} records`),
    ...gaps.filter((gap) => !isComplete(gap)).map((gap) => `did not come back: ${describeGap(gap)}`),
  ];
}

if (import.meta.main) {
  const program = new Command('groups').description(
    'groups of real clients while coordinators are killed: offsets kept, and how soon they work again',
  );
  withOut(withKills(program, 'coordinators killed, one by one', { kills: 10, giveUpSeconds: 60 }))
    .option('--outages <n>', 'times that all brokers are killed', count, 3)
    .option('--kinds <name,…>', `which clients: ${memberKinds.join(', ')}`, someOf(memberKinds), [...memberKinds])
    .option('--members <n>', 'of each group', count, 2)
    .option('--partitions <n>', 'of the topic', count, 6)
    .option('--rate <n>', 'records a second per partition', count, 20)
    .option('--session-timeout-ms <n>', 'of the members of classic groups', count, 10_000)
    .option('--settle-seconds <n>', 'calm before each kill', count, 2)
    .option('--logs <directory>', 'keep what each client writes to its standard error there')
    .action(async (options: GroupChaosOptions & { out?: string }) => {
      const result = await disturbGroups(options, console.log);
      writeOut(options, result);
      for (const line of summariseGroups(result)) console.log(line);
      if (faultsOf(result).length > 0) process.exitCode = 1;
    });
  await program.parseAsync();
}
