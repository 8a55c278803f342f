/** Does the port for brokers survive whatever is sent to it, without memory for it, and go on serving brokers? */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, test } from 'vitest';
import { controlPath } from '../../../src/cluster/control-grpc.ts';
import { replicationPath } from '../../../src/cluster/replication-grpc.ts';
import { brokerEpoch, brokerId } from '../../../src/model/brands.ts';
import { closing, nextMessage, PeerPair } from '../../integration/cluster/peer-pair.ts';

const pairs: PeerPair[] = [];
const start = (): Promise<PeerPair> => {
  const pair = new PeerPair();
  pairs.push(pair);
  return pair.start();
};
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.stop();
});

async function stillServes(pair: PeerPair): Promise<void> {
  const { stream } = pair.connectControl();
  for (;;) {
    const served = await pair.controls.take();
    stream.send({ kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(1) });
    const next = await served.heard.take();
    // Streams that the noise opened are in line before this one.
    if (next.kind === 'message') return;
  }
}

/** A gRPC message: its prefix says how it is compressed and how long it is, truly or not. */
function grpcMessage(body: Buffer, length = body.length, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, body]);
}

/** Sends `bytes` as the body of a call and waits until the server has ended it. */
async function call(pair: PeerPair, path: string, bytes: Buffer, headers = {}): Promise<void> {
  const session = http2.connect(`http://${pair.endpoint.host}:${pair.endpoint.port}`);
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  stream.resume();
  stream.write(bytes);
  await once(stream, 'close');
  session.destroy();
}

const bodies: readonly (readonly [string, Buffer, object?])[] = [
  ['a message of zeros', grpcMessage(Buffer.alloc(100))],
  ['a message of ones', grpcMessage(Buffer.alloc(100, 0xff))],
  ['a message said to be 4 GiB long', grpcMessage(Buffer.alloc(10), 0xffffffff)],
  [
    'a message said to be compressed that is not',
    grpcMessage(Buffer.alloc(100, 1), 100, 1),
    { 'grpc-encoding': 'gzip' },
  ],
  ['a message of an unknown compression', grpcMessage(Buffer.alloc(100, 1), 100, 1), { 'grpc-encoding': 'zip' }],
];

for (const path of [controlPath, replicationPath])
  for (const [title, bytes, headers] of bodies)
    test(`${title} on ${path}: the call ends, the port serves on`, async () => {
      const pair = await start();
      await call(pair, path, bytes, headers);
      await stillServes(pair);
    });

test('a call of a service that is not there ends', async () => {
  const pair = await start();
  await call(pair, '/cordwood.Nothing/Here', grpcMessage(Buffer.alloc(1)));
  await stillServes(pair);
});

test('hundreds of connections with noise leave nothing behind', async () => {
  const pair = await start();
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  let state = Number(process.env.SEED ?? 1);
  const noise = (bytes: number): Buffer =>
    Buffer.from(
      Array.from({ length: bytes }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state >>> 24;
      }),
    );
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const socket = net.connect(pair.endpoint.port, pair.endpoint.host);
        socket.on('error', () => undefined);
        socket.resume();
        await once(socket, 'connect');
        socket.write(index % 2 === 0 ? noise(200) : Buffer.concat([preface, noise(2_000)]));
        if (!socket.closed) await once(socket, 'close');
      }),
    );
  }
  await stillServes(pair);
  assert.ok(pair.warnings.length <= 400, 'one line for each connection at most');
});

test('a peer that never reads is given up before it takes more than the queue may hold', async () => {
  const pair = await start();
  const session = http2.connect(`http://${pair.endpoint.host}:${pair.endpoint.port}`);
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': controlPath,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  stream.pause();
  const served = await pair.controls.take();
  const reason = 'x'.repeat(1_000_000);
  let sent = 0;
  for (; sent < 200 && served.heard.size === 0; sent++)
    served.peer.send({ kind: 'registrationRefused', fault: { code: 'INVALID_REQUEST', reason } });
  assert.equal(await closing(served.heard), 'lost');
  assert.ok(sent < 40, `${sent} MB were taken`);
  session.destroy();
  const { stream: other } = pair.connectControl();
  const next = await pair.controls.take();
  other.send({ kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(1) });
  assert.equal((await nextMessage(next.heard)).kind, 'goodbye');
});
