/**
 * What does a transaction marker say? A control batch holds one record: key = int16 version 0 + int16 type
 * (0 abort, 1 commit), value = int16 version 0 + int32 coordinator epoch (Kafka: `EndTransactionMarker.java`).
 */
import type { LeaderEpoch, Offset, ProducerId } from '../model/brands.ts';
import { BrokerError } from '../model/fault.ts';
import { encodeBatch, recordsOf } from './record-batch.ts';

export interface EndTransactionMarker {
  readonly kind: 'abort' | 'commit';
  readonly coordinatorEpoch: number;
}

const typeByKind = { abort: 0, commit: 1 } as const;
const largestMarkerBytes = 1024;

export function encodeEndTransactionMarker(
  marker: EndTransactionMarker & {
    readonly producerId: ProducerId;
    readonly producerEpoch: number;
    readonly timestampMs: number;
    readonly baseOffset?: Offset;
    readonly partitionLeaderEpoch?: LeaderEpoch;
  },
): Buffer {
  const key = Buffer.alloc(4);
  key.writeInt16BE(typeByKind[marker.kind], 2);
  const value = Buffer.alloc(6);
  value.writeInt32BE(marker.coordinatorEpoch, 2);
  return encodeBatch({
    records: [{ key, value, timestampMs: marker.timestampMs }],
    isControl: true,
    isTransactional: true,
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    ...(marker.baseOffset === undefined ? {} : { baseOffset: marker.baseOffset }),
    ...(marker.partitionLeaderEpoch === undefined ? {} : { partitionLeaderEpoch: marker.partitionLeaderEpoch }),
  });
}

/** The marker in a control batch, or null for control types that concern no transaction. Throws CORRUPT_MESSAGE. */
export function decodeEndTransactionMarker(batch: Buffer): EndTransactionMarker | null {
  for (const { key, value } of recordsOf(batch, largestMarkerBytes)) {
    if (key === null || key.length < 4 || value === null) break;
    const type = key.readInt16BE(2);
    if (type !== typeByKind.abort && type !== typeByKind.commit) return null;
    if (value.length < 6) break;
    return { kind: type === typeByKind.commit ? 'commit' : 'abort', coordinatorEpoch: value.readInt32BE(2) };
  }
  throw new BrokerError({ code: 'CORRUPT_MESSAGE', reason: 'a control batch without a control record' });
}
