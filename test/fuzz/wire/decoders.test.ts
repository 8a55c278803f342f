/**
 * Bytes that nobody meant: Kafka's own messages with bytes changed, cut out, doubled and spliced. A decoder may take
 * them or throw `WireError`, nothing else; and what it takes must not grow beyond what so many bytes can hold.
 * `CORDWOOD_FUZZ_ROUNDS` sets how many mutations, `CORDWOOD_FUZZ_SEED` which ones; a failure names its seed and bytes.
 */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { present } from '../../../src/model/assert.ts';
import { apis } from '../../../src/wire/apis.ts';
import { FrameReader, shortestRequestBytes } from '../../../src/wire/frame-reader.ts';
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
  decodeConsumerProtocol,
} from '../../../src/wire/records/consumer-protocol.ts';
import { decodeRecordKey, decodeRecordValue } from '../../../src/wire/records/coordinator-record.ts';
import {
  groupCoordinatorRecords,
  shareCoordinatorRecords,
  transactionCoordinatorRecords,
} from '../../../src/wire/records/coordinator-records.ts';
import { decodeEndTransactionMarker } from '../../../src/wire/records/end-transaction-marker.ts';
import { decodeRequest, decodeRequestHeader } from '../../../src/wire/request-response.ts';
import { WireError } from '../../../src/wire/wire-error.ts';
import { encodeAlone } from '../../conformance/wire/encode-alone.ts';
import { readVectors } from '../../conformance/wire/read-vectors.ts';
import { Mutator } from './mutator.ts';

const rounds = Number(process.env.CORDWOOD_FUZZ_ROUNDS ?? 20_000);
const seed = Number(process.env.CORDWOOD_FUZZ_SEED ?? 1);

interface Vector {
  readonly key: number;
  readonly api: string;
  readonly type: 'request' | 'response';
  readonly version: number;
  readonly hex: string;
}
interface RecordVector {
  readonly store: 'group' | 'transaction' | 'share';
  readonly typeId: number;
  readonly part: 'key' | 'value';
  readonly hex: string;
}

const messages = readVectors<Vector>('messages.ndjson.gz');
const coordinatorRecords = readVectors<RecordVector>('records.ndjson.gz');
const stores = {
  group: groupCoordinatorRecords,
  transaction: transactionCoordinatorRecords,
  share: shareCoordinatorRecords,
};

/** @returns what was decoded, or null when it was refused as it should be. */
function decodedOrRefused<Value>(decode: () => Value, bytes: Buffer, what: string): Value | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof WireError) return null;
    throw new Error(`seed ${seed}: ${what} of ${bytes.toString('hex')}`, { cause: error });
  }
}

/** Structs, elements and fields; with `bytes` and text by their length. It bounds what decoding allocated. */
function weight(value: unknown): number {
  if (Buffer.isBuffer(value) || value === null || typeof value !== 'object') return 1;
  let sum = 1;
  for (const part of Array.isArray(value) ? value : Object.values(value)) sum += weight(part);
  return sum;
}

test(`mutated messages are read or refused with WireError (${rounds} rounds, seed ${seed})`, () => {
  const mutator = new Mutator(seed);
  let taken = 0;
  for (let round = 0; round < rounds; round++) {
    const vector = mutator.pick(messages);
    const bytes = mutator.mutate(Buffer.from(vector.hex, 'hex'));
    const message = present(apis.get(vector.key), 'every vector is described')[vector.type];
    const what = `${vector.api} ${vector.type} v${vector.version}`;
    const decoded = decodedOrRefused(() => message.decode(vector.version, bytes), bytes, what);
    if (decoded === null) continue;
    taken += 1;
    // The widest struct has some forty fields; each struct takes a byte at least.
    assert.ok(weight(decoded) <= 50 * (bytes.length + 1), `seed ${seed}: ${what} of ${bytes.toString('hex')}`);
    const again = message.decode(vector.version, encodeAlone(message, vector.version, decoded));
    assert.deepEqual(again, decoded, `seed ${seed}: ${what} of ${bytes.toString('hex')}`);
  }
  assert.ok(
    taken > rounds / 100 && taken < rounds,
    `${taken} of ${rounds} taken: the mutations are too wild or too tame`,
  );
});

test(`random request frames are read or refused with WireError (${rounds} rounds, seed ${seed})`, () => {
  const mutator = new Mutator(seed);
  for (let round = 0; round < rounds; round++) {
    const vector = mutator.pick(messages);
    const header = Buffer.alloc(8);
    header.writeInt16BE(vector.key);
    header.writeInt16BE(vector.version, 2);
    const bytes = mutator.mutate(
      Buffer.concat([header, Buffer.from('0001610000', 'hex'), Buffer.from(vector.hex, 'hex')]),
    );
    const request = decodedOrRefused(() => decodeRequestHeader(bytes), bytes, 'request header');
    const api = request === null ? undefined : apis.get(request.apiKey);
    if (request === null || api === undefined || request.bodyPosition === null) continue;
    const { apiVersion, bodyPosition } = request;
    decodedOrRefused(() => decodeRequest(api, apiVersion, bytes, bodyPosition), bytes, `${api.name}Request`);
  }
});

test(`mutated coordinator records and group metadata are read or refused with WireError (${rounds} rounds, seed ${seed})`, () => {
  const mutator = new Mutator(seed);
  for (let round = 0; round < rounds; round++) {
    const { store, typeId, part, hex } = mutator.pick(coordinatorRecords);
    const bytes = mutator.mutate(Buffer.from(hex, 'hex'));
    const record = present(stores[store].get(typeId), 'every vector is described');
    const decode = () => (part === 'key' ? decodeRecordKey(record, bytes) : decodeRecordValue(record, bytes));
    decodedOrRefused(decode, bytes, record.name);
    decodedOrRefused(() => decodeConsumerProtocol(consumerProtocolSubscription, bytes), bytes, 'subscription');
    decodedOrRefused(() => decodeConsumerProtocol(consumerProtocolAssignment, bytes), bytes, 'assignment');
    decodedOrRefused(() => decodeEndTransactionMarker(bytes, bytes), bytes, 'marker');
  }
});

test(`a frame reader takes any stream apart, or refuses it with WireError (seed ${seed})`, () => {
  const mutator = new Mutator(seed);
  for (let round = 0; round < Math.max(1, rounds / 20); round++) {
    const frames = Array.from({ length: 1 + mutator.below(5) }, () => mutator.bytes(8 + mutator.below(5000)));
    const stream = Buffer.concat(
      frames.flatMap((frame) => {
        const size = Buffer.alloc(4);
        size.writeInt32BE(frame.length);
        return [size, frame];
      }),
    );
    const isIntact = mutator.below(2) === 0;
    const sent = isIntact ? stream : mutator.mutate(stream);
    const reader = new FrameReader({ maxBytes: 10_000, minBytes: shortestRequestBytes });
    const received: Buffer[] = [];
    const feed = () => {
      for (let position = 0; position < sent.length; ) {
        const end = Math.min(sent.length, position + 1 + mutator.below(mutator.below(2) === 0 ? 10 : 6000));
        received.push(...reader.push(Buffer.from(sent.subarray(position, end))));
        assert.ok(reader.heldBytes <= 10_004);
        position = end;
      }
      return received;
    };
    decodedOrRefused(feed, sent, 'frames');
    if (isIntact) assert.deepEqual(received, frames, `seed ${seed}, round ${round}`);
  }
});

const bombs = [
  ['an array of 2^31 - 1 topics', 3, 1, '7fffffff'],
  ['a compact array of 2^32 - 2 topics', 3, 9, 'ffffffff0f'],
  ['a compact string of 2^32 - 2 bytes', 18, 3, 'ffffffff0f'],
  ['2^32 - 1 tags', 18, 3, '0101ffffffff0f'],
  ['a tag of 2^32 - 1 bytes', 18, 3, '0101010affffffff0f'],
] as const;
for (const [title, key, version, hex] of bombs)
  test(`a request that claims ${title} is refused`, () => {
    const api = present(apis.get(key), 'described');
    assert.throws(() => api.request.decode(version, Buffer.from(hex, 'hex')), WireError);
  });

test('a large frame of the smallest elements is refused by their number', () => {
  // Metadata v12 asks for topics of 18 bytes each; ListGroups v4 filters by empty names of one byte each.
  const listGroups = present(apis.get(16), 'described');
  const count = 3_000_000;
  const bytes = Buffer.concat([Buffer.from('c18db701', 'hex'), Buffer.alloc(count, 1), Buffer.alloc(1)]);
  assert.throws(() => listGroups.request.decode(4, bytes), /more array elements/);
});
