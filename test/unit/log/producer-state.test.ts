import { describe, expect, test } from 'vitest';
import {
  decodingKafkaSnapshot,
  decodingProducers,
  encodingKafkaSnapshot,
  encodingProducers,
} from '../../../src/log/producer-snapshot.ts';
import { ProducerState } from '../../../src/log/producer-state.ts';
import { noteInto } from '../../../src/log/recovery.ts';
import { leaderEpoch, offset, producerId } from '../../../src/model/brands.ts';
import { assignOffsetAndEpoch } from '../../../src/records/batch-header.ts';
import { encodeEndTransactionMarker } from '../../../src/records/control-record.ts';
import { allSteps } from '../../support/all-steps.ts';
import { batchOf, idempotent } from '../../support/log-harness.ts';

const nowMs = 1_700_000_000_000;
const day = 86_400_000;
const pid = producerId(9);

function expireAll(state: ProducerState, timeMs: number, expirationMs: number): void {
  for (const entry of state.entries) state.expire(entry, timeMs, expirationMs);
}

/** A producer's batches and its coordinator's markers, as a log gives them offsets. */
class Story {
  readonly state = new ProducerState();
  #next = 0;

  data(sequence: number, count: number, producerEpoch = 0, isTransactional = true): this {
    const values = Array.from({ length: count }, () => 'x');
    return this.#append(batchOf(values, { ...idempotent(9, sequence, producerEpoch), isTransactional }), count);
  }

  marker(kind: 'commit' | 'abort', producerEpoch = 0, coordinatorEpoch = 3): this {
    const facts = { kind, coordinatorEpoch, producerId: pid, producerEpoch, timestampMs: nowMs };
    return this.#append(encodeEndTransactionMarker(facts), 1);
  }

  #append(batch: Buffer, count: number): this {
    assignOffsetAndEpoch(batch, offset(this.#next), leaderEpoch(0));
    noteInto(this.state, batch);
    this.#next += count;
    return this;
  }

  get entry() {
    return this.state.entryOf(pid);
  }
}

describe('a transaction', () => {
  test('is open from its first batch to its marker', () => {
    const story = new Story().data(0, 2).data(2, 3);
    expect(story.entry?.currentTxnFirstOffset).toBe(0);
    story.marker('commit');
    expect([story.entry?.currentTxnFirstOffset, story.entry?.coordinatorEpoch]).toEqual([-1, 3]);
    story.data(5, 1);
    expect(story.entry?.currentTxnFirstOffset).toBe(6);
  });

  test('keeps its producer from expiring while it is open', () => {
    const story = new Story().data(0, 1);
    expireAll(story.state, nowMs + 10 * day, day);
    expect(story.entry).not.toBe(null);
    expireAll(story.marker('abort').state, nowMs + 10 * day, day);
    expect(story.entry).toBe(null);
  });

  test('that ends under a higher epoch leaves no batches, and the next begins at 0', () => {
    const story = new Story().data(0, 1).marker('commit', 1);
    expect([story.entry?.producerEpoch, story.entry?.batches]).toEqual([1, []]);
    const check = (sequence: number, epoch: number) =>
      story.state.check(batchOf(['x'], idempotent(9, sequence, epoch)), nowMs, day);
    expect(check(0, 1)).toBe(null);
    expect(() => check(1, 1)).toThrow('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(() => check(1, 0)).toThrow('INVALID_PRODUCER_EPOCH');
  });
});

test('five batches are kept, the oldest goes first', () => {
  const story = new Story();
  for (let sequence = 0; sequence < 8; sequence++) story.data(sequence, 1, 0, false);
  expect(story.entry?.batches.map(({ lastSequence }) => lastSequence)).toEqual([3, 4, 5, 6, 7]);
});

describe('producer files', () => {
  const entries = [...new Story().data(2147483646, 3).data(1, 2).marker('commit').data(3, 1).state.entries];

  test('of ours give back all that is known', () => {
    expect(allSteps(decodingProducers(allSteps(encodingProducers(entries))))).toEqual(entries);
    expect(allSteps(decodingProducers(allSteps(encodingProducers([]))))).toEqual([]);
  });

  test('of Kafka give back the last batch', () => {
    const [entry] = entries;
    expect(allSteps(decodingKafkaSnapshot(allSteps(encodingKafkaSnapshot(entries))))).toEqual([
      { ...entry, batches: entry?.batches.slice(-1) },
    ]);
    expect(allSteps(encodingKafkaSnapshot(entries))).toHaveLength(10 + 46);
  });

  test('are not used when any byte of them is wrong or missing', () => {
    for (const [bytes, decode] of [
      [allSteps(encodingProducers(entries)), decodingProducers],
      [allSteps(encodingKafkaSnapshot(entries)), decodingKafkaSnapshot],
    ] as const)
      for (let at = 0; at < bytes.length; at++) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ 0x10;
        expect(allSteps<unknown>(decode(damaged)), `byte ${at}`).toBe(null);
        expect(allSteps<unknown>(decode(bytes.subarray(0, at))), `cut to ${at}`).toBe(null);
      }
  });
});

test('a producer of records of long ago is forgotten only after a day without a batch', () => {
  const state = new ProducerState();
  const longAgo = { ...idempotent(9, 0), timestampMs: nowMs - 100 * day };
  const batch = batchOf(['x'], longAgo);
  assignOffsetAndEpoch(batch, offset(0), leaderEpoch(0));
  noteInto(state, batch, nowMs);
  expect(state.check(batchOf(['x'], longAgo), nowMs + day - 1, day)).not.toBe(null);
  expect(state.check(batchOf(['x'], longAgo), nowMs + day, day)).toBe(null);
  expireAll(state, nowMs + day, day);
  expect(state.size).toBe(0);
});
