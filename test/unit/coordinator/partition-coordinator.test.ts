import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import type { CoordinatorShard, Now, Step } from '../../../src/coordinator/coordinator-shard.ts';
import {
  PartitionCoordinator,
  type PartitionCoordinatorAction,
} from '../../../src/coordinator/partition-coordinator.ts';
import { leaderEpoch, offset, offsetZero } from '../../../src/model/brands.ts';
import { BrokerError, type Fault } from '../../../src/model/fault.ts';

/**
 * `add` writes under a key, `read` tells what is written there, `tell` does so as a read, `take` writes as one,
 * `wait` is answered by the next `add`.
 */
type Request =
  | { readonly do: 'add'; readonly key: string; readonly word: string }
  | { readonly do: 'read'; readonly key: string | null }
  | { readonly do: 'tell'; readonly key: string }
  | { readonly do: 'take'; readonly key: string }
  | { readonly do: 'wait'; readonly key: string };
type Word = { readonly key: string; readonly word: string };

/** Words by key: about the least that has all a shard has. */
class WordShard implements CoordinatorShard<Request, Word, string> {
  readonly words: Word[] = [];
  loadedAtMs: number | null = null;
  #waiting: number[] = [];

  handle(request: Request, requestId: number): readonly Step<Word, string>[] {
    if (request.do === 'read')
      return [{ key: request.key, records: [], answers: [{ requestId, answer: this.#told(request.key) }] }];
    if (request.do === 'tell')
      return [
        { key: request.key, records: [], answers: [{ requestId, answer: this.#told(request.key) }], isRead: true },
      ];
    if (request.do === 'take') {
      const { key } = request;
      return [{ key, records: [{ key, word: 'taken' }], answers: [{ requestId, answer: 'taken' }], isRead: true }];
    }
    if (request.do === 'wait') {
      this.#waiting.push(requestId);
      return [{ key: request.key, records: [], answers: [] }];
    }
    const { key, word } = request;
    const answers = [requestId, ...this.#waiting].map((id) => ({ requestId: id, answer: `${word} added` }));
    this.#waiting = [];
    return [{ key, records: [{ key, word }], answers }];
  }
  #told(key: string | null): string {
    return this.words
      .filter((one) => key === null || one.key === key)
      .map(({ word }) => word)
      .join(' ');
  }
  replay(record: Word): void {
    this.words.push(record);
  }
  onLoaded(now: Now): void {
    this.loadedAtMs = now.monotonicMs;
  }
  isClosed = false;
  close(): void {
    this.isClosed = true;
  }
  stalledMs = 0;
  onStalled(byMs: number): void {
    this.stalledMs += byMs;
  }
  onTick(): readonly Step<Word, string>[] {
    return [{ key: 'clock', records: [{ key: 'clock', word: 'tick' }], answers: [] }];
  }
  onTopicsChanged(): readonly Step<Word, string>[] {
    return [{ key: 'topics', records: [{ key: 'topics', word: 'changed' }], answers: [] }];
  }
}

const epoch = leaderEpoch(3);

class Partition {
  now: Now = { monotonicMs: 1000, wallMs: 50_000 };
  log: Word[] = [];
  refusal: Fault | null = null;
  maySpeak = true;
  shard = new WordShard();
  onAppend: () => void = () => {};
  /** Of this leader epoch. */
  questions = 0;
  onQuestion: () => void = () => {};
  readonly coordinator = new PartitionCoordinator<Request, Word, string>(
    { commitTimeoutMs: 5000 },
    {
      log: {
        append: (records) => {
          if (this.refusal !== null) throw new BrokerError(this.refusal);
          this.log.push(...records);
          this.onAppend();
          return offset(this.log.length);
        },
        maySpeak: () => this.maySpeak,
        questionLeadership: () => {
          this.questions++;
          this.onQuestion();
          return this.questions;
        },
      },
      newShard: () => {
        this.shard = new WordShard();
        return this.shard;
      },
    },
  );
  #requests = 0;

  elect(highWatermark = this.log.length, logStart = 0): PartitionCoordinatorAction<string>[] {
    return this.coordinator.step({
      kind: 'elected',
      leaderEpoch: epoch,
      logStartOffset: offset(logStart),
      logEndOffset: offset(this.log.length),
      highWatermark: offset(highWatermark),
      now: this.now,
    });
  }
  read(from: number, to: number, of = epoch): PartitionCoordinatorAction<string>[] {
    const records = this.log.slice(from, to);
    return this.coordinator.step({
      kind: 'recordsRead',
      leaderEpoch: of,
      records,
      nextOffset: offset(to),
      now: this.now,
    });
  }
  request(request: Request): PartitionCoordinatorAction<string>[] {
    return this.coordinator.step({ kind: 'requested', requestId: ++this.#requests, request, now: this.now });
  }
  commit(highWatermark = this.log.length): PartitionCoordinatorAction<string>[] {
    return this.coordinator.step({ kind: 'highWatermarkMoved', highWatermark: offset(highWatermark), now: this.now });
  }
  confirm(question = this.questions): PartitionCoordinatorAction<string>[] {
    return this.coordinator.step({ kind: 'leadershipConfirmed', question });
  }
  tick(byMs = 0): PartitionCoordinatorAction<string>[] {
    this.now = { ...this.now, monotonicMs: this.now.monotonicMs + byMs };
    return this.coordinator.step({ kind: 'ticked', now: this.now });
  }
}

const answer = (requestId: number, text: string): PartitionCoordinatorAction<string> => ({
  kind: 'answer',
  requestId,
  answer: text,
});
const refusal = (
  requestId: number,
  code: 'COORDINATOR_LOAD_IN_PROGRESS' | 'NOT_COORDINATOR' | 'COORDINATOR_NOT_AVAILABLE',
): PartitionCoordinatorAction<string> => ({
  kind: 'refuse',
  requestId,
  fault: { code },
});
const add = (word: string, key = 'a'): Request => ({ do: 'add', key, word });
const read = (key: string | null = 'a'): Request => ({ do: 'read', key });
const tell = (key = 'a'): Request => ({ do: 'tell', key });
const wait = (key = 'a'): Request => ({ do: 'wait', key });

const serving = (): Partition => {
  const partition = new Partition();
  partition.elect();
  return partition;
};

describe('loading', () => {
  test('an empty log is served at once', () => {
    const partition = new Partition();
    assert.deepEqual(partition.request(read()), [refusal(1, 'NOT_COORDINATOR')]);
    assert.deepEqual(partition.elect(), []);
    assert.ok(partition.coordinator.isServing);
    assert.equal(partition.shard.loadedAtMs, 1000);
    assert.deepEqual(partition.request(read()), [answer(2, '')]);
  });

  test('reads from the log start to the end it had at the election, and no request is answered before', () => {
    const partition = new Partition();
    partition.log = ['one', 'two', 'three'].map((word) => ({ key: 'a', word }));
    assert.deepEqual(partition.elect(3, 1), [{ kind: 'read', leaderEpoch: epoch, offset: 1, endOffset: 3 }]);
    assert.deepEqual(partition.request(read()), [refusal(1, 'COORDINATOR_LOAD_IN_PROGRESS')]);
    assert.deepEqual(partition.read(1, 2), [{ kind: 'read', leaderEpoch: epoch, offset: 2, endOffset: 3 }]);
    assert.deepEqual(partition.request(read()), [refusal(2, 'COORDINATOR_LOAD_IN_PROGRESS')]);
    assert.deepEqual(partition.read(2, 3), []);
    assert.deepEqual(partition.request(read()), [answer(3, 'two three')]);
  });

  test('waits for the high watermark to reach that end: before, it would tell what is older than was acknowledged', () => {
    const partition = new Partition();
    partition.log = ['one', 'two'].map((word) => ({ key: 'a', word }));
    partition.elect(1);
    partition.read(0, 2);
    assert.ok(!partition.coordinator.isServing);
    assert.deepEqual(partition.request(read()), [refusal(1, 'COORDINATOR_LOAD_IN_PROGRESS')]);
    assert.deepEqual(partition.tick(), []);
    partition.commit(2);
    assert.deepEqual(partition.request(read()), [answer(2, 'one two')]);
  });

  test('records read for an earlier election are not replayed', () => {
    const partition = new Partition();
    partition.log = [{ key: 'a', word: 'one' }];
    partition.elect();
    assert.deepEqual(partition.read(0, 1, leaderEpoch(2)), []);
    assert.ok(!partition.coordinator.isServing);
    partition.read(0, 1);
    partition.read(0, 1);
    assert.deepEqual(partition.request(read()), [answer(1, 'one')]);
  });

  test('each election has a shard of its own', () => {
    const partition = serving();
    partition.request(add('one'));
    const before = partition.shard;
    partition.coordinator.step({ kind: 'resigned' });
    partition.log = [];
    partition.elect();
    assert.notEqual(partition.shard, before);
    assert.deepEqual(partition.request(read()), [answer(2, '')]);
  });
});

describe('an answer', () => {
  test('waits until its own records are committed', () => {
    const partition = serving();
    assert.deepEqual(partition.request(add('one')), []);
    assert.deepEqual(partition.commit(), [answer(1, 'one added')]);
  });

  test('about a key waits for what was written under it before', () => {
    const partition = serving();
    partition.request(add('one'));
    assert.deepEqual(partition.request(read()), []);
    assert.deepEqual(partition.request(read('b')), [answer(3, '')]);
    assert.deepEqual(partition.commit(), [answer(1, 'one added'), answer(2, 'one')]);
  });

  test('about all keys waits for what was written under any', () => {
    const partition = serving();
    partition.request(add('one'));
    partition.commit();
    partition.request(add('two', 'b'));
    assert.deepEqual(partition.request(read(null)), []);
    assert.deepEqual(partition.commit(), [answer(2, 'two added'), answer(3, 'one two')]);
    assert.deepEqual(partition.request(read(null)), [answer(4, 'one two')]);
  });

  test('does not wait for what was written under another key after it', () => {
    const partition = serving();
    partition.request(add('one'));
    partition.request(add('two', 'b'));
    assert.deepEqual(partition.commit(1), [answer(1, 'one added')]);
    assert.deepEqual(partition.commit(2), [answer(2, 'two added')]);
  });

  test('to a request that waited comes with the step that answers it', () => {
    const partition = serving();
    assert.deepEqual(partition.request(wait()), []);
    partition.request(add('one'));
    assert.deepEqual(partition.commit(), [answer(2, 'one added'), answer(1, 'one added')]);
  });

  test('is not given to a client that is gone', () => {
    const partition = serving();
    partition.request(wait());
    partition.coordinator.step({ kind: 'withdrawn', requestId: 1 });
    partition.request(add('one'));
    partition.coordinator.step({ kind: 'withdrawn', requestId: 2 });
    assert.deepEqual(partition.commit(), []);
  });

  test('that waits too long becomes a refusal, once; what it told of may be committed yet', () => {
    const partition = serving();
    partition.request(add('one'));
    assert.deepEqual(partition.tick(4999), []);
    assert.deepEqual(partition.tick(1), [refusal(1, 'COORDINATOR_NOT_AVAILABLE')]);
    assert.deepEqual(partition.tick(5000), []);
    assert.deepEqual(partition.commit(), []);
    assert.deepEqual(partition.request(read()), [answer(2, 'one')]);
  });
});

describe('the answer to a read', () => {
  test('waits until this is known to be the coordinator as of when it was asked', () => {
    const partition = serving();
    assert.deepEqual(partition.request(tell()), []);
    assert.deepEqual(partition.request(tell('b')), []);
    assert.deepEqual(partition.confirm(1), [answer(1, '')]);
    assert.deepEqual(partition.request(tell()), []);
    assert.deepEqual(partition.confirm(1), []);
    assert.deepEqual(partition.confirm(3), [answer(2, ''), answer(3, '')]);
  });
  test('leaves at once where nobody has to be asked', () => {
    const partition = serving();
    partition.onQuestion = () => assert.deepEqual(partition.confirm(), []);
    assert.deepEqual(partition.request(tell()), [answer(1, '')]);
  });
  test('waits for what it tells to be committed, too', () => {
    const partition = serving();
    partition.request(add('one'));
    partition.request(tell());
    assert.deepEqual(partition.confirm(), []);
    partition.request(tell());
    assert.deepEqual(partition.commit(), [answer(1, 'one added'), answer(2, 'one')]);
    assert.deepEqual(partition.confirm(), [answer(3, 'one')]);
  });
  test('holds up no other', () => {
    const partition = serving();
    partition.request(tell());
    partition.request(add('one'));
    assert.deepEqual(partition.commit(), [answer(2, 'one added')]);
    assert.deepEqual(partition.request(read()), [answer(3, 'one')]);
  });
  test('tells what was so when it was asked, or is proved by what it writes', () => {
    const partition = serving();
    partition.request({ do: 'take', key: 'a' });
    assert.equal(partition.questions, 0);
    assert.deepEqual(partition.commit(), [answer(1, 'taken')]);
  });
  test('becomes a refusal when it has waited as long as a commit', () => {
    const partition = serving();
    partition.request(tell());
    partition.request(add('one', 'b'));
    assert.deepEqual(partition.tick(4999), []);
    assert.deepEqual(partition.tick(1), [
      refusal(2, 'COORDINATOR_NOT_AVAILABLE'),
      refusal(1, 'COORDINATOR_NOT_AVAILABLE'),
    ]);
    assert.deepEqual(partition.confirm(), []);
  });
  test('becomes a refusal as soon as nobody has answered this broker for long', () => {
    const partition = serving();
    partition.request(tell());
    partition.request(add('one', 'b'));
    partition.maySpeak = false;
    assert.deepEqual(partition.tick(), [refusal(1, 'NOT_COORDINATOR')]);
    partition.maySpeak = true;
    assert.deepEqual(partition.confirm(), []);
    assert.deepEqual(partition.commit(), [answer(2, 'one added')]);
  });
  test('is not given to a client that is gone', () => {
    const partition = serving();
    partition.request(tell());
    partition.coordinator.step({ kind: 'withdrawn', requestId: 1 });
    assert.deepEqual(partition.confirm(), []);
  });
  test('becomes a refusal at the end of the leadership; what is confirmed of the one before is none of the next', () => {
    const partition = serving();
    for (const key of ['a', 'b']) partition.request(tell(key));
    partition.confirm(1);
    assert.deepEqual(partition.coordinator.step({ kind: 'resigned' }), [refusal(2, 'NOT_COORDINATOR')]);
    partition.questions = 0;
    partition.elect();
    assert.deepEqual(partition.request(tell()), []);
    assert.deepEqual(partition.confirm(), [answer(3, '')]);
  });
});

describe('a log that refuses', () => {
  const cases = [
    [{ code: 'NOT_LEADER', leaderId: -1, leaderEpoch: -1 }, 'NOT_COORDINATOR'],
    [{ code: 'STORAGE', reason: 'the disk is full' }, 'NOT_COORDINATOR'],
    [{ code: 'NOT_ENOUGH_REPLICAS' }, 'COORDINATOR_NOT_AVAILABLE'],
    [{ code: 'MESSAGE_TOO_LARGE', reason: 'by far' }, 'INVALID_COMMIT_OFFSET_SIZE'],
    [{ code: 'RECORD_LIST_TOO_LARGE', reason: 'by far' }, 'INVALID_COMMIT_OFFSET_SIZE'],
  ] as const;
  for (const [fault, code] of cases)
    test(`with ${fault.code} leaves all as it was, and everybody that the step answers is told ${code}`, () => {
      const partition = serving();
      partition.request(wait());
      partition.refusal = fault as Fault;
      assert.deepEqual(partition.request(add('one')), [
        { kind: 'refuse', requestId: 2, fault: { code } },
        { kind: 'refuse', requestId: 1, fault: { code } },
      ]);
      partition.refusal = null;
      assert.deepEqual(partition.request(read()), [answer(3, '')]);
    });

  test('for another reason than a fault is a bug, and is not hidden', () => {
    const partition = serving();
    partition.onAppend = () => {
      throw new TypeError('no such thing');
    };
    assert.throws(() => partition.request(add('one')), TypeError);
  });
});

describe('the end of leadership', () => {
  test('refuses everybody who waits, and each of them once', () => {
    const partition = serving();
    partition.request(wait());
    partition.request(add('one', 'b'));
    partition.request(wait());
    partition.commit();
    partition.request(add('two'));
    const refusals = partition.coordinator.step({ kind: 'resigned' });
    assert.deepEqual(refusals, [refusal(3, 'NOT_COORDINATOR'), refusal(4, 'NOT_COORDINATOR')]);
    assert.deepEqual(partition.commit(), []);
    assert.equal(partition.coordinator.leaderEpoch, null);
  });

  test('within an append refuses whom that append would have answered, and replays nothing', () => {
    const partition = serving();
    let refusals: unknown = null;
    partition.onAppend = () => {
      refusals = partition.coordinator.step({ kind: 'resigned' });
    };
    const shard = partition.shard;
    assert.deepEqual(partition.request(add('one')), []);
    assert.deepEqual(refusals, [refusal(1, 'NOT_COORDINATOR')]);
    assert.deepEqual(shard.words, []);
  });

  test('within an append, and another election, leave the new shard alone', () => {
    const partition = serving();
    partition.onAppend = () => {
      partition.onAppend = () => {};
      partition.coordinator.step({ kind: 'resigned' });
      partition.elect();
      partition.read(0, 1);
    };
    partition.tick();
    assert.ok(partition.coordinator.isServing);
    assert.deepEqual(partition.shard.words, [{ key: 'clock', word: 'tick' }]);
    assert.deepEqual(partition.request(read('clock')), [answer(1, 'tick')]);
  });

  test('while it may not speak it tells nobody anything, and does nothing of its own', () => {
    const partition = serving();
    partition.maySpeak = false;
    assert.deepEqual(partition.request(read()), [refusal(1, 'NOT_COORDINATOR')]);
    partition.tick();
    assert.deepEqual(partition.log, []);
    partition.maySpeak = true;
    partition.tick();
    assert.deepEqual(partition.log, [{ key: 'clock', word: 'tick' }]);
  });
});

test('a high watermark that comes within the append answers at once', () => {
  const partition = serving();
  partition.onAppend = () => assert.deepEqual(partition.commit(), []);
  assert.deepEqual(partition.request(add('one')), [answer(1, 'one added')]);
});

test('changes of topics are the affair of a shard that serves', () => {
  const partition = new Partition();
  const change = { changed: ['orders'], deleted: [] };
  partition.coordinator.step({ kind: 'topicsChanged', change, now: partition.now });
  assert.equal(partition.log.length, Number(offsetZero));
  partition.elect();
  partition.coordinator.step({ kind: 'topicsChanged', change, now: partition.now });
  assert.deepEqual(partition.log, [{ key: 'topics', word: 'changed' }]);
});
