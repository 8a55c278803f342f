import { setImmediate as turnOfThePool } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Clock, Timers } from '../../../src/env/clock.ts';
import { BatchInspector, type Inspection } from '../../../src/log/batch-inspection.ts';
import { BrokerError } from '../../../src/model/fault.ts';
import * as header from '../../../src/records/batch-header.ts';
import type { Codec } from '../../../src/records/compression.ts';
import { encodeBatch, hasValidCrc, recordsOf } from '../../../src/records/record-batch.ts';
import { ManualTime, settled } from '../../support/manual-time.ts';

const timestampMs = 1_700_000_000_000;
const maxMessageBytes = 4 << 20;

const batchOf = (count: number, codec: Codec = 'none', key: string | null = 'k'): Buffer =>
  encodeBatch({
    records: Array.from({ length: count }, (_, index) => ({
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(`value ${index}`),
      timestampMs,
    })),
    codec,
  });

/** Each look at the clock takes some milliseconds, so that a turn has time for few steps; turns are counted. */
class World {
  readonly time = new ManualTime();
  readonly inspector: BatchInspector;
  turns = 0;
  stepMs = 0;
  #nowMs = 0;

  constructor() {
    const clock: Clock = { wallMs: () => 0, monotonicMs: () => (this.#nowMs += this.stepMs) };
    const timers: Timers = {
      setTimer: (delayMs, callback) =>
        this.time.setTimer(delayMs, () => {
          this.turns++;
          callback();
        }),
      setRepeatingTimer: () => expect.unreachable(),
    };
    this.inspector = new BatchInspector({ clock, timers });
  }

  inspect(batch: Buffer, other: Partial<Inspection> = {}): Buffer | Promise<Buffer> {
    const codec = (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)[header.codecNumberOf(batch)] ?? 'none';
    return this.inspector.inspect(batch, { checksKeys: true, codec, maxMessageBytes, ...other });
  }

  async turn(): Promise<void> {
    await this.time.advance(0);
  }

  /** Turns the event loop until it is settled; the thread pool works in between. */
  async outcomeOf<Result>(work: Promise<Result>): Promise<Result | string> {
    let outcome: Result | string | undefined;
    void work.then(
      (result) => (outcome = result),
      (error: unknown) => (outcome = error instanceof BrokerError ? error.fault.code : String(error)),
    );
    while (outcome === undefined) {
      await this.turn();
      await turnOfThePool();
    }
    return outcome as Result | string;
  }
}

describe('a small batch', () => {
  test('is looked at at once while the turn has time, and in a later one when it has none, in order', async () => {
    const world = new World();
    world.stepMs = 4;
    const batches = Array.from({ length: 7 }, (_, index) => batchOf(index + 1));
    const inspected = batches.map((batch) => world.inspect(batch));
    expect(inspected.map((one) => one instanceof Promise)).toEqual([false, false, false, true, true, true, true]);
    const done: number[] = [];
    for (const [index, one] of inspected.entries()) if (one instanceof Promise) void one.then(() => done.push(index));
    await settled();
    expect(done).toEqual([]);
    for (let turn = 0; turn < 10; turn++) await world.turn();
    expect(done).toEqual([3, 4, 5, 6]);
    expect(inspected.slice(0, 3)).toEqual(batches.slice(0, 3));
  });

  test('does not wait for a large one', async () => {
    const world = new World();
    world.stepMs = 4;
    const large = world.inspect(batchOf(100_000));
    expect(large).toBeInstanceOf(Promise);
    await world.turn();
    expect(world.inspect(batchOf(2))).toBeInstanceOf(Buffer);
    expect(await world.outcomeOf(Promise.resolve(large))).toBeInstanceOf(Buffer);
  });

  test('is packed in the codec of the topic', () => {
    const batch = batchOf(5, 'gzip');
    const packed = new World().inspect(batch, { codec: 'zstd', checksKeys: false });
    if (packed instanceof Promise) expect.unreachable();
    else {
      expect(hasValidCrc(packed)).toBe(true);
      expect(header.codecNumberOf(packed)).toBe(4);
      expect([...recordsOf(packed, 1000)]).toEqual([...recordsOf(batch, 1000)]);
    }
  });
});

describe.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('a large batch in %s', (codec) => {
  const batch = batchOf(60_000, codec);

  test('is looked at piece by piece, over several turns', async () => {
    const world = new World();
    world.stepMs = 4;
    let isDone = false;
    const inspected = Promise.resolve(world.inspect(batch)).then((done) => {
      isDone = true;
      return done;
    });
    for (let turn = 0; turn < 100; turn++) await turnOfThePool();
    expect(isDone, 'while no timer ran').toBe(false);
    expect(await world.outcomeOf(inspected)).toBe(batch);
  });

  test('is refused where a record has no key', async () => {
    const world = new World();
    const keyless = batchOf(60_000, codec, null);
    expect(await world.outcomeOf(Promise.resolve(world.inspect(keyless)))).toBe('INVALID_RECORD');
  });

  test('is packed in the codec of the topic, or refused where that makes it too large', async () => {
    const world = new World();
    const other = codec === 'zstd' ? 'lz4' : 'zstd';
    const packed = await world.outcomeOf(Promise.resolve(world.inspect(batch, { codec: other })));
    expect(packed instanceof Buffer && [...recordsOf(packed, 8 << 20)].length).toBe(60_000);
    const wanted = codec === 'none' ? 'snappy' : 'none';
    const limits = { codec: wanted, maxMessageBytes: 20_000 } as const;
    expect(await world.outcomeOf(Promise.resolve(world.inspect(batch, limits)))).toBe('MESSAGE_TOO_LARGE');
  });
});

test('a few kilobytes that unpack to more than the limit are too large: a client may be able to send less', async () => {
  const world = new World();
  const value = Buffer.alloc(70 << 20);
  const bomb = encodeBatch({ records: [{ key: Buffer.from('k'), value, timestampMs }], codec: 'zstd' });
  expect(bomb.length).toBeLessThan(10_000);
  const inspected = world.inspect(bomb, { maxMessageBytes: 1 << 20 });
  expect(await world.outcomeOf(Promise.resolve(inspected))).toBe('MESSAGE_TOO_LARGE');
});

test('large batches are looked at one after the other', async () => {
  const world = new World();
  world.stepMs = 4;
  const done: string[] = [];
  const all = ['a', 'b', 'c'].map(async (name) => {
    await world.inspect(batchOf(name === 'a' ? 60_000 : 30_000));
    done.push(name);
  });
  await world.outcomeOf(Promise.all(all));
  expect(done).toEqual(['a', 'b', 'c']);
});

test.each(['none', 'gzip', 'lz4'] as const)(
  'a search in %s has few pieces in a turn, until it finds something',
  async (codec) => {
    const world = new World();
    world.stepMs = 4;
    const batch = batchOf(60_000, codec);
    const piecesByTurn = new Map<number, number>();
    let pieces = 0;
    const searching = world.inspector.search(batch, maxMessageBytes, () => {
      piecesByTurn.set(world.turns, (piecesByTurn.get(world.turns) ?? 0) + 1);
      return ++pieces === 6 ? 'found' : null;
    });
    expect(await world.outcomeOf(searching)).toBe('found');
    expect(pieces).toBe(6);
    expect(Math.max(...piecesByTurn.values())).toBeLessThanOrEqual(3);
  },
);

test('a search of a small batch waits for no large one, only for a turn that has time', async () => {
  const world = new World();
  world.stepMs = 4;
  const done: string[] = [];
  const search = async (name: string, batch: Buffer): Promise<void> => {
    expect(await world.inspector.search(batch, maxMessageBytes, () => 'found')).toBe('found');
    done.push(name);
  };
  const large = search('large', batchOf(60_000));
  const small = ['a', 'b', 'c', 'd'].map((name) => search(name, batchOf(2, 'lz4')));
  await settled();
  expect(done.filter((name) => name !== 'large')).toEqual(['a', 'b']);
  await world.outcomeOf(Promise.all([large, ...small]));
  expect(done.filter((name) => name !== 'large')).toEqual(['a', 'b', 'c', 'd']);
});

test('a search of small batches goes on while a large one is looked at', async () => {
  const world = new World();
  const value = Buffer.alloc(8 << 20);
  const large = encodeBatch({ records: [{ key: Buffer.from('k'), value, timestampMs }], codec: 'gzip' });
  const inspected = Promise.resolve(world.inspect(large, { maxMessageBytes: 16 << 20 }));
  let found: string | null = null;
  void world.inspector
    .search(batchOf(2), maxMessageBytes, () => 'found')
    .then((result) => {
      found = result;
    });
  await settled();
  expect(found).toBe('found');
  await world.outcomeOf(inspected);
});
