import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  type PartitionState,
  parseDatetime,
  planSeek,
  type SeekTarget,
  seekTargetOf,
} from '../../../../src/cli/group/seek-plan.ts';

/** A log from 100 to 200, the group at 150. */
const state = (more: Partial<PartitionState> = {}): PartitionState => ({
  topic: 'orders',
  partition: 0,
  committedOffset: 150n,
  logStartOffset: 100n,
  logEndOffset: 200n,
  ...more,
});
const datetime: SeekTarget = { kind: 'datetime', ms: 1n };

// title | target | partition | where to, and whether there is something to note
const cases: readonly (readonly [string, SeekTarget, PartitionState, bigint | null, RegExp | null])[] = [
  ['earliest is the log start', { kind: 'earliest' }, state(), 100n, null],
  ['latest is the log end', { kind: 'latest' }, state(), 200n, null],
  ['latest needs no committed offset', { kind: 'latest' }, state({ committedOffset: null }), 200n, null],
  ['an offset is taken as it is', { kind: 'offset', offset: 123n }, state(), 123n, null],
  ['the log start itself is in the log', { kind: 'offset', offset: 100n }, state(), 100n, null],
  ['the log end itself is in the log', { kind: 'offset', offset: 200n }, state(), 200n, null],
  ['an offset before the log becomes its start', { kind: 'offset', offset: 7n }, state(), 100n, /7 is before the log/],
  ['an offset beyond the log becomes its end', { kind: 'offset', offset: 201n }, state(), 200n, /201 is beyond/],
  ['a shift forward adds', { kind: 'shift', by: 10n }, state(), 160n, null],
  ['a shift back takes away', { kind: 'shift', by: -10n }, state(), 140n, null],
  ['a shift stops at the log start', { kind: 'shift', by: -51n }, state(), 100n, /99 is before/],
  ['a shift stops at the log end', { kind: 'shift', by: 51n }, state(), 200n, /201 is beyond/],
  [
    'a shift from nothing does nothing',
    { kind: 'shift', by: 1n },
    state({ committedOffset: null }),
    null,
    /left alone/,
  ],
  ['current stays', { kind: 'current' }, state(), 150n, null],
  ['current moves into the log', { kind: 'current' }, state({ committedOffset: 50n }), 100n, /50 is before/],
  ['current of nothing does nothing', { kind: 'current' }, state({ committedOffset: null }), null, /left alone/],
  ['a time is its first record', datetime, state({ offsetAtTime: 177n }), 177n, null],
  [
    'a time after the last record is the log end',
    datetime,
    state({ offsetAtTime: -1n }),
    200n,
    /no record is that young/,
  ],
];

for (const [title, target, partition, to, note] of cases)
  test(`in a plan, ${title}`, () => {
    const [step] = planSeek(target, [partition]);
    assert.equal(step?.to, to);
    assert.equal(step?.from, partition.committedOffset);
    if (note === null) assert.equal(step?.note, null);
    else assert.match(step?.note ?? '', note);
  });

test('a plan has a step for each partition, in the given order', () => {
  const partitions = [state({ partition: 2 }), state({ topic: 'a', partition: 1, logEndOffset: 120n })];
  assert.deepEqual(
    planSeek({ kind: 'latest' }, partitions).map(({ topic, partition, to }) => [topic, partition, to]),
    [
      ['orders', 2, 200n],
      ['a', 1, 120n],
    ],
  );
});

const targets = [
  [{ toEarliest: true }, { kind: 'earliest' }],
  [{ toLatest: true }, { kind: 'latest' }],
  [{ toCurrent: true }, { kind: 'current' }],
  [{ toOffset: 0 }, { kind: 'offset', offset: 0n }],
  [{ shiftBy: -5 }, { kind: 'shift', by: -5n }],
  [{ toDatetime: '1970-01-01T00:00:01Z' }, { kind: 'datetime', ms: 1000n }],
] as const;

for (const [options, expected] of targets)
  test(`${Object.keys(options)} alone is a target`, () => assert.deepEqual(seekTargetOf(options), expected));

test('no target, or two, is wrong usage', () => {
  assert.throws(() => seekTargetOf({}), { name: 'CliError', code: 2, message: /^none of/ });
  assert.throws(() => seekTargetOf({ toLatest: true, shiftBy: 0 }), { code: 2, message: /^more than one of/ });
});

const times = [
  ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:00.250Z', Date.UTC(2026, 0, 31, 12) + 250],
  ['2026-01-31T12:00+01:00', Date.UTC(2026, 0, 31, 11)],
  ['2026-01-31T12:00:00', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31', Date.UTC(2026, 0, 31)],
] as const;

for (const [text, ms] of times)
  test(`${text} is understood, as UTC where it does not say`, () => assert.equal(parseDatetime(text), BigInt(ms)));

for (const text of [
  '',
  'yesterday',
  '1767225600000',
  '2026-13-01',
  '2026-01-31 12:00',
  '31.1.2026',
  '2026-01-31T25:00',
])
  test(`"${text}" is refused as a time`, () => {
    assert.throws(() => parseDatetime(text), { name: 'CliError', code: 2 });
  });
