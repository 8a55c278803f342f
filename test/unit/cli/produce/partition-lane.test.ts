import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type Attempt, type LaneRecord, PartitionLane } from '../../../../src/cli/produce/partition-lane.ts';
import { ManualTime, settled } from '../../../support/manual-time.ts';

const record = (value: string): LaneRecord => ({ value: Buffer.from(value), timestamp: 1n });
const acknowledged = (baseOffset: bigint): Attempt => ({ kind: 'acknowledged', baseOffset });
const retry = (mayBeWritten = true): Attempt => ({ kind: 'retry', reason: 'REQUEST_TIMED_OUT', mayBeWritten });

/** A lane whose sendings wait until the test answers them. */
function laneUnderTest(batchBytes = 1000, recordOverheadBytes = 0) {
  const time = new ManualTime();
  const sent: { values: string[]; baseSequence: number }[] = [];
  const answers: ((attempt: Attempt) => void)[] = [];
  const failures: string[] = [];
  let acknowledgedBytes = 0;
  const lane = new PartitionLane(
    { batchBytes, recordOverheadBytes, maxBatchRecords: 100, deliveryTimeoutMs: 1000 },
    {
      clock: time,
      timers: time,
      send: (records, baseSequence) => {
        sent.push({ values: records.map(({ value }) => String(value)), baseSequence });
        return new Promise((resolve) => answers.push(resolve));
      },
      onAcknowledged: (_, bytes) => {
        acknowledgedBytes += bytes;
      },
      onFailed: (reason) => failures.push(reason),
    },
  );
  const answer = async (attempt: Attempt): Promise<void> => {
    answers.shift()?.(attempt);
    await settled();
  };
  return { lane, time, sent, failures, answer, bytes: () => acknowledgedBytes };
}

test('what is pushed while a batch is in flight leaves together, after it', async () => {
  const { lane, sent, answer, bytes } = laneUnderTest();
  lane.push([record('a')]);
  lane.push([record('b')]);
  lane.push([record('c')]);
  assert.deepEqual(sent, [{ values: ['a'], baseSequence: 0 }]);
  await answer(acknowledged(10n));
  assert.deepEqual(sent[1], { values: ['b', 'c'], baseSequence: 1 });
  await answer(acknowledged(11n));
  await lane.whenIdle();
  assert.deepEqual(lane.counts, { acknowledged: 3, unknown: 0, unsent: 0, firstOffset: 10n, endOffset: 13n });
  assert.equal(bytes(), 3);
});

test('a batch that is sent again has the same records and the same sequence, whatever was pushed since', async () => {
  const { lane, time, sent, answer } = laneUnderTest();
  lane.push([record('a'), record('b')]);
  await answer(retry());
  lane.push([record('c')]);
  await time.advance(10);
  await answer(retry());
  await time.advance(20);
  await answer(acknowledged(0n));
  assert.deepEqual(sent, [
    { values: ['a', 'b'], baseSequence: 0 },
    { values: ['a', 'b'], baseSequence: 0 },
    { values: ['a', 'b'], baseSequence: 0 },
    { values: ['c'], baseSequence: 2 },
  ]);
});

test('what records take besides their keys and values counts in the size of a batch, and not as acknowledged', async () => {
  const { lane, sent, answer, bytes } = laneUnderTest(24, 10);
  lane.push(['aa', 'bb', 'ccc', 'd'].map(record));
  for (let i = 0; i < 3; i += 1) await answer(acknowledged(0n));
  assert.deepEqual(
    sent.map(({ values }) => values),
    [
      ['aa', 'bb'],
      ['ccc', 'd'],
    ],
  );
  assert.equal(bytes(), 8);
});

test('batches stay below their size, and a larger record goes alone', async () => {
  const { lane, sent, answer } = laneUnderTest(4);
  lane.push(['aa', 'bb', 'c', 'dddddd', 'e'].map(record));
  for (let i = 0; i < 4; i += 1) await answer(acknowledged(0n));
  assert.deepEqual(
    sent.map(({ values }) => values),
    [['aa', 'bb'], ['c'], ['dddddd'], ['e']],
  );
});

test('a refusal ends the lane: nothing more is sent and the rest counts as unsent', async () => {
  const { lane, sent, failures, answer } = laneUnderTest(1);
  lane.push(['a', 'b', 'c'].map(record));
  await answer(acknowledged(0n));
  await answer({ kind: 'refused', reason: 'MESSAGE_TOO_LARGE' });
  lane.push([record('d')]);
  await lane.whenIdle();
  assert.equal(sent.length, 2);
  assert.deepEqual(failures, ['MESSAGE_TOO_LARGE']);
  assert.deepEqual(lane.counts, { acknowledged: 1, unknown: 0, unsent: 3, firstOffset: 0n, endOffset: 1n });
});

test('a batch that nobody acknowledged in time counts as unknown if it may be written', async () => {
  const { lane, time, failures, answer } = laneUnderTest();
  lane.push(['a', 'b'].map(record));
  await answer(retry());
  await time.advance(10);
  await time.advance(1000);
  await answer(retry(false));
  await lane.whenIdle();
  assert.deepEqual(failures, ['REQUEST_TIMED_OUT, for 1000 ms']);
  assert.equal(lane.counts.unknown, 2);
  assert.equal(lane.counts.unsent, 0);
});

test('a batch that was never written counts as unsent', async () => {
  const { lane, time, answer } = laneUnderTest();
  lane.push([record('a')]);
  await answer(retry(false));
  await time.advance(10);
  await time.advance(1000);
  await answer(retry(false));
  assert.deepEqual([lane.counts.unknown, lane.counts.unsent], [0, 1]);
});

test('an abandoned lane takes the answer in flight and sends nothing new', async () => {
  const { lane, sent, answer } = laneUnderTest(1);
  lane.push(['a', 'b'].map(record));
  lane.abandon();
  await answer(acknowledged(5n));
  await lane.whenIdle();
  assert.equal(sent.length, 1);
  assert.deepEqual([lane.counts.acknowledged, lane.counts.unsent], [1, 1]);
});

test('an acknowledgement without an offset counts and leaves the offsets unknown', async () => {
  const { lane, answer } = laneUnderTest();
  lane.push([record('a')]);
  await answer(acknowledged(-1n));
  assert.deepEqual(lane.counts, { acknowledged: 1, unknown: 0, unsent: 0, firstOffset: null, endOffset: null });
});
