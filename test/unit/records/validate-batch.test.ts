import { describe, expect, test } from 'vitest';
import { leaderEpoch, offset, type ProducerId } from '../../../src/model/brands.ts';
import { BrokerError, type FaultCode } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import { encodeEndTransactionMarker } from '../../../src/records/control-record.ts';
import { type BatchToWrite, encodeBatch, hasValidCrc, recordsOf, writeCrc } from '../../../src/records/record-batch.ts';
import { type BatchLimits, setLogAppendTime, validateBatch } from '../../../src/records/validate-batch.ts';

const nowMs = 1_700_000_000_000;
const limits: BatchLimits = {
  maxMessageBytes: 10_000,
  segmentBytes: 100_000,
  messageTimestampType: 'CreateTime',
  messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  messageTimestampAfterMaxMs: 3_600_000,
};
const record = (timestampMs = nowMs, key: string | null = 'k') => ({
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from('some value'),
  timestampMs,
});
const batch = (options: Partial<BatchToWrite> = {}): Buffer =>
  encodeBatch({ records: [record(), record(nowMs + 5)], ...options });

/** A batch with a field overwritten and its CRC made right again. */
function altered(change: (bytes: Buffer) => void, source = batch()): Buffer {
  change(source);
  writeCrc(source);
  return source;
}

function codeOf(run: () => void): FaultCode | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof BrokerError) return error.fault.code;
    throw error;
  }
}

const pid = 7 as ProducerId;
// what the client sent | bytes | limits other than usual | the refusal
const cases: [string, Buffer, Partial<BatchLimits>, FaultCode | null][] = [
  ['a plain batch', batch(), {}, null],
  ['a gzip batch', batch({ codec: 'gzip' }), {}, null],
  ['an idempotent batch', batch({ producerId: pid, producerEpoch: 0, baseSequence: 0 }), {}, null],
  ['a batch cut short', batch().subarray(0, -1), {}, 'CORRUPT_MESSAGE'],
  ['nothing', Buffer.alloc(0), {}, 'CORRUPT_MESSAGE'],
  ['a negative length', altered((b) => b.writeInt32BE(-5, 8)), {}, 'CORRUPT_MESSAGE'],
  ['two batches', Buffer.concat([batch(), batch()]), {}, 'INVALID_RECORD'],
  ['magic 1', altered((b) => b.writeInt8(1, 16)), {}, 'INVALID_RECORD'],
  ['a wrong CRC', Buffer.concat([batch().subarray(0, -1), Buffer.from([1])]), {}, 'CORRUPT_MESSAGE'],
  ['no records', altered((b) => b.writeInt32BE(0, 57)), {}, 'INVALID_RECORD'],
  ['a count other than its offsets', altered((b) => b.writeInt32BE(3, 57)), {}, 'INVALID_RECORD'],
  ['a base offset', batch({ baseOffset: offset(5) }), {}, 'INVALID_RECORD'],
  ['a control batch', batch({ isControl: true }), {}, 'INVALID_RECORD'],
  ['a delete horizon', altered((b) => b.writeInt16BE(0x40, 21)), {}, 'INVALID_RECORD'],
  ['a producer id without sequence', batch({ producerId: pid, producerEpoch: 0 }), {}, 'INVALID_RECORD'],
  ['a transaction without producer id', batch({ isTransactional: true }), {}, 'INVALID_RECORD'],
  ['LogAppendTime on a CreateTime topic', batch({ logAppendTimeMs: nowMs }), {}, 'INVALID_TIMESTAMP'],
  ['codec 6', altered((b) => b.writeInt16BE(6, 21)), {}, 'UNSUPPORTED_COMPRESSION_TYPE'],
  ['a timestamp two hours ahead', batch({ records: [record(nowMs + 7_200_000)] }), {}, 'INVALID_TIMESTAMP'],
  ['a timestamp an hour ahead', batch({ records: [record(nowMs + 3_600_000)] }), {}, null],
  ['no timestamp', batch({ records: [record(-1)] }), { messageTimestampBeforeMaxMs: 1000 }, null],
  [
    'a timestamp too far back',
    batch({ records: [record(nowMs - 1001)] }),
    { messageTimestampBeforeMaxMs: 1000 },
    'INVALID_TIMESTAMP',
  ],
  [
    'any timestamp under LogAppendTime',
    batch({ records: [record(1)] }),
    { messageTimestampType: 'LogAppendTime' },
    null,
  ],
  ['more than max.message.bytes', batch(), { maxMessageBytes: batch().length - 1 }, 'MESSAGE_TOO_LARGE'],
  ['more than segment.bytes', batch(), { segmentBytes: batch().length - 1 }, 'RECORD_LIST_TOO_LARGE'],
  ['a null key', batch({ records: [record(nowMs, null)] }), {}, null],
];

describe('a leader', () => {
  test.each(cases)('answers %s rightly', (_, bytes, other, expected) => {
    expect(codeOf(() => validateBatch(bytes, { ...limits, ...other }, 'client', nowMs))).toBe(expected);
  });

  test('takes a control batch from a coordinator', () => {
    const marker = encodeEndTransactionMarker({
      kind: 'commit',
      coordinatorEpoch: 3,
      producerId: pid,
      producerEpoch: 1,
      timestampMs: nowMs,
    });
    expect(codeOf(() => validateBatch(marker, limits, 'coordinator', nowMs))).toBe(null);
  });
});

test('offset and leader epoch are assigned without touching what the CRC covers', () => {
  const bytes = batch();
  header.assignOffsetAndEpoch(bytes, offset(2 ** 40 + 3), leaderEpoch(12));
  expect(hasValidCrc(bytes)).toBe(true);
  expect(header.baseOffsetOf(bytes)).toBe(2 ** 40 + 3);
  expect(header.lastOffsetOf(bytes)).toBe(2 ** 40 + 4);
  expect(header.partitionLeaderEpochOf(bytes)).toBe(12);
});

test('LogAppendTime stamps all records with the time of the leader', () => {
  const bytes = batch();
  setLogAppendTime(bytes, nowMs + 9);
  expect(hasValidCrc(bytes)).toBe(true);
  expect([...recordsOf(bytes, 1000)].map((read) => read.timestampMs)).toEqual([nowMs + 9, nowMs + 9]);
});

test.each([
  [0, 1, 1],
  [2147483647, 1, 0],
  [2147483640, 10, 2],
])('the sequence %i moved by %i is %i', (sequence, by, expected) => {
  expect(header.sequenceAfter(sequence, by)).toBe(expected);
});

test.each([0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53) + 1, 4294967295, -4294967296])(
  'the 64-bit number %i is written and read back',
  (value) => {
    const bytes = Buffer.alloc(8);
    header.writeInt64(bytes, value, 0);
    expect(bytes.readBigInt64BE(0)).toBe(BigInt(value));
    expect(header.readInt64(bytes, 0)).toBe(value);
  },
);
