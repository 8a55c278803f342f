import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  assignmentProblem,
  type PlacementBroker,
  PlacementLoad,
  placeReplicas,
  replicationFactorProblem,
} from '../../../src/controller/placement.ts';
import { type BrokerId, brokerId } from '../../../src/model/brands.ts';

function brokers(
  count: number,
  rackOf: (id: number) => string | null = () => null,
  inactive: number[] = [],
): PlacementBroker[] {
  return Array.from({ length: count }, (_, index) => ({
    id: brokerId(index + 1),
    rack: rackOf(index + 1),
    isActive: !inactive.includes(index + 1),
  }));
}

const tally = (ids: readonly (BrokerId | undefined)[]): number[] => {
  const counts = new Map<BrokerId | undefined, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts.values()].sort((a, b) => a - b);
};

test('9 partitions on 3 brokers have exactly 3 leaders each', () => {
  const placed = placeReplicas(brokers(3), 9, 3, [], new PlacementLoad());
  assert.deepEqual(tally(placed.map(([leader]) => leader)), [3, 3, 3]);
});

test('the partitions of one leader have different heirs', () => {
  const placed = placeReplicas(brokers(3), 6, 3, [], new PlacementLoad());
  const heirs = placed.filter(([leader]) => leader === 1).map(([, heir]) => heir);
  assert.deepEqual(tally(heirs), [1, 1]);
});

test('topics of one partition spread over the brokers', () => {
  const load = new PlacementLoad();
  const leaders = Array.from({ length: 6 }, () => placeReplicas(brokers(3), 1, 2, [], load)[0]?.[0]);
  assert.deepEqual(tally(leaders), [2, 2, 2]);
});

for (const [count, partitions, factor] of [
  [3, 7, 2],
  [5, 20, 3],
  [7, 13, 4],
] as const)
  test(`${partitions} partitions x ${factor} on ${count} brokers differ by at most one leader and two replicas`, () => {
    const placed = placeReplicas(brokers(count), partitions, factor, [], new PlacementLoad());
    const spread = (counts: number[]): number => (counts.at(-1) ?? 0) - (counts[0] ?? 0);
    assert.ok(spread(tally(placed.map(([leader]) => leader))) <= 1);
    assert.ok(spread(tally(placed.flat())) <= 2);
    for (const replicas of placed) assert.equal(new Set(replicas).size, factor);
  });

test('replicas of a partition are in different racks while there are racks', () => {
  const rackOf = (id: number): string => `rack-${id % 3}`;
  for (const replicas of placeReplicas(brokers(6, rackOf), 12, 3, [], new PlacementLoad()))
    assert.equal(new Set(replicas.map((id) => rackOf(id))).size, 3);
});

test('a fenced broker is taken only when the others are used up, and never first', () => {
  const [two] = placeReplicas(brokers(3, undefined, [1]), 1, 2, [], new PlacementLoad());
  assert.deepEqual(two, [2, 3]);
  const [three] = placeReplicas(brokers(3, undefined, [1]), 1, 3, [], new PlacementLoad());
  assert.deepEqual(three, [2, 3, 1]);
});

test('partitions added later continue where the others ended', () => {
  const existing = placeReplicas(brokers(3), 4, 2, [], new PlacementLoad());
  const load = new PlacementLoad();
  for (const replicas of existing) load.add(replicas);
  const added = placeReplicas(brokers(3), 5, 2, existing, load);
  assert.deepEqual(tally([...existing, ...added].map(([leader]) => leader)), [3, 3, 3]);
});

test('replication factors that cannot be are refused', () => {
  assert.equal(replicationFactorProblem(brokers(3), 3), null);
  assert.match(replicationFactorProblem(brokers(3), 4) ?? '', /more than the 3 broker/);
  assert.match(replicationFactorProblem(brokers(3), 0) ?? '', /at least 1/);
  assert.match(replicationFactorProblem(brokers(2, undefined, [1, 2]), 1) ?? '', /fenced/);
});

const manual: [string, number[][], number | null, RegExp | null][] = [
  [
    'a good one',
    [
      [1, 2],
      [2, 3],
    ],
    null,
    null,
  ],
  ['no replicas', [[]], null, /empty/],
  ['a broker twice', [[1, 1]], null, /repeat/],
  ['a broker that is not there', [[1, 9]], null, /not registered/],
  ['partitions of different sizes', [[1, 2], [3]], null, /other partitions have 2/],
  ['another size than the topic has', [[1]], 2, /other partitions have 2/],
  ['only fenced brokers', [[4]], null, /fenced/],
];
for (const [title, assignment, factor, problem] of manual)
  test(`a manual assignment with ${title} is ${problem ? 'refused' : 'accepted'}`, () => {
    const found = assignmentProblem(
      assignment.map((replicas) => replicas.map(brokerId)),
      brokers(4, undefined, [4]),
      factor,
    );
    if (problem) assert.match(found ?? '', problem);
    else assert.equal(found, null);
  });
