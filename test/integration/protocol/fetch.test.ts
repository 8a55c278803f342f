/** What a consumer's client relies on in Fetch: limits, waiting, sessions, epochs, isolation, hints to the leader. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Item } from '../../../src/wire/field.ts';
import { produceApi } from '../../../src/wire/messages/00-produce.ts';
import { type FetchRequestInput, fetchApi } from '../../../src/wire/messages/01-fetch.ts';
import { listOffsetsApi } from '../../../src/wire/messages/02-list-offsets.ts';
import { metadataApi } from '../../../src/wire/messages/03-metadata.ts';
import { apiVersionsApi } from '../../../src/wire/messages/18-api-versions.ts';
import { offsetForLeaderEpochApi } from '../../../src/wire/messages/23-offset-for-leader-epoch.ts';
import { TestCluster } from '../../support/dev.ts';
import { RawCluster } from '../../support/raw-cluster.ts';
import { batchesIn, encodeRecordBatch, recordsOf } from '../../support/record-batches.ts';
import { WireClient } from '../../support/wire-client.ts';

type FetchPartition = Item<Item<FetchRequestInput['topics']>['partitions']>;

const cluster = await TestCluster.start();
const raw = new RawCluster(cluster.bootstrap);
const clients: WireClient[] = [];
afterAll(async () => {
  raw.close();
  for (const client of clients) client.close();
  await cluster.remove();
});

async function open(brokerId: number): Promise<WireClient> {
  const client = await WireClient.open(cluster.addressOf(brokerId));
  clients.push(client);
  return client;
}

async function leaderOf(
  topic: string,
  partition = 0,
): Promise<{ leader: number; leaderEpoch: number; follower: number }> {
  const { partitions } = await raw.partitionsOf(topic);
  const found = partitions[partition];
  assert.ok(found);
  const follower = found.replicas.find((id) => id !== found.leader) ?? -1;
  return { leader: found.leader, leaderEpoch: found.leaderEpoch, follower };
}

const batchOf = (values: readonly string[], timestampMs = 1_700_000_000_000): Buffer =>
  encodeRecordBatch(
    values.map((value) => ({ value: Buffer.from(value) })),
    { timestampMs },
  );

async function produce(client: WireClient, topic: string, records: Buffer, partition = 0): Promise<bigint> {
  const answer = await client.ask(produceApi, 9, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
  });
  const [done] = answer.responses[0]?.partitionResponses ?? [];
  assert.equal(done?.errorCode, 0);
  return done.baseOffset;
}

async function fetch(
  client: WireClient,
  topic: string,
  partition: Partial<FetchPartition>,
  more: Partial<FetchRequestInput> = {},
  version = 12,
) {
  const asked = { partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 << 20, ...partition };
  return client.ask(fetchApi, version, {
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1 << 24,
    sessionEpoch: -1,
    topics: [{ topic, partitions: [asked] }],
    ...more,
  });
}

const first = (answer: Awaited<ReturnType<typeof fetch>>) => {
  const found = answer.responses[0]?.partitions[0];
  assert.ok(found, 'the answer has the partition');
  return found;
};

const valuesIn = (records: Buffer | null): string[] =>
  [...batchesIn(records ?? Buffer.alloc(0))].flatMap((batch) =>
    recordsOf(batch).map(({ offset, value }) => `${offset}:${value}`),
  );

describe('one partition', () => {
  let client: WireClient;
  let at: { leader: number; leaderEpoch: number; follower: number };
  beforeAll(async () => {
    await raw.createTopic('plain', { partitions: 1, replicationFactor: 3 });
    at = await leaderOf('plain');
    client = await open(at.leader);
    await produce(client, 'plain', batchOf(['a', 'b', 'c']));
    await produce(client, 'plain', batchOf(['d', 'e']));
  });

  test('gives whole batches from the one that holds the offset', async () => {
    const found = first(await fetch(client, 'plain', { fetchOffset: 1n }));
    assert.deepEqual(valuesIn(found.records), ['0:a', '1:b', '2:c', '3:d', '4:e']);
    assert.deepEqual([found.highWatermark, found.lastStableOffset, found.logStartOffset], [5n, 5n, 0n]);
  });

  test('gives the first batch whole when it is larger than the limits, and no second one', async () => {
    for (const limits of [{ partitionMaxBytes: 1 }, { partitionMaxBytes: 0 }])
      assert.deepEqual(valuesIn(first(await fetch(client, 'plain', limits)).records), ['0:a', '1:b', '2:c']);
    assert.deepEqual(valuesIn(first(await fetch(client, 'plain', {}, { maxBytes: 1 })).records), ['0:a', '1:b', '2:c']);
  });

  test('answers nothing at the end and OFFSET_OUT_OF_RANGE beyond it', async () => {
    const atEnd = first(await fetch(client, 'plain', { fetchOffset: 5n }));
    assert.deepEqual([atEnd.errorCode, atEnd.records?.length ?? 0, atEnd.highWatermark], [0, 0, 5n]);
    for (const fetchOffset of [6n, -1n, 1n << 40n]) {
      const beyond = first(await fetch(client, 'plain', { fetchOffset }));
      assert.deepEqual(
        [beyond.errorCode, beyond.highWatermark, beyond.records?.length ?? 0],
        [1, -1n, 0],
        `${fetchOffset}`,
      );
    }
  });

  test('aborted transactions are an empty list under read_committed and null otherwise', async () => {
    assert.equal(first(await fetch(client, 'plain', {})).abortedTransactions, null);
    assert.deepEqual(first(await fetch(client, 'plain', {}, { isolationLevel: 1 })).abortedTransactions, []);
  });

  test('an older leader epoch is fenced, a newer one unknown, the current one and none are served', async () => {
    const codeFor = async (currentLeaderEpoch: number): Promise<number> =>
      first(await fetch(client, 'plain', { currentLeaderEpoch })).errorCode;
    assert.equal(await codeFor(at.leaderEpoch), 0);
    assert.equal(await codeFor(-1), 0);
    assert.equal(await codeFor(at.leaderEpoch + 1), 75);
    if (at.leaderEpoch > 0) assert.equal(await codeFor(at.leaderEpoch - 1), 74);
  });

  test('a last fetched epoch that the log does not know diverges', async () => {
    const found = first(await fetch(client, 'plain', { fetchOffset: 5n, lastFetchedEpoch: at.leaderEpoch + 5 }));
    assert.equal(found.errorCode, 0);
    assert.deepEqual(found.divergingEpoch, { epoch: at.leaderEpoch, endOffset: 5n });
    const same = first(await fetch(client, 'plain', { fetchOffset: 5n, lastFetchedEpoch: at.leaderEpoch }));
    assert.deepEqual(same.divergingEpoch, { epoch: -1, endOffset: -1n });
  });

  test('names no partition it does not have', async () => {
    assert.equal(first(await fetch(client, 'plain', { partition: 7 })).errorCode, 3);
    assert.equal(first(await fetch(client, 'nobody', {})).errorCode, 3);
  });

  test('a follower says NOT_LEADER_OR_FOLLOWER, and from version 16 on who leads and where', async () => {
    const other = await open(at.follower);
    assert.equal(first(await fetch(other, 'plain', {})).errorCode, 6);
    const { topics } = await other.ask(metadataApi, 12, { topics: [{ name: 'plain' }] });
    const topicId = topics[0]?.topicId ?? '';
    const answer = await fetch(
      other,
      'plain',
      {},
      { topics: [{ topicId, partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 }] }] },
      17,
    );
    assert.equal(first(answer).errorCode, 6);
    assert.deepEqual(first(answer).currentLeader, { leaderId: at.leader, leaderEpoch: at.leaderEpoch });
    const { host, port } = cluster.addressOf(at.leader);
    assert.deepEqual(answer.nodeEndpoints, [{ nodeId: at.leader, host, port, rack: null }]);
  });

  test('takes topic ids from version 13 on, and says 100 for one that nobody has', async () => {
    const { topics } = await client.ask(metadataApi, 12, { topics: [{ name: 'plain' }] });
    const topicId = topics[0]?.topicId ?? '';
    const ask = async (id: string) =>
      first(
        await fetch(
          client,
          '',
          {},
          { topics: [{ topicId: id, partitions: [{ partition: 0, fetchOffset: 3n, partitionMaxBytes: 100 }] }] },
          13,
        ),
      );
    assert.deepEqual(valuesIn((await ask(topicId)).records), ['3:d', '4:e']);
    assert.equal((await ask('AAAAAAAAAAAAAAAAAAAAFA')).errorCode, 100);
  });

  test('who poses as a replica is refused', async () => {
    const answer = await fetch(client, 'plain', {}, { replicaId: 2 });
    assert.equal(answer.errorCode, 42);
    const newer = await fetch(
      client,
      'plain',
      {},
      { replicaState: { replicaId: 2, replicaEpoch: 1n }, topics: [] },
      15,
    );
    assert.equal(newer.errorCode, 42);
  });
});

describe('waiting', () => {
  test('an answer waits the whole time when there is not enough, and not when there is', async () => {
    await raw.createTopic('waiting', { partitions: 1, replicationFactor: 3 });
    const client = await open((await leaderOf('waiting')).leader);
    const started = performance.now();
    const empty = first(await fetch(client, 'waiting', {}, { maxWaitMs: 300 }));
    assert.deepEqual([empty.errorCode, empty.records?.length ?? 0], [0, 0]);
    assert.ok(performance.now() - started >= 290, 'the answer came early');
    await produce(client, 'waiting', batchOf(['a']));
    const enough = first(await fetch(client, 'waiting', {}, { maxWaitMs: 20_000 }));
    assert.deepEqual(valuesIn(enough.records), ['0:a']);
  });

  test('a record that comes meanwhile ends the wait, and what is asked afterwards on the connection stays behind', async () => {
    await raw.createTopic('poll', { partitions: 1, replicationFactor: 3 });
    const { leader } = await leaderOf('poll');
    const [consumer, producer] = [await open(leader), await open(leader)];
    const waiting = fetch(consumer, 'poll', {}, { maxWaitMs: 20_000 });
    // The client takes answers in the order of its requests only.
    const later = consumer.ask(apiVersionsApi, 0);
    await produce(producer, 'poll', batchOf(['now']));
    assert.deepEqual(valuesIn(first(await waiting).records), ['0:now']);
    assert.equal((await later).errorCode, 0);
  });

  test('nobody waits for more than the limits let through, or for a batch that does not fit', async () => {
    await raw.createTopic('limits', { partitions: 1, replicationFactor: 3 });
    const client = await open((await leaderOf('limits')).leader);
    const batch = batchOf(['x'.repeat(100)]);
    for (let index = 0; index < 3; index++) await produce(client, 'limits', batch);
    const fits = batch.length + 10;
    const cases = [
      [{ partitionMaxBytes: fits }, { minBytes: fits }],
      [{}, { minBytes: fits, maxBytes: fits }],
      [{ fetchOffset: 2n }, { minBytes: 1 << 20, maxBytes: batch.length }],
    ] as const;
    for (const [partition, more] of cases) {
      const answer = first(await fetch(client, 'limits', partition, { maxWaitMs: 60_000, ...more }));
      assert.equal(answer.records?.length, batch.length);
    }
  });

  test('minBytes waits for more than one batch', async () => {
    await raw.createTopic('heap', { partitions: 1, replicationFactor: 3 });
    const { leader } = await leaderOf('heap');
    const [consumer, producer] = [await open(leader), await open(leader)];
    const one = batchOf(['x'.repeat(100)]);
    const waiting = fetch(consumer, 'heap', {}, { maxWaitMs: 20_000, minBytes: one.length * 3 });
    for (let sent = 0; sent < 3; sent++) await produce(producer, 'heap', one);
    assert.equal(valuesIn(first(await waiting).records).length, 3);
  });

  test('an error among the partitions is answered at once', async () => {
    const client = await open((await leaderOf('waiting')).leader);
    const answer = await fetch(
      client,
      'waiting',
      {},
      {
        maxWaitMs: 20_000,
        minBytes: 1 << 20,
        topics: [
          { topic: 'waiting', partitions: [{ partition: 0, fetchOffset: 1n, partitionMaxBytes: 1 }] },
          { topic: 'nobody', partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 }] },
        ],
      },
    );
    assert.deepEqual(
      answer.responses.map(({ topic, partitions }) => [topic, partitions[0]?.errorCode]),
      [
        ['waiting', 0],
        ['nobody', 3],
      ],
    );
  });
});

describe('sessions', () => {
  let client: WireClient;
  let partitions: number[];
  beforeAll(async () => {
    await raw.createTopic('sessions', { partitions: 6, replicationFactor: 3 });
    const all = await raw.partitionsOf('sessions');
    const leader = all.partitions[0]?.leader ?? -1;
    partitions = all.partitions.filter((one) => one.leader === leader).map(({ partition }) => partition);
    assert.equal(partitions.length, 2, 'six partitions on three brokers');
    client = await open(leader);
  });

  const topicsOf = (asked: readonly number[], fetchOffset = 0n) => [
    {
      topic: 'sessions',
      partitions: asked.map((partition) => ({ partition, fetchOffset, partitionMaxBytes: 1 << 20 })),
    },
  ];
  const answered = (answer: Awaited<ReturnType<typeof fetch>>): number[] =>
    answer.responses.flatMap((topic) => topic.partitions.map(({ partitionIndex }) => partitionIndex));

  test('tell of every partition first, then only of what is new, and forget what is forgotten', async () => {
    const [one = -1, other = -1] = partitions;
    const opened = await fetch(client, '', {}, { sessionEpoch: 0, topics: topicsOf(partitions) });
    assert.ok(opened.sessionId > 0);
    assert.deepEqual(answered(opened), partitions);
    const { sessionId } = opened;
    const next = (sessionEpoch: number, more: Partial<FetchRequestInput> = {}) =>
      fetch(client, '', {}, { sessionId, sessionEpoch, topics: [], ...more });
    const nothing = await next(1);
    assert.deepEqual([nothing.sessionId, answered(nothing)], [sessionId, []]);
    await produce(client, 'sessions', batchOf(['news']), other);
    assert.deepEqual(answered(await next(2)), [other]);
    // Read on from after it: no records, but the high watermark has been told already.
    assert.deepEqual(answered(await next(3, { topics: topicsOf([other], 1n) })), []);
    await next(4, { forgottenTopicsData: [{ topic: 'sessions', partitions: [one] }] });
    await produce(client, 'sessions', batchOf(['more']), one);
    assert.deepEqual(answered(await next(5)), []);
    // Errors are told again each time.
    assert.deepEqual(answered(await next(6, { topics: topicsOf([other], 99n) })), [other]);
    assert.deepEqual(answered(await next(7)), [other]);
  });

  test('an unknown session, a wrong epoch and a change from names to ids are refused', async () => {
    const unknown = await fetch(client, '', {}, { sessionId: 12345, sessionEpoch: 1, topics: [] });
    assert.deepEqual([unknown.errorCode, unknown.sessionId, unknown.responses], [70, 0, []]);
    const { sessionId } = await fetch(client, '', {}, { sessionEpoch: 0, topics: topicsOf(partitions) });
    assert.equal((await fetch(client, '', {}, { sessionId, sessionEpoch: 5, topics: [] })).errorCode, 71);
    assert.equal((await fetch(client, '', {}, { sessionId, sessionEpoch: 1, topics: [] }, 13)).errorCode, 106);
    // Closed by the client: unknown afterwards.
    assert.equal(
      (await fetch(client, '', {}, { sessionId, sessionEpoch: -1, topics: topicsOf(partitions) })).errorCode,
      0,
    );
    assert.equal((await fetch(client, '', {}, { sessionId, sessionEpoch: 1, topics: [] })).errorCode, 70);
  });
});

describe('offsets', () => {
  let client: WireClient;
  let at: { leader: number; leaderEpoch: number; follower: number };
  const times = [1000, 5000, 2000, 4000];
  beforeAll(async () => {
    await raw.createTopic('times', { partitions: 1, replicationFactor: 3 });
    at = await leaderOf('times');
    client = await open(at.leader);
    for (const time of times) await produce(client, 'times', batchOf([`at ${time}`], time));
  });

  async function list(timestamp: bigint, version = 11, partitionIndex = 0, target = client) {
    const answer = await target.ask(listOffsetsApi, version, {
      replicaId: -1,
      topics: [{ name: 'times', partitions: [{ partitionIndex, timestamp, currentLeaderEpoch: -1 }] }],
    });
    const found = answer.topics[0]?.partitions[0];
    assert.ok(found);
    return [found.errorCode, found.offset, found.timestamp];
  }

  test('by name: latest, earliest, the largest timestamp, local and tiered', async () => {
    assert.deepEqual(await list(-1n), [0, 4n, -1n]);
    assert.deepEqual(await list(-2n), [0, 0n, -1n]);
    assert.deepEqual(await list(-3n), [0, 1n, 5000n]);
    assert.deepEqual(await list(-4n), [0, 0n, -1n]);
    assert.deepEqual(await list(-5n), [0, -1n, -1n]);
    for (let version = 1; version <= 11; version++) assert.deepEqual(await list(-1n, version), [0, 4n, -1n]);
  });

  test('by time: the first record at or after it, in offset order, and -1 when there is none', async () => {
    assert.deepEqual(await list(0n), [0, 0n, 1000n]);
    assert.deepEqual(await list(1001n), [0, 1n, 5000n]);
    assert.deepEqual(await list(5000n), [0, 1n, 5000n]);
    assert.deepEqual(await list(5001n), [0, -1n, -1n]);
  });

  test('a version too low for a name says UNSUPPORTED_VERSION', async () => {
    assert.equal((await list(-3n, 6))[0], 35);
    assert.equal((await list(-4n, 7))[0], 35);
    assert.equal((await list(-5n, 8))[0], 35);
    assert.equal((await list(-9n))[0], 35);
  });

  test('an unknown partition is 3, a follower 6, a partition asked twice 42', async () => {
    assert.equal((await list(-1n, 11, 9))[0], 3);
    assert.equal((await list(-1n, 11, 0, await open(at.follower)))[0], 6);
    const partition = { partitionIndex: 0, timestamp: -1n, currentLeaderEpoch: -1 };
    const twice = await client.ask(listOffsetsApi, 11, {
      replicaId: -1,
      topics: [{ name: 'times', partitions: [partition, partition] }],
    });
    assert.equal(twice.topics[0]?.partitions[0]?.errorCode, 42);
  });

  test('the end of an epoch: the log end for the current one, nothing above it', async () => {
    const end = async (leaderEpoch: number, currentLeaderEpoch = -1) => {
      const { topics } = await client.ask(offsetForLeaderEpochApi, 4, {
        replicaId: -1,
        topics: [{ topic: 'times', partitions: [{ partition: 0, leaderEpoch, currentLeaderEpoch }] }],
      });
      const found = topics[0]?.partitions[0];
      return [found?.errorCode, found?.leaderEpoch, found?.endOffset];
    };
    assert.deepEqual(await end(at.leaderEpoch), [0, at.leaderEpoch, 4n]);
    assert.deepEqual(await end(at.leaderEpoch + 1), [0, -1, -1n]);
    assert.equal((await end(at.leaderEpoch, at.leaderEpoch + 1))[0], 75);
  });
});
