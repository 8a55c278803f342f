/** What happens to the metadata store's client when members of etcd die, stop answering, or lose their majority. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'vitest';
import { EtcdStore } from '../../src/cluster/etcd/etcd-store.ts';
import { type MetadataStore, type Mutation, StoreUnavailable } from '../../src/controller/metadata-store.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { nodeClock } from '../../src/env/node/clock.ts';
import { nodeTimers } from '../../src/env/node/timers.ts';
import { EtcdCluster, type EtcdProcess, etcdProgram, noEtcd } from '../support/etcd.ts';
import { WatchRecorder } from '../support/store-harness.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const put = (key: string, value: string): Mutation => ({ kind: 'put', key, value });

describe('three members of etcd', () => {
  const program = etcdProgram();
  let cluster: EtcdCluster;
  const stores: EtcdStore[] = [];
  const proxies: TcpProxy[] = [];

  beforeEach(async (context) => {
    if (!program) return context.skip(noEtcd);
    cluster = await EtcdCluster.start(program, 3);
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    for (const proxy of proxies.splice(0)) proxy.stop();
    if (program) await cluster.stop();
  });

  async function open(endpoints = cluster.endpoints): Promise<EtcdStore> {
    const options = { endpoints, clusterName: 'c', openLimitMs: 30_000 };
    const store = await EtcdStore.open(options, { clock: nodeClock, timers: nodeTimers, logger: silentLogger });
    stores.push(store);
    return store;
  }
  const memberOf = (store: EtcdStore): EtcdProcess => cluster.memberAt(store.endpoint);
  /** Writes until it succeeds, as a caller who reads after an unknown outcome would; one value, so that twice is once. */
  async function write(store: MetadataStore, key: string, value: string): Promise<void> {
    for (;;) {
      try {
        await store.transact({ compares: [], mutations: [put(key, value)] });
        return;
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
      }
    }
  }
  async function read(store: MetadataStore, prefix: string): ReturnType<MetadataStore['read']> {
    for (;;) {
      try {
        return await store.read(prefix);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
      }
    }
  }
  /** Values of `count` in the order in which the watch told them, repeats of one value as one. */
  const countsSeen = (seen: WatchRecorder): (string | null)[] => {
    const values = seen.valuesOf('count');
    return values.filter((value, at) => value !== values[at - 1]);
  };

  for (const [title, strike] of [
    ['killed', (member: EtcdProcess) => member.kill()],
    ['stopped (SIGSTOP)', async (member: EtcdProcess) => member.pause()],
  ] as const)
    test(`the member in use is ${title}: reads and writes go on, the watch has no gap, the lease lives`, async () => {
      const store = await open();
      const struck = store.endpoint;
      const lease = await store.grantLease(5_000);
      lease.onLost(() => assert.fail('the lease was lost'));
      await store.transact({ compares: [], mutations: [{ kind: 'put', key: 'live/1', value: '1', lease: lease.id }] });
      const { revision: at } = await store.read('');
      const seen = new WatchRecorder().start(store, '', at);
      await write(store, 'count', '0');
      await seen.until(() => seen.events.length > 0);

      await strike(memberOf(store));
      const renewedMs = lease.lastRenewedMs;
      for (let count = 1; count <= 50; count++) await write(store, 'count', `${count}`);
      await seen.until(() => seen.valuesOf('count').at(-1) === '50');
      assert.deepEqual(
        countsSeen(seen),
        Array.from({ length: 51 }, (_, count) => `${count}`),
      );
      assert.notEqual(store.endpoint, struck);
      assert.equal((await read(store, 'live/')).entries.length, 1);
      // The next keep-alive, through another member: its key's life is told by the watch, its renewal by the time.
      for (let tick = 0; lease.lastRenewedMs === renewedMs; tick++) await write(store, 'tick', `${tick}`);
      assert.deepEqual(seen.valuesOf('live/1'), []);
      seen.close();
    });

  /** A store whose only way to etcd is one that the test can cut, and another with all ways. */
  async function openBehindProxy(): Promise<{ store: EtcdStore; proxy: TcpProxy; direct: EtcdStore }> {
    const [endpoint = ''] = cluster.endpoints;
    const proxy = await TcpProxy.start(Number(new URL(endpoint).port));
    proxies.push(proxy);
    return { store: await open([`http://127.0.0.1:${proxy.port}`]), proxy, direct: await open([endpoint]) };
  }

  test('compaction passes a watch by while it is cut off: it is told to read anew', async () => {
    const { store, proxy, direct } = await openBehindProxy();
    const { revision: at } = await store.read('');
    const seen = new WatchRecorder().start(store, '', at);
    await write(store, 'count', '0');
    await seen.until(() => seen.events.length > 0);
    proxy.hold();
    for (let count = 1; count <= 10; count++) await write(direct, 'count', `${count}`);
    await cluster.compact((await read(direct, '')).revision);
    await write(direct, 'count', '11');
    // A linearizable read at the member that the watch comes back to: it has the compaction.
    await read(direct, '');
    await seen.until(() => seen.states.at(-1) === false);
    proxy.release();
    await seen.until(() => seen.compactions === 1);
    assert.deepEqual(countsSeen(seen), ['0']);
    // What the caller does then.
    const { revision: anew, entries } = await read(store, '');
    assert.deepEqual(
      entries.map(({ key, value }) => [key, value]),
      [['count', '11']],
    );
    const again = new WatchRecorder().start(store, '', anew);
    await write(direct, 'count', '12');
    await again.until(() => again.valuesOf('count').at(-1) === '12');
    again.close();
  });

  test('a watch cut again and again, also while it catches up, hands out every revision once and whole (I1)', async () => {
    const { store, proxy, direct } = await openBehindProxy();
    const { revision: at } = await direct.read('');
    const committed: number[] = [];
    const value = 'x'.repeat(2_000);
    const commitMany = async (count: number): Promise<void> => {
      for (let turn = 0; turn < count; turn++) {
        const mutations = [put(`k/${turn % 10}`, value), put(`k/${10 + (turn % 7)}`, value), put('turn', `${turn}`)];
        committed.push((await direct.transact({ compares: [], mutations })).revision);
      }
    };
    await commitMany(3_000);
    const seen = new WatchRecorder().start(store, '', at);
    // One cut for every 200 revisions that come through, as far as they come in between.
    for (let next = 1; next < 3_000; next += 200) {
      await seen.until(() => seen.events.length >= next);
      proxy.cut();
    }
    await commitMany(200);
    await seen.until(() => seen.lastRevision === committed.at(-1));
    seen.close();
    assert.deepEqual(
      seen.events.map(({ revision }) => revision),
      committed,
    );
    assert.ok(seen.events.every(({ changes }) => changes.length === 3));
    assert.ok(seen.states.filter((connected) => !connected).length >= 5);
  });

  test('without a majority calls fail in bounded time and the watch says so; with it back, nothing is missing', async () => {
    const store = await open();
    const { revision: at } = await store.read('');
    const seen = new WatchRecorder().start(store, '', at);
    await write(store, 'count', '0');
    await seen.until(() => seen.events.length > 0);
    const [one, two] = cluster.members.filter((member) => member !== memberOf(store));
    await Promise.all([one?.kill(), two?.kill()]);
    await seen.until(() => seen.states.at(-1) === false);
    await assert.rejects(store.transact({ compares: [], mutations: [put('lost', '1')] }), StoreUnavailable);
    await assert.rejects(store.read(''), StoreUnavailable);
    await assert.rejects(store.grantLease(1_000), StoreUnavailable);
    one?.start();
    two?.start();
    await seen.until(() => seen.states.at(-1) === true);
    await write(store, 'count', '1');
    await seen.until(() => seen.valuesOf('count').at(-1) === '1');
    assert.deepEqual(countsSeen(seen), ['0', '1']);
    assert.deepEqual(seen.states, [true, false, true]);
    seen.close();
  });

  test('a store opens though two of three endpoints do not answer for it', async () => {
    // All three run; two of the endpoints are not theirs, as after a move of machines.
    const [first = ''] = cluster.endpoints;
    const store = await open(['http://127.0.0.1:1', 'http://127.0.0.1:2', first]);
    await write(store, 'a', '1');
    assert.equal(store.endpoint, first);
  });
});
