import assert from 'node:assert/strict';
import { test } from 'vitest';
import { brokerEpoch, brokerId, leaderEpoch, offset, type TopicId } from '../../../src/model/brands.ts';
import { encodeValue, keys } from '../../../src/model/metadata-schema.ts';
import { ControllerWorld, replicas, threeBrokers } from './controller-world.ts';

const one = (...ids: number[]) => ({ assignment: [replicas(...ids)], partitions: -1, replicationFactor: -1 });

test('a new broker is registered, FENCED, and ACTIVE once it has caught up with its own record', () => {
  const world = new ControllerWorld();
  world.elect();
  world.register(1);
  assert.equal(world.stateOf(1), 'fenced');
  const [answer] = world.take('registered');
  assert.deepEqual([answer?.brokerEpoch, answer?.revision], [1, world.image.brokers.get(brokerId(1))?.modRevision]);
  world.heartbeat(1, { isCaughtUp: false });
  assert.equal(world.stateOf(1), 'fenced');
  world.heartbeat(1);
  assert.equal(world.stateOf(1), 'active');
});

test('registering again in the same incarnation gives the same epoch and writes nothing', () => {
  const world = threeBrokers();
  world.take('registered');
  const before = world.image.revision;
  world.register(2);
  assert.equal(world.take('registered')[0]?.brokerEpoch, world.epochOf(2));
  assert.equal(world.image.revision, before);
});

test('a killed leader is fenced and replaced in one transaction, which takes it out of every ISR (E1, I6)', () => {
  const world = threeBrokers();
  for (const [name, order] of [
    ['a', [1, 2, 3]],
    ['b', [2, 3, 1]],
    ['c', [3, 1, 2]],
  ] as const)
    world.createTopic(name, one(...order));
  world.committed.length = 0;
  world.kill(2);
  assert.equal(world.stateOf(2), 'fenced');
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => world.summary(name)),
    ['1 | 1,3 | ', '3 | 1,3 | ', '3 | 1,3 | '],
  );
  assert.equal(world.committed.length, 1);
  assert.equal(world.partition('b').leaderEpoch, 1);
  assert.equal(world.partition('a').leaderEpoch, 0);
});

test('more partitions than fit follow after the fence is committed, leaderless and internal ones first', () => {
  const world = threeBrokers();
  world.createTopic('many', { assignment: Array.from({ length: 250 }, () => replicas(2, 3, 1)), partitions: -1 });
  world.createTopic('followed', one(1, 2, 3));
  world.createTopic('__internal', { ...one(2, 3, 1), isInternal: true });
  world.isCommittingAtOnce = false;
  world.kill(2);
  assert.equal(world.held.length, 1);
  const [fence] = world.held;
  const keysPut = fence?.txn.mutations.map(({ key }) => key) ?? [];
  assert.equal(keysPut[0], keys.broker(brokerId(2)));
  assert.equal(keysPut.length, 101);
  const internal = world.image.topicByName('__internal')?.id as TopicId;
  assert.equal(keysPut[1], keys.partition(internal, 0));
  world.commit();
  assert.equal(world.held.length, 2);
  world.commitAll();
  assert.equal(world.summary('many', 249), '3 | 1,3 | ');
  assert.equal(world.summary('followed'), '1 | 1,3 | ');
});

test('a closed stream whose broker still listens fences nobody, and is dialed again', () => {
  const world = threeBrokers();
  world.closeStream(2);
  for (let dial = 0; dial < 4; dial++) world.answerDial(2, 'accepted');
  assert.equal(world.dials.length, 0);
  world.nowMs += 100;
  world.step({ kind: 'ticked', nowMs: world.nowMs });
  assert.equal(world.dials.length, 1);
  world.openStream(2);
  world.heartbeat(2);
  world.answerDial(2, 'refused');
  assert.equal(world.stateOf(2), 'active');
});

// how the stream ended | what the dial met | the broker is
const endings = [
  ['peerClosed', 'refused', 'fenced'],
  ['peerClosed', 'noSuchName', 'fenced'],
  ['peerClosed', 'silent', 'fenced'],
  ['lost', 'refused', 'fenced'],
  ['lost', 'silent', 'active'],
  ['lost', 'accepted', 'active'],
] as const;
for (const [cause, outcome, state] of endings)
  test(`a stream ${cause} and a dial ${outcome} leave the broker ${state}`, () => {
    const world = threeBrokers();
    world.closeStream(2, cause);
    world.answerDial(2, outcome);
    assert.equal(world.stateOf(2), state);
  });

test('a goodbye is evidence at once; one of an earlier start is none', () => {
  const world = threeBrokers();
  world.message(2, { kind: 'goodbye', brokerId: brokerId(2), brokerEpoch: brokerEpoch(77) });
  assert.equal(world.stateOf(2), 'active');
  world.message(2, { kind: 'goodbye', brokerId: brokerId(2), brokerEpoch: world.epochOf(2) });
  assert.equal(world.stateOf(2), 'fenced');
});

test('a silent broker is probed by another after 1 s and fenced after 2 s (E2)', () => {
  const world = threeBrokers();
  world.pass(1000, [1, 3]);
  assert.equal(world.take('probe')[0]?.brokerId, 2);
  world.message(3, { kind: 'probed', brokerId: brokerId(2), outcome: 'silent' });
  world.pass(900, [1, 3]);
  assert.equal(world.stateOf(2), 'active');
  world.pass(200, [1, 3]);
  assert.equal(world.stateOf(2), 'fenced');
});

test('a broker that others reach is fenced only after 6 s of silence here (E2)', () => {
  const world = threeBrokers();
  for (let second = 0; second < 5; second++) {
    world.pass(1000, [1, 3]);
    world.message(3, { kind: 'probed', brokerId: brokerId(2), outcome: 'accepted' });
  }
  assert.equal(world.stateOf(2), 'active');
  world.pass(1100, [1, 3]);
  assert.equal(world.stateOf(2), 'fenced');
  assert.equal(world.resigned, null);
});

test('a silent majority with leases alive makes the controller resign instead of fencing (mass guard)', () => {
  const world = threeBrokers();
  world.pass(3500, [1]);
  assert.deepEqual([world.stateOf(2), world.stateOf(3), world.resigned], ['active', 'active', null]);
  world.pass(1000, [1]);
  assert.match(world.resigned ?? '', /leases alive/);
  assert.deepEqual([world.stateOf(2), world.stateOf(3)], ['active', 'active']);
});

test('a silent majority whose leases are gone is fenced', () => {
  const world = threeBrokers();
  for (const id of [2, 3]) world.write({ kind: 'delete', key: keys.live(brokerId(id)) });
  world.pass(2200, [1]);
  assert.deepEqual([world.stateOf(2), world.stateOf(3), world.resigned], ['fenced', 'fenced', null]);
});

test('leases that are gone fence nobody while heartbeats come (I7)', () => {
  const world = threeBrokers();
  for (const id of [1, 2, 3]) world.write({ kind: 'delete', key: keys.live(brokerId(id)) });
  world.pass(10_000);
  assert.deepEqual(
    [1, 2, 3].map((id) => world.stateOf(id)),
    ['active', 'active', 'active'],
  );
});

test('after a stall of this process silence counts anew, and the term is proved before anything is decided', () => {
  const world = threeBrokers();
  world.isCommittingAtOnce = false;
  world.nowMs += 5000;
  world.step({ kind: 'leaseRenewed', renewedMs: world.nowMs, nowMs: world.nowMs });
  world.step({ kind: 'ticked', nowMs: world.nowMs });
  assert.deepEqual(
    world.held.map(({ txn }) => txn.mutations[0]?.key),
    [keys.controllerProof],
  );
  world.closeStream(2);
  world.answerDial(2, 'refused');
  assert.equal(world.held.length, 1);
  world.commitAll();
  assert.deepEqual([world.stateOf(2), world.stateOf(3)], ['fenced', 'active']);
});

test('a controller that was replaced while it stalled writes nothing and ends its term (I2)', () => {
  const world = threeBrokers();
  world.isWatching = false;
  world.write({
    kind: 'put',
    key: keys.controller,
    value: encodeValue({ brokerId: 2, incarnation: 'x', endpoint: {} }),
  });
  const before = world.store.revision;
  world.nowMs += 5000;
  world.step({ kind: 'leaseRenewed', renewedMs: world.nowMs, nowMs: world.nowMs });
  world.step({ kind: 'ticked', nowMs: world.nowMs });
  assert.equal(world.store.revision, before);
  assert.match(world.resigned ?? '', /another controller/);
});

test('without an answered keep-alive for 0.6 of the lease nothing is decided; then the term is proved first', () => {
  const world = threeBrokers();
  world.pass(1900, [1, 2, 3], false);
  world.kill(2);
  assert.equal(world.stateOf(2), 'active');
  const answer = world.admin({ kind: 'deleteTopics', topicIds: [] });
  assert.deepEqual(answer, { kind: 'refused', fault: { code: 'NOT_CONTROLLER' } });
  world.pass(100, [1, 3]);
  assert.equal(world.stateOf(2), 'fenced');
});

test('a new controller gives every broker a full fence time, and repeats what its predecessor left half done (I6)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  const record = world.image.brokers.get(brokerId(2))?.record;
  world.write({ kind: 'put', key: keys.broker(brokerId(2)), value: encodeValue({ ...record, state: 'fenced' }) });
  world.streams.clear();
  world.elect();
  assert.equal(world.summary('a'), '3 | 1,3 | ');
  world.pass(1900, [1]);
  assert.equal(world.stateOf(3), 'active');
});

test('a death that was proved before the election is acted on at once', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.elect([2]);
  assert.equal(world.stateOf(2), 'fenced');
  assert.equal(world.summary('a'), '3 | 1,3 | ');
});

test('a broker that comes back becomes ACTIVE, and leads where nobody did', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2));
  world.kill(2);
  assert.equal(world.summary('a'), '-1 |  | 2');
  world.register(2, { incarnation: 'again', stopKind: 'killed' });
  world.heartbeat(2);
  assert.equal(world.stateOf(2), 'active');
  assert.equal(world.summary('a'), '2 | 2 | ');
});

test('a new incarnation gets its epoch only after the old one has left every ISR (I5)', () => {
  const world = threeBrokers();
  world.createTopic('many', { assignment: Array.from({ length: 150 }, () => replicas(2, 3)), partitions: -1 });
  const before = world.epochOf(2);
  world.isCommittingAtOnce = false;
  world.register(2, { incarnation: 'again' });
  // The old stream is open, and silent.
  world.pass(1000, [1, 3]);
  while (world.held.length > 0) {
    const isT3 = world.held[0]?.txn.mutations.some(({ key }) => key === keys.nextBrokerEpoch);
    const isNamed = world.image
      .topicByName('many')
      ?.partitions.some((found) => found?.record.isr.includes(brokerId(2)));
    assert.ok(!isT3 || !isNamed, 'T3 while the old incarnation is in an ISR');
    world.commit();
  }
  assert.equal(world.stateOf(2), 'fenced');
  assert.ok(world.epochOf(2) > before);
});

test('a second broker with the id of one that goes on with its heartbeats is refused', () => {
  const world = threeBrokers();
  const old = world.streams.get(2) as number;
  const stranger = world.openStream(2);
  world.register(2, { incarnation: 'stranger', peer: { name: 'PEER', host: 'elsewhere', port: 1 } });
  world.streams.set(2, old);
  world.pass(700);
  const refusals = world.sent.filter(({ message }) => message.kind === 'registrationRefused');
  assert.deepEqual(
    refusals.map(({ streamId }) => streamId),
    [stranger],
  );
  assert.equal(world.stateOf(2), 'active');
});

test('a lossy restart leaves the ELR too, before it gets its epoch (I22)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3));
  world.kill(3);
  world.kill(2);
  assert.equal(world.summary('a'), '-1 |  | 2,3');
  world.register(2, { incarnation: 'again', stopKind: 'lossy' });
  assert.deepEqual([world.summary('a'), world.partition('a').lastKnownElr], ['-1 |  | 3', replicas(2)]);
  world.heartbeat(2);
  assert.equal(world.summary('a'), '-1 |  | 3');
});

test('when all that are left restarted lossy, they are asked and the longest leads (§2.10, balanced)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3));
  world.kill(3);
  world.kill(2);
  for (const id of [2, 3]) {
    world.register(id, { incarnation: 'again', stopKind: 'lossy' });
    world.heartbeat(id);
  }
  const asked = world.sent.filter(({ message }) => message.kind === 'askReplicaStates');
  assert.deepEqual(asked.map(({ streamId }) => streamId).sort(), [world.streams.get(2), world.streams.get(3)].sort());
  for (const { streamId, message } of asked) {
    assert.ok(message.kind === 'askReplicaStates');
    const [id = 0] = [...world.streams].find(([, stream]) => stream === streamId) ?? [];
    const states = [{ lastEpoch: leaderEpoch(0), logEndOffset: offset(id === 3 ? 10 : 7) }];
    world.message(id, { kind: 'replicaStates', requestId: message.requestId, states });
  }
  assert.equal(world.summary('a'), '3 | 3 | ');
  assert.equal(world.partition('a').uncleanEpoch, -1);
});

test('an unclean election happens where it is allowed, and is recorded (I21)', () => {
  const world = threeBrokers({ uncleanLeaderElection: true });
  world.createTopic('a', one(2, 3));
  world.message(2, alter(world, 'a', 2, [2]));
  world.kill(2);
  // Broker 3 is eligible, and was: clean. Lossy it is not.
  assert.equal(world.summary('a'), '3 | 3 | 2');
  world.kill(3);
  world.register(3, { incarnation: 'again', stopKind: 'lossy' });
  world.heartbeat(3);
  world.take('askReplicaStates').forEach(({ requestId }) => {
    const states = [{ lastEpoch: leaderEpoch(0), logEndOffset: offset(3) }];
    world.message(3, { kind: 'replicaStates', requestId, states });
  });
  assert.equal(world.summary('a'), '3 | 3 | ');
  assert.equal(world.partition('a').uncleanEpoch, world.partition('a').leaderEpoch);
});

function alter(world: ControllerWorld, name: string, by: number, isr: number[], over: object = {}) {
  const topicId = world.image.topicByName(name)?.id as TopicId;
  const { leaderEpoch: epoch, partitionEpoch } = world.partition(name);
  const members = isr.map((id) => ({ brokerId: brokerId(id), brokerEpoch: world.epochOf(id) }));
  const proposal = { topicId, partition: 0, leaderEpoch: epoch, partitionEpoch, isr: members, ...over };
  return {
    kind: 'alterPartition',
    requestId: 5,
    brokerId: brokerId(by),
    brokerEpoch: world.epochOf(by),
    proposals: [proposal],
  } as const;
}

// who asks | for which ISR | with what else | answer
const proposals: [string, number, number[], object, string][] = [
  ['a shrink by the leader', 2, [1, 2], {}, 'ok'],
  ['a repeat of what is recorded', 2, [1, 2, 3], {}, 'ok'],
  ['a proposal of a broker that does not lead', 1, [1, 2], {}, 'fenced'],
  ['an old leader epoch', 2, [1, 2], { leaderEpoch: leaderEpoch(7) }, 'fenced'],
  ['another partition epoch', 2, [1, 2], { partitionEpoch: 9 }, 'fenced'],
  ['an ISR without the leader', 2, [1, 3], {}, 'ineligible'],
  ['a broker without a replica', 2, [1, 2, 3, 4], {}, 'ineligible'],
  [
    'another start of a member',
    2,
    [1, 2],
    {
      isr: [
        { brokerId: 2, brokerEpoch: 2 },
        { brokerId: 1, brokerEpoch: 99 },
      ],
    },
    'ineligible',
  ],
];
for (const [title, by, isr, over, answer] of proposals)
  test(`AlterPartition: ${title} is answered ${answer}`, () => {
    const world = threeBrokers();
    world.join(4);
    world.createTopic('a', one(2, 3, 1));
    world.message(by, alter(world, 'a', by, isr, over));
    assert.equal(world.take('alterPartitionAnswer')[0]?.answers[0]?.kind, answer);
  });

test('a fenced replica does not enter the ISR, an ACTIVE one does (I17)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.kill(3);
  world.message(2, alter(world, 'a', 2, [1, 2, 3]));
  assert.equal(world.take('alterPartitionAnswer')[0]?.answers[0]?.kind, 'ineligible');
  world.register(3, { incarnation: 'again', stopKind: 'killed' });
  world.heartbeat(3);
  world.message(2, alter(world, 'a', 2, [1, 2, 3]));
  assert.deepEqual(world.take('alterPartitionAnswer')[0]?.answers[0], { kind: 'ok', partitionEpoch: 2 });
  assert.equal(world.summary('a'), '2 | 1,2,3 | ');
});

test('an ISR change whose answer of the store was lost is answered once its fate is seen', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.store.fateOfNextTxn('loseAnswer');
  world.message(2, alter(world, 'a', 2, [1, 2]));
  world.pass(200);
  assert.equal(world.take('alterPartitionAnswer')[0]?.answers[0]?.kind, 'ok');
  assert.equal(world.summary('a'), '2 | 1,2 | ');
});

test('a fence that finds a partition being written does it right after', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.isCommittingAtOnce = false;
  world.message(2, alter(world, 'a', 2, [2, 3]));
  world.kill(2);
  assert.equal(world.held.length, 2);
  world.commitAll();
  assert.equal(world.summary('a'), '3 | 3 | 2');
});

test('two decisions in a row need no watch in between', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.isWatching = false;
  world.kill(2);
  world.kill(3);
  world.watch();
  assert.equal(world.summary('a'), '1 | 1 | 3');
});

test('a store that is away stops decisions, and they are taken when it is back (§2.11)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.store.setAway(true);
  world.kill(2);
  world.pass(1000, [1, 3]);
  assert.equal(world.stateOf(2), 'active');
  world.store.setAway(false);
  world.pass(200, [1, 3]);
  assert.equal(world.stateOf(2), 'fenced');
  assert.equal(world.summary('a'), '3 | 1,3 | ');
});

test('a broker that stops hands on its leadership and leaves every ISR, and hears when the others know (§2.8)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.createTopic('alone', one(2));
  world.take('heartbeatAnswer');
  world.heartbeat(2, { wantsShutdown: true });
  assert.equal(world.stateOf(2), 'draining');
  assert.deepEqual([world.summary('a'), world.summary('alone')], ['3 | 1,3 | ', '-1 |  | 2']);
  world.take('heartbeatAnswer');
  const moved = world.image.revision;
  world.heartbeat(3, { appliedRevision: world.controllerEpoch });
  world.heartbeat(2, { wantsShutdown: true });
  assert.equal(world.take('heartbeatAnswer').at(-1)?.leadersLeft, 1);
  for (const id of [1, 3]) world.heartbeat(id, { appliedRevision: moved });
  world.heartbeat(2, { wantsShutdown: true });
  assert.deepEqual(world.take('heartbeatAnswer').at(-1)?.leadersLeft, 0);
});

test('what it answers tells how old its own proof is, the lease it last kept alive (I19)', () => {
  const world = new ControllerWorld();
  world.elect();
  world.register(1);
  const age = (): number | undefined => {
    world.heartbeat(1);
    return world.take('heartbeatAnswer').at(-1)?.proofAgeMs;
  };
  assert.equal(age(), Number.POSITIVE_INFINITY, 'the election itself may have been answered long ago');
  world.step({ kind: 'leaseRenewed', renewedMs: world.nowMs - 300, nowMs: world.nowMs });
  assert.equal(age(), 300);
  world.nowMs += 200;
  assert.equal(age(), 500);
  world.step({ kind: 'leaseRenewed', renewedMs: world.nowMs - 900, nowMs: world.nowMs });
  assert.equal(age(), 500, 'a proof that was asked for before is no news');
});

test('a DRAINING broker is not let into an ISR (KIP-841)', () => {
  const world = threeBrokers();
  world.createTopic('a', one(2, 3, 1));
  world.heartbeat(3, { wantsShutdown: true });
  world.message(2, alter(world, 'a', 2, [1, 2, 3]));
  assert.equal(world.take('alterPartitionAnswer')[0]?.answers[0]?.kind, 'ineligible');
});

test('a broker that is fenced again and again waits longer each time before it is ACTIVE', () => {
  const world = threeBrokers();
  const flap = (): void => {
    world.closeStream(2);
    world.answerDial(2, 'silent');
    world.openStream(2);
  };
  for (let round = 0; round < 2; round++) {
    flap();
    world.heartbeat(2);
    assert.equal(world.stateOf(2), 'active');
  }
  flap();
  world.pass(9900);
  assert.equal(world.stateOf(2), 'fenced');
  world.pass(300);
  assert.equal(world.stateOf(2), 'active');
  flap();
  world.pass(19_900);
  assert.equal(world.stateOf(2), 'fenced');
  world.pass(300);
  assert.equal(world.stateOf(2), 'active');
});

test('leadership goes back to preferred replicas after the interval, not while brokers come and go', () => {
  const world = threeBrokers({ leaderImbalanceCheckIntervalMs: 20_000 });
  world.createTopic('a', one(2, 3, 1));
  world.kill(2);
  world.register(2, { incarnation: 'again', stopKind: 'killed' });
  world.heartbeat(2);
  world.message(3, alter(world, 'a', 3, [1, 2, 3]));
  world.pass(15_000);
  world.message(3, { kind: 'goodbye', brokerId: brokerId(3), brokerEpoch: brokerEpoch(99) });
  assert.equal(world.partition('a').leader, 3);
  world.pass(5500);
  assert.equal(world.partition('a').leader, 2);
});

test('the same events give the same actions', () => {
  const run = (): string => {
    const world = threeBrokers();
    for (const name of ['a', 'b', 'c']) world.createTopic(name, { partitions: 5 });
    world.kill(3);
    world.pass(1000, [1, 2]);
    return JSON.stringify(world.committed);
  };
  assert.equal(run(), run());
});
