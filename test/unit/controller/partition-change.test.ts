import assert from 'node:assert/strict';
import { test } from 'vitest';
import { changePartition, effectiveMinIsr, type PartitionChange } from '../../../src/controller/partition-change.ts';
import { type BrokerId, brokerId, leaderEpoch } from '../../../src/model/brands.ts';
import { newPartitionRecord, type PartitionRecord } from '../../../src/model/metadata-schema.ts';

const ids = (...numbers: number[]): BrokerId[] => numbers.map(brokerId);
const activeOnly =
  (...numbers: number[]) =>
  (id: BrokerId): boolean =>
    numbers.includes(id);

function record(over: Partial<PartitionRecord> = {}): PartitionRecord {
  return { ...newPartitionRecord(ids(1, 2, 3), ids(1, 2, 3), brokerId(1), 2), ...over };
}

interface Expected {
  leader: number;
  isr: number[];
  elr?: number[];
  lastKnownElr?: number[];
  epochs: [leaderEpoch: number, partitionEpoch: number];
}

// what changes … | before | change | ACTIVE | after
const cases: [string, Partial<PartitionRecord>, PartitionChange, number[], Expected][] = [
  [
    'a dead leader is followed by the next of the assignment',
    {},
    { isr: ids(2, 3) },
    [2, 3],
    { leader: 2, isr: [2, 3], epochs: [1, 1] },
  ],
  [
    'the order of the assignment decides, not of ids',
    { replicas: ids(1, 3, 2) },
    { isr: ids(2, 3) },
    [2, 3],
    { leader: 3, isr: [2, 3], epochs: [1, 1] },
  ],
  [
    'a dead follower leaves the leader epoch alone',
    {},
    { isr: ids(1, 2) },
    [1, 2],
    { leader: 1, isr: [1, 2], epochs: [0, 1] },
  ],
  [
    'whoever leaves below minIsr stays eligible',
    { isr: ids(1, 2) },
    { isr: ids(1) },
    [1],
    { leader: 1, isr: [1], elr: [2], epochs: [0, 1] },
  ],
  [
    'the last member to leave is eligible and remembered',
    { isr: ids(1), elr: ids(2) },
    { isr: [] },
    [],
    { leader: -1, isr: [], elr: [1, 2], lastKnownElr: [1], epochs: [1, 1] },
  ],
  [
    'an eligible replica that is ACTIVE becomes leader and ISR when nobody is in sync',
    { isr: ids(1), elr: ids(2) },
    { isr: [] },
    [2],
    { leader: 2, isr: [2], elr: [1], epochs: [1, 1] },
  ],
  [
    'the first eligible replica that comes back is elected',
    { leader: brokerId(-1), isr: [], elr: ids(1, 2), lastKnownElr: ids(1) },
    {},
    [1],
    { leader: 1, isr: [1], elr: [2], lastKnownElr: [1], epochs: [1, 1] },
  ],
  [
    'with enough in sync nobody is eligible outside',
    { isr: ids(1), elr: ids(2), lastKnownElr: ids(3) },
    { isr: ids(1, 2) },
    [1, 2],
    { leader: 1, isr: [1, 2], epochs: [0, 1] },
  ],
  [
    'a lossy restart leaves the ELR and is remembered',
    { leader: brokerId(-1), isr: [], elr: ids(1, 2), lastKnownElr: ids(1) },
    { lossy: new Set(ids(1)) },
    [],
    { leader: -1, isr: [], elr: [2], lastKnownElr: [1], epochs: [0, 1] },
  ],
  [
    'one ISR member is enough where there is one replica, whatever minIsr says',
    { replicas: ids(1), isr: ids(1), minIsr: 2, elr: [] },
    { isr: [] },
    [],
    { leader: -1, isr: [], elr: [1], lastKnownElr: [1], epochs: [1, 1] },
  ],
  [
    'the preferred replica takes over when asked',
    { leader: brokerId(2) },
    { leader: { kind: 'preferred' } },
    [1, 2, 3],
    { leader: 1, isr: [1, 2, 3], epochs: [1, 1] },
  ],
  [
    'a larger minIsr makes nobody eligible who had left before',
    { isr: ids(1, 2), minIsr: 1 },
    { minIsr: 3 },
    [1, 2, 3],
    { leader: 1, isr: [1, 2], epochs: [0, 1] },
  ],
  [
    'a replica that leaves the assignment raises the leader epoch',
    {},
    { isr: ids(1, 2), assignment: { replicas: ids(1, 2), adding: [], removing: [] } },
    [1, 2],
    { leader: 1, isr: [1, 2], epochs: [1, 1] },
  ],
  [
    'a balanced recovery elects whom it found',
    { leader: brokerId(-1), isr: [], elr: [], lastKnownElr: ids(1, 2) },
    { leader: { kind: 'chosen', brokerId: brokerId(2), isUnclean: false } },
    [1, 2],
    { leader: 2, isr: [2], lastKnownElr: [1, 2], epochs: [1, 1] },
  ],
];

for (const [title, before, change, active, expected] of cases)
  test(title, () => {
    const after = changePartition(record(before), change, activeOnly(...active));
    assert.deepEqual(
      {
        leader: after.leader,
        isr: after.isr,
        elr: after.elr,
        lastKnownElr: after.lastKnownElr,
        epochs: [after.leaderEpoch, after.partitionEpoch],
      },
      { elr: [], lastKnownElr: [], ...expected },
    );
  });

test('an unclean election is recorded in the leader epoch it made (I21) and leaves nobody eligible', () => {
  const lost = record({
    leader: brokerId(-1),
    isr: [],
    elr: ids(1),
    lastKnownElr: ids(1),
    leaderEpoch: leaderEpoch(4),
  });
  const change: PartitionChange = { leader: { kind: 'chosen', brokerId: brokerId(3), isUnclean: true } };
  const after = changePartition(lost, change, activeOnly(3));
  assert.equal(after.uncleanEpoch, 5);
  assert.deepEqual([after.isr, after.elr, after.lastKnownElr], [ids(3), [], []]);
});

test('an unclean election beside a clean choice is a bug', () => {
  const lost = record({ leader: brokerId(-1), isr: [], elr: ids(1) });
  const change: PartitionChange = { leader: { kind: 'chosen', brokerId: brokerId(3), isUnclean: true } };
  assert.throws(() => changePartition(lost, change, activeOnly(1, 3)), /I21/);
});

test('a lossy restart in the ISR is a bug: it leaves when it is fenced', () => {
  assert.throws(() => changePartition(record(), { lossy: new Set(ids(2)) }, activeOnly(1, 2, 3)), /lossy/);
});

test('what changes nothing gives the record back, with its partition epoch', () => {
  const same = record();
  assert.equal(changePartition(same, { isr: ids(3, 2, 1) }, activeOnly(1, 2, 3)), same);
});

/** A small generator on a seed, so that a failure can be seen again. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test('after any history: sets do not overlap, leaders are in sync, and what was complete stays reachable (I8, I9, I22)', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const chance = numbers(seed);
    const below = (limit: number): number => Math.floor((chance.next().value ?? 0) * limit);
    const count = 1 + below(4);
    const replicas = Array.from({ length: count }, (_, index) => brokerId(index));
    let now = newPartitionRecord(replicas, replicas, brokerId(0), 1 + below(4));
    // Who holds everything committed: all at first; whoever leaves while enough are in sync falls behind.
    let complete = new Set<BrokerId>(replicas);
    const up = new Set<BrokerId>(replicas);
    for (let round = 0; round < 60; round++) {
      const who = brokerId(below(count));
      const lossy = new Set<BrokerId>();
      const wasUp = up.has(who);
      const mayRejoin = wasUp && now.leader >= 0 && !now.isr.includes(who);
      let change: PartitionChange;
      if (mayRejoin && below(2) === 0) {
        change = { isr: [...now.isr, who] };
        complete.add(who);
      } else if (wasUp) {
        up.delete(who);
        change = { isr: now.isr.filter((id) => id !== who) };
      } else {
        if (below(4) === 0) {
          lossy.add(who);
          complete.delete(who);
        }
        up.add(who);
        change = { isr: now.isr.filter((id) => id !== who), lossy };
      }
      const next = changePartition(now, change, (id) => up.has(id) && !lossy.has(id));
      const all = [...next.isr, ...next.elr];
      assert.equal(new Set(all).size, all.length, `seed ${seed}: ISR and ELR overlap`);
      assert.ok(next.leader === -1 || (next.isr.includes(next.leader) && up.has(next.leader)), `seed ${seed}: leader`);
      assert.ok(
        next.leader !== -1 || ![...next.isr, ...next.elr].some((id) => up.has(id) && !lossy.has(id)),
        `seed ${seed}: idle`,
      );
      assert.ok(
        all.every((id) => complete.has(id)),
        `seed ${seed}: an incomplete candidate`,
      );
      assert.ok(next.isr.length < effectiveMinIsr(next.minIsr, replicas) || next.elr.length === 0);
      assert.ok(next === now || next.partitionEpoch === now.partitionEpoch + 1);
      assert.equal(next.leaderEpoch, now.leaderEpoch + (next.leader === now.leader ? 0 : 1), `seed ${seed}: epoch`);
      // Records are committed now, if enough are in sync: whoever is outside misses them.
      if (next.leader >= 0 && next.isr.length >= effectiveMinIsr(next.minIsr, replicas)) complete = new Set(next.isr);
      now = next;
    }
  }
});
