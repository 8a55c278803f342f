/**
 * Which requests does the raw client know, and what do their answers mean? One fixed version of each, chosen inside the
 * range that Apache Kafka 4.x and we both serve: the last one before flexible encoding where that is enough, Produce 9
 * and Fetch 12 (by topic name, flexible) for the data path. Fields as in Kafka's message definitions.
 */
import { KafkaReader, KafkaWriter } from './kafka-bytes.ts';

const clientId = 'cordwood-raw';

/** Kafka's error codes that the raw client acts upon. */
export const errorCode = {
  none: 0,
  offsetOutOfRange: 1,
  topicAlreadyExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
} as const;

function frame(apiKey: number, version: number, isFlexible: boolean, correlationId: number): KafkaWriter {
  const writer = new KafkaWriter().int32(0).int16(apiKey).int16(version).int32(correlationId).string(clientId);
  return isFlexible ? writer.noTags() : writer;
}

function sealed(writer: KafkaWriter): Buffer {
  const bytes = Buffer.from(writer.bytes());
  bytes.writeInt32BE(bytes.length - 4, 0);
  return bytes;
}

const afterHeader = (answer: Buffer): KafkaReader => new KafkaReader(answer, 4);
const afterFlexibleHeader = (answer: Buffer): KafkaReader => {
  const reader = new KafkaReader(answer, 4);
  reader.skipTags();
  return reader;
};

export interface BrokerAddress {
  id: number;
  host: string;
  port: number;
}

export interface PartitionMetadata {
  error: number;
  partition: number;
  leader: number;
  leaderEpoch: number;
  replicas: number[];
  isr: number[];
}

export interface ClusterMetadata {
  brokers: BrokerAddress[];
  controllerId: number;
  topics: { error: number; name: string; partitions: PartitionMetadata[] }[];
}

/** Metadata 8 for `topics`, without creating them; an empty list asks for brokers only. */
export function encodeMetadata(topics: readonly string[]): Buffer {
  const writer = frame(3, 8, false, 1).array(topics, (name, to) => to.string(name));
  return sealed(writer.boolean(false).boolean(false).boolean(false));
}

export function decodeMetadata(answer: Buffer): ClusterMetadata {
  const reader = afterHeader(answer);
  reader.int32();
  const brokers = reader.array(() => {
    const broker = { id: reader.int32(), host: reader.string(), port: reader.int32() };
    reader.nullableString();
    return broker;
  });
  reader.nullableString();
  const controllerId = reader.int32();
  const topics = reader.array(() => {
    const error = reader.int16();
    const name = reader.string();
    reader.boolean();
    const partitions = reader.array(() => {
      const partition = {
        error: reader.int16(),
        partition: reader.int32(),
        leader: reader.int32(),
        leaderEpoch: reader.int32(),
        replicas: reader.array(() => reader.int32()),
        isr: reader.array(() => reader.int32()),
      };
      reader.array(() => reader.int32());
      return partition;
    });
    reader.int32();
    return { error, name, partitions: partitions.sort((a, b) => a.partition - b.partition) };
  });
  return { brokers, controllerId, topics };
}

/** CreateTopics 4. */
export function encodeCreateTopic(
  name: string,
  partitions: number,
  replicationFactor: number,
  configs: Readonly<Record<string, string>>,
): Buffer {
  const writer = frame(19, 4, false, 1).int32(1).string(name).int32(partitions).int16(replicationFactor).int32(0);
  writer.array(Object.entries(configs), ([key, value], to) => to.string(key).string(value));
  return sealed(writer.int32(30_000).boolean(false));
}

export function decodeCreateTopic(answer: Buffer): { error: number; message: string | null } {
  const reader = afterHeader(answer);
  reader.int32();
  const [first] = reader.array(() => {
    reader.string();
    return { error: reader.int16(), message: reader.nullableString() };
  });
  if (first === undefined) throw new Error('CreateTopics answered for no topic');
  return first;
}

/** DeleteTopics 3. */
export function encodeDeleteTopics(names: readonly string[]): Buffer {
  const writer = frame(20, 3, false, 1).array(names, (name, to) => to.string(name));
  return sealed(writer.int32(30_000));
}

export function decodeDeleteTopics(answer: Buffer): { name: string; error: number }[] {
  const reader = afterHeader(answer);
  reader.int32();
  return reader.array(() => ({ name: reader.string(), error: reader.int16() }));
}

/** ListOffsets 5 for one partition; `timestamp` -1 asks for the high watermark, -2 for the log start offset. */
export function encodeListOffsets(topic: string, partition: number, timestamp: -1 | -2): Buffer {
  const writer = frame(2, 5, false, 1).int32(-1).int8(0).int32(1).string(topic).int32(1);
  return sealed(writer.int32(partition).int32(-1).int64(timestamp));
}

export function decodeListOffsets(answer: Buffer): { error: number; offset: number } {
  const reader = afterHeader(answer);
  reader.int32();
  const [topic] = reader.array(() => {
    reader.string();
    return reader.array(() => {
      reader.int32();
      const error = reader.int16();
      reader.int64();
      const offset = reader.int64();
      reader.int32();
      return { error, offset };
    });
  });
  const first = topic?.[0];
  if (first === undefined) throw new Error('ListOffsets answered for no partition');
  return first;
}

/** InitProducerId 1 for an idempotent producer without transactions. */
export function encodeInitProducerId(): Buffer {
  return sealed(frame(22, 1, false, 1).string(null).int32(60_000));
}

export function decodeInitProducerId(answer: Buffer): { error: number; producerId: number; producerEpoch: number } {
  const reader = afterHeader(answer);
  reader.int32();
  return { error: reader.int16(), producerId: reader.int64(), producerEpoch: reader.int16() };
}

export interface PartitionBatch {
  partition: number;
  batch: Uint8Array;
}

/** Produce 9: one batch for each of some partitions of one topic. `acks` is 1 or -1 (all). */
export function encodeProduce(
  topic: string,
  acks: number,
  batches: readonly PartitionBatch[],
  correlationId = 1,
  timeoutMs = 30_000,
): Buffer {
  const writer = frame(0, 9, true, correlationId).compactString(null).int16(acks).int32(timeoutMs);
  writer.uvarint(2).compactString(topic);
  writer.compactArray(batches, ({ partition, batch }, to) => to.int32(partition).compactBytes(batch).noTags());
  return sealed(writer.noTags().noTags());
}

export interface ProduceAnswer {
  partition: number;
  error: number;
  baseOffset: number;
}

export function decodeProduce(answer: Buffer): ProduceAnswer[] {
  const reader = afterFlexibleHeader(answer);
  return reader
    .compactArray(() => {
      reader.compactNullableString();
      const partitions = reader.compactArray(() => {
        const partition = { partition: reader.int32(), error: reader.int16(), baseOffset: reader.int64() };
        reader.int64();
        reader.int64();
        reader.compactArray(() => {
          reader.int32();
          reader.compactNullableString();
          reader.skipTags();
        });
        reader.compactNullableString();
        reader.skipTags();
        return partition;
      });
      reader.skipTags();
      return partitions;
    })
    .flat();
}

export interface FetchOptions {
  maxWaitMs: number;
  minBytes: number;
  maxBytes: number;
  partitionMaxBytes: number;
}

/** Fetch 12 without a session, read_uncommitted. */
export function encodeFetch(
  topic: string,
  partitions: readonly { partition: number; fetchOffset: number }[],
  options: FetchOptions,
): Buffer {
  const writer = frame(1, 12, true, 1)
    .int32(-1)
    .int32(options.maxWaitMs)
    .int32(options.minBytes)
    .int32(options.maxBytes)
    .int8(0)
    .int32(0)
    .int32(-1)
    .uvarint(2)
    .compactString(topic);
  writer.compactArray(partitions, ({ partition, fetchOffset }, to) =>
    to.int32(partition).int32(-1).int64(fetchOffset).int32(-1).int64(-1).int32(options.partitionMaxBytes).noTags(),
  );
  return sealed(writer.noTags().uvarint(1).compactString('').noTags());
}

export interface FetchedPartition {
  partition: number;
  error: number;
  highWatermark: number;
  /** A view into the answer. */
  records: Buffer | null;
}

export function decodeFetch(answer: Buffer): FetchedPartition[] {
  const reader = afterFlexibleHeader(answer);
  reader.int32();
  const error = reader.int16();
  if (error !== errorCode.none) throw new Error(`Fetch answered error ${error}`);
  reader.int32();
  return reader
    .compactArray(() => {
      reader.compactNullableString();
      const partitions = reader.compactArray(() => {
        const partition = reader.int32();
        const partitionError = reader.int16();
        const highWatermark = reader.int64();
        reader.int64();
        reader.int64();
        reader.compactArray(() => {
          reader.int64();
          reader.int64();
          reader.skipTags();
        });
        reader.int32();
        const records = reader.compactNullableBytes();
        reader.skipTags();
        return { partition, error: partitionError, highWatermark, records };
      });
      reader.skipTags();
      return partitions;
    })
    .flat();
}
