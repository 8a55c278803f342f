import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { fetch } from '../../../../src/broker/api/01-fetch.ts';
import { leaderEpoch, noBroker } from '../../../../src/model/brands.ts';
import { fetchApi } from '../../../../src/wire/messages/01-fetch.ts';
import { batchOf } from '../../../support/log-harness.ts';
import { leadershipHoldMs, ManagerUnderTest } from '../../replication/manager-fixture.ts';
import { b1 } from '../../replication/partition-fixture.ts';
import { ServicesUnderTest } from '../services-fixture.ts';

const alone = { isr: [b1], minIsr: 1 };

interface Wanted {
  readonly offsets: readonly bigint[];
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
}

/** Fetches partition 0, 1, … of the topic from the offsets given. */
async function fetchFrom(
  under: ManagerUnderTest,
  { offsets, maxWaitMs = 0, minBytes = 1 }: Wanted,
  over = new ServicesUnderTest(under),
) {
  const answer = await over.ask(fetch, fetchApi, 12, {
    maxWaitMs,
    minBytes,
    maxBytes: 1 << 20,
    sessionEpoch: -1,
    topics: [
      {
        topic: 'orders',
        partitions: offsets.map((fetchOffset, partition) => ({ partition, fetchOffset, partitionMaxBytes: 1 << 20 })),
      },
    ],
  });
  return answer.responses.flatMap(({ partitions }) => partitions);
}

/** The answer, and after how many milliseconds it came. */
async function answerOf<Answer>(under: ManagerUnderTest, answering: Promise<Answer>): Promise<[Answer, number]> {
  const startedMs = under.time.monotonicMs();
  let answer: Answer | null = null;
  answering.then((found) => {
    answer = found;
  });
  for (let waitedMs = 0; waitedMs < 100_000 && answer === null; waitedMs += 10) await under.time.advance(10);
  assert.ok(answer, 'there is an answer');
  return [answer, under.time.monotonicMs() - startedMs];
}

describe('a fetch', () => {
  for (const beyond of [-1n, 1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)])
    test(`from offset ${beyond} of an empty partition is out of range`, async () => {
      const under = await ManagerUnderTest.start([alone]);
      assert.deepEqual(
        (await fetchFrom(under, { offsets: [beyond] })).map(({ errorCode }) => errorCode),
        [1],
      );
    });

  test('waits for all partitions without a leader together', async () => {
    const under = await ManagerUnderTest.start(Array.from({ length: 8 }, () => ({ ...alone, leader: noBroker })));
    const [answer, tookMs] = await answerOf(under, fetchFrom(under, { offsets: Array.from({ length: 8 }, () => 0n) }));
    assert.deepEqual(new Set(answer.map(({ errorCode }) => errorCode)), new Set([6]));
    assert.ok(tookMs <= leadershipHoldMs + 10, `${tookMs} ms`);
  });

  test('is served by a leader that is elected meanwhile', async () => {
    const under = await ManagerUnderTest.start([alone, { ...alone, leader: noBroker }]);
    const answering = fetchFrom(under, { offsets: [0n, 0n] });
    await under.time.advance(100);
    under.writeRecord({ leader: b1, leaderEpoch: leaderEpoch(6) }, 1);
    const [answer, tookMs] = await answerOf(under, answering);
    assert.deepEqual(
      answer.map(({ errorCode }) => errorCode),
      [0, 0],
    );
    assert.ok(tookMs < leadershipHoldMs, `${tookMs} ms`);
  });

  test('is refused by a leader that resigned while others were waited for', async () => {
    const under = await ManagerUnderTest.start([alone, { ...alone, leader: noBroker }]);
    const answering = fetchFrom(under, { offsets: [0n, 0n] });
    await under.time.advance(100);
    under.writeRecord({ leader: noBroker, leaderEpoch: leaderEpoch(6) });
    const [answer] = await answerOf(under, answering);
    assert.deepEqual(
      answer.map(({ errorCode }) => errorCode),
      [6, 6],
    );
  });

  test('sees what was committed while another partition was read from disk', async () => {
    const under = await ManagerUnderTest.start([alone, alone]);
    await under.replica(1).produce(batchOf(['old']), 1, 1_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = [promise];
    under.disk.delay = () => held.pop() ?? Promise.resolve();
    const answering = fetchFrom(under, { offsets: [0n, 0n], maxWaitMs: 10_000, minBytes: batchOf(['old']).length + 1 });
    // The first partition was found empty, the second is being read: now the first gets a record.
    await under.until(() => held.length === 0);
    await under.replica(0).produce(batchOf(['new']), 1, 1_000);
    resolve();
    const [answer, tookMs] = await answerOf(under, answering);
    assert.deepEqual(
      answer.map(({ records }) => (records?.length ?? 0) > 0),
      [true, true],
    );
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
  });

  test('holds no memory while it waits', async () => {
    const under = await ManagerUnderTest.start([alone]);
    await under.replica(0).produce(batchOf(['old']), 1, 1_000);
    const over = new ServicesUnderTest(under);
    const { answerMemory } = over.services;
    const answering = fetchFrom(under, { offsets: [0n], maxWaitMs: 10_000, minBytes: 1 << 19 }, over);
    await under.time.advance(5_000);
    assert.equal(answerMemory.usedBytes, 0);
    const [answer] = await answerOf(under, answering);
    assert.equal(answer[0]?.records?.length, batchOf(['old']).length);
    assert.equal(answerMemory.usedBytes, 0);
  });
});
