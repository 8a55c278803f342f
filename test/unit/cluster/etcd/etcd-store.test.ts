import assert from 'node:assert/strict';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterEach, describe, test } from 'vitest';
import { etcdApi, type StatusResponse } from '../../../../src/cluster/etcd/etcd-api.ts';
import { etcdFailure } from '../../../../src/cluster/etcd/etcd-failure.ts';
import { parseEndpoint } from '../../../../src/cluster/etcd/etcd-members.ts';
import { EtcdStore, rangeEndOf } from '../../../../src/cluster/etcd/etcd-store.ts';
import { versionProblem } from '../../../../src/cluster/etcd/etcd-version.ts';
import { StoreCannotOpen } from '../../../../src/cluster/store-cannot-open.ts';
import { StoreUnavailable } from '../../../../src/controller/metadata-store.ts';
import { type Logger, silentLogger } from '../../../../src/env/logger.ts';
import { nodeClock } from '../../../../src/env/node/clock.ts';
import { nodeTimers } from '../../../../src/env/node/timers.ts';

describe('a version of etcd', () => {
  for (const version of ['3.5.30', '3.5.41', '3.6.11', '3.6.16', '3.7.0', '3.10.2', '4.0.0', '3.6.12-rc.1'])
    test(`${version} is good enough`, () => assert.equal(versionProblem(version), null));
  for (const version of ['3.4.23', '3.4.99', '3.5.29', '3.6.0', '3.6.10', '2.3.8'])
    test(`${version} is warned of`, () => assert.match(versionProblem(version) ?? '', new RegExp(`^etcd ${version}`)));
  test('something else is called so', () => assert.match(versionProblem('not a version') ?? '', /not one/));
});

test('the range of a prefix ends before the first key that does not have it', () => {
  assert.equal(rangeEndOf(Buffer.from('/c/v1/parts/')).toString(), '/c/v1/parts0');
  assert.deepEqual(rangeEndOf(Buffer.from([0x61, 0xff])), Buffer.from([0x62]));
  assert.deepEqual(rangeEndOf(Buffer.from([0xff, 0xff])), Buffer.from([0]));
});

test('an endpoint is http://host:port, https://host:port or host:port, and nothing else', () => {
  assert.deepEqual(parseEndpoint('http://etcd-1:2379'), { address: 'etcd-1:2379', isSecure: false });
  assert.deepEqual(parseEndpoint('https://10.0.0.1:2379/'), { address: '10.0.0.1:2379', isSecure: true });
  assert.deepEqual(parseEndpoint('[::1]:2379'), { address: '[::1]:2379', isSecure: false });
  for (const wrong of ['', 'etcd', 'ftp://a:1', 'http://a', 'http://a:port', 'a:1,b:2', 'http://a:1/path'])
    assert.throws(() => parseEndpoint(wrong), RangeError, wrong);
});

test('a failure says whether the request may have been carried out', () => {
  const of = (code: status, details: string) =>
    etcdFailure(Object.assign(new Error(details), { code, details, metadata: null as never }));
  assert.equal(of(status.NOT_FOUND, 'etcdserver: requested lease not found').kind, 'leaseNotFound');
  assert.equal(of(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted').kind, 'compacted');
  assert.equal(
    of(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision').kind,
    'futureRevision',
  );
  const unknown = [
    of(status.UNAVAILABLE, 'etcdserver: leader changed'),
    of(status.UNAVAILABLE, 'etcdserver: request timed out'),
    of(status.UNAVAILABLE, 'Connection dropped'),
    of(status.DEADLINE_EXCEEDED, 'Deadline exceeded'),
    of(status.INTERNAL, 'Received RST_STREAM'),
  ];
  for (const failure of unknown) assert.ok(failure.kind === 'away' && failure.outcomeUnknown);
  const notDone = [
    of(status.UNAVAILABLE, 'etcdserver: no leader'),
    of(status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'),
  ];
  for (const failure of notDone) assert.ok(failure.kind === 'away' && !failure.outcomeUnknown);
});

/** Speaks etcd's service, with answers of our own making. */
class FakeMember {
  readonly #server = new Server();
  version = '3.6.16';
  leader = '1';
  header = { clusterId: '7', revision: 10 };
  txnAnswer: 'ok' | { code: status; details: string } = 'ok';
  txns = 0;
  endpoint = '';

  async start(): Promise<this> {
    const unary =
      <Answer>(answer: () => Answer) =>
      (_call: ServerUnaryCall<unknown, unknown>, reply: sendUnaryData<unknown>) => {
        try {
          reply(null, answer());
        } catch (error) {
          reply(error as Error);
        }
      };
    this.#server.addService(
      { status: etcdApi.status, range: etcdApi.range, txn: etcdApi.txn } as never,
      {
        status: unary((): StatusResponse => ({ header: this.header, version: this.version, leader: this.leader })),
        range: unary(() => ({ header: this.header, kvs: [], more: false })),
        txn: unary(() => {
          this.txns++;
          if (this.txnAnswer !== 'ok') throw Object.assign(new Error('refused'), this.txnAnswer);
          return { header: this.header, succeeded: true };
        }),
      } as never,
    );
    const port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    this.endpoint = `http://127.0.0.1:${port}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

describe('the client of etcd', () => {
  const stops: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => warnings.push(message) };

  async function fake(): Promise<FakeMember> {
    const member = await new FakeMember().start();
    stops.push(() => member.stop());
    return member;
  }

  async function open(endpoints: string[], openLimitMs = 10_000): Promise<EtcdStore> {
    warnings.length = 0;
    const options = { endpoints, clusterName: 'c', openLimitMs };
    const store = await EtcdStore.open(options, { clock: nodeClock, timers: nodeTimers, logger });
    stops.push(() => store.close());
    return store;
  }

  const emptyTxn = { compares: [], mutations: [{ kind: 'put', key: 'a', value: '1' }] } as const;

  test('names endpoints and reasons where none answers', async () => {
    const gone = await fake();
    const leaderless = await fake();
    gone.stop();
    leaderless.leader = '0';
    const opening = open([gone.endpoint, leaderless.endpoint], 300);
    await assert.rejects(opening, (error) => {
      assert.ok(error instanceof StoreCannotOpen);
      for (const part of [gone.endpoint, 'ECONNREFUSED', `${leaderless.endpoint} (it knows of no leader)`])
        assert.ok(error.message.includes(part), error.message);
      return true;
    });
  });

  test('warns once of a member that is too old, and goes on', async () => {
    const old = await fake();
    old.version = '3.4.23';
    await open([old.endpoint]);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /3\.4\.23/);
  });

  test('never repeats a transaction whose outcome is unknown', async () => {
    const members = [await fake(), await fake()];
    for (const member of members)
      member.txnAnswer = { code: status.UNAVAILABLE, details: 'etcdserver: leader changed' };
    const store = await open(members.map(({ endpoint }) => endpoint));
    await assert.rejects(
      store.transact(emptyTxn),
      (error) => error instanceof StoreUnavailable && error.outcomeUnknown && /leader changed/.test(error.message),
    );
    assert.equal(
      members.reduce((sum, { txns }) => sum + txns, 0),
      1,
    );
  });

  test('takes a transaction that was refused before it began to the next member', async () => {
    const [first, second] = [await fake(), await fake()];
    second.leader = '0';
    const store = await open([first.endpoint, second.endpoint]);
    assert.equal(store.endpoint, first.endpoint);
    first.txnAnswer = { code: status.UNAVAILABLE, details: 'etcdserver: no leader' };
    assert.ok((await store.transact(emptyTxn)).succeeded);
    assert.deepEqual([first.txns, second.txns], [1, 1]);
  });

  test('stops at a store that has gone back, or is another one (I4)', async () => {
    const member = await fake();
    const store = await open([member.endpoint]);
    member.header = { clusterId: '7', revision: 9 };
    await assert.rejects(store.read(''), { name: 'StoreWentBack', message: /revision 9, it was at 10/ });
    await assert.rejects(store.transact(emptyTxn), { name: 'StoreWentBack' });
    member.header = { clusterId: '8', revision: 50 };
    await assert.rejects(store.read(''), { name: 'StoreWentBack', message: /etcd cluster 8/ });
  });
});
