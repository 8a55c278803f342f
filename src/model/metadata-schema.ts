/**
 * The keys and values of the metadata store, one record a key: what is written, and where.
 * Values are compact JSON with `v`, the version of their shape. `broker/` and `controller/` never spell a key themselves.
 */
import {
  type BrokerEpoch,
  type BrokerId,
  brokerEpoch,
  brokerId,
  type LeaderEpoch,
  leaderEpoch,
  type PartitionEpoch,
  partitionEpoch,
  type TopicId,
  topicId,
} from './brands.ts';

/** Where a broker listens. `name` is the listener's name (`PLAINTEXT`, `INTERNAL`, …). */
export interface Endpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** `cluster`: written once, by whoever starts first. */
export interface ClusterRecord {
  readonly clusterId: string;
  readonly createdAtMs: number;
  readonly features: Readonly<Record<string, number>>;
}

/** `ctl/leader`, with a lease: who is the controller. Its mod revision is the controller epoch. */
export interface ControllerRecord {
  readonly brokerId: BrokerId;
  readonly incarnation: string;
  /** Where its gRPC server listens. */
  readonly endpoint: Endpoint;
}

/** fenced: leads nothing and is in no ISR · active: may do both · draining: keeps what it has, gets nothing new (KIP-841). */
export type BrokerState = 'fenced' | 'active' | 'draining';

/** `brokers/<id>`: one start of one broker. */
export interface BrokerRecord {
  readonly brokerEpoch: BrokerEpoch;
  /** Drawn at random at each start. */
  readonly incarnation: string;
  readonly state: BrokerState;
  /** For Kafka clients, one per listener. */
  readonly listeners: readonly Endpoint[];
  /** For other brokers (gRPC). */
  readonly peer: Endpoint;
  readonly rack: string | null;
  /** Directory ids of its log directories. */
  readonly directories: readonly string[];
}

/** `topics/<topicId>`. Partitions without this key do not exist. */
export interface TopicRecord {
  readonly name: string;
  readonly partitions: number;
  readonly isInternal: boolean;
  readonly createdAtMs: number;
}

/** `parts/<topicId>/<p>` (`replication-invariants` §2.4 has the rules of its change). Sets are sorted but for `replicas`, whose first is preferred. */
export interface PartitionRecord {
  /** -1 while nobody can lead. */
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: PartitionEpoch;
  readonly replicas: readonly BrokerId[];
  readonly isr: readonly BrokerId[];
  /** Eligible leader replicas: outside the ISR, known to hold everything committed (KIP-966). */
  readonly elr: readonly BrokerId[];
  readonly lastKnownElr: readonly BrokerId[];
  readonly adding: readonly BrokerId[];
  readonly removing: readonly BrokerId[];
  /** `min.insync.replicas`, here so that leader and controller change it together; capped at the replica count where it is used. */
  readonly minIsr: number;
  /** The leader epoch of the last unclean election, -1 if there was none. */
  readonly uncleanEpoch: LeaderEpoch;
}

/** `configs/<kind>/<name>`: only what was set, as text. */
export type ConfigRecord = Readonly<Record<string, string>>;
export type ConfigKind = 'topic' | 'broker' | 'group' | 'client';

export const keys = {
  cluster: 'cluster',
  controller: 'ctl/leader',
  /** Written by a controller to learn that it still is one, and to see all that was committed before (§2.1.5). */
  controllerProof: 'ctl/proof',
  nextBrokerEpoch: 'ids/brokerEpoch',
  nextProducerId: 'ids/producerId',
  broker: (id: BrokerId): string => `brokers/${id}`,
  live: (id: BrokerId): string => `live/${id}`,
  topic: (id: TopicId): string => `topics/${id}`,
  name: (name: string): string => `names/${name}`,
  partition: (id: TopicId, partition: number): string => `parts/${id}/${partition}`,
  config: (kind: ConfigKind, name: string): string => `configs/${kind}/${name}`,
};

/** One key of the store with what it holds; `value` is null where the key was deleted. */
export type MetadataEntry =
  | { kind: 'cluster'; value: ClusterRecord | null }
  | { kind: 'controller'; value: ControllerRecord | null }
  | { kind: 'nextBrokerEpoch'; value: number | null }
  | { kind: 'nextProducerId'; value: number | null }
  | { kind: 'broker'; id: BrokerId; value: BrokerRecord | null }
  | { kind: 'live'; id: BrokerId; value: { readonly incarnation: string } | null }
  | { kind: 'topic'; id: TopicId; value: TopicRecord | null }
  | { kind: 'name'; name: string; value: TopicId | null }
  | { kind: 'partition'; topicId: TopicId; partition: number; value: PartitionRecord | null }
  | { kind: 'config'; configKind: ConfigKind; name: string; value: ConfigRecord | null }
  | { kind: 'unknown'; key: string };

const currentShape = 1;
/** The text of a record; bare numbers and ids (counters, names) are wrapped the same way. */
export const encodeValue = (record: object | number | string): string =>
  JSON.stringify(typeof record === 'object' ? { v: currentShape, ...record } : { v: currentShape, value: record });

/** A value of the store that cannot be read: another version's, or damaged. The broker must not go on with a guess. */
export class MetadataFormatError extends Error {
  override name = 'MetadataFormatError';
}

function decodeValue(key: string, text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new MetadataFormatError(`the value of ${key} is not JSON`);
  }
  if (typeof parsed !== 'object' || parsed === null || !('v' in parsed))
    throw new MetadataFormatError(`the value of ${key} has no version`);
  const { v, ...record } = parsed as Record<string, unknown>;
  if (v !== currentShape)
    throw new MetadataFormatError(`the value of ${key} has version ${String(v)}; this broker reads ${currentShape}`);
  return record;
}

/** The entry of one key, as read from the store or seen by a watch. */
export function decodeEntry(key: string, text: string | null): MetadataEntry {
  const record = <Shape>(): Shape | null => (text === null ? null : (decodeValue(key, text) as Shape));
  const plain = <Value>(): Value | null =>
    text === null ? null : ((decodeValue(key, text) as { value: Value }).value ?? null);
  const parts = key.split('/');
  const [head = '', second = '', third = ''] = parts;
  if (key === keys.cluster) return { kind: 'cluster', value: record<ClusterRecord>() };
  if (key === keys.controller) return { kind: 'controller', value: record<ControllerRecord>() };
  if (key === keys.nextBrokerEpoch) return { kind: 'nextBrokerEpoch', value: plain<number>() };
  if (key === keys.nextProducerId) return { kind: 'nextProducerId', value: plain<number>() };
  if (head === 'brokers') return { kind: 'broker', id: brokerId(Number(second)), value: record<BrokerRecord>() };
  if (head === 'live') return { kind: 'live', id: brokerId(Number(second)), value: record<{ incarnation: string }>() };
  if (head === 'topics') return { kind: 'topic', id: topicId(second), value: record<TopicRecord>() };
  if (head === 'names') return { kind: 'name', name: key.slice('names/'.length), value: plain<TopicId>() };
  if (head === 'parts')
    return { kind: 'partition', topicId: topicId(second), partition: Number(third), value: record<PartitionRecord>() };
  if (head === 'configs')
    return {
      kind: 'config',
      configKind: second as ConfigKind,
      name: key.slice(head.length + second.length + 2),
      value: record<ConfigRecord>(),
    };
  return { kind: 'unknown', key };
}

/** The first record of a new partition: every assigned replica is in sync, the first of them leads. */
export function newPartitionRecord(
  replicas: readonly BrokerId[],
  isr: readonly BrokerId[],
  leader: BrokerId,
  minIsr: number,
): PartitionRecord {
  return {
    leader,
    leaderEpoch: leaderEpoch(0),
    partitionEpoch: partitionEpoch(0),
    replicas,
    isr,
    elr: [],
    lastKnownElr: [],
    adding: [],
    removing: [],
    minIsr,
    uncleanEpoch: leaderEpoch(-1),
  };
}

export const brokerEpochOf = (record: BrokerRecord | undefined): BrokerEpoch => record?.brokerEpoch ?? brokerEpoch(-1);
