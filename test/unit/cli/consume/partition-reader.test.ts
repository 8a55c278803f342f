import assert from 'node:assert/strict';
import { beforeEach, test } from 'vitest';
import {
  type FetchClient,
  PartitionReader,
  type ReaderHandlers,
  type Start,
} from '../../../../src/cli/consume/partition-reader.ts';
import type { ShownRecord } from '../../../../src/cli/consume/record-format.ts';
import type { CliError } from '../../../../src/cli/exit-code.ts';
import { ManualTime, settled } from '../../../support/manual-time.ts';

interface FakePartition {
  leaderId: number;
  /** Values by offset; null stands for a marker of a transaction, which is no record. */
  readonly values: (string | null)[];
  logStartOffset: number;
}

/** Partitions of one topic, each value in a batch of its own. A fetch is answered when `answer` lets it. */
class FakeCluster {
  readonly partitions: FakePartition[] = [];
  readonly fetches: { nodeId: number; partitions: { partition: number; fetchOffset: bigint }[]; answer(): void }[] = [];
  isHolding = false;

  add(leaderId: number, values: (string | null)[]): void {
    this.partitions.push({ leaderId, values, logStartOffset: 0 });
  }

  get client(): FetchClient {
    return {
      metadata: async () => ({
        clusterId: '',
        controllerId: 1,
        brokers: [],
        topics: [
          {
            errorCode: 0,
            name: 't',
            topicId: 'id-of-t',
            isInternal: false,
            partitions: this.partitions.map(({ leaderId }, partitionIndex) => ({
              errorCode: 0,
              partitionIndex,
              leaderId,
              leaderEpoch: 0,
              replicaNodes: [],
              isrNodes: [],
              offlineReplicas: [],
            })),
          },
        ],
      }),
      // The only request of a reader is Fetch; its topics are the seventh argument.
      request: ((nodeId: number, _api: unknown, ...args: unknown[]) => {
        const [{ partitions }] = args[6] as [{ partitions: { partition: number; fetchOffset: bigint }[] }];
        return new Promise<unknown>((resolve) => {
          const answer = (): void => resolve(this.#answer(nodeId, partitions));
          this.fetches.push({ nodeId, partitions, answer });
          if (!this.isHolding) answer();
        });
      }) as FetchClient['request'],
    };
  }

  #answer(nodeId: number, asked: readonly { partition: number; fetchOffset: bigint }[]): unknown {
    return {
      errorCode: 0,
      responses: [
        {
          topicId: 'id-of-t',
          partitions: asked.map(({ partition: partitionIndex, fetchOffset }) => {
            const { leaderId, values, logStartOffset } = this.partitions[partitionIndex] as FakePartition;
            const from = Number(fetchOffset);
            const isOutside = from < logStartOffset || from > values.length;
            const errorCode = leaderId !== nodeId ? 6 : isOutside ? 1 : 0;
            return {
              partitionIndex,
              errorCode,
              logStartOffset: BigInt(logStartOffset),
              highWatermark: BigInt(values.length),
              records: errorCode === 0 ? values.slice(from).map((value, at) => batchOf(from + at, value)) : null,
            };
          }),
        },
      ],
    };
  }
}

const isControl = 0b10_0000;
const batchOf = (offset: number, value: string | null) => ({
  attributes: value === null ? isControl : 0,
  firstOffset: BigInt(offset),
  lastOffsetDelta: 0,
  firstTimestamp: 0n,
  records: [
    { offsetDelta: 0, timestampDelta: 0n, key: null, value: value === null ? null : Buffer.from(value), headers: [] },
  ],
});

let cluster: FakeCluster;
let time: ManualTime;
let taken: string[];
let ends: number;
let failure: CliError | null;
beforeEach(() => {
  cluster = new FakeCluster();
  time = new ManualTime();
  [taken, ends, failure] = [[], 0, null];
});

const show = ({ partition, offset, value }: ShownRecord): string => `${partition}/${offset} ${value}`;

function readerWith(more: Partial<ReaderHandlers> = {}): PartitionReader {
  return new PartitionReader(cluster.client, time, {
    take: async (records) => {
      taken.push(...records.map(show));
      return records.length;
    },
    onAllAtEnd: () => {
      ends += 1;
    },
    outOfRange: (_, logStartOffset) => logStartOffset,
    onFailed: (error) => {
      failure = error;
    },
    ...more,
  });
}

const from = (partition: number, offset: number, endOffset: number | null): Start => ({
  topic: 't',
  partition,
  offset: BigInt(offset),
  endOffset: endOffset === null ? null : BigInt(endOffset),
});
const positionsOf = (reader: PartitionReader): unknown =>
  reader.positions().map(({ partition, offset }) => [partition, Number(offset)]);

test('every partition is read to its end, then no more is asked for', async () => {
  cluster.add(1, ['a', 'b']);
  cluster.add(2, ['c']);
  cluster.add(1, []);
  const reader = readerWith();
  await reader.read([from(0, 1, 2), from(1, 0, 1), from(2, 0, 0)]);
  await settled();
  assert.deepEqual(taken.sort(), ['0/1 b', '1/0 c']);
  assert.equal(ends, 1);
  const asked = cluster.fetches.length;
  await time.advance(10_000);
  assert.equal(cluster.fetches.length, asked);
});

test('one leader has nothing left while another one is still waited for', async () => {
  cluster.add(1, ['a']);
  cluster.add(2, ['b']);
  cluster.isHolding = true;
  const reader = readerWith();
  await reader.read([from(0, 0, 1), from(1, 0, 1)]);
  await settled();
  cluster.fetches.find(({ nodeId }) => nodeId === 1)?.answer();
  await settled();
  assert.deepEqual(taken, ['0/0 a']);
  assert.equal(ends, 0);
  cluster.fetches.find(({ nodeId }) => nodeId === 2)?.answer();
  await settled();
  assert.equal(ends, 1);
});

test('the end may be a marker, which is passed and not shown', async () => {
  cluster.add(1, ['a', null]);
  const reader = readerWith();
  await reader.read([from(0, 0, 2)]);
  await settled();
  assert.deepEqual(taken, ['0/0 a']);
  assert.deepEqual(positionsOf(reader), [[0, 2]]);
  assert.equal(ends, 1);
});

test('what was not taken is not passed', async () => {
  cluster.add(1, ['a', 'b', 'c']);
  const reader = readerWith({
    take: async (records) => {
      const some = records.filter(({ offset }) => offset < 2);
      taken.push(...some.map(show));
      if (some.length < records.length) reader.stop();
      return some.length;
    },
  });
  await reader.read([from(0, 0, null)]);
  await settled();
  assert.deepEqual(taken, ['0/0 a', '0/1 b']);
  assert.deepEqual(await reader.release(), [{ topic: 't', partition: 0, offset: 2n }]);
});

test('a release waits for what is being taken and counts it; what follows is thrown away', async () => {
  cluster.add(1, ['a', 'b']);
  const writing = Promise.withResolvers<void>();
  const reader = readerWith({
    take: async (records) => {
      taken.push(...records.map(show));
      await writing.promise;
      return records.length;
    },
  });
  await reader.read([from(0, 0, null)]);
  await settled();
  let released: readonly unknown[] | null = null;
  const releasing = reader.release().then((positions) => {
    released = positions;
  });
  await settled();
  assert.equal(released, null);
  writing.resolve();
  await releasing;
  assert.deepEqual(released, [{ topic: 't', partition: 0, offset: 1n }]);
  await settled();
  assert.deepEqual(taken, ['0/0 a']);
});

test('an answer for a partition that was released and came back is not taken', async () => {
  cluster.add(1, ['a', 'b']);
  cluster.isHolding = true;
  const reader = readerWith();
  await reader.read([from(0, 0, null)]);
  await settled();
  await reader.release();
  await reader.read([from(0, 1, 2)]);
  cluster.isHolding = false;
  cluster.fetches[0]?.answer();
  await settled();
  assert.deepEqual(taken, ['0/1 b']);
});

test('a partition whose leader moves is read on from the new one', async () => {
  cluster.add(1, ['a']);
  cluster.isHolding = true;
  const reader = readerWith();
  await reader.read([from(0, 0, 2)]);
  await settled();
  cluster.isHolding = false;
  cluster.partitions[0] = { leaderId: 2, values: ['a', 'b'], logStartOffset: 0 };
  cluster.fetches[0]?.answer();
  await time.advance(1000);
  assert.deepEqual(taken, ['0/0 a', '0/1 b']);
  assert.equal(cluster.fetches.at(-1)?.nodeId, 2);
  assert.equal(ends, 1);
});

test('without any leader it asks again until there is one', async () => {
  cluster.add(-1, ['a']);
  const reader = readerWith();
  await reader.read([from(0, 0, 1)]);
  await time.advance(1000);
  assert.deepEqual(taken, []);
  cluster.partitions[0] = { leaderId: 3, values: ['a'], logStartOffset: 0 };
  await time.advance(1000);
  assert.deepEqual(taken, ['0/0 a']);
});

test('an offset that the log does not have any more goes where it is told', async () => {
  cluster.add(1, ['a', 'b', 'c']);
  cluster.partitions[0] = { leaderId: 1, values: ['a', 'b', 'c'], logStartOffset: 2 };
  const reader = readerWith();
  await reader.read([from(0, 0, 3)]);
  await settled();
  assert.deepEqual(taken, ['0/2 c']);
});

test('an error of a handler ends it, with its reason', async () => {
  cluster.add(1, ['a']);
  const reader = readerWith({
    outOfRange: () => {
      throw new Error('nowhere');
    },
  });
  await reader.read([from(0, 9, null)]);
  await settled();
  assert.equal(failure?.message, 'nowhere');
});
