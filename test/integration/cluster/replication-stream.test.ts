import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { offset } from '../../../src/model/brands.ts';
import type { FollowerMessage, LeaderMessage } from '../../../src/replication/replication-messages.ts';
import { closing, nextMessage, PeerPair } from './peer-pair.ts';

const pairs: PeerPair[] = [];
const start = (messageLimitBytes?: number): Promise<PeerPair> => {
  const pair = new PeerPair({}, messageLimitBytes);
  pairs.push(pair);
  return pair.start();
};
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.stop();
});

const data = (baseOffset: number, batches: Buffer[]): LeaderMessage => ({
  kind: 'data',
  attachId: 1,
  baseOffset: offset(baseOffset),
  highWatermark: offset(baseOffset),
  logStartOffset: offset(0),
  batches,
});
const ack = (logEndOffset: number): FollowerMessage => ({
  kind: 'ack',
  attachId: 1,
  logEndOffset: offset(logEndOffset),
});

test('messages arrive in the order sent, in both directions', async () => {
  const pair = await start();
  const { stream, heard } = pair.connectReplication();
  for (let index = 0; index < 1_000; index++) stream.send([ack(index), ack(index)]);
  const served = await pair.replications.take();
  for (let index = 0; index < 1_000; index++) {
    assert.deepEqual(await nextMessage(served.heard), ack(index));
    assert.deepEqual(await nextMessage(served.heard), ack(index));
    served.stream.send([data(index, [Buffer.alloc(index, index)])]);
  }
  for (let index = 0; index < 1_000; index++)
    assert.deepEqual(await nextMessage(heard), data(index, [Buffer.alloc(index, index)]));
});

test('messages of every size come whole and in order, the longest in many frames between short ones', async () => {
  const pair = await start();
  const { heard } = pair.connectReplication();
  const served = await pair.replications.take();
  const sizes = [0, 1, 1_048_576, 2_097_151, 2_097_152, 2_097_153, 5, 9_000_001, 3];
  const sent = sizes.map((size, index) => data(index, [Buffer.alloc(size, index), Buffer.alloc(3, 7)]));
  served.stream.send(sent);
  for (const message of sent) {
    const received = await nextMessage(heard);
    assert.ok(message.kind === 'data' && received.kind === 'data');
    assert.equal(received.baseOffset, message.baseOffset);
    assert.deepEqual(
      received.batches.map((batches) => batches.length),
      message.batches.map((batches) => batches.length),
    );
    assert.ok(Buffer.concat(received.batches).equals(Buffer.concat(message.batches)));
  }
});

test('a sender sees what is queued, and hears when it has gone', async () => {
  const pair = await start();
  const { heard } = pair.connectReplication();
  const served = await pair.replications.take();
  served.stream.send([data(0, [Buffer.alloc(1_000_000)])]);
  assert.ok(served.stream.queuedBytes > 1_000_000);
  await nextMessage(heard);
  assert.deepEqual(await served.heard.take(), { kind: 'drained' });
  assert.equal(served.stream.queuedBytes, 0);
});

test('a follower that does not read holds the sender up, and what is queued stays visible', async () => {
  const pair = await start();
  const { heard } = pair.connectReplication();
  const served = await pair.replications.take();
  const total = 64;
  const batch = Buffer.alloc(1_000_000, 1);
  for (let index = 0; index < total; index++) served.stream.send([data(index, [batch])]);
  // Nothing has left yet: all of it is counted.
  assert.ok(served.stream.queuedBytes > total * 1_000_000);
  let lowest = served.stream.queuedBytes;
  for (let index = 0; index < total; index++) {
    assert.deepEqual((await nextMessage(heard)).kind, 'data');
    assert.ok(served.stream.queuedBytes <= lowest);
    lowest = served.stream.queuedBytes;
  }
});

test('what was sent before close arrives, and then the end', async () => {
  const pair = await start();
  const { stream, heard } = pair.connectReplication();
  const served = await pair.replications.take();
  served.stream.send([data(0, [Buffer.alloc(5_000_000)]), { kind: 'helloAnswer', isAccepted: false, reason: 'no' }]);
  served.stream.close();
  assert.equal((await nextMessage(heard)).kind, 'data');
  assert.deepEqual(await nextMessage(heard), { kind: 'helloAnswer', isAccepted: false, reason: 'no' });
  await closing(heard);
  stream.send([ack(1)]);
  assert.equal(heard.size, 0);
});

test('a leader can answer and close in the turn in which the stream came', async () => {
  const pair = await start();
  const { stream, heard } = pair.connectReplication();
  stream.send([ack(1)]);
  const served = await pair.replications.take();
  served.stream.send([{ kind: 'helloAnswer', isAccepted: false, reason: 'early' }]);
  served.stream.close();
  assert.deepEqual(await nextMessage(heard), { kind: 'helloAnswer', isAccepted: false, reason: 'early' });
  await closing(heard);
});

test('both ends hear of it when a broker lets go of everything', async () => {
  const pair = await start();
  const first = pair.connectReplication();
  await pair.replications.take();
  pair.server.abandon();
  await closing(first.heard);

  const other = await start();
  other.connectReplication();
  const served = await other.replications.take();
  other.replication.abandon();
  await closing(served.heard);
});

test('a port where nobody listens closes the stream', async () => {
  const pair = await start();
  await pair.server.close();
  await closing(pair.connectReplication().heard);
});

test('a message longer than the follower allows closes the stream, with one line in the log', async () => {
  const pair = await start(3_000_000);
  const { heard } = pair.connectReplication();
  const served = await pair.replications.take();
  served.stream.send([data(0, [Buffer.alloc(4_000_000)])]);
  await closing(heard);
  await closing(served.heard);
  assert.deepEqual(pair.warnings, ['closed a replication stream']);
});

test('the receiver may keep batches: what comes later does not overwrite them', async () => {
  const pair = await start();
  const { heard } = pair.connectReplication();
  const served = await pair.replications.take();
  const kept: Buffer[] = [];
  for (let index = 0; index < 50; index++) {
    served.stream.send([data(index, [Buffer.alloc(100_000, index)])]);
    const received = await nextMessage(heard);
    assert.ok(received.kind === 'data');
    kept.push(...received.batches);
  }
  for (const [index, batch] of kept.entries()) assert.ok(batch.equals(Buffer.alloc(100_000, index)));
});
