/** The misfortunes of the simulated store are what a simulation relies on: each must do what its name says, and replay. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  type LeaseId,
  type Mutation,
  StoreUnavailable,
  StoreWentBack,
} from '../../../src/controller/metadata-store.ts';
import type { Random } from '../../../src/env/random.ts';
import { revision } from '../../../src/model/brands.ts';
import { ManualTime } from '../../support/manual-time.ts';
import { goodNetwork, SimulatedStore, SimulatedStoreCore, type WatchCursor } from '../../support/simulated-store.ts';
import { WatchRecorder } from '../../support/store-harness.ts';

const put = (key: string, value: string, lease?: LeaseId): Mutation =>
  lease === undefined ? { kind: 'put', key, value } : { kind: 'put', key, value, lease };
const write = (core: SimulatedStoreCore, ...mutations: Mutation[]) => core.transact({ compares: [], mutations });
const pullAll = (cursor: WatchCursor): string[] => {
  const seen: string[] = [];
  for (let pulled = cursor.pull(); pulled.kind === 'events'; pulled = cursor.pull())
    for (const { key, value } of pulled.events.changes) seen.push(`${key}=${value}`);
  return seen;
};
/** Mulberry32. */
function seeded(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, bytes: (length) => Buffer.alloc(length, Math.floor(next() * 256)) };
}

test('a lost answer is of a committed transaction, a lost request of none, and the caller cannot tell them apart', () => {
  const core = new SimulatedStoreCore(() => 0);
  const isUnknown = (error: unknown) => error instanceof StoreUnavailable && error.outcomeUnknown;
  core.fateOfNextTxn('loseAnswer');
  assert.throws(() => write(core, put('a', '1')), isUnknown);
  core.fateOfNextTxn('loseRequest');
  assert.throws(() => write(core, put('b', '1')), isUnknown);
  assert.deepEqual(
    core.read('').entries.map(({ key }) => key),
    ['a'],
  );
});

test('while the store is away nothing happens to it and no lease runs out', () => {
  let nowMs = 0;
  const core = new SimulatedStoreCore(() => nowMs);
  const lease = core.grantLease(3_000);
  write(core, put('live/1', '1', lease));
  const cursor = core.openWatch('', revision(1));
  core.setAway(true);
  nowMs = 60_000;
  for (const call of [
    () => core.read(''),
    () => write(core, put('a', '1')),
    () => core.grantLease(1),
    () => core.keepAlive(lease),
  ])
    assert.throws(call, StoreUnavailable);
  assert.deepEqual(pullAll(cursor), []);
  assert.equal(core.nextExpiryMs(), null);
  core.setAway(false);
  assert.deepEqual(pullAll(cursor), ['live/1=1']);
  assert.equal(core.nextExpiryMs(), 63_000);
});

test('leases run out by the clock, and all at once where the store drops them', () => {
  let nowMs = 0;
  const core = new SimulatedStoreCore(() => nowMs);
  const [one, two] = [core.grantLease(3_000), core.grantLease(3_000)];
  write(core, put('live/1', '1', one), put('live/2', '1', two));
  const cursor = core.openWatch('', core.revision);
  nowMs = 2_000;
  assert.ok(core.keepAlive(two));
  nowMs = 3_000;
  assert.equal(core.keepAlive(one), false);
  assert.deepEqual(pullAll(cursor), ['live/1=null']);
  core.dropAllLeases();
  assert.deepEqual(pullAll(cursor), ['live/2=null']);
  assert.equal(core.keepAlive(two), false);
});

test('a cursor behind a compaction, or ahead of a restored store, must read anew', () => {
  const core = new SimulatedStoreCore(() => 0);
  write(core, put('a', '1'));
  const [behind, ahead] = [core.openWatch('', revision(1)), core.openWatch('', revision(1))];
  const snapshot = core.snapshot();
  write(core, put('a', '2'));
  assert.equal(pullAll(ahead).length, 2);
  core.compact();
  assert.equal(behind.pull().kind, 'compacted');
  core.restore(snapshot);
  assert.equal(ahead.pull().kind, 'compacted');
  assert.deepEqual(core.read('').revision, snapshot.revision);
});

test('a connection notices a store that was restored', async () => {
  const time = new ManualTime();
  const store = new SimulatedStore({ clock: time, timers: time, random: seeded(1) });
  const connection = store.connect();
  const snapshot = store.core.snapshot();
  const written = connection.transact({ compares: [], mutations: [put('a', '1')] });
  await time.advance(10);
  await written;
  store.core.restore(snapshot);
  const read = assert.rejects(connection.read(''), StoreWentBack);
  await time.advance(10);
  await read;
});

/** Writers and a watcher on a bad network; everything the watcher and the callers were told, as text. */
async function badDay(seed: number): Promise<{ told: string[]; isWhole: boolean }> {
  const time = new ManualTime();
  const random = seeded(seed);
  const network = { ...goodNetwork, loseRequest: 0.05, loseAnswer: 0.05, cutWatch: 0.2, mostDelayMs: 30 };
  const store = new SimulatedStore({ clock: time, timers: time, random }, network);
  const [writer, watcher] = [store.connect(), store.connect()];
  const told: string[] = [];
  const seen = new WatchRecorder().start(watcher, '', revision(1));
  for (let turn = 0; turn < 200; turn++) {
    if (turn === 60) watcher.setCutOff(true);
    if (turn === 90) watcher.setCutOff(false);
    if (turn === 120) store.setAway(true);
    if (turn === 130) store.setAway(false);
    if (turn % 20 === 0) store.cutWatches();
    writer.transact({ compares: [], mutations: [put(`k/${turn % 9}`, `${turn}`)] }).then(
      (outcome) => told.push(`${turn} at ${outcome.revision}`),
      (error: Error) => told.push(`${turn}: ${error.message}`),
    );
    await time.advance(20);
  }
  await time.advance(10_000);
  const { entries } = store.core.read('');
  told.push(...seen.events.map((events) => JSON.stringify(events)), ...seen.states.map(String));
  const isWhole = JSON.stringify(seen.appliedTo([])) === JSON.stringify(entries.map(({ key, value }) => [key, value]));
  assert.equal(new Set(seen.events.map((events) => events.revision)).size, seen.events.length);
  return { told, isWhole };
}

test('on a bad network every call is answered or refused, the watch has no gap, and a seed replays', async () => {
  for (const seed of [1, 2, 3]) {
    const { told, isWhole } = await badDay(seed);
    assert.ok(isWhole, `seed ${seed}`);
    assert.equal(told.filter((text) => /^\d+( at|:)/.test(text)).length, 200);
    assert.ok(told.some((text) => text.includes('does not answer')));
    assert.deepEqual((await badDay(seed)).told, told);
  }
  assert.notDeepEqual((await badDay(4)).told, (await badDay(5)).told);
});
