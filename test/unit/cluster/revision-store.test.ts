import assert from 'node:assert/strict';
import { test } from 'vitest';
import { RevisionStore } from '../../../src/cluster/revision-store.ts';
import { type LeaseId, LeaseLost, type Mutation, RevisionCompacted } from '../../../src/controller/metadata-store.ts';
import { revision } from '../../../src/model/brands.ts';

const put = (key: string, value: string, lease?: string): Mutation =>
  lease === undefined ? { kind: 'put', key, value } : { kind: 'put', key, value, lease: lease as LeaseId };
const remove = (key: string): Mutation => ({ kind: 'delete', key });
const texts = (entries: { key: string; value: string; modRevision: number }[]): string[] =>
  entries.map(({ key, value, modRevision }) => `${key}=${value}@${modRevision}`);

function storeOf(...txns: Mutation[][]): RevisionStore {
  const store = new RevisionStore(revision(0));
  for (const mutations of txns) store.transact({ compares: [], mutations });
  return store;
}

test('a read of the past shows what stood then', () => {
  const store = storeOf([put('a', '1')], [put('b', '2'), put('c', '3')], [remove('a')], [put('b', '4')]);
  assert.deepEqual(texts(store.read('')), ['b=4@4', 'c=3@2']);
  assert.deepEqual(texts(store.read('', revision(3))), ['b=2@2', 'c=3@2']);
  assert.deepEqual(texts(store.read('', revision(2))), ['a=1@1', 'b=2@2', 'c=3@2']);
  assert.deepEqual(texts(store.read('', revision(0))), []);
});

test('a compacted revision can be read, an earlier one cannot', () => {
  const store = storeOf([put('a', '1')], [put('a', '2')], [put('a', '3')]);
  store.compact(revision(2));
  assert.deepEqual(texts(store.read('', revision(2))), ['a=2@2']);
  assert.throws(() => store.read('', revision(1)), RevisionCompacted);
  assert.equal(store.revisionsAfter(revision(1)), null);
  assert.equal(store.revisionsAfter(revision(2))?.length, 1);
});

test('a transaction that changes nothing makes no revision', () => {
  const store = storeOf([put('a', '1')]);
  assert.deepEqual(store.transact({ compares: [], mutations: [remove('never')] }), {
    succeeded: true,
    committed: null,
  });
  assert.equal(store.revision, 1);
});

test('a lease that ends takes its keys in one revision, but not those written since without it', () => {
  const store = storeOf();
  store.grantLease('l' as LeaseId);
  store.transact({ compares: [], mutations: [put('x', '1', 'l'), put('y', '1', 'l'), put('z', '1', 'l')] });
  store.transact({ compares: [], mutations: [put('y', '2')] });
  const ended = store.endLease('l' as LeaseId);
  assert.deepEqual(
    ended?.changes.map(({ key }) => key),
    ['x', 'z'],
  );
  assert.deepEqual(texts(store.read('')), ['y=2@2']);
  assert.throws(() => store.transact({ compares: [], mutations: [put('q', '1'), put('x', '1', 'l')] }), LeaseLost);
  assert.deepEqual(texts(store.read('')), ['y=2@2']);
});

test('a roll-back restores entries, leases and the revision', () => {
  const store = storeOf([put('a', '1')]);
  store.grantLease('l' as LeaseId);
  store.transact({ compares: [], mutations: [put('b', '1', 'l')] });
  store.transact({ compares: [], mutations: [put('a', '2'), put('b', '2')] });
  store.transact({ compares: [], mutations: [remove('a')] });
  store.rollBackTo(revision(2));
  assert.deepEqual(texts(store.read('')), ['a=1@1', 'b=1@2']);
  assert.deepEqual(store.revisionsAfter(revision(2)), []);
  store.endLease('l' as LeaseId);
  assert.deepEqual(texts(store.read('')), ['a=1@1']);
});

test('the history is trimmed by half once it is too long', () => {
  const store = new RevisionStore(revision(0), [], 10);
  for (let turn = 0; turn < 11; turn++) store.transact({ compares: [], mutations: [put('a', `${turn}`)] });
  assert.equal(store.compactedRevision, 0);
  store.trimHistory();
  assert.equal(store.compactedRevision, 6);
  assert.equal(store.revisionsAfter(revision(6))?.length, 5);
});
