import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { EtcdEvent } from '../../../../src/cluster/etcd/etcd-api.ts';
import { WatchAssembler } from '../../../../src/cluster/etcd/watch-assembler.ts';
import type { WatchEvents } from '../../../../src/controller/metadata-store.ts';
import { AssertionError } from '../../../../src/model/assert.ts';
import { revision } from '../../../../src/model/brands.ts';

const keyPrefix = '/c/v1/';
/** `5a` is a put of key a at revision 5, `5-a` its deletion. */
function event(text: string): EtcdEvent {
  const match = /^(\d+)(-?)(\w)$/.exec(text);
  assert.ok(match);
  const [, at = '', minus, key = ''] = match;
  const kv = { key: Buffer.from(keyPrefix + key), value: Buffer.from(minus ? '' : 'v'), modRevision: Number(at) };
  return { type: minus === '-', kv };
}
const response = (events: string[], fragment = false) => ({ events: events.map(event), fragment });
const texts = (all: WatchEvents[]): string[] =>
  all.map(
    ({ revision: at, changes }) =>
      `${at}:${changes.map(({ key, value }) => (value === null ? `-${key}` : key)).join('')}`,
  );
const assemblerAfter = (after: number) => new WatchAssembler(revision(after), keyPrefix.length);

// a watch after revision 4 … | responses, '+' marks a fragment | handed out, by response
const cases: [string, [string[], '+' | ''][], string[][]][] = [
  ['hands out a response at once', [[['5a', '5b', '6a'], '']], [['5:ab', '6:a']]],
  [
    'keeps the last revision of a fragment until it is whole',
    [
      [['5a', '6a'], '+'],
      [['6b', '7a'], ''],
    ],
    [['5:a'], ['6:ab', '7:a']],
  ],
  [
    'gathers one revision from many fragments',
    [
      [['5a'], '+'],
      [['5b'], '+'],
      [['5-c'], ''],
    ],
    [[], [], ['5:ab-c']],
  ],
  [
    'ends a revision with an empty last fragment',
    [
      [['5a'], '+'],
      [[], ''],
    ],
    [[], ['5:a']],
  ],
  [
    'hands nothing out twice',
    [
      [['5a'], ''],
      [['4a', '5a', '6a'], ''],
    ],
    [['5:a'], ['6:a']],
  ],
  ['makes nothing of a progress notice', [[[], '']], [[]]],
];

for (const [title, responses, expected] of cases)
  test(`a watch ${title}`, () => {
    const assembler = assemblerAfter(4);
    const handedOut = responses.map(([events, mark]) => texts(assembler.add(response(events, mark === '+'))));
    assert.deepEqual(handedOut, expected);
  });

test('a stream cut between any two events resumes with every revision once and whole (I1)', () => {
  const history = ['5a', '5b', '6a', '7a', '7b', '7c', '8-a', '9b', '9c'];
  const uncut = texts(assemblerAfter(4).add(response(history)));
  const revisionOf = (text: string): number => Number.parseInt(text, 10);
  for (let cutAt = 0; cutAt <= history.length; cutAt++)
    for (let fragmentAt = 0; fragmentAt <= cutAt; fragmentAt++) {
      const assembler = assemblerAfter(4);
      const seen = texts(assembler.add(response(history.slice(0, fragmentAt), true)));
      seen.push(...texts(assembler.add(response(history.slice(fragmentAt, cutAt), true))));
      assembler.cut();
      // What a server sends to a watch that starts where ours says that it got to.
      const rest = history.filter((text) => revisionOf(text) > assembler.delivered);
      seen.push(...texts(assembler.add(response(rest))));
      assert.deepEqual(seen, uncut, `cut after ${cutAt} events, fragment after ${fragmentAt}`);
    }
});

test('revisions out of order are a bug', () => {
  assert.throws(() => assemblerAfter(4).add(response(['6a', '5a', '7a'], true)), AssertionError);
});
