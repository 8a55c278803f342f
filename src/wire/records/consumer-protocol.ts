/**
 * What do a classic group's consumers tell each other through the group coordinator? Their subscriptions (in
 * JoinGroup's metadata) and assignments (in SyncGroup's), each opened by an int16 version. Kafka keeps them as bytes
 * and looks inside only for DescribeGroups' callers and for the online migration to KIP-848.
 *
 * v1 owned partitions (KIP-429) · v2 generation (KIP-792) · v3 rack (KIP-881). Never flexible.
 */
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { array, bytes, type Decoded, type Fields, type Given, int32, string } from '../field.ts';
import { type Infer, type Message, message } from '../message.ts';
import { WireError } from '../wire-error.ts';

const versions = { versions: '0-3', flexible: 'none' };

export const consumerProtocolSubscription = message('ConsumerProtocolSubscription', versions, {
  topics: array('0+', 'string'),
  userData: bytes('0+', { nullable: '0+', default: null }),
  ownedPartitions: array('1+', {
    topic: string('1+'),
    partitions: array('1+', 'int32'),
  }),
  generationId: int32('2+', { default: -1 }),
  rackId: string('3+', { nullable: '3+', default: null }),
});

export const consumerProtocolAssignment = message('ConsumerProtocolAssignment', versions, {
  assignedPartitions: array('0+', {
    topic: string('0+'),
    partitions: array('0+', 'int32'),
  }),
  userData: bytes('0+', { nullable: '0+', default: null }),
});

export type ConsumerProtocolSubscription = Infer<typeof consumerProtocolSubscription>;
export type ConsumerProtocolAssignment = Infer<typeof consumerProtocolAssignment>;

const leadingBytes = 2;
/** Topics and partitions of one member: a coordinator that reads a million tiny ones would hold up everybody (I42). */
const maxElements = 100_000;

/**
 * Reads a subscription or an assignment. One of a version to come is read as the newest known, and what follows is
 * passed over: versions only ever add fields at the end (Kafka's ConsumerProtocol.java).
 * @throws WireError when malformed.
 */
export function decodeConsumerProtocol<F extends Fields>(
  of: Message<F>,
  encoded: Buffer,
): { version: number; value: Decoded<F> } {
  const version = new ByteReader(encoded).int16();
  if (version < of.versions.lowest) throw new WireError(`version ${version}`).within(of.name);
  const known = Math.min(version, of.versions.highest);
  return { version, value: of.decode(known, encoded, leadingBytes, { allowTrailingBytes: true, maxElements }) };
}

export function encodeConsumerProtocol<F extends Fields>(of: Message<F>, version: number, value: Given<F>): Buffer {
  const writer = new ByteWriter();
  writer.int16(version);
  of.write(writer, version, value);
  const { chunks, length } = writer.finish();
  return Buffer.concat(chunks, length);
}
