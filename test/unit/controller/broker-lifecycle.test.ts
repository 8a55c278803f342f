import assert from 'node:assert/strict';
import { test } from 'vitest';
import { BrokerLifecycle } from '../../../src/controller/broker-lifecycle.ts';
import type { BrokerMessage, ControllerMessage, DialOutcome } from '../../../src/controller/control-messages.ts';
import { defaultControlOptions as options } from '../../../src/controller/control-options.ts';
import type { LifecycleAction, LifecycleEvent } from '../../../src/controller/lifecycle-events.ts';
import {
  brokerEpoch,
  brokerId,
  leaderEpoch,
  noBrokerEpoch,
  partitionEpoch,
  revision,
  topicId,
} from '../../../src/model/brands.ts';
import { ClusterImage } from '../../../src/model/cluster-image.ts';
import { type BrokerState, encodeValue, keys, newPartitionRecord } from '../../../src/model/metadata-schema.ts';

const id = topicId('A'.repeat(22));
const endpoint = (port: number) => ({ name: 'PEER', host: 'h', port });
type Untimed<Event> = Event extends unknown ? Omit<Event, 'nowMs' | 'wallMs'> : never;

/** Broker 1 beside an image that the test writes. */
class Bench {
  readonly image = new ClusterImage();
  readonly lifecycle = new BrokerLifecycle(options, {
    brokerId: brokerId(1),
    incarnation: 'i1',
    listeners: [],
    peer: endpoint(1),
    rack: null,
    directories: [],
    previousBrokerEpoch: noBrokerEpoch,
    stopKind: 'clean',
  });
  nowMs = 0;
  actions: LifecycleAction[] = [];

  step(event: Untimed<LifecycleEvent>): LifecycleAction[] {
    const actions = this.lifecycle.step({ ...event, nowMs: this.nowMs, wallMs: 5 } as LifecycleEvent);
    this.actions.push(...actions);
    return actions;
  }

  write(...entries: [string, object | null][]): LifecycleAction[] {
    const at = revision(this.image.revision + 1);
    this.image.apply(
      at,
      entries.map(([key, value]) => ({ key, value: value && encodeValue(value), modRevision: at })),
    );
    return this.step({ kind: 'metadataChanged' });
  }

  controller(port: number): LifecycleAction[] {
    return this.write([keys.controller, { brokerId: port, incarnation: `c${port}`, endpoint: endpoint(port) }]);
  }

  own(state: BrokerState): LifecycleAction[] {
    return this.write([keys.broker(brokerId(1)), { brokerEpoch: 4, incarnation: 'i1', state, listeners: [] }]);
  }

  get streamId(): number {
    const last = this.actions.filter((action) => action.kind === 'connect').at(-1);
    assert.ok(last);
    return last.streamId;
  }

  hear(message: ControllerMessage): LifecycleAction[] {
    return this.step({ kind: 'streamMessage', streamId: this.streamId, message });
  }

  pass(ms: number, isAnswered = true): LifecycleAction[] {
    const from = this.actions.length;
    for (let left = ms; left > 0; left -= 100) {
      this.nowMs += 100;
      this.step({ kind: 'ticked' });
      if (isAnswered) this.answer('active');
    }
    return this.actions.slice(from);
  }

  answer(state: BrokerState | 'unknown', leadersLeft = 0, sequence = 0, proofAgeMs = 0): LifecycleAction[] {
    const controllerEpoch = this.image.controllerEpoch();
    return this.hear({ kind: 'heartbeatAnswer', sequence, controllerEpoch, state, leadersLeft, wallMs: 0, proofAgeMs });
  }
}

const sent = <Kind extends BrokerMessage['kind']>(actions: readonly LifecycleAction[], kind: Kind) =>
  actions.flatMap((action) =>
    action.kind === 'send' && action.message.kind === kind
      ? [action.message as Extract<BrokerMessage, { kind: Kind }>]
      : [],
  );
const kinds = (actions: readonly LifecycleAction[]): string[] => actions.map(({ kind }) => kind);

function registered(): Bench {
  const bench = new Bench();
  bench.controller(2);
  bench.step({ kind: 'started', image: bench.image });
  bench.hear({ kind: 'registered', brokerEpoch: brokerEpoch(4), revision: revision(2) });
  bench.own('active');
  bench.step({ kind: 'caughtUp', isCaughtUp: true });
  bench.step({ kind: 'liveDone', ok: true });
  bench.nowMs += 100;
  return bench;
}

test('it connects to whom the image names, and registers', () => {
  const bench = new Bench();
  assert.deepEqual(bench.step({ kind: 'started', image: bench.image }), []);
  const actions = bench.controller(2);
  assert.deepEqual(kinds(actions).slice(0, 2), ['connect', 'send']);
  assert.equal(sent(actions, 'register').length, 1);
});

test('registration is told once, with a heartbeat at once; so is being caught up', () => {
  const bench = new Bench();
  bench.controller(2);
  bench.step({ kind: 'started', image: bench.image });
  const actions = bench.hear({ kind: 'registered', brokerEpoch: brokerEpoch(4), revision: revision(2) });
  assert.deepEqual(kinds(actions), ['registered', 'send', 'putLive']);
  assert.equal(sent(bench.own('fenced'), 'heartbeat')[0]?.appliedRevision, 2);
  assert.equal(sent(bench.step({ kind: 'caughtUp', isCaughtUp: true }), 'heartbeat')[0]?.isCaughtUp, true);
  assert.deepEqual(bench.step({ kind: 'caughtUp', isCaughtUp: true }), []);
});

test('heartbeats go out every 250 ms, on the ticks', () => {
  assert.equal(sent(registered().pass(3000), 'heartbeat').length, 10);
});

test('a new controller gets heartbeats under the same epoch, not another registration', () => {
  const bench = registered();
  const actions = bench.controller(3);
  assert.deepEqual(kinds(actions).slice(0, 2), ['closeStream', 'connect']);
  assert.equal(sent(actions, 'register').length, 0);
  assert.equal(sent(actions, 'heartbeat')[0]?.brokerEpoch, 4);
});

test('a controller that does not know this start is asked again', () => {
  const bench = registered();
  bench.controller(3);
  assert.equal(sent(bench.answer('unknown'), 'register').length, 1);
  assert.equal(sent(bench.answer('unknown'), 'register').length, 0);
});

// how the stream ended | what the dial met | evidence
const endings: [cause: 'peerClosed' | 'lost', outcome: DialOutcome, isDead: boolean][] = [
  ['peerClosed', 'refused', true],
  ['peerClosed', 'noSuchName', true],
  ['peerClosed', 'silent', true],
  ['peerClosed', 'accepted', false],
  ['lost', 'refused', true],
  ['lost', 'silent', false],
  ['lost', 'accepted', false],
];
for (const [cause, outcome, isDead] of endings)
  test(`the controller's stream ${cause} and a dial ${outcome} are ${isDead ? '' : 'no '}evidence of its death (E1)`, () => {
    const bench = registered();
    const [dial] = bench.step({ kind: 'streamClosed', streamId: bench.streamId, cause });
    assert.ok(dial?.kind === 'dial');
    const actions = bench.step({ kind: 'dialed', dialId: dial.dialId, outcome });
    assert.equal(kinds(actions).includes('controllerDead'), isDead);
  });

// before its key went | evidence
const silences: [string, (bench: Bench) => void, boolean][] = [
  ['it answered all the time', (bench) => bench.pass(3000), false],
  ['it was silent for a whole fence time', (bench) => bench.pass(2500, false), true],
  ['it was silent for less', (bench) => bench.pass(1900, false), false],
  [
    'this process stood still too',
    (bench) => {
      bench.nowMs += 5000;
    },
    false,
  ],
];
for (const [title, before, isDead] of silences)
  test(`where ${title}, a controller whose lease ends is ${isDead ? '' : 'not '}known to be dead (E2, I7)`, () => {
    const bench = registered();
    bench.answer('active');
    before(bench);
    assert.equal(kinds(bench.write([keys.controller, null])).includes('controllerDead'), isDead);
  });

test('evidence against a controller that has been replaced meanwhile is dropped', () => {
  const bench = registered();
  const [dial] = bench.step({ kind: 'streamClosed', streamId: bench.streamId, cause: 'peerClosed' });
  assert.ok(dial?.kind === 'dial');
  bench.controller(3);
  assert.deepEqual(bench.step({ kind: 'dialed', dialId: dial.dialId, outcome: 'refused' }), []);
});

test('it comes back after 20 ms, then later and later, and at once to a new controller', () => {
  const bench = registered();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    const from = bench.nowMs;
    bench.step({ kind: 'streamClosed', streamId: bench.streamId, cause: 'lost' });
    for (let connected = false; !connected; ) {
      bench.nowMs += 10;
      connected = kinds(bench.step({ kind: 'ticked' })).includes('connect');
    }
    waits.push(bench.nowMs - from);
  }
  assert.deepEqual(waits, [20, 40, 80, 160]);
  bench.step({ kind: 'streamClosed', streamId: bench.streamId, cause: 'lost' });
  assert.ok(kinds(bench.controller(3)).includes('connect'));
});

test('a stream without any answer is given up', () => {
  const bench = registered();
  assert.ok(kinds(bench.pass(2200, false)).includes('closeStream'));
});

test('a second broker with its id stops it', () => {
  const bench = new Bench();
  bench.controller(2);
  bench.step({ kind: 'started', image: bench.image });
  const refused = bench.hear({ kind: 'registrationRefused', fault: { code: 'DUPLICATE_BROKER_ID', reason: 'x' } });
  assert.deepEqual(kinds(refused), ['registrationRefused', 'closeStream']);
  assert.deepEqual(bench.step({ kind: 'ticked' }), []);
});

test('a lease key that is gone is put again', () => {
  const bench = registered();
  bench.nowMs += 3000;
  assert.ok(kinds(bench.step({ kind: 'ticked' })).includes('putLive'));
  bench.step({ kind: 'liveDone', ok: true });
  bench.write([keys.live(brokerId(1)), { incarnation: 'i1' }]);
  assert.ok(!kinds(bench.pass(5000)).includes('putLive'));
  assert.ok(kinds(bench.write([keys.live(brokerId(1)), null])).includes('putLive'));
});

const record = newPartitionRecord([brokerId(1), brokerId(2)], [brokerId(1), brokerId(2)], brokerId(1), 1);
const proposal = {
  topicId: id,
  partition: 0,
  leaderEpoch: leaderEpoch(0),
  partitionEpoch: partitionEpoch(0),
  isr: [{ brokerId: brokerId(1), brokerEpoch: brokerEpoch(4) }],
};

function proposing(): Bench {
  const bench = registered();
  bench.write([keys.topic(id), { name: 't', partitions: 1 }], [keys.partition(id, 0), record]);
  const actions = bench.step({ kind: 'alterPartition', callId: 7, proposals: [proposal] });
  assert.equal(sent(actions, 'alterPartition').length, 1);
  return bench;
}

test('a proposal is sent again on the next stream, and when it stays without answer (§2.7)', () => {
  const bench = proposing();
  assert.equal(sent(bench.pass(1900), 'alterPartition').length, 0);
  assert.equal(sent(bench.pass(300), 'alterPartition').length, 1);
  assert.equal(sent(bench.controller(3), 'alterPartition').length, 1);
  const ok = { kind: 'ok', partitionEpoch: partitionEpoch(1) } as const;
  const [answer] = bench.hear({ kind: 'alterPartitionAnswer', requestId: 7, answers: [ok] });
  assert.deepEqual(answer, { kind: 'alterPartitionAnswer', callId: 7, answers: [ok] });
  assert.equal(sent(bench.pass(5000), 'alterPartition').length, 0);
});

test('a refusal of a proposal that was sent once is one', () => {
  const [answer] = proposing().hear({ kind: 'alterPartitionAnswer', requestId: 7, answers: [{ kind: 'ineligible' }] });
  assert.deepEqual(answer, { kind: 'alterPartitionAnswer', callId: 7, answers: [{ kind: 'ineligible' }] });
});

for (const kind of ['ineligible', 'notAttempted', 'fenced'] as const)
  test(`of a proposal that was sent twice, ${kind} is the answer to one: the other may be committed yet (I10)`, () => {
    const bench = proposing();
    bench.pass(2200);
    const [answer] = bench.hear({ kind: 'alterPartitionAnswer', requestId: 7, answers: [{ kind }] });
    assert.deepEqual(answer, { kind: 'alterPartitionAnswer', callId: 7, answers: [{ kind: 'lost' }] });
  });

// what metadata shows | how the proposal ends
const shown = [
  ['its own ISR', { ...record, isr: [brokerId(1)], partitionEpoch: 1 }, { kind: 'ok', partitionEpoch: 1 }],
  ['somebody else’s change', { ...record, partitionEpoch: 1 }, { kind: 'fenced' }],
  ['a later one', { ...record, isr: [brokerId(1)], partitionEpoch: 2 }, { kind: 'fenced' }],
] as const;
for (const [title, next, answer] of shown)
  test(`metadata that shows ${title} answers the proposal ${answer.kind}, whoever did not`, () => {
    const actions = proposing().write([keys.partition(id, 0), next]);
    assert.deepEqual(
      actions.filter(({ kind }) => kind === 'alterPartitionAnswer'),
      [{ kind: 'alterPartitionAnswer', callId: 7, answers: [answer] }],
    );
  });

test('a command that meets no controller is asked again until its time is up', () => {
  const bench = registered();
  const command = { kind: 'deleteTopics', topicIds: [] } as const;
  bench.step({ kind: 'admin', callId: 9, command, timeLimitMs: 500 });
  bench.hear({ kind: 'adminAnswer', requestId: 9, answer: { kind: 'refused', fault: { code: 'NOT_CONTROLLER' } } });
  assert.equal(sent(bench.pass(200), 'admin').length, 1);
  const ended = bench.pass(300).filter(({ kind }) => kind === 'adminAnswer');
  assert.deepEqual(ended, [
    { kind: 'adminAnswer', callId: 9, answer: { kind: 'refused', fault: { code: 'REQUEST_TIMED_OUT' } } },
  ]);
});

test('contact with the controller is when an answered heartbeat was sent, not when it was answered (I19)', () => {
  const bench = registered();
  const [heartbeat] = sent(bench.pass(300, false), 'heartbeat');
  const sentMs = bench.nowMs;
  bench.nowMs += 400;
  bench.answer('active', 0, heartbeat?.sequence);
  assert.ok(bench.lifecycle.controllerContact.answeredMs <= sentMs);
  assert.ok(bench.lifecycle.controllerContact.provedMs <= sentMs);
});

test('a controller vouches for no later time than its own proof (I19)', () => {
  const bench = registered();
  const answer = (proofAgeMs: number) => {
    const sequence = sent(bench.pass(300, false), 'heartbeat').at(-1)?.sequence;
    bench.answer('active', 0, sequence, proofAgeMs);
    return bench.lifecycle.controllerContact;
  };
  const { provedMs: before, answeredMs: asked } = answer(0);
  assert.equal(before, asked);
  const { provedMs, answeredMs } = answer(900);
  assert.equal(provedMs, before, 'an older proof is no news');
  assert.ok(answeredMs > asked);
  const fresh = answer(100);
  assert.equal(fresh.provedMs, fresh.answeredMs - 100);
  assert.equal(answer(Number.POSITIVE_INFINITY).provedMs, fresh.provedMs);
});

test('a controller on the same broker is nobody else who answers (I19)', () => {
  const bench = registered();
  bench.controller(1);
  const before = bench.lifecycle.controllerContact;
  const sequence = sent(bench.pass(300, false), 'heartbeat').at(-1)?.sequence;
  bench.answer('active', 0, sequence, 50);
  const { provedMs, answeredMs } = bench.lifecycle.controllerContact;
  assert.ok(provedMs > before.provedMs && provedMs <= bench.nowMs - 50);
  assert.equal(answeredMs, before.answeredMs);
});

test('a probe is handed on, and what it met goes to the controller', () => {
  const bench = registered();
  const [probe] = bench.hear({ kind: 'probe', brokerId: brokerId(3), endpoint: endpoint(3) });
  assert.ok(probe?.kind === 'probe' && probe.timeLimitMs === options.probeTimeLimitMs);
  const actions = bench.step({ kind: 'probed', brokerId: brokerId(3), outcome: 'silent' });
  assert.equal(sent(actions, 'probed')[0]?.outcome, 'silent');
});

test('a shutdown ends clean when the controller says that nothing is led here, with a goodbye (§2.8)', () => {
  const bench = registered();
  assert.equal(sent(bench.step({ kind: 'shutdownRequested' }), 'heartbeat')[0]?.wantsShutdown, true);
  bench.own('draining');
  assert.ok(!kinds(bench.answer('draining', 3)).includes('mayStop'));
  const actions = bench.answer('draining', 0);
  assert.equal(sent(actions, 'goodbye')[0]?.brokerEpoch, 4);
  assert.deepEqual(actions.at(-1), { kind: 'mayStop', isClean: true, leadersLeft: 0 });
});

test('a shutdown is not clean when its time is up, or nobody answers', () => {
  const late = registered();
  late.step({ kind: 'shutdownRequested' });
  late.own('draining');
  for (let second = 0; second < 31; second++) {
    late.answer('draining', 2);
    late.nowMs += 1000;
    late.step({ kind: 'ticked' });
  }
  assert.deepEqual(late.actions.at(-1), { kind: 'mayStop', isClean: false, leadersLeft: 2 });
  const alone = registered();
  alone.step({ kind: 'shutdownRequested' });
  assert.deepEqual(alone.pass(6200, false).at(-1), { kind: 'mayStop', isClean: false, leadersLeft: 0 });
});
