/**
 * A broker process and everything that can be sent to its ports: garbage, half requests, sizes that lie, clients that
 * never read or send a byte at a time. Each bad connection ends with one log line, memory stays bounded, and a client
 * that behaves goes on reading what it writes.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { produceApi } from '../../src/wire/messages/00-produce.ts';
import { fetchApi } from '../../src/wire/messages/01-fetch.ts';
import { metadataApi } from '../../src/wire/messages/03-metadata.ts';
import { apiVersionsApi } from '../../src/wire/messages/18-api-versions.ts';
import { createTopicsApi } from '../../src/wire/messages/19-create-topics.ts';
import { encodeRequest } from '../../src/wire/request-response.ts';
import { BrokerProcess } from '../support/broker-process.ts';
import { temporaryDirectory } from '../support/cordwood-process.ts';
import { encodeRecordBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';
import { WireClient } from '../support/wire-client.ts';
import { Mutator } from './wire/mutator.ts';

const data = temporaryDirectory();
const host = '127.0.0.1';
let broker: BrokerProcess;
let kafkaPort: number;
let complaints: readonly string[];

const open = (): Promise<WireClient> => WireClient.open({ host, port: kafkaPort });

beforeAll(async () => {
  broker = await BrokerProcess.start({ 'log.dirs': data.path });
  kafkaPort = broker.ports.kafka;
  complaints = broker.complaints;
  const client = await open();
  const created = await client.ask(createTopicsApi, 7, {
    topics: ['steady', 'heavy'].map((name) => ({ name, numPartitions: 1, replicationFactor: 1 })),
    timeoutMs: 10_000,
  });
  assert.deepEqual(
    created.topics.map(({ errorCode }) => errorCode),
    [0, 0],
  );
  // More than the broker keeps in memory: what is read from the start comes from the disk.
  for (let megabyte = 0; megabyte < 100; megabyte++) await produce(client, 'heavy', 'x'.repeat(1_000_000));
  client.close();
}, 60_000);
afterAll(async () => {
  await broker?.kill();
  data.remove();
});

async function produce(client: WireClient, topic: string, value: string): Promise<bigint> {
  const records = encodeRecordBatch([{ value: Buffer.from(value) }], { timestampMs: Date.now() });
  const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }];
  const answer = await client.ask(produceApi, 9, { acks: -1, timeoutMs: 10_000, topicData });
  const done = answer.responses[0]?.partitionResponses[0];
  assert.equal(done?.errorCode, 0);
  return done.baseOffset;
}

const fetchHeavy = { maxWaitMs: 0, minBytes: 1, maxBytes: 8 << 20, sessionEpoch: -1 };
const partitionsOf = (topic: string, fetchOffset: bigint) => [
  { topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 8 << 20 }] },
];

/** Resident memory in bytes. */
function residentBytes(): number {
  const status = readFileSync(`/proc/${broker.child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** Runs `noise` while a client that behaves writes and reads; it must get on, and read what it wrote. */
async function unharmed(noise: () => Promise<void>): Promise<void> {
  const client = await open();
  let isOver = false;
  let rounds = 0;
  const steady = async (): Promise<void> => {
    do {
      const value = `round ${rounds}`;
      const offset = await produce(client, 'steady', value);
      const answer = await client.ask(fetchApi, 12, { ...fetchHeavy, topics: partitionsOf('steady', offset) });
      assert.ok(answer.responses[0]?.partitions[0]?.records?.includes(value), 'the record that was just written');
      rounds++;
    } while (!isOver);
  };
  const going = steady();
  try {
    await Promise.race([noise(), going]);
  } finally {
    isOver = true;
    await going;
  }
  client.close();
  assert.ok(rounds > 0);
  assert.ok(broker.isRunning);
}

/** Sends `bytes` and waits until the broker has closed the connection. */
async function sent(bytes: Buffer, port = kafkaPort): Promise<void> {
  const socket = connect(port, host);
  socket.resume();
  socket.write(bytes);
  await closed(socket);
}

/** Fulfilled when the connection is gone, however it went. */
function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

function sized(size: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(size, 0);
  return Buffer.concat([bytes, body]);
}

const framed = (body: Buffer): Buffer => sized(body.length, body);
const request = (api: Parameters<typeof encodeRequest>[0], version: number, body: object): Buffer =>
  Buffer.concat(encodeRequest(api as never, version, { correlationId: 7, clientId: 'noise' }, body as never).chunks);

const metadata = request(metadataApi, 12, { topics: [{ name: 'steady' }] });
const oldMetadata = request(metadataApi, 4, { topics: [{ name: 'steady' }] });
const patched = (bytes: Buffer, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeInt32BE(value, at);
  return copy;
};
/** Where the body begins: size, key, version, correlation id, client id. */
const oldBodyAt = 4 + 2 + 2 + 4 + 2 + 'noise'.length;

describe('what is no request', () => {
  const cases: readonly (readonly [string, Buffer])[] = [
    ['a negative size', sized(-1)],
    ['the most negative size', sized(-(2 ** 31))],
    ['a size of nothing', sized(0)],
    ['less than a header', sized(7, Buffer.alloc(7))],
    ['a size above socket.request.max.bytes', sized(104_857_601)],
    ['the largest size', sized(2 ** 31 - 1)],
    ['a header that ends in its client id', framed(metadata.subarray(4, 17))],
    ['a client id of negative length', framed(Buffer.concat([metadata.subarray(4, 12), Buffer.from([0xff, 0xf0])]))],
    ['a body cut short', framed(metadata.subarray(4, metadata.length - 3))],
    ['no body', framed(metadata.subarray(4, 19))],
    ['an array of negative length', patched(oldMetadata, oldBodyAt, -2)],
    ['an array of the largest length', patched(oldMetadata, oldBodyAt, 2 ** 31 - 1)],
    ['a varint that does not end', framed(Buffer.concat([metadata.subarray(4, 19), Buffer.alloc(20, 0xff)]))],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['TLS', Buffer.concat([Buffer.from('160301020001fc0303', 'hex'), Buffer.alloc(500, 7)])],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.9\r\n')],
    ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    [
      'an api that is not served',
      framed(Buffer.concat([Buffer.from([0, 27, 0, 1, 0, 0, 0, 1, 0, 0]), Buffer.alloc(50)])),
    ],
    ['an api that nobody has', framed(Buffer.from([0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0]))],
    ['a version that nobody has', framed(Buffer.from([0, 3, 0x7f, 0, 0, 0, 0, 1, 0, 0]))],
    ['a Produce of a version that left Kafka', framed(Buffer.from([0, 0, 0, 2, 0, 0, 0, 1, 0, 0]))],
  ];
  test.each(cases)('%s ends the connection with one line', async (_title, bytes) => {
    const before = complaints.length;
    await unharmed(() => sent(bytes));
    await until('the line is there', () => complaints.length > before);
    assert.equal(complaints.length, before + 1, JSON.stringify(complaints.slice(before)));
  });

  test('a good request before a bad one in the same packet, and half a frame that nobody finishes', async () => {
    await unharmed(async () => {
      const lines = complaints.length;
      await sent(Buffer.concat([metadata, sized(-1)]));
      await until('its line is there', () => complaints.length > lines);
      const before = complaints.length;
      const socket = connect(kafkaPort, host);
      socket.end(metadata.subarray(0, 15));
      socket.resume();
      await closed(socket);
      assert.equal(complaints.length, before, 'to leave is nothing to complain of');
    });
  });

  test('thousands of changed requests end or are answered, with at most one line each', async () => {
    const seed = Number(process.env.SEED ?? 1);
    const mutator = new Mutator(seed);
    const originals = [
      metadata,
      oldMetadata,
      request(apiVersionsApi, 3, { clientSoftwareName: 'noise', clientSoftwareVersion: '1' }),
      request(fetchApi, 12, { ...fetchHeavy, topics: partitionsOf('steady', 0n) }),
      request(createTopicsApi, 7, {
        topics: [{ name: 'x', numPartitions: -1, replicationFactor: -1 }],
        validateOnly: true,
      }),
      request(produceApi, 9, {
        acks: 1,
        timeoutMs: 100,
        topicData: [{ name: 'nobody', partitionData: [{ index: 0, records: Buffer.alloc(80) }] }],
      }),
    ];
    const count = 3000;
    const before = complaints.length;
    await unharmed(async () => {
      for (let round = 0; round < count / 50; round++)
        await Promise.all(
          Array.from({ length: 50 }, async () => {
            const socket = connect(kafkaPort, host);
            socket.on('error', () => undefined);
            const body = mutator.mutate(mutator.pick(originals).subarray(4));
            // The end of what is sent: whoever is answered or not yet complete closes then, too.
            socket.end(framed(body));
            socket.resume();
            await closed(socket);
          }),
        );
    });
    assert.ok(complaints.length - before <= count, `seed ${seed}: ${complaints.length - before} lines`);
  });
});

describe('clients that take without giving', () => {
  test('a thousand connections that send a byte at a time are all answered', async () => {
    const before = residentBytes();
    await unharmed(async () => {
      const sockets: Socket[] = [];
      const answered: Promise<unknown>[] = [];
      for (let index = 0; index < 1000; index++) {
        const socket = connect(kafkaPort, host);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        sockets.push(socket);
        answered.push(once(socket, 'data'));
      }
      for (const byte of metadata) {
        for (const socket of sockets) socket.write(Buffer.from([byte]));
        await Promise.all(sockets.map((socket) => until('it is sent', () => socket.writableLength === 0)));
      }
      await Promise.all(answered);
      for (const socket of sockets) socket.destroy();
    });
    assert.ok(residentBytes() - before < 150e6, `${(residentBytes() - before) / 1e6} MB more`);
  });

  test('sizes that are announced and never filled take no memory', async () => {
    const before = residentBytes();
    const sockets: Socket[] = [];
    await unharmed(async () => {
      for (let index = 0; index < 300; index++) {
        const socket = connect(kafkaPort, host);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(sized(100_000_000, Buffer.alloc(10_000)));
        sockets.push(socket);
      }
      const client = await open();
      await client.ask(apiVersionsApi, 0);
      client.close();
    });
    assert.ok(residentBytes() - before < 150e6, `${(residentBytes() - before) / 1e6} MB more`);
    for (const socket of sockets) socket.destroy();
  });

  test('a client that asks for much and never reads is not given more than it takes', async () => {
    const before = residentBytes();
    let most = 0;
    const sockets: Socket[] = [];
    await unharmed(async () => {
      const asking = request(fetchApi, 12, { ...fetchHeavy, topics: partitionsOf('heavy', 0n) });
      for (let index = 0; index < 20; index++) {
        const socket = connect(kafkaPort, host);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        socket.pause();
        // 8 MB each, 50 at a time: 8 GB if all were answered.
        socket.write(Buffer.concat(Array.from({ length: 50 }, () => asking)));
        sockets.push(socket);
      }
      for (let round = 0; round < 1000; round++) {
        const client = await open();
        await client.ask(apiVersionsApi, 0);
        client.close();
        most = Math.max(most, residentBytes());
      }
    });
    assert.ok(most - before < 500e6, `${(most - before) / 1e6} MB more`);
    for (const socket of sockets) socket.destroy();
  });

  test('a client that pipelines without end is held back', async () => {
    const before = residentBytes();
    const socket = connect(kafkaPort, host);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.pause();
    // A long wait in front: nothing behind it may be answered.
    socket.write(
      request(fetchApi, 12, { ...fetchHeavy, maxWaitMs: 60_000, topics: partitionsOf('steady', 1n << 40n) }),
    );
    await unharmed(async () => {
      const block = Buffer.concat(Array.from({ length: 10_000 }, () => metadata));
      for (let count = 0; count < 50 && socket.writableLength < 20e6; count++) socket.write(block);
      const client = await open();
      await client.ask(apiVersionsApi, 0);
      client.close();
    });
    assert.ok(residentBytes() - before < 150e6, `${(residentBytes() - before) / 1e6} MB more`);
    socket.destroy();
  });
});

describe('the other ports', () => {
  const noise: readonly (readonly [string, Buffer])[] = [
    ['zeros', Buffer.alloc(5000)],
    ['ones', Buffer.alloc(5000, 0xff)],
    ['a Kafka request', metadata],
    ['half a request line', Buffer.from('GET /rea')],
    ['an endless header', Buffer.from(`GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`)],
    ['a path that is no path', Buffer.from('GET /%ff%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')],
    ['HTTP/2 and noise', Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(1000, 3)])],
  ];
  test.each(noise)('%s on the ports for health and for brokers harm nobody', async (_title, bytes) => {
    await unharmed(async () => {
      for (const port of [broker.ports.http, broker.ports.peer]) {
        const socket = connect(port, host);
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        socket.resume();
        socket.end(bytes);
        await closed(socket);
      }
      assert.equal((await fetch(`${broker.healthUrl}/readyz`)).status, 200);
    });
  });

  test('health answers what it has and refuses the rest', async () => {
    const status = async (path: string, init: RequestInit = {}): Promise<number> =>
      (await fetch(`${broker.healthUrl}${path}`, init)).status;
    assert.equal(await status('/healthz'), 200);
    assert.equal(await status('/readyz?x=1'), 200);
    assert.equal(await status('/nothing'), 404);
    assert.equal(await status('/healthz', { method: 'POST', body: 'x'.repeat(1e6) }), 405);
  });
});
