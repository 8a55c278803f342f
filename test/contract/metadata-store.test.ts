/** What every metadata store promises, asked of all of them: the simulation proves something only where they agree. */
import assert from 'node:assert/strict';
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest';
import {
  type LeaseId,
  LeaseLost,
  type MetadataStore,
  type Mutation,
  maxTxnBytes,
  maxTxnOps,
  RevisionCompacted,
  StoreUnavailable,
} from '../../src/controller/metadata-store.ts';
import { AssertionError } from '../../src/model/assert.ts';
import { type Revision, revision } from '../../src/model/brands.ts';
import { noEtcd } from '../support/etcd.ts';
import {
  embeddedHarness,
  etcdHarnesses,
  type StoreHarness,
  simulatedHarness,
  WatchRecorder,
} from '../support/store-harness.ts';

const put = (key: string, value: string, lease?: LeaseId): Mutation =>
  lease === undefined ? { kind: 'put', key, value } : { kind: 'put', key, value, lease };
const remove = (key: string): Mutation => ({ kind: 'delete', key });
const absent = (key: string) => ({ key, modRevision: revision(0) });

interface Suite {
  readonly name: string;
  /** Null: skip, with this reason. */
  start(): Promise<(() => Promise<StoreHarness>) | null>;
  stop(): Promise<void>;
}

let etcd: Awaited<ReturnType<typeof etcdHarnesses>> = null;
const suites: Suite[] = [
  { name: 'the simulated store', start: async () => simulatedHarness, stop: async () => {} },
  { name: 'the embedded store', start: async () => embeddedHarness, stop: async () => {} },
  {
    name: 'etcd',
    async start() {
      etcd = await etcdHarnesses(1);
      return etcd && (() => present(etcd).make());
    },
    stop: async () => etcd?.stop(),
  },
];

function present<Value>(value: Value | null): Value {
  assert.ok(value !== null);
  return value;
}

for (const suite of suites)
  describe(suite.name, () => {
    let makeHarness: (() => Promise<StoreHarness>) | null = null;
    let harness: StoreHarness;
    let store: MetadataStore;

    beforeAll(async () => {
      makeHarness = await suite.start();
    });
    afterAll(() => suite.stop());
    beforeEach(async (context) => {
      if (!makeHarness) return context.skip(noEtcd);
      harness = await makeHarness();
      store = await harness.connect();
    });
    afterEach(async () => {
      if (makeHarness) await harness.stop();
    });

    const settle = <Result>(promise: Promise<Result>): Promise<Result> => harness.settle(promise);
    const write = async (...mutations: Mutation[]): Promise<Revision> => {
      const outcome = await settle(store.transact({ compares: [], mutations }));
      assert.ok(outcome.succeeded);
      return outcome.revision;
    };
    const texts = async (prefix: string, at?: Revision): Promise<string[]> =>
      (await settle(store.read(prefix, at))).entries.map(({ key, value }) => `${key}=${value}`);

    test('a read gives the keys under a prefix in order, each with the revision that wrote it', async () => {
      const first = await write(put('a/2', 'two'), put('a/1', 'one'), put('b', 'other'), put('a', 'shorter'));
      const second = await write(put('a/1', 'one again'));
      const { revision: at, entries } = await settle(store.read('a/'));
      assert.ok(at >= second);
      assert.deepEqual(entries, [
        { key: 'a/1', value: 'one again', modRevision: second },
        { key: 'a/2', value: 'two', modRevision: first },
      ]);
      assert.deepEqual(await texts('nothing/'), []);
    });

    test('a read of everything, and one of hundreds of keys, is whole', async () => {
      const keys = Array.from({ length: 100 }, (_, index) => `k/${String(index).padStart(3, '0')}`);
      await write(...keys.map((key) => put(key, '·')));
      assert.deepEqual(
        (await settle(store.read(''))).entries.map(({ key }) => key),
        keys,
      );
    });

    test('values of any text come back as they were', async () => {
      const value = JSON.stringify({ v: 1, text: 'ä漢字🪵\u0000"\\' });
      await write(put('names/ünïcode', value));
      assert.deepEqual(await texts('names/'), [`names/ünïcode=${value}`]);
    });

    test('a read at a revision shows what stood then, whatever has happened since', async () => {
      const first = await write(put('a', '1'), put('b', '1'));
      const second = await write(put('a', '2'), remove('b'));
      await write(remove('a'), put('c', '3'));
      assert.deepEqual(await texts('', first), ['a=1', 'b=1']);
      assert.deepEqual(await texts('', second), ['a=2']);
      assert.equal((await settle(store.read('', first))).revision, first);
    });

    test('a transaction happens as a whole or not at all', async () => {
      const created = await settle(
        store.transact({ compares: [absent('a')], mutations: [put('a', '1'), put('b', '1')] }),
      );
      assert.ok(created.succeeded);
      const again = await settle(
        store.transact({ compares: [absent('a')], mutations: [put('a', '2'), put('c', '2')] }),
      );
      assert.equal(again.succeeded, false);
      const half = await settle(
        store.transact({
          compares: [{ key: 'a', modRevision: created.revision }, absent('b')],
          mutations: [put('a', '3'), remove('b')],
        }),
      );
      assert.equal(half.succeeded, false);
      assert.deepEqual(await texts(''), ['a=1', 'b=1']);
    });

    test('a compare is of the last write, so that an overwritten key is another one (I2)', async () => {
      const first = await write(put('ctl/leader', 'one'));
      const second = await write(put('ctl/leader', 'two'));
      const late = await settle(
        store.transact({ compares: [{ key: 'ctl/leader', modRevision: first }], mutations: [put('x', '1')] }),
      );
      assert.equal(late.succeeded, false);
      const inTime = await settle(
        store.transact({ compares: [{ key: 'ctl/leader', modRevision: second }], mutations: [put('x', '1')] }),
      );
      assert.ok(inTime.succeeded);
    });

    test('a deleted key compares as absent, and one written again has a new revision', async () => {
      const first = await write(put('a', '1'));
      await write(remove('a'));
      const again = await settle(store.transact({ compares: [absent('a')], mutations: [put('a', '2')] }));
      assert.ok(again.succeeded && again.revision > first);
    });

    test('of transactions started together on the same key exactly one succeeds', async () => {
      const other = await settle(harness.connect());
      const attempts = [store, other, store, other].map((by, index) =>
        by.transact({ compares: [absent('seat')], mutations: [put('seat', `${index}`)] }),
      );
      const outcomes = await settle(Promise.all(attempts));
      assert.equal(outcomes.filter(({ succeeded }) => succeeded).length, 1);
    });

    test('a transaction that is too large, or changes a key twice, is a bug and changes nothing', async () => {
      const many = Array.from({ length: maxTxnOps + 1 }, (_, index) => put(`k/${index}`, ''));
      const tooLong = [put('long', 'x'.repeat(maxTxnBytes))];
      for (const mutations of [many, tooLong, [put('a', '1'), remove('a')]])
        await assert.rejects(store.transact({ compares: [], mutations }), AssertionError);
      const compares = many.map(({ key }) => absent(key));
      await assert.rejects(store.transact({ compares, mutations: [] }), AssertionError);
      assert.deepEqual(await texts(''), []);
    });

    test('the largest transactions allowed go through', async () => {
      const most = Array.from({ length: maxTxnOps }, (_, index) => put(`k/${index}`, 'v'));
      const compares = most.map(({ key }) => absent(key));
      assert.ok((await settle(store.transact({ compares, mutations: most }))).succeeded);
      await write(put('long', 'x'.repeat(maxTxnBytes - 4_096)));
      assert.equal((await settle(store.read(''))).entries.length, maxTxnOps + 1);
    });

    test('a watch hands out every later revision whole, in order, and only its prefix', async () => {
      const before = await write(put('p/a', '0'));
      const first = await write(put('p/a', '1'), put('p/b', '1'), put('q', '1'));
      const seen = new WatchRecorder().start(store, 'p/', before);
      await settle(seen.until(() => seen.events.length === 1));
      await write(put('q', '2'));
      const second = await write(remove('p/a'), remove('q'), put('p/c', '2'));
      await settle(seen.until(() => seen.events.length === 2));
      seen.close();
      assert.deepEqual(
        seen.events.map((events) => ({
          ...events,
          changes: [...events.changes].sort((a, b) => (a.key < b.key ? -1 : 1)),
        })),
        [
          {
            revision: first,
            changes: [
              { key: 'p/a', value: '1', modRevision: first },
              { key: 'p/b', value: '1', modRevision: first },
            ],
          },
          {
            revision: second,
            changes: [
              { key: 'p/a', value: null, modRevision: second },
              { key: 'p/c', value: '2', modRevision: second },
            ],
          },
        ],
      );
      assert.deepEqual(seen.states, [true]);
    });

    test('a watch shows what other connections write', async () => {
      const { revision: at } = await settle(store.read(''));
      const seen = new WatchRecorder().start(store, '', at);
      const other = await settle(harness.connect());
      const outcome = await settle(other.transact({ compares: [], mutations: [put('from/other', '1')] }));
      await settle(seen.until(() => seen.lastRevision === outcome.revision));
      seen.close();
    });

    test('a read and a watch from it leave no gap while others write', async () => {
      const other = await settle(harness.connect());
      const writes = (async () => {
        for (let turn = 0; turn < 200; turn++)
          await other.transact({
            compares: [],
            mutations: [put(`k/${turn % 7}`, `${turn}`), remove(`k/${(turn + 3) % 7}`)],
          });
      })();
      await settle(other.transact({ compares: [], mutations: [put('mark', '1')] }));
      const { revision: at, entries } = await settle(store.read('k/'));
      const seen = new WatchRecorder().start(store, 'k/', at);
      await settle(writes);
      const end = await settle(store.read('k/'));
      const last = Math.max(...end.entries.map(({ modRevision }) => modRevision));
      await settle(seen.until(() => seen.lastRevision >= last || last <= at));
      seen.close();
      const revisions = seen.events.map((events) => events.revision);
      assert.deepEqual(
        revisions,
        [...new Set(revisions)].sort((a, b) => a - b),
      );
      assert.deepEqual(
        seen.appliedTo(entries),
        end.entries.map(({ key, value }) => [key, value]),
      );
    });

    test('a watch that starts thousands of revisions back catches up without a gap', async () => {
      const { revision: at } = await settle(store.read(''));
      // More than the 1 000 revisions that one answer of etcd can hold.
      for (let block = 0; block < 25; block++)
        await settle(
          Promise.all(
            Array.from({ length: 100 }, (_, index) =>
              store.transact({
                compares: [],
                mutations: [put(`k/${index}`, `${block}`), put('last', `${block}/${index}`)],
              }),
            ),
          ),
        );
      const seen = new WatchRecorder().start(store, '', at);
      await settle(seen.until(() => seen.events.length >= 2_500));
      seen.close();
      assert.ok(seen.events.every(({ changes }) => changes.length === 2));
      const revisions = seen.events.map((events) => events.revision);
      assert.equal(new Set(revisions).size, 2_500);
      const end = await settle(store.read(''));
      assert.deepEqual(
        seen.appliedTo([]),
        end.entries.map(({ key, value }) => [key, value]),
      );
    });

    test('one revision larger than any message is one event', async () => {
      const { revision: at } = await settle(store.read(''));
      // etcd splits what is longer than 2 MiB with its overhead; four revisions make a catch-up of many fragments.
      const value = 'x'.repeat(12_000);
      for (let turn = 0; turn < 4; turn++)
        await write(...Array.from({ length: 120 }, (_, index) => put(`k/${index}`, `${turn}${value}`)));
      const seen = new WatchRecorder().start(store, '', at);
      await settle(seen.until(() => seen.events.length === 4));
      seen.close();
      assert.deepEqual(
        seen.events.map(({ changes }) => changes.length),
        [120, 120, 120, 120],
      );
    });

    test('a closed watch says nothing more', async () => {
      const { revision: at } = await settle(store.read(''));
      const closed = new WatchRecorder().start(store, '', at);
      const open = new WatchRecorder().start(store, '', at);
      await write(put('a', '1'));
      await settle(closed.until(() => closed.events.length === 1));
      closed.close();
      await write(put('a', '2'));
      await settle(open.until(() => open.events.length === 2));
      open.close();
      assert.equal(closed.events.length, 1);
    });

    test('a listener can write, and watch again, from within an event', async () => {
      const { revision: at } = await settle(store.read(''));
      const done = new Promise<string[]>((resolve, reject) => {
        const seen: string[] = [];
        const watch = store.watch('', at, {
          onEvents({ changes }) {
            for (const { key, value } of changes) seen.push(`${key}=${value}`);
            if (seen.length === 1) store.transact({ compares: [], mutations: [put('b', '2')] }).catch(reject);
            if (seen.length < 2) return;
            watch.close();
            resolve(seen);
          },
          onCompacted: () => reject(new Error('compacted')),
          onState: () => {},
        });
      });
      await write(put('a', '1'));
      assert.deepEqual(await settle(done), ['a=1', 'b=2']);
    });

    test('a compacted past can be neither read nor watched, what follows it can', async () => {
      const first = await write(put('a', '1'));
      const second = await write(put('a', '2'));
      const third = await write(put('a', '3'));
      await settle(harness.compact(second));
      await assert.rejects(settle(store.read('', first)), RevisionCompacted);
      assert.deepEqual(await texts('', second), ['a=2']);
      const late = new WatchRecorder().start(store, '', revision(first - 1));
      await settle(late.until(() => late.compactions === 1));
      assert.deepEqual(late.events, []);
      const inTime = new WatchRecorder().start(store, '', second);
      await settle(inTime.until(() => inTime.lastRevision === third));
      inTime.close();
    });

    test('a lease keeps its keys, is renewed by itself, and takes them along when it is revoked', async () => {
      const lease = await settle(store.grantLease(1_000));
      const granted = lease.lastRenewedMs;
      const at = await write(put('live/1', 'here', lease.id), put('stays', '1'));
      const seen = new WatchRecorder().start(store, 'live/', at);
      const other = await settle(harness.connect());
      // Another lease that nobody renews runs out meanwhile, which is how the suite knows that time has passed.
      const abandoned = await settle(other.grantLease(1_000));
      await settle(other.transact({ compares: [], mutations: [put('live/2', 'soon gone', abandoned.id)] }));
      abandoned.abandon();
      await settle(seen.until(() => seen.valuesOf('live/2').at(-1) === null));
      assert.ok(lease.lastRenewedMs > granted);
      assert.deepEqual(await texts(''), ['live/1=here', 'stays=1']);
      await settle(lease.revoke());
      await settle(seen.until(() => seen.valuesOf('live/1').at(-1) === null));
      seen.close();
      assert.deepEqual(await texts(''), ['stays=1']);
    });

    test('the keys of one lease go in one revision', async () => {
      const lease = await settle(store.grantLease(2_000));
      await write(put('live/1', '1', lease.id));
      const at = await write(put('ctl/leader', '1', lease.id));
      const seen = new WatchRecorder().start(store, '', at);
      await settle(lease.revoke());
      await settle(seen.until(() => seen.events.length > 0));
      seen.close();
      assert.deepEqual(seen.events[0]?.changes.map(({ key }) => key).sort(), ['ctl/leader', 'live/1']);
    });

    test('a put without a lease, or with another, takes the key off its lease', async () => {
      const [one, two] = await settle(Promise.all([store.grantLease(2_000), store.grantLease(2_000)]));
      await write(put('a', '1', one.id), put('b', '1', one.id));
      await write(put('a', '2'), put('b', '2', two.id));
      await settle(one.revoke());
      assert.deepEqual(await texts(''), ['a=2', 'b=2']);
      await settle(two.revoke());
      assert.deepEqual(await texts(''), ['a=2']);
    });

    test('the end of a connection is like a crash: its leases run out, its watches are silent', async () => {
      const other = await settle(harness.connect());
      const lease = await settle(other.grantLease(1_000));
      const mine = await settle(store.grantLease(1_000));
      await settle(other.transact({ compares: [], mutations: [put('live/2', '1', lease.id)] }));
      const at = await write(put('live/1', '1', mine.id));
      const seen = new WatchRecorder().start(store, '', at);
      const silent = new WatchRecorder().start(other, '', at);
      await settle(other.close());
      await settle(seen.until(() => seen.valuesOf('live/2').length === 1));
      seen.close();
      assert.deepEqual(await texts(''), ['live/1=1']);
      assert.deepEqual(silent.events, []);
      await assert.rejects(settle(other.read('')), StoreUnavailable);
    });

    test('a lease that the store drops is told to its holder, once, and can hold no keys', async () => {
      const lease = await settle(store.grantLease(1_000));
      await write(put('live/1', '1', lease.id));
      let told = 0;
      const lost = new Promise<void>((resolve) =>
        lease.onLost(() => {
          told++;
          resolve();
        }),
      );
      await settle(harness.dropLease(lease.id));
      await settle(lost);
      const late = store.transact({ compares: [], mutations: [put('other', '1'), put('live/1', '2', lease.id)] });
      await assert.rejects(settle(late), LeaseLost);
      assert.deepEqual(await texts(''), []);
      const again = await settle(store.grantLease(1_000));
      await write(put('live/1', '3', again.id));
      assert.deepEqual(await texts(''), ['live/1=3']);
      assert.equal(told, 1);
      let isToldLate = false;
      lease.onLost(() => {
        isToldLate = true;
      });
      assert.ok(isToldLate);
    });

    test('who revokes or abandons a lease is not told of its loss', async () => {
      const [revoked, abandoned] = await settle(Promise.all([store.grantLease(1_000), store.grantLease(1_000)]));
      const at = await write(put('live/1', '1', abandoned.id));
      for (const lease of [revoked, abandoned]) lease.onLost(() => assert.fail('told of a loss of its own making'));
      await settle(revoked.revoke());
      abandoned.abandon();
      const seen = new WatchRecorder().start(store, '', at);
      await settle(seen.until(() => seen.events.length === 1));
      seen.close();
    });
  });
