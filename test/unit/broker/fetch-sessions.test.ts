import { describe, expect, test } from 'vitest';
import { type FetchPartition, type FetchRequestPlan, FetchSessions } from '../../../src/broker/fetch-sessions.ts';

const random = () => {
  let state = 0;
  return { next: () => (state = (state + 0.1234567) % 1), bytes: (length: number) => Buffer.alloc(length) };
};
const sessions = (slots = 10) => new FetchSessions({ slots }, { random: random() });
const asked = (partition: number, fetchOffset = 0n): FetchPartition => ({
  topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
  topic: 't',
  partition,
  fetchOffset,
  currentLeaderEpoch: -1,
  lastFetchedEpoch: -1,
  maxBytes: 1,
});
const plan = (over: Partial<FetchRequestPlan> = {}): FetchRequestPlan => ({
  sessionId: 0,
  sessionEpoch: 0,
  usesTopicIds: false,
  partitions: [asked(0), asked(1)],
  forgotten: [],
  ...over,
});
const quiet = { errorCode: 0, byteLength: 0, highWatermark: 5, logStartOffset: 0, hasHint: false };

describe('fetch sessions', () => {
  test('a full fetch answers every partition and opens a session', () => {
    const context = sessions().begin(plan(), 0);
    expect(context.sessionId).not.toBe(0);
    expect(context.partitions.map((p) => context.mustAnswer(p, quiet))).toEqual([true, true]);
  });

  test('no session is opened when none is wanted, nor for nothing', () => {
    expect(sessions().begin(plan({ sessionEpoch: -1 }), 0).sessionId).toBe(0);
    expect(sessions().begin(plan({ partitions: [] }), 0).sessionId).toBe(0);
  });

  test('an incremental fetch answers only news, and errors each time', () => {
    const all = sessions();
    const full = all.begin(plan(), 0);
    for (const p of full.partitions) full.mustAnswer(p, quiet);
    const next = all.begin(plan({ sessionId: full.sessionId, sessionEpoch: 1, partitions: [] }), 0);
    expect(next.partitions.map((p) => p.partition)).toEqual([0, 1]);
    expect(next.partitions.map((p) => next.mustAnswer(p, quiet))).toEqual([false, false]);
    const failing = all.begin(plan({ sessionId: full.sessionId, sessionEpoch: 2, partitions: [] }), 0);
    expect(failing.mustAnswer(asked(0), { ...quiet, errorCode: 6 })).toBe(true);
    expect(failing.mustAnswer(asked(1), { ...quiet, highWatermark: 6 })).toBe(true);
    const again = all.begin(plan({ sessionId: full.sessionId, sessionEpoch: 3, partitions: [] }), 0);
    expect(again.mustAnswer(asked(0), { ...quiet, errorCode: 6 })).toBe(true);
    const healed = all.begin(plan({ sessionId: full.sessionId, sessionEpoch: 4, partitions: [] }), 0);
    expect(healed.mustAnswer(asked(0), quiet)).toBe(true);
  });

  test('a partition that gave data is served last next time', () => {
    const all = sessions();
    const full = all.begin(plan(), 0);
    full.mustAnswer(asked(0), { ...quiet, byteLength: 100 });
    full.mustAnswer(asked(1), quiet);
    const next = all.begin(plan({ sessionId: full.sessionId, sessionEpoch: 1, partitions: [] }), 0);
    expect(next.partitions.map((p) => p.partition)).toEqual([1, 0]);
  });

  test('partitions are added, moved on and forgotten by name', () => {
    const all = sessions();
    const { sessionId } = all.begin(plan(), 0);
    const forgotten = [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', topic: 't', partition: 0 }];
    const next = all.begin(plan({ sessionId, sessionEpoch: 1, partitions: [asked(1, 9n), asked(2)], forgotten }), 0);
    expect(next.partitions.map((p) => [p.partition, p.fetchOffset])).toEqual([
      [1, 9n],
      [2, 0n],
    ]);
  });

  test('a wrong id, a wrong epoch and a switch between names and ids are refused', () => {
    const all = sessions();
    const { sessionId } = all.begin(plan(), 0);
    const fault = (over: Partial<FetchRequestPlan>) => () => all.begin(plan(over), 0);
    expect(fault({ sessionId: sessionId + 1, sessionEpoch: 1 })).toThrow('FETCH_SESSION_ID_NOT_FOUND');
    expect(fault({ sessionId, sessionEpoch: 2 })).toThrow('INVALID_FETCH_SESSION_EPOCH');
    expect(fault({ sessionId, sessionEpoch: 1, usesTopicIds: true })).toThrow('FETCH_SESSION_TOPIC_ID_ERROR');
  });

  test('closing a session by epoch 0 or -1 forgets it', () => {
    const all = sessions();
    const { sessionId } = all.begin(plan(), 0);
    all.begin(plan({ sessionId, sessionEpoch: -1 }), 0);
    expect(all.size).toBe(0);
  });

  test('with all slots taken a new session waits until an old one is idle for two minutes', () => {
    const all = sessions(1);
    all.begin(plan(), 0);
    expect(all.begin(plan(), 119_999).sessionId).toBe(0);
    expect(all.begin(plan(), 120_000).sessionId).not.toBe(0);
    expect(all.size).toBe(1);
  });
});
