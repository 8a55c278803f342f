/**
 * Numbers and ids that must not be mixed up: a branded type each, made only by a constructor that checks.
 * Offsets count records and positions count bytes; both stay far below 2^53, so a JavaScript number holds them.
 */
declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A record's place in a partition, 0 and up. End offsets, high watermark and last stable offset are exclusive. */
export type Offset = Brand<number, 'Offset'>;
/** Grows by one with each change of a partition's leader; -1 where none is known. */
export type LeaderEpoch = Brand<number, 'LeaderEpoch'>;
/** Grows by one with each change of a partition's record. */
export type PartitionEpoch = Brand<number, 'PartitionEpoch'>;
/** Grows with each start of a broker, over the whole cluster. */
export type BrokerEpoch = Brand<number, 'BrokerEpoch'>;
/** `node.id`, 0 and up; -1 means none. */
export type BrokerId = Brand<number, 'BrokerId'>;
/** An idempotent or transactional producer's id; never 0 (some clients read 0 as none), -1 means none. */
export type ProducerId = Brand<number, 'ProducerId'>;
/** A revision of the metadata store (etcd's `revision`): one number for the order of all changes. */
export type Revision = Brand<number, 'Revision'>;
/** 16 bytes as 22 characters of base64url without padding (Kafka's `Uuid` text form). */
export type TopicId = Brand<string, 'TopicId'>;

function integer(name: string, value: number | bigint, lowest: number): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < lowest) throw new RangeError(`${name} out of range: ${value}`);
  return number;
}

export const offset = (value: number | bigint): Offset => integer('offset', value, 0) as Offset;
export const leaderEpoch = (value: number): LeaderEpoch => integer('leader epoch', value, -1) as LeaderEpoch;
export const partitionEpoch = (value: number): PartitionEpoch => integer('partition epoch', value, 0) as PartitionEpoch;
export const brokerEpoch = (value: number | bigint): BrokerEpoch => integer('broker epoch', value, -1) as BrokerEpoch;
export const brokerId = (value: number): BrokerId => integer('broker id', value, -1) as BrokerId;
export const producerId = (value: number | bigint): ProducerId => integer('producer id', value, -1) as ProducerId;
export const revision = (value: number | bigint): Revision => integer('revision', value, 0) as Revision;

const topicIdText = /^[A-Za-z0-9_-]{22}$/;
export function topicId(text: string): TopicId {
  if (!topicIdText.test(text)) throw new RangeError(`not a topic id: ${text}`);
  return text as TopicId;
}

export const noBroker = -1 as BrokerId;
export const noBrokerEpoch = -1 as BrokerEpoch;
export const noLeaderEpoch = -1 as LeaderEpoch;
export const noRevision = 0 as Revision;
export const noProducerId = -1 as ProducerId;
export const offsetZero = 0 as Offset;

/** `offset` moved by a count of records. */
export const offsetAfter = (from: Offset, records: number): Offset => offset(from + records);
export const earlier = (a: Offset, b: Offset): Offset => (a < b ? a : b);
export const later = (a: Offset, b: Offset): Offset => (a > b ? a : b);
export const nextLeaderEpoch = (epoch: LeaderEpoch): LeaderEpoch => leaderEpoch(epoch + 1);
export const nextPartitionEpoch = (epoch: PartitionEpoch): PartitionEpoch => partitionEpoch(epoch + 1);
