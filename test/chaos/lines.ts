/**
 * Does real input survive its leader? Numbers the lines of a real text, pipes them through any producer command into a
 * topic of 6 partitions and RF 3, kills the leader of one partition with -9 several times meanwhile, starts it again,
 * reads everything back with the raw client and checks: every acknowledged line is there with its bytes unchanged, in
 * order within each partition, none twice when the producer is idempotent, none that was never sent.
 *
 *     node test/chaos/lines.ts --bootstrap 127.0.0.1:9092 \
 *       --kill 'kill -9 $(cat run/{id}.pid)' --restart './start.sh {id}' \
 *       --producer 'kcat -P -b {bootstrap} -t {topic} -X acks=all -X enable.idempotence=true' --idempotent
 *
 * A line is sent as its number in the input, a tab, and the line: equal lines stay distinct. A producer acknowledges
 * all of its input by exit code 0; where it ends otherwise, only what is there can be checked, and that is a failure.
 */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { count, type KillOptions, killBroker, restartBroker, withKills, withOut, writeOut } from '../bench/options.ts';
import { RawCluster, sleepMs } from '../support/raw-cluster.ts';
import { checkLines, type LineFault, type LinesReport, numberedLines } from './line-check.ts';

export interface LinesOptions extends KillOptions {
  producer: string;
  idempotent: boolean;
  /** Seconds over which the input is spread, so that the kills fall into it. */
  seconds: number;
  input: string;
  partitions: number;
  replicationFactor: number;
  minInsyncReplicas: number;
}

export interface LinesResult extends LinesReport {
  topic: string;
  producerExitCode: number | null;
  producerOutput: string;
  seconds: number;
  kills: { victim: number; atLine: number; isrFullAgainMs: number }[];
}

/** Pieces of about so many bytes go to the producer at once; small enough to spread evenly. */
const pieceLines = 500;

async function feed(
  stdin: NodeJS.WritableStream,
  lines: readonly Buffer[],
  seconds: number,
  progress: { line: number },
): Promise<void> {
  const begun = performance.now();
  for (let first = 0; first < lines.length; first += pieceLines) {
    const dueMs = (first / lines.length) * seconds * 1000;
    const waitMs = dueMs - (performance.now() - begun);
    if (waitMs > 1) await sleepMs(waitMs);
    const piece = Buffer.concat(lines.slice(first, first + pieceLines).flatMap((line) => [line, Buffer.from('\n')]));
    if (!stdin.write(piece)) await once(stdin, 'drain');
    progress.line = Math.min(lines.length, first + pieceLines);
  }
  stdin.end();
}

/** Until partition 0 has a leader that is not `victim`: a restart before that would be no failover. */
async function waitForOtherLeader(
  cluster: RawCluster,
  topic: string,
  victim: number,
  giveUpSeconds: number,
): Promise<void> {
  const deadline = performance.now() + giveUpSeconds * 1000;
  while (performance.now() < deadline) {
    const leader = (await cluster.partitionsOf(topic)).partitions[0]?.leader ?? -1;
    if (leader >= 0 && leader !== victim) return;
    await sleepMs(20);
  }
  throw new Error(`broker ${victim} still leads partition 0, ${giveUpSeconds} s after it was killed`);
}

export async function runLines(options: LinesOptions, tell: (line: string) => void): Promise<LinesResult> {
  const { bootstrap, partitions, replicationFactor, minInsyncReplicas } = options;
  const lines = numberedLines(
    options.input === 'apt-cache'
      ? (await promisify(execFile)('apt-cache', ['dumpavail'], { maxBuffer: 2 ** 30, encoding: 'buffer' })).stdout
      : readFileSync(options.input),
  );
  tell(`${lines.length} lines`);
  const topic = `lines-${randomBytes(6).toString('hex')}`;
  const cluster = new RawCluster(bootstrap, 2000);
  const configs = { 'min.insync.replicas': String(minInsyncReplicas) };
  await cluster.createTopic(topic, { partitions, replicationFactor, configs });

  const command = options.producer.replaceAll('{bootstrap}', bootstrap).replaceAll('{topic}', topic);
  const begun = performance.now();
  const child = spawn('bash', ['-c', command], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk).slice(-20_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exit = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code));
  });
  const progress = { line: 0 };
  child.stdin.on('error', () => {}); // A producer that gives up early shows by its exit code.
  const feeding = feed(child.stdin, lines, options.seconds, progress);
  const ended = Promise.race([feeding, exit]);

  const kills: LinesResult['kills'] = [];
  for (let round = 1; round <= options.kills; round++) {
    const target = (lines.length * round) / (options.kills + 1);
    while (progress.line < target && child.exitCode === null) await sleepMs(10);
    const victim = (await cluster.partitionsOf(topic)).partitions[0]?.leader ?? -1;
    if (victim < 0) throw new Error('partition 0 has no leader');
    const atLine = progress.line;
    await killBroker(options, victim);
    await waitForOtherLeader(cluster, topic, victim, options.giveUpSeconds);
    await sleepMs(1000);
    await restartBroker(options, victim);
    const restarted = performance.now();
    await cluster.waitForIsr(topic, partitions, replicationFactor, options.giveUpSeconds * 1000);
    kills.push({ victim, atLine, isrFullAgainMs: Math.round(performance.now() - restarted) });
    tell(
      `killed broker ${victim}, leader of partition 0, at line ${atLine}; in sync again ${kills.at(-1)?.isrFullAgainMs} ms after its restart`,
    );
  }
  await ended;
  const producerExitCode = await exit;
  const seconds = (performance.now() - begun) / 1000;
  tell(`the producer ended with code ${producerExitCode} after ${seconds.toFixed(1)} s`);

  async function* partitionRecords(partition: number): AsyncGenerator<{ offset: number; value: Buffer | null }> {
    for await (const piece of cluster.readPartition(topic, partition)) yield* piece;
  }
  const partitionsRead = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    records: partitionRecords(partition),
  }));
  const report = await checkLines(lines, partitionsRead, {
    isAllAcknowledged: producerExitCode === 0,
    isIdempotent: options.idempotent,
  });
  await cluster.deleteTopics([topic]);
  cluster.close();
  return { ...report, topic, producerExitCode, producerOutput: output, seconds, kills };
}

function describe(fault: LineFault): string {
  return `${fault.kind}: line ${fault.line} at ${fault.partition}:${fault.offset}`;
}

if (import.meta.main) {
  const program = new Command('lines').description(
    'pipes numbered lines through a producer while a leader is killed, reads them back, checks each',
  );
  withOut(withKills(program, 'how many', { kills: 2, giveUpSeconds: 120 }))
    .requiredOption(
      '--producer <shell>',
      'reads lines; {bootstrap} and {topic} are filled in; exit code 0 = all acknowledged',
    )
    .option('--idempotent', 'the producer is idempotent: no line may stand twice, and order must hold', false)
    .option('--seconds <n>', 'spread the input over so long', count, 40)
    .option('--input <file>', 'a text, or apt-cache for the output of apt-cache dumpavail', 'apt-cache')
    .option('--partitions <n>', 'partitions of the topic', count, 6)
    .option('--replication-factor <n>', 'replicas of each partition', count, 3)
    .option('--min-insync-replicas <n>', 'of the topic', count, 2)
    .action(async (options: LinesOptions & { out?: string }) => {
      const result = await runLines(options, console.log);
      writeOut(options, result);
      console.log(
        `${result.read} records read, ${result.distinct} of ${result.lines} lines, ${result.missing} missing, ${result.duplicates} extra copies, ${result.outOfOrder} out of order, ${result.unknown} unknown`,
      );
      for (const fault of result.faults.slice(0, 10)) console.log(`  ${describe(fault)}`);
      if (result.producerExitCode !== 0) console.log(`the producer said: ${result.producerOutput.slice(-1000)}`);
      if (result.faults.length > 0 || result.producerExitCode !== 0) process.exitCode = 1;
    });
  await program.parseAsync();
}
