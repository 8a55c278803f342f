import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { selectProtocol } from '../../../../src/coordinator/classic/protocol-votes.ts';

describe('the protocol of a generation is', () => {
  // … | what each member supports, most wanted first | chosen
  const cases = [
    ['the one that all support', [['a', 'b'], ['b']], 'b'],
    [
      'the one that most want first',
      [
        ['a', 'b'],
        ['b', 'a'],
        ['b', 'a'],
      ],
      'b',
    ],
    [
      'not one that most want first, and one does not know',
      [
        ['a', 'c'],
        ['a', 'c'],
        ['b', 'c'],
      ],
      'c',
    ],
    [
      'the one voted for first, where votes are equal',
      [
        ['b', 'a'],
        ['a', 'b'],
      ],
      'b',
    ],
    ['the first that a member alone wants', [['c', 'a', 'b']], 'c'],
    ['what the others agree on, where it is unknown what a member supports', [[], ['b', 'a'], ['a']], 'a'],
    ['not one that a member names twice, and another does not', [['a', 'a', 'b'], ['b']], 'b'],
  ] as const;
  for (const [title, members, expected] of cases)
    test(title, () => {
      const protocols = members.map((names) => names.map((name) => ({ name, metadata: Buffer.alloc(0) })));
      assert.equal(selectProtocol(protocols), expected);
    });

  test('there, since no member is let in without one', () => {
    const protocols = [['a'], ['b']].map((names) => names.map((name) => ({ name, metadata: Buffer.alloc(0) })));
    assert.throws(() => selectProtocol(protocols), /every member was let in/);
  });
});
