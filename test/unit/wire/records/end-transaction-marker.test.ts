import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  decodeControlRecordType,
  decodeEndTransactionMarker,
  encodeEndTransactionMarker,
} from '../../../../src/wire/records/end-transaction-marker.ts';
import { WireError } from '../../../../src/wire/wire-error.ts';

const bytes = (hex: string) => Buffer.from(hex, 'hex');

for (const [type, key] of [
  ['ABORT', '00000000'],
  ['COMMIT', '00000001'],
] as const)
  test(`a marker of type ${type} has Kafka's bytes and is read back`, () => {
    const encoded = encodeEndTransactionMarker({ type, coordinatorEpoch: 31 });
    assert.equal(encoded.key.toString('hex'), key);
    assert.equal(encoded.value.toString('hex'), '00000000001f');
    assert.deepEqual(decodeEndTransactionMarker(encoded.key, encoded.value), { type, coordinatorEpoch: 31 });
  });

test('fields that newer versions add are passed over', () =>
  assert.deepEqual(decodeEndTransactionMarker(bytes('00010001ff'), bytes('00010000001fff')), {
    type: 'COMMIT',
    coordinatorEpoch: 31,
  }));

test('control records of other types are no markers', () => {
  assert.equal(decodeControlRecordType(bytes('00000002')), null);
  assert.throws(() => decodeEndTransactionMarker(bytes('00000002'), bytes('00000000001f')), WireError);
});

test('short or negatively versioned markers are refused', () => {
  assert.throws(() => decodeControlRecordType(bytes('000000')), WireError);
  assert.throws(() => decodeControlRecordType(bytes('ffff0001')), WireError);
  assert.throws(() => decodeEndTransactionMarker(bytes('00000001'), bytes('0000000000')), WireError);
});
