import { describe, expect, test } from 'vitest';
import { ClientConnection } from '../../../src/broker/client-connection.ts';
import { RequestMemory } from '../../../src/broker/request-memory.ts';
import {
  type Answer,
  type BrokerServices,
  closeConnection,
  noAnswer,
  type RequestContext,
  type ServedApi,
  serve,
} from '../../../src/broker/services.ts';
import { silentLogger } from '../../../src/env/logger.ts';
import type { Fields } from '../../../src/wire/field.ts';
import { produceApi } from '../../../src/wire/messages/00-produce.ts';
import { metadataApi } from '../../../src/wire/messages/03-metadata.ts';
import { apiVersionsApi } from '../../../src/wire/messages/18-api-versions.ts';
import { decodeResponse, encodeRequest } from '../../../src/wire/request-response.ts';
import { FakeSocket } from './fake-socket.ts';

interface Pending {
  readonly api: string;
  readonly context: RequestContext;
  resolve(answer: Answer<Fields>): void;
  reject(error: Error): void;
}

function setUp(options: { memoryBytes?: number; openRequestsLimit?: number } = {}) {
  const pending: Pending[] = [];
  const handle = (api: string) => (_services: BrokerServices, _request: unknown, context: RequestContext) =>
    new Promise<Answer<Fields>>((resolve, reject) => pending.push({ api, context, resolve, reject }));
  const apis = new Map<number, ServedApi>(
    [
      serve(produceApi, handle('Produce') as never, { isPipelined: true, advertisedMinVersion: 0 }),
      serve(metadataApi, handle('Metadata') as never),
      serve(apiVersionsApi, () => ({ errorCode: 0 })),
    ].map((served) => [served.api.key, served]),
  );
  const socket = new FakeSocket();
  const warnings: string[] = [];
  const memory = new RequestMemory(options.memoryBytes ?? 1_000_000);
  const connection = new ClientConnection(
    { listener: 'PLAINTEXT', requestMaxBytes: 10_000, openRequestsLimit: options.openRequestsLimit ?? 10 },
    {
      apis,
      services: {} as BrokerServices,
      memory,
      clock: { wallMs: () => 0, monotonicMs: () => 0 },
      logger: { ...silentLogger, warn: (_fields, message) => warnings.push(message) },
      onClosed: () => undefined,
    },
    socket,
  );
  const bytes = (of: Parameters<typeof encodeRequest>[0], version: number, correlationId: number): Buffer =>
    Buffer.concat(encodeRequest(of, version, { correlationId, clientId: 'test' }, {}).chunks as Buffer[]);
  const produce = (correlationId: number): void => connection.onData(bytes(produceApi as never, 9, correlationId));
  const metadata = (correlationId: number): void => connection.onData(bytes(metadataApi as never, 9, correlationId));
  const settle = (): Promise<void> => Promise.resolve().then(() => undefined);
  return { pending, socket, warnings, memory, connection, bytes, produce, metadata, settle };
}

describe('a client connection', () => {
  test('answers in the order of the requests, whatever order they end in', async () => {
    const { pending, socket, produce, settle } = setUp();
    for (const id of [1, 2, 3]) produce(id);
    expect(pending.length).toBe(3);
    pending[2]?.resolve({});
    pending[0]?.resolve({});
    await settle();
    expect(socket.answered()).toEqual([1]);
    pending[1]?.resolve({});
    await settle();
    expect(socket.answered()).toEqual([1, 2, 3]);
  });

  test('begins a request that is not pipelined only when all before it are answered', async () => {
    const { pending, produce, metadata, settle } = setUp();
    metadata(1);
    produce(2);
    expect(pending.map(({ api }) => api)).toEqual(['Metadata']);
    pending[0]?.resolve({});
    await settle();
    metadata(3);
    expect(pending.map(({ api }) => api)).toEqual(['Metadata', 'Produce']);
    pending[1]?.resolve({});
    await settle();
    expect(pending.map(({ api }) => api)).toEqual(['Metadata', 'Produce', 'Metadata']);
  });

  test('sends nothing for a request without an answer, and goes on', async () => {
    const { pending, socket, produce, settle } = setUp();
    produce(1);
    produce(2);
    pending[0]?.resolve(noAnswer);
    pending[1]?.resolve({});
    await settle();
    expect(socket.answered()).toEqual([2]);
  });

  test('ends with one line for an error that has no answer', async () => {
    const { pending, socket, warnings, produce, settle } = setUp();
    produce(1);
    pending[0]?.resolve(closeConnection);
    await settle();
    expect(socket.isDestroyed).toBe(true);
    expect(warnings.length).toBe(1);
  });

  test('answers an ApiVersions of an unknown version in version 0, with error 35', () => {
    const { connection, socket } = setUp();
    const frame = Buffer.from('0000000a00120063000000070001', 'hex');
    connection.onData(Buffer.concat([frame, Buffer.from('61', 'hex')]).subarray(0, 14));
    const answer = Buffer.concat(socket.written).subarray(4);
    const { body } = decodeResponse(apiVersionsApi, 0, answer);
    expect(body.errorCode).toBe(35);
    expect(body.apiKeys).toEqual([{ apiKey: 18, minVersion: 0, maxVersion: 4 }]);
  });

  // Metadata 1 for 120,001 topics without a name.
  const tooManyElements =
    (4 + 6 + 4 + 2 * 120_001).toString(16).padStart(8, '0') +
    `0003${'0001'}00000001${'ffff'}${(120_001).toString(16).padStart(8, '0')}` +
    '0000'.repeat(120_001);
  const hostile = [
    ['a negative length', 'ffffffff'],
    ['a length above the limit', '7fffffff'],
    ['a length below the header', '00000002' + '0000'],
    ['an api that is not served', '0000000a' + '03e7' + '0000' + '00000001' + 'ffff'],
    ['a version that is not served', '0000000a' + '0003' + '0063' + '00000001' + 'ffff'],
    ['more elements than are decoded in one turn', tooManyElements],
    ['a body that is cut short', '0000000c' + '0003' + '0001' + '00000001' + 'ffff' + '0000'],
  ] as const;
  for (const [title, hex] of hostile)
    test(`ends with one line for ${title}`, () => {
      const { connection, socket, warnings, memory } = setUp();
      connection.onData(Buffer.from(hex, 'hex'));
      connection.onData(Buffer.from('00', 'hex'));
      expect(socket.isDestroyed).toBe(true);
      expect(warnings.length).toBe(1);
      connection.onClose(null);
      expect(memory.usedBytes).toBe(0);
    });

  test('is not read while its client does not read', async () => {
    const { pending, socket, connection, produce, settle } = setUp();
    socket.isSlow = true;
    produce(1);
    pending[0]?.resolve({});
    await settle();
    expect(socket.isPaused).toBe(true);
    connection.onDrain();
    expect(socket.isPaused).toBe(false);
  });

  test('is not read while it has too many requests open', async () => {
    const { pending, socket, produce, settle } = setUp({ openRequestsLimit: 2 });
    produce(1);
    expect(socket.isPaused).toBe(false);
    produce(2);
    expect(socket.isPaused).toBe(true);
    pending[0]?.resolve({});
    await settle();
    expect(socket.isPaused).toBe(false);
  });

  test('is not read while the process holds too many request bytes, but for the rest of a frame', async () => {
    const { pending, socket, bytes, connection, memory, produce, settle } = setUp({ memoryBytes: 30 });
    const next = bytes(produceApi as never, 9, 2);
    produce(1);
    expect(memory.isFull).toBe(false);
    memory.take(100);
    expect(socket.isPaused).toBe(true);
    connection.onData(next.subarray(0, 6));
    expect(socket.isPaused).toBe(false);
    connection.onData(next.subarray(6));
    expect(socket.isPaused).toBe(true);
    memory.give(100);
    pending[0]?.resolve({});
    pending[1]?.resolve({});
    await settle();
    expect(socket.isPaused).toBe(false);
    expect(memory.usedBytes).toBe(0);
  });
});

test('what a client that is gone has sent counts until nobody works on it any more', async () => {
  const { pending, connection, memory, produce, metadata, settle } = setUp();
  for (const id of [1, 2, 3]) produce(id);
  const running = memory.usedBytes;
  metadata(4);
  connection.onClose(null);
  expect(memory.usedBytes).toBe(running);
  pending[0]?.resolve({});
  pending[1]?.reject(new Error('no'));
  pending[2]?.resolve(closeConnection);
  await settle();
  expect(memory.usedBytes).toBe(0);
});

describe('the memory of an answer', () => {
  /** One request whose handler has taken memory; `gone` counts how often it was given back. */
  function answering() {
    const connected = setUp();
    let gone = 0;
    connected.produce(1);
    connected.pending[0]?.context.onAnswerGone(() => {
      gone++;
    });
    return { ...connected, gone: () => gone };
  }

  test('is given back when the answer has left, not before', async () => {
    const { pending, socket, connection, gone, settle } = answering();
    pending[0]?.resolve({});
    await settle();
    expect(socket.answered()).toEqual([1]);
    expect(gone()).toBe(0);
    socket.taken();
    expect(gone()).toBe(1);
    connection.onClose(null);
    expect(gone()).toBe(1);
  });

  test('is kept while answers before it are not there', async () => {
    const { pending, socket, produce, gone, settle } = answering();
    produce(2);
    let second = 0;
    pending[1]?.context.onAnswerGone(() => {
      second++;
    });
    pending[1]?.resolve({});
    await settle();
    socket.taken();
    expect([gone(), second]).toEqual([0, 0]);
    pending[0]?.resolve({});
    await settle();
    socket.taken();
    expect([gone(), second]).toEqual([1, 1]);
  });

  test('is kept while the handler runs, though the client is gone', async () => {
    const { pending, socket, connection, gone, settle } = answering();
    connection.onClose(null);
    expect(gone()).toBe(0);
    pending[0]?.resolve({});
    await settle();
    expect(gone()).toBe(1);
    expect(socket.written).toEqual([]);
  });

  test('is given back when the connection closes before it can be sent', async () => {
    const { pending, connection, produce, settle } = answering();
    produce(2);
    let second = 0;
    pending[1]?.context.onAnswerGone(() => {
      second++;
    });
    pending[1]?.resolve({});
    await settle();
    connection.close();
    expect(second).toBe(1);
  });

  test('is given back when a write is lost', async () => {
    const { pending, socket, connection, gone, settle } = answering();
    pending[0]?.resolve({});
    await settle();
    connection.close();
    expect(gone()).toBe(0);
    socket.taken();
    expect(gone()).toBe(1);
  });

  const endings = [
    ['is no answer', (one: Pending) => one.resolve(noAnswer)],
    ['is the end of the connection', (one: Pending) => one.resolve(closeConnection)],
    ['is an error', (one: Pending) => one.reject(new Error('made by a test'))],
    ['cannot be written', (one: Pending) => one.resolve({ throttleTimeMs: 'none' } as never)],
  ] as const;
  for (const [title, end] of endings)
    test(`is given back once when the answer ${title}`, async () => {
      const { pending, socket, connection, gone, settle } = answering();
      end(pending[0] as Pending);
      await settle();
      expect(gone()).toBe(1);
      expect(socket.written).toEqual([]);
      connection.onClose(null);
      expect(gone()).toBe(1);
    });
});

test('a handler is told of the end of its connection, however late it asks to be', async () => {
  const { pending, connection, metadata, settle } = setUp();
  metadata(1);
  const context = pending[0]?.context;
  const told: string[] = [];
  context?.onDisconnect(() => told.push('in time'));
  connection.onClose(null);
  expect(told).toEqual(['in time']);
  context?.onDisconnect(() => told.push('late'));
  context?.onDisconnect(() => told.push('taken back'))();
  expect(told, 'nobody is called while it asks').toEqual(['in time']);
  await settle();
  expect(told).toEqual(['in time', 'late']);
});
