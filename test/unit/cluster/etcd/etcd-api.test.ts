/** Our description of etcd's messages against `proto/etcd.proto`, read by protobufjs: neither can drift from the other. */
import assert from 'node:assert/strict';
import path from 'node:path';
import type { MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { describe, test } from 'vitest';
import { etcdApi } from '../../../../src/cluster/etcd/etcd-api.ts';
import { ProtobufError } from '../../../../src/cluster/protobuf.ts';

const file = path.join(import.meta.dirname, '../../../../proto/etcd.proto');
const foreign = loadSync(file, { longs: String, enums: Number });

const b = (text: string): Buffer => Buffer.from(text);
const header = { clusterId: '17237436991929493444', revision: 4_503_599_627_370_496 };
const kv = { key: b('/c/v1/a'), modRevision: 7, value: b('{"v":1}') };
/** Every field set to something else than its zero value, for either direction. */
const samples: Record<keyof typeof etcdApi, { requests: object[]; responses: object[] }> = {
  range: {
    requests: [{ key: b('a'), rangeEnd: Buffer.from([0xff, 0]), limit: 1_000, revision: 12 }],
    responses: [{ header, kvs: [kv, { ...kv, value: b('ä') }], more: true }],
  },
  txn: {
    requests: [
      {
        compare: [{ target: 2, key: b('a'), modRevision: 5 }],
        success: [
          { requestPut: { key: b('a'), value: b('1'), lease: '7587896012380733975' }, requestDeleteRange: null },
          { requestPut: null, requestDeleteRange: { key: b('b') } },
        ],
      },
    ],
    responses: [{ header, succeeded: true }],
  },
  compact: { requests: [{ revision: 9, physical: true }], responses: [{ header }] },
  watch: {
    requests: [
      {
        createRequest: {
          key: b('a'),
          rangeEnd: b('b'),
          startRevision: 3_000_000_000,
          progressNotify: true,
          fragment: true,
        },
        progressRequest: null,
      },
      { createRequest: null, progressRequest: {} },
    ],
    responses: [
      {
        header,
        created: true,
        canceled: true,
        compactRevision: 4,
        cancelReason: 'because',
        fragment: true,
        events: [
          { type: true, kv },
          { type: false, kv },
        ],
      },
    ],
  },
  leaseGrant: { requests: [{ TTL: 3 }], responses: [{ header, ID: '7587896012380733975', TTL: 3 }] },
  leaseRevoke: { requests: [{ ID: '7587896012380733975' }], responses: [{ header }] },
  leaseKeepAlive: {
    requests: [{ ID: '7587896012380733975' }],
    responses: [
      { header, TTL: 3 },
      { header, TTL: -1 },
    ],
  },
  status: { requests: [{}], responses: [{ header, version: '3.6.16', leader: '10501334649042878790' }] },
};

/** Numbers and booleans as text and null as absence, so that both sides spell a fact alike. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, fact]) => fact !== null && !(typeof fact === 'boolean' && !fact))
        .map(([name, fact]) => [name, plain(fact)]),
    );
  return String(typeof value === 'boolean' ? Number(value) : value);
}
/** protobufjs shows an enum's zero where it was written, and we read it as false. */
const withoutZeroes = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_name, fact) => (fact === '0' ? undefined : fact));
/** What we see as "is it a deletion" is an enum to protobufjs. */
const toForeign = (value: object): object =>
  'events' in value && Array.isArray(value.events)
    ? { ...value, events: value.events.map((event) => ({ ...event, type: Number(event.type) })) }
    : value;
const same = (theirs: unknown, ours: unknown): void =>
  assert.deepEqual(withoutZeroes(plain(theirs)), withoutZeroes(plain(ours)));

for (const name of Object.keys(etcdApi) as (keyof typeof etcdApi)[])
  describe(name, () => {
    const ours = etcdApi[name] as MethodDefinition<object, object>;
    const [, service = '', rpc = ''] = ours.path.split('/');
    const theirs = (foreign[service] as Record<string, MethodDefinition<object, object>>)[rpc];
    assert.ok(theirs);

    test('is the same call', () => {
      assert.deepEqual(
        [ours.path, ours.requestStream, ours.responseStream],
        [theirs.path, theirs.requestStream, theirs.responseStream],
      );
    });
    for (const request of samples[name].requests)
      test(`a request says the same to both: ${JSON.stringify(Object.keys(request))}`, () => {
        same(theirs.requestDeserialize(ours.requestSerialize(request)), request);
        same(ours.requestDeserialize(theirs.requestSerialize(request)), request);
      });
    for (const response of samples[name].responses)
      test(`a response says the same to both: ${JSON.stringify(Object.keys(response))}`, () => {
        same(ours.responseDeserialize(theirs.responseSerialize(toForeign(response))), response);
        same(theirs.responseDeserialize(ours.responseSerialize(response)), response);
      });
  });

test('an answer cut short anywhere is refused or empty, never a wrong number', () => {
  const [response] = samples.range.responses;
  assert.ok(response);
  const whole = etcdApi.range.responseSerialize(response as never);
  for (let length = 0; length < whole.length; length++) {
    try {
      const read = etcdApi.range.responseDeserialize(whole.subarray(0, length));
      assert.ok(read.header === null || read.header.revision === header.revision);
      assert.ok(read.kvs.every((entry) => entry.modRevision === kv.modRevision));
    } catch (error) {
      assert.ok(error instanceof ProtobufError);
    }
  }
});
