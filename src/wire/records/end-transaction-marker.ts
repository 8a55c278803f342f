/**
 * How does a log say that a transaction ended? By a control record, alone in its batch (KIP-98):
 *
 *     key     int16 version 0 · int16 type (0 abort, 1 commit)
 *     value   int16 version 0 · int32 coordinator epoch
 *
 * Types 2 to 6 belong to KRaft's own log and are not found in partitions of data. Newer versions may add fields at
 * the end, which are passed over (Kafka's ControlRecordType.java, EndTransactionMarker.java).
 */
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { WireError } from '../wire-error.ts';

export const controlRecordTypes = { ABORT: 0, COMMIT: 1 } as const;
export type ControlRecordType = keyof typeof controlRecordTypes;

export interface EndTransactionMarker {
  readonly type: ControlRecordType;
  readonly coordinatorEpoch: number;
}

const currentVersion = 0;

function unversioned(name: string, bytes: Buffer): ByteReader {
  const reader = new ByteReader(bytes);
  const version = reader.int16();
  if (version < currentVersion) throw new WireError(`version ${version}`).within(name);
  return reader;
}

/** @returns null for a control record that is no transaction marker. @throws WireError when malformed. */
export function decodeControlRecordType(key: Buffer): ControlRecordType | null {
  const type = unversioned('control record key', key).int16();
  return type === controlRecordTypes.ABORT ? 'ABORT' : type === controlRecordTypes.COMMIT ? 'COMMIT' : null;
}

/** @throws WireError when malformed or no transaction marker. */
export function decodeEndTransactionMarker(key: Buffer, value: Buffer): EndTransactionMarker {
  const type = decodeControlRecordType(key);
  if (type === null) throw new WireError('no transaction marker').within('control record key');
  return { type, coordinatorEpoch: unversioned('end transaction marker', value).int32() };
}

export function encodeEndTransactionMarker(marker: EndTransactionMarker): { key: Buffer; value: Buffer } {
  const writer = new ByteWriter();
  writer.int16(currentVersion);
  writer.int16(controlRecordTypes[marker.type]);
  const keyBytes = writer.length;
  writer.int16(currentVersion);
  writer.int32(marker.coordinatorEpoch);
  const { chunks, length } = writer.finish();
  const both = Buffer.concat(chunks, length);
  return { key: both.subarray(0, keyBytes), value: both.subarray(keyBytes) };
}
