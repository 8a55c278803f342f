/**
 * Which commands and options are there? Only their description: each command's code, and the Kafka client that most of
 * them need, is loaded when it runs, so that `dev` and `--help` start at once.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { isLogLevel, type LogLevel, logLevels } from '../env/node/log-level.ts';
import { exitCode } from './exit-code.ts';

function integer(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < lowest || value > highest)
      throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
    return value;
  };
}

type Pairs = readonly (readonly [name: string, value: string])[];

/** `name=value`, again and again; the value may hold further equals signs. */
function pair(text: string, before: Pairs): Pairs {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be name=value.');
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}

function partitionList(text: string, before: readonly number[]): readonly number[] {
  return [...before, ...text.split(',').map(integer(0, 2 ** 31 - 1))];
}

const repeated = (text: string, before: readonly string[]): readonly string[] => [...before, text];

const groupStates = [
  'Empty',
  'Stable',
  'PreparingRebalance',
  'CompletingRebalance',
  'Assigning',
  'Reconciling',
  'Dead',
];
const groupTypes = ['classic', 'consumer'];

/** Comma-separated names in any case, again and again. */
const listOf =
  (known: readonly string[]) =>
  (text: string, before: readonly string[]): readonly string[] => {
    const names = text.split(',');
    for (const name of names)
      if (!known.some((one) => one.toLowerCase() === name.toLowerCase()))
        throw new InvalidArgumentError(`It must be of ${known.join(', ')}.`);
    return [...before, ...names];
  };

function logLevel(text: string): LogLevel {
  if (!isLogLevel(text)) throw new InvalidArgumentError(`It must be one of ${logLevels.join(', ')}.`);
  return text;
}

const port = integer(0, 65_535);
const highest = 2 ** 31 - 1;

const bootstrapOption = (): Option =>
  new Option('-b, --bootstrap <host:port,...>', 'brokers to begin with')
    .env('CORDWOOD_BOOTSTRAP')
    .default('localhost:9092,localhost:9093,localhost:9094');
const jsonOption = (): Option => new Option('--json', 'JSON on standard output instead of text').default(false);
const setOption = (): Option =>
  new Option('-s, --set <key=value>', 'a broker configuration key; repeat for more')
    .argParser(pair)
    .default([], 'none');
const logLevelOption = (level: LogLevel): Option =>
  new Option('--log-level <level>', logLevels.join(', ')).argParser(logLevel).default(level);

const exitCodesHelp = `
Exit codes:
  0 done · 1 refused or failed · 2 wrong usage · 3 no broker or cluster answers
  4 produce: only a part was acknowledged · 130 interrupted`;

export function buildProgram(version: string): Command {
  const program = new Command('cordwood')
    .description('A replicated, Kafka-compatible log broker.')
    .version(version)
    .showHelpAfterError('(cordwood --help shows what there is)')
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      `
Examples:
  cordwood dev                                     three brokers in this process, ports 9092 to 9094
  cordwood topic create orders -p 6 -r 3
  tail -f app.log | cordwood produce orders
  cordwood consume orders --offset -10 --exit-at-end
  cordwood broker kill 1                           and see what your application does
${exitCodesHelp}`,
    );
  addDev(program, version);
  addStart(program, version);
  addTopic(program);
  addProduce(program);
  addConsume(program);
  addGroup(program);
  addCluster(program);
  addBroker(program);
  exitWithUsage(program);
  return program;
}

/** commander ends with 1 on a wrong command line; here that means something else. */
function exitWithUsage(command: Command): void {
  command.exitOverride((error) => {
    process.exit(error.exitCode === 0 ? exitCode.ok : exitCode.usage);
  });
  for (const child of command.commands) exitWithUsage(child);
}

function addDev(program: Command, version: string): void {
  program
    .command('dev')
    .description('run a cluster in this process, for development and tests')
    .option('--brokers <n>', 'how many brokers', integer(1, 32), 3)
    .option('--data <directory>', 'where the data is kept', '.cordwood')
    .option('--host <name>', 'where the brokers listen and what they advertise', '127.0.0.1')
    .option('--port <port>', 'of the first broker, the others follow; 0 for any', port, 9092)
    .option('--http-port <port>', 'for health and the control of brokers; 0 for any', port, 9644)
    .addOption(setOption())
    .addOption(logLevelOption('warn'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Ctrl-C stops the cluster in an orderly way, a second one at once. The data stays and is used again.

Examples:
  cordwood dev
  cordwood dev --brokers 1 --data /tmp/one --port 19092
  cordwood dev -s min.insync.replicas=2 -s auto.create.topics.enable=false`,
    )
    .action(async (options) => {
      const { runDev } = await import('./dev-command.ts');
      await runDev(options, version);
    });
}

function addStart(program: Command, version: string): void {
  program
    .command('start')
    .description('run one broker of a cluster')
    .option('-c, --config <file>', 'server.properties, with Kafka’s names')
    .addOption(setOption())
    .addOption(logLevelOption('info'))
    .addHelpText(
      'after',
      `
Where a key is set, the later wins: the file, KAFKA_* and CORDWOOD_* variables, --set. It logs JSON lines to standard
output. SIGTERM hands leadership on and stops; a second one stops at once.

Examples:
  cordwood start --config server.properties
  CORDWOOD_NODE_ID=2 cordwood start -c server.properties -s broker.rack=b`,
    )
    .action(async (options) => {
      const { runStart } = await import('./start-command.ts');
      await runStart(options, version);
    });
}

const adminCommand = (parent: Command, usage: string, description: string): Command =>
  parent.command(usage).description(description).addOption(bootstrapOption()).addOption(jsonOption());

function addTopic(program: Command): void {
  const topic = program.command('topic').description('create, list, describe, delete and grow topics');
  adminCommand(topic, 'create <names...>', 'create topics')
    .option('-p, --partitions <n>', 'how many; the brokers’ num.partitions without it', integer(1, highest), -1)
    .option('-r, --replicas <n>', 'how many; the brokers’ default.replication.factor without it', integer(1, 32), -1)
    .addOption(new Option('-c, --config <key=value>', 'a topic configuration key').argParser(pair).default([], 'none'))
    .option('--if-not-exists', 'one that is there already is no error', false)
    .addHelpText(
      'after',
      `
Examples:
  cordwood topic create orders -p 6 -r 3 -c min.insync.replicas=2
  cordwood topic create a b c --if-not-exists`,
    )
    .action(async (names, options) => {
      const { createTopics } = await import('./topic-commands.ts');
      await createTopics(names, options);
    });
  adminCommand(topic, 'list', 'list topics')
    .option('-a, --all', 'internal ones too', false)
    .action(async (options) => {
      const { listTopics } = await import('./topic-commands.ts');
      await listTopics(options.all, options);
    });
  adminCommand(topic, 'describe <names...>', 'partitions, leaders, replicas, offsets and configuration').action(
    async (names, options) => {
      const { describeTopics } = await import('./topic-commands.ts');
      await describeTopics(names, options);
    },
  );
  adminCommand(topic, 'delete <names...>', 'delete topics and their records').action(async (names, options) => {
    const { deleteTopics } = await import('./topic-commands.ts');
    await deleteTopics(names, options);
  });
  adminCommand(topic, 'add-partitions <name>', 'add partitions; keys may go to other ones from then on')
    .requiredOption('-n, --number <n>', 'how many to add', integer(1, highest))
    .action(async (name, options) => {
      const { addPartitions } = await import('./topic-commands.ts');
      await addPartitions(name, options.number, options);
    });
}

function addProduce(program: Command): void {
  program
    .command('produce <topic>')
    .description('write lines of standard input as records')
    .addOption(bootstrapOption())
    .option('-k, --key-separator <text>', 'what stands between key and value in a line')
    .option('-p, --partition <n>', 'all to this partition', integer(0, highest))
    .addOption(new Option('-a, --acks <n>', 'whose word counts').choices(['0', '1', 'all']).default('all'))
    .addOption(
      new Option('-z, --compression <codec>', 'of batches')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .option('--no-idempotent', 'do without a producer id (there is none with acks 0 and 1)')
    .addOption(new Option('-H, --header <name=value>', 'on every record').argParser(pair).default([], 'none'))
    .option('--batch-bytes <n>', 'the most in one batch', integer(1, 64 * 1024 * 1024), 512 * 1024)
    .option('--delivery-timeout-ms <n>', 'until a batch is given up', integer(1, highest), 120_000)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Every line is a record; an empty line is an empty one. Lines keep their order within a partition. With acks all (the
default) the producer is idempotent: a line that had to be sent again does not stand twice. Keys decide the partition
as in Kafka's own client. How many were acknowledged is on standard error, or as JSON on standard output.

Examples:
  echo hello | cordwood produce greetings
  cordwood produce users -k : < users.txt          "42:Ada" has key 42 and value Ada
  apt-cache dumpavail | cordwood produce packages -z zstd --json`,
    )
    .action(async (topic, options) => {
      const { runProduce } = await import('./produce/produce-command.ts');
      await runProduce(topic, options);
    });
}

function addConsume(program: Command): void {
  program
    .command('consume <topics...>')
    .description('read records by partition and offset, or as a member of a group')
    .addOption(bootstrapOption())
    .option('-g, --group <name>', 'as a member of this group: it assigns the partitions and keeps the offsets')
    .addOption(new Option('-p, --partition <n,...>', 'only these').argParser(partitionList).default([], 'all'))
    .option('-o, --offset <where>', 'earliest, latest, N, -N (the last N each) or @ms (a time)', 'earliest')
    .option('-n, --count <n>', 'end after so many records', integer(1, highest))
    .option('-e, --exit-at-end', 'end where the log ends now', false)
    .option('-f, --format <text>', 'how a record is printed', '%v\\n')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Format: %k key · %v value · %t topic · %p partition · %o offset · %T timestamp in ms · %h headers · %% · \\n \\t \\0
With --json: one object per line; bytes that are not UTF-8 as {"base64": …}. Records keep their order within a
partition.

With --group, reading goes on where the group has come to; --offset (earliest or latest, by default earliest) counts
only where it has no offset yet, or one that the log no longer has. How far it came is committed each second, before
partitions go to another member, and at the end, always after the records were written: none is left out, and after a
crash some may come again. With --exit-at-end it ends when every partition that the group assigned to this member has
been read to where it ended when it was assigned; at once if there is none. Ctrl-C commits and leaves the group.

Examples:
  cordwood consume orders -e
  cordwood consume orders payments -g billing
  cordwood consume orders -p 0 -o 1000 -n 10 -f '%p/%o %k = %v\\n'
  cordwood consume orders -o @1767225600000 --json | jq .value`,
    )
    .action(async (topics, options) => {
      const { runConsume } = await import('./consume/consume-command.ts');
      await runConsume(topics, options);
    });
}

function addGroup(program: Command): void {
  const group = program.command('group').description('list, describe, move and delete consumer groups');
  adminCommand(group, 'list', 'list groups')
    .option('--state <name,...>', 'only in these: Stable, Empty, PreparingRebalance, …', listOf(groupStates), [])
    .option('--type <name,...>', 'only of these: classic, consumer (KIP-848)', listOf(groupTypes), [])
    .addHelpText(
      'after',
      `
Examples:
  cordwood group list
  cordwood group list --state empty,dead --json | jq -r '.[].group'`,
    )
    .action(async (options) => {
      const { listGroups } = await import('./group/group-commands.ts');
      await listGroups(options);
    });
  adminCommand(group, 'describe <groups...>', 'state, members, and per partition: offset, lag and who reads it')
    .addHelpText(
      'after',
      `
The lag of a partition is its log end less the committed offset; records that retention has deleted since count too.

Examples:
  cordwood group describe billing
  cordwood group describe billing --json | jq '.[0].partitions[] | select(.lag > 1000)'`,
    )
    .action(async (groups, options) => {
      const { describeGroups } = await import('./group/group-commands.ts');
      await describeGroups(groups, options);
    });
  adminCommand(group, 'seek <group>', 'commit other offsets for a group that nobody is in')
    .option('--to-earliest', 'to the start of the log')
    .option('--to-latest', 'to the end of the log')
    .option('--to-offset <n>', 'to this offset', integer(0, Number.MAX_SAFE_INTEGER))
    .option('--to-datetime <time>', 'to the first record at or after this time (ISO 8601; UTC unless it says)')
    .option('--shift-by <n>', 'so many records on, or back', integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER))
    .option('--to-current', 'to where it is: commits anew, so that it does not expire')
    .option('-t, --topic <topic[:0,1,...]>', 'only these partitions; repeat for more', repeated, [])
    .option('--dry-run', 'show what would be done, and do nothing', false)
    .addHelpText(
      'after',
      `
Exactly one of --to-… and --shift-by is given. Without --topic: every topic that the group has offsets for. An offset
outside of the log becomes its start or its end, with a note.

Examples:
  cordwood group seek billing --to-earliest --dry-run
  cordwood group seek billing --to-datetime 2026-01-31T12:00+01:00 -t orders -t payments:0,1
  cordwood group seek billing --shift-by -100`,
    )
    .action(async (name, options) => {
      const { seekGroup } = await import('./group/seek-command.ts');
      await seekGroup(name, options);
    });
  adminCommand(group, 'delete <groups...>', 'delete groups that nobody is in, and their offsets').action(
    async (groups, options) => {
      const { deleteGroups } = await import('./group/group-commands.ts');
      await deleteGroups(groups, options);
    },
  );
  adminCommand(group, 'offset-delete <group> <topics...>', 'delete offsets of topics that the group does not read')
    .addHelpText(
      'after',
      `
Examples:
  cordwood group offset-delete billing old-orders
  cordwood group offset-delete billing orders:0,3`,
    )
    .action(async (name, topics, options) => {
      const { deleteOffsets } = await import('./group/group-commands.ts');
      await deleteOffsets(name, topics, options);
    });
}

function addCluster(program: Command): void {
  const cluster = program.command('cluster').description('the cluster as a whole');
  adminCommand(cluster, 'status', 'brokers, and how many partitions lack replicas or a leader').action(
    async (options) => {
      const { showClusterStatus } = await import('./topic-commands.ts');
      await showClusterStatus(options);
    },
  );
}

function addBroker(program: Command): void {
  const broker = program.command('broker').description('stop, kill and start brokers of a running `cordwood dev`');
  const descriptions = {
    stop: 'hand leadership on, then stop',
    kill: 'stop as a crash would',
    start: 'start again on the same data',
  } as const;
  for (const action of ['stop', 'kill', 'start'] as const)
    broker
      .command(`${action} <id>`)
      .description(descriptions[action])
      .addOption(
        new Option('--control <url>', 'of the development cluster')
          .env('CORDWOOD_CONTROL')
          .default('http://127.0.0.1:9644'),
      )
      .addOption(jsonOption())
      .action(async (id, options) => {
        const { controlBroker } = await import('./broker-commands.ts');
        await controlBroker(action, integer(0, highest)(id), options);
      });
}
