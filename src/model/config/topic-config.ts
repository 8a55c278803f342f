/**
 * What can be set on a topic, and which broker key gives its default (Kafka's names, defaults and ranges).
 * A topic's value is: what was set on it, else the broker's key if that was set, else the default here.
 */
import { type ConfigKey, type ConfigValue, parseConfigValue } from './config-key.ts';

export interface TopicConfigKey<Value extends ConfigValue = ConfigValue> extends ConfigKey<Value> {
  /** Broker keys that stand for it, the strongest first; `hours` and `minutes` forms are converted by their factor. */
  readonly brokerKeys: readonly { readonly name: string; readonly factor: number }[];
}

const max = Number.MAX_SAFE_INTEGER;
const day = 86_400_000;
const from = (...names: (string | readonly [string, number])[]): TopicConfigKey['brokerKeys'] =>
  names.map((name) => (typeof name === 'string' ? { name, factor: 1 } : { name: name[0], factor: name[1] }));
const noValue = -1;

const throttledReplicas = (value: ConfigValue): string | null =>
  Array.isArray(value) &&
  (value.length === 0 ||
    (value.length === 1 && value[0] === '*') ||
    value.every((one: string) => /^\d+:\d+$/.test(one)))
    ? null
    : 'must be *, or a list of partition:broker';

export const topicConfigKeys = {
  'cleanup.policy': {
    name: 'cleanup.policy',
    type: 'list',
    default: ['delete'],
    oneOf: ['delete', 'compact'],
    brokerKeys: from('log.cleanup.policy'),
    doc: 'delete: old segments go when retention is over. compact: the last value of each key is kept. Both can be given.',
  },
  'compression.type': {
    name: 'compression.type',
    type: 'string',
    default: 'producer',
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    brokerKeys: from('compression.type'),
    doc: 'The codec that batches are stored in; producer keeps what each was sent in.',
  },
  'compression.gzip.level': {
    name: 'compression.gzip.level',
    type: 'int',
    default: -1,
    min: -1,
    max: 9,
    brokerKeys: from('compression.gzip.level'),
    doc: 'The gzip level where compression.type is gzip.',
  },
  'compression.lz4.level': {
    name: 'compression.lz4.level',
    type: 'int',
    default: 9,
    min: 1,
    max: 17,
    brokerKeys: from('compression.lz4.level'),
    doc: 'The lz4 level where compression.type is lz4.',
  },
  'compression.zstd.level': {
    name: 'compression.zstd.level',
    type: 'int',
    default: 3,
    min: -131072,
    max: 22,
    brokerKeys: from('compression.zstd.level'),
    doc: 'The zstd level where compression.type is zstd.',
  },
  'delete.retention.ms': {
    name: 'delete.retention.ms',
    type: 'long',
    default: day,
    min: 0,
    brokerKeys: from('log.cleaner.delete.retention.ms'),
    doc: 'How long tombstones of a compacted topic stay after their first cleaning, in milliseconds.',
  },
  'file.delete.delay.ms': {
    name: 'file.delete.delay.ms',
    type: 'long',
    default: 60_000,
    min: 0,
    brokerKeys: from('log.segment.delete.delay.ms'),
    doc: 'How long a deleted file stays on disk under another name, in milliseconds.',
  },
  'flush.messages': {
    name: 'flush.messages',
    type: 'long',
    default: max,
    min: 1,
    brokerKeys: from('log.flush.interval.messages'),
    doc: 'Flush to disk after so many records; 1 makes each acknowledged record survive a power cut.',
  },
  'flush.ms': {
    name: 'flush.ms',
    type: 'long',
    default: max,
    min: 0,
    brokerKeys: from('log.flush.interval.ms'),
    doc: 'Flush to disk at least this often, in milliseconds.',
  },
  'follower.replication.throttled.replicas': {
    name: 'follower.replication.throttled.replicas',
    type: 'list',
    default: [],
    problem: throttledReplicas,
    brokerKeys: [],
    doc: 'Replicas whose copying is slowed down on the follower: partition:broker pairs, or *.',
  },
  'index.interval.bytes': {
    name: 'index.interval.bytes',
    type: 'int',
    default: 4096,
    min: 0,
    brokerKeys: from('log.index.interval.bytes'),
    doc: 'Bytes of log between two index entries.',
  },
  'leader.replication.throttled.replicas': {
    name: 'leader.replication.throttled.replicas',
    type: 'list',
    default: [],
    problem: throttledReplicas,
    brokerKeys: [],
    doc: 'Replicas whose copying is slowed down on the leader: partition:broker pairs, or *.',
  },
  'local.retention.bytes': {
    name: 'local.retention.bytes',
    type: 'long',
    default: -2,
    min: -2,
    brokerKeys: from('log.local.retention.bytes'),
    doc: 'Bytes kept on the local disk of a tiered topic; -2 means retention.bytes.',
  },
  'local.retention.ms': {
    name: 'local.retention.ms',
    type: 'long',
    default: -2,
    min: -2,
    brokerKeys: from('log.local.retention.ms'),
    doc: 'Milliseconds kept on the local disk of a tiered topic; -2 means retention.ms.',
  },
  'max.compaction.lag.ms': {
    name: 'max.compaction.lag.ms',
    type: 'long',
    default: max,
    min: 1,
    brokerKeys: from('log.cleaner.max.compaction.lag.ms'),
    doc: 'The longest a record of a compacted topic stays uncompacted, in milliseconds.',
  },
  'max.message.bytes': {
    name: 'max.message.bytes',
    type: 'int',
    default: 1_048_588,
    min: 0,
    brokerKeys: from('message.max.bytes'),
    doc: 'The largest record batch accepted, in bytes.',
  },
  'message.timestamp.after.max.ms': {
    name: 'message.timestamp.after.max.ms',
    type: 'long',
    default: 3_600_000,
    min: 0,
    brokerKeys: from('log.message.timestamp.after.max.ms'),
    doc: 'How far ahead of the broker’s clock a record’s timestamp may be, in milliseconds.',
  },
  'message.timestamp.before.max.ms': {
    name: 'message.timestamp.before.max.ms',
    type: 'long',
    default: max,
    min: 0,
    brokerKeys: from('log.message.timestamp.before.max.ms'),
    doc: 'How far behind the broker’s clock a record’s timestamp may be, in milliseconds.',
  },
  'message.timestamp.type': {
    name: 'message.timestamp.type',
    type: 'string',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    brokerKeys: from('log.message.timestamp.type'),
    doc: 'CreateTime keeps the producer’s timestamps, LogAppendTime writes the broker’s.',
  },
  'min.cleanable.dirty.ratio': {
    name: 'min.cleanable.dirty.ratio',
    type: 'double',
    default: 0.5,
    min: 0,
    max: 1,
    brokerKeys: from('log.cleaner.min.cleanable.ratio'),
    doc: 'The share of uncompacted log at which compaction starts.',
  },
  'min.compaction.lag.ms': {
    name: 'min.compaction.lag.ms',
    type: 'long',
    default: 0,
    min: 0,
    brokerKeys: from('log.cleaner.min.compaction.lag.ms'),
    doc: 'The shortest a record of a compacted topic stays uncompacted, in milliseconds.',
  },
  'min.insync.replicas': {
    name: 'min.insync.replicas',
    type: 'int',
    default: 1,
    min: 1,
    brokerKeys: from('min.insync.replicas'),
    doc: 'acks=all is accepted while at least so many replicas are in sync.',
  },
  preallocate: {
    name: 'preallocate',
    type: 'boolean',
    default: false,
    brokerKeys: from('log.preallocate'),
    doc: 'Accepted for compatibility; files are never preallocated.',
  },
  'remote.storage.enable': {
    name: 'remote.storage.enable',
    type: 'boolean',
    default: false,
    problem: (value: ConfigValue) => (value === true ? 'tiered storage is not available' : null),
    brokerKeys: [],
    doc: 'Tiered storage; only false is accepted.',
  },
  'retention.bytes': {
    name: 'retention.bytes',
    type: 'long',
    default: noValue,
    min: -1,
    brokerKeys: from('log.retention.bytes'),
    doc: 'Bytes of log kept per partition; -1 for no limit.',
  },
  'retention.ms': {
    name: 'retention.ms',
    type: 'long',
    default: 7 * day,
    min: -1,
    brokerKeys: from('log.retention.ms', ['log.retention.minutes', 60_000], ['log.retention.hours', 3_600_000]),
    doc: 'Milliseconds that records are kept; -1 for ever.',
  },
  'segment.bytes': {
    name: 'segment.bytes',
    type: 'int',
    default: 1_073_741_824,
    min: 1_048_576,
    brokerKeys: from('log.segment.bytes'),
    doc: 'The size of a segment file, in bytes.',
  },
  'segment.index.bytes': {
    name: 'segment.index.bytes',
    type: 'int',
    default: 10_485_760,
    min: 4,
    brokerKeys: from('log.index.size.max.bytes'),
    doc: 'The largest size of an index file, in bytes.',
  },
  'segment.jitter.ms': {
    name: 'segment.jitter.ms',
    type: 'long',
    default: 0,
    min: 0,
    brokerKeys: from('log.roll.jitter.ms', ['log.roll.jitter.hours', 3_600_000]),
    doc: 'At most so many milliseconds are taken off segment.ms, so that segments do not roll all at once.',
  },
  'segment.ms': {
    name: 'segment.ms',
    type: 'long',
    default: 7 * day,
    min: 1,
    brokerKeys: from('log.roll.ms', ['log.roll.hours', 3_600_000]),
    doc: 'A segment is closed after so many milliseconds although it is not full.',
  },
  'unclean.leader.election.enable': {
    name: 'unclean.leader.election.enable',
    type: 'boolean',
    default: false,
    brokerKeys: from('unclean.leader.election.enable'),
    doc: 'Whether a replica that may lack acknowledged records can be elected when no complete one is left.',
  },
} as const satisfies Record<string, TopicConfigKey>;

export type TopicConfigName = keyof typeof topicConfigKeys;

export const isTopicConfigName = (name: string): name is TopicConfigName => Object.hasOwn(topicConfigKeys, name);

/** Why `configs` cannot be set on a topic: the first problem, or null. Unknown keys are refused (INVALID_CONFIG). */
export function topicConfigProblem(configs: Readonly<Record<string, string | null>>): string | null {
  for (const [name, text] of Object.entries(configs)) {
    if (!isTopicConfigName(name)) return `Unknown topic config name: ${name}`;
    if (text === null) return `Null value not supported for topic configs: ${name}`;
    try {
      parseConfigValue(topicConfigKeys[name], text);
    } catch (error) {
      return (error as Error).message;
    }
  }
  return null;
}
