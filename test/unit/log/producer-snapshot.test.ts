import { expect, test } from 'vitest';
import { TurnBudget } from '../../../src/env/turn-budget.ts';
import { decodingKafkaSnapshot, decodingProducers, producerFilesOf } from '../../../src/log/producer-snapshot.ts';
import { ProducerState } from '../../../src/log/producer-state.ts';
import { allSteps } from '../../support/all-steps.ts';
import { at, batchOf, idempotent } from '../../support/log-harness.ts';
import { ManualTime } from '../../support/manual-time.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

const nowMs = 1_700_000_000_000;
const dayMs = 86_400_000;

/** A state of so many producers, each of which has written one record, and every tenth long ago. */
function stateOf(count: number): ProducerState {
  const state = new ProducerState();
  for (let id = 0; id < count; id++) {
    const timestampMs = id % 10 === 0 ? nowMs - 2 * dayMs : nowMs;
    state.append(batchOf(['x'], { ...idempotent(id, 0), timestampMs, baseOffset: at(id) }), null);
  }
  return state;
}

test('a snapshot of very many producers is written in turns, as they were when it was taken', async () => {
  const count = 20_000;
  const state = stateOf(count);
  const time = new ManualTime();
  const disk = new MemoryDisk();
  await disk.makeDirectory('/data/orders-0');
  let readingsMs = 0;
  let turns = 0;
  const budget = new TurnBudget(
    { budgetMs: 10 },
    {
      clock: { wallMs: () => nowMs, monotonicMs: () => (readingsMs += 4) },
      timers: {
        setTimer: (delayMs, callback) => {
          turns++;
          return time.setTimer(delayMs, callback);
        },
        setRepeatingTimer: () => expect.unreachable(),
      },
    },
  );
  const write = producerFilesOf(state.entries, '/data/orders-0', at(count), (entry) =>
    state.expire(entry, nowMs, dayMs),
  );
  let isWritten = false;
  const writing = write(disk, budget).then(() => {
    isWritten = true;
  });
  // Meanwhile one that was to be forgotten writes again, and another one goes on.
  state.append(batchOf(['y'], { ...idempotent(19_990, 1), timestampMs: nowMs, baseOffset: at(count) }), null);
  state.append(batchOf(['y'], { ...idempotent(19_991, 1), timestampMs: nowMs, baseOffset: at(count + 1) }), null);
  while (!isWritten) await time.advance(0);
  await writing;
  // Fifteen steps, of which no turn has time for more than three.
  expect(turns).toBeGreaterThan(4);
  const name = `/data/orders-0/${String(count).padStart(20, '0')}`;
  const ours = allSteps(decodingProducers(disk.contentOf(`${name}.producers`)));
  const kafka = allSteps(decodingKafkaSnapshot(disk.contentOf(`${name}.snapshot`)));
  const expected = [...stateOf(count).entries].filter(({ producerId }) => producerId % 10 !== 0);
  expect(ours).toEqual(expected);
  expect(kafka).toEqual(expected);
  expect(state.size).toBe(expected.length + 1);
  expect(state.entryOf(idempotent(19_990, 0).producerId as never)?.batches).toHaveLength(2);
});
