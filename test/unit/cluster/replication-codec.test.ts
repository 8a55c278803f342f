import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { Frame } from '../../../src/cluster/frame-channel.ts';
import { ProtobufError } from '../../../src/cluster/protobuf.ts';
import {
  decodeFollowerFrame,
  encodeFollowerMessage,
  encodeLeaderMessage,
  fragmentsOf,
  frameBytes,
  frameLimitBytes,
  LeaderFrameDecoder,
  takeFrame,
} from '../../../src/cluster/replication-codec.ts';
import { offset } from '../../../src/model/brands.ts';
import type { LeaderMessage } from '../../../src/replication/replication-messages.ts';
import { followerMessages, leaderMessages } from './peer-samples.ts';
import { foreignCodecs, sameFacts } from './proto-files.ts';

const [foreignFollower, foreignLeader] = foreignCodecs(
  'replication.proto',
  'cordwood.replication.v1.Replication',
  'Session',
);
const messageLimitBytes = 16 * 1024 * 1024;

/** As grpc-js sends a frame: copied once behind its prefix. */
function bytesOf(frame: Frame | null): Buffer {
  assert.ok(frame);
  const target = Buffer.alloc(frame.byteLength + 5);
  frame.copy(target, 5);
  return target.subarray(5);
}

const leaderFrame = (messages: readonly LeaderMessage[]): Buffer =>
  bytesOf(takeFrame(messages.map(encodeLeaderMessage)));
const followerFrame = (): Buffer => bytesOf(takeFrame(followerMessages.map(encodeFollowerMessage)));

const dataOf = (batches: Buffer[]): LeaderMessage => ({
  kind: 'data',
  attachId: 1,
  baseOffset: offset(10),
  highWatermark: offset(5),
  logStartOffset: offset(0),
  batches,
});

test('all messages of one frame come back in order', () => {
  assert.deepEqual(new LeaderFrameDecoder(messageLimitBytes).decode(leaderFrame(leaderMessages)), leaderMessages);
  assert.deepEqual(decodeFollowerFrame(followerFrame()), followerMessages);
});

test('protobufjs reads the same from our frames, by the names of the .proto file', () => {
  assert.deepEqual(sameFacts({ messages: leaderMessages }, foreignLeader.decode(leaderFrame(leaderMessages))), []);
  assert.deepEqual(sameFacts({ messages: followerMessages }, foreignFollower.decode(followerFrame())), []);
});

test('what protobufjs writes is read the same', () => {
  const fromLeader = foreignLeader.encode(foreignLeader.decode(leaderFrame(leaderMessages)));
  assert.deepEqual(new LeaderFrameDecoder(messageLimitBytes).decode(fromLeader), leaderMessages);
  const fromFollower = foreignFollower.encode(foreignFollower.decode(followerFrame()));
  assert.deepEqual(decodeFollowerFrame(fromFollower), followerMessages);
});

test('batches are not copied when they are read: they are views of the frame', () => {
  const frame = leaderFrame([dataOf([Buffer.from('abc')])]);
  const [message] = new LeaderFrameDecoder(messageLimitBytes).decode(frame);
  assert.ok(message?.kind === 'data');
  assert.equal(message.batches[0]?.buffer, frame.buffer);
});

test('batches are not copied before they are sent', () => {
  const batches = Buffer.from('abc');
  const frame = takeFrame([encodeLeaderMessage(dataOf([batches]))]);
  batches[0] = 0x7a;
  const [message] = new LeaderFrameDecoder(messageLimitBytes).decode(bytesOf(frame));
  assert.ok(message?.kind === 'data');
  assert.equal(message.batches[0]?.toString(), 'zbc');
});

test('a frame takes messages up to its size and leaves the rest', () => {
  const waiting = Array.from({ length: 5 }, () => encodeLeaderMessage(dataOf([Buffer.alloc(400_000)])));
  const lengths: number[] = [];
  for (let frame = takeFrame(waiting); frame !== null; frame = takeFrame(waiting)) lengths.push(frame.length);
  assert.equal(lengths.length, 3);
  for (const length of lengths) assert.ok(length <= frameBytes);
});

test('a message longer than a frame comes back whole from its fragments, its batches as they were', () => {
  const batches = [Buffer.alloc(frameBytes * 2, 1), Buffer.alloc(1, 2), Buffer.alloc(frameBytes + 7, 3)];
  const sent = dataOf(batches);
  const frames = [...fragmentsOf(encodeLeaderMessage(sent))].map(bytesOf);
  const decoder = new LeaderFrameDecoder(messageLimitBytes);
  const received = frames.map((frame) => decoder.decode(frame));
  assert.equal(frames.length, 4);
  for (const frame of frames) assert.ok(frame.length <= frameLimitBytes);
  assert.deepEqual(received.slice(0, -1), [[], [], []]);
  assert.deepEqual(received.at(-1), [sent]);
  // The pieces are a message to protobufjs too.
  const pieces = frames.map((frame) => foreignLeader.decode(frame).fragment as { bytes: Buffer; messageBytes: number });
  assert.equal(Buffer.concat(pieces.map((piece) => piece.bytes)).length, pieces[0]?.messageBytes);
});

const long = [...fragmentsOf(encodeLeaderMessage(dataOf([Buffer.alloc(frameBytes * 3)])))].map(bytesOf);
const [first = Buffer.alloc(0), second = Buffer.alloc(0), third = Buffer.alloc(0)] = long;
const shorter = [...fragmentsOf(encodeLeaderMessage(dataOf([Buffer.alloc(frameBytes * 2 + 9)])))].map(bytesOf);

const wrongOrders: readonly (readonly [string, readonly Buffer[]])[] = [
  ['a fragment without a first one', [second]],
  ['a fragment that is repeated', [first, first]],
  ['a fragment that is missing', [first, third]],
  ['a fragment of another message', [first, shorter[1] ?? second]],
  ['an empty fragment', [Buffer.from('12020805', 'hex')]],
];

for (const [title, frames] of wrongOrders)
  test(`${title} is refused`, () => {
    const decoder = new LeaderFrameDecoder(messageLimitBytes);
    assert.throws(() => {
      for (const frame of frames) decoder.decode(frame);
    }, ProtobufError);
  });

test('fragments of a message beyond the limit are refused at the first one', () => {
  assert.throws(() => new LeaderFrameDecoder(frameBytes).decode(first), /a message of \d+ bytes/);
});

const malformed: readonly (readonly [string, string])[] = [
  ['a batch that is longer than its message', '0a062a042a7f0000'],
  ['a message that is longer than its frame', '0a7f2a00'],
  ['data and another case in one message', '0a042a000a00'],
  ['a number where a message belongs', '0800ff'],
  ['a reject without a reason', '0a041202' + '0801'],
];

for (const [title, hex] of malformed)
  test(`${title} is refused`, () => {
    assert.throws(() => new LeaderFrameDecoder(messageLimitBytes).decode(Buffer.from(hex, 'hex')), ProtobufError);
  });

test('messages that only a newer broker knows are passed over', () => {
  const frame = Buffer.concat([
    Buffer.from('0a039a0600', 'hex'),
    leaderFrame(leaderMessages),
    Buffer.from('9a0600', 'hex'),
  ]);
  assert.deepEqual(new LeaderFrameDecoder(messageLimitBytes).decode(frame), leaderMessages);
});
