import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'vitest';
import { EmbeddedStore } from '../../../src/cluster/embedded-store.ts';
import { StoreCannotOpen } from '../../../src/cluster/store-cannot-open.ts';
import { StoreUnavailable } from '../../../src/controller/metadata-store.ts';
import { silentLogger } from '../../../src/env/logger.ts';
import { revision } from '../../../src/model/brands.ts';
import { ManualTime } from '../../support/manual-time.ts';

let directory: string;
let path: string;
const time = new ManualTime();
const opened: EmbeddedStore[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cordwood-store-'));
  path = join(directory, 'metadata.sqlite');
});
afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  rmSync(directory, { recursive: true });
});

async function open(): Promise<EmbeddedStore> {
  const store = await EmbeddedStore.open({ path }, { clock: time, timers: time, logger: silentLogger });
  opened.push(store);
  return store;
}

const texts = ({ entries }: { entries: { key: string; value: string }[] }): string[] =>
  entries.map(({ key, value }) => `${key}=${value}`);

test('what was answered is there after a restart, at the revision that wrote it; leased keys are not', async () => {
  const first = (await open()).connect();
  const lease = await first.grantLease(3_000);
  const { revision: written } = await first.transact({
    compares: [],
    mutations: [
      { kind: 'put', key: 'topics/a', value: '1' },
      { kind: 'put', key: 'live/1', value: '2', lease: lease.id },
      { kind: 'put', key: 'live/2', value: '3' },
    ],
  });
  await first.transact({ compares: [], mutations: [{ kind: 'put', key: 'live/2', value: '4', lease: lease.id }] });
  opened.splice(0)[0]?.close();
  const { entries } = await (await open()).connect().read('');
  assert.deepEqual(entries, [{ key: 'topics/a', value: '1', modRevision: written }]);
});

test('revisions never go back, though changes of leased keys alone are not written', async () => {
  const first = (await open()).connect();
  const lease = await first.grantLease(3_000);
  let seen = revision(0);
  for (let turn = 0; turn < 2_500; turn++) {
    const mutations = [{ kind: 'put' as const, key: 'live/1', value: `${turn}`, lease: lease.id }];
    ({ revision: seen } = await first.transact({ compares: [], mutations }));
  }
  opened.splice(0)[0]?.close();
  const second = (await open()).connect();
  const { revision: reopened } = await second.read('');
  assert.ok(reopened >= seen, `${reopened} after ${seen}`);
  const { revision: next } = await second.transact({
    compares: [],
    mutations: [{ kind: 'put', key: 'a', value: '1' }],
  });
  assert.equal(next, reopened + 1);
});

test('a second process is refused with the reason, and can open once the first is gone', async () => {
  const holder = new DatabaseSync(path);
  holder.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (a)');
  await assert.rejects(
    open(),
    (error) => error instanceof StoreCannotOpen && /another process uses it/.test(error.message),
  );
  holder.exec('ROLLBACK');
  holder.close();
  await open();
});

test('a damaged file, a file of another program and one of a later format are refused and left as they are', async () => {
  const refusal = (pattern: RegExp) => (error: unknown) =>
    error instanceof StoreCannotOpen && error.message.includes(path) && pattern.test(error.message);
  writeFileSync(path, 'no database, but long enough to be taken for one if nobody looks'.repeat(20));
  await assert.rejects(open(), refusal(/damaged/));
  rmSync(path);
  const other = new DatabaseSync(path);
  other.exec('CREATE TABLE theirs (a)');
  other.close();
  await assert.rejects(open(), refusal(/another program/));
  rmSync(path);
  const later = new DatabaseSync(path);
  later.exec('PRAGMA application_id = 0x436f7264; PRAGMA user_version = 9; CREATE TABLE metadata (a)');
  later.close();
  await assert.rejects(open(), refusal(/format is 9/));
});

test('a directory that is not there is named', async () => {
  path = join(directory, 'missing', 'metadata.sqlite');
  await assert.rejects(open(), (error) => error instanceof StoreCannotOpen && error.message.includes(path));
});

test('a commit that fails shows nothing to anybody, and the store goes on when the disk does', async () => {
  const store = await open();
  const connection = store.connect();
  await connection.transact({ compares: [], mutations: [{ kind: 'put', key: 'a', value: '1' }] });
  const seen: string[] = [];
  connection.watch('', (await connection.read('')).revision, {
    onEvents: ({ changes }) => seen.push(...changes.map(({ key, value }) => `${key}=${value}`)),
    onCompacted: () => assert.fail('nothing was compacted'),
    onState: () => {},
  });
  // A value that SQLite cannot store stands for a disk that cannot: COMMIT is never reached.
  const poison = { kind: 'put', key: 'c', value: Symbol('poison') as unknown as string } as const;
  Object.defineProperty(poison, 'value', { get: poisonOnce() });
  const together = await Promise.allSettled([
    connection.transact({ compares: [], mutations: [{ kind: 'put', key: 'b', value: '2' }] }),
    connection.transact({ compares: [], mutations: [poison] }),
  ]);
  for (const outcome of together) {
    assert.equal(outcome.status, 'rejected');
    assert.ok(
      outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailable && outcome.reason.outcomeUnknown,
    );
  }
  assert.deepEqual(texts(await connection.read('')), ['a=1']);
  await connection.transact({ compares: [], mutations: [{ kind: 'put', key: 'd', value: '4' }] });
  await time.advance(0);
  assert.deepEqual(seen, ['d=4']);
  assert.deepEqual(texts(await connection.read('')), ['a=1', 'd=4']);
});

/** A text for the check of the size, and then something that no SQLite column takes. */
function poisonOnce(): () => unknown {
  let reads = 0;
  return () => (reads++ === 0 ? 'text' : { no: 'text' });
}

test('the end of a connection ends its watches at once and its leases after their time, not those of others', async () => {
  const store = await open();
  const [one, two] = [store.connect(), store.connect()];
  const [leaseOne, leaseTwo] = [await one.grantLease(3_000), await two.grantLease(3_000)];
  await one.transact({ compares: [], mutations: [{ kind: 'put', key: 'live/1', value: '1', lease: leaseOne.id }] });
  await two.transact({ compares: [], mutations: [{ kind: 'put', key: 'live/2', value: '1', lease: leaseTwo.id }] });
  await one.close();
  await time.advance(2_999);
  assert.equal((await two.read('live/')).entries.length, 2);
  await time.advance(1);
  assert.deepEqual(texts(await two.read('live/')), ['live/2=1']);
  assert.equal(leaseTwo.lastRenewedMs, time.monotonicMs());
  await assert.rejects(one.read(''), StoreUnavailable);
});

test('the only connection of a process closes the file with it', async () => {
  const alone = (await open()).connectAlone();
  await alone.transact({ compares: [], mutations: [{ kind: 'put', key: 'a', value: '1' }] });
  await alone.close();
  await assert.rejects(alone.read(''), StoreUnavailable);
  assert.deepEqual(texts(await (await open()).connect().read('')), ['a=1']);
});
