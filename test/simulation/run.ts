/**
 * Runs seeds from the command line.
 *
 *   --seed N          one seed, with its trace on failure (--trace for always)
 *   --seeds N         as many seeds, from --from (default 1)
 *   --minutes M       seeds until the time is over
 *   --fault NAME      with this deliberate fault: stops at the first red seed, exits 1 if there is none
 *   --aimed           with --fault: only the schedules that are aimed at it, without the fault itself (must be green);
 *                     also for `strandedSchedules`, which are aimed at nothing
 *   --faults          every deliberate fault in turn, up to --seeds each; prints a table
 *
 *   --groups          with consumer groups in every seed, not in every third
 *   --ignore I5,C20   without these invariants: what harm follows from a breach of theirs?
 *
 * Exits 1 when a seed is red (or a fault stays green).
 */
import { parseArgs } from 'node:util';
import type { DeliberateFault } from './deliberate-fault.ts';
import { deliberateFaults } from './deliberate-faults.ts';
import { strandedSchedules } from './groups/group-faults.ts';
import { replayCommand, Tally } from './tally.ts';
import { runWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    fault: { type: 'string' },
    faults: { type: 'boolean', default: false },
    ignore: { type: 'string' },
    aimed: { type: 'boolean', default: false },
    groups: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});

const ignored = values.ignore?.split(',') ?? [];
const withGroups = values.groups ? { hasGroups: true } : {};

const faultNamed = (name: string): DeliberateFault => {
  const found = [...deliberateFaults, ...strandedSchedules].find(
    (fault) => fault.name === name || fault.name.startsWith(`${name}-`),
  );
  if (!found)
    throw new Error(`no fault is called ${name}; there are ${deliberateFaults.map((fault) => fault.name).join(', ')}`);
  return found;
};

function runOne(seed: number, fault: DeliberateFault | null): number {
  const result = runWorld({ seed, fault, ignored, keepsTrace: true, ...withGroups });
  if (result.violation || values.trace) for (const line of result.trace) console.log(line);
  console.log(
    result.violation
      ? `\nseed ${seed} is red: ${result.violation.stack}`
      : `seed ${seed} is green, trace ${result.traceHash}`,
  );
  return result.violation ? 1 : 0;
}

function runMany(fault: DeliberateFault | null): number {
  const tally = new Tally();
  const first = Number(values.from);
  const count = values.seeds ? Number(values.seeds) : values.minutes ? Number.MAX_SAFE_INTEGER : 1_000;
  const endMs = values.minutes ? Date.now() + Number(values.minutes) * 60_000 : Number.POSITIVE_INFINITY;
  const red = new Map<string, number>();
  for (let seed = first; seed < first + count && Date.now() < endMs; seed++) {
    const result = runWorld({ seed, fault, ignored, ...withGroups });
    tally.add(result);
    if (!result.violation) continue;
    const kind = result.violation.message.split(':')[0] ?? '';
    red.set(kind, (red.get(kind) ?? 0) + 1);
    console.log(`seed ${seed} is red: ${result.violation.message}\n  ${replayCommand(seed, fault, values.groups)}`);
    if (fault && !values.aimed) break;
  }
  console.log(tally.summary());
  for (const [kind, times] of red) console.log(`  ${times} × ${kind}`);
  const isExpected = fault !== null && !values.aimed;
  return red.size > 0 === isExpected ? 0 : 1;
}

function runFaults(): number {
  let green = 0;
  const limit = Number(values.seeds ?? 20_000);
  console.log('| fault | red at seed no. | by |\n|---|---|---|');
  for (const fault of deliberateFaults) {
    let seed = 1;
    let violation: Error | null = null;
    for (; seed <= limit && !violation; seed++) violation = runWorld({ seed, fault, ignored, ...withGroups }).violation;
    if (!violation) green++;
    console.log(
      `| ${fault.name} | ${violation ? seed - 1 : `green after ${limit}`} | ${violation?.message.split(':')[0] ?? ''} |`,
    );
  }
  return green > 0 ? 1 : 0;
}

const aimedAt = (fault: DeliberateFault): DeliberateFault => ({
  name: fault.name,
  ...(fault.aim ? { aim: fault.aim } : {}),
});

const named = values.fault ? faultNamed(values.fault) : null;
const fault = named && values.aimed ? aimedAt(named) : named;
process.exitCode = values.seed ? runOne(Number(values.seed), fault) : values.faults ? runFaults() : runMany(fault);
