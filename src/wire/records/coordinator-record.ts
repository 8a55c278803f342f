/**
 * How do the coordinators' topics keep their state? As records with a key and a value of these forms:
 *
 *     key     int16 record type   · key fields (never flexible)
 *     value   int16 value version · value fields at that version; a null value deletes what the key names
 *
 * kafka-dump-log's decoders read exactly these, so ours must be written with them.
 */
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter, type EncodedMessage } from '../byte-writer.ts';
import type { Decoded, Fields, Given } from '../field.ts';
import { type Message, message } from '../message.ts';
import { WireError } from '../wire-error.ts';

export interface CoordinatorRecord<Key extends Fields = Fields, Value extends Fields = Fields> {
  /** Kafka's CoordinatorRecordType: the int16 that opens the key. */
  readonly type: number;
  readonly name: string;
  readonly key: Message<Key>;
  readonly value: Message<Value>;
}

export function coordinatorRecord<Key extends Fields, Value extends Fields>(description: {
  readonly type: number;
  readonly name: string;
  readonly key: Key;
  /** Versions of the value. */
  readonly versions: string;
  readonly flexible: string;
  readonly value: Value;
}): CoordinatorRecord<Key, Value> {
  const { type, name, versions, flexible } = description;
  return {
    type,
    name,
    key: message(`${name} key`, { versions: '0', flexible: 'none' }, description.key),
    value: message(`${name} value`, { versions, flexible }, description.value),
  };
}

/** The record type of a key, or the version of a value. @throws WireError when there are not two bytes. */
export function leadingInt16(bytes: Buffer): number {
  return new ByteReader(bytes).int16();
}

const leadingBytes = 2;

/** @throws WireError when the key is of another type or malformed. */
export function decodeRecordKey<Key extends Fields>(record: CoordinatorRecord<Key>, key: Buffer): Decoded<Key> {
  const type = leadingInt16(key);
  if (type !== record.type)
    throw new WireError(`record type ${type} where ${record.type} is meant`).within(record.name);
  return record.key.decode(0, key, leadingBytes);
}

/** @throws WireError when the version is not known here or the value malformed. */
export function decodeRecordValue<Value extends Fields>(
  record: CoordinatorRecord<Fields, Value>,
  value: Buffer,
): Decoded<Value> {
  const version = leadingInt16(value);
  if (!record.value.hasVersion(version))
    throw new WireError(`no version ${version} known`).within(`${record.name} value`);
  return record.value.decode(version, value, leadingBytes);
}

export function encodeRecordKey<Key extends Fields>(record: CoordinatorRecord<Key>, key: Given<Key>): Buffer {
  return joined((writer) => {
    writer.int16(record.type);
    record.key.write(writer, 0, key);
  });
}

export function encodeRecordValue<Value extends Fields>(
  record: CoordinatorRecord<Fields, Value>,
  version: number,
  value: Given<Value>,
): Buffer {
  return joined((writer) => {
    writer.int16(version);
    record.value.write(writer, version, value);
  });
}

/** Mostly one piece of a slab that others share: it is copied into a batch soon, and not kept. */
function joined(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  const { chunks, length }: EncodedMessage = writer.finish();
  const [first, ...others] = chunks;
  return first !== undefined && others.length === 0 ? first : Buffer.concat(chunks, length);
}
