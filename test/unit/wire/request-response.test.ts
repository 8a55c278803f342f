import assert from 'node:assert/strict';
import { test } from 'vitest';
import { present } from '../../../src/model/assert.ts';
import { apis } from '../../../src/wire/apis.ts';
import type { EncodedMessage } from '../../../src/wire/byte-writer.ts';
import { FrameReader, shortestRequestBytes } from '../../../src/wire/frame-reader.ts';
import { produceApi } from '../../../src/wire/messages/00-produce.ts';
import { fetchApi } from '../../../src/wire/messages/01-fetch.ts';
import { heartbeatApi } from '../../../src/wire/messages/12-heartbeat.ts';
import { apiVersionsApi } from '../../../src/wire/messages/18-api-versions.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/wire/request-response.ts';
import { EncodeError, WireError } from '../../../src/wire/wire-error.ts';

const hex = ({ chunks }: EncodedMessage) => Buffer.concat(chunks).toString('hex');

/** What a frame reader makes of it: the size is checked and taken off. */
function frame(encoded: EncodedMessage): Buffer {
  const frames = new FrameReader({ maxBytes: 10_000_000, minBytes: 4 }).push(Buffer.concat(encoded.chunks));
  assert.equal(frames.length, 1);
  const [only] = frames;
  assert.ok(only);
  assert.equal(only.length, encoded.length - 4);
  return only;
}

const header = { correlationId: 7, clientId: 'me' };

test('a request has header v1 before its flexible versions and v2, with tags, from there on', () => {
  const body = { groupId: 'g', generationId: 1, memberId: 'm' };
  assert.equal(
    hex(encodeRequest(heartbeatApi, 0, header, body)),
    `00000016 000c 0000 00000007 00026d65 000167 00000001 00016d`.replaceAll(' ', ''),
  );
  assert.equal(
    hex(encodeRequest(heartbeatApi, 4, header, body)),
    `00000017 000c 0004 00000007 00026d65 00 0267 00000001 026d 00 00`.replaceAll(' ', ''),
  );
});

test('a response has header v0 before its flexible versions and v1, with tags, from there on', () => {
  assert.equal(hex(encodeResponse(heartbeatApi, 0, 7, { errorCode: 27 })), '0000000600000007001b');
  assert.equal(hex(encodeResponse(heartbeatApi, 4, 7, { errorCode: 27 })), '0000000c000000070000000000001b00');
});

test('the response to ApiVersions has header v0 in all versions', () => {
  const body = { apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] };
  const encoded = encodeResponse(apiVersionsApi, 3, 7, body);
  assert.equal(hex(encoded), '0000001300000007 0000 02 0012 0000 0004 00 00000000 00'.replaceAll(' ', ''));
  assert.deepEqual(decodeResponse(apiVersionsApi, 3, frame(encoded)).body.apiKeys, body.apiKeys);
});

for (const clientId of ['kcat', '', null])
  for (const version of [11, 12])
    test(`a request of version ${version} with client id ${JSON.stringify(clientId)} is read back`, () => {
      const body = { maxWaitMs: 500, topics: [{ topic: 't', partitions: [{ partition: 2, fetchOffset: 9 }] }] };
      const bytes = frame(encodeRequest(fetchApi, version, { correlationId: -5, clientId }, body));
      const { bodyPosition, ...rest } = decodeRequestHeader(bytes);
      assert.deepEqual(rest, { apiKey: 1, apiVersion: version, correlationId: -5, clientId });
      const decoded = decodeRequest(fetchApi, version, bytes, present(bodyPosition, 'Fetch is described'));
      assert.equal(decoded.topics[0]?.partitions[0]?.fetchOffset, 9n);
      assert.equal(decoded.maxWaitMs, 500);
    });

test('tags in a request header are passed over', () => {
  const bytes = Buffer.from(
    '000c000400000007ffff' + '0205024142' + '0600' + '0267' + '00000001' + '026d' + '00' + '00',
    'hex',
  );
  const { clientId, bodyPosition } = decodeRequestHeader(bytes);
  assert.equal(clientId, null);
  assert.equal(decodeRequest(heartbeatApi, 4, bytes, present(bodyPosition, 'described')).memberId, 'm');
});

const undescribed = [
  ['an unknown api', '03e7000000000009'],
  ['a version above the highest of its api', '0001006300000009'],
  ['a version below the lowest of its api', '0000000000000009'],
  ['a negative version', '0001ffff00000009'],
  ['an api that Kafka 4.0 removed', '0004000000000009'],
  ['ApiVersions of a version to come, whatever follows', '0012006300000009ffffffffff'],
] as const;
for (const [title, text] of undescribed)
  test(`of ${title} only the fields that all headers share are read`, () => {
    const { correlationId, clientId, bodyPosition } = decodeRequestHeader(Buffer.from(text, 'hex'));
    assert.deepEqual([correlationId, clientId, bodyPosition], [9, null, null]);
  });

test('a header that is cut short anywhere is refused', () => {
  const bytes = frame(encodeRequest(heartbeatApi, 4, header, {}));
  const { bodyPosition } = decodeRequestHeader(bytes);
  for (let length = 0; length < present(bodyPosition, 'described'); length++)
    assert.throws(() => decodeRequestHeader(bytes.subarray(0, length)), WireError);
});

test('bytes after a request are passed over, after a response refused', () => {
  const request = Buffer.concat([frame(encodeRequest(heartbeatApi, 4, header, { memberId: 'm' })), Buffer.alloc(3)]);
  const position = present(decodeRequestHeader(request).bodyPosition, 'described');
  assert.equal(decodeRequest(heartbeatApi, 4, request, position).memberId, 'm');
  assert.throws(() => decodeRequest(heartbeatApi, 4, request, position, { allowTrailingBytes: false }), WireError);
  const response = Buffer.concat([frame(encodeResponse(heartbeatApi, 4, 7, {})), Buffer.alloc(3)]);
  assert.throws(() => decodeResponse(heartbeatApi, 4, response), WireError);
});

test('record batches of a request are views of its frame', () => {
  const records = Buffer.alloc(100_000, 3);
  const body = { acks: -1, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] };
  const encoded = encodeRequest(produceApi, 9, header, body);
  assert.ok(encoded.chunks.includes(records));
  const bytes = frame(encoded);
  const position = present(decodeRequestHeader(bytes).bodyPosition, 'described');
  const decoded = decodeRequest(produceApi, 9, bytes, position).topicData[0]?.partitionData[0]?.records;
  assert.ok(decoded);
  assert.ok(decoded.equals(records));
  assert.equal(decoded.buffer, bytes.buffer);
});

test('the size counts records that are sent from several buffers', () => {
  const pieces = [Buffer.alloc(70_000, 1), Buffer.alloc(100, 2), Buffer.alloc(50_000, 3)];
  const body = { responses: [{ topic: 't', partitions: [{ records: pieces }, { records: pieces }] }] };
  for (const version of [4, 11, 12]) {
    const decoded = decodeResponse(fetchApi, version, frame(encodeResponse(fetchApi, version, 7, body))).body;
    for (const { records } of decoded.responses[0]?.partitions ?? []) assert.ok(records?.equals(Buffer.concat(pieces)));
  }
});

test('a message of many small fields grows beyond any slab', () => {
  const topics = Array.from({ length: 3000 }, (_, i) => ({
    topic: `topic-${i}`,
    partitions: [{ partition: i, fetchOffset: i }],
  }));
  const bytes = frame(encodeRequest(fetchApi, 12, header, { topics }));
  const position = present(decodeRequestHeader(bytes).bodyPosition, 'described');
  const decoded = decodeRequest(fetchApi, 12, bytes, position);
  assert.deepEqual(
    decoded.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, fetchOffset }) => ({ partition, fetchOffset: Number(fetchOffset) })),
    })),
    topics,
  );
});

test('what does not fit is named and spoils no later message', () => {
  assert.throws(() => encodeResponse(heartbeatApi, 4, 7, { errorCode: 70_000 }), EncodeError);
  assert.equal(hex(encodeResponse(heartbeatApi, 0, 7, { errorCode: 27 })), '0000000600000007001b');
});

test('the table has every api once, under its own key, and serves no version that is not described', () => {
  for (const [key, api] of apis) {
    assert.equal(api.key, key);
    for (let version = api.versions.lowest; version <= api.versions.highest; version++)
      assert.ok(api.request.hasVersion(version) && api.response.hasVersion(version), `${api.name} v${version}`);
  }
  assert.equal(apis.size, 89);
  assert.equal(new Set([...apis.values()].map(({ name }) => name)).size, apis.size);
});

test('a request body shorter than the shortest frame is still a request', () =>
  assert.ok(
    frame(encodeRequest(apiVersionsApi, 0, { correlationId: 1, clientId: null }, {})).length >= shortestRequestBytes,
  ));
