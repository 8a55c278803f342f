/** Does the checker see each broken promise to a group when one is planted, and nothing in a clean history? */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  type CommittedOffsetAnswer,
  checkGroupHistory,
  type OffsetCommitAttempt,
  type PartitionOwner,
} from '../../support/history-checker.ts';

const place = { group: 'readers', partition: 'orders:0' };

interface History {
  commits: OffsetCommitAttempt[];
  answers: CommittedOffsetAnswer[];
  owners: PartitionOwner[];
  endOffsets: Map<string, number>;
}

/** `a` owns the partition in generation 1 and commits 10 … 50, then `b` in generation 2; a reader asks in between. */
function cleanHistory(): History {
  const history: History = { commits: [], answers: [], owners: [], endOffsets: new Map([[place.partition, 100]]) };
  for (const [index, member] of ['a', 'b'].entries()) {
    const begunMs = index * 1000;
    history.owners.push({ ...place, member, generation: index + 1, atMs: begunMs });
    for (let step = 1; step <= 5; step++) {
      const fromMs = begunMs + step * 100;
      const offset = index * 50 + step * 10;
      const times = { fromMs, untilMs: fromMs + 20 };
      history.commits.push({ ...place, member, offset, generation: index + 1, outcome: 'ok', ...times });
      const told = { ...place, reader: 'prober', offset };
      history.answers.push({ ...told, fromMs: fromMs + 30, untilMs: fromMs + 40 });
    }
  }
  return history;
}

const isOne = <Value>(value: Value | undefined): Value => {
  assert.ok(value !== undefined);
  return value;
};
const checksOf = (history: History): string[] => checkGroupHistory(history).map(({ check }) => check);

test('a clean history has no violation', () => {
  assert.deepEqual(checkGroupHistory(cleanHistory()), []);
});

const plants: Record<string, { check: 'C11' | 'C13'; plant: (history: History) => void }> = {
  'an answer older than a commit accepted before': {
    check: 'C11',
    plant: ({ answers }) => {
      isOne(answers[3]).offset = 30;
    },
  },
  'an answer older than another answer, whose commit was not acknowledged': {
    check: 'C11',
    plant: ({ answers, commits }) => {
      isOne(commits[9]).outcome = 'info';
      answers.push({ ...isOne(answers[8]), fromMs: 1600, untilMs: 1610 });
    },
  },
  'an answer of nothing after a commit': {
    check: 'C11',
    plant: ({ answers }) => {
      isOne(answers[9]).offset = -1;
    },
  },
  'an offset that falls for a moment and is back': {
    check: 'C11',
    plant: ({ answers }) => {
      answers.push({ ...isOne(answers[5]), offset: 20, fromMs: 1132, untilMs: 1133 });
    },
  },
  'an offset beyond the end': {
    check: 'C11',
    plant: ({ endOffsets }) => {
      endOffsets.set(place.partition, 99);
    },
  },
  'two owners in one generation': {
    check: 'C13',
    plant: ({ owners }) => {
      owners.push({ ...isOne(owners[1]), member: 'c', atMs: 1100 });
    },
  },
  'a commit of the old owner that is accepted': {
    check: 'C13',
    plant: ({ commits }) => {
      const old = isOne(commits[4]);
      commits.push({ ...old, offset: 100, fromMs: 1700, untilMs: 1710 });
    },
  },
};

for (const [title, { check, plant }] of Object.entries(plants))
  test(`${title} is ${check}`, () => {
    const history = cleanHistory();
    plant(history);
    assert.deepEqual(checksOf(history), [check]);
  });

test('what may be told while a commit is under way is its offset or the one before', () => {
  for (const offset of [10, 20]) {
    const history = cleanHistory();
    history.answers.push({ ...place, reader: 'other', offset, fromMs: 205, untilMs: 210 });
    assert.deepEqual(checksOf(history), []);
  }
});

test('a commit that may still be on its way may be told at any time after it was sent', () => {
  const history = cleanHistory();
  isOne(history.commits[0]).outcome = 'info';
  history.answers.push({ ...place, reader: 'other', offset: 10, fromMs: 1700, untilMs: 1710 });
  assert.deepEqual(checksOf(history), []);
});

test('an offset that a member sets back may be told, and then not an older one', () => {
  const history = cleanHistory();
  const rewind = { ...isOne(history.commits[9]), offset: 60, fromMs: 1700, untilMs: 1710 };
  history.commits.push(rewind);
  history.answers.push({ ...place, reader: 'prober', offset: 60, fromMs: 1720, untilMs: 1730 });
  assert.deepEqual(checksOf(history), []);
  history.answers.push({ ...place, reader: 'prober', offset: 50, fromMs: 1740, untilMs: 1750 });
  assert.deepEqual(checksOf(history), ['C11']);
});

test('a refused commit of the old owner, and the same member in a later generation, are in order', () => {
  const history = cleanHistory();
  history.commits.push({ ...isOne(history.commits[4]), outcome: 'fail', fromMs: 1700, untilMs: 1710 });
  history.owners.push({ ...isOne(history.owners[1]), generation: 3, atMs: 1600 });
  assert.deepEqual(checksOf(history), []);
});
