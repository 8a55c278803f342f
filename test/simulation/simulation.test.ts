import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import type { DeliberateFault } from './deliberate-fault.ts';
import { deliberateFaults } from './deliberate-faults.ts';
import { strandedSchedules } from './groups/group-faults.ts';
import { namedSeeds } from './named-seeds.ts';
import { replayCommand } from './tally.ts';
import { runWorld, World } from './world.ts';

/** The share of a CI run: more seeds with `npm run simulate`. */
const seeds = 2_000;
/** Each fault below turns red long before this; the slow ones are left to `npm run simulate -- --faults`. */
const faultSeeds = 1_500;
/** Among them 165, with slow messages: a refused sending of an ISR proposal was taken for the end of the other (I9). */
const strandedSeeds = 200;
const quickFaults = deliberateFaults.filter((fault) => fault.isQuick !== false);

describe('a simulated cluster', () => {
  test(`keeps every invariant over ${seeds} seeds`, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { violation } = runWorld({ seed });
      assert.ok(violation === null, `seed ${seed}: ${violation?.stack}\n  replay it: ${replayCommand(seed, null)}`);
    }
  });

  for (const { seed, why, hasGroups } of namedSeeds)
    test(`keeps every invariant on seed ${seed}, which once ${why}`, () => {
      const { violation } = runWorld({ seed, ...(hasGroups ? { hasGroups } : {}) });
      assert.equal(violation, null, `${violation?.stack}\n  replay it: ${replayCommand(seed, null, hasGroups)}`);
    });

  test('does the same on the same seed, step by step', () => {
    for (const seed of [7, 8, 9]) {
      const [once, again] = [runWorld({ seed }), runWorld({ seed, keepsTrace: true })];
      assert.equal(once.traceHash, again.traceHash);
      assert.equal(once.steps, again.steps);
    }
    assert.notEqual(runWorld({ seed: 7 }).traceHash, runWorld({ seed: 8 }).traceHash);
  });

  test('commits records in most worlds, so that there is something to lose', () => {
    const worlds = Array.from({ length: 40 }, (_, i) => runWorld({ seed: 1_000 + i }));
    assert.ok(worlds.filter((world) => world.committedRecords > 20).length > 30);
  });

  test('answers groups in every third world, so that there is something to tell wrong', () => {
    const worlds = Array.from({ length: 60 }, (_, i) => runWorld({ seed: 2_000 + i }));
    assert.ok(worlds.filter((world) => world.groupAnswers > 100).length > 15);
    assert.ok(worlds.filter((world) => world.groupAnswers === 0).length === 40);
  });
});

test('leases that all end at once move no leader: they prove nothing about who held them (I7)', () => {
  const quiet: DeliberateFault = {
    name: 'no fault',
    aim: { kinds: ['dropLeases', 'wallClock', 'compact'], everyMs: 300 },
  };
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World({ seed, fault: quiet });
    world.play();
    for (const { key, record } of world.partitions()) assert.equal(record.leaderEpoch, 0, `seed ${seed}: ${key} moved`);
  }
});

describe('a cluster whose leaders are replaced unawares keeps every invariant', () => {
  for (const schedule of strandedSchedules)
    test(`in the schedules ${schedule.name}`, () => {
      for (let seed = 1; seed <= strandedSeeds; seed++) {
        const { violation } = runWorld({ seed, fault: schedule });
        assert.ok(
          violation === null,
          `seed ${seed}: ${violation?.stack}\n  replay it: ${replayCommand(seed, schedule)}`,
        );
      }
    });
});

describe('the simulation turns red', () => {
  for (const fault of quickFaults)
    test(`with ${fault.name}`, () => {
      for (let seed = 1; seed <= faultSeeds; seed++) if (runWorld({ seed, fault }).violation) return;
      assert.fail(`green over ${faultSeeds} seeds`);
    });
});
