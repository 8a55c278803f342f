import assert from 'node:assert/strict';
import { beforeEach, test } from 'vitest';
import { listKnownOffsets, listOffsets, logEnd, type OffsetModules } from '../../../../src/cli/client/log-offsets.ts';
import { ManualTime } from '../../../support/manual-time.ts';

/** Partition of topic t → its leader and the answers it gives, one after the other, the last one for ever. */
interface FakePartition {
  leaderId: number;
  readonly answers: { errorCode: number; offset: bigint }[];
}

let time: ManualTime;
let partitions: FakePartition[];
let asked: { nodeId: number; partitions: number[]; timestamp: bigint }[];
let dead: Set<number>;
beforeEach(() => {
  time = new ManualTime();
  [partitions, asked, dead] = [[], [], new Set()];
});

function modules(): OffsetModules {
  const client = {
    metadata: async (names: readonly string[]) => ({
      topics: names.map((name) => ({
        name,
        errorCode: name === 't' ? 0 : 3,
        partitions:
          name === 't' ? partitions.map(({ leaderId }, partitionIndex) => ({ partitionIndex, leaderId })) : [],
      })),
    }),
    request: async (nodeId: number, _api: unknown, ...args: unknown[]) => {
      if (dead.has(nodeId)) throw new Error('connection refused');
      const [topic] = args[2] as { name: string; partitions: { partitionIndex: number; timestamp: bigint }[] }[];
      const list = topic?.partitions ?? [];
      asked.push({
        nodeId,
        partitions: list.map(({ partitionIndex }) => partitionIndex),
        timestamp: list[0]?.timestamp ?? 0n,
      });
      return {
        topics: [
          {
            name: 't',
            partitions: list.map(({ partitionIndex }) => {
              const answers = partitions[partitionIndex]?.answers ?? [];
              const answer = answers.length > 1 ? answers.shift() : answers[0];
              return { partitionIndex, ...answer };
            }),
          },
        ],
      };
    },
  };
  return { client: client as unknown as OffsetModules['client'], timers: time };
}

const good = (offset: bigint) => ({ errorCode: 0, offset });
const bad = (errorCode: number) => ({ errorCode, offset: -1n });
const of = (...numbers: number[]) => numbers.map((partition) => ({ topic: 't', partition }));

/** With time moving on while it asks. */
async function whileTimePasses<Result>(result: Promise<Result>): Promise<Result> {
  result.catch(() => {});
  await time.advance(60_000);
  return result;
}

test('each leader is asked once, for all that it leads', async () => {
  partitions = [
    { leaderId: 1, answers: [good(5n)] },
    { leaderId: 2, answers: [good(6n)] },
    { leaderId: 1, answers: [good(7n)] },
  ];
  const found = await listOffsets(modules(), of(0, 1, 2), logEnd);
  assert.deepEqual(Object.fromEntries(found), {
    't-0': { offset: 5n },
    't-1': { offset: 6n },
    't-2': { offset: 7n },
  });
  assert.deepEqual(asked, [
    { nodeId: 1, partitions: [0, 2], timestamp: -1n },
    { nodeId: 2, partitions: [1], timestamp: -1n },
  ]);
});

test('a partition whose leader moved is asked for again, the others are not', async () => {
  partitions = [
    { leaderId: 1, answers: [bad(6), good(5n)] },
    { leaderId: 1, answers: [good(6n)] },
  ];
  const found = await whileTimePasses(listOffsets(modules(), of(0, 1), logEnd));
  assert.deepEqual(found.get('t-0'), { offset: 5n });
  assert.deepEqual(
    asked.map((one) => one.partitions),
    [[0, 1], [0]],
  );
});

test('a leader that does not answer is given up with its reason, after a while', async () => {
  partitions = [{ leaderId: 1, answers: [good(5n)] }];
  dead.add(1);
  const found = await whileTimePasses(listOffsets(modules(), of(0), logEnd));
  assert.deepEqual(found.get('t-0'), { reason: 'connection refused' });
});

test('what cannot come is not waited for: an unknown topic, a refusal', async () => {
  partitions = [{ leaderId: 1, answers: [bad(29)] }];
  const found = await listOffsets(modules(), [...of(0), { topic: 'gone', partition: 0 }], logEnd);
  assert.deepEqual(found.get('t-0'), { reason: 'TOPIC_AUTHORIZATION_FAILED' });
  assert.deepEqual(found.get('gone-0'), { reason: 'UNKNOWN_TOPIC_OR_PARTITION' });
  assert.equal(asked.length, 1);
});

test('where all must be known, the first that is not is named', async () => {
  partitions = [
    { leaderId: 1, answers: [good(5n)] },
    { leaderId: -1, answers: [] },
  ];
  assert.deepEqual(await listKnownOffsets(modules(), of(0), logEnd), new Map([['t-0', 5n]]));
  await assert.rejects(whileTimePasses(listKnownOffsets(modules(), of(0, 1), logEnd)), {
    name: 'CliError',
    message: 't-1: the partition has no leader',
  });
});
