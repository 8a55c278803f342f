/** Bytes written by Apache Kafka 4.3.1's own message classes: every API, version and direction. */
import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { present } from '../../../src/model/assert.ts';
import { requestHeaderVersion, responseHeaderVersion } from '../../../src/wire/api.ts';
import { apis } from '../../../src/wire/apis.ts';
import type { Fields } from '../../../src/wire/field.ts';
import type { Message } from '../../../src/wire/message.ts';
import { WireError } from '../../../src/wire/wire-error.ts';
import { encodeAlone } from './encode-alone.ts';
import { assertSameAsJson } from './kafka-json.ts';
import { readVectors } from './read-vectors.ts';

interface MessageVector {
  readonly key: number;
  readonly api: string;
  readonly type: 'request' | 'response';
  readonly version: number;
  readonly headerVersion: number;
  readonly sample: string;
  readonly hex: string;
  readonly json: Record<string, unknown>;
}

const vectors = readVectors<MessageVector>('messages.ndjson.gz');

function described(vector: MessageVector): Message<Fields> {
  const api = present(apis.get(vector.key), `key ${vector.key} is described`);
  assert.equal(api.name, vector.api);
  return api[vector.type];
}

test('all vectors are here', () => assert.equal(vectors.length, 2416));

test('every description knows the versions that the vectors have, and no others', () => {
  const versions = Map.groupBy(vectors, (vector) => `${vector.key} ${vector.type}`);
  for (const api of apis.values())
    for (const type of ['request', 'response'] as const) {
      const known = new Set(versions.get(`${api.key} ${type}`)?.map((vector) => vector.version));
      const { lowest, highest } = api[type].versions;
      assert.deepEqual(
        [...known].sort((a, b) => a - b),
        Array.from({ length: highest - lowest + 1 }, (_, i) => lowest + i),
        `${api.name} ${type}`,
      );
    }
});

describe('every vector', () => {
  for (const [name, group] of Map.groupBy(vectors, (vector) => `${vector.api} ${vector.type}`)) {
    test(`of ${name} reads as Kafka's JSON says`, () => {
      for (const vector of group) {
        const message = described(vector);
        const decoded = message.decode(vector.version, Buffer.from(vector.hex, 'hex'));
        assertSameAsJson(decoded, vector.json, message.fields, `${name} v${vector.version} ${vector.sample}`);
      }
    });

    test(`of ${name} is written to the same bytes again`, () => {
      for (const vector of group) {
        const message = described(vector);
        const decoded = message.decode(vector.version, Buffer.from(vector.hex, 'hex'));
        const encoded = encodeAlone(message, vector.version, decoded);
        assert.equal(encoded.toString('hex'), vector.hex, `v${vector.version} ${vector.sample}`);
      }
    });

    test(`of ${name} is refused when it is cut short or has a byte too many`, () => {
      for (const vector of group) {
        const message = described(vector);
        const bytes = Buffer.from(vector.hex, 'hex');
        const lowest = bytes.length <= 400 ? 0 : bytes.length - 1;
        for (let length = lowest; length < bytes.length; length++)
          assert.throws(() => message.decode(vector.version, bytes.subarray(0, length)), WireError, `${length} bytes`);
        assert.throws(() => message.decode(vector.version, Buffer.concat([bytes, Buffer.alloc(1)])), WireError);
      }
    });
  }
});

test('every header has the version Kafka gives it', () => {
  for (const vector of vectors) {
    const api = present(apis.get(vector.key), 'checked above');
    const version =
      vector.type === 'request'
        ? requestHeaderVersion(api, vector.version)
        : responseHeaderVersion(api, vector.version);
    assert.equal(version, vector.headerVersion, `${vector.api} ${vector.type} v${vector.version}`);
  }
});
