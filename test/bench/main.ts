/**
 * `npm run bench`: how fast, how steady and how heavy is a cluster, ours or Apache Kafka's? This file only reads
 * arguments, makes topics, runs the parts in turn and writes down what they found.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { RawCluster } from '../support/raw-cluster.ts';
import { addFailoverCommand } from './failover.ts';
import { addGroupsCommand } from './groups.ts';
import { measure } from './measure.ts';
import { byteCount, count, withOut, withPids } from './options.ts';
import { type PairsCommandOptions, runPairs, sidesOf, withSides } from './pairs.ts';
import { loadBatch } from './produce-load.ts';
import {
  compareResults,
  describeRun,
  describeStart,
  emptyResults,
  formatComparison,
  type ResultsFile,
  type RunResult,
  readResults,
  type StartResult,
  writeResults,
} from './results.ts';
import { endGroup, measureStart, runShell } from './start-up.ts';
import type { Workload } from './workload.ts';

interface CommonOptions {
  bootstrap: string;
  pids: number[];
  out?: string;
  append?: boolean;
  label: string;
  partitions: number;
  seconds: number;
  warmup: number;
}

interface LoadOptions extends CommonOptions {
  replicationFactor: number;
  acks: '1' | 'all';
  recordBytes: number;
  batchBytes: number;
  connections: number;
  inFlight: number;
  maxBytes: number;
  fetchBytes: number;
  partitionFetchBytes: number;
  fillBytes: number;
  rate: number;
}

const wireAcks = (acks: '1' | 'all'): 1 | -1 => (acks === 'all' ? -1 : 1);
const randomTopic = (): string => `bench-${randomBytes(6).toString('hex')}`;

/** Collects results, tells each at once, and writes the file after each so that an aborted suite leaves what it had. */
class Record {
  readonly #results: ResultsFile;
  readonly #out: string | undefined;

  constructor({ out, append, label }: { out?: string; append?: boolean; label: string }) {
    this.#out = out;
    this.#results = out !== undefined && append === true && existsSync(out) ? readResults(out) : emptyResults(label);
  }

  addRun(run: RunResult): void {
    this.#results.runs.push(run);
    console.log(describeRun(run));
    this.#write();
  }

  addStart(start: StartResult): void {
    this.#results.starts.push(start);
    console.log(describeStart(start));
    this.#write();
  }

  #write(): void {
    if (this.#out !== undefined) writeResults(this.#out, this.#results);
  }
}

/** Runs `use` with a fresh topic and deletes it afterwards, whatever happened. */
async function withTopic(options: LoadOptions, use: (topic: string) => Promise<void>): Promise<void> {
  const { bootstrap, partitions, replicationFactor } = options;
  const topic = randomTopic();
  const cluster = new RawCluster(bootstrap);
  try {
    await cluster.createTopic(topic, { partitions, replicationFactor });
    try {
      await use(topic);
    } finally {
      await cluster.deleteTopics([topic]);
    }
  } finally {
    cluster.close();
  }
}

async function runWorkload(record: Record, options: LoadOptions, name: string, workload: Workload): Promise<void> {
  const { bootstrap: _bootstrap, topic: _topic, kind: _kind, ...numbers } = workload;
  const { partitions, replicationFactor } = options;
  const result = await measure(workload, options.pids);
  const parameters = { partitions, replicationFactor, ...numbers };
  record.addRun({ name, at: new Date().toISOString(), parameters, result });
}

async function produce(record: Record, options: LoadOptions): Promise<void> {
  const { bootstrap, acks, recordBytes, batchBytes, connections, inFlight, maxBytes, seconds, warmup } = options;
  await withTopic(options, (topic) =>
    runWorkload(record, options, `produce RF ${options.replicationFactor} acks ${acks} ${recordBytes} B`, {
      kind: 'produce',
      ...{ bootstrap, topic, acks: wireAcks(acks), recordBytes, batchBytes, connections, inFlight, maxBytes },
      ...{ seconds, warmupSeconds: warmup },
    }),
  );
}

async function consume(record: Record, options: LoadOptions): Promise<void> {
  const { bootstrap, recordBytes, batchBytes, connections, inFlight, fillBytes, seconds, warmup } = options;
  const { fetchBytes, partitionFetchBytes } = options;
  await withTopic(options, async (topic) => {
    const fill: Workload = {
      kind: 'produce',
      ...{ bootstrap, topic, acks: -1, recordBytes, batchBytes, connections, inFlight, maxBytes: fillBytes },
      ...{ seconds: 300, warmupSeconds: 0 },
    };
    await measure(fill, []);
    const { batch, records } = loadBatch(recordBytes, batchBytes, 0, 0);
    await runWorkload(record, options, `consume RF ${options.replicationFactor} ${recordBytes} B`, {
      kind: 'consume',
      ...{ bootstrap, topic, connections, fetchBytes, partitionFetchBytes },
      valueShare: (records * recordBytes) / batch.length,
      ...{ seconds, warmupSeconds: warmup },
    });
  });
}

async function latency(record: Record, options: LoadOptions): Promise<void> {
  const { bootstrap, acks, recordBytes, inFlight, rate, seconds, warmup } = options;
  await withTopic(options, (topic) =>
    runWorkload(record, options, `latency RF ${options.replicationFactor} acks ${acks} ${recordBytes} B at ${rate}/s`, {
      kind: 'latency',
      ...{ bootstrap, topic, acks: wireAcks(acks), recordBytes, ratePerSecond: rate, inFlight },
      ...{ seconds, warmupSeconds: warmup },
    }),
  );
}

/** What issue 3 asks for; RF 3 only where there are three brokers. */
async function suite(record: Record, options: LoadOptions): Promise<void> {
  const cluster = new RawCluster(options.bootstrap);
  const brokers = (await cluster.metadata()).brokers.length;
  cluster.close();
  for (const recordBytes of [100, 1000]) {
    await produce(record, { ...options, replicationFactor: 1, acks: '1', recordBytes });
    await consume(record, { ...options, replicationFactor: 1, recordBytes });
  }
  if (brokers < 3) {
    console.log(`${brokers} broker(s): the runs with RF 3 are left out`);
    await latency(record, { ...options, replicationFactor: 1, acks: 'all', recordBytes: 1000 });
    return;
  }
  for (const recordBytes of [100, 1000])
    for (const acks of ['1', 'all'] as const)
      await produce(record, { ...options, replicationFactor: 3, acks, recordBytes });
  await latency(record, { ...options, replicationFactor: 3, acks: 'all', recordBytes: 1000 });
}

const program = new Command('bench')
  .description(
    'Measures a Kafka-compatible cluster, and what it costs, from outside. Makes its own topics and deletes them.',
  )
  .showHelpAfterError()
  .addHelpText(
    'after',
    `
Examples:
  npm run bench -- produce --bootstrap 127.0.0.1:9092 --pids 4711 --record-bytes 100
  npm run bench -- suite --bootstrap 127.0.0.1:9092 --pids 4711,4712,4713 --label ours --out ours.json
  npm run bench -- start --bootstrap 127.0.0.1:9092 --command 'npx cordwood dev --brokers 1 --data /tmp/x'
  npm run bench -- failover --bootstrap 127.0.0.1:9092 --kill 'kill -9 $(cat run/{id}.pid)' --restart './start.sh {id}'
  npm run bench -- pairs --a-label kafka --a-bootstrap … --a-start … --a-stop … --a-out kafka.json --b-label ours …
  npm run bench -- compare kafka.json ours.json

MB/s and GB count bytes of record values, in powers of 1000. A generator near 1.0 cores was itself the limit.`,
  );

function withCommon(command: Command): Command {
  return withOut(withPids(command))
    .requiredOption('-b, --bootstrap <host:port,…>', 'brokers to ask first')
    .option('--label <text>', 'name of the measured system in the results', 'cluster')
    .option('--append', 'add to the file of --out instead of replacing it (repeats compare as their median)');
}

function withRunShape(command: Command): Command {
  return command
    .option('--partitions <n>', 'partitions of the topic', count, 6)
    .option('--seconds <n>', 'length of the measured span of each run', count, 10)
    .option('--warmup <n>', 'seconds before it', count, 3);
}

const replication = (): Option =>
  new Option('--replication-factor <n>', 'replicas of each partition').argParser(count).default(1);
const acks = (fallback: '1' | 'all'): Option =>
  new Option('--acks <acks>', 'what counts as written').choices(['1', 'all']).default(fallback);
const recordBytes = (): Option =>
  new Option('--record-bytes <n>', 'bytes of a value').argParser(byteCount).default(1000);
const inFlight = (): Option =>
  new Option('--in-flight <n>', 'requests under way per connection').argParser(count).default(5);

function withProduceShape(command: Command): Command {
  return command
    .option('--batch-bytes <size>', 'size of a record batch; see README for the default', byteCount, 1_000_000)
    .option('--connections <n>', 'producers or consumers, each with a connection per leader', count, 2)
    .addOption(inFlight());
}
function withConsumeShape(command: Command): Command {
  return command
    .option('--fill-bytes <size>', 'bytes of values to read, again and again', byteCount, 2 ** 30)
    .option('--fetch-bytes <size>', 'largest answer', byteCount, 50 * 2 ** 20)
    .option('--partition-fetch-bytes <size>', 'largest share of a partition in it', byteCount, 2 ** 20);
}
const withMaxBytes = (command: Command): Command =>
  command.option('--max-bytes <size>', 'end a produce run early after so many bytes of values', byteCount, 3 * 2 ** 30);

const unused = {
  connections: 1,
  fetchBytes: 0,
  partitionFetchBytes: 0,
  fillBytes: 0,
  maxBytes: 0,
  batchBytes: 0,
  rate: 0,
};

withMaxBytes(withProduceShape(withRunShape(withCommon(program.command('produce')))))
  .description('produce as fast as the cluster takes it')
  .addOption(replication())
  .addOption(acks('1'))
  .addOption(recordBytes())
  .action(async (options: LoadOptions) => produce(new Record(options), { ...unused, ...options }));

withConsumeShape(withProduceShape(withRunShape(withCommon(program.command('consume')))))
  .description('fill a topic, then consume it as fast as the cluster gives it')
  .addOption(replication())
  .addOption(recordBytes())
  .action(async (options: LoadOptions) => consume(new Record(options), { ...unused, ...options }));

withRunShape(withCommon(program.command('latency')))
  .description('produce at a fixed rate; latency from the time each record was due')
  .addOption(replication())
  .addOption(acks('all'))
  .addOption(recordBytes())
  .addOption(inFlight())
  .option('--rate <n>', 'records a second over all partitions', count, 3000)
  .action(async (options: LoadOptions) => latency(new Record(options), { ...unused, ...options }));

withMaxBytes(withConsumeShape(withProduceShape(withRunShape(withCommon(program.command('suite'))))))
  .description('produce and consume at RF 1, produce and latency at RF 3, with 100 B and 1 KB records')
  .option('--rate <n>', 'records a second of the latency run', count, 3000)
  .action(async (options: LoadOptions) => suite(new Record(options), options));

withSides(withMaxBytes(withConsumeShape(withProduceShape(withRunShape(program.command('pairs'))))))
  .description('suite for two systems in turn (A B A B …), each started fresh; medians and ratios B over A')
  .option('--rate <n>', 'records a second of the latency run', count, 3000)
  .action(async (options: LoadOptions & PairsCommandOptions) =>
    runPairs(
      sidesOf(options),
      async ({ label, bootstrap, out }, pids, isFirst) => {
        const one = { ...options, label, bootstrap, out, pids, append: !isFirst };
        await suite(new Record(one), one);
      },
      console.log,
    ),
  );

interface StartCommandOptions {
  bootstrap: string;
  command: string;
  prepare?: string;
  stop?: string;
  runs: number;
  brokers: number;
  partitions: number;
  replicationFactor: number;
  timeout: number;
  out?: string;
  append?: boolean;
  label: string;
}

withOut(program.command('start'))
  .description('time from starting a broker or cluster to its first acknowledged record (acks=all)')
  .requiredOption('-b, --bootstrap <host:port,…>', 'brokers to ask first')
  .requiredOption(
    '--command <shell>',
    'starts it; may stay in the foreground (then it gets SIGTERM at the end) or return',
  )
  .option('--prepare <shell>', 'runs before each start, not measured: fresh data, formatting')
  .option('--stop <shell>', 'runs after each start')
  .option('--runs <n>', 'how many times', count, 3)
  .option('--brokers <n>', 'brokers that metadata must name', count, 1)
  .option('--partitions <n>', 'partitions of the topic', count, 1)
  .addOption(replication())
  .option('--timeout <seconds>', 'give up after', count, 60)
  .option('--label <text>', 'name of the measured system in the results', 'cluster')
  .option('--append', 'add to the file of --out instead of replacing it')
  .action(async (options: StartCommandOptions) => {
    const record = new Record(options);
    const { bootstrap, command, brokers, partitions, replicationFactor, timeout } = options;
    for (let run = 0; run < options.runs; run++) {
      if (options.prepare !== undefined) await runShell(options.prepare);
      const topic = randomTopic();
      const wanted = { bootstrap, command, brokers, partitions, replicationFactor, topic, timeoutMs: timeout * 1000 };
      const { startMs, child } = await measureStart(wanted);
      const name = `start ${brokers} broker(s), RF ${replicationFactor}`;
      record.addStart({ name, at: new Date().toISOString(), parameters: { command, partitions }, startMs });
      await endGroup(child);
      if (options.stop !== undefined) await runShell(options.stop);
    }
  });

program
  .command('compare')
  .description('ratios of two results files, B over A; repeated runs as their median')
  .argument('<A.json>')
  .argument('<B.json>')
  .action((pathA: string, pathB: string) => {
    const [a, b] = [readResults(pathA), readResults(pathB)];
    const comparisons = compareResults(a, b);
    if (comparisons.length === 0) throw new Error('the two files have no run in common');
    console.log(formatComparison([a.label, b.label], comparisons));
  });

addFailoverCommand(program);
addGroupsCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
