/** Do the decoders of messages between brokers refuse damaged bytes with the one error made for that, and take no memory? */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { brokerMessage, controllerMessage } from '../../../src/cluster/control-codec.ts';
import { ProtobufError } from '../../../src/cluster/protobuf.ts';
import {
  decodeFollowerFrame,
  encodeFollowerMessage,
  encodeLeaderMessage,
  LeaderFrameDecoder,
  takeFrame,
} from '../../../src/cluster/replication-codec.ts';
import {
  brokerMessages,
  controllerMessages,
  followerMessages,
  leaderMessages,
} from '../../unit/cluster/peer-samples.ts';

const runs = 200_000;
const seed = Number(process.env.SEED ?? 1);

/** mulberry32: the same numbers for the same seed. */
function chance(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function damaged(sample: Buffer, pick: (below: number) => number): Buffer {
  const bytes = Buffer.from(sample);
  switch (pick(4)) {
    case 0:
      for (let count = 1 + pick(4); count > 0; count--) bytes[pick(bytes.length)] = pick(256);
      return bytes;
    case 1:
      return bytes.subarray(0, pick(bytes.length));
    case 2: {
      const at = pick(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(pick(bytes.length))]);
    }
    default:
      return Buffer.from(Array.from({ length: pick(64) }, () => pick(256)));
  }
}

const frameOf = (encoded: Parameters<typeof takeFrame>[0]): Buffer => {
  const frame = takeFrame(encoded);
  assert.ok(frame);
  const bytes = Buffer.alloc(frame.length);
  frame.copy(bytes, 0);
  return bytes;
};

const decoders: readonly (readonly [string, readonly Buffer[], (bytes: Buffer) => unknown])[] = [
  ['broker messages', brokerMessages.map((message) => brokerMessage.encode(message)), brokerMessage.decode],
  [
    'controller messages',
    controllerMessages.map((message) => controllerMessage.encode(message)),
    controllerMessage.decode,
  ],
  [
    'leader frames',
    leaderMessages.map((message) => frameOf([encodeLeaderMessage(message)])),
    (bytes) => new LeaderFrameDecoder(1_000_000).decode(bytes),
  ],
  [
    'follower frames',
    followerMessages.map((message) => frameOf([encodeFollowerMessage(message)])),
    decodeFollowerFrame,
  ],
];

for (const [title, samples, decode] of decoders)
  test(`damaged ${title} are read or refused, and nothing else (SEED=${seed})`, () => {
    const pick = chance(seed);
    let refused = 0;
    for (let run = 0; run < runs; run++) {
      const bytes = damaged(samples[pick(samples.length)] ?? Buffer.alloc(1), pick);
      try {
        decode(bytes);
      } catch (error) {
        assert.ok(error instanceof ProtobufError, `run ${run}: ${bytes.toString('hex')}: ${String(error)}`);
        refused++;
      }
    }
    // Damage that nothing notices would mean that nothing is checked.
    assert.ok(refused > runs / 10, `${refused} refused`);
  });
