import assert from 'node:assert/strict';
import { test } from 'vitest';
import { FrameReader, shortestRequestBytes } from '../../../src/wire/frame-reader.ts';
import { WireError } from '../../../src/wire/wire-error.ts';

const reader = (limits: { maxBytes?: number; minBytes?: number } = {}) =>
  new FrameReader({ maxBytes: limits.maxBytes ?? 1_000_000, minBytes: limits.minBytes ?? shortestRequestBytes });

function framed(...bodies: Buffer[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length);
      return [size, body];
    }),
  );
}

const body = (length: number, seed = 1) => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff));
const bodies = [body(8), body(9, 2), body(3000, 3), body(70_000, 4), body(100, 5), body(2047, 6)];

function fedInPiecesOf(stream: Buffer, sizeOf: (index: number) => number, into = reader()): Buffer[] {
  const frames: Buffer[] = [];
  for (let position = 0, index = 0; position < stream.length; index++) {
    const end = Math.min(stream.length, position + sizeOf(index));
    frames.push(...into.push(Buffer.from(stream.subarray(position, end))));
    position = end;
  }
  return frames;
}

for (const size of [1, 2, 3, 4, 5, 7, 100, 2047, 2048, 2049, 65_536, 1_000_000])
  test(`frames come out whole when the stream arrives in pieces of ${size}`, () => {
    const input = reader();
    assert.deepEqual(
      fedInPiecesOf(framed(...bodies), () => size, input),
      bodies,
    );
    assert.equal(input.heldBytes, 0);
  });

test('frames come out whole when small and large pieces alternate', () => {
  const sizes = [1, 2048, 3, 2047, 2049, 17, 5000, 1];
  assert.deepEqual(
    fedInPiecesOf(framed(...bodies, ...bodies), (index) => sizes[index % sizes.length] ?? 1),
    [...bodies, ...bodies],
  );
});

test('a frame within one chunk is a view of the chunk', () => {
  const chunk = framed(body(20), body(30));
  const frames = reader().push(chunk);
  assert.equal(frames.length, 2);
  for (const frame of frames) assert.equal(frame.buffer, chunk.buffer);
});

test('a frame over several chunks shares no memory with them', () => {
  const stream = framed(body(10_000));
  const chunks = [Buffer.from(stream.subarray(0, 5000)), Buffer.from(stream.subarray(5000))];
  const input = reader();
  const frames = chunks.flatMap((chunk) => input.push(chunk));
  for (const chunk of chunks) chunk.fill(0);
  assert.deepEqual(frames, [body(10_000)]);
});

test('an empty chunk changes nothing', () => {
  const input = reader();
  const stream = framed(body(50));
  assert.deepEqual(input.push(Buffer.alloc(0)), []);
  assert.deepEqual(input.push(stream.subarray(0, 20)), []);
  assert.deepEqual(input.push(Buffer.alloc(0)), []);
  assert.equal(input.heldBytes, 20);
  assert.deepEqual(input.push(stream.subarray(20)), [body(50)]);
});

test('frames without content come out where none is needed', () => {
  const input = reader({ minBytes: 0 });
  assert.deepEqual(input.push(Buffer.alloc(8)), [Buffer.alloc(0), Buffer.alloc(0)]);
  assert.deepEqual([...input.push(Buffer.alloc(3)), ...input.push(Buffer.alloc(1))], [Buffer.alloc(0)]);
});

const refused = [
  ['negative', -1],
  ['the lowest there is', -(2 ** 31)],
  ['one less than a header', 7],
  ['zero', 0],
  ['one above the limit', 1001],
  ['the highest there is', 2 ** 31 - 1],
  ['text of another protocol', 0x47455420],
] as const;

for (const [title, size] of refused)
  for (const cut of [4, 2])
    test(`a size that is ${title} is refused, its bytes arriving by ${cut}`, () => {
      const prefix = Buffer.alloc(4);
      prefix.writeInt32BE(size);
      const input = reader({ maxBytes: 1000 });
      assert.throws(() => {
        input.push(prefix.subarray(0, cut));
        input.push(prefix.subarray(cut));
      }, WireError);
    });

test('the limit itself is accepted, and may be raised between two frames', () => {
  const input = reader({ maxBytes: 100 });
  assert.deepEqual(input.push(framed(body(100))), [body(100)]);
  input.limits.maxBytes = 200;
  assert.deepEqual(input.push(framed(body(200))), [body(200)]);
});

test('a large size that is only claimed allocates nothing', () => {
  const inputs = Array.from({ length: 1000 }, () => reader({ maxBytes: 2 ** 31 - 1 }));
  const before = process.memoryUsage().arrayBuffers;
  for (const input of inputs) {
    const prefix = Buffer.allocUnsafe(5);
    prefix.writeInt32BE(2 ** 31 - 1);
    input.push(prefix);
    assert.equal(input.heldBytes, 5);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});

test('a frame that trickles in keeps about as much memory as was received', () => {
  const input = reader({ maxBytes: 1_000_000_000 });
  const before = process.memoryUsage().arrayBuffers;
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(1_000_000_000);
  input.push(prefix);
  const piece = Buffer.alloc(1);
  const larger = Buffer.alloc(2048);
  for (let i = 0; i < 100_000; i++) input.push(piece);
  for (let i = 0; i < 500; i++) {
    input.push(piece);
    input.push(Buffer.from(larger));
  }
  assert.equal(input.heldBytes, 4 + 100_000 + 500 * 2049);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 * input.heldBytes + 500_000);
});
