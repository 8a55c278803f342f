import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ByteWriter } from '../../../src/wire/byte-writer.ts';
import {
  array,
  bytes,
  type Fields,
  type Given,
  int16,
  int32,
  int64,
  records,
  string,
  struct,
  uuid,
} from '../../../src/wire/field.ts';
import { type Message, message } from '../../../src/wire/message.ts';
import { EncodeError, WireError } from '../../../src/wire/wire-error.ts';

const sample = message(
  'Sample',
  { versions: '1-4', flexible: '3+' },
  {
    name: string('0+', { nullable: '2+' }),
    epoch: int32('2+', { default: -1 }),
    topics: array('0+', { topic: string('0+'), partitions: array('0+', 'int32') }, { nullable: '2+' }),
    cursor: struct('3+', { topic: string('3+'), index: int32('3+') }, { nullable: '3+', default: null }),
    clusterId: string('3+', { nullable: '3+', tag: 0, default: null }),
    leader: struct('3+', { id: int32('3+', { default: -1 }), epoch: int64('4+', { default: -1n }) }, { tag: 2 }),
    payload: records('4+', { nullable: '4+' }),
  },
);

function encoded<F extends Fields>(of: Message<F>, version: number, value: Given<F>): string {
  const writer = new ByteWriter();
  of.write(writer, version, value);
  return Buffer.concat(writer.finish().chunks).toString('hex');
}
const decoded = <F extends Fields>(of: Message<F>, version: number, hex: string, position = 0) =>
  of.decode(version, Buffer.from(hex, 'hex'), position);

const value = {
  name: 'ab',
  epoch: 5,
  topics: [{ topic: 't', partitions: [1, 2] }],
  cursor: { topic: 'c', index: 3 },
  clusterId: 'id',
  leader: { id: 9, epoch: 8n },
  payload: Buffer.from('xyz'),
};

// version | bytes, field by field
const cases = [
  [1, '0002 6162', '00000001 0001 74 00000002 00000001 00000002'],
  [2, '0002 6162 00000005', '00000001 0001 74 00000002 00000001 00000002'],
  [
    3,
    '03 6162 00000005',
    '02 02 74 03 00000001 00000002 00',
    '01 02 63 00000003 00',
    '02 00 03 03 6964 02 05 00000009 00',
  ],
  [
    4,
    '03 6162 00000005',
    '02 02 74 03 00000001 00000002 00',
    '01 02 63 00000003 00',
    '04 78797a',
    '02 00 03 03 6964 02 0d 00000009 0000000000000008 00',
  ],
] as const;

for (const [version, ...parts] of cases) {
  const hex = parts.join('').replaceAll(' ', '');
  test(`a message is written field by field as version ${version} has them`, () =>
    assert.equal(encoded(sample, version, value), hex));
  test(`fields that version ${version} lacks read as their defaults`, () =>
    assert.deepEqual(decoded(sample, version, hex), {
      ...value,
      epoch: version >= 2 ? 5 : -1,
      cursor: version >= 3 ? value.cursor : null,
      clusterId: version >= 3 ? 'id' : null,
      leader: version >= 4 ? value.leader : version === 3 ? { id: 9, epoch: -1n } : { id: -1, epoch: -1n },
      payload: version >= 4 ? value.payload : Buffer.alloc(0),
    }));
}

test('every struct of a message has the same fields in the same order in every version', () => {
  const names = cases.map(([version, ...parts]) =>
    Object.keys(decoded(sample, version, parts.join('').replaceAll(' ', ''))).join(),
  );
  assert.deepEqual(new Set(names), new Set([Object.keys(sample.fields).join()]));
});

test('fields that are left out are written as their defaults', () => {
  assert.equal(encoded(sample, 1, {}), '000000000000');
  assert.equal(encoded(sample, 4, {}), '01ffffffff01ff0000');
  assert.equal(encoded(sample, 4, { name: undefined, leader: { id: undefined } }), '01ffffffff01ff0000');
});

test('tagged fields at their default are not written, others in ascending order', () => {
  assert.equal(encoded(sample, 4, { leader: { id: -1, epoch: -1 }, clusterId: null }), '01ffffffff01ff0000');
  assert.ok(encoded(sample, 4, { leader: { id: 0 } }).endsWith('01020d00000000ffffffffffffffff00'));
  assert.ok(encoded(sample, 4, { clusterId: '' }).endsWith('01000101'));
});

test('null is written where the version has it and refused where it has not', () => {
  assert.equal(encoded(sample, 2, { name: null, topics: null }), 'ffffffffffffffffffff');
  assert.equal(encoded(sample, 3, { name: null, topics: null }), '00ffffffff00ff00');
  for (const given of [{ name: null }, { topics: null }]) assert.throws(() => encoded(sample, 1, given), EncodeError);
});

test('null is read where the version has it and refused where it has not', () => {
  const { name, topics } = decoded(sample, 2, 'ffffffffffffffffffff');
  assert.deepEqual([name, topics], [null, null]);
  assert.throws(() => decoded(sample, 1, 'ffff00000000'), WireError);
  assert.throws(() => decoded(sample, 1, '0000ffffffff'), WireError);
});

test('lengths below -1 are refused', () => {
  assert.throws(() => decoded(sample, 2, 'fffe00000000ffffffff'), WireError);
  assert.throws(() => decoded(sample, 2, 'ffff00000000fffffffe'), WireError);
});

test('counts that cannot be are refused before anything is allocated', () => {
  assert.throws(() => decoded(sample, 2, 'ffff000000007fffffff'), WireError);
  assert.throws(() => decoded(sample, 3, '0000000000ffffffff0f'), WireError);
});

test('unknown tags are passed over, in any order and between known ones', () => {
  const body = '01ffffffff01ff00';
  const { clusterId, leader } = decoded(
    sample,
    4,
    `${body}0407020102020d00000009000000000000000800 0003036964 7f00`.replaceAll(' ', ''),
  );
  assert.equal(clusterId, 'id');
  assert.deepEqual(leader, value.leader);
});

test('a tag whose content does not fill its size is refused', () => {
  assert.throws(() => decoded(sample, 4, '01ffffffff01ff000100040369640000'), WireError);
  assert.throws(() => decoded(sample, 4, '01ffffffff01ff00010002036964'), WireError);
});

test('bytes after the message are refused unless they are allowed', () => {
  const hex = `${encoded(sample, 2, value)}00`;
  assert.throws(() => decoded(sample, 2, hex), /1 bytes after its end/);
  assert.equal(sample.decode(2, Buffer.from(hex, 'hex'), 0, { allowTrailingBytes: true }).epoch, 5);
});

test('a message may have no more elements than the caller allows', () => {
  const buffer = Buffer.from(encoded(sample, 2, value), 'hex');
  sample.decode(2, buffer, 0, { maxElements: 3 });
  assert.throws(() => sample.decode(2, buffer, 0, { maxElements: 2 }), WireError);
});

test('a version that is not described is a mistake of the caller', () => {
  for (const version of [0, 5, -1, 1.5, Number.NaN]) {
    assert.equal(sample.hasVersion(version) && Number.isInteger(version), false);
    assert.throws(() => sample.decode(version, Buffer.alloc(20)), RangeError);
  }
});

test('errors name the message, its version and the field', () => {
  assert.throws(() => encoded(sample, 2, { topics: [{ topic: 'a', partitions: [1.5] }] }), {
    message: 'Sample v2.topics.partitions: 1.5 is no int32',
  });
  assert.throws(() => decoded(sample, 2, '00026162'), {
    message: 'Sample v2.epoch: 4 bytes needed, 0 left at byte 4',
  });
  assert.throws(() => decoded(sample, 4, '01ffffffff01ff000102040000'), /^WireError: Sample v4\.leader: /);
});

test('records are written from pieces without being joined', () => {
  const pieces = [Buffer.alloc(5000, 1), Buffer.alloc(10, 2), Buffer.alloc(6000, 3)];
  const writer = new ByteWriter();
  sample.write(writer, 4, { payload: pieces });
  const { chunks, length } = writer.finish();
  assert.equal(chunks[1], pieces[0]);
  assert.equal(chunks[3], pieces[2]);
  const { payload } = sample.decode(4, Buffer.concat(chunks, length));
  assert.deepEqual(payload, Buffer.concat(pieces));
});

test('defaults that are shared cannot be written to', () => {
  const { topics } = decoded(sample, 1, encoded(sample, 1, {}));
  assert.deepEqual(topics, []);
  const { leader } = decoded(sample, 1, encoded(sample, 1, {}));
  assert.ok(Object.isFrozen(leader));
});

test('a version range that is none is refused when the description is made', () => {
  for (const text of ['', '+', '3-', '5-2', 'x', '1.5', '-1'])
    assert.throws(() => message('Bad', { versions: '0', flexible: 'none' }, { a: int16(text) }), RangeError);
});

test('the types follow the description', () => {
  const typed = message(
    'Typed',
    { versions: '0', flexible: 'none' },
    {
      id: uuid('0+'),
      offset: int64('0+'),
      rack: string('0+', { nullable: '0+' }),
      data: bytes('0+'),
      nested: array('0+', { replicas: array('0+', 'int32') }),
    },
  );
  const result = typed.decode(0, Buffer.from(encoded(typed, 0, { offset: 7, nested: [{ replicas: [1] }] }), 'hex'));
  const id: string = result.id;
  const offset: bigint = result.offset;
  const rack: string | null = result.rack;
  const data: Buffer = result.data;
  const replica: number | undefined = result.nested[0]?.replicas[0];
  assert.deepEqual([id.length, offset, rack, data.length, replica], [22, 7n, '', 0, 1]);
  // @ts-expect-error: a field that is not described
  assert.equal(encoded(typed, 0, { unknown: 1 }).length, encoded(typed, 0, {}).length);
});
