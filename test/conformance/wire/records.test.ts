/** Keys and values of the coordinators' topics, written by Apache Kafka 4.3.1's own classes. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { present } from '../../../src/model/assert.ts';
import {
  decodeRecordKey,
  decodeRecordValue,
  encodeRecordKey,
  encodeRecordValue,
  leadingInt16,
} from '../../../src/wire/records/coordinator-record.ts';
import {
  groupCoordinatorRecords,
  shareCoordinatorRecords,
  transactionCoordinatorRecords,
} from '../../../src/wire/records/coordinator-records.ts';
import { WireError } from '../../../src/wire/wire-error.ts';
import { assertSameAsJson } from './kafka-json.ts';
import { readVectors } from './read-vectors.ts';

interface RecordVector {
  readonly store: 'group' | 'transaction' | 'share';
  readonly record: string;
  readonly typeId: number;
  readonly part: 'key' | 'value';
  readonly version: number;
  readonly sample: string;
  readonly hex: string;
  readonly json: Record<string, unknown>;
}

const vectors = readVectors<RecordVector>('records.ndjson.gz');
const stores = {
  group: groupCoordinatorRecords,
  transaction: transactionCoordinatorRecords,
  share: shareCoordinatorRecords,
};

test('all vectors are here', () => assert.equal(vectors.length, 118));

for (const [name, group] of Map.groupBy(vectors, ({ store, record, part }) => `${store} ${record} ${part}`))
  test(`${name} reads as Kafka's JSON says, is written to the same bytes and refused when cut short`, () => {
    for (const { store, record, typeId, part, version, sample, hex, json } of group) {
      const at = `${name} v${version} ${sample}`;
      const bytes = Buffer.from(hex, 'hex');
      const described = present(stores[store].get(typeId), `type ${typeId} is described`);
      assert.equal(described.name, record);
      assert.equal(leadingInt16(bytes), part === 'key' ? typeId : version);
      const decode = (from: Buffer) =>
        part === 'key' ? decodeRecordKey(described, from) : decodeRecordValue(described, from);

      const decoded = decode(bytes);
      assertSameAsJson(decoded, json, described[part].fields, at);
      const encoded =
        part === 'key' ? encodeRecordKey(described, decoded) : encodeRecordValue(described, version, decoded);
      assert.equal(encoded.toString('hex'), hex, at);
      for (let length = 0; length < bytes.length; length++)
        assert.throws(() => decode(bytes.subarray(0, length)), WireError, `${at}: ${length} bytes`);
    }
  });
