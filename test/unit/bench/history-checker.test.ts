/** Does the history checker see each kind of broken promise when one is planted, and nothing in a clean history? */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { checkHistory, type PartitionRead, type SentRecord, type Violation } from '../../support/history-checker.ts';

/** Two producers that wrote `perProducer` values each into two partitions, in turns; read by two replicas. */
function cleanHistory(perProducer = 6): { sent: SentRecord[]; reads: PartitionRead[] } {
  const sent: SentRecord[] = [];
  const logs: { offset: number; value: string }[][] = [[], []];
  for (let index = 0; index < perProducer; index++)
    for (const process of ['a', 'b']) {
      const partition = index % 2;
      const log = logs[partition] ?? [];
      const record = { offset: log.length, value: `${process}${index}` };
      log.push(record);
      sent.push({ process, outcome: 'ok', acks: 'all', isIdempotent: true, partition, ...record });
    }
  const reads = ['leader', 'follower'].flatMap((reader) =>
    logs.map((records, partition) => ({
      reader,
      partition,
      records: records.map((record) => ({ ...record })),
      isReadToEnd: true,
    })),
  );
  return { sent, reads };
}

const recordsOf = (read: PartitionRead | undefined): { offset: number; value: string }[] => {
  assert.ok(Array.isArray(read?.records));
  return read.records;
};

test('a clean history has no violation', () => {
  const { sent, reads } = cleanHistory();
  assert.deepEqual(checkHistory(sent, reads), []);
});

test('a clean history without partitions in its acks has no violation', () => {
  const { sent, reads } = cleanHistory();
  const unplaced = sent.map((record) => ({ ...record, partition: null, offset: null }));
  assert.deepEqual(checkHistory(unplaced, reads), []);
});

type Planted = { check: Violation['check']; plant: (history: ReturnType<typeof cleanHistory>) => void };
const plants: Record<string, Planted> = {
  'a replica that holds another value at an offset': {
    check: 'C1',
    plant: ({ sent, reads }) => {
      sent.push({
        process: 'c',
        value: 'c0',
        outcome: 'info',
        acks: 'all',
        isIdempotent: true,
        partition: 0,
        offset: null,
      });
      const replica = recordsOf(reads[2]);
      replica[1] = { offset: 1, value: 'c0' };
    },
  },
  'an ack that names an offset where another value stands': {
    check: 'C1',
    plant: ({ sent }) => {
      const record = sent.at(-1);
      assert.ok(record);
      record.offset = 0;
    },
  },
  'an acknowledged value that no reader finds': {
    check: 'C2',
    plant: ({ reads }) => {
      for (const read of reads) if (read.partition === 1) recordsOf(read).pop();
    },
  },
  'a value of an idempotent producer that stands twice': {
    check: 'C3',
    plant: ({ reads }) => {
      for (const read of reads) if (read.partition === 0) recordsOf(read).push({ offset: 6, value: 'a0' });
    },
  },
  'a later value at a lower offset': {
    check: 'C8',
    plant: ({ sent, reads }) => {
      for (const read of reads)
        if (read.partition === 0)
          for (const record of recordsOf(read)) {
            if (record.value === 'a0') record.value = 'a2';
            else if (record.value === 'a2') record.value = 'a0';
          }
      for (const record of sent) record.offset = null;
    },
  },
  'a value that nobody sent': {
    check: 'C24',
    plant: ({ reads }) => {
      recordsOf(reads[0]).push({ offset: 6, value: 'ghost' });
    },
  },
  'a value whose sending had surely failed': {
    check: 'C24',
    plant: ({ sent, reads }) => {
      sent.push({
        process: 'c',
        value: 'c0',
        outcome: 'fail',
        acks: 'all',
        isIdempotent: true,
        partition: 0,
        offset: null,
      });
      recordsOf(reads[0]).push({ offset: 6, value: 'c0' });
    },
  },
};

for (const [title, { check, plant }] of Object.entries(plants))
  test(`${title} is reported as ${check}`, () => {
    const history = cleanHistory();
    plant(history);
    const found = checkHistory(history.sent, history.reads).map((violation) => violation.check);
    assert.ok(found.includes(check), `found ${found.join(', ') || 'nothing'}`);
  });

test('a plant of one kind does not show as another', () => {
  const history = cleanHistory();
  plants['an acknowledged value that no reader finds']?.plant(history);
  const found = checkHistory(history.sent, history.reads);
  assert.deepEqual([...new Set(found.map(({ check }) => check))], ['C2']);
});

const allowed: Record<string, (history: ReturnType<typeof cleanHistory>) => void> = {
  'a lost write that was acknowledged with acks=1': ({ sent, reads }) => {
    for (const read of reads) if (read.partition === 1) recordsOf(read).pop();
    for (const record of sent) record.acks = 1;
  },
  'an unanswered write that is there': ({ sent }) => {
    for (const record of sent) record.outcome = 'info';
  },
  'an unanswered write that is not there': ({ sent }) => {
    sent.push({
      process: 'c',
      value: 'c0',
      outcome: 'info',
      acks: 'all',
      isIdempotent: true,
      partition: 0,
      offset: null,
    });
  },
  'a duplicate of a producer that is not idempotent': ({ sent, reads }) => {
    for (const record of sent) record.isIdempotent = false;
    for (const read of reads) if (read.partition === 0) recordsOf(read).push({ offset: 6, value: 'a0' });
  },
  'a gap in the offsets': ({ reads, sent }) => {
    for (const read of reads) for (const record of recordsOf(read)) record.offset *= 3;
    for (const record of sent) record.offset = (record.offset ?? 0) * 3;
  },
  'an acknowledged write in a partition that was not read to its end': ({ reads }) => {
    for (const [index, read] of reads.entries())
      if (read.partition === 1) {
        recordsOf(read).pop();
        reads[index] = { ...read, isReadToEnd: false };
      }
  },
};

for (const [title, change] of Object.entries(allowed))
  test(`${title} is no violation`, () => {
    const history = cleanHistory();
    change(history);
    assert.deepEqual(checkHistory(history.sent, history.reads), []);
  });

test('a value that was sent twice is refused, since nothing could be told from it', () => {
  const { sent, reads } = cleanHistory();
  assert.throws(() => checkHistory([...sent, ...sent], reads), /unique/);
});
