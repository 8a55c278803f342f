/**
 * The broker's own keys, with Kafka's names where Kafka has one, and how a configuration is put together:
 * server.properties, then KAFKA_* and CORDWOOD_* variables, then flags, each stronger than the one before.
 * A bad or unknown key stops the start with key, value, reason and where it came from.
 */
import { ConfigError, type ConfigKey, type ConfigValue, parseConfigValue } from './config-key.ts';
import { type TopicConfigName, topicConfigKeys } from './topic-config.ts';

const unset = null;

const keysOfTheBroker = {
  'node.id': {
    name: 'node.id',
    type: 'int',
    default: 1,
    min: 0,
    doc: 'This broker’s number, unique in the cluster. broker.id is read too.',
  },
  'broker.rack': {
    name: 'broker.rack',
    type: 'string',
    default: unset as string | null,
    doc: 'Rack or zone; replicas of a partition are spread over racks.',
  },
  listeners: {
    name: 'listeners',
    type: 'list',
    default: ['PLAINTEXT://:9092'],
    doc: 'Where Kafka clients connect: NAME://host:port, several separated by commas. An empty host is every interface; port 0 is any free one.',
  },
  'advertised.listeners': {
    name: 'advertised.listeners',
    type: 'list',
    default: [] as readonly string[],
    doc: 'What clients are told to connect to, per listener name; the listeners themselves where it is empty.',
  },
  'listener.security.protocol.map': {
    name: 'listener.security.protocol.map',
    type: 'list',
    default: [] as readonly string[],
    problem: plaintextOnly,
    doc: 'Which protocol each listener name speaks: NAME:PLAINTEXT. Only PLAINTEXT is there so far.',
  },
  'cordwood.peer.listener': {
    name: 'cordwood.peer.listener',
    type: 'string',
    default: '127.0.0.1:9192',
    doc: 'host:port where other brokers connect (gRPC).',
  },
  'cordwood.peer.advertised': {
    name: 'cordwood.peer.advertised',
    type: 'string',
    default: '',
    doc: 'host:port that other brokers are told; the peer listener itself where it is empty.',
  },
  'cordwood.http.listener': {
    name: 'cordwood.http.listener',
    type: 'string',
    default: '127.0.0.1:9644',
    doc: 'host:port of /healthz and /readyz; empty for none.',
  },
  'cordwood.metadata.store': {
    name: 'cordwood.metadata.store',
    type: 'string',
    default: 'embedded',
    oneOf: ['embedded', 'etcd'],
    doc: 'embedded: this one process is the whole cluster, metadata is in its data directory. etcd: metadata and election are in etcd.',
  },
  'cordwood.etcd.endpoints': {
    name: 'cordwood.etcd.endpoints',
    type: 'list',
    default: ['http://127.0.0.1:2379'],
    doc: 'The etcd members, http://host:port, several separated by commas.',
  },
  'cordwood.cluster.name': {
    name: 'cordwood.cluster.name',
    type: 'string',
    default: 'cordwood',
    problem: clusterNameProblem,
    doc: 'The prefix of this cluster’s keys in etcd.',
  },
  'log.dirs': {
    name: 'log.dirs',
    type: 'list',
    default: ['.cordwood/broker-1'],
    doc: 'The data directory. log.dir is read too.',
  },
  'num.partitions': {
    name: 'num.partitions',
    type: 'int',
    default: 1,
    min: 1,
    doc: 'Partitions of a topic created without a number.',
  },
  'default.replication.factor': {
    name: 'default.replication.factor',
    type: 'int',
    default: 1,
    min: 1,
    max: 32767,
    doc: 'Replicas of a topic created without a number.',
  },
  'auto.create.topics.enable': {
    name: 'auto.create.topics.enable',
    type: 'boolean',
    default: true,
    doc: 'Whether asking for the metadata of an unknown topic creates it.',
  },
  'log.cleaner.enable': {
    name: 'log.cleaner.enable',
    type: 'boolean',
    default: true,
    doc: 'Whether logs of compacted topics are compacted.',
  },
  'log.cleaner.backoff.ms': {
    name: 'log.cleaner.backoff.ms',
    type: 'long',
    default: 15_000,
    min: 1,
    doc: 'How long compaction rests when no log is dirty enough, in milliseconds.',
  },
  'log.cleaner.dedupe.buffer.size': {
    name: 'log.cleaner.dedupe.buffer.size',
    type: 'long',
    default: 32 * 1024 * 1024,
    min: 1024 * 1024,
    doc: 'Most memory for the keys of one compaction, 24 bytes a key; taken while it runs.',
  },
  'delete.topic.enable': {
    name: 'delete.topic.enable',
    type: 'boolean',
    default: true,
    doc: 'Whether topics can be deleted.',
  },
  'max.request.partition.size.limit': {
    name: 'max.request.partition.size.limit',
    type: 'int',
    default: 2000,
    min: 1,
    doc: 'Most partitions in one answer of DescribeTopicPartitions.',
  },
  'message.max.bytes': {
    name: 'message.max.bytes',
    type: 'int',
    default: 1_048_588,
    min: 0,
    doc: 'Default of max.message.bytes of topics.',
  },
  'socket.request.max.bytes': {
    name: 'socket.request.max.bytes',
    type: 'int',
    default: 104_857_600,
    min: 1,
    doc: 'The largest request of a client, in bytes; a larger one closes its connection.',
  },
  'queued.max.request.bytes': {
    name: 'queued.max.request.bytes',
    type: 'long',
    default: 268_435_456,
    min: 1,
    doc: 'Bytes of requests held in memory at once; above it no more are read from clients.',
  },
  'cordwood.answer.memory.bytes': {
    name: 'cordwood.answer.memory.bytes',
    type: 'long',
    default: 268_435_456,
    min: 1,
    doc: 'Bytes of answers to fetches held in memory at once; the nearer to it, the smaller are the next answers.',
  },
  'connections.max.idle.ms': {
    name: 'connections.max.idle.ms',
    type: 'long',
    default: 600_000,
    doc: 'A client’s connection without a request for so long is closed.',
  },
  'max.connections': {
    name: 'max.connections',
    type: 'int',
    default: 2_147_483_647,
    min: 0,
    doc: 'Most client connections at once.',
  },
  'fetch.max.bytes': {
    name: 'fetch.max.bytes',
    type: 'int',
    default: 57_671_680,
    min: 1024,
    doc: 'The largest answer to a fetch, in bytes.',
  },
  'max.incremental.fetch.session.cache.slots': {
    name: 'max.incremental.fetch.session.cache.slots',
    type: 'int',
    default: 1000,
    min: 0,
    doc: 'Most fetch sessions kept at once.',
  },
  'replica.lag.time.max.ms': {
    name: 'replica.lag.time.max.ms',
    type: 'long',
    default: 10_000,
    min: 1,
    doc: 'A follower that has not caught up for so long leaves the ISR.',
  },
  'replica.fetch.max.bytes': {
    name: 'replica.fetch.max.bytes',
    type: 'int',
    default: 1_048_576,
    min: 0,
    doc: 'Bytes of one partition that one replication message carries, where batches allow.',
  },
  'auto.leader.rebalance.enable': {
    name: 'auto.leader.rebalance.enable',
    type: 'boolean',
    default: true,
    doc: 'Whether leadership goes back to preferred replicas by itself.',
  },
  'leader.imbalance.check.interval.seconds': {
    name: 'leader.imbalance.check.interval.seconds',
    type: 'long',
    default: 300,
    min: 1,
    doc: 'How often preferred leadership is looked at.',
  },
  'controlled.shutdown.enable': {
    name: 'controlled.shutdown.enable',
    type: 'boolean',
    default: true,
    doc: 'Whether a stopping broker hands its leadership on first.',
  },
  'unclean.leader.election.enable': {
    name: 'unclean.leader.election.enable',
    type: 'boolean',
    default: false,
    doc: 'Default of the topics’ key of that name.',
  },
  'producer.id.expiration.ms': {
    name: 'producer.id.expiration.ms',
    type: 'int',
    default: 86_400_000,
    min: 1,
    doc: 'A producer id without a write for so long is forgotten, in milliseconds.',
  },
  'group.initial.rebalance.delay.ms': {
    name: 'group.initial.rebalance.delay.ms',
    type: 'int',
    default: 3000,
    min: 0,
    doc: 'How long the first members of a group are waited for.',
  },
  'group.min.session.timeout.ms': {
    name: 'group.min.session.timeout.ms',
    type: 'int',
    default: 6000,
    min: 1,
    doc: 'The shortest session timeout a member of a classic group may ask for.',
  },
  'group.max.session.timeout.ms': {
    name: 'group.max.session.timeout.ms',
    type: 'int',
    default: 1_800_000,
    min: 1,
    doc: 'The longest session timeout a member of a classic group may ask for.',
  },
  'group.max.size': {
    name: 'group.max.size',
    type: 'int',
    default: 2_147_483_647,
    min: 1,
    doc: 'Most members of a classic group.',
  },
  'group.consumer.session.timeout.ms': {
    name: 'group.consumer.session.timeout.ms',
    type: 'int',
    default: 45_000,
    min: 1,
    doc: 'A member of a group of the new protocol (KIP-848) that is not heard of for so long is removed.',
  },
  'group.consumer.heartbeat.interval.ms': {
    name: 'group.consumer.heartbeat.interval.ms',
    type: 'int',
    default: 5000,
    min: 1,
    doc: 'How often members of such a group are told to send a heartbeat.',
  },
  'group.consumer.max.size': {
    name: 'group.consumer.max.size',
    type: 'int',
    default: 2_147_483_647,
    min: 1,
    doc: 'Most members of a group of the new protocol.',
  },
  'group.consumer.assignors': {
    name: 'group.consumer.assignors',
    type: 'list',
    default: ['uniform', 'range'] as readonly string[],
    problem: assignorsProblem,
    doc: 'Server-side assignors; the first is taken where no member asks for one.',
  },
  'group.consumer.migration.policy': {
    name: 'group.consumer.migration.policy',
    type: 'string',
    default: 'bidirectional',
    oneOf: ['disabled', 'downgrade', 'upgrade', 'bidirectional'],
    doc: 'Whether a group may change between the classic and the new protocol while it has members.',
  },
  'group.consumer.regex.refresh.interval.ms': {
    name: 'group.consumer.regex.refresh.interval.ms',
    type: 'int',
    default: 600_000,
    min: 10_000,
    doc: 'How often subscriptions by regular expression are evaluated again.',
  },
  'offset.metadata.max.bytes': {
    name: 'offset.metadata.max.bytes',
    type: 'int',
    default: 4096,
    min: 0,
    doc: 'Most bytes of the text that is committed with an offset.',
  },
  'offsets.commit.timeout.ms': {
    name: 'offsets.commit.timeout.ms',
    type: 'int',
    default: 5000,
    min: 1,
    doc: 'How long the coordinator waits for a commit to be on all in-sync replicas.',
  },
  'offsets.retention.minutes': {
    name: 'offsets.retention.minutes',
    type: 'int',
    default: 10_080,
    min: 1,
    doc: 'Offsets of a group without members are kept for so long.',
  },
  'offsets.retention.check.interval.ms': {
    name: 'offsets.retention.check.interval.ms',
    type: 'long',
    default: 600_000,
    min: 1,
    doc: 'How often expired offsets are looked for.',
  },
  'offsets.topic.segment.bytes': {
    name: 'offsets.topic.segment.bytes',
    type: 'int',
    default: 104_857_600,
    min: 1_048_576,
    doc: 'Segment size of __consumer_offsets.',
  },
  'offsets.topic.num.partitions': {
    name: 'offsets.topic.num.partitions',
    type: 'int',
    default: 50,
    min: 1,
    doc: 'Partitions of __consumer_offsets.',
  },
  'offsets.topic.replication.factor': {
    name: 'offsets.topic.replication.factor',
    type: 'short',
    default: 3,
    min: 1,
    doc: 'Replicas of __consumer_offsets; 1 where this one process is the whole cluster and nothing else is said.',
  },
  'transaction.state.log.num.partitions': {
    name: 'transaction.state.log.num.partitions',
    type: 'int',
    default: 50,
    min: 1,
    doc: 'Partitions of __transaction_state.',
  },
  'transaction.state.log.replication.factor': {
    name: 'transaction.state.log.replication.factor',
    type: 'short',
    default: 3,
    min: 1,
    doc: 'Replicas of __transaction_state.',
  },
  'transaction.state.log.min.isr': {
    name: 'transaction.state.log.min.isr',
    type: 'int',
    default: 2,
    min: 1,
    doc: 'min.insync.replicas of __transaction_state.',
  },
} as const satisfies Record<string, ConfigKey>;

function plaintextOnly(value: ConfigValue): string | null {
  const bad = (value as readonly string[]).find((one) => !/^[^:]+:PLAINTEXT$/i.test(one));
  return bad === undefined ? null : `${bad}: only NAME:PLAINTEXT is supported`;
}

function assignorsProblem(value: ConfigValue): string | null {
  const names = value as readonly string[];
  const bad = names.find((name) => name !== 'uniform' && name !== 'range');
  if (bad !== undefined) return `${bad}: only uniform and range are there`;
  return names.length > 0 ? null : 'at least one is needed';
}

function clusterNameProblem(value: ConfigValue): string | null {
  return /^[A-Za-z0-9._-]{1,64}$/.test(String(value)) ? null : 'must be 1 to 64 ASCII letters, digits, ".", "_" or "-"';
}

/** Broker keys that only give topics their defaults, with the type and range of the topic's key. */
function topicDefaultKeys(): Record<string, ConfigKey> {
  const table: Record<string, ConfigKey> = {};
  for (const key of Object.values(topicConfigKeys))
    for (const { name, factor } of key.brokerKeys)
      table[name] ??= {
        ...key,
        name,
        default: unset,
        doc:
          factor === 1
            ? `Default of the topics’ ${key.name}.`
            : `Default of the topics’ ${key.name}, in units of ${factor} ms.`,
      };
  return table;
}

export const brokerConfigKeys: Readonly<Record<string, ConfigKey>> = { ...topicDefaultKeys(), ...keysOfTheBroker };

type Widen<Value> = Value extends readonly string[]
  ? readonly string[]
  : Value extends string
    ? string
    : Value extends number
      ? number
      : Value extends boolean
        ? boolean
        : Value;
type BrokerValues = {
  readonly [Name in keyof typeof keysOfTheBroker]: Widen<(typeof keysOfTheBroker)[Name]['default']>;
};

/** Kafka's older or other spellings of a key. */
const aliases: Readonly<Record<string, string>> = { 'broker.id': 'node.id', 'log.dir': 'log.dirs' };

/** Keys that only Kafka's own quorum, threads or plug-ins need: accepted, without effect, with one warning. */
const withoutEffect = [
  /^process\.roles$/,
  /^controller\./,
  /^metadata\./,
  /^initial\.broker\.registration/,
  /^inter\.broker\./,
  /^num\.(network|io|replica|recovery|replica\.alter)\./,
  /^socket\.(send|receive)\.buffer\.bytes$/,
  /^socket\.listen\.backlog\.size$/,
  /^zookeeper\./,
  /^log\.cleaner\.(threads|io)/,
  /^log\.retention\.check\.interval\.ms$/,
  /^log\.flush\.(scheduler|offset|start)/,
  /^group\./,
  /^offsets\./,
  /^transaction\./,
  /^transactional\./,
  /^queued\.max\.requests$/,
  /^request\.timeout\.ms$/,
  /^replica\./,
  /^background\.threads$/,
  /^metric/,
  /^auto\.include\./,
  /^confluent\./,
  /^share\./,
  /^leader\.imbalance\.per/,
  /^broker\.(heartbeat|session)/,
  /^controlled\.shutdown\./,
  /^fetch\.purgatory/,
  /^producer\.purgatory/,
  /^delete\.records\.purgatory/,
  /^advertised\.(host|port)/,
  /^log\.dir\.failure/,
  /^log\.message\.(format|downconversion)/,
  /^early\.start/,
  /^(server|quota|replication\.quota|client\.quota)\./,
  /^remote\.log/,
  /^unstable\./,
  /^eligible\./,
  /^authorizer\.class\.name$/,
  /^create\.topic\.policy/,
  /^alter\.config\.policy/,
];

export interface BrokerConfig {
  readonly values: BrokerValues;
  /** What was set and by what text, for DescribeConfigs; keys of topics' defaults too. */
  readonly set: ReadonlyMap<string, { readonly text: string; readonly value: ConfigValue }>;
  /** One sentence per oddity that does not stop the start. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  /** The text of server.properties and its name for messages. */
  readonly file?: { readonly name: string; readonly text: string };
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly flags?: Readonly<Record<string, string>>;
}

/** `key=value` lines of a Java properties file; throws a ConfigError that names the line. */
export function parseProperties(name: string, text: string): Map<string, string> {
  const found = new Map<string, string>();
  const lines = text.split(/\r\n|[\r\n]/);
  for (let number = 0; number < lines.length; number++) {
    const start = number;
    let line = (lines[number] ?? '').trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(line) && number + 1 < lines.length)
      line = line.slice(0, -1) + (lines[++number] ?? '').trimStart();
    const match = /^((?:\\.|[^=:\s\\])+)\s*(?:[=:]\s*|\s+|$)(.*)$/.exec(line);
    if (!match) throw new ConfigError(`${name}:${start + 1}`, null, `not a key=value line: ${line}`);
    const [, key = '', value = ''] = match;
    found.set(unescapeProperty(key), unescapeProperty(value).trim());
  }
  return found;
}

const unescapeProperty = (text: string): string =>
  text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, code: string) =>
    code.length === 5
      ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
      : ({ n: '\n', t: '\t', r: '\r', f: '\f' }[code] ?? code),
  );

/** KAFKA_NUM_PARTITIONS → num.partitions; `__` stands for "-" and `___` for "_", as in Kafka's own images. */
function keyOfVariable(name: string): string | null {
  const match = /^(?:KAFKA|CORDWOOD)_([A-Z0-9_]+)$/.exec(name);
  if (!match?.[1]) return null;
  const key = match[1]
    .toLowerCase()
    .replaceAll('___', '\0')
    .replaceAll('__', '-')
    .replaceAll('_', '.')
    .replaceAll('\0', '_');
  if (Object.hasOwn(brokerConfigKeys, key) || Object.hasOwn(aliases, key)) return key;
  return Object.hasOwn(brokerConfigKeys, `cordwood.${key}`) ? `cordwood.${key}` : key;
}

/** The nearest known key to a misspelt one, or null. */
function nearest(name: string): string | null {
  let best: string | null = null;
  let distance = Math.min(4, Math.ceil(name.length / 4));
  for (const known of Object.keys(brokerConfigKeys)) {
    const apart = editDistance(name, known);
    if (apart < distance) [best, distance] = [known, apart];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Puts a configuration together; throws a ConfigError naming key, value, reason and source. */
export function loadBrokerConfig(sources: ConfigSources): BrokerConfig {
  const set = new Map<string, { text: string; value: ConfigValue }>();
  const ignored: string[] = [];
  const take = (rawName: string, text: string, source: string): void => {
    const name = aliases[rawName] ?? rawName;
    const key = brokerConfigKeys[name];
    if (!key) {
      if (withoutEffect.some((pattern) => pattern.test(name))) {
        ignored.push(name);
        return;
      }
      const guess = nearest(name);
      throw new ConfigError(rawName, text, `unknown key in ${source}${guess ? `; did you mean ${guess}?` : ''}`);
    }
    try {
      set.set(name, { text, value: parseConfigValue(key, text) });
    } catch (error) {
      throw error instanceof ConfigError ? new ConfigError(rawName, text, `${error.reason} (${source})`) : error;
    }
  };
  if (sources.file)
    for (const [name, text] of parseProperties(sources.file.name, sources.file.text))
      take(name, text, sources.file.name);
  for (const [variable, text] of Object.entries(sources.environment ?? {})) {
    const name = keyOfVariable(variable);
    if (name === null || text === undefined) continue;
    // Other programs' variables share the prefix, so an unknown one is not a mistake.
    if (Object.hasOwn(brokerConfigKeys, aliases[name] ?? name)) take(name, text, `the variable ${variable}`);
  }
  for (const [name, text] of Object.entries(sources.flags ?? {})) take(name, text, 'a flag');
  const values = Object.fromEntries(
    Object.values(keysOfTheBroker).map((key) => [key.name, set.get(key.name)?.value ?? key.default]),
  ) as unknown as BrokerValues;
  const warnings =
    ignored.length === 0 ? [] : [`these keys have no effect here: ${[...new Set(ignored)].sort().join(', ')}`];
  return { values, set, warnings };
}

/** Who gave a topic's value: 1 the topic · 4 the broker's file or flags · 5 the default (DescribeConfigs' ConfigSource). */
export interface EffectiveTopicConfig {
  readonly value: ConfigValue;
  readonly source: 1 | 4 | 5;
  /** Every place that has a value for it, the strongest first; `name` is the key there. */
  readonly synonyms: readonly { readonly name: string; readonly value: ConfigValue; readonly source: 1 | 4 | 5 }[];
}

/** A topic's value of `name` on this broker, and where it comes from. */
export function effectiveTopicConfig(
  name: TopicConfigName,
  topic: Readonly<Record<string, string>>,
  broker: BrokerConfig,
): EffectiveTopicConfig {
  const key = topicConfigKeys[name];
  const synonyms: { name: string; value: ConfigValue; source: 1 | 4 | 5 }[] = [];
  const own = topic[name];
  if (own !== undefined) synonyms.push({ name, value: parseConfigValue(key, own), source: 1 });
  for (const { name: brokerKey, factor } of key.brokerKeys) {
    const given = broker.set.get(brokerKey);
    if (given)
      synonyms.push({
        name: brokerKey,
        value: typeof given.value === 'number' && given.value >= 0 ? given.value * factor : given.value,
        source: 4,
      });
  }
  const [first] = key.brokerKeys;
  if (first && first.name !== 'log.retention.ms' && first.name !== 'log.roll.ms' && first.name !== 'log.roll.jitter.ms')
    synonyms.push({ name: first.name, value: key.default as ConfigValue, source: 5 });
  const strongest = synonyms[0] ?? { value: key.default as ConfigValue, source: 5 as const };
  return { value: strongest.value, source: strongest.source, synonyms };
}
