/**
 * `bench groups`: what do consumer groups cost a cluster? Commits a second; the rebalance of a large group by either
 * protocol; very many groups; a very large group; and meanwhile how long a broker lets others wait.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Command } from 'commander';
import { offsetCommitApi } from '../../src/wire/messages/08-offset-commit.ts';
import { RawCluster, sleepMs } from '../support/raw-cluster.ts';
import { WireClient } from '../support/wire-client.ts';
import { runCommitLoad } from './commit-load.ts';
import { type Address, ClassicMember, ConsumerMember, coordinatorsOf, deal } from './group-members.ts';
import { longTurnsSince } from './long-turns.ts';
import { count, someOf, withOut, withPids, writeOut } from './options.ts';
import { type LatencySummary, median } from './percentiles.ts';
import { whilePinging } from './pinger.ts';
import { cpuSecondsOf, usageOf } from './process-usage.ts';

const parts = ['commits', 'classic', 'consumer', 'many', 'large'] as const;
type Part = (typeof parts)[number];

interface GroupsOptions {
  bootstrap: string;
  pids: number[];
  label: string;
  parts: Part[];
  replicationFactor: number;
  lanes: number;
  seconds: number;
  warmup: number;
  members: number;
  partitions: number;
  rounds: number;
  groups: number;
  largeMembers: number;
  processes?: string;
  out?: string;
}

/** Between two heartbeats of a member of a classic group; a tenth of what clients take. */
const heartbeatMs = 300;

type Figures = Record<string, number | number[] | LatencySummary | undefined>;

const fixed = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const mebibytes = (bytes: readonly number[]): string => bytes.map((one) => Math.round(one / 2 ** 20)).join('/');
const turnsText = ({ turnMs, turnCpuMs }: { turnMs?: number; turnCpuMs?: number }): string =>
  turnMs === undefined || turnCpuMs === undefined
    ? ''
    : `; longest turn of a broker ${fixed(turnCpuMs)} CPU ms, ${fixed(turnMs)} ms by the clock`;
const latencies = ({ p50, p99, max }: LatencySummary): string =>
  `p50 ${fixed(p50)} p99 ${fixed(p99)} max ${fixed(max)} ms`;

class GroupsBench {
  readonly #options: GroupsOptions;
  readonly #brokers: Address[];
  readonly #topic: string;
  readonly #tell: (line: string) => void;
  readonly figures: Record<string, Figures> = {};

  constructor(options: GroupsOptions, topic: string, tell: (line: string) => void) {
    this.#options = options;
    this.#topic = topic;
    this.#tell = tell;
    this.#brokers = options.bootstrap.split(',').map((address) => {
      const [host = '', port] = address.split(':');
      return { host, port: Number(port) };
    });
  }

  async run(part: Part): Promise<void> {
    switch (part) {
      case 'commits':
        return await this.#commits();
      case 'classic':
        return await this.#classic(this.#options.members, this.#options.rounds);
      case 'consumer':
        return await this.#consumer(this.#options.members, this.#options.rounds);
      case 'many':
        return await this.#many();
      case 'large':
        await this.#classic(this.#options.largeMembers, 1);
        return await this.#consumer(this.#options.largeMembers, 1);
    }
  }

  get #anyBroker(): Address {
    const [first] = this.#brokers;
    if (first === undefined) throw new Error('no broker is named');
    return first;
  }

  /** Milliseconds of all brokers' CPU that `work` took, and by the clock. */
  async #timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; wallMs: number; cpuMs: number }> {
    const cpu = cpuSecondsOf(this.#options.pids);
    const startMs = performance.now();
    const result = await work();
    const wallMs = performance.now() - startMs;
    return { result, wallMs, cpuMs: (cpuSecondsOf(this.#options.pids) - cpu) * 1000 };
  }

  async #commits(): Promise<void> {
    const { lanes, partitions, seconds, warmup, pids } = this.#options;
    let cpu = 0;
    const count = await runCommitLoad({
      ...{ broker: this.#anyBroker, topic: this.#topic, partitions, lanes, seconds, warmupSeconds: warmup },
      onMeasuring: () => {
        cpu = cpuSecondsOf(pids);
      },
    });
    const cpuSeconds = cpuSecondsOf(pids) - cpu;
    const perSecond = count.commits / count.seconds;
    const generatorShare = count.cpuSeconds / count.seconds;
    this.figures.commits = { perSecond, latencyMs: count.latencyMs, cpuSeconds, generatorShare };
    this.#tell(
      `commits, ${lanes} under way: ${Math.round(perSecond)}/s, ${latencies(count.latencyMs)}, ` +
        `brokers ${fixed((cpuSeconds / count.commits) * 1e6)} CPU µs each, generator ${fixed(generatorShare)} cores`,
    );
  }

  /** All members join at once; then, round after round, one asks for a rebalance and all join again. */
  async #classic(size: number, rounds: number): Promise<void> {
    const group = `${this.#topic}-classic-${size}`;
    const [coordinator = this.#anyBroker] = await coordinatorsOf(this.#anyBroker, [group]);
    const open = async () => new ClassicMember(group, await WireClient.open(coordinator, 'bench'), this.#topic);
    const members = await Promise.all(Array.from({ length: size }, open));
    let ids: readonly string[] = [];
    let leader = members[0];
    const joinOnce = async (member: ClassicMember): Promise<boolean> => {
      const toAssign = await member.join();
      if (toAssign !== null) {
        ids = toAssign;
        leader = member;
      }
      return await member.sync(toAssign === null ? [] : deal(toAssign, this.#topic, this.#options.partitions));
    };
    const isSettled = (): boolean =>
      ids.length === size &&
      members.every(({ syncedGeneration }) => syncedGeneration !== null && syncedGeneration === leader?.generation);
    /** As a client does: it joins until it has its assignment, then asks by heartbeats whether to join again. */
    const take = async (member: ClassicMember): Promise<void> => {
      while (!isSettled()) {
        if (!(await joinOnce(member))) continue;
        do await sleepMs(heartbeatMs);
        while (!isSettled() && (await member.heartbeat()));
      }
    };
    const form = async (): Promise<void> => {
      await Promise.all(members.map(take));
    };
    const rebalance = async (): Promise<void> => {
      const asking = leader;
      const others = members.filter((member) => member !== asking);
      // A leader that joins again asks for a rebalance; who joins before the group knows of it changes nothing.
      const joining = asking === undefined ? Promise.resolve(true) : joinOnce(asking);
      while (await others[0]?.heartbeat());
      await Promise.all([joining, ...others.map(joinOnce)]);
      if (!isSettled()) throw new Error(`${group} did not settle in one rebalance`);
    };
    await this.#measureRebalances(`classic group of ${size}`, form, rounds, rebalance);
    for (const member of members) member.close();
  }

  /** All join, then, round after round, one leaves and comes back; heartbeats go round until all have what they shall. */
  async #consumer(size: number, rounds: number): Promise<void> {
    const group = `${this.#topic}-consumer-${size}`;
    const [coordinator = this.#anyBroker] = await coordinatorsOf(this.#anyBroker, [group]);
    const open = async (_: unknown, index: number) =>
      new ConsumerMember(group, await WireClient.open(coordinator, 'bench'), this.#topic, `member-${size}-${index}`);
    const members = await Promise.all(Array.from({ length: size }, open));
    const settle = async (who: readonly ConsumerMember[]): Promise<void> => {
      for (;;) {
        await Promise.all(who.map((member) => member.heartbeat()));
        const held = who.reduce((sum, { partitions }) => sum + partitions, 0);
        if (new Set(who.map(({ epoch }) => epoch)).size === 1 && held === this.#options.partitions) return;
      }
    };
    const [first, ...others] = members;
    await this.#measureRebalances(
      `new group of ${size}`,
      () => settle(members),
      rounds,
      async () => {
        await first?.leave();
        await settle(others);
        await settle(members);
      },
    );
    for (const member of members) member.close();
  }

  async #measureRebalances(
    title: string,
    form: () => Promise<void>,
    rounds: number,
    rebalance: () => Promise<void>,
  ): Promise<void> {
    const { partitions } = this.#options;
    const startMs = Date.now();
    const { result: formed, pingMs: formingPing } = await whilePinging(this.#brokers, () => this.#timed(form));
    const wall: number[] = [];
    const { result: all, pingMs } = await whilePinging(this.#brokers, () =>
      this.#timed(async () => {
        for (let round = 0; round < rounds; round++) wall.push((await this.#timed(rebalance)).wallMs);
      }),
    );
    const cpuMs = all.cpuMs / rounds;
    const turns = this.#longestTurns(startMs);
    this.figures[title] = {
      ...turns,
      ...{ formedMs: formed.wallMs, formedCpuMs: formed.cpuMs, formingPing },
      ...{ rebalanceMs: wall, rebalanceCpuMs: cpuMs, pingMs },
    };
    this.#tell(
      `${title}, ${partitions} partitions: formed in ${fixed(formed.wallMs)} ms (brokers ${fixed(formed.cpuMs)} CPU ms, ping ${latencies(formingPing)}); ` +
        `rebalance median ${fixed(median(wall))} ms, max ${fixed(Math.max(...wall))} ms (brokers ${fixed(cpuMs)} CPU ms each, ping ${latencies(pingMs)})${turnsText(turns)}`,
    );
  }

  /** Of any broker since then, where their processes tell. */
  #longestTurns(sinceMs: number): { turnMs?: number; turnCpuMs?: number } {
    const { processes } = this.#options;
    if (processes === undefined) return {};
    const turns = longTurnsSince(processes, sinceMs);
    const longest = (of: readonly number[]): number => of.reduce((most, one) => Math.max(most, one), 0);
    return {
      turnMs: longest(turns.map(({ wallMs }) => wallMs)),
      turnCpuMs: longest(turns.map(({ cpuMs }) => cpuMs)),
    };
  }

  /** Groups of one member each: each joins, gets all, commits twice. */
  async #many(): Promise<void> {
    const { groups: count, partitions, pids } = this.#options;
    const names = Array.from({ length: count }, (_, index) => `${this.#topic}-many-${index}`);
    const coordinators = await coordinatorsOf(this.#anyBroker, names);
    const before = pids.map((pid) => usageOf(pid).residentBytes);
    const startMs = Date.now();
    const lanes = 64;
    const { result, pingMs } = await whilePinging(this.#brokers, () =>
      this.#timed(async () => {
        const work = Array.from({ length: lanes }, async (_, lane) => {
          const clients = new Map<string, WireClient>();
          for (let index = lane; index < count; index += lanes) {
            const { host, port } = coordinators[index] ?? this.#anyBroker;
            const key = `${host}:${port}`;
            const client = clients.get(key) ?? (await WireClient.open({ host, port }, 'bench'));
            clients.set(key, client);
            await this.#liveShortly(names[index] ?? '', client);
          }
          for (const client of clients.values()) client.close();
        });
        await Promise.all(work);
      }),
    );
    const after = pids.map((pid) => usageOf(pid).residentBytes);
    const turns = this.#longestTurns(startMs);
    this.figures.many = { ms: result.wallMs, cpuMs: result.cpuMs, pingMs, before, after, ...turns };
    this.#tell(
      `${count} groups over ${partitions} partitions, each joined and committed twice: ${fixed(result.wallMs)} ms, brokers ${fixed(result.cpuMs)} CPU ms, ` +
        `RSS ${mebibytes(before)} → ${mebibytes(after)} MiB, ping ${latencies(pingMs)}${turnsText(turns)}`,
    );
  }

  async #liveShortly(group: string, client: WireClient): Promise<void> {
    const member = new ClassicMember(group, client, this.#topic);
    const own = (await member.join()) ?? [];
    await member.sync(deal(own, this.#topic, 1));
    for (const committedOffset of [1n, 2n]) {
      const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }];
      const { topics } = await client.ask(offsetCommitApi, 9, {
        ...{ groupId: group, memberId: member.memberId, generationIdOrMemberEpoch: member.generation },
        topics: [{ name: this.#topic, partitions }],
      });
      const error = topics[0]?.partitions[0]?.errorCode;
      if (error !== 0) throw new Error(`OffsetCommit ${group}: error ${error}`);
    }
  }
}

export function addGroupsCommand(program: Command): void {
  withOut(withPids(program.command('groups')))
    .description('commits a second, rebalances of large groups by both protocols, very many and very large groups')
    .requiredOption('-b, --bootstrap <host:port,…>', 'all brokers')
    .option('--label <text>', 'name of the measured system', 'cluster')
    .option('--parts <name,…>', `which: ${parts.join(', ')}`, someOf(parts), [...parts])
    .option('--replication-factor <n>', 'of the topic; that of the committed offsets is the cluster’s', count, 1)
    .option('--lanes <n>', 'commits under way', count, 64)
    .option('--seconds <n>', 'length of the commit run', count, 10)
    .option('--warmup <n>', 'seconds before it', count, 3)
    .option('--members <n>', 'of the rebalancing groups', count, 100)
    .option('--partitions <n>', 'that they share', count, 1000)
    .option('--rounds <n>', 'rebalances measured', count, 10)
    .option('--groups <n>', 'how many are very many', count, 10_000)
    .option('--large-members <n>', 'of the very large groups', count, 1000)
    .option('--processes <directory>', 'where test/chaos/processes.ts keeps the brokers: tells their longest turns')
    .action(async (options: GroupsOptions) => {
      const topic = `bench-${randomBytes(4).toString('hex')}`;
      const cluster = new RawCluster(options.bootstrap);
      const { partitions, replicationFactor } = options;
      await cluster.createTopic(topic, { partitions, replicationFactor });
      const bench = new GroupsBench(options, topic, (line) => console.log(`${options.label}: ${line}`));
      try {
        for (const part of options.parts) await bench.run(part);
      } finally {
        writeOut(options, bench.figures);
        await cluster.deleteTopics([topic]);
        cluster.close();
      }
    });
}
