import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import type { BrokerMessage } from '../../../src/controller/control-messages.ts';
import { brokerEpoch, brokerId, revision } from '../../../src/model/brands.ts';
import { closing, nextMessage, PeerPair } from './peer-pair.ts';

const pairs: PeerPair[] = [];
const start = (): Promise<PeerPair> => {
  const pair = new PeerPair();
  pairs.push(pair);
  return pair.start();
};
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.stop();
});

const heartbeat = (sequence: number): BrokerMessage => ({
  kind: 'heartbeat',
  sequence,
  brokerId: brokerId(1),
  incarnation: 'a',
  brokerEpoch: brokerEpoch(1),
  appliedRevision: revision(1),
  isCaughtUp: true,
  wantsShutdown: false,
  wallMs: 1,
});
const goodbye: BrokerMessage = { kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(1) };

test('messages arrive in the order sent, in both directions, also those sent before the connection stood', async () => {
  const pair = await start();
  const { stream, heard } = pair.connectControl();
  for (let sequence = 0; sequence < 500; sequence++) stream.send(heartbeat(sequence));
  const served = await pair.controls.take();
  for (let sequence = 0; sequence < 500; sequence++) {
    assert.deepEqual(await nextMessage(served.heard), heartbeat(sequence));
    served.peer.send({ kind: 'registered', brokerEpoch: brokerEpoch(sequence), revision: revision(0) });
  }
  for (let sequence = 0; sequence < 500; sequence++)
    assert.deepEqual(await nextMessage(heard), {
      kind: 'registered',
      brokerEpoch: brokerEpoch(sequence),
      revision: revision(0),
    });
});

test('each stream has a connection and an id of its own', async () => {
  const pair = await start();
  pair.connectControl();
  pair.connectControl();
  const [first, second] = [await pair.controls.take(), await pair.controls.take()];
  assert.notEqual(first.peer.streamId, second.peer.streamId);
});

test('what was sent before close arrives, and then the end: the other end closed it', async () => {
  const pair = await start();
  const { stream } = pair.connectControl();
  const served = await pair.controls.take();
  stream.send(goodbye);
  stream.close();
  assert.deepEqual(await nextMessage(served.heard), goodbye);
  assert.equal(await closing(served.heard), 'peerClosed');
});

test('what the controller sent before it closed arrives, and then the end: the other end closed it', async () => {
  const pair = await start();
  const { heard } = pair.connectControl();
  const served = await pair.controls.take();
  served.peer.send({ kind: 'notController' });
  served.peer.close();
  assert.deepEqual(await nextMessage(heard), { kind: 'notController' });
  assert.equal(await closing(heard), 'peerClosed');
});

test('whoever closed a stream hears nothing more of it', async () => {
  const pair = await start();
  const closed = pair.connectControl();
  const served = await pair.controls.take();
  closed.stream.close();
  await closing(served.heard);
  served.peer.send({ kind: 'notController' });
  await pair.server.close();
  assert.equal(closed.heard.size, 0);
});

test('a server that lets go of everything is seen as a peer that closed, by every stream', async () => {
  const pair = await start();
  const streams = [pair.connectControl(), pair.connectControl()];
  await pair.controls.take();
  await pair.controls.take();
  pair.server.abandon();
  for (const { heard } of streams) assert.equal(await closing(heard), 'peerClosed');
});

test('a client that lets go of everything is seen as a peer that closed', async () => {
  const pair = await start();
  pair.connectControl();
  const served = await pair.controls.take();
  pair.control.abandon();
  assert.equal(await closing(served.heard), 'peerClosed');
});

test('a port where nobody listens says that the peer is gone', async () => {
  const pair = await start();
  await pair.server.close();
  assert.equal(await closing(pair.connectControl().heard), 'peerClosed');
});

test('a name that does not exist is no evidence of anything', async () => {
  const pair = await start();
  const { heard } = pair.connectControl({ name: '', host: 'no-such-host.invalid', port: 9192 });
  assert.equal(await closing(heard), 'lost');
});

test('a message that is not one of ours closes its stream, with one line in the log, and no other', async () => {
  const pair = await start();
  const bad = pair.connectControl();
  const servedBad = await pair.controls.take();
  const good = pair.connectControl();
  const servedGood = await pair.controls.take();
  // A broker id that no broker has is written by the codec and refused by the reader's constructor.
  bad.stream.send({ kind: 'goodbye', brokerId: -7 as never, brokerEpoch: brokerEpoch(1) });
  assert.equal(await closing(servedBad.heard), 'lost');
  assert.equal(await closing(bad.heard), 'peerClosed');
  good.stream.send(goodbye);
  assert.deepEqual(await nextMessage(servedGood.heard), goodbye);
  assert.deepEqual(pair.warnings, ['closed a control stream']);
});

test('a large message passes', async () => {
  const pair = await start();
  const { stream } = pair.connectControl();
  const served = await pair.controls.take();
  const topics = Array.from({ length: 20_000 }, (_, index) => ({
    name: `topic-${index}`,
    partitions: 3,
    replicationFactor: 3,
    assignment: [[brokerId(1), brokerId(2)], [brokerId(2)]],
    configs: { 'retention.ms': '1000' },
    isInternal: false,
  }));
  const message: BrokerMessage = {
    kind: 'admin',
    requestId: 1,
    command: { kind: 'createTopics', topics, validateOnly: false },
  };
  stream.send(message);
  assert.deepEqual(await nextMessage(served.heard), message);
});
