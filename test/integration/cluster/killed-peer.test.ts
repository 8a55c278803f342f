/** What do the streams say of a process that was killed, and of one that only stands still? */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, test } from 'vitest';
import { brokerId, offset } from '../../../src/model/brands.ts';
import { closing, nextMessage, PeerPair, quickTimings } from './peer-pair.ts';

const children: ChildProcess[] = [];
const pairs: PeerPair[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const pair of pairs.splice(0)) pair.stop();
});

function run(...args: string[]): ChildProcess {
  const child = fork(path.join(import.meta.dirname, 'peer-process.ts'), args, {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  children.push(child);
  return child;
}

async function serverProcess(): Promise<{ child: ChildProcess; pair: PeerPair }> {
  const pair = new PeerPair();
  pairs.push(pair);
  const child = run();
  const [port] = (await once(child, 'message')) as [number];
  pair.endpoint = { name: '', host: '127.0.0.1', port };
  return { child, pair };
}

async function clientProcess() {
  const pair = await new PeerPair().start();
  pairs.push(pair);
  const child = run(String(pair.endpoint.port));
  const control = await pair.controls.take();
  await nextMessage(control.heard);
  const replication = await pair.replications.take();
  await nextMessage(replication.heard);
  return { child, control, replication };
}

test('a stream on which nothing is said stays open, past the time after which a silent peer is lost', async () => {
  const [idle, stopped] = [await serverProcess(), await serverProcess()];
  const { heard } = idle.pair.connectControl();
  // One after the other: each takes the whole limit.
  for (let round = 0; round < 2; round++) {
    const silent = stopped.pair.connectControl();
    stopped.child.kill('SIGSTOP');
    assert.equal(await closing(silent.heard), 'lost');
    stopped.child.kill('SIGCONT');
  }
  assert.equal(heard.size, 0);
});

test('a killed server closed the stream', async () => {
  const { child, pair } = await serverProcess();
  const control = pair.connectControl();
  const replication = pair.connectReplication();
  control.stream.send({ kind: 'probed', brokerId: brokerId(1), outcome: 'accepted' });
  child.kill('SIGKILL');
  assert.equal(await closing(control.heard), 'peerClosed');
  await closing(replication.heard);
});

test('a server that stands still is lost, not closed', async () => {
  const { child, pair } = await serverProcess();
  const { stream, heard } = pair.connectControl();
  stream.send({ kind: 'probed', brokerId: brokerId(1), outcome: 'accepted' });
  const replication = pair.connectReplication();
  child.kill('SIGSTOP');
  assert.equal(await closing(heard), 'lost');
  await closing(replication.heard);
});

test('a server that stands still before the connection is made is lost, too', async () => {
  const { child, pair } = await serverProcess();
  child.kill('SIGSTOP');
  const impatient = new PeerPair({}, undefined, { ...quickTimings, connectTimeLimitMs: 200 });
  pairs.push(impatient);
  assert.equal(await closing(impatient.connectControl(pair.endpoint).heard), 'lost');
});

test('a killed client closed the stream', async () => {
  const { child, control, replication } = await clientProcess();
  child.kill('SIGKILL');
  assert.equal(await closing(control.heard), 'peerClosed');
  await closing(replication.heard);
});

test('a killed client that had not read what was sent closed the stream: its kernel resets the connection', async () => {
  const { child, control, replication } = await clientProcess();
  child.kill('SIGSTOP');
  const batches = [Buffer.alloc(1_000_000)];
  for (let index = 0; index < 20; index++) {
    control.peer.send({ kind: 'registrationRefused', fault: { code: 'INVALID_REQUEST', reason: 'x'.repeat(100_000) } });
    replication.stream.send([
      {
        kind: 'data',
        attachId: 1,
        baseOffset: offset(0),
        highWatermark: offset(0),
        logStartOffset: offset(0),
        batches,
      },
    ]);
  }
  child.kill('SIGKILL');
  assert.equal(await closing(control.heard), 'peerClosed');
  await closing(replication.heard);
});

test('a client that stands still is lost, not closed', async () => {
  const { child, control, replication } = await clientProcess();
  child.kill('SIGSTOP');
  assert.equal(await closing(control.heard), 'lost');
  await closing(replication.heard);
});
